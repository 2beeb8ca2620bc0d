/* SPDX-License-Identifier: MIT */
/*
 * Letting one allocation after the other fail.
 *
 * A run that needed fewer allocations than the one that was to fail was not disturbed;
 * after a few of those the sweep is over. What happens in the background moves the count
 * a little, which is why one such run is not enough. It may also take each allocation
 * that was to fail, and try again without a word; then the sweep is made once more.
 */
#include "sweep.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { SPARE_RUNS = 3, RUNS_MAX = 3000, SWEEPS_MAX = 20 };

static int is_expected(int rc)
{
    return rc == 0 || rc == SP_ERR_NOMEM || rc == SP_ERR_WORKER_DIED;
}

static struct {
    unsigned runs;
    unsigned well;
    unsigned no_memory;
    unsigned died;
} swept;

static void sweep_once(run_fn run, void (*after)(void *arg), void *arg, int sticky)
{
    unsigned unharmed = 0;
    for (uint64_t n = 1; unharmed < SPARE_RUNS; n++) {
        sp__mem_fail_at(n, sticky);
        uint64_t before = sp__mem_calls();
        int rc = run(arg);
        uint64_t used = sp__mem_calls() - before;
        sp__mem_fail_at(0, 0);
        if (!is_expected(rc)) {
            fail_msg("failing allocation %llu gave %s", (unsigned long long)n,
                     sp_error_name(rc));
        }
        swept.runs++;
        swept.well += rc == 0;
        swept.no_memory += rc == SP_ERR_NOMEM;
        swept.died += rc == SP_ERR_WORKER_DIED;
        unharmed = used < n && rc == 0 ? unharmed + 1 : 0;
        assert_true(n < RUNS_MAX);
        after(arg);
    }
    print_message(
        "             %u runs: %u well, %u without memory, %u lost their worker\n",
        swept.runs, swept.well, swept.no_memory, swept.died);
}

static void sweep_mode(run_fn run, void (*after)(void *arg), void *arg, int sticky)
{
    memset(&swept, 0, sizeof swept);
    after(arg); /* what begins in the background has ended */
    for (int i = 0; i < SWEEPS_MAX && swept.no_memory == 0; i++) {
        sweep_once(run, after, arg, sticky);
    }
    assert_true(swept.no_memory > 0);
}

void sweep(run_fn run, void (*after)(void *arg), void *arg)
{
    sweep_mode(run, after, arg, 0);
}

void sweep_sticky(run_fn run, void (*after)(void *arg), void *arg)
{
    sweep_mode(run, after, arg, 1);
}

void works_again(void *arg)
{
    sp_pit *pit = arg;
    sp_result result = {0};
    sp_call_options patient = {.size = sizeof patient,
                               .flags = SP_CALL_IDEMPOTENT,
                               .queue_timeout_ms = patience_ms(20000)};
    if (sp_execute(pit, "echo", sp_text("[1]"), &patient, &result, last_error()) != 0) {
        fail_msg("the pit does not go on: %s %s", sp_error_name(last_error()->code),
                 last_error()->message);
    }
    sp_result_clear(&result);
    while (sp_pit_dispatch(pit, 0, NULL) > 0) {
    }
}

sp_pit *open_plain(void)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    return pit_open_ready(&pool, 1);
}

void note_end(const sp_reply *reply, void *user_data)
{
    *(int *)user_data = reply->error != NULL ? reply->error->code : 0;
}

int await_end(sp_pit *pit, const int *end)
{
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while (*end == 1) {
        if (leak_now_ms() > end_ms) {
            fail_msg("the call never ended");
        }
        assert_true(sp_pit_dispatch(pit, 100, NULL) >= 0);
    }
    return *end;
}
