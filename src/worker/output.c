/* SPDX-License-Identifier: MIT */
/*
 * What a worker prints on stdout and stderr.
 *
 * A pipe that nobody reads stops its writer after 64 KiB, so it is read always, whatever
 * becomes of the text: the last 16 KiB stay in a ring for the death record, and whole
 * lines are told to the pool, a thousand at once and then one for each millisecond; the
 * rest is counted, and the count is told in front of the next line that is, or at the
 * death.
 */
#include "worker/output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

enum { READ_BYTES = 64 * 1024, READS_PER_TURN = 4 };

static void keep(struct output *output, const char *data, size_t n)
{
    if (n > OUTPUT_TAIL_BYTES) {
        data += n - OUTPUT_TAIL_BYTES;
        n = OUTPUT_TAIL_BYTES;
    }
    size_t first = OUTPUT_TAIL_BYTES - output->tail_at;
    if (first > n) {
        first = n;
    }
    memcpy(output->tail + output->tail_at, data, first);
    memcpy(output->tail, data + first, n - first);
    output->tail_at = (output->tail_at + n) % OUTPUT_TAIL_BYTES;
    output->tail_size += n;
    if (output->tail_size > OUTPUT_TAIL_BYTES) {
        output->tail_size = OUTPUT_TAIL_BYTES;
    }
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
        output->on_line(output->user, note);
    }
}

static void tell(struct output *output)
{
    size_t size = output->line_size;
    output->line_size = 0;
    if (!may_tell(output)) {
        output->lines_dropped++;
        output->bytes_dropped += size + 1;
        return;
    }
    output->lines_left--;
    tell_dropped(output);
    for (size_t i = 0; i < size; i++) {
        output->line[i] = harmless(output->line[i]);
    }
    output->line[size] = '\0';
    output->on_line(output->user, output->line);
}

static void split(struct output *output, const char *data, size_t n)
{
    while (n > 0) {
        const char *end = memchr(data, '\n', n);
        size_t part = end != NULL ? (size_t)(end - data) : n;
        size_t room = OUTPUT_LINE_BYTES - output->line_size;
        size_t take = part < room ? part : room;
        memcpy(output->line + output->line_size, data, take);
        output->line_size += take;
        int full = output->line_size == OUTPUT_LINE_BYTES;
        if (full || (end != NULL && take == part)) {
            tell(output);
        }
        if (end != NULL && take == part) {
            take++;
        }
        data += take;
        n -= take;
    }
}

/* 1: there was something; 0: nothing now; negative: the end. */
static int read_once(struct output *output)
{
    char data[READ_BYTES];
    ssize_t n = read(output->fd, data, sizeof data);
    if (n > 0) {
        keep(output, data, (size_t)n);
        split(output, data, (size_t)n);
        return 1;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void ready(void *user, int events)
{
    struct output *output = user;
    int rc = 1;
    for (int i = 0; i < READS_PER_TURN && rc > 0; i++) {
        rc = read_once(output);
    }
    if (rc < 0) {
        sp__watch_set(output->watch, 0);
    }
}

int sp__output_open(struct output *output, struct loop *loop, int fd,
                    void (*on_line)(void *user, const char *line), void *user,
                    sp_error *err)
{
    output->loop = loop;
    output->on_line = on_line;
    output->user = user;
    output->filled_ms = sp__loop_now_ms(loop);
    output->lines_left = OUTPUT_LINES_BURST;
    int rc = sp__watch_open(loop, fd, ready, output, &output->watch, err);
    output->fd = rc < 0 ? -1 : fd;
    return rc;
}

void sp__output_drain(struct output *output)
{
    int rc = output->fd >= 0;
    for (int i = 0; i < READS_PER_TURN && rc > 0; i++) {
        rc = read_once(output);
    }
    if (output->line_size > 0) {
        tell(output);
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
    size_t n = output->tail_size;
    if (n == 0) {
        return NULL;
    }
    char flat[OUTPUT_TAIL_BYTES];
    size_t from = (output->tail_at + OUTPUT_TAIL_BYTES - n) % OUTPUT_TAIL_BYTES;
    for (size_t i = 0; i < n; i++) {
        flat[i] = output->tail[(from + i) % OUTPUT_TAIL_BYTES];
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
    if (output->watch != NULL) {
        sp__watch_close(output->watch);
        (void)close(output->fd);
        output->watch = NULL;
        output->fd = -1;
    }
}
