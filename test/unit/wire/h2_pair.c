/* SPDX-License-Identifier: MIT */
/*
 * The joined pair: carries bytes from each connection to the other and writes down what
 * the callbacks say. An error of either side is kept in `broken` and ends the carrying;
 * tests that expect none assert on it.
 */
#include "h2_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void keep_headers(char *to, size_t room, const struct h2_header *headers,
                         size_t count)
{
    to[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(to);
        snprintf(to + used, room - used, "%.*s=%.*s;", (int)headers[i].name_size,
                 headers[i].name, (int)headers[i].value_size, headers[i].value);
    }
}

static void keep_message(struct heard *heard, const uint8_t *data, size_t size)
{
    heard->messages++;
    heard->bytes += size;
    heard->last.size = 0;
    heard->lost |= sp__buf_append(&heard->last, data, size, NULL) < 0;
}

static void keep_end(struct heard *heard, const struct h2_status *status)
{
    heard->ends++;
    heard->stream = NULL;
    heard->grpc_status = status->grpc_status;
    heard->rst_code = status->rst_code;
    heard->refused = status->refused;
    snprintf(heard->message, sizeof heard->message, "%s", status->message);
    assert_true(status->details_size <= sizeof heard->details);
    if (status->details_size > 0) {
        memcpy(heard->details, status->details, status->details_size);
    }
    heard->details_size = status->details_size;
    keep_headers(heard->trailers, sizeof heard->trailers, status->trailers,
                 status->trailers_count);
}

static void init_heard(struct heard *heard, struct pair *pair, struct h2_stream *stream)
{
    memset(heard, 0, sizeof *heard);
    heard->pair = pair;
    heard->stream = stream;
    sp__buf_init(&heard->last, SIZE_MAX / 2);
}

static int request_cb(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    struct pair *pair = user;
    assert_true(pair->server_count < HEARD_MAX);
    struct heard *heard = &pair->at_server[pair->server_count++];
    init_heard(heard, pair, stream);
    assert_true(request->path_size < sizeof heard->path);
    memcpy(heard->path, request->path, request->path_size + 1);
    heard->timeout_ms = request->timeout_ms;
    keep_headers(heard->headers, sizeof heard->headers, request->headers,
                 request->headers_count);
    heard->requests++;
    sp__h2_stream_set_user(stream, heard);
    int status = pair->on_request != NULL ? pair->on_request(heard) : 0;
    heard->is_refused = status != 0;
    return status;
}

static struct heard *heard_of(struct h2_stream *stream)
{
    struct heard *heard = sp__h2_stream_user(stream);
    assert_non_null(heard);
    assert_int_equal(heard->ends, 0);
    return heard;
}

static void headers_cb(void *user, struct h2_stream *stream)
{
    heard_of(stream)->headers_came++;
}

static void server_message_cb(void *user, struct h2_stream *stream, const uint8_t *data,
                              size_t size)
{
    struct heard *heard = heard_of(stream);
    keep_message(heard, data, size);
    if (heard->pair->on_server_message != NULL) {
        heard->pair->on_server_message(heard, data, size);
    }
}

static void client_message_cb(void *user, struct h2_stream *stream, const uint8_t *data,
                              size_t size)
{
    struct heard *heard = heard_of(stream);
    keep_message(heard, data, size);
    if (heard->pair->on_client_message != NULL) {
        heard->pair->on_client_message(heard, data, size);
    }
}

static void half_close_cb(void *user, struct h2_stream *stream)
{
    struct heard *heard = heard_of(stream);
    heard->half_closes++;
    if (heard->pair->on_half_close != NULL) {
        heard->pair->on_half_close(heard);
    }
}

static void server_end_cb(void *user, struct h2_stream *stream,
                          const struct h2_status *status)
{
    keep_end(heard_of(stream), status);
}

static void client_end_cb(void *user, struct h2_stream *stream,
                          const struct h2_status *status)
{
    struct heard *heard = heard_of(stream);
    keep_end(heard, status);
    if (heard->pair->on_client_end != NULL) {
        heard->pair->on_client_end(heard);
    }
}

static void drained_cb(void *user, struct h2_stream *stream)
{
    struct heard *heard = heard_of(stream);
    heard->drained++;
    if (heard->pair->on_drained != NULL) {
        heard->pair->on_drained(heard);
    }
}

static void pong_cb(void *user, uint64_t opaque)
{
    struct pair *pair = user;
    pair->pongs++;
    pair->pong = opaque;
}

static void goaway_cb(void *user, uint32_t code)
{
    struct pair *pair = user;
    pair->goaways++;
    pair->goaway_code = code;
}

