/* SPDX-License-Identifier: MIT */
/*
 * bench: how fast a tool of the user's own answers, and what of that is ours.
 *
 * One call is made first: what is wrong with the tool or its arguments is said as `call`
 * says it. Then calls are made as the plan has it (bench_load.c). Last, where workers are
 * Python, the same is done with a function that does nothing, in a pool of its own with
 * the same settings: the difference is the tool's. The exit code is 1 when a call failed.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static const char empty_tool[] = "builtins.dict";

enum {
    IN_FLIGHT_DEFAULT = 64,
    DURATION_MS_DEFAULT = 1000,
    WARM_UP_MS_DEFAULT = 200,
    REPETITIONS_DEFAULT = 5
};

static int make_plan(const struct cli *cli, struct bench_plan *ret)
{
    int ways = (cli->in_flight > 0) + (cli->threads > 0) + (cli->rate > 0);
    if (ways > 1) {
        return complain(CODE_USAGE,
                        "--in-flight, --threads and --rate are three ways of "
                        "calling; choose one");
    }
    *ret = (struct bench_plan){
        .mode = cli->rate > 0      ? BENCH_RATE
                : cli->threads > 0 ? BENCH_THREADS
                                   : BENCH_IN_FLIGHT,
        .count = cli->threads > 0     ? cli->threads
                 : cli->in_flight > 0 ? cli->in_flight
                                      : IN_FLIGHT_DEFAULT,
        .rate = cli->rate,
        .warm_up_ms = cli->has_warm_up ? cli->warm_up_ms : WARM_UP_MS_DEFAULT,
        .duration_ms = cli->duration_ms > 0 ? cli->duration_ms : DURATION_MS_DEFAULT,
        .repetitions = cli->repeat > 0 ? cli->repeat : REPETITIONS_DEFAULT,
    };
    return CODE_OK;
}

static int probe(struct cli *cli, const struct bench_target *target)
{
    sp_result result = {0};
    sp_error err = {0};
    int code = CODE_OK;
    cli->pool = target->pool;
    if (perform_call(target->pit, cli, target->tool, target->args, 0, &result, &err) <
        0) {
        code = watch_interrupted() ? CODE_INTERRUPTED : report(&err);
    }
    sp_result_clear(&result);
    sp_error_clear(&err);
    return code;
}

/* Wait for the pit, call once, then measure; the pit is closed afterwards, so that no
 * call is under way any more. */
static int measure(struct cli *cli, struct opened *opened, struct bench_target *target,
                   struct bench_meter *meter)
{
    struct bench_load *load = NULL;
    int code = pit_wait(opened);
    if (code == CODE_OK) {
        target->pit = opened->pit;
        target->options = call_options_of(cli);
        target->options.pool = target->pool;
        code = probe(cli, target);
    }
    if (code == CODE_OK) {
        watch_stop(); /* only one thread may dispatch, and it is this one from now on */
        code = bench_load_run(target, meter, &load);
    }
    pit_close(opened);
    bench_load_free(load);
    return code;
}

/* The same with a tool that does nothing: what `opened` is then, is closed. */
static int measure_empty(const struct cli *cli, struct opened *opened,
                         struct bench_meter *meter)
{
    struct cli empty = *cli;
    struct bench_target target = {.tool = empty_tool, .args = sp_text("{}")};
    empty.adapter = "none";
    empty.function = NULL;
    empty.session = NULL;
    empty.dedupe_key = NULL;
    int code = pit_open(&empty, OPEN_ONE_POOL, opened);
    if (code == CODE_OK) {
        target.pool = opened->options.pools[0].name;
        code = measure(&empty, opened, &target, meter);
    }
    return code;
}

static int bench_in(struct cli *cli, struct opened *opened, const char *tool,
                    const struct text *args)
{
    struct bench_plan plan;
    struct bench_meter meter;
    struct bench_meter empty;
    char pool[65];
    (void)make_plan(cli, &plan); /* it was looked at before */
    (void)snprintf(pool, sizeof pool, "%s", opened->options.pools[0].name);
    int is_python = strcmp(opened->options.pools[0].runtime, "python") == 0;
    struct bench_target target = {.address = cli->address,
                                  .pool = pool,
                                  .workers = opened->options.pools[0].workers,
                                  .tool = tool,
                                  .args = {args->data, args->size}};
    bench_meter_init(&meter, &plan);
    bench_meter_init(&empty, &plan);
    int code = measure(cli, opened, &target, &meter);
    int has_empty = code == CODE_OK && is_python && !cli->no_empty;
    if (has_empty) {
        code = measure_empty(cli, opened, &empty);
    }
    if (code == CODE_OK) {
        bench_report(cli, &target, &meter, has_empty ? &empty : NULL, empty_tool);
        int written = print_flush();
        code = bench_meter_failed(&meter) > 0 ? CODE_FINDING : written;
    } else if (code == CODE_INTERRUPTED) {
        talk("interrupted");
    }
    bench_meter_fini(&meter);
    bench_meter_fini(&empty);
    return code;
}

int cmd_bench(struct cli *cli)
{
    struct bench_plan plan;
    struct text settings = {0};
    int code = make_plan(cli, &plan);
    if (code == CODE_OK && cli->address != NULL) {
        uint32_t calls = plan.mode == BENCH_RATE ? BENCH_CALLS_MAX : plan.count;
        code = bench_connect(cli, calls, &settings);
    }
    if (code == CODE_OK) {
        code = perform_words(cli, "bench", OPEN_ONE_POOL, bench_in);
    }
    text_free(&settings);
    return code;
}
