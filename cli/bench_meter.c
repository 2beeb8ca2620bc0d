/* SPDX-License-Identifier: MIT */
/*
 * What calls took, by repetition.
 *
 * Repetitions are windows of time that follow each other without a pause: what ends
 * before the first has begun warms up and is not counted, and what ends after the last
 * one is not either. Failures are counted by their code; the first is kept as it is.
 */
#include "bench.h"

#include <stdlib.h>

void bench_meter_init(struct bench_meter *meter, const struct bench_plan *plan)
{
    *meter = (struct bench_meter){.plan = plan};
    (void)pthread_mutex_init(&meter->lock, NULL); /* a plain one cannot fail */
    meter->repetitions = need(calloc(plan->repetitions, sizeof *meter->repetitions));
}

void bench_meter_fini(struct bench_meter *meter)
{
    sp_error_clear(&meter->first);
    free(meter->repetitions);
    (void)pthread_mutex_destroy(&meter->lock);
}

void bench_meter_begin(struct bench_meter *meter)
{
    const struct bench_plan *plan = meter->plan;
    meter->begin_ns = clock_ns() + plan->warm_up_ms * 1000000u;
    meter->end_ns = meter->begin_ns + plan->repetitions * plan->duration_ms * 1000000u;
}

static void count_code(struct bench_meter *meter, const sp_error *error)
{
    size_t i = 0;
    while (i < meter->codes_count && meter->codes[i].code != error->code) {
        i++;
    }
    if (i == BENCH_CODES_MAX) {
        return; /* there are fewer codes that a call can end with */
    }
    if (i == meter->codes_count) {
        meter->codes[meter->codes_count++] = (struct bench_code){error->code, 0};
    }
    meter->codes[i].count++;
    if (meter->first.code == 0) {
        (void)sp_error_set(&meter->first, error->code, "%s", error->message);
    }
}

void bench_meter_add(struct bench_meter *meter, uint64_t from_ns, uint64_t to_ns,
                     uint64_t at_ns, const sp_result *result, const sp_error *error)
{
    (void)pthread_mutex_lock(&meter->lock); /* cannot fail: a valid, plain mutex */
    meter->ended++;
    if (at_ns >= meter->begin_ns && at_ns < meter->end_ns) {
        size_t at =
            (size_t)((at_ns - meter->begin_ns) / (meter->plan->duration_ms * 1000000u));
        struct bench_repetition *repetition = &meter->repetitions[at];
        if (error != NULL) {
            repetition->failed++;
            count_code(meter, error);
        } else {
            repetition->calls++;
            latency_add(&repetition->latency, to_ns - from_ns);
            latency_add(&meter->queued, result->queued_us * 1000);
            latency_add(&meter->run, result->run_us * 1000);
        }
    }
    (void)pthread_mutex_unlock(&meter->lock);
}

uint64_t bench_meter_calls(const struct bench_meter *meter)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < meter->plan->repetitions; i++) {
        sum += meter->repetitions[i].calls;
    }
    return sum;
}

uint64_t bench_meter_failed(const struct bench_meter *meter)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < meter->plan->repetitions; i++) {
        sum += meter->repetitions[i].failed;
    }
    return sum;
}
