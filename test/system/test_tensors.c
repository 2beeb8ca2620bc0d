/* SPDX-License-Identifier: MIT */
/* Arrays as arguments, results and chunks, to Python and back, and to a worker in C. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

static double numbers[1 << 17]; /* 1 MiB */
static sp_stream *stream;

static sp_pit *pit_of_arrays(void)
{
    static char adapter[512];
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(adapter, sizeof adapter, "%s", path_of_python("arrays.py"));
    pool.adapter = adapter;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        numbers[i] = (double)i / 2;
    }
    return pit_open_ready(&pool, 1);
}

static sp_tensor matrix(uint64_t rows, uint64_t columns)
{
    return (sp_tensor){.dtype = SP_DTYPE_F64,
                       .dims = 2,
                       .shape = {rows, columns},
                       .data = numbers,
                       .bytes = rows * columns * sizeof numbers[0]};
}

static const sp_result *call_with(sp_pit *pit, const char *tool, const char *args,
                                  const sp_binary *binaries, size_t count)
{
    sp_call_options options = {
        .size = sizeof options, .binaries = binaries, .binaries_count = count};
    return call(pit, tool, args, &options);
}

static void refused(sp_pit *pit, const char *args, const sp_binary *binaries,
                    size_t count, int code)
{
    sp_call_options options = {
        .size = sizeof options, .binaries = binaries, .binaries_count = count};
    call_fails(pit, "tell", args, &options, code);
}

/* ---- arguments ---- */

static void a_tensor_arrives_as_an_array_over_the_received_bytes(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor x = matrix(100, 200);
    sp_binary binary = {.name = "x", .tensor = &x};
    const char *json = call_with(pit, "tell", "{}", &binary, 1)->json;
    assert_string_equal(
        json,
        "{\"x\":{\"type\":\"ndarray\",\"dtype\":\"<f8\",\"shape\":[100,200],"
        "\"sum\":99995000.0,\"aligned\":true,\"writeable\":false,\"owns\":false}}");
}

static void every_dtype_arrives_as_itself(void **state)
{
    char expected[64];
    sp_pit *pit = pit_of_arrays();
    for (int dtype = SP_DTYPE_BOOL; dtype <= SP_DTYPE_C128; dtype++) {
        sp_tensor x = {.dtype = dtype,
                       .dims = 3,
                       .shape = {5, 1, 7},
                       .data = numbers,
                       .bytes = 35 * sp_dtype_bytes(dtype)};
        sp_binary binary = {.name = "x", .tensor = &x};
        (void)snprintf(expected, sizeof expected, "\"dtype\":\"%s\",\"shape\":[5,1,7]",
                       sp_dtype_name(dtype));
        assert_has(call_with(pit, "tell", "", &binary, 1)->json, expected);
        const sp_result *back = call_with(pit, "scaled", "{\"factor\":1}", &binary, 1);
        assert_non_null(back->json);
    }
}

static void small_and_empty_tensors_stay_arrays(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor empty = matrix(0, 7);
    sp_tensor scalar = {.dtype = SP_DTYPE_F64, .data = numbers, .bytes = 8};
    sp_binary binaries[] = {{.name = "e", .tensor = &empty},
                            {.name = "s", .tensor = &scalar}};
    const char *json = call_with(pit, "tell", " { } ", binaries, 2)->json;
    assert_has(json, "\"e\":{\"type\":\"ndarray\",\"dtype\":\"<f8\",\"shape\":[0,7]");
    assert_has(json, "\"s\":{\"type\":\"ndarray\",\"dtype\":\"<f8\",\"shape\":[]");
}

static void tensors_stand_anywhere_in_the_arguments(void **state)
{
    char args[SP_TENSOR_TEXT_MAX + 200];
    char one[SP_TENSOR_TEXT_MAX];
    size_t n;
    sp_pit *pit = pit_of_arrays();
    sp_tensor x = matrix(10, 10);
    x.bytes = 800;
    assert_int_equal(sp_tensor_text(&x, "blob", 80, one, sizeof one, &n, NULL), 0);
    (void)snprintf(args, sizeof args,
                   "{\"values\":{\"list\":[%s,{\"deep\":{\"__bytes__\":{\"size\":5,"
                   "\"part\":\"blob\",\"at\":3}}}]}}",
                   one);
    sp_binary blob = {.name = "blob", .value = {numbers, 880}};
    const char *json = call_with(pit, "tell_nested", args, &blob, 1)->json;
    assert_has(json, "\"shape\":[10,10],\"sum\":2975.0");
    assert_has(json, "{\"type\":\"bytes\",\"shape\":[5]}");
}

