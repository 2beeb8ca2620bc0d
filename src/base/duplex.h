/* SPDX-License-Identifier: MIT */
/*
 * Bytes to a peer and back, in their order: a socket and, where both sides have them, a
 * pipe each way for what is little. Never waits, raises no SIGPIPE.
 *
 * Between two processors a word through a pipe and back takes three quarters of the time it
 * takes through a unix socket, a megabyte half as long again. So with pipes everything is
 * told by them, and what is much lies in the socket:
 *
 *   each u32 in a pipe: n        so many bytes follow in the pipe
 *                       n | BULK so many lie in the socket by now
 *                       0        nothing yet, but in a moment: wake up
 *
 * in the machine's own byte order. What is much is told of in pieces, the first of them
 * small, so that the peer wakes up and reads while the rest is written. A peer's end is that
 * of the pipe it writes to.
 */
#ifndef SP_BASE_DUPLEX_H
#define SP_BASE_DUPLEX_H

#include <sys/types.h>

#include "base/buf.h"

enum {
    DUPLEX_HEAD_BYTES = 4,
    DUPLEX_PIPED_MAX = 16 * 1024 /* what is written at once is much beyond it */
};

struct duplex_fds {
    int socket;
    int in;  /* that is read first: a pipe, or the socket again */
    int out; /* where what is little goes: a pipe of sp__pipe_open(), or the socket */
};

struct duplex {
    struct duplex_fds fds;

    /* Going out. */
    struct sp_buffer buf;
    size_t at;     /* so much of it has left */
    int is_much;   /* it goes through the socket */
    uint32_t told; /* bytes the socket has taken that the pipe has not told of */
    size_t piece;  /* the socket is given before the pipe tells of it */
    int full;      /* that took no more last time: to be watched for room */

    /* Coming in. */
    uint8_t head[DUPLEX_HEAD_BYTES];
    uint32_t head_size;
    uint32_t left; /* in the pipe, behind the last head */
};

static inline struct duplex_fds sp__duplex_socket(int fd)
{
    return (struct duplex_fds){fd, fd, fd};
}

static inline int sp__duplex_is_piped(const struct duplex_fds *fds)
{
    return fds->in != fds->socket;
}

void sp__duplex_close_fds(const struct duplex_fds *fds);

void sp__duplex_init(struct duplex *duplex, const struct duplex_fds *fds);
/* Memory only. */
void sp__duplex_fini(struct duplex *duplex);

/* Where to append what is to go next. Only when all before has gone. SP_ERR_NOMEM. */
int sp__duplex_begin(struct duplex *duplex, sp_error *err) SP_MUST_CHECK;
/* Nothing waits: give up memory beyond `keep` bytes. */
void sp__duplex_rest(struct duplex *duplex, size_t keep);
/* Bytes that were appended, and have not gone or the peer has not been told of. */
size_t sp__duplex_waiting(const struct duplex *duplex);
/* Send it. 1: all has gone; 0: `full` takes no more now; -1 with errno: broken. */
int sp__duplex_send(struct duplex *duplex);
/* What a sleeping peer waits for comes in a moment: it may wake up meanwhile. With pipes,
 * when nothing waits. */
void sp__duplex_rouse(struct duplex *duplex);

enum duplex_news {
    DUPLEX_NOTHING, /* now */
    DUPLEX_SOME,    /* and nothing more, as it seems */
    DUPLEX_MORE,    /* there may be more */
    DUPLEX_END,
    DUPLEX_BROKEN /* errno; EPROTO: what came is not of this form */
};

/*
 * Read what came into `room`, of `size` bytes, once, and hand it on in pieces. `take` must
 * not keep them, and returns 0 to go on. A failure of it ends the reading, and is returned
 * as DUPLEX_SOME.
 */
enum duplex_news sp__duplex_receive(struct duplex *duplex, uint8_t *room, size_t size,
                                    int (*take)(void *user, const uint8_t *data,
                                                size_t size),
                                    void *user);

#endif
