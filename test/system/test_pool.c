/* SPDX-License-Identifier: MIT */
/* Pools: opened from structs, text and file; their limits, their figures, their tools. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pits.h"

static sp_pit_options options_of(const sp_pool_options *pools, size_t count)
{
    return (sp_pit_options){.size = sizeof(sp_pit_options),
                            .pools = pools,
                            .pools_count = count,
                            .on_event = event_record};
}

static sp_pit *open_with(const sp_pit_options *options)
{
    sp_pit *pit = NULL;
    if (sp_pit_open(options, &pit, last_error()) < 0) {
        fail_msg("opening: %s", last_error()->message);
    }
    pit_adopt(pit);
    return pit;
}

static void must_not_open(const sp_pit_options *options, int code, const char *message)
{
    sp_pit *pit = NULL;
    int rc = sp_pit_open(options, &pit, last_error());
    if (rc != code) {
        fail_msg("opening gave %d: %s", rc, last_error()->message);
    }
    assert_int_equal(last_error()->code, code);
    assert_has(last_error()->message, message);
    assert_null(pit);
    sp_error_clear(last_error());
}

/* ---- ways to open ---- */

static void a_pit_opens_from_text(void **state)
{
    char yaml[1200];
    sp_pit *pit = NULL;
    const char *preload = getenv("SNAKEPIT_TEST_PRELOAD");
    (void)snprintf(yaml, sizeof yaml,
                   "pools:\n"
                   "  - name: first\n"
                   "    adapter: %s\n"
                   "    python: /usr/bin/python3\n"
                   "    size: 1\n"
                   "    env: {set: {PROBE_GREETING: hello, LD_PRELOAD: \"%s\"}}\n"
                   "    command_timeouts: {hold: 50ms}\n"
                   "  - name: second\n"
                   "    runtime: exec\n"
                   "    command: [%s]\n"
                   "    size: 2\n",
                   path_of_python("probe.py"), preload != NULL ? preload : "",
                   path_of_program("plain"));
    if (sp_pit_open_string(yaml, &pit, last_error()) < 0) {
        fail_msg("opening: %s", last_error()->message);
    }
    pit_adopt(pit);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    assert_string_equal(sp_pool_name_at(pit, 0), "first");
    assert_string_equal(sp_pool_name_at(pit, 1), "second");
    assert_null(sp_pool_name_at(pit, 2));
    call_gives(pit, "variable", "[\"PROBE_GREETING\"]", "\"hello\"");
    sp_call_options to = {.size = sizeof to, .pool = "second"};
    assert_string_equal(call(pit, "echo", "[7]", &to)->json, "[7]");
    char args[400];
    call_fails(pit, "hold", hold_args("h", args, sizeof args), NULL, SP_ERR_TIMEOUT);
}

static void a_call_without_a_pool_goes_where_the_tool_is(void **state)
{
    (void)state;
    const char *const plain[] = {path_of_program("plain"), NULL};
    sp_pool_options pools[2] = {pool_of_probes(1)};
    pools[1] = (sp_pool_options){.size = sizeof pools[1],
                                 .name = "second",
                                 .runtime = "exec",
                                 .command = plain,
                                 .workers = 1};
    sp_pit_options options = options_of(pools, 2);
    sp_pit *pit = open_with(&options);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    call_gives(pit, "nap", "{\"ms\":0}", "true");     /* only the second has it */
    call_gives(pit, "add", "{\"a\":2,\"b\":3}", "5"); /* only the first */
    call_gives(pit, "echo", "[7]", "7");              /* both: the first */
    sp_call_options to = {.size = sizeof to, .pool = "default"};
    call_fails(pit, "nap", "{\"ms\":0}", &to, SP_ERR_NO_TOOL);
    call_fails(pit, "neither", "{}", NULL, SP_ERR_NO_TOOL);
    sp_pool_stats stats = {0};
    assert_int_equal(sp_pool_stats_get(pit, "second", &stats, NULL), 0);
    assert_int_equal(stats.requests, 1);
}

static void a_pit_opens_from_a_file(void **state)
{
    char yaml[700];
    sp_pit *pit = NULL;
    (void)snprintf(
        yaml, sizeof yaml,
        "instance: from-a-file\npools:\n  - {runtime: exec, command: [%s], size: 1}\n",
        path_of_program("plain"));
    file_write(leak_path("pit.yaml"), yaml);
    assert_int_equal(sp_pit_open_file(leak_path("pit.yaml"), &pit, last_error()), 0);
    pit_adopt(pit);
    call_gives(pit, "echo", "[1]", "[1]");
}

