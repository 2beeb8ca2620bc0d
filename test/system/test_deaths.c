/* SPDX-License-Identifier: MIT */
/* Every worker that ends leaves a certificate, and it tells the truth. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pits.h"

/* The last certificate of the first pool, as far as these tests look at it. */
struct noted {
    int count;
    sp_death death;
    char message[600];
    char last_lines[4000];
    char tool[64];
    char request_id[64];
    int stage;
};

static void note(const sp_death *death, void *user_data)
{
    struct noted *noted = user_data;
    noted->count++;
    noted->death = *death;
    noted->death.pool = NULL;
    noted->death.calls = NULL;
    (void)snprintf(noted->message, sizeof noted->message, "%s", death->message);
    (void)snprintf(noted->last_lines, sizeof noted->last_lines, "%s",
                   death->last_lines);
    noted->tool[0] = '\0';
    noted->request_id[0] = '\0';
    noted->stage = 0;
    if (death->calls_count > 0) {
        (void)snprintf(noted->tool, sizeof noted->tool, "%s", death->calls[0].tool);
        (void)snprintf(noted->request_id, sizeof noted->request_id, "%s",
                       death->calls[0].request_id);
        noted->stage = death->calls[0].stage;
    }
}

static struct noted last_death(sp_pit *pit)
{
    struct noted noted = {0};
    int rc = sp_pool_deaths_get(pit, NULL, note, &noted, last_error());
    assert_int_equal(rc, noted.count);
    return noted;
}

static void a_living_pool_has_no_certificates(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(last_death(pit).count, 0);
    struct noted noted;
    assert_int_equal(sp_pool_deaths_get(pit, "nowhere", note, &noted, last_error()),
                     SP_ERR_NO_POOL);
    assert_int_equal(sp_pool_deaths_get(pit, NULL, NULL, NULL, NULL), SP_ERR_INVAL);
    assert_int_equal(sp_pool_deaths_get(NULL, NULL, note, &noted, NULL), SP_ERR_INVAL);
    sp_error_clear(last_error());
}

static void an_exit_is_told_with_everything_around_it(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    int pid = worker_at(pit, 0).pid;
    (void)call(pit, "echo", "[1]", NULL);
    sp_call_options in = {.size = sizeof in, .request_id = "r-17"};
    const sp_error *error =
        call_fails(pit, "end", "[137, \"good bye\"]", &in, SP_ERR_WORKER_DIED);
    assert_int_equal(error->worker_why, SP_DEATH_CRASHED);
    assert_int_equal(error->worker_exit, 137);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
    struct noted noted = last_death(pit);
    assert_int_equal(noted.count, 1);
    assert_int_equal(noted.death.pid, pid);
    assert_int_equal(noted.death.slot, 0);
    assert_int_equal(noted.death.generation, 1);
    assert_true(noted.death.was_ready);
    /* A status is a status, whatever a shell would make of this one. */
    assert_int_equal(noted.death.why, SP_DEATH_CRASHED);
    assert_int_equal(noted.death.exit_status, 137);
    assert_int_equal(noted.death.signal, 0);
    assert_true(noted.death.oom_killed <= 0);
    assert_int_equal(noted.death.calls_total, 1);
    assert_int_equal(noted.death.calls_count, 1);
    assert_int_equal(noted.death.calls_more, 0);
    assert_string_equal(noted.tool, "end");
    assert_string_equal(noted.request_id, "r-17");
    assert_int_equal(noted.stage, SP_STAGE_STARTED);
    assert_has(noted.message, "exited with status 137");
    assert_has(noted.last_lines, "good bye");
    assert_true(noted.death.rss_peak_bytes > 1024 * 1024);
    assert_true(noted.death.ready_ms > 0 && noted.death.ready_ms <= noted.death.age_ms);
    assert_true(noted.death.time_unix_ms > 1500000000000);
}

static void a_signal_from_outside_is_not_explained(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    (void)kill(worker_at(pit, 0).pid, SIGKILL);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
    struct noted noted = last_death(pit);
    assert_int_equal(noted.death.why, SP_DEATH_KILLED);
    assert_int_equal(noted.death.signal, SIGKILL);
    assert_int_equal(noted.death.exit_status, -1);
    assert_int_equal(noted.death.calls_count, 0);
    assert_has(noted.message, "killed by SIGKILL, cause unknown");
}

