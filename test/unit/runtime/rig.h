/* SPDX-License-Identifier: MIT */
/*
 * A worker under test: in this process on threads of its own, between two socketpairs,
 * with tools that wait for what the test allows them.
 *
 *   add [a,b]         their sum
 *   echo X            X
 *   inspect           everything the job says of itself
 *   wait              tells `begun`, then waits for one `gate` or an interruption
 *   raise             fails like a Python exception
 *   array             a tensor, as the wire has one
 *   mute              ends without a result
 *   report            reports the event "work.one", with a span_id of its own
 *   count [n,size]    stream: n chunks of `size` bytes that begin with their number
 *   slow [n]          stream: tells `begun` after each chunk and waits for a `gate`
 *   single            stream whose tool returns one value
 *   burst             stream: 20 chunks, tells `begun`, waits for a `gate`
 *   break             stream: one chunk, then an exception
 * and those of asker.c, which ask the host:
 *   ask X             calls the host's tool "look" with X: its result, or "SP-..." when it
 *                     fails. `ask_rc` and `ask_error` say how it ended
 *   ask_for [ms]      the same with a timeout
 *   ask_worker        calls the tool "look" of a worker of pool "others", with a binary
 *   crowd [n]         n threads of its own ask at once: how many were answered
 *   leave             a thread of its own asks and the job ends meanwhile
 *   pull [n]          reads n host streams side by side to their ends: [chunks,bytes]
 *   hold              the same with one that it reads after a `gate`
 *   peek              takes one chunk of a host stream and leaves the stream open
 *   watch             watches variables until that ends: why. `ask_rc` is 0 once it does
 *   told              stream: a chunk, the answer to a question, a chunk
 */
#ifndef TEST_RUNTIME_RIG_H
#define TEST_RUNTIME_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"
#include "snakepit/worker.h"
#include "snakepit/worker_host.h"
#include "snakepit/worker_telemetry.h"
#include "wire/page.h"

enum { RIG_THREADS_MAX = 8 };

struct rig {
    sp_worker *worker;
    sp_worker_options options;
    uint32_t threads;
    pthread_t thread[RIG_THREADS_MAX];
    struct peer *peer; /* calls */
    struct peer *host; /* the host's service */
    struct worker_page *page;
    int call_fd, host_fd, page_fd;
    int gate;               /* eventfd semaphore: lets one waiting tool go on */
    int begun;              /* eventfd semaphore: one per tool that has begun */
    int take_interrupts;    /* on_cancel interrupts the tool */
    atomic_int ready;       /* sp_worker_announce() has returned */
    atomic_int idles;       /* threads between on_idle and on_busy */
    atomic_int wakes;       /* calls of on_busy */
    atomic_int cancels;     /* calls of on_cancel */
    atomic_int ran;         /* tools that began */
    atomic_int cancelled;   /* tools that learned that nobody waits */
    atomic_int closed;      /* generators ended early */
    atomic_ullong produced; /* chunks */
    atomic_int next_rc;     /* what sp_worker_next() returned last, 99: not yet */
    atomic_int bad;         /* what should not happen */
    atomic_int ask_rc;      /* how the last question ended, 99: none has */
    char ask_error[SP_ERROR_MESSAGE_MAX];
    char ask_type[64]; /* remote_type */
    sp_job *left_job;  /* of `leave`, and its thread */
    pthread_t left;
    atomic_int left_rc;
};

/* asker.c: run one of its tools; 0 when the job's tool is none. */
int asker_run(struct rig *rig, sp_job *job);
void asker_join(struct rig *rig);
void rig_wait_gate(struct rig *rig); /* a tool's: for one `gate` */

/* Sockets, worker and tools, not yet announced; nothing runs. `options` may be NULL. */
struct rig *rig_new(const sp_worker_options *options);
/* Announce and serve on threads. */
void rig_start(struct rig *rig);
/* The same for a worker that has been announced by the test. */
void rig_serve(struct rig *rig);
/* rig_new() and rig_start(). */
struct rig *rig_open(const sp_worker_options *options);
/* Stop if need be, join, close, free; fails the test when something was bad. */
void rig_close(struct rig *rig);
void rig_join(struct rig *rig);

void rig_allow(struct rig *rig, int n);       /* open the gate for n */
void rig_await_begun(struct rig *rig, int n); /* until n more tools have begun */
void rig_call(struct rig *rig);               /* a call that succeeds, whichever */
void rig_loop(struct rig *rig);               /* serve on the calling thread */

#endif
