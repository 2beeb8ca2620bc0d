/* SPDX-License-Identifier: MIT */
/*
 * A server as an enemy plays it, against a client with a few calls of each kind open.
 * Whatever comes, each call ends exactly once and no memory is left.
 */
#include "h2_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS = 6 };

struct call {
    int open;
    int over;
};

static struct call calls[CALLS + 1];

static struct call *call_of(struct h2_stream *stream)
{
    struct call *call = sp__h2_stream_user(stream);
    CHECK(call->open && !call->over);
    return call;
}

static void on_headers(void *user, struct h2_stream *stream)
{
    (void)call_of(stream);
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    size_t n = (size_t)(call_of(stream) - calls);
    const sp_bytes bytes = {.data = data, .size = size};
    if (n % 3 == 1) {
        (void)sp__h2_write(stream, bytes, NULL);
        sp__h2_grant(stream, 5 + size);
    } else if (n % 3 == 2) {
        sp__h2_reset(stream, 8);
    }
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    struct h2 *h2 = sp__h2_of(stream);
    call_of(stream)->over = 1;
    size_t sum = strlen(status->message) + status->details_size;
    for (size_t i = 0; i < status->trailers_count; i++) {
        sum += status->trailers[i].value_size;
    }
    CHECK(status->grpc_status >= -1 && sum < 1000000);
    if (!calls[CALLS].open) {
        struct h2_stream *next;
        calls[CALLS].open = 1;
        if (sp__h2_open(h2, "/again", 5, NULL, 0, sp_text("again"), 1, &calls[CALLS],
                        &next, NULL) < 0) {
            calls[CALLS].over = 1;
        }
    }
}

static void open_calls(struct h2 *h2)
{
    static const struct h2_header headers[] = {{"k-bin", 5, "\x01", 1}};
    for (size_t i = 0; i < CALLS; i++) {
        struct h2_stream *stream;
        calls[i].open = 1;
        CHECK(sp__h2_open(h2, "/path", i % 2 ? 1000 : SP_UNLIMITED, headers, i % 2,
                          sp_text("hello"), i < CALLS / 2, &calls[i], &stream,
                          NULL) == SP_OK);
        if (i == 1) {
            sp__h2_hold(stream);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h2_events events = {
        .on_headers = on_headers, .on_message = on_message, .on_end = on_end};
    if (size < HEAD) {
        return 0;
    }
    int64_t live = sp__mem_live();
    memset(calls, 0, sizeof calls);
    const struct h2_options options = {.trusted = data[0] & FLAG_TRUSTED,
                                       .message_max = 1000,
                                       .stream_window = 2000,
                                       .high_water = 100};
    struct h2 *h2;
    struct sp_buffer bytes;
    struct sp_buffer out;
    sp__buf_init(&bytes, SIZE_MAX / 2);
    sp__buf_init(&out, SIZE_MAX / 2);
    make_bytes(&bytes, H2_SERVER, data, size);
    CHECK(sp__h2_new(H2_CLIENT, &options, &events, NULL, &h2, NULL) == SP_OK);
    open_calls(h2);
    CHECK(sp__h2_send(h2, &out, SIZE_MAX, NULL) >= 0);
    feed(h2, &bytes, data[1]);
    sp__h2_free(h2);
    for (size_t i = 0; i <= CALLS; i++) {
        CHECK(calls[i].open == calls[i].over);
    }
    sp__buf_fini(&bytes);
    sp__buf_fini(&out);
    CHECK(sp__mem_live() == live);
    return 0;
}
