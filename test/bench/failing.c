/* SPDX-License-Identifier: MIT */
/*
 * How long it takes to notice that a worker has ended before it was ready.
 *
 *     failing [--rounds N]
 *
 * The worker is this program again: it prints the time and exits. The host takes the
 * difference when the death is told, in sp_pit_dispatch(): its last lines hold the time.
 * Prints one line of JSON. By hand, beside `make bench`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "snakepit/snakepit.h"

enum { ROUNDS_MAX = 100000 };

struct deaths {
    uint64_t *taken_ns;
    long count;
    long rounds;
    long untold; /* without the time in the last lines */
};

static int die_now(void)
{
    (void)fprintf(stderr, "%llu\n", (unsigned long long)now_ns());
    (void)fflush(stderr);
    return 3;
}

static void on_event(const sp_event *event, void *user_data)
{
    struct deaths *deaths = user_data;
    uint64_t now = now_ns();
    if (event->kind != SP_EVENT_WORKER_DIED || deaths->count == deaths->rounds) {
        return;
    }
    const char *line = event->death != NULL ? event->death->last_lines : "";
    uint64_t then = strtoull(line, NULL, 10);
    deaths->untold += then == 0;
    deaths->taken_ns[deaths->count++] = then == 0 || then > now ? 0 : now - then;
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static double ms_at(const struct deaths *deaths, double share)
{
    long at = (long)(share * (double)(deaths->count - 1));
    return (double)deaths->taken_ns[at] / 1e6;
}

int main(int argc, char **argv)
{
    static char self[4096];
    if (getenv("SNAKEPIT_WORKER_ID") != NULL) {
        return die_now();
    }
    struct deaths deaths = {.rounds = option_number(argc, argv, "rounds", 500)};
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0 || deaths.rounds < 1 || deaths.rounds > ROUNDS_MAX) {
        give_up("failing: 1 to %d rounds", ROUNDS_MAX);
    }
    const char *const command[] = {self, NULL};
    sp_pool_options pool = {.size = sizeof pool,
                            .name = "failing",
                            .runtime = "exec",
                            .command = command,
                            .workers = 1,
                            .backoff_min_ms = 1,
                            .backoff_max_ms = 1,
                            .crashes_max = 1000000,
                            .probe_interval_ms = 1};
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = on_event,
                              .event_data = &deaths};
    sp_pit *pit = NULL;
    sp_error err = {0};
    deaths.taken_ns = calloc((size_t)deaths.rounds, sizeof *deaths.taken_ns);
    if (deaths.taken_ns == NULL || sp_pit_open(&options, &pit, &err) < 0) {
        give_up("failing: %s", err.message);
    }
    while (deaths.count < deaths.rounds) {
        if (sp_pit_dispatch(pit, SP_UNLIMITED, &err) < 0) {
            give_up("failing: %s", err.message);
        }
    }
    sp_pit_close(pit);
    qsort(deaths.taken_ns, (size_t)deaths.count, sizeof *deaths.taken_ns, by_size);
    (void)printf("{\"what\": \"exit_before_ready\", \"rounds\": %ld, \"untold\": %ld, "
                 "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
                 deaths.count, deaths.untold, ms_at(&deaths, 0.5), ms_at(&deaths, 0.99),
                 ms_at(&deaths, 1.0));
    free(deaths.taken_ns);
    return deaths.untold > 0;
}
