/* SPDX-License-Identifier: MIT */
/*
 * What happened: workers that came and went, warnings, output of workers.
 *
 * Events wait in a bounded ring (1 024; the oldest goes first and the loss is counted)
 * and reach the pit's event callback inside sp_pit_dispatch(), on the thread that calls
 * it. A slow handler therefore slows nobody else.
 */
#ifndef SNAKEPIT_EVENT_H
#define SNAKEPIT_EVENT_H

#include "base.h"
#include "death.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SP_EVENT_WARNING = 1,     /* message says what and what to do */
    SP_EVENT_WORKER_SPAWNED,  /* pid is known, the worker is not ready yet */
    SP_EVENT_WORKER_READY,    /* duration_ms: from spawn to ready */
    SP_EVENT_WORKER_STOPPED,  /* ended after being asked */
    SP_EVENT_WORKER_DIED,     /* ended by itself; message has the cause */
    SP_EVENT_WORKER_OUTPUT,   /* message is one line the worker printed */
    SP_EVENT_POOL_READY,      /* every worker of the pool is ready */
    SP_EVENT_POOL_SATURATED,  /* a call was refused: the queue is full */
    SP_EVENT_HEALTH_FAILED,   /* a worker did not answer a PING in time */
    SP_EVENT_RECYCLE_STARTED, /* a relief for this worker starts; message has why */
    SP_EVENT_WORKER_RECYCLED, /* the old worker is gone, its relief works */
    SP_EVENT_RECYCLE_FAILED,  /* the relief did not start: the old worker stays */
    SP_EVENT_RECYCLE_LOOP,    /* a fresh worker is over the memory limit: it stays */
    SP_EVENT_BREAKER_OPENED,  /* too many deaths: no more starts for a while */
    SP_EVENT_BREAKER_PROBED,  /* one start, to see whether it works again */
    SP_EVENT_BREAKER_CLOSED,  /* it does */
    SP_EVENT_CALL_RETRIED,    /* an idempotent call is run again after duration_ms */
    SP_EVENT_CALL_POISONED,   /* a call ended too many workers; it is given up */
    SP_EVENT_GUARD_READY, /* message is the orphan-safety reached, as sp_pit_safety()
                                 gives it */
    SP_EVENT_SESSION_EXPIRED, /* a session's time to live is over; it is gone */
    SP_EVENT_SESSIONS_HIGH,   /* nearly as many sessions as may be */
    SP_EVENT_ORPHAN_KILLED,   /* pid is what a dead run of the instance left behind */
    SP_EVENT_SESSION_DELETED, /* a session was ended before its time was over */
    SP_EVENT_STORE_FULL,   /* no room for changes of stored sessions; deletions work */
    SP_EVENT_STORE_FAILED, /* the disk lost something: nothing is stored any more */
    SP_EVENT_STORE_RECOVERED, /* there is room again */
    SP_EVENT_SESSION_MOVED, /* the worker that ran the session's calls has ended, so its
                                 next one goes elsewhere; message says what became of it */
    SP_EVENT_CAPACITY_REACHED, /* a worker that runs several calls at once has no room for
                                 another; told again once half of it has been free */
    SP_EVENT_TELEMETRY /* a stock worker reports an event of its own; message is its name
                                 and its measurements, "tool.called duration=1.5" */
};

typedef struct sp_event {
    int kind; /* SP_EVENT_ */
    uint64_t time_unix_ms;
    const char *pool; /* name, or "" */
    sp_id worker;     /* 0 when none is concerned */
    uint32_t slot;
    int pid;
    int exit_status; /* WORKER_DIED, WORKER_STOPPED: exit status or -1 */
    int signal;      /* the signal that ended it, or 0 */
    uint64_t duration_ms;
    const char *session;   /* SESSION_EXPIRED, _DELETED, _MOVED: its id; else "" */
    const char *message;   /* one line; borrowed until the callback returns */
    const sp_death *death; /* WORKER_DIED, WORKER_STOPPED: the certificate, borrowed;
                              NULL for other events, or without memory for one */
} sp_event;

typedef void (*sp_event_cb)(const sp_event *event, void *user_data);

/* "worker.died" for SP_EVENT_WORKER_DIED and so on; "unknown" for other numbers. */
SP_API const char *sp_event_name(int kind);

#ifdef __cplusplus
}
#endif
#endif
