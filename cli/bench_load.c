/* SPDX-License-Identifier: MIT */
/*
 * The calls of `snakepit bench`, in three ways.
 *
 * In flight: the main thread dispatches, and each answer starts the next call. Threads:
 * each calls and waits. Rate: a thread starts calls on a schedule while the main thread
 * dispatches, and a call's time begins when it was due, not when this program got around
 * to it, so that a stall is paid for by every call that was due meanwhile.
 *
 * The load ends with the plan and the last answer. An interrupt ends it at once: calls
 * that are under way then end when the pit is closed, and find the load still there.
 */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum {
    SLICE_MS = 200, /* how soon an interrupt and the progress line show */
    TIMER_SLACK_NS = 1000
};

struct call {
    struct bench_load *load;
    uint64_t from_ns; /* begun, or due */
    atomic_int is_open;
};

struct bench_load {
    struct bench_target target;
    struct bench_meter *meter;
    atomic_uint open;
    atomic_int is_over; /* no more calls shall begin */
    uint64_t shown_ns;  /* the progress line, and what had ended then */
    uint64_t shown_ended;
    pthread_cond_t ended; /* the last thread, under the meter's lock */
    uint32_t threads_left;
    struct call *calls;
    uint32_t calls_count;
};

static void show(struct bench_load *load)
{
    struct bench_meter *meter = load->meter;
    uint64_t now_ns = clock_ns();
    if (now_ns - load->shown_ns < SLICE_MS * 1000000u) {
        return;
    }
    (void)pthread_mutex_lock(&meter->lock);
    uint64_t ended = meter->ended;
    (void)pthread_mutex_unlock(&meter->lock);
    double rate =
        (double)(ended - load->shown_ended) * 1e9 / (double)(now_ns - load->shown_ns);
    if (now_ns < meter->begin_ns) {
        progress("warming up: %.0f calls/s", rate);
    } else if (now_ns < meter->end_ns) {
        uint64_t at =
            (now_ns - meter->begin_ns) / (meter->plan->duration_ms * 1000000u);
        progress("repetition %llu of %u: %.0f calls/s", (unsigned long long)at + 1,
                 meter->plan->repetitions, rate);
    } else {
        progress("waiting for the last answers");
    }
    load->shown_ns = now_ns;
    load->shown_ended = ended;
}

/* Dispatch until `is_done` says so, or an interrupt comes; 0 or an exit code. */
static int dispatch(struct bench_load *load, int (*is_done)(struct bench_load *load))
{
    sp_error err = {0};
    while (!is_done(load)) {
        if (watch_interrupted()) {
            atomic_store(&load->is_over, 1);
            return CODE_INTERRUPTED;
        }
        if (sp_pit_dispatch(load->target.pit, SLICE_MS, &err) < 0) {
            int code = report(&err);
            sp_error_clear(&err);
            return code;
        }
        show(load);
    }
    return CODE_OK;
}

/* --- In flight ----------------------------------------------------------------------- */

static void start_next(struct call *call);

static void reply_cb(const sp_reply *reply, void *user_data)
{
    struct call *call = user_data;
    struct bench_load *load = call->load;
    uint64_t now_ns = clock_ns();
    bench_meter_add(load->meter, call->from_ns, now_ns, now_ns, reply->result,
                    reply->error);
    atomic_fetch_sub(&load->open, 1);
    if (now_ns < load->meter->end_ns && !atomic_load(&load->is_over)) {
        call->from_ns = now_ns;
        start_next(call);
    }
}

/* A call that is refused at once is a failure, and the end of its line. */
static void start_next(struct call *call)
{
    struct bench_load *load = call->load;
    sp_error err = {0};
    atomic_fetch_add(&load->open, 1);
    if (sp_call_start(load->target.pit, load->target.tool, load->target.args,
                      &load->target.options, reply_cb, call, NULL, &err) < 0) {
        uint64_t now_ns = clock_ns();
        bench_meter_add(load->meter, call->from_ns, now_ns, now_ns, NULL, &err);
        atomic_fetch_sub(&load->open, 1);
        sp_error_clear(&err);
    }
}

static int are_all_answered(struct bench_load *load)
{
    return atomic_load(&load->open) == 0;
}

static int run_in_flight(struct bench_load *load)
{
    for (uint32_t i = 0; i < load->calls_count; i++) {
        load->calls[i].from_ns = clock_ns();
        start_next(&load->calls[i]);
    }
    return dispatch(load, are_all_answered);
}

/* --- Threads ------------------------------------------------------------------------- */

static int interrupted_cb(void *unused)
{
    (void)unused;
    return watch_interrupted();
}

static void *call_on(void *arg)
{
    struct bench_load *load = arg;
    sp_call_options options = load->target.options;
    uint64_t now_ns = clock_ns();
    options.interrupt = interrupted_cb;
    while (now_ns < load->meter->end_ns && !atomic_load(&load->is_over) &&
           !watch_interrupted()) {
        sp_result result = {0};
        sp_error err = {0};
        uint64_t from_ns = now_ns;
        int rc = sp_execute(load->target.pit, load->target.tool, load->target.args,
                            &options, &result, &err);
        now_ns = clock_ns();
        bench_meter_add(load->meter, from_ns, now_ns, now_ns, rc < 0 ? NULL : &result,
                        rc < 0 ? &err : NULL);
        sp_result_clear(&result);
        sp_error_clear(&err);
    }
    (void)pthread_mutex_lock(&load->meter->lock);
    load->threads_left--;
    (void)pthread_cond_signal(&load->ended);
    (void)pthread_mutex_unlock(&load->meter->lock);
    return NULL;
}

