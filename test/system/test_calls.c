/* SPDX-License-Identifier: MIT */
/* Calls that work: every kind of value, every way to wait, large and many. */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pits.h"
#include "processor.h"
#include "wire/page.h"

static void a_call_gives_its_result(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    const sp_result *result = call(pit, "add", "{\"a\":2,\"b\":3}", NULL);
    assert_string_equal(result->json, "5");
    assert_int_equal(result->attempts, 1);
    assert_int_equal(result->worker_pid, worker_at(pit, 0).pid);
    assert_int_equal(result->worker, worker_at(pit, 0).id);
    assert_null(result->binary);
}

static void arguments_come_by_name_by_place_and_by_default(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    call_gives(pit, "add", "{\"b\":1,\"a\":10}", "11");
    call_gives(pit, "add", "[20,2]", "22");
    call_gives(pit, "add", "[20]", "21");
    call_gives(pit, "add", " { \"a\" : 1 } ", "2");
    call_gives(pit, "echo", "", "null"); /* no bytes mean {} */
    call_gives(pit, "echo", "[]", "null");
}

static void every_value_comes_back_as_it_went(void **state)
{
    static const char *const values[] = {
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "1e300",
        "\"\"",
        "[]",
        "{}",
        "9007199254740993",               /* beyond a double */
        "123456789012345678901234567890", /* beyond 64 bits */
        "-9223372036854775808",
        "[1,[2,[3,[4]]]]",
        "{\"a\":{\"b\":[1,null,true]},\"\":0}",
        "\"text with \\\"quotes\\\" and \\\\\"",
        "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\n\\t\"",
    };
    char args[256];
    sp_pit *pit = pit_of_probes(1);
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        (void)snprintf(args, sizeof args, "{\"value\":%s}", values[i]);
        const char *json = call(pit, "echo", args, NULL)->json;
        if (strcmp(values[i], "1e300") != 0) {
            assert_string_equal(json, values[i]);
        }
    }
}

static void bytes_come_back_beside_the_json(void **state)
{
    static const char zeroes[1000];
    sp_pit *pit = pit_of_probes(1);
    const sp_result *result = call(pit, "raw", "{\"size\":1000}", NULL);
    assert_int_equal(result->binary_bytes, 1000);
    assert_memory_equal(result->binary, zeroes, 1000);
}

static void one_adapter_serves_all_calls_of_its_worker(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(json_number(call(pit, "where", "", NULL)->json, "calls"), i);
    }
    assert_int_equal(worker_at(pit, 0).calls_total, 5);
}

static void any_importable_function_is_a_tool_without_an_adapter(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.adapter = "none";
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "statistics.fmean", "[[1,2,3]]", "2.0");
    call_gives(pit, "math.gcd", "[12,18]", "6");
    call_fails(pit, "statistics.fmeen", "[[1]]", NULL, SP_ERR_NO_TOOL);
    assert_has(last_error()->message, "fmean");
}

static void a_worker_in_c_answers_too(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 2);
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "echo", "{\"a\":[1,2]}", "{\"a\":[1,2]}");
    call_fails(pit, "fail", "", NULL, SP_ERR_REMOTE);
    assert_string_equal(last_error()->remote_type, "Sadness");
    assert_string_equal(last_error()->remote_message, "it did not work");
}

static void a_100_megabyte_argument_arrives(void **state)
{
    enum { SIZE = 100 * 1000 * 1000 };
    static const char head[] = "{\"text\":\"";
    static const char tail[] = "\"}";
    sp_pit *pit = pit_of_probes(1);
    char *args = malloc(sizeof head + SIZE + sizeof tail);
    assert_non_null(args);
    size_t n = sizeof head - 1;
    memcpy(args, head, n);
    memset(args + n, 'x', SIZE);
    memcpy(args + n + SIZE, tail, sizeof tail);
    sp_call_options options = {.size = sizeof options,
                               .timeout_ms = patience_ms(50000)};
    char json[32];
    (void)snprintf(json, sizeof json, "%s", call(pit, "length", args, &options)->json);
    free(args);
    assert_string_equal(json, "100000000");
}

static void a_large_result_arrives(void **state)
{
    enum { SIZE = 20 * 1000 * 1000 };
    sp_pit *pit = pit_of_probes(1);
    const sp_result *result = call(pit, "text", "{\"size\":20000000}", NULL);
    assert_int_equal(result->json_bytes, SIZE + 2);
    assert_int_equal(result->json[SIZE], 'x');
}

/* Pipes beyond its standard ones. */
static int pipes_of(int pid)
{
    char path[64];
    char target[64];
    int found = 0;
    for (int fd = 3; fd < 32; fd++) {
        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        ssize_t n = readlink(path, target, sizeof target);
        found += n > 5 && strncmp(target, "pipe:", 5) == 0;
    }
    return found;
}

