/* SPDX-License-Identifier: MIT */
/*
 * A client of a pit, as an enemy is one: what it sends is served by the rpcs' own code,
 * with a loop, clerks and a set of sessions, but no worker.
 *
 * Byte 0: bit 0, the rest is bytes of HTTP/2 after an opening; else it is records, each a
 * question: method, two bytes of length, the message. Each input finds the same session
 * with the same variables, and leaves nothing in memory. The answers are thrown away.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "serve/server.h"
#include "serve/state.h"
#include "session/sessions.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RECORD_HEAD = 3, INPUT_MAX = 60000, STREAMS_MAX = 64, TRIES_MAX = 5 };

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static const char *const paths[] = {
    SP__PATH_INITIALIZE_SESSION,
    SP__PATH_CLEANUP_SESSION,
    SP__PATH_GET_SESSION,
    SP__PATH_HEARTBEAT,
    SP__PATH_UPDATE_SESSION,
    SP__PATH_LIST_SESSIONS,
    SP__PATH_GET_SESSION_STATS,
    SP__PATH_GET_VARIABLE,
    SP__PATH_SET_VARIABLE,
    SP__PATH_GET_VARIABLES,
    SP__PATH_SET_VARIABLES,
    SP__PATH_REGISTER_VARIABLE,
    SP__PATH_LIST_VARIABLES,
    SP__PATH_DELETE_VARIABLE,
    SP__PATH_WATCH_VARIABLES,
    SP__PATH_ADD_DEPENDENCY,
    SP__PATH_START_OPTIMIZATION,
    SP__PATH_STOP_OPTIMIZATION,
    SP__PATH_GET_VARIABLE_HISTORY,
    SP__PATH_ROLLBACK_VARIABLE,
    SP__PATH_REMOVE_DEPENDENCY,
    SP__PATH_LIST_DEPENDENCIES,
    SP__PATH_EXPORT_VARIABLES,
    SP__PATH_IMPORT_VARIABLES,
    SP__PATH_STORE_PROGRAM,
    SP__PATH_GET_PROGRAM,
    SP__PATH_DELETE_PROGRAM,
    SP__PATH_LIST_PROGRAMS,
    SP__PATH_PING,
    SP__PATH_HEALTH_CHECK,
    SP__PATH_HEALTH_WATCH,
    SP__SERVICE "Nothing",
};

/* ---- a pit without pools ---- */

static struct lane lane;
static struct sp_pit pit = {.lanes = &lane, .lanes_count = 1};
static struct server server = {.pit = &pit,
                               .limits = {.size = sizeof server.limits,
                                          .clients_max = 4,
                                          .calls_max = STREAMS_MAX,
                                          .message_max_bytes = 1 << 20,
                                          .greeting_timeout_ms = 60000,
                                          .body_timeout_ms = 60000,
                                          .stalled_timeout_ms = 60000,
                                          .idle_timeout_ms = 60000}};

static void on_turn_end(void *user)
{
    if (lane.shop.channels.read_buffer != NULL) {
        sp__channels_flush(&lane.shop.channels);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const struct loop_events events = {.on_turn_end = on_turn_end};
    lane.pit = &pit;
    CHECK(sp__loop_open(&events, &lane, &lane.loop, NULL) == SP_OK);
    pit.loop = lane.loop;
    CHECK(sp__channels_init(&lane.shop.channels, pit.loop, NULL) == SP_OK);
    sp__clerks_init(&lane.clerks, pit.loop);
    return 0;
}

/* ---- one client ---- */

struct visit {
    int fd; /* the server's end */
    const struct sp_buffer *bytes;
    int is_pending;
};

/* The one there is, until the sweep of the server has taken it away. */
static struct client *visitor(void)
{
    struct link *link = server.clients.first;
    return link != NULL ? ITEM(link, struct client, on_server) : NULL;
}

static void come(void *user, void *arg)
{
    struct visit *visit = arg;
    if (sp__client_open(&server, visit->fd, geteuid(), NULL) < 0) {
        (void)close(visit->fd);
        return;
    }
    struct client *client = visitor();
    (void)!sp__h2_receive(client->channel.h2, visit->bytes->data, visit->bytes->size,
                          NULL);
    sp__channel_touch(&client->channel);
}

static void look(void *user, void *arg)
{
    struct visit *visit = arg;
    const struct client *client = visitor();
    visit->is_pending = client != NULL && client->peer.pending > 0;
}

static void leave(void *user, void *arg)
{
    struct client *client = visitor();
    if (client != NULL) {
        sp__client_close(client);
    }
}

static void nothing(void *user, void *arg)
{
}

static void read_away(int fd)
{
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0) {
    }
}

