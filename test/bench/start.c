/* SPDX-License-Identifier: MIT */
/*
 * Starting a pit: until all workers are ready, until each has answered, and to close.
 *
 *     start --workers W [--zygote 1] [--preload MODULE]
 *
 * Of the showcase's adapter. With a zygote, forking included; a module is imported before
 * the adapter.
 *
 * Prints one line of JSON for run.py, with the memory of the workers while they are idle:
 * shared pages are split among their users, and the host's share is left out.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "pit.h"

enum { WORKERS_MAX = 1000 };

static void count_reply(const sp_reply *reply, void *user_data)
{
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    --*(uint32_t *)user_data;
}

/* One call for each worker, at the same time. */
static void ask_all(sp_pit *pit, uint32_t workers)
{
    sp_error err = {0};
    uint32_t open = workers;
    for (uint32_t i = 0; i < workers; i++) {
        check(sp_call_start(pit, "add", sp_text("{\"a\":1,\"b\":2}"), NULL, count_reply,
                            &open, NULL, &err),
              &err, "call");
    }
    while (open > 0) {
        check(sp_pit_dispatch(pit, SP_UNLIMITED, &err), &err, "dispatch");
    }
}

static void weigh(sp_pit *pit, uint64_t *ret_pss, uint64_t *ret_rss)
{
    static sp_worker_info workers[WORKERS_MAX];
    sp_error err = {0};
    int count = sp_pool_workers_get(pit, NULL, workers, WORKERS_MAX, &err);
    check(count, &err, "workers");
    for (int i = 0; i < count && i < WORKERS_MAX; i++) {
        *ret_pss += shared_out_bytes(workers[i].pid);
        *ret_rss += resident_bytes(workers[i].pid);
    }
}

int main(int argc, char **argv)
{
    char value[64];
    char entry[128];
    uint64_t pss = 0;
    uint64_t rss = 0;
    uint32_t workers = (uint32_t)option_number(argc, argv, "workers", 1);
    (void)snprintf(value, sizeof value, "%d", (int)getpid());
    (void)snprintf(entry, sizeof entry, "SNAKEPIT_BENCH_RUN=%s", value);
    if (setenv("SNAKEPIT_BENCH_RUN", value, 1) != 0) {
        give_up("start: setenv: %s", strerrordesc_np(errno));
    }
    uint64_t began_ns = now_ns();
    const char *const preload[] = {option_text(argc, argv, "preload", NULL), NULL};
    sp_pool_options pool = pool_of(workers);
    pool.adapter = "showcase";
    pool.preload = preload;
    pool.zygote = option_number(argc, argv, "zygote", 0) ? SP_ZYGOTE_ON : SP_ZYGOTE_OFF;
    sp_pit *pit = pit_with(&pool);
    uint64_t ready_ns = now_ns();
    ask_all(pit, workers);
    uint64_t answered_ns = now_ns();
    int running = processes_with(entry);
    weigh(pit, &pss, &rss);
    uint64_t closing_ns = now_ns();
    sp_pit_close(pit);
    uint64_t closed_ns = now_ns();
    printf("{\"what\":\"start\",\"workers\":%u,\"ready_ms\":%.2f,\"answered_ms\":%.2f,"
           "\"close_ms\":%.2f,\"processes_running\":%d,\"processes_left\":%d,"
           "\"workers_pss\":%llu,\"workers_rss\":%llu}\n",
           workers, (double)(ready_ns - began_ns) / 1e6,
           (double)(answered_ns - began_ns) / 1e6,
           (double)(closed_ns - closing_ns) / 1e6, running, processes_with(entry),
           (unsigned long long)pss, (unsigned long long)rss);
    return 0;
}