/* What is little and what is much, the one under way beside the other. */
static void check_sizes(sp_pit *pit)
{
    static const int sizes[] = {1, 3000, 16000, 17000, 60000, 100000, 250000};
    enum { SIZES = COUNT_OF(sizes), ROUNDS = 5 };
    sp_id ids[SIZES * ROUNDS];
    char args[64];
    for (int i = 0; i < SIZES * ROUNDS; i++) {
        (void)snprintf(args, sizeof args, "{\"size\":%d}", sizes[i % SIZES]);
        ids[i] = call_start(pit, "text", args, NULL);
    }
    for (int i = 0; i < SIZES * ROUNDS; i++) {
        const sp_result *result = call_wait(pit, ids[i]);
        assert_int_equal(result->json_bytes, sizes[i % SIZES] + 2);
        char *list = malloc(result->json_bytes + 3);
        assert_non_null(list);
        (void)snprintf(list, result->json_bytes + 3, "[%s]", result->json);
        (void)snprintf(args, sizeof args, "%d", sizes[i % SIZES]);
        call_gives(pit, "length", list, args);
        free(list);
    }
}

static void calls_of_any_size_go_by_pipes_and_a_socket(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    assert_int_equal(pipes_of(worker_at(pit, 0).pid), 2);
    check_sizes(pit);
}

static void a_worker_knows_where_its_host_runs(void **state)
{
    char args[32];
    char want[32];
    uint32_t here = processor_bind(pthread_self());
    sp_pit *pit = pit_of_probes(1); /* its threads run nowhere else either */
    (void)snprintf(args, sizeof args, "[%zu]", offsetof(struct worker_page, host_cpu));
    (void)snprintf(want, sizeof want, "%u", here + 1);
    call_gives(pit, "shared", args, want);
}

static void a_pool_that_needs_many_descriptors_has_sockets_alone(void **state)
{
    enum { WORKERS = 4, SOFT = 64 + 12 * WORKERS - 1 };
    struct rlimit limit;
    sp_pool_options pool = pool_of_probes(WORKERS);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit fewer = {SOFT, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &fewer), 0);
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(pipes_of(worker_at(pit, i).pid), 0);
    }
    check_sizes(pit);
    pit_close(pit);
}

/* ---- waiting ---- */

static void a_started_call_is_waited_for_by_its_id(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_id ids[20];
    char args[32];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(args, sizeof args, "[%d,%d]", i, 1000);
        ids[i] = call_start(pit, "add", args, NULL);
    }
    for (int i = 19; i >= 0; i--) { /* in any order */
        assert_int_equal(strtol(call_wait(pit, ids[i])->json, NULL, 10), 1000 + i);
    }
}

static void a_call_is_waited_for_once(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id id = call_start(pit, "add", "[1]", NULL);
    (void)call_wait(pit, id);
    call_wait_fails(pit, id, SP_ERR_NOT_FOUND);
    call_wait_fails(pit, id + 1, SP_ERR_NOT_FOUND);
}

static void a_call_that_nobody_waits_for_is_cleared_away(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    (void)call_start(pit, "add", "[1]", NULL);
    sp_id running = hold_start(pit, "h", NULL);
    (void)running;
    (void)call_start(pit, "add", "[1]", NULL);
    pit_close(pit);
}

static void the_deadline_reaches_no_further_than_the_call(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_call_options options = {.size = sizeof options, .timeout_ms = patience_ms(5000)};
    for (int i = 0; i < 100; i++) {
        (void)call(pit, "add", "[1]", &options);
    }
    assert_int_equal(stats_of(pit).call_timeouts, 0);
}

/* ---- a program that wants to stop waiting ---- */

enum { ASKED_TWICE = 2 };

static int stop_when_asked_twice(void *interrupt_data)
{
    return ++*(int *)interrupt_data >= ASKED_TWICE;
}

static void a_waiting_program_is_asked_and_can_cancel(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    int asked = 0;
    sp_call_options options = {.size = sizeof options,
                               .interrupt = stop_when_asked_twice,
                               .interrupt_data = &asked};
    char args[256];
    (void)hold_args("h", args, sizeof args);
    const sp_error *failure = call_fails(pit, "hold", args, &options, SP_ERR_CANCELLED);
    assert_int_equal(failure->code, SP_ERR_CANCELLED);
    assert_int_equal(asked, ASKED_TWICE); /* and not once more */

    asked = 0;
    sp_id id = call_start(pit, "hold", args, &options);
    (void)call_wait_fails(pit, id, SP_ERR_CANCELLED);
    assert_int_equal(asked, ASKED_TWICE);
    call_gives(pit, "add", "[1]", "2");
}

static void a_program_waiting_for_a_chunk_can_cancel(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    int asked = 0;
    sp_call_options options = {.size = sizeof options,
                               .interrupt = stop_when_asked_twice,
                               .interrupt_data = &asked};
    sp_stream *stream = NULL;
    sp_chunk chunk;
    char args[256];
    assert_int_equal(sp_stream_open(pit, "blocking",
                                    sp_text(hold_args("h", args, sizeof args)),
                                    &options, &stream, last_error()),
                     SP_OK);
    int rc;
    while ((rc = sp_stream_next(stream, &chunk, last_error())) > 0) {
    }
    assert_int_equal(rc, SP_ERR_CANCELLED);
    assert_int_equal(asked, ASKED_TWICE);
    sp_stream_close(stream);
}

