/* SPDX-License-Identifier: MIT */
/*
 * A host made of wire/h2 and a socket. See peer.h.
 *
 * Everything happens inside peer_turn(): send what h2 has, wait for the socket, feed h2
 * what came. As a server it takes AnnounceWorker by itself and keeps every other question
 * for the test to answer.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

uint64_t test_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- client events ---- */

static void client_headers(void *user, struct h2_stream *stream)
{
    struct peer_call *call = sp__h2_stream_user(stream);
    if (call != NULL) {
        call->headers = 1;
    }
}

static void client_message(void *user, struct h2_stream *stream, const uint8_t *data,
                           size_t size)
{
    struct peer_call *call = sp__h2_stream_user(stream);
    if (call == NULL) {
        return;
    }
    call->messages++;
    call->bytes += size;
    call->last.size = 0;
    assert_int_equal(sp__buf_append(&call->last, data, size, NULL), 0);
    if (call->keep) {
        uint32_t n = (uint32_t)size;
        assert_int_equal(sp__buf_append(&call->all, &n, sizeof n, NULL), 0);
        assert_int_equal(sp__buf_append(&call->all, data, size, NULL), 0);
    }
}

static void client_end(void *user, struct h2_stream *stream,
                       const struct h2_status *status)
{
    struct peer_call *call = sp__h2_stream_user(stream);
    if (call == NULL) {
        return;
    }
    call->stream = NULL;
    call->done = 1;
    call->status = status->grpc_status;
    call->rst_code = status->rst_code;
    call->refused = status->refused;
    size_t n = strlen(status->message);
    n = n < sizeof call->message - 1 ? n : sizeof call->message - 1;
    memcpy(call->message, status->message, n);
    call->message[n] = '\0';
    assert_int_equal(
        sp__buf_append(&call->details, status->details, status->details_size, NULL), 0);
}

static void pong(void *user, uint64_t opaque)
{
    ((struct peer *)user)->pongs++;
}

static void goaway(void *user, uint32_t code)
{
    ((struct peer *)user)->goaway = 1;
}

static const struct h2_events client_events = {
    .on_headers = client_headers,
    .on_message = client_message,
    .on_end = client_end,
    .on_pong = pong,
    .on_goaway = goaway,
};

/* ---- server events: AnnounceWorker, and questions ---- */

static void keep_header(const struct h2_header *header, const char *name, char *ret,
                        size_t max)
{
    if (header->name_size == strlen(name) &&
        memcmp(header->name, name, header->name_size) == 0) {
        assert_true(header->value_size < max);
        memcpy(ret, header->value, header->value_size);
    }
}

static int server_request(void *user, struct h2_stream *stream,
                          const struct h2_request *request)
{
    struct peer *peer = user;
    if (request->path_size == strlen(SP__PATH_ANNOUNCE) &&
        memcmp(request->path, SP__PATH_ANNOUNCE, request->path_size) == 0) {
        return 0;
    }
    struct peer_ask *ask = sp__calloc(1, sizeof *ask);
    assert_non_null(ask);
    ask->peer = peer;
    ask->stream = stream;
    ask->timeout_ms = request->timeout_ms;
    sp__buf_init(&ask->message, SIZE_MAX);
    assert_true(request->path_size < sizeof ask->path);
    memcpy(ask->path, request->path, request->path_size);
    for (size_t i = 0; i < request->headers_count; i++) {
        keep_header(&request->headers[i], SP__HEADER_PARENT, ask->parent,
                    sizeof ask->parent);
        keep_header(&request->headers[i], SP__HEADER_POOL, ask->pool, sizeof ask->pool);
    }
    sp__list_append(&peer->asks, &ask->on_asks);
    sp__h2_stream_set_user(stream, ask);
    return 0;
}

static void announce_came(struct peer *peer, struct h2_stream *stream,
                          const uint8_t *data, size_t size)
{
    struct sp_buffer out;
    sp__proto_announce_fini(&peer->announce);
    assert_int_equal(sp__proto_get_announce(data, size, &peer->announce, NULL), 0);
    peer->announced++;
    if (peer->mute) {
        return;
    }
    sp__buf_init(&out, SIZE_MAX);
    assert_int_equal(sp__proto_put_announce_reply(&out, !peer->refuse,
                                                  peer->refuse ? "no room" : "", NULL),
                     0);
    assert_int_equal(sp__h2_write(stream, (sp_bytes){out.data, out.size}, NULL), 0);
    assert_int_equal(sp__h2_finish(stream, 0, NULL, (sp_bytes){0}, NULL, 0, NULL), 0);
    sp__buf_fini(&out);
}

