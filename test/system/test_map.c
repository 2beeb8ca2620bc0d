/* SPDX-License-Identifier: MIT */
/* Many calls of one tool: order, back-pressure, failures in their place, and the end. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

static const char *number_args(int i, char *text, size_t max)
{
    (void)snprintf(text, max, "{\"value\":%d}", i);
    return text;
}

static sp_map *map_open(sp_pit *pit, const char *tool, const sp_map_options *options)
{
    sp_map *map = NULL;
    assert_int_equal(sp_map_open(pit, tool, options, &map, last_error()), SP_OK);
    return map;
}

static void put(sp_map *map, const char *args)
{
    assert_int_equal(sp_map_put(map, sp_text(args), 0, last_error()), 1);
}

/* Put `count` numbers and take every reply; seen[i] counts replies of index i. Returns
 * how often a reply came before one with a lower index. */
static int echo_numbers(sp_map *map, int count, int *seen)
{
    sp_reply reply;
    uint64_t index;
    int disorder = 0;
    uint64_t last = 0;
    int given = 0;
    for (;;) {
        char text[32];
        while (given < count &&
               sp_map_put(map, sp_text(number_args(given, text, sizeof text)), 0,
                          last_error()) == 1) {
            given++;
        }
        if (given == count) {
            sp_map_finish(map);
        }
        int rc = sp_map_next(map, SP_UNLIMITED, &reply, &index, last_error());
        if (rc == 0) {
            return disorder;
        }
        assert_int_equal(rc, 1);
        assert_null(reply.error);
        assert_int_equal((int)strtol(reply.result->json, NULL, 10), (int)index);
        seen[index]++;
        disorder += index < last;
        last = index;
    }
}

static void replies_come_once_each_and_in_order(void **state)
{
    enum { COUNT = 5000 };
    sp_pit *pit = pit_of_probes(2);
    int *seen = calloc(COUNT, sizeof *seen);
    sp_map *map = map_open(pit, "echo", NULL);
    assert_int_equal(echo_numbers(map, COUNT, seen), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(seen[i], 1);
    }
    sp_map_close(map);
    free(seen);
}

static void without_order_a_held_call_delays_no_other(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_map_options options = {
        .size = sizeof options, .unordered = 1, .in_flight_max = 4};
    char args[256];
    sp_map *map = map_open(pit, "hold_or_echo", &options);
    sp_reply reply;
    uint64_t index;
    put(map, hold_args("held", args, sizeof args));
    hold_await("held");
    for (int i = 1; i < 100; i++) { /* more than there are places */
        put(map, number_args(i, args, sizeof args));
        assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, &index, last_error()),
                         1);
        assert_int_equal(index, i);
    }
    hold_release("held");
    sp_map_finish(map);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, &index, last_error()), 1);
    assert_int_equal(index, 0);
    assert_int_equal(sp_map_next(map, 0, &reply, &index, last_error()), 0);
    sp_map_close(map);
}

/* Put until it is full, take one, put again: with room for a single one too. */
static void one_place_is_enough(void **state)
{
    (void)state;
    enum { CALLS = 5 };
    sp_pit *pit = pit_of_probes(1);
    sp_map_options options = {.size = sizeof options, .in_flight_max = 1};
    sp_bytes args[CALLS];
    char texts[CALLS][32];
    sp_result results[CALLS] = {{0}};
    for (int i = 0; i < CALLS; i++) {
        args[i] = sp_text(number_args(i, texts[i], sizeof texts[i]));
    }
    assert_int_equal(sp_execute_many(pit, "echo", args, CALLS, &options, results, NULL,
                                     last_error()),
                     CALLS);
    for (int i = 0; i < CALLS; i++) {
        char expected[8];
        (void)snprintf(expected, sizeof expected, "%d", i);
        assert_string_equal(results[i].json, expected);
        sp_result_clear(&results[i]);
    }
}

static void a_full_map_takes_no_more_until_a_reply_is_taken(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_map_options options = {.size = sizeof options, .in_flight_max = 3};
    sp_map *map = map_open(pit, "echo", &options);
    sp_reply reply;
    char text[32];
    for (int i = 0; i < 3; i++) {
        put(map, number_args(i, text, sizeof text));
    }
    assert_int_equal(sp_map_put(map, sp_text("{}"), 0, last_error()), 0);
    assert_int_equal(sp_map_put(map, sp_text("{}"), 1, last_error()), 0);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    assert_string_equal(reply.result->json, "0");
    put(map, number_args(3, text, sizeof text));  /* in the place of what was taken */
    assert_string_equal(reply.result->json, "0"); /* which is there all the same */
    assert_int_equal(sp_map_put(map, sp_text("{}"), 0, last_error()), 0);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    assert_int_equal(sp_map_put(map, sp_text("{}"), SP_UNLIMITED, last_error()), 1);
    sp_map_close(map);
}

