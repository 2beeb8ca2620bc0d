/* SPDX-License-Identifier: MIT */
/*
 * A client as an enemy plays it, against a server that does a bit of everything: what it
 * does with a stream depends on the stream's number. Whatever comes, a stream that was
 * accepted ends exactly once, nothing is told after its end, and no memory is left.
 */
#include "h2_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS_MAX = 256 };

static struct seen {
    int open;
    int over;
} seen[STREAMS_MAX];

static struct seen *seen_of(struct h2_stream *stream)
{
    struct seen *s = &seen[sp__h2_stream_id(stream) % STREAMS_MAX];
    CHECK(s->open && !s->over);
    return s;
}

static int on_request(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    CHECK(request->path[request->path_size] == '\0');
    size_t sum = 0;
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct h2_header *h = &request->headers[i];
        sum += strlen(h->name) + (h->value_size > 0 ? (size_t)h->value[0] : 0);
    }
    uint32_t id = sp__h2_stream_id(stream);
    if (id % 7 == 6 || sum == 12345) {
        return 12;
    }
    seen[id % STREAMS_MAX] = (struct seen){.open = 1};
    sp__h2_stream_set_user(stream,
                           &seen[id % STREAMS_MAX]); /* who is told of its end */
    if (id % 5 == 4) {
        sp__h2_hold(stream);
    }
    return 0;
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    (void)seen_of(stream);
    uint32_t id = sp__h2_stream_id(stream);
    const sp_bytes bytes = {.data = data, .size = size};
    if (id % 3 == 0) {
        sp__h2_reset(stream, 8);
    } else if (id % 3 == 1) {
        (void)sp__h2_write(stream, bytes, NULL);
        sp__h2_grant(stream, 5 + size);
    } else {
        (void)sp__h2_write(stream, bytes, NULL);
        (void)sp__h2_finish(stream, (int)size % 17, "d\xc3\xa4s", bytes, NULL, 0, NULL);
    }
}

static void on_half_close(void *user, struct h2_stream *stream)
{
    (void)seen_of(stream);
    (void)sp__h2_finish(stream, 0, NULL, (sp_bytes){0}, NULL, 0, NULL);
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    seen_of(stream)->over = 1;
    CHECK(status->message != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct h2_events events = {.on_request = on_request,
                                            .on_message = on_message,
                                            .on_half_close = on_half_close,
                                            .on_end = on_end};
    if (size < HEAD) {
        return 0;
    }
    int64_t live = sp__mem_live();
    memset(seen, 0, sizeof seen);
    const struct h2_options options = {.trusted = data[0] & FLAG_TRUSTED,
                                       .streams_max = 20,
                                       .message_max = 1000,
                                       .stream_window = 2000,
                                       .high_water = 100};
    struct h2 *h2;
    struct sp_buffer bytes;
    sp__buf_init(&bytes, SIZE_MAX / 2);
    make_bytes(&bytes, H2_CLIENT, data, size);
    CHECK(sp__h2_new(H2_SERVER, &options, &events, NULL, &h2, NULL) == SP_OK);
    feed(h2, &bytes, data[1]);
    sp__h2_free(h2);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        CHECK(seen[i].open == seen[i].over);
    }
    sp__buf_fini(&bytes);
    CHECK(sp__mem_live() == live);
    return 0;
}