static void server_message(void *user, struct h2_stream *stream, const uint8_t *data,
                           size_t size)
{
    struct peer_ask *ask = sp__h2_stream_user(stream);
    if (ask == NULL) {
        announce_came(user, stream, data, size);
        return;
    }
    ask->came = 1;
    assert_int_equal(sp__buf_append(&ask->message, data, size, NULL), 0);
}

static void server_end(void *user, struct h2_stream *stream,
                       const struct h2_status *status)
{
    struct peer_ask *ask = sp__h2_stream_user(stream);
    if (ask != NULL) {
        ask->stream = NULL;
        ask->rst_code = status->rst_code;
    }
}

static const struct h2_events server_events = {
    .on_request = server_request,
    .on_message = server_message,
    .on_end = server_end,
    .on_pong = pong,
};

/* ---- life ---- */

struct peer *peer_new(int fd, enum h2_role role, int trusted)
{
    struct duplex_fds fds = sp__duplex_socket(fd);
    return peer_new_over(&fds, role, trusted);
}

struct peer *peer_new_over(const struct duplex_fds *fds, enum h2_role role, int trusted)
{
    struct peer *peer = sp__calloc(1, sizeof *peer);
    assert_non_null(peer);
    sp__duplex_init(&peer->duplex, fds);
    struct h2_options options = {.trusted = trusted};
    assert_int_equal(sp__h2_new(role, &options,
                                role == H2_CLIENT ? &client_events : &server_events,
                                peer, &peer->h2, NULL),
                     0);
    return peer;
}

void peer_free(struct peer *peer)
{
    if (peer == NULL) {
        return;
    }
    sp__h2_free(peer->h2);
    sp__duplex_fini(&peer->duplex);
    sp__proto_announce_fini(&peer->announce);
    while (peer->asks.first != NULL) {
        peer_forget(ITEM(peer->asks.first, struct peer_ask, on_asks));
    }
    sp__duplex_close_fds(&peer->duplex.fds);
    sp__free(peer);
}

void peer_hang_up(struct peer *peer)
{
    struct duplex_fds *fds = &peer->duplex.fds;
    if (sp__duplex_is_piped(fds)) {
        (void)close(fds->out);
        fds->out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    } else {
        assert_int_equal(shutdown(fds->socket, SHUT_RDWR), 0);
    }
}

static void peer_write(struct peer *peer)
{
    while (!peer->gathers && sp__duplex_send(&peer->duplex) == 1) {
        if (sp__duplex_begin(&peer->duplex, NULL) < 0 ||
            sp__h2_send(peer->h2, &peer->duplex.buf, 65536, NULL) < 0 ||
            sp__duplex_waiting(&peer->duplex) == 0) {
            return;
        }
    }
}

static int peer_take(void *user, const uint8_t *data, size_t size)
{
    struct peer *peer = user;
    peer->eof |= sp__h2_receive(peer->h2, data, size, NULL) < 0;
    return peer->eof;
}

void peer_turn(struct peer *peer, int timeout_ms)
{
    uint8_t buffer[65536];
    peer_write(peer);
    if (peer->eof) {
        return;
    }
    int waits = sp__duplex_waiting(&peer->duplex) > 0;
    struct pollfd polled[2] = {
        {.fd = peer->duplex.fds.in, .events = POLLIN},
        {.fd = waits ? peer->duplex.full : -1, .events = POLLOUT}};
    if (poll(polled, 2, timeout_ms) <= 0 || polled[0].revents == 0) {
        return;
    }
    enum duplex_news news =
        sp__duplex_receive(&peer->duplex, buffer, sizeof buffer, peer_take, peer);
    peer->eof |= news == DUPLEX_END || news == DUPLEX_BROKEN;
    peer_write(peer);
}

/* ---- calls ---- */

struct peer_call *call_new(void)
{
    struct peer_call *call = sp__calloc(1, sizeof *call);
    assert_non_null(call);
    sp__buf_init(&call->last, SIZE_MAX);
    sp__buf_init(&call->details, SIZE_MAX);
    sp__buf_init(&call->all, SIZE_MAX);
    return call;
}

void call_free(struct peer_call *call)
{
    if (call->stream != NULL) {
        sp__h2_stream_set_user(call->stream, NULL);
    }
    sp__buf_fini(&call->last);
    sp__buf_fini(&call->details);
    sp__buf_fini(&call->all);
    sp__free(call);
}

static struct peer_call *open_call(struct peer *peer, const char *path,
                                   sp_bytes message, int half_close,
                                   uint64_t timeout_ms, int held)
{
    struct peer_call *call = call_new();
    assert_int_equal(sp__h2_open(peer->h2, path, timeout_ms, NULL, 0, message,
                                 half_close, call, &call->stream, NULL),
                     0);
    if (held) {
        sp__h2_hold(call->stream);
    }
    peer_write(peer);
    if (call->stream != NULL) {
        call->id = sp__h2_stream_id(call->stream);
    }
    return call;
}

