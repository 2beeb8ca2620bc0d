/* SPDX-License-Identifier: MIT */
/*
 * What a worker prints on stdout and stderr, a pipe each, so that lines are told with
 * where they were printed and do not mix in the middle.
 *
 * A pipe that nobody reads stops its writer after 64 KiB, so it is read always, whatever
 * becomes of the text: the last 16 KiB stay in a ring for the death record, and whole
 * lines are told to the pool, a thousand at once and then one for each millisecond; the
 * rest is counted, and the count is told in front of the next line that is, or at the
 * death.
 *
 * Most workers print little or nothing: memory is taken as it is needed. Without it the
 * ring turns earlier and lines are told in shorter pieces, or counted as not shown.
 */
#include "worker/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

enum { READ_BYTES = 64 * 1024, READS_PER_TURN = 4 };

/* Room for n more bytes, as far as there may be any; a ring that has turned cannot grow. */
static void grow_tail(struct output *output, size_t n)
{
    struct sp_buffer *tail = &output->tail;
    size_t more = tail->max - tail->size;
    int is_straight = tail->size == tail->capacity ? output->tail_at == 0
                                                   : output->tail_at == tail->size;
    if (is_straight && more > 0 &&
        sp__buf_reserve(tail, n < more ? n : more, NULL) == SP_OK) {
        output->tail_at = tail->size % tail->capacity;
    }
}

static void keep(struct output *output, const char *data, size_t n)
{
    struct sp_buffer *tail = &output->tail;
    grow_tail(output, n);
    if (n > tail->capacity) {
        data += n - tail->capacity;
        n = tail->capacity;
    }
    if (n == 0) {
        return;
    }
    size_t first = tail->capacity - output->tail_at;
    if (first > n) {
        first = n;
    }
    memcpy(tail->data + output->tail_at, data, first);
    memcpy(tail->data, data + first, n - first);
    output->tail_at = (output->tail_at + n) % tail->capacity;
    tail->size = tail->size + n < tail->capacity ? tail->size + n : tail->capacity;
}

/* What could reach a terminal and do something there becomes '?'. */
static char harmless(char byte)
{
    unsigned char c = (unsigned char)byte;
    return c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f) ? byte : '?';
}

static int may_tell(struct output *output)
{
    uint64_t now_ms = sp__loop_now_ms(output->loop);
    uint64_t left = output->lines_left + (now_ms - output->filled_ms);
    output->filled_ms = now_ms;
    output->lines_left =
        left < OUTPUT_LINES_BURST ? (uint32_t)left : OUTPUT_LINES_BURST;
    return output->lines_left > 0;
}

static void tell_dropped(struct output *output)
{
    char note[120];
    if (output->lines_dropped > 0) {
        (void)snprintf(note, sizeof note,
                       "... %llu lines (%llu bytes) not shown: too many a second",
                       (unsigned long long)output->lines_dropped,
                       (unsigned long long)output->bytes_dropped);
        output->lines_dropped = 0;
        output->bytes_dropped = 0;
        output->on_line(output->user, 0, note);
    }
}

static void drop_line(struct output *output, size_t size)
{
    output->lines_dropped++;
    output->bytes_dropped += size + 1;
}

static void tell(struct output_stream *stream)
{
    struct output *output = stream->output;
    size_t size = stream->line.size;
    char *text = (char *)stream->line.data;
    stream->line.size = 0;
    if (!may_tell(output)) {
        drop_line(output, size);
        return;
    }
    output->lines_left--;
    tell_dropped(output);
    for (size_t i = 0; i < size; i++) {
        text[i] = harmless(text[i]);
    }
    text[size] = '\0';
    output->on_line(output->user, stream->number, text);
}

/* How much of `part` bytes finds room in the line; -1: there is no memory for any. */
static ssize_t make_room(struct output_stream *stream, size_t part)
{
    struct sp_buffer *line = &stream->line;
    size_t room = line->max - 1 - line->size;
    size_t take = part < room ? part : room;
    if (sp__buf_reserve(line, take + 1, NULL) < 0) {
        if (line->capacity == 0) {
            return -1;
        }
        take = line->capacity - 1 - line->size;
    }
    return (ssize_t)take;
}

static void split(struct output_stream *stream, const char *data, size_t n)
{
    while (n > 0) {
        const char *end = memchr(data, '\n', n);
        size_t part = end != NULL ? (size_t)(end - data) : n;
        ssize_t room = make_room(stream, part);
        size_t take = room < 0 ? part : (size_t)room;
        int is_whole = end != NULL && take == part;
        if (room < 0) {
            drop_line(stream->output, part);
        } else {
            memcpy(stream->line.data + stream->line.size, data, take);
            stream->line.size += take;
            if (is_whole || take < part || stream->line.size == stream->line.max - 1) {
                tell(stream);
            }
        }
        take += (size_t)is_whole;
        data += take;
        n -= take;
    }
}

