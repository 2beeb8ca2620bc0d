/* SPDX-License-Identifier: MIT */
/*
 * What peers may call: the table of methods, and what each event of their streams means.
 *
 * An rpc lives from on_request to on_end. Whatever ends it goes through sp__rpc_finish()
 * or sp__rpc_fail(), once; a stream that the peer resets ends by itself, and takes its
 * call along. Unknown methods are UNIMPLEMENTED and leave nothing behind.
 *
 * A worker says for which of its calls it asks by `snakepit-parent`, the number of the
 * call's stream. What a call has asked may be about its own session only, and ends with
 * it; asked for a call that is over already, it is refused.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/server.h"
#include "serve/state.h"
#include "serve/watching.h"
#include "wire/proto_control.h"

enum { PING_TEXT_MAX = 4096, DETAILS_MAX = 6 * 1024 /* what stock clients take */ };

static void answer_ping(struct rpc *rpc, const uint8_t *data, size_t size);

#define CALL(path, streams)                                             \
    {                                                                   \
        path, METHOD_CALL, FOR_ALL, streams, NULL, sp__execute_message, \
            sp__execute_gone, sp__execute_drained                       \
    }
#define OWN(path, streams, on_message, on_gone)                                 \
    {                                                                           \
        path, METHOD_OWN, FOR_CLIENTS, streams, NULL, on_message, on_gone, NULL \
    }
#define READ(path, answer)                                                          \
    {                                                                               \
        path, METHOD_READ, FOR_ALL, 0, answer, sp__answer_message, sp__answer_gone, \
            NULL                                                                    \
    }
#define CHANGE(path, answer)                                                          \
    {                                                                                 \
        path, METHOD_CHANGE, FOR_ALL, 0, answer, sp__answer_message, sp__answer_gone, \
            NULL                                                                      \
    }
static const struct method methods[] = {
    CALL(SP__PATH_EXECUTE, 0),
    CALL(SP__PATH_STREAM, 1),
    OWN(SP__PATH_PING, 0, answer_ping, NULL),
    OWN(SP__PATH_HEALTH_CHECK, 0, sp__health_message, NULL),
    OWN(SP__PATH_HEALTH_WATCH, 1, sp__health_message, sp__health_gone),
    {SP__PATH_WATCH_VARIABLES, METHOD_OWN, FOR_ALL, 1, NULL,
     sp__watch_variables_message, sp__watching_gone, sp__watching_drained},
    {SP__PATH_WATCH_EVENTS, METHOD_OWN, FOR_CLIENTS, 1, NULL, sp__watch_events_message,
     sp__watching_gone, sp__watching_drained},
    READ(SP__PATH_GET_SESSION, sp__answer_session_get),
    READ(SP__PATH_HEARTBEAT, sp__answer_heartbeat),
    READ(SP__PATH_GET_SESSION_STATS, sp__answer_session_stats),
    READ(SP__PATH_GET_VARIABLE, sp__answer_variable_get),
    /* What may be long is a clerk's as well, though it changes nothing. */
    CHANGE(SP__PATH_GET_VARIABLE_HISTORY, sp__answer_variable_history),
    CHANGE(SP__PATH_LIST_DEPENDENCIES, sp__answer_dependency_list),
    CHANGE(SP__PATH_GET_PROGRAM, sp__answer_program_get),
    CHANGE(SP__PATH_INITIALIZE_SESSION, sp__answer_session_begin),
    CHANGE(SP__PATH_CLEANUP_SESSION, sp__answer_session_end),
    CHANGE(SP__PATH_UPDATE_SESSION, sp__answer_session_update),
    CHANGE(SP__PATH_LIST_SESSIONS, sp__answer_session_list),
    CHANGE(SP__PATH_REGISTER_VARIABLE, sp__answer_variable_register),
    CHANGE(SP__PATH_SET_VARIABLE, sp__answer_variable_set),
    CHANGE(SP__PATH_DELETE_VARIABLE, sp__answer_variable_delete),
    CHANGE(SP__PATH_LIST_VARIABLES, sp__answer_variable_list),
    CHANGE(SP__PATH_GET_VARIABLES, sp__answer_variable_get_many),
    CHANGE(SP__PATH_SET_VARIABLES, sp__answer_variable_set_many),
    CHANGE(SP__PATH_EXPORT_VARIABLES, sp__answer_variable_export),
    CHANGE(SP__PATH_IMPORT_VARIABLES, sp__answer_variable_import),
    CHANGE(SP__PATH_ROLLBACK_VARIABLE, sp__answer_variable_rollback),
    CHANGE(SP__PATH_START_OPTIMIZATION, sp__answer_variable_lock),
    CHANGE(SP__PATH_STOP_OPTIMIZATION, sp__answer_variable_unlock),
    CHANGE(SP__PATH_ADD_DEPENDENCY, sp__answer_dependency_add),
    CHANGE(SP__PATH_REMOVE_DEPENDENCY, sp__answer_dependency_remove),
    CHANGE(SP__PATH_STORE_PROGRAM, sp__answer_program_store),
    CHANGE(SP__PATH_DELETE_PROGRAM, sp__answer_program_delete),
    CHANGE(SP__PATH_LIST_PROGRAMS, sp__answer_program_list),
    /* A clerk makes them: they ask the loops, and wait. */
    {SP__PATH_GET_REPORT, METHOD_CHANGE, FOR_CLIENTS, 0, sp__answer_report,
     sp__answer_message, sp__answer_gone, NULL},
    {SP__PATH_DRAIN_WORKER, METHOD_CHANGE, FOR_CLIENTS, 0, sp__answer_worker_drain,
     sp__answer_message, sp__answer_gone, NULL},
    {SP__PATH_KILL_WORKER, METHOD_CHANGE, FOR_CLIENTS, 0, sp__answer_worker_kill,
     sp__answer_message, sp__answer_gone, NULL},
    READ(SP__PATH_GET_EXPOSED_ELIXIR_TOOLS, sp__answer_tools_list),
    CHANGE(SP__PATH_REGISTER_TOOLS, sp__answer_tools_register),
    {SP__PATH_EXECUTE_ELIXIR_TOOL, METHOD_CALL, FOR_ALL, 0, NULL, sp__tool_message,
     sp__tool_gone, NULL},
};
#undef CALL
#undef OWN
#undef READ
#undef CHANGE

