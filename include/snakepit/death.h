/* SPDX-License-Identifier: MIT */
/*
 * A death certificate: what is known of a worker that ended.
 *
 * One is written for every worker process, whatever ended it: the kernel's facts, why it
 * came to it, what the worker was doing, and its last words. It comes with the events
 * SP_EVENT_WORKER_DIED and SP_EVENT_WORKER_STOPPED, and a pool keeps the last ones, see
 * sp_pool_deaths_get(). Calls that were lost with the worker carry the main facts in
 * their sp_error.
 */
#ifndef SNAKEPIT_DEATH_H
#define SNAKEPIT_DEATH_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Why a worker ended: X(name, number, text). Numbers are ABI: append, never reuse. What
 * the kernel did not explain is not guessed: a SIGKILL that nobody here sent is "killed",
 * and only a counter of the kernel makes it "out_of_memory"; an exit status of 137 is an
 * exit status.
 */
#define SP_DEATH_TABLE(X)                                                  \
    X(CRASHED, 1, "it ended by itself: an exit, or a signal of a fault")   \
    X(KILLED, 2, "somebody else sent the signal that ended it")            \
    X(OUT_OF_MEMORY, 3, "the kernel ended it because memory ran out")      \
    X(STOPPED, 4, "its pool was closed")                                   \
    X(RECYCLED, 5, "a fresh worker has taken its place")                   \
    X(REFUSED, 6, "it said, or the system said, that it cannot start")     \
    X(TOO_SLOW, 7, "it was not ready in time")                             \
    X(LOST, 8, "its connection broke while the process lived on")          \
    X(PROTOCOL, 9, "it broke the protocol")                                \
    X(HUNG, 10, "it gave no sign of life")                                 \
    X(STUCK, 11, "it went on with a call that was cancelled or timed out") \
    X(GUARD, 12, "it ended with the guard process")                        \
    X(CANCELLED, 13, "a call that was cancelled wanted it so")             \
    X(OPERATOR, 14, "whoever looks after it had it killed")

enum {
#define X(name, number, text) SP_DEATH_##name = number,
    SP_DEATH_TABLE(X)
#undef X
};

/* A call that the worker had when it ended. Strings are borrowed. */
typedef struct sp_death_call {
    const char *tool;
    const char *request_id; /* "" when it had none */
    int stage;              /* SP_STAGE_ */
    int abandoned;          /* it had ended for its caller: cancelled, or timed out */
    uint64_t run_ms;        /* since the worker got it */
} sp_death_call;

/* What was done to end it, the first step first. */
typedef struct sp_death_step {
    const char *what;  /* "stack" (it was asked for it), "term", "term_group",
                         "kill_group"; constant text */
    uint64_t after_ms; /* since it was decided that it ends */
} sp_death_step;

typedef struct sp_death {
    uint64_t time_unix_ms;
    const char *pool;
    uint32_t slot;
    uint32_t generation; /* which process of its slot it was, from 1 */
    sp_id worker;
    int pid;       /* 0: it never existed */
    int why;       /* SP_DEATH_ */
    int was_ready; /* it had been ready for calls */

    /* What the kernel says. */
    int exit_status; /* or -1 */
    int signal;      /* the signal that ended it, or 0 */
    int core_dumped;
    int oom_killed;          /* 1: for memory; 0: not for that; -1: nobody counted */
    uint64_t user_ms;        /* processor time, of children it waited for too */
    uint64_t system_ms;      /* the same, in the kernel */
    uint64_t rss_peak_bytes; /* its largest resident set */
    uint64_t rss_bytes;      /* as in sp_worker_info, when it was looked at last */
    uint64_t pss_bytes;
    uint64_t tree_bytes;
    uint64_t sample_age_ms; /* how long before its end that was */

    /* What it had done. */
    uint64_t age_ms;      /* from spawn to end */
    uint64_t ready_ms;    /* from spawn to ready, 0: it never was */
    uint64_t calls_total; /* calls it ended */
    size_t calls_count; /* calls it had, those it did not stop first, 64 at most ... */
    const sp_death_call *calls;
    size_t calls_more; /* ... and as many more */

    /* How it was brought to its end, when it hung or did not stop. */
    const char *evidence; /* its state and processor time then, or "" */
    const char *stack;    /* where it was, in the words of its language, or "" */
    size_t steps_count;   /* 4 at most */
    const sp_death_step *steps;
    int unkillable; /* 1: it did not end even then, deep in the kernel */

    const char *message;    /* the cause in one line */
    const char *last_lines; /* what it printed last, escaped, or "" */
} sp_death;

/* "out_of_memory" for SP_DEATH_OUT_OF_MEMORY and so on; "unknown" for other numbers.
 * Since: 0.1 */
SP_API const char *sp_death_name(int why);

/* Borrowed until it returns. */
typedef void (*sp_death_cb)(const sp_death *death, void *user_data);

#ifdef __cplusplus
}
#endif
#endif
