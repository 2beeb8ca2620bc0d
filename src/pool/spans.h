/* SPDX-License-Identifier: MIT */
/*
 * What calls and starts of workers went through, and when: kept for a while, to be told as
 * spans of traces and as a timeline.
 *
 * A call is one record here, of a fixed size, and becomes its spans only when somebody
 * asks: the number of the innermost one, which the worker knows as its own, ends in 101
 * (trace.h), and those around it have the same number but for these three bits.
 */
#ifndef SP_POOL_SPANS_H
#define SP_POOL_SPANS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "pool/request.h"
#include "pool/trace.h"

struct worker;
struct proto_announce;

enum span_kind {
    SPAN_CALL,     /* of the program */
    SPAN_SERVED,   /* of a client */
    SPAN_CALLBACK, /* of a worker's tool */
    SPAN_HOST,     /* of a function of the program, by either */
    SPAN_START     /* of a worker */
};

enum { SPAN_TOOL_BYTES = 96, SPAN_NAME_BYTES = 65 };

/* Times are microseconds of the monotonic clock; 0: it never came to that. */
struct span_record {
    enum span_kind kind;
    int error; /* SP_ERR_, 0: it went well */
    uint64_t begin_us;
    uint64_t sent_us;    /* to a worker, first; START: its process exists */
    uint64_t resent_us;  /* to the last one */
    uint64_t entered_us; /* user code began; START: the runtime is there */
    uint64_t left_us;    /* it ended; START: it says that it is ready */
    uint64_t end_us;
    sp_id call;
    sp_id worker; /* 0: none */
    int pid;
    uint32_t slot;
    uint32_t generation; /* START */
    uint32_t attempts;
    int placed; /* SP_PLACED_ */
    int streaming;
    uint64_t chunks;
    uint8_t trace[TRACE_ID_BYTES];
    uint8_t span[SPAN_ID_BYTES];   /* the innermost */
    uint8_t parent[SPAN_ID_BYTES]; /* all 0: none */
    char pool[SPAN_NAME_BYTES];
    char session[SPAN_NAME_BYTES]; /* cut, as the next */
    char tool[SPAN_TOOL_BYTES];
};

/* A start, in its order: asked for until spawned, executing until the runtime is there,
 * importing until it announces itself, and that; or, of a worker that tells no more,
 * connecting. */
#define START_PHASE_TABLE(X) \
    X(SPAWN, "spawn")        \
    X(EXEC, "exec")          \
    X(IMPORT, "import")      \
    X(ANNOUNCE, "announce")  \
    X(CONNECT, "connect")
enum start_phase {
#define X(name, text) START_##name,
    START_PHASE_TABLE(X)
#undef X
        START_PHASES
};
const char *sp__start_phase_name(enum start_phase phase);

struct start_step {
    enum start_phase phase;
    uint64_t begin_us;
    uint64_t end_us;
};
/* The phases of a START, one behind the other; returns how many. */
size_t sp__span_start_steps(const struct span_record *record,
                            struct start_step ret_steps[START_PHASES]);

/* A time, or the end of a span that is nearer. */
static inline uint64_t sp__span_within(uint64_t time, uint64_t first, uint64_t last)
{
    return time < first ? first : time > last ? last : time;
}

/* Where a reader is, from {0} on. */
struct span_cursor {
    uint64_t calls;
    uint64_t starts;
};

struct span_ring {
    struct span_record *records;
    uint32_t capacity;
    uint64_t written; /* in all; the last `capacity` of them are here */
};

struct spans {
    /* Set before start, then constant. */
    int records_calls;  /* else starts alone */
    uint64_t threshold; /* of traces begun here: picked when a random number is below */
    uint64_t gap_us;    /* between two of them, in the long run; 0: none */

    _Atomic uint64_t next_us; /* when the next one is due, were they evenly spaced */

    atomic_uint references;
    pthread_mutex_t lock;
    pthread_cond_t changed;

    /* Under lock. */
    struct span_ring calls;
    struct span_ring starts;
    uint64_t awaited; /* how many calls somebody waits for, 0: nobody does */
    int hurried;      /* who waits is not to */
};

/* How many of the calls that come without a trace begin one: sample_permille of a thousand,
 * and not more than rate_max in a second, or a tenth more after a quiet one (0: no limit).
 * `records`: whether those of any trace are kept. */
int sp__spans_new(int records, uint32_t sample_permille, uint32_t rate_max,
                  struct spans **ret_spans, sp_error *err) SP_MUST_CHECK;
void sp__spans_hold(struct spans *spans);
/* The last one frees. NULL is fine. */
void sp__spans_drop(struct spans *spans);

/* Any thread: whether one more may begin at this time. */
int sp__spans_admit(struct spans *spans, uint64_t now_us);

/* Any thread: whether a call begins a trace. */
static inline int sp__spans_picks(struct spans *spans)
{
    return spans->threshold != 0 && sp__trace_random() >> 1 < spans->threshold &&
           (spans->gap_us == 0 || sp__spans_admit(spans, sp__now_us()));
}

/* Any thread. */
void sp__spans_put(struct spans *spans, const struct span_record *record);

/* A name of any length, cut between characters to fit. */
void sp__span_put_name(char *to, size_t max, const char *text);

/* Loop thread: a request that is recorded has ended. */
void sp__spans_put_call(struct spans *spans, const struct request *request);

/* Loop thread: the record of a worker that is ready now. announce may be NULL. */
void sp__span_start(struct span_record *ret_record, const struct worker *worker,
                    const char *pool, const struct proto_announce *announce);

/* Any thread: copy what comes behind the cursor, and move it. The number of records;
 * *ret_lost: those that are gone. */
size_t sp__spans_read(struct spans *spans, struct span_cursor *cursor,
                      struct span_record *ret, size_t max, uint64_t *ret_lost);
/* Any thread: how many calls were recorded, ever. */
uint64_t sp__spans_written(struct spans *spans);
/* Any thread, one at a time: wait until `count` calls are behind the cursor, the time is
 * over, or somebody hurries. 0: it was hurried. */
int sp__spans_wait(struct spans *spans, const struct span_cursor *cursor, size_t count,
                   uint64_t timeout_ms);
void sp__spans_hurry(struct spans *spans);

#endif
