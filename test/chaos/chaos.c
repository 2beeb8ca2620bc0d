/* SPDX-License-Identifier: MIT */
/*
 * chaos PHASE --folder FOLDER [--seed N] [--NAME COUNT] ...
 *
 * Runs one phase and leaves its ledgers in the folder; check.py judges them. The options
 * in force are printed first, so that a run can be repeated.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "phases.h"

static const struct phase phases[] = {
    {"storm",
     "calls and streams while workers die",
     {.calls = 2000,
      .streams = 100,
      .chunks = 100,
      .idempotent = 70,
      .work_us = 300,
      .clients = 16,
      .workers = 8,
      .kills = 40,
      .evils = 6,
      .hangs = 2,
      .health_ms = 1000},
     phase_storm},
    {"recycle",
     "workers are replaced for all four reasons, and no call notices",
     {.calls = 8000,
      .work_us = 300,
      .clients = 6,
      .workers = 4,
      .recycles = 40,
      .pause_us = 500,
      .health_ms = 5000},
     phase_recycle},
    {"cancel",
     "calls and streams are cancelled at any moment",
     {.calls = 2000,
      .streams = 200,
      .chunks = 100,
      .chunk_bytes = 20000,
      .idempotent = 50,
      .work_us = 300,
      .clients = 16,
      .workers = 4,
      .cancels = 60,
      .health_ms = 5000},
     phase_cancel},
    {"shutdown",
     "the pit is shut down under load",
     {.calls = 60, .work_us = 1000, .workers = 4, .rounds = 10, .health_ms = 5000},
     phase_shutdown},
    {"overload",
     "ten times as many calls as the pool can carry",
     {.work_us = 10000,
      .idempotent = 50,
      .workers = 4,
      .seconds = 2,
      .health_ms = 5000},
     phase_overload},
    {"misdeeds",
     "floods, nonsense, bombs, hangs: what a worker can do",
     {.calls = 200,
      .idempotent = 50,
      .work_us = 300,
      .clients = 8,
      .workers = 4,
      .bytes = 8000000,
      .health_ms = 1000},
     phase_misdeeds},
    {"soak",
     "a fault a second for long, with figures",
     {.chunks = 20,
      .idempotent = 70,
      .work_us = 300,
      .pause_us = 40000,
      .clients = 8,
      .workers = 4,
      .seconds = 10,
      .health_ms = 1000},
     phase_soak},
};

static const struct {
    const char *name;
    size_t offset;
} counts[] = {
#define COUNT(name)                                \
    {                                              \
        "--" #name, offsetof(struct amounts, name) \
    }
    COUNT(seed),        COUNT(calls),      COUNT(streams), COUNT(chunks),
    COUNT(chunk_bytes), COUNT(clients),    COUNT(workers), COUNT(kills),
    COUNT(hangs),       COUNT(guards),     COUNT(cancels), COUNT(rounds),
    COUNT(recycles),    COUNT(idempotent), COUNT(work_us), COUNT(bytes),
    COUNT(seconds),     COUNT(health_ms),  COUNT(evils),   COUNT(pause_us),
#undef COUNT
};

enum { COUNTS = sizeof counts / sizeof counts[0] };

static uint64_t *place(struct amounts *amounts, size_t i)
{
    return (uint64_t *)(void *)((char *)amounts + counts[i].offset);
}

static int set(struct amounts *amounts, const char *name, const char *value)
{
    char *end = NULL;
    if (strcmp(name, "--folder") == 0) {
        amounts->folder = value;
        return 1;
    }
    for (size_t i = 0; i < COUNTS; i++) {
        if (strcmp(name, counts[i].name) == 0) {
            errno = 0;
            *place(amounts, i) = strtoull(value, &end, 10);
            return errno == 0 && end != value && *end == '\0';
        }
    }
    return 0;
}

static void print_amounts(const struct phase *phase, struct amounts *amounts)
{
    (void)printf("%s: %s\n ", phase->name, phase->text);
    for (size_t i = 0; i < COUNTS; i++) {
        if (*place(amounts, i) != 0) {
            (void)printf(" %s %llu", counts[i].name,
                         (unsigned long long)*place(amounts, i));
        }
    }
    (void)printf("\n");
    (void)fflush(stdout);
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: chaos PHASE --folder FOLDER [--NAME COUNT] ...\n");
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        (void)fprintf(stderr, "  %-9s %s\n", phases[i].name, phases[i].text);
    }
    return 2;
}

int main(int argc, char **argv)
{
    const struct phase *phase = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof phases / sizeof phases[0]; i++) {
        if (strcmp(argv[1], phases[i].name) == 0) {
            phase = &phases[i];
        }
    }
    if (phase == NULL) {
        return usage();
    }
    struct amounts amounts = phase->usual;
    amounts.seed = (uint64_t)getpid() * 1000003u + ledger_now_us() % 1000003u;
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 >= argc || !set(&amounts, argv[i], argv[i + 1])) {
            (void)fprintf(stderr, "chaos: %s is no option with a count\n", argv[i]);
            return usage();
        }
    }
    if (amounts.folder == NULL) {
        return usage();
    }
    print_amounts(phase, &amounts);
    phase->run(&amounts);
    return 0;
}
