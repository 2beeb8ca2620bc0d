/* SPDX-License-Identifier: MIT */
/*
 * The page a worker shares with its host: what user code it has begun, and where the host
 * runs.
 *
 * A memfd of WORKER_SHARED_BYTES that the host makes and both map. The worker writes what
 * it has begun; after a death it still says which calls certainly never reached user
 * code. Stream ids are HTTP/2's on the call connection and grow.
 *
 * Of a worker that lives, `started` alone is no proof: it may begin the call the moment
 * after the host has looked. So the host writes first which call it gives up and looks
 * then, and the worker says first which call it begins and looks then: one of the two
 * sees the other, and a call of which the host says that it was not begun is not.
 *
 * The page is followed by text: the stacks of the process, written by a signal handler
 * when the host asks for them because the worker seems to hang. It cannot grow, so that
 * a worker cannot fill memory with it.
 */
#ifndef SP_WIRE_PAGE_H
#define SP_WIRE_PAGE_H

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

enum {
    WORKER_PAGE_BYTES = 4096,
    WORKER_STACK_BYTES = 16 * 1024,
    WORKER_SHARED_BYTES = WORKER_PAGE_BYTES + WORKER_STACK_BYTES,
    WORKER_PAGE_SLOTS = 256,
    WORKER_PAGE_REVOKED = 64,
    WORKER_PAGE_TIMES = 128 /* as many answers as are read at once, and more */
};

struct worker_page {
    /* The greatest stream id whose user code was begun. Stored before it begins, so a
     * call with a greater id has certainly not run. */
    _Atomic uint32_t started;
    /* The signal on which the process writes its stacks behind this page, 0: none. */
    _Atomic uint32_t stack_signal;
    /* Per handler thread: the stream id whose user code is on it now, 0 when none.
     * Threads beyond the last slot are not told. */
    _Atomic uint32_t running[WORKER_PAGE_SLOTS];
    /* 1: this worker looks at what follows before it begins a call. */
    _Atomic uint32_t heeds_revoked;
    /* By the host: calls that must not be begun any more, and the greatest of them ever.
     * A place is free for another when a later call than the one in it has begun. */
    _Atomic uint32_t revoked_last;
    _Atomic uint32_t revoked[WORKER_PAGE_REVOKED];
    /* By the host: sp__page_cpu() when it wrote last; 0: it has not. */
    _Atomic uint32_t host_cpu;
    /* What the last calls took: the stream id above, microseconds below. */
    _Atomic uint64_t times[WORKER_PAGE_TIMES];
};

static inline _Atomic uint64_t *sp__page_time_of(struct worker_page *page, uint32_t id)
{
    return &page->times[id / 2 % WORKER_PAGE_TIMES]; /* a client's ids are odd */
}

/* The processor of the caller, and one; 0: not known. */
static inline uint32_t sp__page_cpu(void)
{
    return (uint32_t)sched_getcpu() + 1;
}

/* The host, before it writes. */
static inline void sp__page_put_host(struct worker_page *page)
{
    uint32_t cpu = sp__page_cpu();
    if (atomic_load_explicit(&page->host_cpu, memory_order_relaxed) != cpu) {
        atomic_store_explicit(&page->host_cpu, cpu, memory_order_relaxed);
    }
}

/* The worker: 1 when the host wrote last on the processor that it runs on itself. */
static inline int sp__page_host_is_here(struct worker_page *page)
{
    uint32_t cpu = sp__page_cpu();
    return cpu != 0 &&
           atomic_load_explicit(&page->host_cpu, memory_order_relaxed) == cpu;
}

/* The worker, before it answers. */
static inline void sp__page_put_time(struct worker_page *page, uint32_t id, uint64_t us)
{
    us = us > UINT32_MAX ? UINT32_MAX : us;
    atomic_store_explicit(sp__page_time_of(page, id), (uint64_t)id << 32 | us,
                          memory_order_relaxed);
}

/* The host, when it has the answer. 1, or 0 when the worker did not say. */
static inline int sp__page_get_time(struct worker_page *page, uint32_t id,
                                    uint64_t *ret_us)
{
    uint64_t time =
        atomic_load_explicit(sp__page_time_of(page, id), memory_order_relaxed);
    *ret_us = (uint32_t)time;
    return time >> 32 == id;
}

/* The host gives a call up. 1: it has not begun and never will; 0: it may have, or there
 * is no place to say so. *next_place is the host's own. */
static inline int sp__page_revoke(struct worker_page *page, uint32_t *next_place,
                                  uint32_t id)
{
    uint32_t at = *next_place % WORKER_PAGE_REVOKED;
    uint32_t started = atomic_load(&page->started);
    if (id <= started || !atomic_load(&page->heeds_revoked)) {
        return 0;
    }
    uint32_t there = atomic_load(&page->revoked[at]);
    if (there != 0 && there >= started) {
        return 0;
    }
    *next_place = at + 1;
    atomic_store(&page->revoked[at], id);
    if (atomic_load(&page->revoked_last) < id) {
        atomic_store(&page->revoked_last, id);
    }
    return atomic_load(&page->started) < id;
}

/* The worker is about to begin a call, one at a time. 0: it must not. */
static inline int sp__page_begin(struct worker_page *page, uint32_t id)
{
    if (id > atomic_load_explicit(&page->started, memory_order_relaxed)) {
        atomic_store(&page->started, id);
    }
    if (id > atomic_load(&page->revoked_last)) {
        return 1;
    }
    for (int i = 0; i < WORKER_PAGE_REVOKED; i++) {
        if (atomic_load_explicit(&page->revoked[i], memory_order_relaxed) == id) {
            return 0;
        }
    }
    return 1;
}

#endif
