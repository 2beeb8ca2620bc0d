/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/list.h"
#include "leak.h"
#include "wire/h2.h"
#include "wire/proto.h"

enum { READ_BYTES = 64 * 1024 };

struct rpc {
    struct link on_caller;
    struct asked asked;
    int is_stream;
    int is_health;
    int held;
};

struct caller {
    int fd;
    int over;
    int mute; /* the peer takes no more; what it said may still be there */
    int goaway;
    struct h2 *h2;
    struct sp_buffer out;
    struct list rpcs;
    uint8_t bytes[READ_BYTES];
};

/* ---- what comes ---- */

static void cut(char *to, size_t max, const void *from, size_t size)
{
    size_t n = size < max - 1 ? size : max - 1;
    if (n > 0) {
        memcpy(to, from, n);
    }
    to[n] = '\0';
}

static void take_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    struct asked *asked = &rpc->asked;
    struct proto_response response;
    struct proto_chunk chunk;
    if (rpc->is_health) {
        (void)!sp__proto_get_health(data, size, &asked->health, NULL);
    } else if (rpc->is_stream) {
        if (sp__proto_get_chunk(data, size, &chunk, NULL) == SP_OK) {
            asked->has_final = chunk.is_final;
            if (!chunk.is_final) {
                cut(asked->last, sizeof asked->last, chunk.data.data, chunk.data.size);
            }
        }
    } else if (sp__proto_get_response(data, size, &response, NULL) == SP_OK) {
        cut(asked->json, sizeof asked->json, response.result_json.data,
            response.result_json.size);
    }
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    rpc->asked.messages++;
    rpc->asked.bytes += size;
    take_message(rpc, data, size);
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    struct rpc *rpc = sp__h2_stream_user(stream);
    struct asked *asked = &rpc->asked;
    sp_error details = {0};
    asked->ended = 1;
    asked->stream = NULL;
    asked->status = status->grpc_status;
    asked->rst_code = status->rst_code;
    asked->refused = status->refused;
    cut(asked->message, sizeof asked->message, status->message,
        strlen(status->message));
    if (status->details_size > 0 &&
        sp__proto_get_failure(status->details, status->details_size, &details) == 1) {
        asked->code = details.code;
    }
    sp_error_clear(&details);
    for (size_t i = 0; i < status->trailers_count; i++) {
        const struct h2_header *trailer = &status->trailers[i];
        char name[64];
        cut(name, sizeof name, trailer->name, trailer->name_size);
        char *place = strcmp(name, "snakepit-executed") == 0        ? asked->executed
                      : strcmp(name, "snakepit-reason") == 0        ? asked->reason
                      : strcmp(name, "grpc-retry-pushback-ms") == 0 ? asked->pushback
                                                                    : NULL;
        if (place != NULL) {
            cut(place, sizeof asked->executed, trailer->value, trailer->value_size);
        }
    }
}

static void on_goaway(void *user, uint32_t error_code)
{
    struct caller *caller = user;
    caller->goaway = 1;
}

static const struct h2_events events = {
    .on_message = on_message, .on_end = on_end, .on_goaway = on_goaway};

/* ---- the connection ---- */

struct caller *caller_on(int fd)
{
    struct caller *caller = calloc(1, sizeof *caller);
    assert_non_null(caller);
    caller->fd = fd;
    sp__buf_init(&caller->out, SIZE_MAX / 2);
    struct h2_options options = {.message_max = 64 << 20};
    assert_int_equal(
        sp__h2_new(H2_CLIENT, &options, &events, caller, &caller->h2, NULL), SP_OK);
    return caller;
}

struct caller *caller_open(const char *path)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    assert_true(strlen(path) < sizeof where.sun_path);
    memcpy(where.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return NULL;
    }
    int rc;
    do {
        rc = connect(fd, (struct sockaddr *)&where, sizeof where);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        (void)close(fd);
        return NULL;
    }
    return caller_on(fd);
}

void caller_close(struct caller *caller)
{
    if (caller == NULL) {
        return;
    }
    sp__h2_free(caller->h2);
    (void)close(caller->fd);
    sp__buf_fini(&caller->out);
    struct link *link;
    while ((link = sp__list_pop(&caller->rpcs)) != NULL) {
        free(ITEM(link, struct rpc, on_caller));
    }
    free(caller);
}

int caller_is_over(const struct caller *caller)
{
    return caller->over;
}

int caller_got_goaway(const struct caller *caller)
{
    return caller->goaway;
}

static void write_out(struct caller *caller)
{
    while (!caller->over && !caller->mute && sp__h2_wants_send(caller->h2)) {
        caller->out.size = 0;
        if (sp__h2_send(caller->h2, &caller->out, READ_BYTES, NULL) < 0 ||
            caller->out.size == 0) {
            break;
        }
        for (size_t at = 0; at < caller->out.size;) {
            ssize_t n = send(caller->fd, caller->out.data + at, caller->out.size - at,
                             MSG_NOSIGNAL);
            if (n < 0 && errno != EINTR) {
                caller->mute = 1;
                return;
            }
            at += n > 0 ? (size_t)n : 0;
        }
    }
}

