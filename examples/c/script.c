/* SPDX-License-Identifier: MIT */
/*
 * A script: the pool is ready before the function runs, and every process is gone after
 * it, whatever happened in it.
 *
 * The function notes who the workers are; main() then asks the kernel for them.
 */
#include <errno.h>
#include <signal.h>
#include <snakepit/snakepit.h>
#include <stdio.h>

enum { WORKERS = 4 };

struct seen {
    int pids[WORKERS];
    int count;
};

static int script(sp_pit *pit, void *user_data)
{
    struct seen *seen = user_data;
    sp_worker_info workers[WORKERS];
    sp_result result = {0};
    sp_error err = {0};
    seen->count = sp_pool_workers_get(pit, NULL, workers, WORKERS, &err);
    for (int i = 0; i < seen->count && i < WORKERS; i++) {
        seen->pids[i] = workers[i].pid;
        printf("worker %d: %s, ready after %llu ms\n", i, workers[i].runtime,
               (unsigned long long)workers[i].ready_ms);
    }
    int rc = sp_execute(pit, "compute", sp_text("{\"operation\": \"sqrt\", \"a\": 2}"),
                        NULL, &result, &err);
    printf("%s\n", rc == 0 ? result.json : err.message);
    sp_result_clear(&result);
    sp_error_clear(&err);
    return rc == 0 ? 0 : 1; /* becomes the result of sp_run_as_script() */
}

int main(void)
{
    sp_pool_options pool = {.size = sizeof pool, .workers = WORKERS};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    struct seen seen = {0};
    sp_error err = {0};
    int rc = sp_run_as_script(&options, 0, script, &seen, &err);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    int left = 0;
    for (int i = 0; i < seen.count && i < WORKERS; i++) {
        left += kill(seen.pids[i], 0) == 0 || errno != ESRCH;
    }
    printf("%d of %d worker processes are left\n", left, seen.count);
    sp_error_clear(&err);
    return rc == 0 && left == 0 ? 0 : 1;
}