static void positional_arguments_hold_tensors_and_plain_bytes_go_by_name(void **state)
{
    char args[SP_TENSOR_TEXT_MAX + 200];
    char one[SP_TENSOR_TEXT_MAX];
    size_t n;
    sp_pit *pit = pit_of_arrays();
    sp_tensor x = matrix(10, 10);
    assert_int_equal(sp_tensor_text(&x, "p", 0, one, sizeof one, &n, NULL), 0);
    (void)snprintf(args, sizeof args, "[%s]", one);
    sp_binary binaries[] = {{.name = "p", .value = {numbers, 800}},
                            {.name = "raw", .value = {numbers, 16}}};
    const char *json = call_with(pit, "tell_first", args, binaries, 2)->json;
    assert_has(json, "[{\"type\":\"ndarray\",\"dtype\":\"<f8\",\"shape\":[10,10]");
    assert_has(json, "{\"raw\":{\"type\":\"bytes\",\"shape\":[16]}}");
}

static void an_array_outlives_its_call(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor x = matrix(300, 400);
    sp_binary binary = {.name = "x", .tensor = &x};
    call_with(pit, "keep", "", &binary, 1);
    for (int i = 0; i < 20; i++) { /* whatever might be used again is */
        sp_tensor y = matrix(1, 120000 - (uint64_t)i);
        sp_binary other = {.name = "y", .tensor = &y};
        call_with(pit, "tell", "", &other, 1);
    }
    call_gives(pit, "kept_sum", "", "3599970000.0");
    call_gives(pit, "drop", "", "null");
}

static void without_numpy_an_array_is_a_memoryview(void **state)
{
    sp_pit *pit = pit_of_arrays();
    call(pit, "forget_numpy", "", NULL);
    const uint16_t few[] = {1, 2, 3, 4, 5, 256};
    sp_tensor x = {
        .dtype = SP_DTYPE_U16, .dims = 2, .shape = {2, 3}, .data = few, .bytes = 12};
    sp_tensor c = {.dtype = SP_DTYPE_C64, .dims = 0, .data = numbers, .bytes = 8};
    sp_binary binary = {.name = "x", .tensor = &x};
    assert_string_equal(
        call_with(pit, "tell", "", &binary, 1)->json,
        "{\"x\":{\"type\":\"memoryview\",\"format\":\"H\",\"shape\":[2,3],"
        "\"sum\":16}}");
    binary.tensor = &c; /* there is nothing that could show it */
    refused(pit, "", &binary, 1, SP_ERR_BAD_ARGS);
    assert_has(last_error()->message, "needs NumPy");
}

static void what_does_not_fit_is_refused_before_it_is_sent(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor x = matrix(10, 10);
    sp_binary binary = {.name = "x", .tensor = &x};
    refused(pit, "[1]", &binary, 1, SP_ERR_BAD_ARGS);
    refused(pit, "{\"x\":1}", &binary, 1, SP_ERR_BAD_ARGS);
    refused(pit, "", NULL, 1, SP_ERR_INVAL);
    x.bytes--;
    refused(pit, "", &binary, 1, SP_ERR_BAD_VALUE);
    x.bytes++;
    x.dims = 33;
    refused(pit, "", &binary, 1, SP_ERR_TOO_DEEP);
    x.dims = 2;
    binary.name = "";
    refused(pit, "", &binary, 1, SP_ERR_INVAL);
    binary = (sp_binary){.name = "x", .value = {NULL, 5}};
    refused(pit, "", &binary, 1, SP_ERR_INVAL);
    binary = (sp_binary){.name = "x", .value = {numbers, SIZE_MAX / 4}};
    refused(pit, "", &binary, 1, SP_ERR_TOO_BIG);
}