static const struct method *find_method(const struct peer *peer, const char *path,
                                        size_t size)
{
    int who = peer->client != NULL ? FOR_CLIENTS : FOR_WORKERS;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if ((methods[i].who & who) != 0 && strncmp(methods[i].path, path, size) == 0 &&
            methods[i].path[size] == '\0') {
            return &methods[i];
        }
    }
    return NULL;
}

/* It ends by itself, and an orderly end waits for it. */
static int is_pending(const struct rpc *rpc)
{
    return rpc->method->kind == METHOD_CALL || rpc->method->kind == METHOD_CHANGE;
}

/* ---- ending ---- */

static void finish(struct rpc *rpc, int status, const char *message, sp_bytes details,
                   const struct failure_trailers *trailers)
{
    if (rpc->finished) {
        return;
    }
    rpc->finished = 1;
    if (sp__h2_finish(rpc->stream, status, message, details,
                      trailers != NULL ? trailers->headers : NULL,
                      trailers != NULL ? trailers->count : 0, NULL) < 0) {
        sp__h2_reset(rpc->stream, RST_INTERNAL);
    }
    sp__channel_touch(rpc->peer->channel);
}

void sp__rpc_finish(struct rpc *rpc, int status, const char *message)
{
    finish(rpc, status, message, (sp_bytes){0}, NULL);
}

void sp__rpc_finish_placed(struct rpc *rpc, int placed)
{
    static const char *const words[] = {[SP_PLACED_SAME] = "same",
                                        [SP_PLACED_NEW] = "new",
                                        [SP_PLACED_MOVED] = "moved"};
    static const char name[] = "snakepit-placed";
    struct failure_trailers trailers = {0};
    if (placed != SP_PLACED_NONE) {
        trailers.headers[0] = (struct h2_header){name, sizeof name - 1, words[placed],
                                                 strlen(words[placed])};
        trailers.count = 1;
    }
    finish(rpc, GRPC_OK, NULL, (sp_bytes){0}, &trailers);
}