struct pair *pair_new(const struct h2_options *client, const struct h2_options *server)
{
    static const struct h2_options trusted = {.trusted = 1};
    static const struct h2_events client_events = {
        .on_headers = headers_cb,
        .on_message = client_message_cb,
        .on_end = client_end_cb,
        .on_drained = drained_cb,
        .on_pong = pong_cb,
        .on_goaway = goaway_cb,
    };
    static const struct h2_events server_events = {
        .on_request = request_cb,
        .on_message = server_message_cb,
        .on_half_close = half_close_cb,
        .on_end = server_end_cb,
        .on_drained = drained_cb,
        .on_pong = pong_cb,
        .on_goaway = goaway_cb,
    };
    struct pair *pair = calloc(1, sizeof *pair);
    assert_non_null(pair);
    client = client != NULL ? client : &trusted;
    server = server != NULL ? server : &trusted;
    if (sp__h2_new(H2_CLIENT, client, &client_events, pair, &pair->client, NULL) < 0 ||
        sp__h2_new(H2_SERVER, server, &server_events, pair, &pair->server, NULL) < 0) {
        pair_free(pair);
        return NULL;
    }
    return pair;
}

void pair_free(struct pair *pair)
{
    if (pair == NULL) {
        return;
    }
    sp__h2_free(pair->client);
    sp__h2_free(pair->server);
    for (unsigned i = 0; i < pair->client_count; i++) {
        assert_int_equal(pair->at_client[i].ends, 1); /* exactly once, whatever came */
        sp__buf_fini(&pair->at_client[i].last);
    }
    for (unsigned i = 0; i < pair->server_count; i++) {
        assert_true(pair->at_server[i].ends == 1 || pair->at_server[i].is_refused);
        sp__buf_fini(&pair->at_server[i].last);
    }
    free(pair);
}

static size_t carry(struct pair *pair, struct h2 *from, struct h2 *to)
{
    struct sp_buffer bytes;
    size_t total = 0;
    int more = 1;
    sp__buf_init(&bytes, SIZE_MAX / 2);
    while (more > 0 && pair->broken == 0) {
        bytes.size = 0;
        more = sp__h2_send(from, &bytes, 64 * 1024, NULL);
        if (more < 0) {
            pair->broken = more;
        }
        total += bytes.size;
        if (bytes.size == 0) {
            break;
        }
        size_t step = pair->step == 0 ? bytes.size : pair->step;
        for (size_t at = 0; at < bytes.size; at += step) {
            size_t n = bytes.size - at < step ? bytes.size - at : step;
            int rc = sp__h2_receive(to, bytes.data + at, n, NULL);
            if (rc < 0) {
                pair->broken = rc;
                break;
            }
        }
    }
    sp__buf_fini(&bytes);
    return total;
}

size_t pair_client_to_server(struct pair *pair)
{
    size_t n = carry(pair, pair->client, pair->server);
    pair->to_server += n;
    return n;
}

size_t pair_server_to_client(struct pair *pair)
{
    size_t n = carry(pair, pair->server, pair->client);
    pair->to_client += n;
    return n;
}

void pair_run(struct pair *pair)
{
    while (pair->broken == 0 &&
           pair_client_to_server(pair) + pair_server_to_client(pair) > 0) {
    }
}

struct heard *pair_open(struct pair *pair, const char *text, int half_close)
{
    return pair_begin(pair, sp_text(text), half_close);
}

struct heard *pair_begin(struct pair *pair, sp_bytes message, int half_close)
{
    assert_true(pair->client_count < HEARD_MAX);
    struct heard *heard = &pair->at_client[pair->client_count];
    init_heard(heard, pair, NULL);
    int rc = sp__h2_open(pair->client, "/test/Call", SP_UNLIMITED, NULL, 0, message,
                         half_close, heard, &heard->stream, NULL);
    if (rc < 0) {
        return NULL;
    }
    pair->client_count++;
    return heard;
}

void pair_echo(struct heard *heard, const uint8_t *data, size_t size)
{
    assert_int_equal(
        sp__h2_write(heard->stream, (sp_bytes){.data = data, .size = size}, NULL),
        SP_OK);
}

void pair_finish(struct heard *heard)
{
    assert_int_equal(
        sp__h2_finish(heard->stream, 0, NULL, (sp_bytes){0}, NULL, 0, NULL), SP_OK);
}

struct pair *pair_echoing(const struct h2_options *client,
                          const struct h2_options *server)
{
    struct pair *pair = pair_new(client, server);
    assert_non_null(pair);
    pair->on_server_message = pair_echo;
    pair->on_half_close = pair_finish;
    return pair;
}

void heard_assert_ok(const struct heard *heard, const char *text)
{
    assert_int_equal(heard->ends, 1);
    assert_int_equal(heard->grpc_status, 0);
    assert_int_equal(heard->rst_code, 0);
    assert_int_equal(heard->refused, 0);
    assert_int_equal(heard->messages, 1);
    assert_int_equal(heard->last.size, strlen(text));
    assert_memory_equal(heard->last.data, text, strlen(text));
}
