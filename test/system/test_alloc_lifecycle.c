/* SPDX-License-Identifier: MIT */
/*
 * Every allocation fails in turn where things come and go: cancelled calls, sessions,
 * replaced workers, a pit that is shut down with calls in flight. And the same with all
 * allocations failing from one on, until the run has ended: it ends.
 */
#include <stdio.h>

#include "base/mem.h"
#include "sweep.h"

static int run_cancelled(void *arg)
{
    sp_result result = {0};
    sp_id id;
    int rc =
        sp_call_start(arg, "echo", sp_text("[1]"), NULL, NULL, NULL, &id, last_error());
    if (rc == 0) {
        (void)sp_call_cancel(arg, id, NULL);
        rc = sp_call_wait(arg, id, &result, last_error());
    }
    sp_result_clear(&result);
    return rc == SP_ERR_CANCELLED ? 0 : rc;
}

static void every_allocation_of_a_cancelled_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_cancelled, works_again, pit);
}

static int run_named(void *arg)
{
    static unsigned number;
    char name[32];
    sp_result result = {0};
    (void)snprintf(name, sizeof name, "call %u", number++);
    sp_call_options options = {.size = sizeof options,
                               .session = "one",
                               .request_id = name,
                               .dedupe_key = name,
                               .flags = SP_CALL_IDEMPOTENT};
    int rc = sp_execute(arg, "echo", sp_text("[1]"), &options, &result, last_error());
    sp_result_clear(&result);
    return rc;
}

static void every_allocation_of_a_named_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_named, works_again, pit);
}

static void all_allocations_of_a_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep_sticky(run_named, works_again, pit);
}

static int run_stream(void *arg)
{
    sp_stream *stream;
    sp_chunk chunk;
    uint64_t chunks = 0;
    int rc = sp_stream_open(arg, "count", sp_text("{\"to\":300}"), NULL, &stream,
                            last_error());
    if (rc < 0) {
        return rc;
    }
    while ((rc = sp_stream_next(stream, &chunk, last_error())) > 0) {
        assert_int_equal(chunk.index, chunks++);
    }
    assert_true(rc != 0 || chunks == 300);
    sp_stream_close(stream);
    return rc;
}

static void all_allocations_of_a_stream_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep_sticky(run_stream, works_again, pit);
}

static int run_dispatched(void *arg)
{
    int end = 1;
    int rc = sp_call_start(arg, "echo", sp_text("[1]"), NULL, note_end, &end, NULL,
                           last_error());
    return rc < 0 ? rc : await_end(arg, &end);
}

static void all_allocations_of_a_dispatched_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep_sticky(run_dispatched, works_again, pit);
}

/* ---- replacement ---- */

static int is_settled(sp_pit *pit)
{
    sp_pool_stats stats = stats_of(pit);
    while (sp_pit_dispatch(pit, 0, NULL) > 0) {
    }
    return stats.available == stats.workers && stats.draining == 0 &&
           stats.starting == 0;
}

/* The relief starts again and again until there is memory for it. */
static int run_recycle(void *arg)
{
    int rc = sp_pool_recycle(arg, NULL, 0, last_error());
    if (rc == 0) {
        rc = run_named(arg);
        UNTIL(is_settled(arg));
    }
    return rc;
}

static void settles(void *arg)
{
    sp__mem_fail_at(0, 0);
    works_again(arg);
    UNTIL(is_settled(arg));
}

static void sweep_replacement(int zygote)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    pool.zygote = zygote;
    pool.backoff_min_ms = 1;
    pool.backoff_max_ms = 2;
    pool.crashes_max = 1000000;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sweep(run_recycle, settles, pit);
}

static void every_allocation_of_a_replacement_may_fail(void **state)
{
    sweep_replacement(SP_ZYGOTE_OFF);
}

/* The zygote is replaced first, and so is one that finds no memory. */
static void every_allocation_of_a_forked_replacement_may_fail(void **state)
{
    sweep_replacement(SP_ZYGOTE_ON);
}

/* ---- shutdown ---- */

static void count_end(const sp_reply *reply, void *user_data)
{
    ++*(int *)user_data;
}

/* Opened while there is memory; then calls in flight and the shutdown. *ret_used: the
 * allocations since. */
static int run_shutdown(uint64_t fail_at, uint64_t *ret_used)
{
    int started = 0;
    int ended = 0;
    int worst = 0;
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    uint64_t before = sp__mem_calls();
    sp__mem_fail_at(fail_at, 0);
    for (int i = 0; i < 5; i++) {
        int rc = sp_call_start(pit, "echo", sp_text("[1]"), NULL, count_end, &ended,
                               NULL, last_error());
        started += rc == 0;
        worst = rc < worst ? rc : worst;
    }
    pit_release(pit);
    (void)sp_pit_shutdown(pit, patience_ms(5000), NULL);
    sp__mem_fail_at(0, 0);
    *ret_used = sp__mem_calls() - before;
    assert_int_equal(ended, started); /* each exactly once */
    sp_error_clear(last_error());
    return worst;
}

static void every_allocation_of_a_shutdown_may_fail(void **state)
{
    enum { SPARE = 3, RUNS_MAX = 500 };
    int unharmed = 0;
    int failed = 0;
    for (uint64_t n = 1; unharmed < SPARE; n++) {
        assert_true(n < RUNS_MAX);
        uint64_t used = 0;
        int rc = run_shutdown(n, &used);
        assert_true(rc == 0 || rc == SP_ERR_NOMEM);
        failed += rc == SP_ERR_NOMEM;
        unharmed = n > used ? unharmed + 1 : 0;
    }
    assert_true(failed > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_allocation_of_a_cancelled_call_may_fail),
        TEST(every_allocation_of_a_named_call_may_fail),
        TEST(all_allocations_of_a_call_may_fail),
        TEST(all_allocations_of_a_stream_may_fail),
        TEST(all_allocations_of_a_dispatched_call_may_fail),
        TEST(every_allocation_of_a_replacement_may_fail),
        TEST(every_allocation_of_a_forked_replacement_may_fail),
        TEST(every_allocation_of_a_shutdown_may_fail),
    };
    return RUN_SYSTEM_TESTS("alloc_lifecycle", tests);
}