static void a_missing_or_wrong_configuration_is_told(void **state)
{
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open_file("/no/such/file.yaml", &pit, last_error()),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(sp_pit_open_string("pools:\n  - {sise: 4}\n", &pit, last_error()),
                     SP_ERR_CONFIG);
    assert_has(last_error()->message, "did you mean \"size\"?");
    assert_null(pit);
    sp_error_clear(last_error());
}

static void a_wrong_struct_is_refused(void **state)
{
    sp_pool_options pools[2] = {pool_of_probes(1), pool_of_probes(1)};
    sp_pit_options options = options_of(pools, 1);
    options.size = 0;
    must_not_open(&options, SP_ERR_INVAL, "sizeof");
    options = options_of(NULL, 1);
    must_not_open(&options, SP_ERR_INVAL, "pools is NULL");
    options = options_of(pools, 2);
    must_not_open(&options, SP_ERR_CONFIG, "two pools are called default");
    pools[0].workers = 1001;
    options = options_of(pools, 1);
    must_not_open(&options, SP_ERR_CONFIG, "workers is 1001, allowed are 1 to 1000");
    pools[0].workers = 1;
    options.guard_path = "/no/such/guard";
    must_not_open(&options, SP_ERR_GUARD, "/no/such/guard");
    options.guard_path = NULL;
    options.bridge_path = "/no/such/bridge";
    must_not_open(&options, SP_ERR_NOT_FOUND, "/no/such/bridge");
    assert_int_equal(sp_pit_open(NULL, NULL, NULL), SP_ERR_INVAL);
}

static void an_older_programs_smaller_struct_works(void **state)
{
    sp_pool_options pools[2] = {pool_of_program("plain", NULL, 1),
                                pool_of_program("plain", NULL, 1)};
    pools[1].name = "other";
    sp_pit_options options = options_of(pools, 2);
    sp_pit *pit = open_with(&options);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    assert_string_equal(sp_pool_name_at(pit, 1), "other");
}

static void a_pit_without_options_serves_the_showcase(void **state)
{
    if (env_for_python() != NULL) {
        skip_because("there is no place for what a sanitizer needs");
    }
    (void)setenv("SNAKEPIT_PYTHON", "/usr/bin/python3", 1);
    sp_pit *pit = open_with(NULL);
    call_gives(pit, "add", "{\"a\":2,\"b\":3}", "{\"result\":5}");
    assert_int_equal(json_number(call(pit, "get_counter", "", NULL)->json, "value"), 0);
    assert_has(call(pit, "ping", "", NULL)->json, "\"status\":\"pong\"");
    (void)unsetenv("SNAKEPIT_PYTHON");
}

static void two_pits_live_side_by_side(void **state)
{
    sp_pit *one = pit_of_probes(1);
    sp_pit *two = pit_of_probes(1);
    assert_int_not_equal(worker_at(one, 0).pid, worker_at(two, 0).pid);
    call_gives(one, "add", "[1]", "2");
    call_gives(two, "add", "[2]", "3");
    pit_close(one);
    call_gives(two, "add", "[3]", "4");
}

/* ---- readiness ---- */

static void calls_wait_while_workers_start(void **state)
{
    sp_pool_options pool = pool_of_probes(2);
    pool.queue_timeout_ms = patience_ms(20000);
    sp_pit *pit = pit_open(&pool, 1);
    call_gives(pit, "add", "[1]", "2");
}

static void waiting_for_readiness_ends_when_all_are_ready(void **state)
{
    sp_pool_options pool = pool_of_probes(3);
    sp_pit *pit = pit_open(&pool, 1);
    assert_int_equal(sp_pit_await_ready(pit, 0, last_error()), 0);
    assert_int_equal(workers_in(pit, SP_WORKER_READY), 3);
    assert_int_equal(sp_pit_await_ready(pit, 1, last_error()), 0); /* still is */
    const struct seen *event = event_await(pit, SP_EVENT_POOL_READY, 1);
    assert_string_equal(event->pool, "default");
    assert_int_equal(event_count(SP_EVENT_WORKER_SPAWNED), 3);
    assert_int_equal(event_count(SP_EVENT_WORKER_READY), 3);
}

static void waiting_for_readiness_ends_at_its_deadline(void **state)
{
    sp_pool_options pool = pool_of_program("never_ready", NULL, 2);
    sp_pit *pit = pit_open(&pool, 1);
    assert_int_equal(sp_pit_await_ready(pit, 50, last_error()), SP_ERR_NOT_READY);
    assert_has(last_error()->message, "0 of 2 workers are ready after 50 ms");
}

