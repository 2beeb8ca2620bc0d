/* SPDX-License-Identifier: MIT */
/* Run as a script: ready before the function runs, every process gone after it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pits.h"
#include "processes.h"

struct script {
    int ran;
    int answer;
    int pids[8];
    int count;
    int fails;
};

/* Nobody with this test's mark is alive, at this very moment. */
static void nobody_is_left(void)
{
    pid_t found[8];
    assert_int_equal(processes_with("SNAKEPIT_TEST_MARK", leak_mark(), found, 8), 0);
    assert_int_equal(processes_children(found, 8), 0);
}

static int script(sp_pit *pit, void *user_data)
{
    struct script *script = user_data;
    sp_worker_info list[8];
    sp_result result = {0};
    script->ran = 1;
    script->count = sp_pool_workers_get(pit, NULL, list, 8, NULL);
    for (int i = 0; i < script->count; i++) {
        assert_int_equal(list[i].state,
                         SP_WORKER_READY); /* all of them, before it runs */
        script->pids[i] = list[i].pid;
    }
    if (script->fails) {
        assert_int_equal(sp_execute(pit, "fail", sp_text(""), NULL, &result, NULL),
                         SP_ERR_REMOTE);
        return 17;
    }
    assert_int_equal(sp_execute(pit, "add", sp_text("[20,22]"), NULL, &result, NULL),
                     0);
    script->answer = (int)strtol(result.json, NULL, 10);
    sp_result_clear(&result);
    return 0;
}

static sp_pit_options options_of(const sp_pool_options *pool)
{
    return (sp_pit_options){
        .size = sizeof(sp_pit_options), .pools = pool, .pools_count = 1};
}

static void a_script_finds_the_pool_ready_and_leaves_nothing(void **state)
{
    struct script it = {0};
    sp_pool_options pool = pool_of_probes(3);
    sp_pit_options options = options_of(&pool);
    int rc = sp_run_as_script(&options, patience_ms(20000), script, &it, last_error());
    nobody_is_left();
    assert_int_equal(rc, 0);
    assert_int_equal(it.ran, 1);
    assert_int_equal(it.answer, 42);
    assert_int_equal(it.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_false(processes_exists(it.pids[i]));
    }
}

static void a_script_that_fails_leaves_nothing_either(void **state)
{
    struct script it = {.fails = 1};
    sp_pool_options pool = pool_of_probes(2);
    sp_pit_options options = options_of(&pool);
    int rc = sp_run_as_script(&options, patience_ms(20000), script, &it, last_error());
    nobody_is_left();
    assert_int_equal(rc, 17); /* its own word */
}

static int leave_everything_open(sp_pit *pit, void *user_data)
{
    char args[400];
    (void)hold_start(pit, "h", NULL);
    (void)call_start(pit, "hold", hold_args("g", args, sizeof args), NULL);
    (void)call(pit, "grandchild", "", NULL);
    (void)call(pit, "grandchild", "[true]", NULL);
    return 3;
}

static void calls_and_grandchildren_end_with_the_script(void **state)
{
    sp_pool_options pool = pool_of_probes(3);
    sp_pit_options options = options_of(&pool);
    int rc = sp_run_as_script(&options, patience_ms(20000), leave_everything_open, NULL,
                              last_error());
    nobody_is_left();
    assert_int_equal(rc, 3);
    sp_error_clear(last_error());
}

static void a_pool_that_does_not_start_runs_no_script(void **state)
{
    struct script it = {0};
    sp_pool_options pool = pool_of_probes(1);
    pool.adapter = path_of_python("broken_import.py");
    sp_pit_options options = options_of(&pool);
    int rc = sp_run_as_script(&options, patience_ms(20000), script, &it, last_error());
    nobody_is_left();
    assert_int_equal(rc, SP_ERR_START_FAILED);
    assert_int_equal(it.ran, 0);
    assert_has(last_error()->remote_trace, "broken_import.py");
    pool = pool_of_program("never_ready", NULL, 1);
    rc = sp_run_as_script(&options, 50, script, &it, last_error());
    nobody_is_left();
    assert_int_equal(rc, SP_ERR_NOT_READY);
    assert_int_equal(it.ran, 0);
    pool.name = "";
    rc = sp_run_as_script(&options, 50, script, &it, last_error());
    assert_int_equal(rc, SP_ERR_CONFIG);
    assert_int_equal(sp_run_as_script(&options, 50, NULL, NULL, NULL), SP_ERR_INVAL);
    sp_error_clear(last_error());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_script_finds_the_pool_ready_and_leaves_nothing),
        TEST(a_script_that_fails_leaves_nothing_either),
        TEST(calls_and_grandchildren_end_with_the_script),
        TEST(a_pool_that_does_not_start_runs_no_script),
    };
    return RUN_SYSTEM_TESTS("run_as_script", tests);
}
