/* SPDX-License-Identifier: MIT */
/*
 * Telemetry: what a pit says of itself, as events and as figures.
 *
 * Handlers are attached to events by name or prefix; each has a thread of its own, so a
 * slow one slows no call. Here one measures calls, as a program would feed its metrics,
 * and one alerts when a worker dies. snakepit-events(7) lists all events. The figures of
 * a pool are there whenever they are asked for.
 */
#include <pthread.h>
#include <snakepit/snakepit.h>
#include <stdio.h>
#include <string.h>

enum { CALLS = 50 };

/* Written by the handlers' threads. */
struct monitor {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int executed;
    double executed_us;
    int died;
    int replaced;
};

static double measurement(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->measurements_count; i++) {
        if (strcmp(event->measurements[i].name, name) == 0) {
            return event->measurements[i].value;
        }
    }
    return 0;
}

static void on_request(const sp_event *event, void *user_data)
{
    struct monitor *monitor = user_data;
    pthread_mutex_lock(&monitor->mutex);
    monitor->executed++;
    monitor->executed_us += measurement(event, "duration_us");
    pthread_cond_signal(&monitor->changed);
    pthread_mutex_unlock(&monitor->mutex);
}

static void on_worker(const sp_event *event, void *user_data)
{
    struct monitor *monitor = user_data;
    if (event->kind == SP_EVENT_WORKER_DIED) {
        printf("alert: %s\n", event->message);
    }
    pthread_mutex_lock(&monitor->mutex);
    monitor->died += event->kind == SP_EVENT_WORKER_DIED;
    monitor->replaced += event->kind == SP_EVENT_WORKER_READY && monitor->died > 0;
    pthread_cond_signal(&monitor->changed);
    pthread_mutex_unlock(&monitor->mutex);
}

static void wait_for(struct monitor *monitor, const int *count, int wanted)
{
    pthread_mutex_lock(&monitor->mutex);
    while (*count < wanted) {
        pthread_cond_wait(&monitor->changed, &monitor->mutex);
    }
    pthread_mutex_unlock(&monitor->mutex);
}

static int call(sp_pit *pit, const char *tool, const char *args, sp_error *err)
{
    sp_result result = {0};
    int rc = sp_execute(pit, tool, sp_text(args), NULL, &result, err);
    sp_result_clear(&result);
    return rc;
}

/* Calls that go well, and one that ends its worker. */
static int work(sp_pit *pit, struct monitor *monitor, sp_error *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < CALLS; i++) {
        rc = call(pit, "math.factorial", "[200]", err);
    }
    if (rc < 0) {
        return rc;
    }
    wait_for(monitor, &monitor->executed, CALLS);
    printf("%d calls, %.0f us each on average\n", CALLS, monitor->executed_us / CALLS);
    (void)call(pit, "os._exit", "[3]", NULL);
    wait_for(monitor, &monitor->replaced, 1);
    return 0;
}

static int show_figures(sp_pit *pit, sp_error *err)
{
    sp_events_stats events = {.size = sizeof events};
    sp_pool_stats stats;
    int rc = sp_pool_stats_get(pit, NULL, &stats, err);
    if (rc == 0) {
        rc = sp_events_stats_get(pit, 0, &events, err);
    }
    if (rc == 0) {
        printf("requests %llu, errors %llu, workers died %llu, queue peak %u of %u\n"
               "events dropped: %llu\n",
               (unsigned long long)stats.requests, (unsigned long long)stats.errors,
               (unsigned long long)stats.workers_died, stats.queued_peak,
               stats.queue_max, (unsigned long long)events.dropped);
    }
    return rc;
}

int main(void)
{
    struct monitor monitor = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    sp_pool_options pool = {.size = sizeof pool, .adapter = "none", .workers = 2};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open(&options, &pit, &err);
    if (rc == 0) {
        rc = sp_pit_await_ready(pit, 0, &err);
    }
    if (rc == 0) {
        rc =
            sp_events_attach(pit, "request.executed", on_request, &monitor, NULL, &err);
    }
    if (rc == 0) {
        rc = sp_events_attach(pit, "worker.", on_worker, &monitor, NULL, &err);
    }
    if (rc == 0) {
        rc = work(pit, &monitor, &err);
    }
    if (rc == 0) {
        rc = show_figures(pit, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc < 0;
}