static void workers_start_in_batches(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 6);
    pool.startup_batch = 2;
    pool.startup_batch_delay_ms = 20;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)event_await(pit, SP_EVENT_POOL_READY, 1);
    assert_int_equal(event_count(SP_EVENT_WORKER_READY), 6);
    assert_int_equal(stats_of(pit).workers_started, 6);
}

/* SNAKEPIT_TEST_WORKERS makes it more: 250 for the full promise. */
static void a_hundred_workers_start_answer_and_end(void **state)
{
    static sp_worker_info list[1000];
    static sp_id ids[1000];
    char args[400];
    const char *wanted = getenv("SNAKEPIT_TEST_WORKERS");
    uint32_t workers = wanted != NULL ? (uint32_t)strtoul(wanted, NULL, 10) : 100;
    assert_in_range(workers, 1, COUNT_OF(ids));
    sp_pool_options pool = pool_of_probes(workers);
    pool.queue_timeout_ms = patience_ms(30000);
    pool.call_timeout_ms = patience_ms(60000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)hold_args("h", args, sizeof args);
    for (uint32_t i = 0; i < workers; i++) { /* as many at once as there are workers */
        ids[i] = call_start(pit, "hold", args, NULL);
    }
    UNTIL(stats_of(pit).busy == workers);
    hold_release("h");
    for (uint32_t i = 0; i < workers; i++) {
        (void)call_wait(pit, ids[i]);
    }
    assert_int_equal(sp_pool_workers_get(pit, NULL, list, COUNT_OF(list), NULL),
                     workers);
    for (uint32_t i = 0; i < workers; i++) {
        assert_int_equal(list[i].calls_total, 1);
    }
}

/* ---- limits ---- */

static void too_many_workers_are_cut_with_a_warning(void **state)
{
    sp_pool_options pools[2] = {pool_of_program("plain", NULL, 5),
                                pool_of_program("plain", NULL, 2)};
    pools[0].name = "wide";
    pools[1].name = "poor";
    sp_pit_options options = options_of(pools, 2);
    options.workers_max = 3;
    sp_pit *pit = open_with(&options);
    const struct seen *event = event_await(pit, SP_EVENT_WARNING, 1);
    assert_has(event->message, "pool wide wants 5 workers");
    assert_has(event->message, "all pools together may have 3 (workers_max)");
    assert_has(event->message, "raise workers_max only if");
    event = event_await(pit, SP_EVENT_WARNING, 2);
    assert_has(event->message, "pool poor wants 2 workers");
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    assert_int_equal(sp_pool_workers_get(pit, "wide", NULL, 0, NULL), 3);
    assert_int_equal(sp_pool_workers_get(pit, "poor", NULL, 0, NULL), 1);
}

