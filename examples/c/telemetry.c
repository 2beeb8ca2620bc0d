/* SPDX-License-Identifier: MIT */
/*
 * Telemetry: what a pit says of itself, as events and as figures.
 *
 * Events come through the callback of the pit's options, inside sp_pit_dispatch(), on
 * this thread: counted here, by name, as a program would feed its own metrics. The
 * figures of a call come with its result, those of a pool when they are asked for.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

enum { KINDS_MAX = 64, CALLS = 50 };

struct seen {
    int count[KINDS_MAX];
    int is_up; /* the pool is ready */
    int done;  /* a worker that died has been replaced */
};

static void on_event(const sp_event *event, void *user_data)
{
    struct seen *seen = user_data;
    if (event->kind > 0 && event->kind < KINDS_MAX) {
        seen->count[event->kind]++;
    }
    if (event->kind == SP_EVENT_WORKER_DIED) {
        printf("alert: %s\n", event->message);
    }
    seen->is_up = seen->is_up || event->kind == SP_EVENT_POOL_READY;
    seen->done = seen->done || (event->kind == SP_EVENT_WORKER_READY &&
                                seen->count[SP_EVENT_WORKER_DIED] > 0);
}

/* How long calls waited and ran: what a histogram would be fed with. */
static int measure(sp_pit *pit, sp_error *err)
{
    uint64_t queued_us = 0;
    uint64_t run_us = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < CALLS; i++) {
        sp_result result = {0};
        rc = sp_execute(pit, "math.factorial", sp_text("[200]"), NULL, &result, err);
        queued_us += result.queued_us;
        run_us += result.run_us;
        sp_result_clear(&result);
    }
    if (rc == 0) {
        printf("%d calls: %llu us in the queue and %llu us of running on average\n",
               CALLS, (unsigned long long)queued_us / CALLS,
               (unsigned long long)run_us / CALLS);
    }
    return rc;
}

/* Run callbacks until one of them has set `until`. */
static int watch(sp_pit *pit, const int *until, sp_error *err)
{
    int rc = 0;
    while (rc >= 0 && !*until) {
        rc = sp_pit_dispatch(pit, SP_UNLIMITED, err);
    }
    return rc < 0 ? rc : 0;
}

static int show_figures(sp_pit *pit, const struct seen *seen, sp_error *err)
{
    sp_pool_stats stats;
    int rc = sp_pool_stats_get(pit, NULL, &stats, err);
    if (rc < 0) {
        return rc;
    }
    for (int kind = 1; kind < KINDS_MAX; kind++) {
        if (seen->count[kind] > 0) {
            printf("event %s: %d\n", sp_event_name(kind), seen->count[kind]);
        }
    }
    printf("requests %llu, errors %llu, workers died %llu, queue peak %u of %u\n",
           (unsigned long long)stats.requests, (unsigned long long)stats.errors,
           (unsigned long long)stats.workers_died, stats.queued_peak, stats.queue_max);
    return 0;
}

int main(void)
{
    struct seen seen = {0};
    sp_pool_options pool = {.size = sizeof pool, .adapter = "none", .workers = 2};
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = on_event,
                              .event_data = &seen};
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open(&options, &pit, &err);
    if (rc == 0) {
        rc = watch(pit, &seen.is_up, &err);
    }
    if (rc == 0) {
        rc = measure(pit, &err);
    }
    if (rc == 0) { /* something to be alarmed by: a worker ends itself */
        sp_result none = {0};
        (void)sp_execute(pit, "os._exit", sp_text("[3]"), NULL, &none, NULL);
        sp_result_clear(&none);
        rc = watch(pit, &seen.done, &err);
    }
    if (rc == 0) {
        rc = show_figures(pit, &seen, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc < 0;
}
