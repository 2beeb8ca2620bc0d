/* SPDX-License-Identifier: MIT */
/*
 * Levels of orphan-safety as a program sees them: what was reached, what is required, and
 * that calls, deaths and replacement go on inside a PID namespace. That nothing survives
 * is test/orphans's to show.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pits.h"
#include "processes.h"

static sp_pit *pit_at(int level, int require, sp_error *err)
{
    sp_pit *pit = NULL;
    sp_pool_options pool = pool_of_probes(1);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record,
                              .guard_level = level,
                              .guard_require = require};
    if (sp_pit_open(&options, &pit, err) == 0) {
        pit_adopt(pit);
    }
    return pit;
}

static void the_reached_level_is_told(void **state)
{
    sp_error err = {0};
    sp_safety safety;
    (void)state;
    sp_pit *pit = pit_at(SP_SAFETY_DEFAULT, SP_SAFETY_SUBREAPER, &err);
    assert_non_null(pit);
    assert_int_equal(sp_pit_safety(pit, &safety, &err), 0);
    assert_int_equal(safety.wished, SP_SAFETY_CGROUP);
    if (safety.level == SP_SAFETY_CGROUP) {
        assert_string_equal(safety.text, "cgroup");
    } else { /* this user may make no control group */
        assert_int_equal(safety.level, SP_SAFETY_SUBREAPER);
        assert_has(safety.text, "subreaper (no cgroup: ");
    }
    assert_true(safety.guard_pid > 1 && safety.inner_pid == 0);
    const char *told = event_await(pit, SP_EVENT_GUARD_READY, 1)->message;
    assert_has(told, "orphan-safety: ");
    assert_has(told, safety.text);
    assert_int_equal(sp_pit_safety(pit, NULL, &err), SP_ERR_INVAL);
    sp_error_clear(&err);
}

static void a_level_below_the_requirement_keeps_the_pit_closed(void **state)
{
    sp_error err = {0};
    (void)state;
    assert_null(pit_at(SP_SAFETY_LIFELINE, SP_SAFETY_SUBREAPER, &err));
    assert_int_equal(err.code, SP_ERR_GUARD);
    assert_has(err.message, "subreaper is required");
    assert_has(err.message, "lifeline");
    assert_null(pit_at(77, SP_SAFETY_DEFAULT, &err));
    assert_int_equal(err.code, SP_ERR_CONFIG);
    sp_error_clear(&err);
}

/* The whole of a worker's life, and of its guard's. */
static void a_pit_works_in_a_namespace(void **state)
{
    sp_error err = {0};
    sp_safety safety;
    (void)state;
    sp_pit *pit = pit_at(SP_SAFETY_NAMESPACE, SP_SAFETY_DEFAULT, &err);
    assert_non_null(pit);
    assert_int_equal(sp_pit_safety(pit, &safety, &err), 0);
    if (safety.level != SP_SAFETY_NAMESPACE) {
        print_message("no namespace here: %s\n", safety.text);
        assert_has(safety.text, "(no namespace: ");
    }
    assert_int_equal(sp_pit_await_ready(pit, 0, &err), 0);
    call_gives(pit, "add", "[1, 2]", "3");
    int pid = worker_at(pit, 0).pid;
    assert_true(processes_exists(pid));
    (void)call_fails(pit, "crash", "", NULL, SP_ERR_WORKER_DIED);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    call_gives(pit, "add", "[1, 2]", "3");
    assert_int_equal(
        kill(safety.inner_pid != 0 ? safety.inner_pid : safety.guard_pid, SIGKILL), 0);
    (void)event_await(pit, SP_EVENT_GUARD_READY, 2);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 3);
    call_gives(pit, "add", "[1, 2]", "3");
    assert_false(processes_exists(pid));
}

static void a_worker_over_its_memory_dies_of_it(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    (void)state;
    pool.limit_memory_bytes = 96ull << 20;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 1); /* and any warning before it */
    const sp_error *err = call_fails(
        pit, "grow", "[1000]", NULL,
        event_count(SP_EVENT_WARNING) == 0 ? SP_ERR_WORKER_DIED : SP_ERR_REMOTE);
    if (err->code == SP_ERR_WORKER_DIED) {
        assert_has(err->message, "out of memory");
    } else { /* RLIMIT_DATA refuses it */
        assert_has(err->message, "MemoryError");
    }
    call_gives(pit, "add", "[1, 2]", "3");
}

/* As the file has them, in a worker that shows what it has. */
static void limits_of_a_file_reach_the_worker(void **state)
{
    char yaml[1000];
    sp_pit *pit = NULL;
    const char *preload = getenv("SNAKEPIT_TEST_PRELOAD"); /* a sanitizer's library */
    (void)state;
    (void)snprintf(yaml, sizeof yaml,
                   "pools:\n- {adapter: %s, size: 1, umask: 027, nice: 2,\n"
                   "   limits: {files: 300, core: 4KiB, processes: 50},\n"
                   "   env: {set: {LD_PRELOAD: \"%s\"}}}\n",
                   path_of_python("probe.py"), preload != NULL ? preload : "");
    assert_int_equal(sp_pit_open_string(yaml, &pit, last_error()), 0);
    pit_adopt(pit);
    assert_int_equal(sp_pit_await_ready(pit, 0, last_error()), 0);
    struct rlimit core;
    char wanted[64];
    assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
    rlim_t core_max = preload != NULL ? 0 : 4096; /* a sanitizer allows itself none */
    (void)snprintf(
        wanted, sizeof wanted, "[23,%d,300,%llu]", getpriority(PRIO_PROCESS, 0) + 2,
        (unsigned long long)(core.rlim_max < core_max ? core.rlim_max : core_max));
    call_gives(pit, "bounds", "", wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_reached_level_is_told),
        TEST(a_level_below_the_requirement_keeps_the_pit_closed),
        TEST(a_pit_works_in_a_namespace),
        TEST(a_worker_over_its_memory_dies_of_it),
        TEST(limits_of_a_file_reach_the_worker),
    };
    return RUN_SYSTEM_TESTS("safety", tests);
}