struct peer_call *peer_open(struct peer *peer, const char *path, sp_bytes message,
                            int half_close)
{
    return open_call(peer, path, message, half_close, SP_UNLIMITED, 0);
}

static struct peer_call *execute(struct peer *peer, const char *path, const char *tool,
                                 const char *args, uint64_t timeout_ms, int held)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    struct proto_request request = {.tool_name = sp_text(tool),
                                    .session_id = sp_text("s1"),
                                    .args_json = sp_text(args)};
    assert_int_equal(sp__proto_put_request(&out, &request, 0, NULL), 0);
    struct peer_call *call =
        open_call(peer, path, (sp_bytes){out.data, out.size}, 1, timeout_ms, held);
    sp__buf_fini(&out);
    return call;
}

struct peer_call *peer_execute(struct peer *peer, const char *tool, const char *args)
{
    return execute(peer, SP__PATH_EXECUTE, tool, args, SP_UNLIMITED, 0);
}

struct peer_call *peer_execute_for(struct peer *peer, const char *tool,
                                   const char *args, uint64_t timeout_ms)
{
    return execute(peer, SP__PATH_EXECUTE, tool, args, timeout_ms, 0);
}

struct peer_call *peer_stream(struct peer *peer, const char *tool, const char *args,
                              int held)
{
    return execute(peer, SP__PATH_STREAM, tool, args, SP_UNLIMITED, held);
}

void peer_hear_out(struct peer *peer)
{
    uint64_t pongs = peer->pongs;
    assert_int_equal(sp__h2_ping(peer->h2, 1, NULL), 0);
    PEER_UNTIL(peer, peer->pongs == pongs + 1);
}

void peer_finish(struct peer *peer, struct peer_call *call)
{
    PEER_UNTIL(peer, call->done);
}

int call_last_has(const struct peer_call *call, const char *text)
{
    return memmem(call->last.data, call->last.size, text, strlen(text)) != NULL;
}

const char *peer_result(struct peer_call *call, char *text, size_t size)
{
    struct proto_response response;
    assert_int_equal(call->done, 1);
    assert_int_equal(call->status, 0);
    assert_int_equal(call->messages, 1);
    assert_int_equal(
        sp__proto_get_response(call->last.data, call->last.size, &response, NULL), 0);
    sp_bytes from = response.success ? response.result_json : response.error_message;
    size_t n = from.size < size - 1 ? from.size : size - 1;
    memcpy(text, from.data, n);
    text[n] = '\0';
    return text;
}

/* ---- questions ---- */

void peer_forget(struct peer_ask *ask)
{
    sp__list_remove(&ask->on_asks);
    sp__buf_fini(&ask->message);
    sp__free(ask);
}

static struct peer_ask *find_ask(struct peer *peer, uint32_t n)
{
    struct link *link = peer->asks.first;
    while (link != NULL && n-- > 0) {
        link = link->next;
    }
    struct peer_ask *ask = link != NULL ? ITEM(link, struct peer_ask, on_asks) : NULL;
    return ask != NULL && ask->came ? ask : NULL;
}

struct peer_ask *peer_await_ask(struct peer *peer, uint32_t n)
{
    PEER_UNTIL(peer, find_ask(peer, n) != NULL);
    return find_ask(peer, n);
}

void peer_say(struct peer_ask *ask, sp_bytes message)
{
    assert_non_null(ask->stream);
    assert_int_equal(sp__h2_write(ask->stream, message, NULL), 0);
    peer_write(ask->peer);
}

void peer_chunk(struct peer_ask *ask, sp_bytes json)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    struct proto_chunk chunk = {.data = json};
    assert_int_equal(sp__proto_put_chunk(&out, &chunk, NULL), 0);
    peer_say(ask, (sp_bytes){out.data, out.size});
    sp__buf_fini(&out);
}

void peer_end(struct peer_ask *ask, int grpc_status, const char *message,
              const sp_error *details)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    if (details != NULL) {
        assert_int_equal(sp__proto_put_failure(&out, details, NULL), 0);
    }
    assert_non_null(ask->stream);
    assert_int_equal(sp__h2_finish(ask->stream, grpc_status, message,
                                   (sp_bytes){out.data, out.size}, NULL, 0, NULL),
                     0);
    sp__buf_fini(&out);
    peer_write(ask->peer);
}

void peer_answer(struct peer_ask *ask, const char *json)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    struct proto_response response = {
        .success = 1, .result_json = sp_text(json), .result_type = sp_text("map")};
    assert_int_equal(sp__proto_put_response(&out, &response, NULL), 0);
    peer_say(ask, (sp_bytes){out.data, out.size});
    peer_end(ask, 0, NULL, NULL);
    sp__buf_fini(&out);
}
