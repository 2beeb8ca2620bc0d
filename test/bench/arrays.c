/* SPDX-License-Identifier: MIT */
/*
 * Arrays of float64, to a Python tool that takes a NumPy array and from one that gives one.
 *
 *     arrays --how tensor|shared|json --bytes N [--times T] [--warm W]
 *
 * A program has a double[] and wants one back; that is where the clock stands, so JSON pays
 * for its text on both sides. Prints one line of JSON: the least and the median time of a
 * call in each direction, in microseconds. A wrong answer ends the program with status 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "snakepit/snakepit.h"

enum { TIMES_MAX = 10000, NUMBER_MAX = 26 /* as text */ };

static sp_pit *pit;
static double *numbers;
static size_t count;
static double *place; /* where a result's numbers go */
static char *text;

static void check(int rc, const sp_error *err, const char *what)
{
    if (rc < 0) {
        give_up("arrays: %s: %s: %s", what, sp_error_name(rc), err->message);
    }
}

static void open_pit(int is_shared)
{
    sp_error err = {0};
    sp_pool_options pool = {
        .size = sizeof pool,
        .name = "bench",
        .runtime = "python",
        .adapter = getenv("BENCH_ADAPTER"),
        .python = getenv("BENCH_PYTHON"),
        .workers = 1,
        .request_max_bytes = 1u << 30,
        .response_max_bytes = 1u << 30,
        .call_timeout_ms = 300000,
        .shared_min_bytes = is_shared ? 1u << 16 : SP_UNLIMITED,
    };
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    check(sp_pit_open(&options, &pit, &err), &err, "open");
    check(sp_pit_await_ready(pit, 0, &err), &err, "await ready");
}

/* ---- as tensors ---- */

static void take_tensor(void)
{
    sp_result result;
    sp_error err = {0};
    sp_tensor x = {.dtype = SP_DTYPE_F64,
                   .dims = 1,
                   .shape = {count},
                   .data = numbers,
                   .bytes = count * sizeof(double)};
    sp_binary binary = {.name = "x", .tensor = &x};
    sp_call_options options = {
        .size = sizeof options, .binaries = &binary, .binaries_count = 1};
    check(sp_execute(pit, "take", sp_text("{}"), &options, &result, &err), &err,
          "take");
    if (strtod(result.json, NULL) != numbers[count - 1]) {
        give_up("arrays: take gave %s", result.json);
    }
    sp_result_clear(&result);
}

static void give_tensor(void)
{
    sp_result result;
    sp_tensor found;
    sp_error err = {0};
    char args[64];
    (void)snprintf(args, sizeof args, "[%zu]", count);
    check(sp_execute(pit, "give", sp_text(args), NULL, &result, &err), &err, "give");
    if (result.binary == NULL) { /* a small one: a list */
        char *at = result.json + 1;
        for (size_t i = 0; i < count; i++, at++) {
            place[i] = strtod(at, &at);
        }
        found = (sp_tensor){.data = place};
    } else {
        check(sp_result_tensor(&result, "", &found, &err), &err, "the result");
    }
    if (((const double *)found.data)[count - 1] != numbers[count - 1]) {
        give_up("arrays: give gave another array");
    }
    sp_result_clear(&result);
}

/* ---- as lists ---- */

static void take_list(void)
{
    sp_result result;
    sp_error err = {0};
    char *at = text + snprintf(text, NUMBER_MAX, "{\"x\":[");
    for (size_t i = 0; i < count; i++) {
        at += snprintf(at, NUMBER_MAX, i == 0 ? "%.17g" : ",%.17g", numbers[i]);
    }
    at += snprintf(at, NUMBER_MAX, "]}");
    check(sp_execute(pit, "take_list", (sp_bytes){text, (size_t)(at - text)}, NULL,
                     &result, &err),
          &err, "take_list");
    if (strtod(result.json, NULL) != numbers[count - 1]) {
        give_up("arrays: take_list gave %s", result.json);
    }
    sp_result_clear(&result);
}

static void give_list(void)
{
    sp_result result;
    sp_error err = {0};
    char args[64];
    (void)snprintf(args, sizeof args, "[%zu]", count);
    check(sp_execute(pit, "give_list", sp_text(args), NULL, &result, &err), &err,
          "give_list");
    char *at = result.json + 1;
    for (size_t i = 0; i < count; i++, at++) {
        place[i] = strtod(at, &at);
    }
    if (place[count - 1] != numbers[count - 1]) {
        give_up("arrays: give_list gave another array");
    }
    sp_result_clear(&result);
}

/* ---- measuring ---- */

static int by_size(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void measure(void (*run)(void), long warm, long times, double *ret_least,
                    double *ret_median)
{
    static uint64_t taken[TIMES_MAX];
    for (long i = -warm; i < times; i++) {
        uint64_t began = now_ns();
        run();
        if (i >= 0) {
            taken[i] = now_ns() - began;
        }
    }
    qsort(taken, (size_t)times, sizeof taken[0], by_size);
    *ret_least = (double)taken[0] / 1000;
    *ret_median = (double)taken[times / 2] / 1000;
}

int main(int argc, char **argv)
{
    const char *how = option_text(argc, argv, "how", "tensor");
    long bytes = option_number(argc, argv, "bytes", 8000000);
    long times = option_number(argc, argv, "times", 20);
    long warm = option_number(argc, argv, "warm", 5);
    double least[2];
    double median[2];
    if (times < 1 || times > TIMES_MAX || bytes < 8) {
        give_up("arrays: --times 1 to %d, --bytes from 8", TIMES_MAX);
    }
    count = (size_t)bytes / sizeof(double);
    numbers = malloc(count * sizeof(double));
    place = malloc(count * sizeof(double));
    text = malloc((count + 4) * NUMBER_MAX);
    if (numbers == NULL || place == NULL || text == NULL) {
        give_up("arrays: no memory");
    }
    for (size_t i = 0; i < count; i++) {
        numbers[i] = (double)i * 0.37 + 0.1; /* as adapter's `give` has them */
    }
    int is_json = strcmp(how, "json") == 0;
    open_pit(strcmp(how, "shared") == 0);
    measure(is_json ? take_list : take_tensor, warm, times, &least[0], &median[0]);
    measure(is_json ? give_list : give_tensor, warm, times, &least[1], &median[1]);
    printf("{\"what\": \"arrays\", \"how\": \"%s\", \"bytes\": %zu, \"times\": %ld, "
           "\"take_us\": %.1f, \"take_median_us\": %.1f, \"give_us\": %.1f, "
           "\"give_median_us\": %.1f}\n",
           how, count * sizeof(double), times, least[0], median[0], least[1],
           median[1]);
    sp_pit_close(pit);
    free(numbers);
    free(place);
    free(text);
    return 0;
}
