/* SPDX-License-Identifier: MIT */
/*
 * See pit.h. Limits are wide and times long: a benchmark measures calls, it does not try
 * what happens to those that find no room.
 */
#include "pit.h"

#include <stdlib.h>

#include "measure.h"

void check(int rc, const sp_error *err, const char *what)
{
    if (rc < 0) {
        give_up("bench: %s: %s: %s%s%s", what, sp_error_name(rc), err->message,
                err->worker_stderr != NULL ? "\n" : "",
                err->worker_stderr != NULL ? err->worker_stderr : "");
    }
}

sp_pool_options pool_of(uint32_t workers)
{
    return (sp_pool_options){
        .size = sizeof(sp_pool_options),
        .name = "bench",
        .runtime = "python",
        .adapter = getenv("BENCH_ADAPTER"),
        .python = getenv("BENCH_PYTHON"),
        .workers = workers,
        .queue_max = CALLS_MAX,
        .queue_timeout_ms = 300000,
        .call_timeout_ms = 300000,
        .startup_timeout_ms = 120000,
        .init_timeout_ms = 120000,
    };
}

sp_pit *pit_with(const sp_pool_options *pool)
{
    sp_pit *pit = NULL;
    sp_error err = {0};
    sp_pit_options options = {.size = sizeof options, .pools = pool, .pools_count = 1};
    check(sp_pit_open(&options, &pit, &err), &err, "open");
    check(sp_pit_await_ready(pit, 0, &err), &err, "await ready");
    return pit;
}

sp_pit *pit_of(uint32_t workers)
{
    sp_pool_options pool = pool_of(workers);
    return pit_with(&pool);
}

int worker_pid(sp_pit *pit)
{
    sp_worker_info worker = {0};
    sp_error err = {0};
    check(sp_pool_workers_get(pit, NULL, &worker, 1, &err), &err, "workers");
    return worker.pid;
}