static void what_a_worker_cannot_read_is_the_arguments_fault(void **state)
{
    static const char *const wrong[] = {
        "{\"x\":{\"__tensor__\":{\"dtype\":\"|O\",\"shape\":[1],\"part\":\"p\"}}}",
        "{\"x\":{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[101],\"part\":\"p\"}}}",
        "{\"x\":{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1],\"part\":\"q\"}}}",
        ("{\"x\":{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[1],\"part\":\"p\"},"
         "\"y\":1}}"),
        "{\"x\":{\"__tensor__\":\"cos\\nsystem\"}}",
        "{\"x\":{\"__bytes__\":{\"size\":1,\"at\":800,\"part\":\"p\"}}}",
        "{\"x\":{\"__bytes__\":{\"size\":-1,\"part\":\"p\"}}}",
    };
    sp_pit *pit = pit_of_arrays();
    sp_binary binary = {.name = "p", .value = {numbers, 800}};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        refused(pit, wrong[i], &binary, 1, SP_ERR_BAD_ARGS);
        assert_int_equal(last_error()->executed, SP_EXECUTED_NO);
    }
}

/* ---- results ---- */

static void an_array_comes_back_as_it_went(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor found;
    sp_tensor x = matrix(300, 400);
    sp_binary binary = {.name = "x", .tensor = &x};
    const sp_result *result = call_with(pit, "give_back", "", &binary, 1);
    assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
    assert_int_equal(found.dtype, SP_DTYPE_F64);
    assert_int_equal(found.dims, 2);
    assert_int_equal(found.shape[0], 300);
    assert_int_equal(found.shape[1], 400);
    assert_int_equal(found.bytes, x.bytes);
    assert_memory_equal(found.data, numbers, x.bytes);
    assert_string_equal(result->json,
                        "{\"__tensor__\":{\"dtype\":\"<f8\",\"shape\":[300,400]}}");
}

