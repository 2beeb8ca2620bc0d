/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the call path fails once, the first, the second, the third ...,
 * until a run needs none that fails. Each run ends, well or with SP_ERR_NOMEM; after it
 * the pit works; after all of them nothing has leaked.
 *
 * The failing allocation may be one of the caller's thread or of the loop's. What a
 * worker's connection cannot do without memory breaks that connection: the call on it
 * may then end as one whose worker died, and the worker is replaced.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sweep.h"

static int run_execute(void *arg)
{
    sp_result result = {0};
    int rc = sp_execute(arg, "echo", sp_text("{\"a\":[1,2,3]}"), NULL, &result,
                        last_error());
    assert_int_equal(last_error()->code, rc);
    if (rc == 0) {
        assert_string_equal(result.json, "{\"a\":[1,2,3]}");
    }
    sp_result_clear(&result);
    return rc;
}

static void every_allocation_of_a_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_execute, works_again, pit);
}

static int run_execute_session(void *arg)
{
    static unsigned number;
    char session[32];
    sp_result result = {0};
    (void)snprintf(session, sizeof session, "session %u",
                   number++); /* a new one each */
    int rc = sp_execute_in_session(arg, session, "echo", sp_text("[1]"), NULL, &result,
                                   last_error());
    sp_result_clear(&result);
    return rc;
}

static void every_allocation_of_a_call_in_a_session_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_execute_session, works_again, pit);
}

static int run_failing_call(void *arg)
{
    sp_result result = {0};
    int rc = sp_execute(arg, "fail", sp_text(""), NULL, &result, last_error());
    sp_result_clear(&result);
    assert_int_not_equal(rc, 0);
    return rc == SP_ERR_REMOTE ? 0 : rc;
}

static void every_allocation_of_a_failing_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_failing_call, works_again, pit);
}

static int run_start_and_wait(void *arg)
{
    sp_result result = {0};
    sp_id id;
    int rc =
        sp_call_start(arg, "echo", sp_text("[1]"), NULL, NULL, NULL, &id, last_error());
    if (rc == 0) {
        rc = sp_call_wait(arg, id, &result, last_error());
    }
    sp_result_clear(&result);
    return rc;
}

static void every_allocation_of_a_started_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_start_and_wait, works_again, pit);
}

static int run_dispatched(void *arg)
{
    int end = 1;
    int rc = sp_call_start(arg, "echo", sp_text("[1]"), NULL, note_end, &end, NULL,
                           last_error());
    return rc < 0 ? rc : await_end(arg, &end);
}

static void every_allocation_of_a_dispatched_call_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_dispatched, works_again, pit);
}

static int run_stream(void *arg)
{
    sp_stream *stream;
    sp_chunk chunk;
    int rc = sp_stream_open(arg, "count", sp_text("{\"to\":300}"), NULL, &stream,
                            last_error());
    if (rc < 0) {
        return rc;
    }
    uint64_t chunks = 0;
    while ((rc = sp_stream_next(stream, &chunk, last_error())) > 0) {
        assert_int_equal(chunk.index, chunks++);
    }
    assert_true(rc != 0 || chunks == 300);
    sp_stream_close(stream);
    return rc;
}

static void every_allocation_of_a_stream_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_stream, works_again, pit);
}

static int ignore_chunk(const sp_chunk *chunk, void *user_data)
{
    return 0;
}

static int run_dispatched_stream(void *arg)
{
    int end = 1;
    int rc = sp_stream_start(arg, "count", sp_text("{\"to\":300}"), NULL, ignore_chunk,
                             note_end, &end, NULL, last_error());
    return rc < 0 ? rc : await_end(arg, &end);
}

static void every_allocation_of_a_dispatched_stream_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_dispatched_stream, works_again, pit);
}

static int run_cancelled_stream(void *arg)
{
    sp_stream *stream;
    sp_chunk chunk;
    int rc = sp_stream_open(arg, "count", sp_text("{\"to\":1000000000}"), NULL, &stream,
                            last_error());
    if (rc < 0) {
        return rc;
    }
    rc = sp_stream_next(stream, &chunk, last_error());
    sp_stream_close(stream);
    return rc > 0 ? 0 : rc;
}

static void every_allocation_of_a_cancelled_stream_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_cancelled_stream, works_again, pit);
}

static int run_questions(void *arg)
{
    sp_pool_stats stats;
    sp_worker_info workers[2];
    int rc = sp_pool_stats_get(arg, NULL, &stats, NULL);
    if (rc >= 0) {
        rc = sp_pool_workers_get(arg, NULL, workers, 2, NULL);
    }
    if (rc >= 0) {
        rc = sp_pool_tools_get(arg, NULL, NULL, NULL, NULL);
    }
    return rc > 0 ? 0 : rc;
}

static void every_allocation_of_a_question_may_fail(void **state)
{
    sp_pit *pit = open_plain();
    sweep(run_questions, works_again, pit);
}

/* ---- opening ---- */

static void nothing(void *arg)
{
}

/* The whole life of a pit. A start that finds no memory is tried again, so that a pit
 * that opened becomes ready all the same. */
static int run_open(void *arg)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 2);
    pool.zygote = *(const int *)arg;
    pool.backoff_min_ms = pool.backoff_max_ms = 1;
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record};
    int64_t before = sp__mem_live();
    sp_pit *pit = NULL;
    int rc = sp_pit_open(&options, &pit, last_error());
    assert_int_equal(last_error()->code, rc);
    if (rc == 0) {
        pit_adopt(pit);
        rc = sp_pit_await_ready(pit, patience_ms(20000), last_error());
        if (rc != 0 && rc != SP_ERR_NOMEM) {
            fail_msg("opened but not ready: %s", last_error()->message);
        }
        pit_close(pit);
    }
    sp_error_clear(last_error());
    assert_int_equal(sp__mem_live(), before);
    return rc;
}

static void sweep_opening(int zygote)
{
    extern char **environ;
    char **all = environ;
    /* An environment of a hundred variables would be a hundred runs that say nothing. */
    static char path[] = "PATH=/usr/bin:/bin";
    static char guard[] = "SNAKEPIT_GUARD=" TEST_BUILD "/guard/snakepit-guard";
    static char mark[128];
    (void)snprintf(mark, sizeof mark, "SNAKEPIT_TEST_MARK=%s", leak_mark());
    char *few[] = {path, guard, mark, NULL};
    environ = few;
    sweep(run_open, nothing, &zygote);
    environ = all;
}

static void every_allocation_of_opening_may_fail(void **state)
{
    sweep_opening(SP_ZYGOTE_OFF);
}

static void every_allocation_of_opening_with_a_zygote_may_fail(void **state)
{
    sweep_opening(SP_ZYGOTE_ON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_allocation_of_a_call_may_fail),
        TEST(every_allocation_of_a_call_in_a_session_may_fail),
        TEST(every_allocation_of_a_failing_call_may_fail),
        TEST(every_allocation_of_a_started_call_may_fail),
        TEST(every_allocation_of_a_dispatched_call_may_fail),
        TEST(every_allocation_of_a_stream_may_fail),
        TEST(every_allocation_of_a_dispatched_stream_may_fail),
        TEST(every_allocation_of_a_cancelled_stream_may_fail),
        TEST(every_allocation_of_a_question_may_fail),
        TEST(every_allocation_of_opening_may_fail),
        TEST(every_allocation_of_opening_with_a_zygote_may_fail),
    };
    return RUN_SYSTEM_TESTS("alloc_sweep", tests);
}
