/* SPDX-License-Identifier: MIT */
/*
 * The page a worker shares with its host: what user code it has begun.
 *
 * A memfd of WORKER_PAGE_BYTES that the host makes and the worker maps. The worker
 * writes, the host reads; after a death it still says which calls certainly never
 * reached user code. Stream ids are HTTP/2's on the call connection and grow.
 */
#ifndef SP_WIRE_PAGE_H
#define SP_WIRE_PAGE_H

#include <stdatomic.h>
#include <stdint.h>

enum { WORKER_PAGE_BYTES = 4096, WORKER_PAGE_SLOTS = 256 };

struct worker_page {
    /* The greatest stream id whose user code was begun. Stored (release) before it
     * begins, so a call with a greater id has certainly not run. */
    _Atomic uint32_t started;
    uint32_t reserved;
    /* Per handler thread: the stream id whose user code is on it now, 0 when none.
     * Threads beyond the last slot are not told. */
    _Atomic uint32_t running[WORKER_PAGE_SLOTS];
};

#endif