int caller_turn(struct caller *caller, int wait_ms)
{
    write_out(caller);
    struct pollfd ready = {.fd = caller->fd, .events = POLLIN};
    if (poll(&ready, 1, wait_ms) > 0) {
        ssize_t n = recv(caller->fd, caller->bytes, sizeof caller->bytes, MSG_DONTWAIT);
        if (n > 0) {
            if (sp__h2_receive(caller->h2, caller->bytes, (size_t)n, NULL) < 0) {
                caller->over = 1;
            }
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            caller->over = 1;
        }
    }
    write_out(caller);
    return !caller->over;
}

/* ---- asking ---- */

static size_t put_headers(const struct wish *wish, struct h2_header headers[8])
{
    size_t count = 0;
    for (size_t i = 0; wish->metadata != NULL && wish->metadata[i] != NULL; i += 2) {
        headers[count++] =
            (struct h2_header){.name = wish->metadata[i],
                               .name_size = strlen(wish->metadata[i]),
                               .value = wish->metadata[i + 1],
                               .value_size = strlen(wish->metadata[i + 1])};
    }
    return count;
}

static void put_message(struct sp_buffer *out, const struct wish *wish, int is_health)
{
    if (wish->raw != NULL) {
        assert_int_equal(sp__buf_append(out, wish->raw, wish->raw_size, NULL), SP_OK);
    } else if (is_health) {
        char head[2] = {0x0a, (char)strlen(wish->service != NULL ? wish->service : "")};
        if (head[1] > 0) {
            assert_int_equal(sp__buf_append(out, head, 2, NULL), SP_OK);
            assert_int_equal(
                sp__buf_append(out, wish->service, strlen(wish->service), NULL), SP_OK);
        }
    } else {
        struct proto_request request = {
            .tool_name = sp_text(wish->tool),
            .session_id = sp_text(wish->session),
            .args_json = sp_text(wish->args != NULL ? wish->args : "{}")};
        /* As stock clients send them. */
        assert_int_equal(sp__proto_put_request(out, &request, 1, NULL), SP_OK);
    }
}

struct asked *caller_ask(struct caller *caller, const struct wish *wish)
{
    struct h2_header headers[8];
    struct sp_buffer message;
    struct h2_stream *stream;
    struct rpc *rpc = calloc(1, sizeof *rpc);
    assert_non_null(rpc);
    const char *path = wish->path != NULL ? wish->path : SP__PATH_EXECUTE;
    rpc->is_stream = strcmp(path, SP__PATH_STREAM) == 0;
    rpc->is_health = strncmp(path, "/grpc.health", 12) == 0;
    rpc->held = wish->hold;
    rpc->asked.status = -1;
    sp__list_append(&caller->rpcs, &rpc->on_caller);
    sp__buf_init(&message, SIZE_MAX / 2);
    if (!wish->no_message) {
        put_message(&message, wish, rpc->is_health);
        if (message.data == NULL) {
            assert_int_equal(sp__buf_reserve(&message, 1, NULL), SP_OK);
        }
    }
    int rc = sp__h2_open(
        caller->h2, path, wish->timeout_ms == 0 ? SP_UNLIMITED : wish->timeout_ms,
        headers, put_headers(wish, headers), (sp_bytes){message.data, message.size},
        !wish->half_open, rpc, &stream, NULL);
    sp__buf_fini(&message);
    if (rc < 0) {
        rpc->asked.ended = 1;
        return &rpc->asked;
    }
    if (wish->hold) {
        sp__h2_hold(stream);
    }
    rpc->asked.stream = stream;
    write_out(caller);
    return &rpc->asked;
}

void caller_reset(struct caller *caller, struct asked *asked)
{
    if (asked->stream != NULL) {
        sp__h2_reset(asked->stream, 8);
        write_out(caller);
    }
}

void caller_take(struct caller *caller, struct asked *asked, size_t bytes)
{
    if (asked->stream != NULL) {
        sp__h2_grant(asked->stream, bytes);
        write_out(caller);
    }
}

void caller_forget(struct caller *caller, struct asked *asked)
{
    struct rpc *rpc = ITEM(asked, struct rpc, asked);
    assert_true(asked->ended);
    sp__list_remove(&rpc->on_caller);
    free(rpc);
}

/* ---- waiting ---- */

static void until(struct caller *caller, int (*is_so)(const void *, size_t),
                  const void *what, size_t count, const char *name)
{
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while (!is_so(what, count)) {
        if (!caller_turn(caller, 50) && !is_so(what, count)) {
            return;
        }
        if (leak_now_ms() > end_ms) {
            fail_msg("never came: %s", name);
        }
    }
}

static int has_ended(const void *what, size_t count)
{
    return ((const struct asked *)what)->ended;
}

static int has_messages(const void *what, size_t count)
{
    const struct asked *asked = what;
    return asked->messages >= count || asked->ended;
}

static int is_over(const void *what, size_t count)
{
    return ((const struct caller *)what)->over;
}

void caller_await(struct caller *caller, struct asked *asked)
{
    until(caller, has_ended, asked, 0, "the end of an rpc");
}

void caller_await_messages(struct caller *caller, struct asked *asked, size_t count)
{
    until(caller, has_messages, asked, count, "a message");
}

void caller_await_close(struct caller *caller)
{
    until(caller, is_over, caller, 0, "the end of a connection");
}

struct asked caller_once(const char *path, const struct wish *wish)
{
    struct caller *caller = caller_open(path);
    assert_non_null(caller);
    struct asked *asked = caller_ask(caller, wish);
    caller_await(caller, asked);
    struct asked copy = *asked;
    caller_close(caller);
    return copy;
}
