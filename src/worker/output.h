/* SPDX-License-Identifier: MIT */
/* What a worker prints: drained always, kept at the end, told line by line. */
#ifndef SP_WORKER_OUTPUT_H
#define SP_WORKER_OUTPUT_H

#include "base/buf.h"
#include "io/loop.h"

enum {
    OUTPUT_TAIL_BYTES = 16 * 1024, /* kept for the death record */
    OUTPUT_LINE_BYTES = 8 * 1024,  /* longer lines are told in pieces */
    OUTPUT_TALKS_CALLS = 64,       /* see sp__output_catch_up() */
    OUTPUT_LINES_BURST = 1000      /* told at once; one more for each ms, others are
                                     counted */
};

/* One of the two pipes. */
struct output_stream {
    struct output *output;
    struct watch *watch; /* NULL: closed */
    int fd;
    int number;            /* 1 or 2, as the worker knows it */
    struct sp_buffer line; /* what has come of it, with room for its NUL */
};

struct output {
    struct loop *loop;
    uint32_t
        talks; /* it printed lately: so many more calls of its are caught up with */
    /* A line, control bytes made harmless. stream: 1 or 2; 0: a note of ours. */
    void (*on_line)(void *user, int stream, const char *line);
    void *user;
    struct output_stream streams[2];
    struct sp_buffer tail; /* a ring over its capacity, which grows before it turns */
    size_t tail_at;        /* where the next byte goes */
    uint64_t filled_ms;    /* when lines_left was last filled up */
    uint32_t lines_left;   /* that may be told now */
    uint64_t lines_dropped;
    uint64_t bytes_dropped; /* in these */
};

/* Make the two pipes: what is read, which does not wait, and what is written. 0, or -1 with
 * errno; what was made is there to be closed then, the others are -1. */
int sp__output_pipes(int ret_read[2], int ret_written[2]);

/* Takes the read ends of two pipes, of what a worker knows as 1 and as 2, when it
 * succeeds. */
int sp__output_open(struct output *output, struct loop *loop, const int fds[2],
                    void (*on_line)(void *user, int stream, const char *line),
                    void *user, sp_error *err) SP_MUST_CHECK;

/*
 * A call is over: tell what was printed up to now while it is still known whose it is. A
 * look costs two system calls, so it is only taken for a while after a worker has printed
 * something, or has begun.
 */
static inline int sp__output_wants_to(const struct output *output)
{
    return output->talks > 0;
}
void sp__output_catch_up(struct output *output);

/* Read what is in the pipes now (at most one pipe's worth of each): before a death is
 * told. */
void sp__output_drain(struct output *output);

/* The last lines, at most `lines_max`, each escaped and ended by '\n'; from
 * sp__malloc(), NULL when nothing was printed or no memory is left. */
char *sp__output_tail(const struct output *output, unsigned lines_max);

void sp__output_close(struct output *output);

#endif
