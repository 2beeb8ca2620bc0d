/* SPDX-License-Identifier: MIT */
/*
 * A worker that asks its host, made of the wire alone. Its tools, whose arguments are an
 * object:
 *
 *     ask    {"method": M, "session": S, "parent": P} asks M of BridgeService about S and
 *            gives {"status": N, "message": T, "found": F}. P is "own", for the call that
 *            asks, "none", or a number
 *     pass   {"method": "ExecuteTool", "tool": T} asks for a call of T and never answers
 *     hold   never answers; prints "held", and "let go" when it is cancelled
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/duplex.h"
#include "base/mem.h"
#include "wire/h2.h"
#include "wire/json.h"
#include "wire/page.h"
#include "wire/proto.h"

enum { BYTES = 65536 };

static struct h2 *calls;
static struct h2 *host;
static struct worker_page *page;

/* A call, and what it has asked. */
struct call {
    struct h2_stream *stream; /* NULL: it is over */
    int is_asking;
    int is_held;
    int found; /* a varint of 1 came as field 2 */
    char path[128];
};

static int fd_of(const char *variable)
{
    const char *number = getenv(variable);
    return number != NULL ? (int)strtol(number, NULL, 10) : -1;
}

static void text_of(sp_bytes object, const char *key, char *ret, size_t max)
{
    struct json_member member;
    size_t at = 0;
    ret[0] = '\0';
    while (sp__json_next_member(object.data, object.size, &at, &member)) {
        if (member.key_size == strlen(key) &&
            memcmp(member.key, key, member.key_size) == 0 && member.value_size < max) {
            int quoted = member.value[0] == '"';
            (void)snprintf(ret, max, "%.*s", (int)member.value_size - 2 * quoted,
                           member.value + quoted);
        }
    }
}

/* ---- what comes back ---- */

static void answer_came(void *user, struct h2_stream *stream, const uint8_t *data,
                        size_t size)
{
    struct call *call = sp__h2_stream_user(stream);
    for (size_t i = 0; call != NULL && i + 1 < size; i++) {
        call->found = call->found || (data[i] == 0x10 && data[i + 1] == 1);
    }
}

static void reply(struct call *call, const struct h2_status *status)
{
    char json[512];
    struct sp_buffer out;
    (void)snprintf(json, sizeof json,
                   "{\"status\":%d,\"message\":\"%.200s\",\"found\":%d}",
                   status->grpc_status, status->message, call->found);
    for (char *at = strchr(json + 1, '\\'); at != NULL; at = strchr(at, '\\')) {
        *at = '/';
    }
    struct proto_response response = {
        .success = 1, .result_json = sp_text(json), .result_type = sp_text("map")};
    sp__buf_init(&out, BYTES);
    if (sp__proto_put_response(&out, &response, NULL) == 0 &&
        sp__h2_write(call->stream, (sp_bytes){out.data, out.size}, NULL) == 0) {
        (void)!sp__h2_finish(call->stream, 0, NULL, (sp_bytes){0}, NULL, 0, NULL);
    }
    sp__buf_fini(&out);
}

static void answer_ended(void *user, struct h2_stream *stream,
                         const struct h2_status *status)
{
    struct call *call = sp__h2_stream_user(stream);
    if (call == NULL) {
        return;
    }
    call->is_asking = 0;
    if (call->stream == NULL) {
        (void)fprintf(stderr, "the question ended with %d\n", status->grpc_status);
        sp__free(call);
    } else {
        reply(call, status);
    }
}

static const struct h2_events host_events = {.on_message = answer_came,
                                             .on_end = answer_ended};

/* ---- calls ---- */

static void write_message(struct sp_buffer *out, const char *tool, const char *session)
{
    /* ExecuteToolRequest has the tool's name in 2; the others have the session's in 1. */
    struct proto_request request = {
        .tool_name = sp_text(tool),
        .session_id = sp_text(session),
        .args_json = sp_text(tool[0] != '\0' ? "{}" : ""),
    };
    (void)!sp__proto_put_request(out, &request, 0, NULL);
}

static void ask(struct call *call, sp_bytes args)
{
    char method[64];
    char tool[64];
    char session[300];
    char parent[32];
    char number[32];
    text_of(args, "method", method, sizeof method);
    text_of(args, "tool", tool, sizeof tool);
    text_of(args, "session", session, sizeof session);
    text_of(args, "parent", parent, sizeof parent);
    (void)snprintf(call->path, sizeof call->path, "/snakepit.bridge.BridgeService/%s",
                   method);
    (void)snprintf(number, sizeof number, "%s", parent);
    if (strcmp(parent, "own") == 0) {
        (void)snprintf(number, sizeof number, "%u", sp__h2_stream_id(call->stream));
    }
    struct h2_header header = {"snakepit-parent", 15, number, strlen(number)};
    struct h2_stream *stream;
    struct sp_buffer out;
    sp__buf_init(&out, BYTES);
    write_message(&out, tool, session);
    sp_bytes message = {out.size > 0 ? out.data : (const uint8_t *)"", out.size};
    if (sp__h2_open(host, call->path, SP_UNLIMITED, &header,
                    strcmp(parent, "none") != 0, message, 1, call, &stream,
                    NULL) == 0) {
        call->is_asking = 1;
    }
    sp__buf_fini(&out);
}

