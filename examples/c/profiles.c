/* SPDX-License-Identifier: MIT */
/*
 * Process against thread: the same four calls, at the same time, in four processes and
 * in four threads of one.
 *
 *     profiles [FILE]    FILE is examples/adapters/waiting.py, whose tool says where it ran
 *
 * Processes need more memory and stop at nothing: a crash costs one call. Threads share
 * what is loaded, and a global lock where the interpreter has one.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

enum { CALLS = 4 };

static unsigned long long resident_mib(sp_pit *pit, const char *pool)
{
    sp_worker_info workers[CALLS];
    unsigned long long bytes = 0;
    int count = sp_pool_workers_get(pit, pool, workers, CALLS, NULL);
    for (int i = 0; i < count && i < CALLS; i++) {
        bytes += workers[i].rss_bytes;
    }
    return bytes / 1024 / 1024;
}

/* How many different processes answered. */
static int count_processes(const sp_result *results)
{
    int count = 0;
    for (int i = 0; i < CALLS; i++) {
        int is_new = 1;
        for (int j = 0; j < i; j++) {
            is_new = is_new && results[j].worker_pid != results[i].worker_pid;
        }
        count += is_new;
    }
    return count;
}

static int try_pool(sp_pit *pit, const char *pool, sp_error *err)
{
    sp_bytes args[CALLS];
    sp_result results[CALLS] = {0};
    sp_call_options call = {.size = sizeof call, .pool = pool};
    sp_map_options options = {
        .size = sizeof options, .call = &call, .in_flight_max = CALLS};
    for (int i = 0; i < CALLS; i++) {
        args[i] = sp_text("{\"seconds\": 0.3}");
    }
    int rc = sp_execute_many(pit, "wait", args, CALLS, &options, results, NULL, err);
    if (rc >= 0) {
        printf("%s: %d calls, processes: %d, memory: %llu MiB\n", pool, rc,
               count_processes(results), resident_mib(pit, pool));
    }
    for (int i = 0; i < CALLS; i++) {
        sp_result_clear(&results[i]);
    }
    return rc;
}

int main(int argc, char **argv)
{
    const char *adapter = argc > 1 ? argv[1] : "examples/adapters/waiting.py";
    sp_pool_options pools[] = {
        {.size = sizeof pools[0],
         .name = "processes",
         .adapter = adapter,
         .workers = CALLS},
        {.size = sizeof pools[0],
         .name = "threads",
         .adapter = adapter,
         .workers = 1,
         .profile = SP_PROFILE_THREAD,
         .threads = CALLS},
    };
    sp_pit_options options = {.size = sizeof options,
                              .pools = pools,
                              .pools_count = 2,
                              .sample_interval_ms = 100};
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open(&options, &pit, &err);
    if (rc == 0) {
        rc = sp_pit_await_ready(pit, 0, &err);
    }
    for (int i = 0; rc >= 0 && i < 2; i++) {
        rc = try_pool(pit, pools[i].name, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc < 0;
}
