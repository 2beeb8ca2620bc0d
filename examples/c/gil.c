/* SPDX-License-Identifier: MIT */
/*
 * GIL-aware selection: ask the interpreter whether it has a global lock, then open the
 * pool whose profile suits it. With the lock threads compute one after the other, so work
 * that computes belongs into processes; without it threads do, and share what they have
 * loaded.
 *
 *     SNAKEPIT_PYTHON=python3.13t gil     another interpreter, another answer
 *
 * The first pit needs no adapter: "none" calls any importable function.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>
#include <string.h>

static const char threaded[] =
    "snakepit_bridge.adapters.threaded_showcase.ThreadedShowcaseAdapter";

/* 1 when the interpreter runs without its lock, 0 when it has one. */
static int is_free_threaded(char *runtime, size_t max, sp_error *err)
{
    sp_pool_options pool = {.size = sizeof pool, .adapter = "none", .workers = 1};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_worker_info worker;
    sp_result result = {0};
    sp_pit *pit = NULL;
    int rc = sp_pit_open(&options, &pit, err);
    if (rc == 0) {
        rc = sp_execute(pit, "sysconfig.get_config_var",
                        sp_text("[\"Py_GIL_DISABLED\"]"), NULL, &result, err);
    }
    if (rc == 0) {
        rc = strcmp(result.json, "1") == 0; /* else 0, or null in old ones */
        runtime[0] = '\0';
        if (sp_pool_workers_get(pit, NULL, &worker, 1, NULL) == 1) {
            snprintf(runtime, max, "%s", worker.runtime);
        }
    }
    sp_result_clear(&result);
    sp_pit_close(pit);
    return rc;
}

static int compute(const sp_pool_options *pool, sp_error *err)
{
    sp_pit_options options = {.size = sizeof options, .pools = pool, .pools_count = 1};
    sp_pool_stats stats;
    sp_result result = {0};
    sp_pit *pit = NULL;
    int rc = sp_pit_open(&options, &pit, err);
    if (rc == 0) {
        rc = sp_pit_await_ready(pit, 0, err);
    }
    if (rc == 0) {
        rc = sp_execute(pit, "compute_intensive", sp_text("{\"data\": [1, 2, 3]}"),
                        NULL, &result, err);
    }
    if (rc == 0) {
        rc = sp_pool_stats_get(pit, NULL, &stats, err);
    }
    if (rc == 0) {
        printf("%s\n%u worker(s), room for %u calls at once\n", result.json,
               stats.workers, stats.capacity);
    }
    sp_result_clear(&result);
    sp_pit_close(pit);
    return rc;
}

int main(void)
{
    char runtime[64];
    sp_error err = {0};
    int is_free = is_free_threaded(runtime, sizeof runtime, &err);
    sp_pool_options pool = {.size = sizeof pool,
                            .adapter = threaded,
                            .profile =
                                is_free == 1 ? SP_PROFILE_THREAD : SP_PROFILE_PROCESS,
                            .workers = is_free == 1 ? 1 : 4,
                            .threads = is_free == 1 ? 4 : 0};
    int rc = is_free;
    if (rc >= 0) {
        printf("%s, %s: %s\n", runtime,
               is_free == 1 ? "no global lock" : "a global lock",
               is_free == 1 ? "threads" : "processes");
        rc = compute(&pool, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    return rc < 0;
}