static void several_arrays_come_back_in_one_result(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor now, above;
    sp_tensor x = matrix(100, 110);
    sp_binary binary = {.name = "x", .tensor = &x};
    const sp_result *result = call_with(pit, "scaled", "{\"factor\":3}", &binary, 1);
    assert_int_equal(sp_result_tensor(result, "/now/0", &now, last_error()), 0);
    assert_int_equal(sp_result_tensor(result, "/now/1", &above, last_error()), 0);
    assert_int_equal(now.shape[1], 110);
    assert_int_equal(((const double *)now.data)[10999], numbers[10999] * 3);
    assert_int_equal((uintptr_t)now.data % 16, 0);
    assert_int_equal(above.dtype, SP_DTYPE_BOOL);
    assert_int_equal(above.bytes, 11000);
    assert_int_equal(((const char *)above.data)[0], 0);
    assert_int_equal(((const char *)above.data)[10999], 1);
    assert_int_equal(sp_result_tensor(result, "/was", &now, last_error()),
                     SP_ERR_BAD_VALUE);
    assert_int_equal(sp_result_tensor(result, "/nowhere", &now, last_error()),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(sp_result_tensor(NULL, "", &now, last_error()), SP_ERR_INVAL);
}

static void up_to_10_kib_an_array_is_json_and_above_it_is_bytes(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor found;
    const sp_result *result = call(pit, "ramp", "[1280]", NULL); /* 10 240 bytes */
    assert_null(result->binary);
    assert_memory_equal(result->json, "[0.0,1.0,2.0,", 13);
    result = call(pit, "ramp", "[1281]", NULL);
    assert_int_equal(result->binary_bytes, 10248);
    assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
    assert_int_equal(((const double *)found.data)[1280], 1280);
}

static void any_order_of_elements_and_bytes_comes_as_c_and_little(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor found;
    const sp_result *result = call(
        pit, "ramp", "{\"elements\":6000,\"dtype\":\">i4\",\"shape\":[60,100]}", NULL);
    assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
    assert_int_equal(found.dtype, SP_DTYPE_I32);
    assert_int_equal(((const int32_t *)found.data)[5999], 5999);
    result =
        call(pit, "ramp",
             "{\"elements\":6000,\"dtype\":\"<u2\",\"shape\":[60,100],\"order\":\"F\"}",
             NULL);
    assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
    assert_int_equal(found.shape[0], 60);
    assert_int_equal(((const uint16_t *)found.data)[1], 60); /* row 0, column 1 */
}

static void other_libraries_arrays_leave_without_lists(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_tensor found;
    const sp_result *result = call(pit, "lent", "[20000]", NULL);
    assert_int_equal(sp_result_tensor(result, "/array", &found, last_error()), 0);
    assert_int_equal(found.dtype, SP_DTYPE_F64);
    assert_int_equal(sp_result_tensor(result, "/dlpack", &found, last_error()), 0);
    assert_int_equal(found.dtype, SP_DTYPE_I32);
    assert_int_equal(((const int32_t *)found.data)[19999], 19999);
    assert_int_equal(sp_result_tensor(result, "/view", &found, last_error()), 0);
    assert_int_equal(found.dtype, SP_DTYPE_U16);
    assert_int_equal(((const uint16_t *)found.data)[9999], 19998);
    assert_has(result->json, "\"bytes\":{\"__bytes__\":{\"size\":20000,\"at\":");
    assert_true(strlen(result->json) < 600);
}

static void what_is_no_array_of_numbers_stays_json(void **state)
{
    sp_pit *pit = pit_of_arrays();
    const sp_result *result = call(pit, "objects", "[5000]", NULL);
    assert_null(result->binary);
    assert_memory_equal(result->json, "[\"0\",\"1\",", 9);
    result = call(pit, "dates", "[5000]", NULL);
    assert_null(result->binary);
    assert_memory_equal(result->json, "[\"1970-01-01\",", 14);
}

/* ---- streams ---- */

static void close_stream(void)
{
    sp_stream_close(stream);
    stream = NULL;
}

static void chunks_carry_arrays(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_chunk chunk;
    sp_tensor found;
    leak_at_end(close_stream);
    assert_int_equal(sp_stream_open(pit, "slices", sp_text("[40,30000]"), NULL, &stream,
                                    last_error()),
                     0);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 1);
        assert_int_equal(sp_chunk_tensor(&chunk, "/x", &found, last_error()), 0);
        assert_int_equal(found.dtype, SP_DTYPE_F32);
        assert_int_equal(found.bytes, 120000);
        assert_int_equal(((const float *)found.data)[29999], i);
        assert_int_equal((uintptr_t)found.data % 16, 0);
    }
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 0);
    assert_int_equal(sp_chunk_tensor(NULL, "", &found, last_error()), SP_ERR_INVAL);
}

static void a_stream_takes_and_gives_more_than_its_window(void **state)
{
    sp_pit *pit = pit_of_arrays();
    sp_chunk chunk;
    sp_tensor found;
    sp_tensor x = matrix(1024, 128); /* 1 MiB: as much as a window */
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = {
        .size = sizeof options, .binaries = &binary, .binaries_count = 1};
    leak_at_end(close_stream);
    assert_int_equal(sp_stream_open(pit, "echo_stream", sp_text("{\"count\":5}"),
                                    &options, &stream, last_error()),
                     0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 1);
        assert_int_equal(sp_chunk_tensor(&chunk, "", &found, last_error()), 0);
        assert_memory_equal(found.data, numbers, sizeof numbers);
    }
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 0);
}

/* Calls end while their arguments are on the way, and the arguments are let go of. */
static void a_worker_dies_and_callers_leave_in_the_middle_of_large_arguments(
    void **state)
{
    enum { CALLS = 6, SIZE = 8 << 20 };
    sp_id calls[CALLS];
    sp_result result;
    sp_pit *pit = pit_of_arrays();
    void *data = calloc(1, SIZE);
    assert_non_null(data);
    sp_tensor x = {
        .dtype = SP_DTYPE_U8, .dims = 1, .shape = {SIZE}, .data = data, .bytes = SIZE};
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = {.size = sizeof options,
                               .binaries = &binary,
                               .binaries_count = 1,
                               .flags = SP_CALL_IDEMPOTENT,
                               .timeout_ms = patience_ms(60000),
                               .queue_timeout_ms = patience_ms(60000)};
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CALLS; i++) {
            calls[i] = call_start(pit, "tell", "", &options);
        }
        assert_int_equal(sp_call_cancel(pit, calls[1], last_error()), 0);
        assert_int_equal(kill(worker_at(pit, 0).pid, SIGKILL), 0);
        assert_int_equal(sp_call_cancel(pit, calls[3], last_error()), 0);
        for (int i = 0; i < CALLS; i++) {
            int rc = sp_call_wait(pit, calls[i], &result, last_error());
            if (rc != 0 && (i % 2 == 0 || rc != SP_ERR_CANCELLED)) {
                fail_msg("call %d of round %d: %s", i, round, last_error()->message);
            }
            if (rc == 0) {
                assert_has(result.json, "8388608");
                sp_result_clear(&result);
            }
        }
        /* Or the next round would kill the one that starts in its place. */
        (void)event_await(pit, SP_EVENT_WORKER_DIED, (unsigned)round + 1);
        assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    }
    free(data);
}