static void a_command_has_its_own_timeout(void **state)
{
    char args[400];
    const sp_command_timeout timeouts[] = {{"hold", 60}, {"add", patience_ms(30000)}};
    sp_pool_options pool = pool_of_probes(1);
    pool.command_timeouts = timeouts;
    pool.command_timeouts_count = COUNT_OF(timeouts);
    pool.call_timeout_ms = patience_ms(40000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_fails(pit, "hold", hold_args("h", args, sizeof args), NULL, SP_ERR_TIMEOUT);
    call_gives(pit, "add", "[1]", "2");
    sp_call_options longer = {.size = sizeof longer, .timeout_ms = patience_ms(30000)};
    sp_id held = hold_start(pit, "g", &longer); /* the call's own word counts most */
    hold_release("g");
    (void)call_wait(pit, held);
}

static void the_pools_timeouts_hold_for_calls_and_streams(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    pool.call_timeout_ms = 60;
    pool.stream_timeout_ms = 80;
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_fails(pit, "hold", hold_args("h", args, sizeof args), NULL, SP_ERR_TIMEOUT);
    sp_stream *stream = NULL;
    sp_chunk chunk;
    assert_int_equal(sp_stream_open(pit, "blocking",
                                    sp_text(hold_args("s", args, sizeof args)), NULL,
                                    &stream, NULL),
                     0);
    int rc;
    while ((rc = sp_stream_next(stream, &chunk, last_error())) > 0) {
    }
    sp_stream_close(stream);
    assert_int_equal(rc, SP_ERR_TIMEOUT);
}

/* ---- the environment ---- */

static void a_worker_gets_folder_arguments_and_environment(void **state)
{
    const char *const args[] = {"--depth", "3", NULL};
    const char *set[] = {"PROBE_SET=yes", NULL, NULL};
    const char *const pass[] = {
        "PATH",         "PROBE_PASSED",  "SNAKEPIT_TEST_MARK", "ASAN_OPTIONS",
        "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",       NULL};
    char json[300];
    sp_pool_options pool = pool_of_probes(1);
    if (pool.env_set != NULL) {
        set[1] = pool.env_set[0];
    }
    pool.args = args;
    pool.env_set = set;
    pool.env_pass = pass;
    pool.working_dir = leak_folder();
    (void)setenv("PROBE_PASSED", "along", 1);
    (void)setenv("PROBE_KEPT", "back", 1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)unsetenv("PROBE_PASSED");
    (void)unsetenv("PROBE_KEPT");
    call_gives(pit, "variable", "[\"PROBE_SET\"]", "\"yes\"");
    call_gives(pit, "variable", "[\"PROBE_PASSED\"]", "\"along\"");
    call_gives(pit, "variable", "[\"PROBE_KEPT\"]", "null");
    call_gives(pit, "variable", "[\"OMP_NUM_THREADS\"]", "\"1\"");
    call_gives(pit, "variable", "[\"SNAKEPIT_WORKER_ID\"]", "\"default/0\"");
    call_gives(pit, "arguments", "", "[\"--depth\",\"3\"]");
    (void)snprintf(json, sizeof json, "\"%s", leak_folder());
    json[strlen(json) - 1] = '"'; /* without the last slash */
    call_gives(pit, "folder", "", json);
}

/* ---- figures ---- */

static void statistics_count_what_happened(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    for (int i = 0; i < 10; i++) {
        (void)call(pit, "add", "[1]", NULL);
    }
    call_fails(pit, "fail", "", NULL, SP_ERR_REMOTE);
    call_fails(pit, "fail", "", NULL, SP_ERR_REMOTE);
    sp_id held = hold_start(pit, "h", NULL);
    sp_pool_stats stats = stats_of(pit);
    assert_string_equal(stats.name, "default");
    assert_has(stats.adapter, "python /usr/bin/python3, adapter ");
    assert_int_equal(stats.workers, 2);
    assert_int_equal(stats.busy, 1);
    assert_int_equal(stats.available, 1);
    assert_int_equal(stats.starting, 0);
    assert_int_equal(stats.backoff, 0);
    assert_int_equal(stats.queued, 0);
    assert_int_equal(stats.queue_max, 1000);
    assert_int_equal(stats.requests, 13);
    assert_int_equal(stats.succeeded, 10);
    assert_int_equal(stats.errors, 2);
    assert_int_equal(stats.workers_started, 2);
    assert_int_equal(stats.workers_died, 0);
    hold_release("h");
    (void)call_wait(pit, held);
    assert_int_equal(stats_of(pit).succeeded, 11);
}

static void the_list_of_workers_says_what_each_does(void **state)
{
    sp_pit *pit = pit_of_probes(3);
    sp_id held = hold_start(pit, "h", NULL);
    sp_worker_info list[2];
    assert_int_equal(sp_pool_workers_get(pit, "default", list, 2, NULL), 3);
    assert_int_equal(list[0].slot, 0);
    assert_int_equal(list[1].slot, 1);
    assert_int_equal(workers_in(pit, SP_WORKER_BUSY), 1);
    assert_int_equal(workers_in(pit, SP_WORKER_READY), 2);
    for (uint32_t slot = 0; slot < 3; slot++) {
        sp_worker_info info = worker_at(pit, slot);
        assert_true(info.pid > 0);
        assert_true(info.id != 0);
        assert_true(info.ready_ms <= info.age_ms);
        assert_int_equal(info.restarts, 0);
        assert_int_equal(info.in_flight, info.state == SP_WORKER_BUSY);
        assert_has(info.runtime, "python 3.");
    }
    assert_int_equal(sp_pool_workers_get(pit, NULL, NULL, 0, NULL), 3);
    assert_int_equal(sp_pool_workers_get(pit, NULL, NULL, 1, NULL), SP_ERR_INVAL);
    hold_release("h");
    (void)call_wait(pit, held);
}

static void a_dead_workers_slot_is_shown_in_back_off(void **state)
{
    sp_pool_options pool = pool_of_program("exits", "3", 1);
    sp_pit *pit = pit_open(&pool, 1);
    UNTIL(worker_at(pit, 0).state == SP_WORKER_BACKOFF);
    sp_worker_info info = worker_at(pit, 0);
    assert_int_equal(info.pid, 0);
    assert_true(info.restarts >= 1);
    UNTIL(stats_of(pit).backoff == 1);
}

/* ---- tools ---- */

struct listing {
    unsigned count;
    char last[256];
    int sorted;
    int saw_add;
    int saw_numbers;
};

static void list_tool(const sp_tool_info *tool, void *user_data)
{
    struct listing *listing = user_data;
    listing->sorted = listing->sorted && strcmp(listing->last, tool->name) < 0;
    (void)snprintf(listing->last, sizeof listing->last, "%s", tool->name);
    listing->count++;
    if (strcmp(tool->name, "add") == 0) {
        listing->saw_add = 1;
        assert_string_equal(tool->description, "Add two numbers.");
        assert_int_equal(tool->streaming, 0);
        assert_int_equal(tool->parameters_count, 2);
        assert_string_equal(tool->parameters[0].name, "a");
        assert_string_equal(tool->parameters[0].type, "int");
        assert_int_equal(tool->parameters[0].required, 1);
        assert_null(tool->parameters[0].default_json);
        assert_int_equal(tool->parameters[1].required, 0);
        assert_string_equal(tool->parameters[1].default_json, "1");
    }
    if (strcmp(tool->name, "numbers") == 0) {
        listing->saw_numbers = 1;
        assert_int_equal(tool->streaming, 1);
    }
}

static void the_tools_of_a_pool_are_listed(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    struct listing listing = {.sorted = 1};
    int n = sp_pool_tools_get(pit, NULL, list_tool, &listing, last_error());
    assert_int_equal(n, listing.count);
    assert_true(listing.sorted);
    assert_true(listing.saw_add);
    assert_true(listing.saw_numbers);
}

static void the_commands_of_a_pool_can_be_narrowed(void **state)
{
    const char *const commands[] = {"add", "echo", NULL};
    sp_pool_options pool = pool_of_probes(1);
    pool.commands = commands;
    sp_pit *pit = pit_open(&pool, 1);
    assert_int_equal(sp_pool_tools_get(pit, NULL, NULL, NULL, NULL), 2);
    call_fails(pit, "where", "", NULL, SP_ERR_NO_TOOL); /* before any worker is ready */
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    call_gives(pit, "add", "[1]", "2");
    call_fails(pit, "where", "", NULL, SP_ERR_NO_TOOL);
    assert_int_equal(sp_pool_tools_get(pit, NULL, NULL, NULL, NULL), 2);
}

static void each_pool_has_its_own_tools(void **state)
{
    sp_pool_options pools[2] = {pool_of_probes(1), pool_of_program("plain", NULL, 1)};
    pools[1].name = "plain";
    sp_pit *pit = pit_open_ready(pools, 2);
    sp_call_options to = {.size = sizeof to, .pool = "plain"};
    call_fails(pit, "add", "[1]", &to, SP_ERR_NO_TOOL);
    assert_string_equal(call(pit, "echo", "[1]", &to)->json, "[1]");
    call_gives(pit, "add", "[1]", "2");
    assert_int_equal(sp_pool_tools_get(pit, "plain", NULL, NULL, NULL), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pit_opens_from_text),
        TEST(a_call_without_a_pool_goes_where_the_tool_is),
        TEST(a_pit_opens_from_a_file),
        TEST(a_missing_or_wrong_configuration_is_told),
        TEST(a_wrong_struct_is_refused),
        TEST(an_older_programs_smaller_struct_works),
        TEST(a_pit_without_options_serves_the_showcase),
        TEST(two_pits_live_side_by_side),
        TEST(calls_wait_while_workers_start),
        TEST(waiting_for_readiness_ends_when_all_are_ready),
        TEST(waiting_for_readiness_ends_at_its_deadline),
        TEST(workers_start_in_batches),
        TEST(a_hundred_workers_start_answer_and_end),
        TEST(too_many_workers_are_cut_with_a_warning),
        TEST(a_command_has_its_own_timeout),
        TEST(the_pools_timeouts_hold_for_calls_and_streams),
        TEST(a_worker_gets_folder_arguments_and_environment),
        TEST(statistics_count_what_happened),
        TEST(the_list_of_workers_says_what_each_does),
        TEST(a_dead_workers_slot_is_shown_in_back_off),
        TEST(the_tools_of_a_pool_are_listed),
        TEST(the_commands_of_a_pool_can_be_narrowed),
        TEST(each_pool_has_its_own_tools),
    };
    return RUN_SYSTEM_TESTS("pool", tests);
}