/* Whose program it is not does not see where it stands: paths, lines, output. */
static void redact(sp_error *failure)
{
    sp__free(failure->remote_trace);
    sp__free(failure->remote_details);
    sp__free(failure->worker_stderr);
    failure->remote_trace = NULL;
    failure->remote_details = NULL;
    failure->worker_stderr = NULL;
}

void sp__rpc_fail(struct rpc *rpc, const sp_error *failure)
{
    struct sp_buffer details;
    struct failure_trailers trailers;
    sp_error told = {0};
    sp__buf_init(&details, DETAILS_MAX);
    sp__error_copy(&told, failure);
    const struct client *client = rpc->peer->client;
    if (client != NULL && !sp__client_is_own(client)) {
        redact(&told);
    }
    if (sp__proto_put_failure(&details, &told, NULL) < 0) {
        details.size = 0; /* status, message and trailers say the most important */
    }
    sp__failure_trailers(failure, &trailers);
    finish(rpc, sp_error_status(failure), failure->message,
           (sp_bytes){details.data, details.size}, &trailers);
    sp_error_clear(&told);
    sp__buf_fini(&details);
}

/* ---- for whom it is asked ---- */

static const struct request *find_parent(const struct worker *worker,
                                         uint32_t stream_id)
{
    for (const struct link *link = worker->in_flight.first; link != NULL;
         link = link->next) {
        const struct worker_call *call = ITEM(link, struct worker_call, on_worker);
        if (call->stream_id == stream_id) {
            return (const struct request *)(const void *)ITEM(call, struct request,
                                                              call);
        }
    }
    return NULL;
}

static void fail_over(struct rpc *rpc)
{
    sp_error failure = {0};
    sp__fail(&failure, SP_ERR_CANCELLED, "the call that asks is over");
    sp__rpc_fail(rpc, &failure);
}

static void read_parent(struct rpc *rpc, const struct h2_request *request)
{
    static const char name[] = "snakepit-parent";
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct h2_header *header = &request->headers[i];
        uint64_t stream_id;
        if (header->name_size != sizeof name - 1 ||
            memcmp(header->name, name, sizeof name - 1) != 0) {
            continue;
        }
        if (sp__rpc_read_number(header, &stream_id) < 0 || stream_id > UINT32_MAX) {
            sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT,
                           "snakepit-parent is no number of a stream");
            return;
        }
        rpc->parent_stream = (uint32_t)stream_id;
        rpc->parent = find_parent(rpc->peer->worker, rpc->parent_stream);
        if (rpc->parent == NULL) {
            fail_over(rpc);
        }
    }
}

void sp__peer_call_over(struct peer *peer, uint32_t stream_id)
{
    for (struct link *link = peer->rpcs.first; link != NULL; link = link->next) {
        struct rpc *rpc = ITEM(link, struct rpc, on_peer);
        if (rpc->parent == NULL || rpc->parent_stream != stream_id) {
            continue;
        }
        rpc->parent = NULL;
        if (!rpc->finished) {
            fail_over(rpc);
            if (rpc->method->on_gone != NULL) {
                rpc->method->on_gone(rpc);
            }
        }
    }
}

/* ---- events ---- */

static void begin_call(struct rpc *rpc, const struct h2_request *request)
{
    if (rpc->peer->stats != NULL) {
        rpc->peer->stats->calls++;
        rpc->peer->stats->calls_total++;
    }
    if (sp__rpc_head_read(rpc, request) < 0) {
        sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT,
                       "the metadata of the call cannot be read");
    }
}

