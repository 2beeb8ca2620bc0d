/* SPDX-License-Identifier: MIT */
/*
 * What a worker prints on stdout and stderr.
 *
 * A pipe that nobody reads stops its writer after 64 KiB, so it is read always, whatever
 * becomes of the text: the last 16 KiB stay in a ring for the death record, and whole
 * lines are told to the pool, at most 1 000 a second; the rest is counted and the count
 * is told when the flood is over.
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

static void tell(struct output *output)
{
    output->line[output->line_size] = '\0';
    output->line_size = 0;

    uint64_t second = sp__loop_now_ms(output->loop) / 1000;
    if (second != output->second) {
        output->second = second;
        output->lines_told = 0;
    }
    if (output->lines_told >= OUTPUT_LINES_PER_SECOND) {
        output->lines_dropped++;
        return;
    }
    output->lines_told++;
    if (output->lines_dropped > 0) {
        char note[64];
        (void)snprintf(note, sizeof note, "... %llu lines not shown: too many a second",
                       (unsigned long long)output->lines_dropped);
        output->lines_dropped = 0;
        output->on_line(output->user, note);
    }
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
        /* Control bytes could reach a terminal. */
        unsigned char c = (unsigned char)flat[i];
        text[size++] =
            c == '\n' || c == '\t' || (c >= ' ' && c != 0x7f) ? flat[i] : '?';
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
