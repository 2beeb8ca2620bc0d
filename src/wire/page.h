/* SPDX-License-Identifier: MIT */
/*
 * The page a worker shares with its host: what user code it has begun.
 *
 * A memfd of WORKER_SHARED_BYTES that the host makes and the worker maps. The worker
 * writes, the host reads; after a death it still says which calls certainly never
 * reached user code. Stream ids are HTTP/2's on the call connection and grow.
 *
 * The page is followed by text: the stacks of the process, written by a signal handler
 * when the host asks for them because the worker seems to hang. It cannot grow, so that
 * a worker cannot fill memory with it.
 */
#ifndef SP_WIRE_PAGE_H
#define SP_WIRE_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    WORKER_PAGE_BYTES = 4096,
    WORKER_STACK_BYTES = 16 * 1024,
    WORKER_SHARED_BYTES = WORKER_PAGE_BYTES + WORKER_STACK_BYTES,
    WORKER_PAGE_SLOTS = 256
};

struct worker_page {
    /* The greatest stream id whose user code was begun. Stored (release) before it
     * begins, so a call with a greater id has certainly not run. */
    _Atomic uint32_t started;
    /* The signal on which the process writes its stacks behind this page, 0: none. */
    _Atomic uint32_t stack_signal;
    /* Per handler thread: the stream id whose user code is on it now, 0 when none.
     * Threads beyond the last slot are not told. */
    _Atomic uint32_t running[WORKER_PAGE_SLOTS];
};

#endif
