/* SPDX-License-Identifier: MIT */
/*
 * Peers that are not ours: frames made by hand against a server and a client that trust
 * nobody. What stock gRPC would send, what a web server would answer, and what somebody
 * sends who means harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/mem.h"
#include "h2_pair.h"
#include "leak.h"

/* ---- frames by hand ---- */

static struct sp_buffer new_buffer(void)
{
    struct sp_buffer buf;
    sp__buf_init(&buf, SIZE_MAX / 2);
    return buf;
}

static void put(struct sp_buffer *to, const void *data, size_t size)
{
    assert_int_equal(sp__buf_append(to, data, size, NULL), SP_OK);
}

static void put_frame(struct sp_buffer *to, int type, int flags, uint32_t id,
                      const void *payload, size_t size)
{
    uint8_t head[9] = {(uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,
                       (uint8_t)type,         (uint8_t)flags,       (uint8_t)(id >> 24),
                       (uint8_t)(id >> 16),   (uint8_t)(id >> 8),   (uint8_t)id};
    put(to, head, sizeof head);
    put(to, payload, size);
}

/* A literal field without indexing (RFC 7541 section 6.2.2), values up to 126 bytes. */
static void put_field(struct sp_buffer *to, const char *name, const char *value)
{
    uint8_t n = (uint8_t)strlen(name);
    uint8_t v = (uint8_t)strlen(value);
    put(to, "\0", 1);
    put(to, &n, 1);
    put(to, name, n);
    put(to, &v, 1);
    put(to, value, v);
}

static void put_headers(struct sp_buffer *to, uint32_t id, int flags,
                        const char *const *fields)
{
    struct sp_buffer block = new_buffer();
    for (size_t i = 0; fields[i] != NULL; i += 2) {
        put_field(&block, fields[i], fields[i + 1]);
    }
    put_frame(to, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, id, block.data,
              block.size);
    sp__buf_fini(&block);
}

static void put_preface(struct sp_buffer *to)
{
    put(to, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    put_frame(to, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

static const char *const good_request[] = {":method",
                                           "POST",
                                           ":scheme",
                                           "http",
                                           ":path",
                                           "/a.B/C",
                                           ":authority",
                                           "localhost",
                                           "te",
                                           "trailers",
                                           "content-type",
                                           "application/grpc+proto",
                                           "user-agent",
                                           "grpc-python/1.51.1",
                                           "grpc-accept-encoding",
                                           "identity, deflate, gzip",
                                           "grpc-timeout",
                                           "5S",
                                           "x-mine",
                                           "yes",
                                           NULL};

/* ---- a server and a stranger ---- */

struct scene {
    struct pair *pair;
    struct sp_buffer bytes; /* what the stranger says next */
    struct sp_buffer reply; /* what it got */
};

static const struct h2_options nobody = {.trusted = 0};

static struct scene begin(void)
{
    struct scene scene = {.pair = pair_new(&nobody, &nobody),
                          .bytes = new_buffer(),
                          .reply = new_buffer()};
    return scene;
}

static int say(struct scene *scene, struct h2 *to)
{
    int rc = sp__h2_receive(to, scene->bytes.data, scene->bytes.size, NULL);
    scene->bytes.size = 0;
    int more = 1;
    while (more > 0) {
        more = sp__h2_send(to, &scene->reply, 64 * 1024, NULL);
    }
    return rc < 0 ? rc : more;
}

static void end(struct scene *scene)
{
    sp__buf_fini(&scene->bytes);
    sp__buf_fini(&scene->reply);
    pair_free(scene->pair);
}

/* The n-th frame of a type in the reply: its flags, id and payload. */
static int find_frame(const struct scene *scene, int type, unsigned nth,
                      const uint8_t **ret_payload, size_t *ret_size, uint32_t *ret_id)
{
    const uint8_t *p = scene->reply.data;
    const uint8_t *stop = p + scene->reply.size;
    while (stop - p >= 9) {
        size_t size = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
        if (p[3] == type && nth-- == 0) {
            *ret_payload = p + 9;
            *ret_size = size;
            *ret_id = (uint32_t)(p[5] << 24 | p[6] << 16 | p[7] << 8 | p[8]);
            return p[4];
        }
        p += 9 + size;
    }
    return -1;
}

/* The error code of the GOAWAY it got, or -1. */
static int goaway_code(const struct scene *scene)
{
    const uint8_t *payload;
    size_t size;
    uint32_t id;
    if (find_frame(scene, NGHTTP2_GOAWAY, 0, &payload, &size, &id) < 0) {
        return -1;
    }
    return payload[7];
}

/* A header block in the reply, decoded: "name=value;" */
static void decode(const struct scene *scene, char *text, size_t room)
{
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    text[0] = '\0';
    const uint8_t *in;
    size_t left;
    uint32_t id;
    for (unsigned i = 0; find_frame(scene, NGHTTP2_HEADERS, i, &in, &left, &id) >= 0;
         i++) {
        for (;;) {
            nghttp2_nv nv;
            int flags = 0;
            ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, in, left, 1);
            assert_true(n >= 0);
            in += n;
            left -= (size_t)n;
            if (flags & NGHTTP2_HD_INFLATE_EMIT) {
                size_t used = strlen(text);
                snprintf(text + used, room - used, "%s=%s;", nv.name, nv.value);
            }
            if (flags & NGHTTP2_HD_INFLATE_FINAL) {
                nghttp2_hd_inflate_end_headers(inflater);
                break;
            }
        }
    }
    nghttp2_hd_inflate_del(inflater);
}

static void a_stock_request_is_taken(void **state)
{
    static const uint8_t message[] = {0, 0, 0, 0, 2, 'h', 'i'};
    struct scene scene = begin();
    scene.pair->on_server_message = pair_echo;
    scene.pair->on_half_close = pair_finish;
    put_preface(&scene.bytes);
    put_headers(&scene.bytes, 1, 0, good_request);
    put_frame(&scene.bytes, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, message, 7);
    assert_int_equal(say(&scene, scene.pair->server), 0);
    const struct heard *heard = &scene.pair->at_server[0];
    assert_string_equal(heard->path, "/a.B/C");
    assert_string_equal(heard->headers, "x-mine=yes;");
    assert_int_equal(heard->timeout_ms, 5000);
    assert_int_equal(heard->ends, 1);
    char text[500];
    decode(&scene, text, sizeof text);
    assert_string_equal(text,
                        ":status=200;content-type=application/grpc;grpc-status=0;");
    const uint8_t *payload;
    size_t size;
    uint32_t id;
    assert_int_equal(find_frame(&scene, NGHTTP2_DATA, 0, &payload, &size, &id), 0);
    assert_int_equal(size, 7);
    assert_memory_equal(payload, message, 7);
    assert_int_equal(find_frame(&scene, NGHTTP2_DATA, 1, &payload, &size, &id), -1);
    end(&scene);
}

static void a_status_without_messages_is_one_header_block(void **state)
{
    struct scene scene = begin();
    scene.pair->on_half_close = pair_finish;
    put_preface(&scene.bytes);
    put_headers(&scene.bytes, 1, NGHTTP2_FLAG_END_STREAM, good_request);
    assert_int_equal(say(&scene, scene.pair->server), 0);
    const uint8_t *payload;
    size_t size;
    uint32_t id;
    int flags = find_frame(&scene, NGHTTP2_HEADERS, 0, &payload, &size, &id);
    assert_true(flags & NGHTTP2_FLAG_END_STREAM);
    assert_int_equal(find_frame(&scene, NGHTTP2_HEADERS, 1, &payload, &size, &id), -1);
    assert_int_equal(find_frame(&scene, NGHTTP2_DATA, 0, &payload, &size, &id), -1);
    end(&scene);
}

static void a_stream_that_ends_later_sends_no_empty_frame(void **state)
{
    struct scene scene = begin();
    put_preface(&scene.bytes);
    put_headers(&scene.bytes, 1, NGHTTP2_FLAG_END_STREAM, good_request);
    assert_int_equal(say(&scene, scene.pair->server), 0);
    struct heard *heard = &scene.pair->at_server[0];
    pair_echo(heard, (const uint8_t *)"x", 1);
    assert_int_equal(say(&scene, scene.pair->server), 0);
    scene.reply.size = 0;
    pair_finish(heard);
    assert_int_equal(say(&scene, scene.pair->server), 0);
    const uint8_t *payload;
    size_t size;
    uint32_t id;
    assert_int_equal(find_frame(&scene, NGHTTP2_DATA, 0, &payload, &size, &id), -1);
    assert_true(find_frame(&scene, NGHTTP2_HEADERS, 0, &payload, &size, &id) >= 0);
    end(&scene);
}

static void what_is_not_grpc_gets_an_http_status(void **state)
{
    static const char *const rows[][13] = {
        {"405", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "x"},
        {"415", ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x"},
        {"415", ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x",
         "content-type", "text/html"},
        {"415", ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "x",
         "content-type", "application/grpcish"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int whole = 0; whole < 2; whole++) {
            struct scene scene = begin();
            put_preface(&scene.bytes);
            put_headers(&scene.bytes, 1, whole ? NGHTTP2_FLAG_END_STREAM : 0,
                        &rows[i][1]);
            assert_int_equal(say(&scene, scene.pair->server), 0);
            char text[500];
            char want[500];
            decode(&scene, text, sizeof text);
            snprintf(want, sizeof want, ":status=%s;", rows[i][0]);
            assert_string_equal(text, want);
            assert_int_equal(scene.pair->server_count, 0);
            assert_int_equal(sp__h2_streams(scene.pair->server), 0);
            end(&scene);
        }
    }
}

static void a_malformed_deadline_is_refused(void **state)
{
    static const char *const request[] = {
        ":method",      "POST",       ":scheme", "http",         ":path",
        "/a.B/C",       ":authority", "x",       "content-type", "application/grpc",
        "grpc-timeout", "soon",       NULL};
    struct scene scene = begin();
    put_preface(&scene.bytes);
    put_headers(&scene.bytes, 1, NGHTTP2_FLAG_END_STREAM, request);
    assert_int_equal(say(&scene, scene.pair->server), 0);
    char text[500];
    decode(&scene, text, sizeof text);
    assert_non_null(strstr(text, "grpc-status=13;"));
    assert_int_equal(scene.pair->server_count, 0);
    end(&scene);
}

static void a_peer_that_does_not_speak_http2_is_found_out(void **state)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01\x01\x01\xfc\x03\x03 a TLS client, say",
        "Traceback (most recent call last):\n  File \"x.py\", line 1\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene = begin();
        put(&scene.bytes, rows[i], strlen(rows[i]));
        assert_int_equal(say(&scene, scene.pair->server), SP_ERR_PROTOCOL);
        assert_int_equal(
            sp__h2_receive(scene.pair->server, (const uint8_t *)"x", 1, NULL),
            SP_ERR_PROTOCOL);
        put(&scene.bytes, rows[i], strlen(rows[i]));
        assert_int_equal(say(&scene, scene.pair->client), SP_ERR_PROTOCOL);
        end(&scene);
    }
}

static void violations_end_the_connection_with_a_goaway(void **state)
{
    enum { FRAME_MAX = 16384 };
    static uint8_t zeros[FRAME_MAX + 1];
    static const struct {
        int type, flags;
        uint32_t id;
        size_t size;
        int code;
    } rows[] = {
        {NGHTTP2_PING, 0, 0, FRAME_MAX + 1, NGHTTP2_FRAME_SIZE_ERROR},
        {NGHTTP2_PING, 0, 0, 7, NGHTTP2_FRAME_SIZE_ERROR},
        {NGHTTP2_PING, 0, 1, 8, NGHTTP2_PROTOCOL_ERROR},
        {NGHTTP2_SETTINGS, 0, 0, 5, NGHTTP2_FRAME_SIZE_ERROR},
        {NGHTTP2_DATA, 0, 0, 5, NGHTTP2_PROTOCOL_ERROR},
        {NGHTTP2_DATA, 0, 1, 5, NGHTTP2_PROTOCOL_ERROR},    /* idle stream */
        {NGHTTP2_HEADERS, 4, 2, 0, NGHTTP2_PROTOCOL_ERROR}, /* even id */
        {NGHTTP2_HEADERS, 4, 1, 4, NGHTTP2_COMPRESSION_ERROR},
        {NGHTTP2_WINDOW_UPDATE, 0, 0, 4, NGHTTP2_PROTOCOL_ERROR}, /* increment 0 */
        {NGHTTP2_CONTINUATION, 4, 1, 0, NGHTTP2_PROTOCOL_ERROR},
        {NGHTTP2_PUSH_PROMISE, 4, 1, 4, NGHTTP2_PROTOCOL_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene = begin();
        put_preface(&scene.bytes);
        put_frame(&scene.bytes, rows[i].type, rows[i].flags, rows[i].id, zeros,
                  rows[i].size);
        assert_int_equal(say(&scene, scene.pair->server), SP_ERR_PROTOCOL);
        assert_int_equal(goaway_code(&scene), rows[i].code);
        assert_true(sp__h2_is_done(scene.pair->server));
        assert_int_equal(say(&scene, scene.pair->server), SP_ERR_PROTOCOL);
        end(&scene);
    }
}

/* ---- floods ---- */

static void a_flood_of_control_frames_is_calmed(void **state)
{
    static const struct {
        int type, flags;
        size_t size;
    } rows[] = {
        {NGHTTP2_PING, 0, 8},     {NGHTTP2_PING, 1, 8}, {NGHTTP2_SETTINGS, 0, 0},
        {NGHTTP2_PRIORITY, 0, 5}, {NGHTTP2_DATA, 0, 0}, {NGHTTP2_WINDOW_UPDATE, 0, 4},
    };
    static const uint8_t ones[8] = {0, 0, 0, 1, 1, 0, 0, 0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene = begin();
        put_preface(&scene.bytes);
        put_headers(&scene.bytes, 1, 0, good_request);
        assert_int_equal(say(&scene, scene.pair->server), 0);
        int rc = 0;
        unsigned frames = 0;
        uint32_t id = rows[i].type == NGHTTP2_PRIORITY ? 3
                      : rows[i].type == NGHTTP2_DATA   ? 1
                                                       : 0;
        while (rc == 0 && frames < 10000) {
            for (int k = 0; k < 200; k++, frames++) {
                put_frame(&scene.bytes, rows[i].type, rows[i].flags, id, ones,
                          rows[i].size);
            }
            rc = say(&scene, scene.pair->server);
        }
        if (rc != SP_ERR_PROTOCOL) {
            fail_msg("frame type %d was taken for ever", rows[i].type);
        }
        assert_int_equal(goaway_code(&scene), NGHTTP2_ENHANCE_YOUR_CALM);
        assert_true(frames <= 3000);
        end(&scene);
    }
}

static void a_quiet_peer_may_ping_for_ever(void **state)
{
    static const uint8_t opaque[8];
    struct scene scene = begin();
    put_preface(&scene.bytes);
    for (int i = 0; i < 20000; i++) {
        put_frame(&scene.bytes, NGHTTP2_PING, 0, 0, opaque, 8);
        assert_int_equal(say(&scene, scene.pair->server), 0);
        scene.reply.size = 0;
    }
    end(&scene);
}

static void rapid_resets_are_calmed(void **state)
{
    static const uint8_t cancel[4] = {0, 0, 0, 8};
    struct scene scene = begin();
    put_preface(&scene.bytes);
    int rc = 0;
    uint32_t id = 1;
    while (rc == 0 && id < 10000) {
        put_headers(&scene.bytes, id, NGHTTP2_FLAG_END_STREAM, good_request);
        put_frame(&scene.bytes, NGHTTP2_RST_STREAM, 0, id, cancel, 4);
        rc = say(&scene, scene.pair->server);
        id += 2;
    }
    assert_int_equal(rc, SP_ERR_PROTOCOL);
    assert_true(id <= 2 * 300);
    end(&scene);
}

static void streams_over_the_limit_are_refused(void **state)
{
    struct scene scene = begin();
    put_preface(&scene.bytes);
    put_frame(&scene.bytes, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    assert_int_equal(say(&scene, scene.pair->server), 0);
    put_frame(&scene.bytes, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    scene.bytes.size = 0;
    for (uint32_t i = 0; i < 129; i++) {
        put_headers(&scene.bytes, 2 * i + 1, NGHTTP2_FLAG_END_STREAM, good_request);
    }
    (void)say(&scene, scene.pair->server);
    assert_int_equal(scene.pair->server_count, 128);
    end(&scene);
}

static void an_endless_header_block_is_cut_off(void **state)
{
    struct scene scene = begin();
    put_preface(&scene.bytes);
    put_frame(&scene.bytes, NGHTTP2_HEADERS, 0, 1, NULL, 0);
    int rc = 0;
    int frames = 0;
    for (; rc == 0 && frames < 100; frames++) {
        struct sp_buffer block = new_buffer();
        put_field(&block, "name", "value");
        put_frame(&scene.bytes, NGHTTP2_CONTINUATION, 0, 1, block.data, block.size);
        sp__buf_fini(&block);
        rc = say(&scene, scene.pair->server);
    }
    assert_int_equal(rc, SP_ERR_PROTOCOL);
    assert_true(frames <= 10);
    end(&scene);
}

static void a_header_list_over_the_limit_is_refused_while_it_comes(void **state)
{
    /* One indexed field repeated: a few bytes on the wire, 16 KiB decoded. */
    struct scene scene = begin();
    struct sp_buffer block = new_buffer();
    for (size_t i = 0; good_request[i] != NULL; i += 2) {
        put_field(&block, good_request[i], good_request[i + 1]);
    }
    char value[101];
    memset(value, 'v', 100);
    value[100] = '\0';
    size_t at = block.size;
    put_field(&block, "bomb", value);
    block.data[at] = 0x40; /* with indexing: entry 62 */
    for (int i = 0; i < 5000; i++) {
        put(&block, "\xbe", 1);
    }
    put_preface(&scene.bytes);
    put_frame(&scene.bytes, NGHTTP2_HEADERS,
              NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block.data,
              block.size);
    sp__buf_fini(&block);
    int64_t before = sp__mem_live();
    assert_int_equal(say(&scene, scene.pair->server), 0);
    assert_true(sp__mem_live() - before < 100);
    char text[500];
    decode(&scene, text, sizeof text);
    assert_non_null(strstr(text, "grpc-status=8;"));
    assert_int_equal(scene.pair->server_count, 0);
    end(&scene);
}

/* ---- a client and a strange server ---- */

struct answer {
    const char *fields[9];
    int end;          /* END_STREAM on the headers */
    const char *body; /* or NULL */
    int body_end;
    const char *trailers[7];
};

static struct heard *ask(struct scene *scene, const struct answer *answer)
{
    struct heard *call = pair_open(scene->pair, "x", 1);
    put_frame(&scene->bytes, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_int_equal(say(scene, scene->pair->client), 0);
    put_headers(&scene->bytes, 1, answer->end ? NGHTTP2_FLAG_END_STREAM : 0,
                answer->fields);
    if (answer->body != NULL) {
        put_frame(&scene->bytes, NGHTTP2_DATA,
                  answer->body_end ? NGHTTP2_FLAG_END_STREAM : 0, 1, answer->body,
                  strlen(answer->body));
    }
    if (answer->trailers[0] != NULL) {
        put_headers(&scene->bytes, 1, NGHTTP2_FLAG_END_STREAM, answer->trailers);
    }
    assert_int_equal(say(scene, scene->pair->client), 0);
    return call;
}

static void answers_that_are_not_grpc_are_mapped(void **state)
{
    static const struct {
        struct answer answer;
        int status;
        const char *message;
    } rows[] = {
        {{.fields = {":status", "404", "content-type", "text/html"},
          .body = "<h1>no</h1>",
          .body_end = 1},
         12,
         "HTTP status 404"},
        {{.fields = {":status", "503"}, .end = 1}, 14, "HTTP status 503"},
        {{.fields = {":status", "401"}, .end = 1}, 16, "HTTP status 401"},
        {{.fields = {":status", "500", "grpc-status", "7", "grpc-message",
                     "own%20words"},
          .end = 1},
         7,
         "own words"},
        {{.fields = {":status", "200", "content-type", "text/html"},
          .body = "<h1>hi</h1>",
          .body_end = 1},
         2,
         "the peer's answer is not gRPC"},
        {{.fields = {":status", "200", "content-type", "application/grpc"},
          .trailers = {"grpc-status", "many"}},
         2,
         ""},
        {{.fields = {":status", "200", "content-type", "application/grpc"},
          .trailers = {"x-other", "1"}},
         -1,
         ""},
        {{.fields = {":status", "200", "content-type", "application/grpc"}, .end = 1},
         -1,
         ""},
        {{.fields = {":status", "200", "content-type", "application/grpc"},
          .trailers = {"grpc-status", "5", "grpc-message", "%e4%zz"}},
         5,
         "\xe4%zz"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene scene = begin();
        struct heard *call = ask(&scene, &rows[i].answer);
        assert_int_equal(call->ends, 1);
        assert_int_equal(call->grpc_status, rows[i].status);
        assert_string_equal(call->message, rows[i].message);
        assert_int_equal(call->messages, 0);
        end(&scene);
    }
}

static void an_interim_answer_is_passed_over(void **state)
{
    static const char *const interim[] = {":status", "103", "link", "x", NULL};
    static const struct answer answer = {
        .fields = {":status", "200", "content-type", "application/grpc"},
        .trailers = {"grpc-status", "0"}};
    struct scene scene = begin();
    struct heard *call = pair_open(scene.pair, "x", 1);
    put_frame(&scene.bytes, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_int_equal(say(&scene, scene.pair->client), 0);
    put_headers(&scene.bytes, 1, 0, interim);
    put_headers(&scene.bytes, 1, 0, answer.fields);
    assert_int_equal(say(&scene, scene.pair->client), 0);
    assert_int_equal(call->headers_came, 1);
    put_headers(&scene.bytes, 1, NGHTTP2_FLAG_END_STREAM, answer.trailers);
    assert_int_equal(say(&scene, scene.pair->client), 0);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->grpc_status, 0);
    end(&scene);
}

static void data_after_a_reset_is_thrown_away(void **state)
{
    static const char *const fields[] = {":status", "200", "content-type",
                                         "application/grpc", NULL};
    static const uint8_t message[] = {0, 0, 0, 0, 1, 'x'};
    struct scene scene = begin();
    struct heard *call = pair_open(scene.pair, "x", 1);
    put_frame(&scene.bytes, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    assert_int_equal(say(&scene, scene.pair->client), 0);
    sp__h2_reset(call->stream, NGHTTP2_CANCEL);
    put_headers(&scene.bytes, 1, 0, fields);
    put_frame(&scene.bytes, NGHTTP2_DATA, 0, 1, message, sizeof message);
    assert_int_equal(say(&scene, scene.pair->client), 0);
    put_frame(&scene.bytes, NGHTTP2_DATA, 0, 1, message, sizeof message);
    assert_int_equal(say(&scene, scene.pair->client), 0);
    assert_int_equal(call->messages, 0);
    assert_int_equal(call->headers_came, 0);
    assert_int_equal(call->ends, 1);
    assert_int_equal(call->rst_code, NGHTTP2_CANCEL);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stock_request_is_taken),
        TEST(a_status_without_messages_is_one_header_block),
        TEST(a_stream_that_ends_later_sends_no_empty_frame),
        TEST(what_is_not_grpc_gets_an_http_status),
        TEST(a_malformed_deadline_is_refused),
        TEST(a_peer_that_does_not_speak_http2_is_found_out),
        TEST(violations_end_the_connection_with_a_goaway),
        TEST(a_flood_of_control_frames_is_calmed),
        TEST(a_quiet_peer_may_ping_for_ever),
        TEST(rapid_resets_are_calmed),
        TEST(streams_over_the_limit_are_refused),
        TEST(an_endless_header_block_is_cut_off),
        TEST(a_header_list_over_the_limit_is_refused_while_it_comes),
        TEST(answers_that_are_not_grpc_are_mapped),
        TEST(an_interim_answer_is_passed_over),
        TEST(data_after_a_reset_is_thrown_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
