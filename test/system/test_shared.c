/* SPDX-License-Identifier: MIT */
/*
 * Large values through memory that host and worker share: they take that way, arrive whole,
 * and their places come back whatever becomes of calls and workers.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

enum { MIN = 64 * 1024, MAX = 4 << 20 };

static double numbers[1 << 19]; /* 4 MiB */

static sp_pool_options pool_of_arrays(uint64_t min)
{
    static char adapter[512];
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(adapter, sizeof adapter, "%s", path_of_python("arrays.py"));
    pool.adapter = adapter;
    pool.shared_min_bytes = min;
    pool.shared_max_bytes = MAX;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        numbers[i] = (double)i / 2;
    }
    return pool;
}

static sp_pit *pit_of_arrays(uint64_t min)
{
    sp_pool_options pool = pool_of_arrays(min);
    return pit_open_ready(&pool, 1);
}

static sp_tensor vector(uint64_t elements)
{
    return (sp_tensor){.dtype = SP_DTYPE_F64,
                       .dims = 1,
                       .shape = {elements},
                       .data = numbers,
                       .bytes = elements * sizeof numbers[0]};
}

static sp_call_options with(const sp_binary *binaries, size_t count)
{
    return (sp_call_options){
        .size = sizeof(sp_call_options), .binaries = binaries, .binaries_count = count};
}

/* Places the worker sees in use; it is asked in a call of its own. */
static long long places_held(sp_pit *pit)
{
    return json_number(call(pit, "places", "", NULL)->json, "held");
}

static void large_arguments_lie_in_shared_memory(void **state)
{
    static const struct {
        uint64_t min;
        uint64_t elements;
        const char *where;
    } cases[] = {{MIN, MIN / 8, "\"shared\":true"},
                 {MIN, MIN / 8 - 1, "\"shared\":false"},
                 {MIN, MAX / 8, "\"shared\":true"},
                 {SP_UNLIMITED, MAX / 8, "\"shared\":false"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sp_pit *pit = pit_of_arrays(cases[i].min);
        sp_tensor x = vector(cases[i].elements);
        sp_binary binary = {.name = "x", .tensor = &x};
        sp_call_options options = with(&binary, 1);
        const char *json = call(pit, "where", "", &options)->json;
        assert_has(json, cases[i].where);
        assert_has(json, "\"aligned\":true");
        pit_close(pit);
    }
}

static void results_take_the_same_way_back(void **state)
{
    sp_pit *pit = pit_of_arrays(MIN);
    sp_tensor found;
    for (int i = 0; i < 100; i++) { /* each of them fills the area */
        sp_tensor x = vector(MAX / 8 - (uint64_t)i);
        sp_binary binary = {.name = "x", .tensor = &x};
        sp_call_options options = with(&binary, 1);
        const sp_result *result = call(pit, "give_back", "", &options);
        assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
        assert_int_equal(found.bytes, x.bytes);
        assert_memory_equal(found.data, numbers, x.bytes);
    }
    assert_true(json_number(call(pit, "places", "", NULL)->json, "puts") >= 100);
    assert_int_equal(places_held(pit), 0);
}

static void what_is_larger_than_the_memory_goes_by_the_socket(void **state)
{
    sp_pool_options pool = pool_of_arrays(MIN);
    pool.shared_max_bytes = 1 << 20;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_tensor found;
    sp_tensor x = vector(MAX / 8);
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = with(&binary, 1);
    const sp_result *result = call(pit, "give_back", "", &options);
    assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
    assert_memory_equal(found.data, numbers, x.bytes);
}

static void arrays_that_are_kept_hold_their_places_and_others_go_round_them(
    void **state)
{
    sp_pit *pit = pit_of_arrays(MIN);
    sp_tensor x = vector(MAX / 8);
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = with(&binary, 1);
    call(pit, "keep", "", &options);
    assert_int_equal(places_held(pit), 1);
    assert_has(call(pit, "where", "", &options)->json, "\"shared\":false");
    call_gives(pit, "kept_sum", "", "68719345664.0");
    call_gives(pit, "drop", "", "null");
    assert_int_equal(places_held(pit), 0);
    assert_has(call(pit, "where", "", &options)->json, "\"shared\":true");
}

static void a_call_that_is_given_up_leaves_no_place(void **state)
{
    sp_pit *pit = pit_of_arrays(MIN);
    sp_tensor x = vector(MIN / 8);
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = with(&binary, 1);
    for (int round = 0; round < 30; round++) {
        sp_id calls[8];
        sp_result result;
        for (int i = 0; i < 8; i++) {
            calls[i] = call_start(pit, "give_back", "", &options);
        }
        for (int i = round % 3; i < 8; i += 3) {
            assert_int_equal(sp_call_cancel(pit, calls[i], last_error()), 0);
        }
        for (int i = 0; i < 8; i++) {
            if (sp_call_wait(pit, calls[i], &result, last_error()) == 0) {
                assert_int_equal(result.binary_bytes, MIN);
                sp_result_clear(&result);
            }
        }
    }
    UNTIL(places_held(pit) == 0);
}

static void workers_die_in_the_middle_and_nothing_is_left(void **state)
{
    sp_pit *pit = pit_of_arrays(MIN);
    sp_tensor x = vector(MAX / 16);
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = with(&binary, 1);
    options.flags = SP_CALL_IDEMPOTENT;
    options.timeout_ms = options.queue_timeout_ms = patience_ms(60000);
    for (int round = 0; round < 8; round++) {
        sp_id calls[6];
        sp_result result;
        for (int i = 0; i < 6; i++) {
            calls[i] = call_start(pit, "give_back", "", &options);
        }
        assert_int_equal(kill(worker_at(pit, 0).pid, SIGKILL), 0);
        for (int i = 0; i < 6; i++) {
            assert_int_equal(sp_call_wait(pit, calls[i], &result, last_error()), 0);
            assert_int_equal(result.binary_bytes, x.bytes);
            assert_memory_equal(result.binary, numbers, x.bytes);
            sp_result_clear(&result);
        }
        /* Or the next round would kill the one that starts in its place. */
        (void)event_await(pit, SP_EVENT_WORKER_DIED, (unsigned)round + 1);
        assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    }
}

static void a_worker_in_c_shares_too(void **state)
{
    sp_pool_options pool = pool_of_program("doubles", NULL, 1);
    (void)pool_of_arrays(MIN); /* fills the numbers */
    pool.shared_min_bytes = MIN;
    pool.shared_max_bytes = MAX;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_tensor found;
    sp_tensor x = vector(MAX / 8);
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = with(&binary, 1);
    for (int i = 0; i < 20; i++) {
        const sp_result *result = call(pit, "double", "", &options);
        assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
        assert_true(((const double *)found.data)[MAX / 8 - 1] ==
                    2 * numbers[MAX / 8 - 1]);
    }
    call(pit, "hold", "", &options);
    call(pit, "double", "", &options);
    call_gives(pit, "held_sum", "", "68719345664.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(large_arguments_lie_in_shared_memory),
        TEST(results_take_the_same_way_back),
        TEST(what_is_larger_than_the_memory_goes_by_the_socket),
        TEST(arrays_that_are_kept_hold_their_places_and_others_go_round_them),
        TEST(a_call_that_is_given_up_leaves_no_place),
        TEST(workers_die_in_the_middle_and_nothing_is_left),
        TEST(a_worker_in_c_shares_too),
    };
    return RUN_SYSTEM_TESTS("shared", tests);
}