static void failures_are_in_their_place(void **state)
{
    static const struct {
        const char *args;
        int code;
    } rows[] = {
        {"{\"value\":1}", 0},   {"{\"value\":", SP_ERR_BAD_JSON},
        {"7", SP_ERR_BAD_ARGS}, {"{\"nonsense\":1}", SP_ERR_BAD_ARGS},
        {"{\"value\":2}", 0},
    };
    sp_pit *pit = pit_of_probes(1);
    sp_bytes args[COUNT_OF(rows)];
    sp_result results[COUNT_OF(rows)];
    sp_error errors[COUNT_OF(rows)] = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        args[i] = sp_text(rows[i].args);
    }
    assert_int_equal(sp_execute_many(pit, "echo", args, COUNT_OF(rows), NULL, results,
                                     errors, last_error()),
                     2);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(errors[i].code, rows[i].code);
        assert_int_equal(results[i].json != NULL, rows[i].code == 0);
        sp_error_clear(&errors[i]);
        sp_result_clear(&results[i]);
    }
}

static void an_exception_is_one_reply_among_others(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_map *map = map_open(pit, "fail_if_odd", NULL);
    char text[32];
    sp_reply reply;
    for (int i = 0; i < 2; i++) {
        put(map, number_args(i, text, sizeof text));
    }
    sp_map_finish(map);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    assert_null(reply.error);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    assert_int_equal(reply.error->code, SP_ERR_REMOTE);
    assert_string_equal(reply.error->remote_type, "ValueError");
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 0);
    sp_map_close(map);
}

/* Others fill the queue: a map waits for room instead of failing. */
static void a_full_queue_is_waited_for(void **state)
{
    enum { QUEUE = 4, COUNT = 50 };
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_max = QUEUE;
    pool.pipeline_max = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id held = hold_start(pit, "held", NULL);
    sp_id others[QUEUE];
    for (int i = 0; i < QUEUE; i++) {
        others[i] = call_start(pit, "echo", "{\"value\":0}", NULL);
    }
    call_fails(pit, "echo", "{}", NULL, SP_ERR_QUEUE_FULL);
    sp_map *map = map_open(pit, "echo", NULL);
    sp_reply reply;
    put(map, "{\"value\":0}");
    assert_int_equal(sp_map_next(map, 20, &reply, NULL, last_error()), SP_ERR_TIMEOUT);
    hold_release("held");
    sp_map_finish(map);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    assert_null(reply.error);
    sp_map_close(map);
    (void)call_wait(pit, held);
    for (int i = 0; i < QUEUE; i++) {
        (void)call_wait(pit, others[i]);
    }
}

/* The next reply is an array of so many bytes that ends with this number. */
static void take_array(sp_map *map, size_t bytes, int number)
{
    sp_reply reply;
    sp_tensor back;
    double last;
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    assert_null(reply.error);
    assert_int_equal(sp_result_tensor(reply.result, "", &back, last_error()), SP_OK);
    assert_int_equal(back.bytes, bytes);
    memcpy(&last, (const char *)back.data + bytes - sizeof last, sizeof last);
    assert_int_equal((int)last, number);
}

static void arrays_travel_with_their_arguments(void **state)
{
    enum { COUNT = 12, ELEMENTS = 2000 }; /* more than SP_BINARY_MIN_BYTES */
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_max = 2; /* some are sent back, and put again with what they had */
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_map_options options = {.size = sizeof options, .in_flight_max = COUNT};
    sp_map *map = map_open(pit, "echo", &options);
    double values[ELEMENTS] = {0};
    sp_tensor tensor = {.dtype = SP_DTYPE_F64,
                        .dims = 1,
                        .shape = {ELEMENTS},
                        .data = values,
                        .bytes = sizeof values};
    sp_binary binary = {
        .name = "value", .value = {values, sizeof values}, .tensor = &tensor};
    int given = 0;
    for (int taken = 0; taken < COUNT; taken++) {
        while (given < COUNT) {
            values[ELEMENTS - 1] = given;
            int rc = sp_map_put_with(map, sp_text(""), &binary, 1, 0, last_error());
            if (rc == 0) {
                break; /* some wait to be put again, which taking does */
            }
            assert_int_equal(rc, 1);
            given++;
        }
        take_array(map, sizeof values, taken);
    }
    sp_map_close(map);
}

