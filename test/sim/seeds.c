/* SPDX-License-Identifier: MIT */
/*
 * Many seeds, each a life of a pool.
 *
 *     seeds [-n COUNT] [-b FIRST] [-t SECONDS] [-1]
 *
 * -t ends it when so much time has passed, -1 runs each seed once; otherwise each is run
 * twice and the logs are compared. A seed that fails is printed with its options; -p
 * prints all it does: `seeds -b SEED -n 1 -p`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "simulate.h"

struct plan {
    uint64_t first;
    uint64_t count;
    uint64_t seconds;
    int once;
    int prints;
};

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_options(uint64_t seed)
{
    struct world_options o;
    simulate_options(seed, &o);
    (void)printf(
        "  workers %u, surge %u, threads %u, pipeline %u, queue %u, affinity %d\n"
        "  attempts %u, tokens %u, drain %llu, probe %llu, crashes %u\n"
        "  start %u ms, %u fail; calls %u ms, %u crash, %u hang, %u refused\n",
        o.core.workers, o.core.surge, o.core.threads, o.core.pipeline_max,
        o.core.queue_max, o.core.affinity, o.core.attempts_max, o.core.retry_tokens_max,
        (unsigned long long)o.core.drain_ms, (unsigned long long)o.core.probe_ms,
        o.core.crashes_max, o.start_ms, o.start_fails, o.call_ms, o.call_crashes,
        o.call_hangs, o.refuses);
}

static int run_seed(const struct plan *plan, uint64_t seed, struct simulation *ret)
{
    int rc = simulate(seed, plan->prints, ret);
    if (rc == 0 && !plan->once) {
        struct simulation again;
        rc = simulate(seed, 0, &again);
        if (rc == 0 && (again.log != ret->log || again.events != ret->events)) {
            (void)snprintf(ret->text, sizeof ret->text, "another log the second time");
            rc = -1;
        }
    }
    if (rc < 0) {
        (void)printf("seed %llu failed: %s\n", (unsigned long long)seed, ret->text);
        print_options(seed);
    }
    return rc;
}

static int read_plan(int argc, char **argv, struct plan *plan)
{
    int option;
    while ((option = getopt(argc, argv, "n:b:t:1p")) != -1) {
        switch (option) {
        case 'n':
            plan->count = strtoull(optarg, NULL, 10);
            break;
        case 'b':
            plan->first = strtoull(optarg, NULL, 10);
            break;
        case 't':
            plan->seconds = strtoull(optarg, NULL, 10);
            break;
        case '1':
            plan->once = 1;
            break;
        case 'p':
            plan->prints = 1;
            break;
        default:
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct plan plan = {.first = 1, .count = 200, .seconds = UINT32_MAX};
    if (read_plan(argc, argv, &plan) < 0) {
        (void)fprintf(stderr,
                      "usage: seeds [-n COUNT] [-b FIRST] [-t SECONDS] [-1] [-p]\n");
        return 2;
    }
    double begin_s = now_s();
    uint64_t seeds = 0;
    uint64_t failed = 0;
    uint64_t events = 0;
    uint64_t calls = 0;
    while (seeds < plan.count && failed < 5 &&
           now_s() - begin_s < (double)plan.seconds) {
        struct simulation done;
        failed += run_seed(&plan, plan.first + seeds++, &done) < 0;
        events += done.events;
        calls += done.calls;
    }
    (void)printf(
        "%llu seeds from %llu%s, %llu events, %llu calls, %llu failed, %.0f s\n",
        (unsigned long long)seeds, (unsigned long long)plan.first,
        plan.once ? "" : ", each twice", (unsigned long long)events,
        (unsigned long long)calls, (unsigned long long)failed, now_s() - begin_s);
    return failed == 0 ? 0 : 1;
}
