/* SPDX-License-Identifier: MIT */
/* What the files of `snakepit bench` share: how calls are to be made, and what they took. */
#ifndef SNAKEPIT_CLI_BENCH_H
#define SNAKEPIT_CLI_BENCH_H

#include <pthread.h>

#include "cli.h"
#include "latencies.h"

enum bench_mode {
    BENCH_IN_FLIGHT, /* each answer starts the next call; one thread */
    BENCH_THREADS,   /* the same with a thread for each, which waits */
    BENCH_RATE       /* on a schedule, answered or not */
};

struct bench_plan {
    enum bench_mode mode;
    uint32_t count; /* in flight, or threads */
    uint32_t rate;  /* calls a second */
    uint64_t warm_up_ms;
    uint64_t duration_ms; /* of each repetition */
    uint32_t repetitions;
};

enum { BENCH_CODES_MAX = 32, BENCH_CALLS_MAX = 65536 };

struct bench_repetition {
    uint64_t calls; /* that went well */
    uint64_t failed;
    struct latencies latency;
};

/* What was measured. Under lock while calls are made. */
struct bench_meter {
    const struct bench_plan *plan;
    pthread_mutex_t lock;
    uint64_t begin_ns; /* the warm-up is over */
    uint64_t end_ns;
    struct bench_repetition *repetitions;
    struct latencies queued;
    struct latencies run;
    struct bench_code {
        int code; /* SP_ERR_ */
        uint64_t count;
    } codes[BENCH_CODES_MAX];
    size_t codes_count;
    uint64_t missed; /* calls that were due and not begun: too many were under way */
    uint64_t ended;  /* all of them, for the progress line */
    sp_error first;  /* failure */
};

struct bench_target {
    sp_pit *pit;
    const char *address; /* of a daemon, or NULL */
    const char *pool;    /* with a daemon one of its own, of the connection */
    uint32_t workers;    /* likewise */
    const char *tool;
    sp_bytes args;
    sp_call_options options;
};

/* --- bench_meter.c --- */

void bench_meter_init(struct bench_meter *meter, const struct bench_plan *plan);
void bench_meter_fini(struct bench_meter *meter);
/* The warm-up begins now. */
void bench_meter_begin(struct bench_meter *meter);
/* A call has ended that took from `from_ns` to `to_ns` and belongs to the repetition of
 * `at_ns`. One of result and error is NULL. */
void bench_meter_add(struct bench_meter *meter, uint64_t from_ns, uint64_t to_ns,
                     uint64_t at_ns, const sp_result *result, const sp_error *error);
uint64_t bench_meter_calls(const struct bench_meter *meter);
uint64_t bench_meter_failed(const struct bench_meter *meter);

/* --- bench_daemon.c --- */

/* Make the command line one that calls the daemon of --connect, with so many calls under
 * way; `settings` holds what the command line then points into. 0 or an exit code. */
int bench_connect(struct cli *cli, uint32_t calls, struct text *settings);

/* --- bench_load.c --- */

struct bench_load;

/* Make the calls of the plan; 0 or an exit code, explained. The load may be under way yet
 * when it was interrupted: free it when the pit is closed. */
int bench_load_run(const struct bench_target *target, struct bench_meter *meter,
                   struct bench_load **ret_load);
void bench_load_free(struct bench_load *load);

/* --- bench_report.c --- */

/* What both meters say; `empty` is NULL when no empty tool was measured. */
void bench_report(const struct cli *cli, const struct bench_target *target,
                  const struct bench_meter *meter, const struct bench_meter *empty,
                  const char *empty_tool);

#endif
