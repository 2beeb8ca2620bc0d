/* SPDX-License-Identifier: MIT */
/* The chunks of a stream between the loop thread and its consumer. */
#ifndef SP_POOL_MAILBOX_H
#define SP_POOL_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/latch.h"
#include "io/loop.h"

struct mailbox_chunk {
    const uint8_t *data;
    size_t size;
    const uint8_t *binary; /* what the data speaks of; aligned for numbers */
    size_t binary_size;
};

struct mailbox {
    /* Under lock. */
    pthread_mutex_t lock;
    struct sp_buffer filling; /* [u32 size][u32 binary size][data][.. binary] ... */
    size_t filling_wire;      /* bytes of credit they cost */
    int ended;

    /* Consumer. */
    struct sp_buffer draining;
    size_t draining_at;
    size_t draining_wire;
    uint64_t index; /* of the next chunk */

    struct latch ready;    /* something came since the consumer last looked */
    struct command grant;  /* gives credit back; posted at most once at a time */
    atomic_size_t granted; /* what it gives */
    struct command await;  /* the consumer sleeps from now on; likewise */
    atomic_int await_posted;
};

void sp__mailbox_init(struct mailbox *mailbox);
void sp__mailbox_fini(struct mailbox *mailbox);

/* Loop thread. 1 when the consumer had seen everything before (tell it), 0 when not. */
int sp__mailbox_put(struct mailbox *mailbox, sp_bytes data, sp_bytes binary,
                    size_t wire_bytes, sp_error *err) SP_MUST_CHECK;
/* Loop thread: no more will come. */
void sp__mailbox_end(struct mailbox *mailbox);

/*
 * Consumer: 1 with a chunk (borrowed until the next call), 0 when nothing is there now,
 * -1 when nothing will ever come. *ret_credit: wire bytes whose chunks are all consumed
 * and that should be granted, usually 0.
 */
int sp__mailbox_take(struct mailbox *mailbox, struct mailbox_chunk *ret_chunk,
                     size_t *ret_credit);

#endif
