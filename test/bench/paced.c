/* SPDX-License-Identifier: MIT */
/*
 * An open loop: calls begin on a schedule, whether earlier ones have ended or not.
 *
 *     paced --rate R [--workers W] [--warm-ms N] [--measure-ms N]
 *
 * Latency is counted from the moment a call was due, not from when this program got
 * around to it: a stall of whatever kind, here or there, is paid for by every call that
 * was due meanwhile. One thread does all of it, as in a program with an event loop: it
 * takes what has ended, begins what is due, and sleeps until the next of either. Prints
 * one line of JSON for run.py; a call that fails, or more waiting than PACED_MAX, ends it
 * with status 1.
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "pit.h"

enum { PACED_MAX = 1 << 20 };

struct call {
    uint64_t due_ns;
    uint32_t a;
    int is_open;
};

static struct {
    sp_pit *pit;
    double rate;
    uint64_t first_ns; /* when the first call was due */
    struct load load;
    struct call all[PACED_MAX]; /* the n-th call is at n modulo this */
    uint64_t started;
    uint64_t ended;
    uint64_t open_max;
    struct latencies lateness; /* of starting, not of answering */
} pace;

static void start_due(void);

static void on_reply(const sp_reply *reply, void *user_data)
{
    struct call *call = user_data;
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    int is_right = get_result(reply->result->json, reply->result->json_bytes) ==
                   (int64_t)call->a + 3;
    /* Which calls count is decided by when they were due. */
    if (call->due_ns >= pace.load.begin_ns) {
        latency_add(&pace.load.latencies, now_ns() - call->due_ns);
    }
    pace.load.wrong += !is_right;
    call->is_open = 0;
    pace.ended++;
    start_due();
}

static void start_call(uint64_t due_ns)
{
    struct call *call = &pace.all[pace.started % PACED_MAX];
    sp_error err = {0};
    char args[64];
    if (call->is_open) {
        give_up("paced: %d calls wait: the rate is too high", PACED_MAX);
    }
    *call = (struct call){due_ns, (uint32_t)pace.started, 1};
    latency_add(&pace.lateness, now_ns() - due_ns);
    size_t size = put_arguments(args, call->a, 3);
    check(sp_call_start(pace.pit, "add", (sp_bytes){args, size}, NULL, on_reply, call,
                        NULL, &err),
          &err, "call");
    pace.started++;
    uint64_t open = pace.started - pace.ended;
    pace.open_max = open > pace.open_max ? open : pace.open_max;
}

/* When the next call is due. */
static uint64_t next_ns(void)
{
    return pace.first_ns + (uint64_t)((double)pace.started * 1e9 / pace.rate);
}

static void start_due(void)
{
    uint64_t due_ns = next_ns();
    for (uint64_t now = now_ns(); due_ns <= now && due_ns < pace.load.end_ns;
         due_ns = next_ns()) {
        start_call(due_ns);
    }
}

static void sleep_until(uint64_t at_ns)
{
    struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000u),
                          .tv_nsec = (long)(at_ns % 1000000000u)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* While answers are to come they are what the thread waits for, and each looks what has
 * become due meanwhile: it is late then, and that is counted. */
static void keep_schedule(void)
{
    sp_error err = {0};
    pace.first_ns = now_ns();
    while (pace.ended < pace.started || next_ns() < pace.load.end_ns) {
        if (pace.ended < pace.started) {
            check(sp_pit_dispatch(pace.pit, SP_UNLIMITED, &err), &err, "dispatch");
        } else {
            sleep_until(next_ns());
            start_due();
        }
    }
}

int main(int argc, char **argv)
{
    long rate = option_number(argc, argv, "rate", 0);
    char extra[160];
    if (rate < 1) {
        give_up("usage: paced --rate CALLS-A-SECOND [--workers W]");
    }
    pace.rate = (double)rate;
    sp_pool_options pool = pool_of((uint32_t)option_number(argc, argv, "workers", 1));
    pool.queue_max = PACED_MAX; /* a queue that is full would hide how late calls are */
    pace.pit = pit_with(&pool);
    load_begin(&pace.load, 0, option_number(argc, argv, "warm-ms", 200),
               option_number(argc, argv, "measure-ms", 1000));
    /* Timers may be a little late by default, to save power. */
    (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    double stolen_before_us = stolen_us();
    keep_schedule();
    double processors_us = (double)(now_ns() - pace.first_ns) / 1e3 *
                           (double)sysconf(_SC_NPROCESSORS_ONLN);
    double stolen = (stolen_us() - stolen_before_us) / processors_us;
    (void)snprintf(extra, sizeof extra,
                   "\"wanted_rate\":%ld,\"open_max\":%llu,\"late_p50_us\":%.2f,"
                   "\"late_p99_us\":%.2f,\"stolen\":%.4f",
                   rate, (unsigned long long)pace.open_max,
                   latency_us(&pace.lateness, 0.5), latency_us(&pace.lateness, 0.99),
                   stolen);
    load_print(&pace.load, "paced", extra);
    if (pace.load.wrong > 0) {
        give_up("paced: %llu wrong answers", (unsigned long long)pace.load.wrong);
    }
    sp_pit_close(pace.pit);
    return 0;
}