/* Sleep until the last thread ends; the progress line moves meanwhile. */
static void await_threads(struct bench_load *load)
{
    int is_over = 0;
    while (!is_over) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += SLICE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_mutex_lock(&load->meter->lock);
        if (load->threads_left > 0) {
            (void)pthread_cond_timedwait(&load->ended, &load->meter->lock, &until);
        }
        is_over = load->threads_left == 0;
        (void)pthread_mutex_unlock(&load->meter->lock);
        show(load);
    }
}

static int run_threads(struct bench_load *load)
{
    uint32_t count = load->meter->plan->count;
    pthread_t *threads = need(calloc(count, sizeof *threads));
    uint32_t started = 0;
    int rc = 0;
    load->threads_left = count;
    while (rc == 0 && started < count) {
        rc = pthread_create(&threads[started], NULL, call_on, load);
        started += rc == 0;
    }
    if (rc != 0) {
        atomic_store(&load->is_over, 1);
        (void)pthread_mutex_lock(&load->meter->lock);
        load->threads_left -= count - started;
        (void)pthread_mutex_unlock(&load->meter->lock);
    }
    await_threads(load);
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    free(threads);
    if (rc != 0) {
        return complain(CODE_UNREACHABLE, "no thread %u: %s", started + 1,
                        strerror(rc));
    }
    return watch_interrupted() ? CODE_INTERRUPTED : CODE_OK;
}

/* --- Rate ---------------------------------------------------------------------------- */

static void paced_cb(const sp_reply *reply, void *user_data)
{
    struct call *call = user_data;
    struct bench_load *load = call->load;
    bench_meter_add(load->meter, call->from_ns, clock_ns(), call->from_ns,
                    reply->result, reply->error);
    atomic_store(&call->is_open, 0);
    atomic_fetch_sub(&load->open, 1);
}

static void start_due(struct bench_load *load, struct call *call, uint64_t due_ns)
{
    sp_error err = {0};
    if (atomic_exchange(&call->is_open, 1)) {
        (void)pthread_mutex_lock(&load->meter->lock);
        load->meter->missed++;
        (void)pthread_mutex_unlock(&load->meter->lock);
        return;
    }
    call->from_ns = due_ns;
    atomic_fetch_add(&load->open, 1);
    if (sp_call_start(load->target.pit, load->target.tool, load->target.args,
                      &load->target.options, paced_cb, call, NULL, &err) < 0) {
        bench_meter_add(load->meter, due_ns, clock_ns(), due_ns, NULL, &err);
        atomic_store(&call->is_open, 0);
        atomic_fetch_sub(&load->open, 1);
        sp_error_clear(&err);
    }
}

static void *keep_schedule(void *arg)
{
    struct bench_load *load = arg;
    const struct bench_plan *plan = load->meter->plan;
    uint64_t first_ns = load->meter->begin_ns - plan->warm_up_ms * 1000000u;
    /* Timers may be a little late by default, to save power. */
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0UL, 0UL, 0UL);
    for (uint64_t n = 0; !atomic_load(&load->is_over); n++) {
        uint64_t due_ns = first_ns + (uint64_t)((double)n * 1e9 / plan->rate);
        struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000u),
                               .tv_nsec = (long)(due_ns % 1000000000u)};
        if (due_ns >= load->meter->end_ns) {
            break;
        }
        while (due_ns > clock_ns() && !watch_interrupted()) {
            (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
        start_due(load, &load->calls[n % load->calls_count], due_ns);
    }
    atomic_store(&load->is_over, 1);
    return NULL;
}

static int is_schedule_done(struct bench_load *load)
{
    return atomic_load(&load->is_over) && are_all_answered(load);
}

static int run_rate(struct bench_load *load)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, keep_schedule, load);
    if (rc != 0) {
        return complain(CODE_UNREACHABLE, "no thread for the schedule: %s",
                        strerror(rc));
    }
    int code = dispatch(load, is_schedule_done);
    atomic_store(&load->is_over, 1);
    (void)pthread_join(thread, NULL);
    return code;
}

/* --- All ----------------------------------------------------------------------------- */

int bench_load_run(const struct bench_target *target, struct bench_meter *meter,
                   struct bench_load **ret_load)
{
    const struct bench_plan *plan = meter->plan;
    struct bench_load *load = need(calloc(1, sizeof *load));
    *ret_load = load;
    load->target = *target;
    load->meter = meter;
    (void)pthread_cond_init(&load->ended, NULL); /* a plain one cannot fail */
    load->calls_count = plan->mode == BENCH_IN_FLIGHT ? plan->count
                        : plan->mode == BENCH_RATE    ? BENCH_CALLS_MAX
                                                      : 0;
    load->calls = need(calloc(load->calls_count + 1, sizeof *load->calls));
    for (uint32_t i = 0; i < load->calls_count; i++) {
        load->calls[i].load = load;
    }
    bench_meter_begin(meter);
    load->shown_ns = clock_ns();
    int code = plan->mode == BENCH_IN_FLIGHT ? run_in_flight(load)
               : plan->mode == BENCH_THREADS ? run_threads(load)
                                             : run_rate(load);
    progress_erase();
    return code;
}

void bench_load_free(struct bench_load *load)
{
    if (load != NULL) {
        (void)pthread_cond_destroy(&load->ended);
        free(load->calls);
        free(load);
    }
}