static int on_request(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    struct peer *peer = user;
    const struct method *method = find_method(peer, request->path, request->path_size);
    if (method == NULL) {
        return GRPC_UNIMPLEMENTED;
    }
    struct rpc *rpc = sp__calloc(1, sizeof *rpc);
    if (rpc == NULL) {
        return GRPC_RESOURCE_EXHAUSTED;
    }
    rpc->method = method;
    rpc->peer = peer;
    rpc->stream = stream;
    rpc->timeout_ms = request->timeout_ms;
    rpc->begun_ms = sp__loop_now_ms(peer->lane->loop);
    rpc->told = -1;
    sp__h2_stream_set_user(stream, rpc);
    sp__list_append(&peer->rpcs, &rpc->on_peer);
    peer->pending += (uint32_t)is_pending(rpc);
    if (method->kind == METHOD_CALL) {
        begin_call(rpc, request);
    }
    if (peer->worker != NULL) {
        read_parent(rpc, request);
    } else {
        sp__client_moved(peer->client);
    }
    return GRPC_OK;
}

static void answer_ping(struct rpc *rpc, const uint8_t *data, size_t size)
{
    sp_bytes said;
    struct sp_buffer text;
    struct sp_buffer out;
    sp__buf_init(&text, PING_TEXT_MAX + 16);
    sp__buf_init(&out, 2 * PING_TEXT_MAX);
    int rc = sp__proto_get_ping(data, size, &said, NULL);
    if (rc == SP_OK) {
        rc =
            sp__buf_printf(&text, NULL, "pong: %.*s",
                           (int)(said.size < PING_TEXT_MAX ? said.size : PING_TEXT_MAX),
                           said.size > 0 ? (const char *)said.data : "");
    }
    if (rc == SP_OK) {
        rc = sp__proto_put_pong(&out, (const char *)text.data, (int64_t)sp__unix_ns(),
                                NULL);
    }
    if (rc == SP_OK) {
        rc = sp__h2_write(rpc->stream, (sp_bytes){out.data, out.size}, NULL);
    }
    sp__rpc_finish(rpc, rc == SP_OK ? GRPC_OK : GRPC_INVALID_ARGUMENT, NULL);
    sp__buf_fini(&text);
    sp__buf_fini(&out);
}

/* Methods of the original that stand for what has another one since. */
static void tell_deprecated(const struct rpc *rpc)
{
    static const struct {
        const char *path;
        const char *successor;
    } old[] = {{SP__PATH_EXECUTE_ELIXIR_TOOL, SP__PATH_EXECUTE},
               {SP__PATH_START_OPTIMIZATION, "sp_variable_lock()"},
               {SP__PATH_STOP_OPTIMIZATION, "sp_variable_unlock()"}};
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++) {
        if (strcmp(rpc->method->path, old[i].path) == 0) {
            sp__herald_tell(
                &rpc->peer->pit->herald,
                &(struct tidings){.event = {.kind = SP_EVENT_DEPRECATED_USED},
                                  EVENT_NUMBERS(1),
                                  EVENT_TEXTS(old[i].path, old[i].successor)});
        }
    }
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc == NULL || rpc->finished) {
        return;
    }
    if (rpc->has_message) {
        sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT, "the request has two messages");
        return;
    }
    rpc->has_message = 1;
    if (sp__herald_wants(&rpc->peer->pit->herald, SP_EVENT_DEPRECATED_USED)) {
        tell_deprecated(rpc);
    }
    rpc->method->on_message(rpc, data, size);
}

static void on_half_close(void *user, struct h2_stream *stream)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc != NULL && !rpc->has_message) {
        sp__rpc_finish(rpc, GRPC_INVALID_ARGUMENT, "the request has no message");
    }
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc == NULL) {
        return;
    }
    struct peer *peer = rpc->peer;
    sp__list_remove(&rpc->on_peer);
    peer->pending -= (uint32_t)is_pending(rpc);
    if (rpc->method->kind == METHOD_CALL && peer->stats != NULL) {
        peer->stats->calls--;
    }
    if (rpc->method->on_gone != NULL) {
        rpc->method->on_gone(rpc);
    }
    sp__free(rpc);
    if (peer->client != NULL) {
        sp__client_moved(peer->client);
    }
}

static void on_drained(void *user, struct h2_stream *stream)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    if (rpc != NULL && rpc->method->on_drained != NULL) {
        rpc->method->on_drained(rpc);
    }
}

const struct h2_events sp__service = {
    .on_request = on_request,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_end = on_end,
    .on_drained = on_drained,
};