static int call_began(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    struct call *call = sp__calloc(1, sizeof *call);
    if (call == NULL) {
        return 8;
    }
    call->stream = stream;
    sp__h2_stream_set_user(stream, call);
    return 0;
}

static void call_came(void *user, struct h2_stream *stream, const uint8_t *data,
                      size_t size)
{
    static struct proto_scratch scratch;
    struct proto_request request;
    struct call *call = sp__h2_stream_user(stream);
    if (sp__proto_get_request(data, size, &scratch, &request, NULL) < 0 ||
        !sp__page_begin(page, sp__h2_stream_id(stream))) {
        return;
    }
    if (request.tool_name.size == 4 && memcmp(request.tool_name.data, "hold", 4) == 0) {
        call->is_held = 1;
        (void)fprintf(stderr, "held\n");
    } else {
        ask(call, request.args_json);
    }
}

static void call_over(void *user, struct h2_stream *stream,
                      const struct h2_status *status)
{
    struct call *call = sp__h2_stream_user(stream);
    call->stream = NULL;
    if (call->is_held) {
        (void)fprintf(stderr, "let go\n");
    }
    if (!call->is_asking) {
        sp__free(call);
    }
}

static const struct h2_events call_events = {
    .on_request = call_began, .on_message = call_came, .on_end = call_over};

/* ---- the connections ---- */

static int announce(void)
{
    struct sp_buffer message;
    struct h2_stream *stream;
    char id[] = "asks";
    struct proto_announce words = {.protocol_version = SP__PROTOCOL_VERSION,
                                   .worker_id = id,
                                   .capacity = 1,
                                   .accepts_any = 1};
    sp__buf_init(&message, 4096);
    int rc = sp__proto_put_announce(&message, &words, NULL);
    if (rc == 0) {
        rc =
            sp__h2_open(host, SP__PATH_ANNOUNCE, SP_UNLIMITED, NULL, 0,
                        (sp_bytes){message.data, message.size}, 1, NULL, &stream, NULL);
    }
    sp__buf_fini(&message);
    return rc;
}

/* All that there is; this worker has time. */
static int send_all(struct h2 *h2, struct duplex *duplex)
{
    for (;;) {
        int rc = sp__duplex_send(duplex);
        struct pollfd room = {.fd = duplex->full, .events = POLLOUT};
        if (rc < 0 || (rc == 0 && poll(&room, 1, -1) < 0)) {
            return -1;
        }
        if (rc == 0) {
            continue;
        }
        if (sp__duplex_begin(duplex, NULL) < 0 ||
            sp__h2_send(h2, &duplex->buf, BYTES, NULL) < 0) {
            return -1;
        }
        if (sp__duplex_waiting(duplex) == 0) {
            return 0;
        }
    }
}

static int take(void *user, const uint8_t *data, size_t size)
{
    return sp__h2_receive(user, data, size, NULL);
}

static int receive(struct h2 *h2, struct duplex *duplex)
{
    static uint8_t data[BYTES];
    enum duplex_news news = sp__duplex_receive(duplex, data, sizeof data, take, h2);
    return news == DUPLEX_END || news == DUPLEX_BROKEN ? -1 : 0;
}

int main(void)
{
    static const struct h2_options options = {.trusted = 1, .message_max = BYTES};
    struct duplex_fds call_fds = {fd_of("SNAKEPIT_CALL_FD"),
                                  fd_of("SNAKEPIT_CALL_IN_FD"),
                                  fd_of("SNAKEPIT_CALL_OUT_FD")};
    struct duplex_fds host_fds = sp__duplex_socket(fd_of("SNAKEPIT_HOST_FD"));
    struct duplex call;
    struct duplex asked;
    sp__duplex_init(&call, &call_fds);
    sp__duplex_init(&asked, &host_fds);
    page = mmap(NULL, WORKER_SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                fd_of("SNAKEPIT_PAGE_FD"), 0);
    if (page == MAP_FAILED ||
        sp__h2_new(H2_SERVER, &options, &call_events, NULL, &calls, NULL) < 0 ||
        sp__h2_new(H2_CLIENT, &options, &host_events, NULL, &host, NULL) < 0 ||
        announce() < 0) {
        return 1;
    }
    for (;;) {
        struct pollfd fds[] = {{.fd = call_fds.in, .events = POLLIN},
                               {.fd = host_fds.in, .events = POLLIN}};
        if (send_all(calls, &call) < 0 || send_all(host, &asked) < 0 ||
            poll(fds, 2, -1) < 0 ||
            (fds[0].revents != 0 && receive(calls, &call) < 0) ||
            (fds[1].revents != 0 && receive(host, &asked) < 0)) {
            return 0; /* the host is gone */
        }
    }
}