static void binaries_of_a_map_are_checked(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_binary binary = {.name = "value", .value = sp_text("abc")};
    sp_call_options call = {
        .size = sizeof call, .binaries = &binary, .binaries_count = 1};
    sp_map_options options = {.size = sizeof options, .call = &call};
    sp_map *map = NULL;
    sp_reply reply;
    char name[SP_PART_NAME_MAX + 3];
    assert_int_equal(sp_map_open(pit, "echo", &options, &map, last_error()),
                     SP_ERR_INVAL);
    map = map_open(pit, "echo", NULL);
    assert_int_equal(sp_map_put_with(map, sp_text(""), NULL, 1, 0, last_error()),
                     SP_ERR_INVAL);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    binary.name = name;
    assert_int_equal(sp_map_put_with(map, sp_text(""), &binary, 1, 0, last_error()), 1);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    assert_non_null(reply.error); /* in its place */
    sp_map_close(map);
}

static void closing_cancels_what_is_under_way(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_map *map = map_open(pit, "hold", NULL);
    char args[256];
    put(map, hold_args("held", args, sizeof args));
    hold_await("held");
    put(map, hold_args("never", args, sizeof args));
    sp_map_close(map); /* returns: nobody releases them */
    call_gives(pit, "add", "[1,2]", "3");
}

static void *put_numbers(void *arg)
{
    sp_map *map = arg;
    sp_error err = {0};
    for (int i = 0; i < 3000; i++) {
        char text[32];
        if (sp_map_put(map, sp_text(number_args(i, text, sizeof text)), SP_UNLIMITED,
                       &err) != 1) {
            sp_error_clear(&err);
            return (void *)1;
        }
    }
    sp_map_finish(map);
    return NULL;
}

static void one_thread_puts_while_another_takes(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_map *map = map_open(pit, "echo", NULL);
    pthread_t thread;
    sp_reply reply;
    uint64_t index;
    void *failed;
    uint64_t expected = 0;
    assert_int_equal(pthread_create(&thread, NULL, put_numbers, map), 0);
    while (sp_map_next(map, SP_UNLIMITED, &reply, &index, last_error()) == 1) {
        assert_int_equal(index, expected++);
        assert_int_equal((int)strtol(reply.result->json, NULL, 10), (int)index);
    }
    assert_int_equal(expected, 3000);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(sp_map_put(map, sp_text("{}"), 0, last_error()), SP_ERR_CLOSED);
    sp_map_close(map);
}

/* Nobody drives the loop for a taker that has gone: its thread looks up by itself. */
static void a_call_begins_also_when_the_taker_does_not_come_back(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    sp_map *map = map_open(pit, "hold_or_echo", NULL);
    sp_reply reply;
    char args[256];
    for (int i = 0; i < 20; i++) {
        put(map, "{}");
        assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    }
    put(map, hold_args("h", args, sizeof args));
    hold_await("h"); /* looks at a file, not at the pit */
    hold_release("h");
    sp_map_finish(map);
    assert_int_equal(sp_map_next(map, SP_UNLIMITED, &reply, NULL, last_error()), 1);
    sp_map_close(map);
}

static void nonsense_is_refused(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_map *map;
    sp_call_options named = {.size = sizeof named, .request_id = "one"};
    sp_call_options nowhere = {.size = sizeof nowhere, .pool = "defualt"};
    sp_map_options options = {.size = sizeof options, .call = &named};
    assert_int_equal(sp_map_open(pit, "echo", &options, &map, last_error()),
                     SP_ERR_INVAL);
    options = (sp_map_options){.size = sizeof options, .call = &nowhere};
    assert_int_equal(sp_map_open(pit, "echo", &options, &map, last_error()),
                     SP_ERR_NO_POOL);
    assert_has(last_error()->message, "default");
    options = (sp_map_options){.size = sizeof options, .in_flight_max = 65537};
    assert_int_equal(sp_map_open(pit, "echo", &options, &map, last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(sp_map_open(pit, "", NULL, &map, last_error()), SP_ERR_INVAL);
    assert_int_equal(sp_map_open(NULL, "echo", NULL, &map, last_error()), SP_ERR_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replies_come_once_each_and_in_order),
        TEST(without_order_a_held_call_delays_no_other),
        TEST(one_place_is_enough),
        TEST(a_full_map_takes_no_more_until_a_reply_is_taken),
        TEST(failures_are_in_their_place),
        TEST(an_exception_is_one_reply_among_others),
        TEST(a_full_queue_is_waited_for),
        TEST(arrays_travel_with_their_arguments),
        TEST(binaries_of_a_map_are_checked),
        TEST(closing_cancels_what_is_under_way),
        TEST(one_thread_puts_while_another_takes),
        TEST(a_call_begins_also_when_the_taker_does_not_come_back),
        TEST(nonsense_is_refused),
    };
    return RUN_SYSTEM_TESTS("map", tests);
}