/* ---- a worker in C ---- */

static sp_pit *pit_of_doubles(void)
{
    sp_pool_options pool = pool_of_program("doubles", NULL, 1);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        numbers[i] = (double)i / 2;
    }
    return pit_open_ready(&pool, 1);
}

static void a_worker_in_c_takes_and_gives_tensors(void **state)
{
    sp_pit *pit = pit_of_doubles();
    sp_tensor found;
    sp_tensor x = matrix(300, 400);
    sp_binary binary = {.name = "x", .tensor = &x};
    const sp_result *result = call_with(pit, "double", "", &binary, 1);
    assert_int_equal(sp_result_tensor(result, "", &found, last_error()), 0);
    assert_int_equal(found.shape[1], 400);
    for (size_t i = 0; i < 120000; i++) {
        assert_true(((const double *)found.data)[i] == 2 * numbers[i]);
    }
    call_with(pit, "hold", "", &binary, 1);
    call_with(pit, "double", "", &binary, 1);
    call_gives(pit, "held_sum", "", "3599970000.0");
    call_fails(pit, "double", "{\"x\":[1]}", NULL, SP_ERR_BAD_VALUE);
    call_fails(pit, "double", "{\"y\":1}", NULL, SP_ERR_NOT_FOUND);
}

static void a_worker_in_c_streams_tensors(void **state)
{
    sp_pit *pit = pit_of_doubles();
    sp_chunk chunk;
    sp_tensor found;
    sp_tensor x = matrix(6, 2000);
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = {
        .size = sizeof options, .binaries = &binary, .binaries_count = 1};
    leak_at_end(close_stream);
    assert_int_equal(
        sp_stream_open(pit, "steps", sp_text("{}"), &options, &stream, last_error()),
        0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 1);
        assert_int_equal(sp_chunk_tensor(&chunk, "", &found, last_error()), 0);
        assert_memory_equal(found.data, numbers + i * 2000, 16000);
    }
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tensor_arrives_as_an_array_over_the_received_bytes),
        TEST(every_dtype_arrives_as_itself),
        TEST(small_and_empty_tensors_stay_arrays),
        TEST(tensors_stand_anywhere_in_the_arguments),
        TEST(positional_arguments_hold_tensors_and_plain_bytes_go_by_name),
        TEST(an_array_outlives_its_call),
        TEST(without_numpy_an_array_is_a_memoryview),
        TEST(what_does_not_fit_is_refused_before_it_is_sent),
        TEST(what_a_worker_cannot_read_is_the_arguments_fault),
        TEST(an_array_comes_back_as_it_went),
        TEST(several_arrays_come_back_in_one_result),
        TEST(up_to_10_kib_an_array_is_json_and_above_it_is_bytes),
        TEST(any_order_of_elements_and_bytes_comes_as_c_and_little),
        TEST(other_libraries_arrays_leave_without_lists),
        TEST(what_is_no_array_of_numbers_stays_json),
        TEST(chunks_carry_arrays),
        TEST(a_stream_takes_and_gives_more_than_its_window),
        TEST(a_worker_dies_and_callers_leave_in_the_middle_of_large_arguments),
        TEST(a_worker_in_c_takes_and_gives_tensors),
        TEST(a_worker_in_c_streams_tensors),
    };
    return RUN_SYSTEM_TESTS("tensors", tests);
}
