/* SPDX-License-Identifier: MIT */
/*
 * Recycling: workers are replaced when they are old, and no call notices.
 *
 * Here a worker may be 300 ms old; in earnest it is hours, or a number of calls, or a size
 * of memory. Its relief is ready before it gets no more calls. The program calls all the
 * time, and stops when three workers have been replaced, or a call fails.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

enum { REPLACED = 3 };

static void on_event(const sp_event *event, void *user_data)
{
    int *replaced = user_data;
    if (event->kind == SP_EVENT_RECYCLE_STARTED) {
        printf("%s\n", event->message);
    } else if (event->kind == SP_EVENT_WORKER_RECYCLED) {
        printf("replaced: %d\n", ++*replaced);
    }
}

int main(void)
{
    int replaced = 0;
    unsigned long long calls = 0;
    sp_pool_options pool = {.size = sizeof pool,
                            .workers = 1,
                            .recycle_after_ms = 300,
                            .recycle_jitter_permille = SP_NONE};
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = on_event,
                              .event_data = &replaced};
    sp_pool_stats stats = {0};
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open(&options, &pit, &err);
    while (rc >= 0 && replaced < REPLACED) {
        sp_result result = {0};
        rc = sp_execute(pit, "add", sp_text("{\"a\": 1, \"b\": 2}"), NULL, &result,
                        &err);
        sp_result_clear(&result);
        if (rc == 0) {
            calls++;
            rc = sp_pit_dispatch(pit, 0, &err); /* events that are due */
        }
    }
    if (rc >= 0) {
        rc = sp_pool_stats_get(pit, NULL, &stats, &err);
    }
    sp_pit_close(pit);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    } else {
        printf("%llu calls, all answered; workers died: %llu\n", calls,
               (unsigned long long)stats.workers_died);
    }
    sp_error_clear(&err);
    return rc < 0;
}