/* A question that was reset may still be with a clerk. */
static int clerks_are_idle(void)
{
    (void)pthread_mutex_lock(&lane.clerks.lock);
    int idle = lane.clerks.queue.length == 0 && lane.clerks.idle == lane.clerks.count;
    (void)pthread_mutex_unlock(&lane.clerks.lock);
    return idle;
}

static void visit_with(const struct sp_buffer *bytes)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    struct visit visit = {.fd = fds[0], .bytes = bytes};
    sp__loop_call(pit.loop, come, &visit);
    do {
        read_away(fds[1]);
        sp__loop_call(pit.loop, look, &visit);
    } while (visit.is_pending);
    sp__loop_call(pit.loop, leave, &visit);
    while (!clerks_are_idle()) {
        (void)sched_yield();
    }
    sp__loop_call(pit.loop, nothing, NULL); /* behind what came back */
    read_away(fds[1]);
    (void)close(fds[1]);
}

/* ---- its questions ---- */

static void nothing_comes(void *user, struct h2_stream *stream, const uint8_t *data,
                          size_t size)
{
}

static void nothing_ends(void *user, struct h2_stream *stream,
                         const struct h2_status *status)
{
}

static const struct h2_events client_events = {.on_message = nothing_comes,
                                               .on_end = nothing_ends};

/* HTTP/2 of a client that asks what the records say. */
static void ask(const uint8_t *data, size_t size, struct sp_buffer *out)
{
    struct h2 *h2;
    CHECK(sp__h2_new(H2_CLIENT, NULL, &client_events, NULL, &h2, NULL) == SP_OK);
    for (int i = 0; i < STREAMS_MAX && size >= RECORD_HEAD; i++) {
        struct h2_stream *stream;
        const char *path = paths[data[0] % (sizeof paths / sizeof paths[0])];
        size_t length = (size_t)data[1] << 8 | data[2];
        data += RECORD_HEAD;
        size -= RECORD_HEAD;
        length = length < size ? length : size;
        (void)!sp__h2_open(h2, path, SP_UNLIMITED, NULL, 0, (sp_bytes){data, length}, 1,
                           NULL, &stream, NULL);
        data += length;
        size -= length;
    }
    while (sp__h2_send(h2, out, 1 << 20, NULL) > 0) {
    }
    sp__h2_free(h2);
}

static void open_sessions(void)
{
    const sp_sessions_options options = {.size = sizeof options, .variables_max = 100};
    CHECK(sp_sessions_open(&options, &pit.sessions, NULL) == SP_OK);
    CHECK(sp_session_create(pit.sessions, "s", NULL, NULL) == 1);
    CHECK(sp_variable_register(pit.sessions, "s", "a", "integer", "1", NULL, NULL,
                               NULL) == SP_OK);
    CHECK(sp_variable_register(pit.sessions, "s", "b", "string", "\"x\"", NULL, NULL,
                               NULL) == SP_OK);
    CHECK(sp_variable_depend(pit.sessions, "s", "a", "b", NULL, NULL) == SP_OK);
    CHECK(sp_program_store(pit.sessions, "s", "p", "[1]", 0, NULL) == SP_OK);
}

/* What is alive afterwards, and was not before. */
static int64_t serve(const uint8_t *data, size_t size)
{
    static const char opening[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct sp_buffer bytes;
    int64_t live = sp__mem_live();
    open_sessions();
    sp__buf_init(&bytes, 1 << 24);
    if (data[0] & 1) {
        CHECK(sp__buf_append(&bytes, opening, sizeof opening, NULL) == SP_OK);
        CHECK(sp__buf_append(&bytes, data + 1, size - 1, NULL) == SP_OK);
    } else {
        ask(data + 1, size - 1, &bytes);
    }
    visit_with(&bytes);
    sp__buf_fini(&bytes);
    sp_sessions_close(pit.sessions);
    return sp__mem_live() - live;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX) {
        return 0;
    }
    /* Some memory is kept for the next time; a leak grows each time. */
    int tries = 0;
    while (serve(data, size) > 0) {
        CHECK(++tries < TRIES_MAX);
    }
    return 0;
}