static void what_broke_off_a_stream_is_told_as_such(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_stream *stream;
    sp_call_options in = {.size = sizeof in, .request_id = "s-1"};
    assert_int_equal(
        sp_stream_open(pit, "dying", sp_text("[1]"), &in, &stream, last_error()), 0);
    sp_chunk chunk;
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 1);
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), SP_ERR_WORKER_DIED);
    assert_int_equal(last_error()->worker_why, SP_DEATH_CRASHED);
    assert_int_equal(last_error()->stage, SP_STAGE_STREAMING);
    sp_stream_close(stream);
    struct noted noted = last_death(pit);
    assert_string_equal(noted.tool, "dying");
    assert_int_equal(noted.stage, SP_STAGE_STREAMING);
}

static void a_replaced_worker_has_one_too(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    struct noted noted = last_death(pit);
    assert_int_equal(noted.death.why, SP_DEATH_RECYCLED);
    assert_has(noted.message, "replaced by a fresh one");
}

static void a_start_that_failed_has_one_without_calls(void **state)
{
    sp_pool_options pool = pool_of_program("exits", "3", 1);
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 1);
    struct noted noted = last_death(pit);
    assert_false(noted.death.was_ready);
    assert_int_equal(noted.death.ready_ms, 0);
    assert_int_equal(noted.death.why, SP_DEATH_CRASHED);
    assert_has(noted.message, "before it was ready");
    assert_has(noted.last_lines, "line 30 before the end");
}

static void the_generation_counts_the_processes_of_a_slot(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    for (unsigned i = 1; i <= 3; i++) {
        (void)event_await(pit, SP_EVENT_WORKER_READY, i);
        (void)kill(worker_at(pit, 0).pid, SIGTERM);
        (void)event_await(pit, SP_EVENT_WORKER_DIED, i);
        assert_int_equal(last_death(pit).death.generation, i);
    }
}

static void only_the_last_certificates_are_kept(void **state)
{
    sp_pool_options pool = pool_of_program("exits", "3", 1);
    pool.backoff_min_ms = 1;
    pool.backoff_max_ms = 1;
    pool.crashes_max = 1000;
    pool.probe_interval_ms = 1;
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 40);
    struct noted noted = last_death(pit);
    assert_int_equal(noted.count, 32);
    assert_true(noted.death.generation >= 40);
}

/* ---- with the event ---- */

static struct {
    int count;
    int why;
    int pid;
} told;

static void on_death(const sp_event *event, void *user_data)
{
    if (event->kind == SP_EVENT_WORKER_DIED && event->death != NULL) {
        told.count++;
        told.why = event->death->why;
        told.pid = event->death->pid;
        assert_int_equal(event->pid, event->death->pid);
        assert_string_equal(event->message, event->death->message);
    } else if (event->kind != SP_EVENT_WORKER_STOPPED) {
        assert_null(event->death);
    }
}

static void the_event_brings_the_certificate(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    sp_pit_options options = {
        .size = sizeof options, .pools = &pool, .pools_count = 1, .on_event = on_death};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    pit_adopt(pit);
    assert_int_equal(sp_pit_await_ready(pit, 0, last_error()), 0);
    int pid = worker_at(pit, 0).pid;
    memset(&told, 0, sizeof told);
    (void)kill(pid, SIGKILL);
    while (told.count == 0) {
        assert_true(sp_pit_dispatch(pit, SP_UNLIMITED, last_error()) >= 0);
    }
    assert_int_equal(told.why, SP_DEATH_KILLED);
    assert_int_equal(told.pid, pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_living_pool_has_no_certificates),
        TEST(an_exit_is_told_with_everything_around_it),
        TEST(a_signal_from_outside_is_not_explained),
        TEST(what_broke_off_a_stream_is_told_as_such),
        TEST(a_replaced_worker_has_one_too),
        TEST(a_start_that_failed_has_one_without_calls),
        TEST(the_generation_counts_the_processes_of_a_slot),
        TEST(only_the_last_certificates_are_kept),
        TEST(the_event_brings_the_certificate),
    };
    return RUN_SYSTEM_TESTS("deaths", tests);
}
