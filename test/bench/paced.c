/* SPDX-License-Identifier: MIT */
/*
 * An open loop: calls begin on a schedule, whether earlier ones have ended or not.
 *
 *     paced --rate R [--workers W] [--warm-ms N] [--measure-ms N]
 *
 * Latency is counted from the moment a call was due, not from when this program got
 * around to it: a stall of whatever kind, here or there, is paid for by every call that
 * was due meanwhile. One thread keeps the schedule, the other one dispatches. Prints one
 * line of JSON for run.py; a call that fails, or more waiting than PACED_MAX, ends it
 * with status 1.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "measure.h"
#include "pit.h"

enum { PACED_MAX = 1 << 20 };

struct call {
    uint64_t due_ns;
    uint32_t a;
    atomic_int is_open;
};

static struct {
    sp_pit *pit;
    double rate;
    struct load load;
    struct call all[PACED_MAX]; /* the n-th call is at n modulo this */
    atomic_uint_least64_t started;
    atomic_uint_least64_t ended;
    atomic_int is_over;        /* every call of the schedule has been started */
    struct latencies lateness; /* of starting, not of answering */
} pace;

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
    atomic_store(&call->is_open, 0);
    atomic_fetch_add(&pace.ended, 1);
}

static void start_call(uint64_t n, uint64_t due_ns)
{
    struct call *call = &pace.all[n % PACED_MAX];
    sp_error err = {0};
    char args[64];
    if (atomic_exchange(&call->is_open, 1)) {
        give_up("paced: %d calls wait: the rate is too high", PACED_MAX);
    }
    call->due_ns = due_ns;
    call->a = (uint32_t)n;
    latency_add(&pace.lateness, now_ns() - due_ns);
    size_t size = put_arguments(args, call->a, 3);
    check(sp_call_start(pace.pit, "add", (sp_bytes){args, size}, NULL, on_reply, call,
                        NULL, &err),
          &err, "call");
    atomic_store(&pace.started, n + 1);
}

static void *keep_schedule(void *arg)
{
    uint64_t first_ns = now_ns();
    uint64_t n = 0;
    (void)arg;
    /* Timers may be a little late by default, to save power. */
    (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    for (;;) {
        uint64_t due_ns = first_ns + (uint64_t)((double)n * 1e9 / pace.rate);
        struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000u),
                               .tv_nsec = (long)(due_ns % 1000000000u)};
        if (due_ns >= pace.load.end_ns) {
            break;
        }
        if (due_ns > now_ns()) {
            (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
        start_call(n++, due_ns);
    }
    atomic_store(&pace.is_over, 1);
    return NULL;
}

static uint64_t dispatch_all(void)
{
    uint64_t open_max = 0;
    sp_error err = {0};
    while (!atomic_load(&pace.is_over) ||
           atomic_load(&pace.ended) < atomic_load(&pace.started)) {
        /* The last answer may have been taken before the schedule is known to be over. */
        check(sp_pit_dispatch(pace.pit, 100, &err), &err, "dispatch");
        uint64_t ended = atomic_load(&pace.ended);
        uint64_t open = atomic_load(&pace.started) - ended;
        open_max = open > open_max && open <= PACED_MAX ? open : open_max;
    }
    return open_max;
}

int main(int argc, char **argv)
{
    long rate = option_number(argc, argv, "rate", 0);
    char extra[160];
    pthread_t thread;
    if (rate < 1) {
        give_up("usage: paced --rate CALLS-A-SECOND [--workers W]");
    }
    pace.rate = (double)rate;
    sp_pool_options pool =
        pool_of((uint32_t)option_number(argc, argv, "workers", 1), "showcase");
    pool.queue_max = PACED_MAX; /* a queue that is full would hide how late calls are */
    pace.pit = pit_with(&pool);
    load_begin(&pace.load, 0, option_number(argc, argv, "warm-ms", 200),
               option_number(argc, argv, "measure-ms", 1000));
    int rc = pthread_create(&thread, NULL, keep_schedule, NULL);
    if (rc != 0) {
        give_up("paced: thread: %s", strerrordesc_np(rc));
    }
    uint64_t open_max = dispatch_all();
    (void)pthread_join(thread, NULL);
    (void)snprintf(extra, sizeof extra,
                   "\"wanted_rate\":%ld,\"open_max\":%llu,\"late_p50_us\":%.2f,"
                   "\"late_p99_us\":%.2f",
                   rate, (unsigned long long)open_max, latency_us(&pace.lateness, 0.5),
                   latency_us(&pace.lateness, 0.99));
    load_print(&pace.load, "paced", extra);
    if (pace.load.wrong > 0) {
        give_up("paced: %llu wrong answers", (unsigned long long)pace.load.wrong);
    }
    sp_pit_close(pace.pit);
    return 0;
}