/* 1: there was something; 0: nothing now; negative: the end. */
static int read_once(struct output_stream *stream)
{
    char data[READ_BYTES];
    ssize_t n = read(stream->fd, data, sizeof data);
    if (n > 0) {
        stream->output->talks = OUTPUT_TALKS_CALLS;
        keep(stream->output, data, (size_t)n);
        split(stream, data, (size_t)n);
        return 1;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int read_some(struct output_stream *stream)
{
    int rc = 1;
    for (int i = 0; i < READS_PER_TURN && rc > 0; i++) {
        rc = read_once(stream);
    }
    return rc;
}

static void ready(void *user, int events)
{
    struct output_stream *stream = user;
    if (read_some(stream) < 0) {
        sp__watch_set(stream->watch, 0);
    }
}

int sp__output_pipes(int ret_read[2], int ret_written[2])
{
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        int ends[2] = {-1, -1};
        if (rc == 0 &&
            (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)) {
            rc = -1;
        }
        ret_read[i] = ends[0];
        ret_written[i] = ends[1];
    }
    return rc;
}

int sp__output_open(struct output *output, struct loop *loop, const int fds[2],
                    void (*on_line)(void *user, int stream, const char *line),
                    void *user, sp_error *err)
{
    output->loop = loop;
    output->on_line = on_line;
    output->user = user;
    output->filled_ms = sp__loop_now_ms(loop);
    output->lines_left = OUTPUT_LINES_BURST;
    output->talks = OUTPUT_TALKS_CALLS;
    sp__buf_init(&output->tail, OUTPUT_TAIL_BYTES);
    int rc = SP_OK;
    for (int i = 0; i < 2 && rc == SP_OK; i++) {
        struct output_stream *stream = &output->streams[i];
        *stream =
            (struct output_stream){.output = output, .fd = fds[i], .number = i + 1};
        sp__buf_init(&stream->line, OUTPUT_LINE_BYTES + 1);
        rc = sp__watch_open(loop, fds[i], ready, stream, &stream->watch, err);
    }
    if (rc < 0 && output->streams[0].watch != NULL) {
        sp__watch_close(output->streams[0].watch);
        output->streams[0].watch = NULL;
    }
    return rc;
}

void sp__output_catch_up(struct output *output)
{
    output->talks--;
    for (int i = 0; i < 2; i++) {
        struct output_stream *stream = &output->streams[i];
        if (stream->watch != NULL) {
            (void)read_once(stream); /* its end comes through the watch too */
        }
    }
}

void sp__output_drain(struct output *output)
{
    for (int i = 0; i < 2; i++) {
        struct output_stream *stream = &output->streams[i];
        if (stream->watch != NULL) {
            (void)read_some(stream);
        }
        if (stream->line.size > 0) {
            tell(stream);
        }
    }
    tell_dropped(output);
}

/* Where the last `lines_max` lines begin in text[0..n). */
static size_t last_lines(const char *text, size_t n, unsigned lines_max)
{
    unsigned lines = 0;
    for (size_t at = n; at > 0; at--) {
        if (text[at - 1] == '\n' && at != n && ++lines == lines_max) {
            return at;
        }
    }
    return 0;
}

char *sp__output_tail(const struct output *output, unsigned lines_max)
{
    size_t n = output->tail.size;
    size_t capacity = output->tail.capacity;
    if (n == 0) {
        return NULL;
    }
    char flat[OUTPUT_TAIL_BYTES];
    size_t from = (output->tail_at + capacity - n) % capacity;
    for (size_t i = 0; i < n; i++) {
        flat[i] = (char)output->tail.data[(from + i) % capacity];
    }
    size_t begin = last_lines(flat, n, lines_max);
    char *text = sp__malloc(n - begin + 2);
    if (text == NULL) {
        return NULL;
    }
    size_t size = 0;
    for (size_t i = begin; i < n; i++) {
        text[size++] = harmless(flat[i]);
    }
    if (text[size - 1] != '\n') {
        text[size++] = '\n';
    }
    text[size] = '\0';
    return text;
}

void sp__output_close(struct output *output)
{
    for (int i = 0; i < 2; i++) {
        struct output_stream *stream = &output->streams[i];
        if (stream->watch != NULL) {
            sp__watch_close(stream->watch);
            (void)close(stream->fd);
            stream->watch = NULL;
        }
        sp__buf_fini(&stream->line);
    }
    sp__buf_fini(&output->tail);
    output->tail_at = 0;
}