/* ---- many at once ---- */

enum { THREADS = 8, CALLS = 250 };

struct caller {
    sp_pit *pit;
    int number;
    int wrong;
};

static void *call_many(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < CALLS; i++) {
        char args[64];
        sp_result result = {0};
        sp_error err = {0};
        long a = caller->number * 10000L + i;
        (void)snprintf(args, sizeof args, "{\"a\":%ld,\"b\":%d}", a, i);
        int rc = sp_execute(caller->pit, "add", sp_text(args), NULL, &result, &err);
        caller->wrong += rc != 0 || strtol(result.json, NULL, 10) != a + i;
        sp_result_clear(&result);
        sp_error_clear(&err);
    }
    return NULL;
}

static void many_threads_get_each_its_own_answers(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    struct caller callers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.pit = pit, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, call_many, &callers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].wrong, 0);
    }
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(stats.requests, THREADS * CALLS);
    assert_int_equal(stats.succeeded, THREADS * CALLS);
    assert_int_equal(stats.errors, 0);
    assert_int_equal(stats.queued, 0);
}

static void a_thousand_calls_wait_in_the_queue(void **state)
{
    sp_pool_options pool = pool_of_probes(2);
    static sp_id ids[1000];
    pool.queue_timeout_ms = patience_ms(30000);
    sp_pit *pit = pit_open_ready(&pool, 1);
    for (int i = 0; i < 1000; i++) {
        ids[i] = call_start(pit, "add", "[41]", NULL);
    }
    for (int i = 0; i < 1000; i++) {
        assert_string_equal(call_wait(pit, ids[i])->json, "42");
    }
}

/* ---- what the caller gets wrong ---- */

static void missing_places_are_refused(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_result result = {0};
    sp_error err = {0};
    sp_call_options unsized = {.timeout_ms = 1};
    assert_int_equal(sp_execute(NULL, "add", sp_text("[1]"), NULL, &result, &err),
                     SP_ERR_INVAL);
    assert_int_equal(sp_execute(pit, "add", sp_text("[1]"), NULL, NULL, &err),
                     SP_ERR_INVAL);
    assert_int_equal(sp_execute(pit, NULL, sp_text("[1]"), NULL, &result, &err),
                     SP_ERR_INVAL);
    assert_int_equal(sp_execute(pit, "", sp_text("[1]"), NULL, &result, &err),
                     SP_ERR_INVAL);
    assert_int_equal(sp_execute(pit, "add", sp_text("[1]"), &unsized, &result, &err),
                     SP_ERR_INVAL);
    assert_int_equal(
        sp_call_start(pit, "add", sp_text("[1]"), NULL, NULL, NULL, NULL, &err),
        SP_ERR_INVAL);
    assert_int_equal(sp_call_wait(pit, 1, NULL, &err), SP_ERR_INVAL);
    assert_int_equal(sp_call_cancel(NULL, 1, &err), SP_ERR_INVAL);
    assert_int_equal(sp_execute(pit, "add", sp_text("[1]"), NULL, &result, NULL), 0);
    sp_result_clear(&result);
    sp_error_clear(&err);
}

static void a_name_has_at_most_255_bytes(void **state)
{
    char name[257];
    sp_pool_options pool = pool_of_probes(1);
    pool.adapter = "none";
    sp_pit *pit = pit_open_ready(&pool, 1);
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    call_fails(pit, name, "", NULL, SP_ERR_NO_TOOL); /* the worker has heard of it */
    name[255] = 'n';
    name[256] = '\0';
    call_fails(pit, name, "", NULL, SP_ERR_INVAL);
    assert_has(last_error()->message, "256 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_gives_its_result),
        TEST(arguments_come_by_name_by_place_and_by_default),
        TEST(every_value_comes_back_as_it_went),
        TEST(bytes_come_back_beside_the_json),
        TEST(one_adapter_serves_all_calls_of_its_worker),
        TEST(any_importable_function_is_a_tool_without_an_adapter),
        TEST(a_worker_in_c_answers_too),
        TEST(a_100_megabyte_argument_arrives),
        TEST(a_large_result_arrives),
        TEST(calls_of_any_size_go_by_pipes_and_a_socket),
        TEST(a_worker_knows_where_its_host_runs),
        TEST(a_pool_that_needs_many_descriptors_has_sockets_alone),
        TEST(a_started_call_is_waited_for_by_its_id),
        TEST(a_call_is_waited_for_once),
        TEST(a_call_that_nobody_waits_for_is_cleared_away),
        TEST(the_deadline_reaches_no_further_than_the_call),
        TEST(a_waiting_program_is_asked_and_can_cancel),
        TEST(a_program_waiting_for_a_chunk_can_cancel),
        TEST(many_threads_get_each_its_own_answers),
        TEST(a_thousand_calls_wait_in_the_queue),
        TEST(missing_places_are_refused),
        TEST(a_name_has_at_most_255_bytes),
    };
    return RUN_SYSTEM_TESTS("calls", tests);
}
