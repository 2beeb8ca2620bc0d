/* SPDX-License-Identifier: MIT */
/* What a worker prints: drained always, kept at the end, told line by line. */
#ifndef SP_WORKER_OUTPUT_H
#define SP_WORKER_OUTPUT_H

#include "base/buf.h"
#include "io/loop.h"

enum {
    OUTPUT_TAIL_BYTES = 16 * 1024, /* kept for the death record */
    OUTPUT_LINE_BYTES = 8 * 1024,  /* longer lines are told in pieces */
    OUTPUT_LINES_BURST = 1000      /* told at once; one more for each ms, others are
                                     counted */
};

struct output {
    struct loop *loop;
    struct watch *watch;
    int fd; /* -1: closed */
    /* A line, control bytes made harmless. */
    void (*on_line)(void *user, const char *line);
    void *user;
    struct sp_buffer tail; /* a ring over its capacity, which grows before it turns */
    size_t tail_at;        /* where the next byte goes */
    struct sp_buffer line; /* what has come of it, with room for its NUL */
    uint64_t filled_ms;    /* when lines_left was last filled up */
    uint32_t lines_left;   /* that may be told now */
    uint64_t lines_dropped;
    uint64_t bytes_dropped; /* in these */
};

/* Takes fd, the read end of a pipe, when it succeeds. */
int sp__output_open(struct output *output, struct loop *loop, int fd,
                    void (*on_line)(void *user, const char *line), void *user,
                    sp_error *err) SP_MUST_CHECK;

/* Read what is in the pipe now (at most one pipe's worth): before a death is told. */
void sp__output_drain(struct output *output);

/* The last lines, at most `lines_max`, each escaped and ended by '\n'; from
 * sp__malloc(), NULL when nothing was printed or no memory is left. */
char *sp__output_tail(const struct output *output, unsigned lines_max);

void sp__output_close(struct output *output);

#endif
