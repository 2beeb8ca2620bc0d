/* SPDX-License-Identifier: MIT */
/*
 * Stored sessions: acknowledged changes a second, readers beside writers, memory.
 *
 *   bench-store FOLDER [--threads 64] [--sessions 1000] [--changes 400000]
 *               [--durable 20000] [--population 10000] [--variables 100]
 *
 * A line of JSON for each. Writers set one variable of a session that is drawn, and wait
 * for the acknowledgement, as everybody does. Readers read one.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"
#include "snakepit/snakepit.h"

enum { THREADS_MAX = 256 };

static sp_sessions *set;
static long sessions_count;
static atomic_long left;   /* changes to be made */
static atomic_int stopped; /* readers end */
static atomic_long reads;

static void must(int rc, const sp_error *err)
{
    if (rc < 0) {
        give_up("%s", err->message);
    }
}

static void name_session(char id[32], const char *kind, uint64_t n)
{
    (void)snprintf(id, 32, "%s-%" PRIu64, kind, n);
}

static uint64_t draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static double processor_seconds(void)
{
    struct timespec used;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* ---- writers and readers ---- */

static const char *kind_now;

static void *write_some(void *user)
{
    uint64_t seed = (uint64_t)(uintptr_t)user + 1;
    char id[32];
    char value[24];
    sp_error err = {0};
    while (atomic_fetch_sub(&left, 1) > 0) {
        uint64_t n = draw(&seed);
        name_session(id, kind_now, n % (uint64_t)sessions_count);
        (void)snprintf(value, sizeof value, "%" PRIu64, n);
        must(sp_variable_set(set, id, "x", value, NULL, NULL, &err), &err);
    }
    return NULL;
}

static void *read_some(void *user)
{
    uint64_t seed = (uint64_t)(uintptr_t)user + 1;
    char id[32];
    sp_error err = {0};
    long done = 0;
    while (!atomic_load_explicit(&stopped, memory_order_relaxed)) {
        sp_variable variable;
        name_session(id, "crash", draw(&seed) % (uint64_t)sessions_count);
        must(sp_variable_get(set, id, "x", &variable, &err), &err);
        sp_variable_clear(&variable);
        done++;
    }
    atomic_fetch_add(&reads, done);
    return NULL;
}

static void start_threads(pthread_t *threads, long count, void *(*fn)(void *))
{
    for (long i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, fn, (void *)(intptr_t)i) != 0) {
            give_up("no thread %ld", i);
        }
    }
}

static void join_threads(pthread_t *threads, long count)
{
    for (long i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

static void time_writes(const char *kind, long threads_count, long changes)
{
    pthread_t threads[THREADS_MAX];
    kind_now = kind;
    atomic_store(&left, changes);
    double processor = processor_seconds();
    uint64_t start = now_ns();
    start_threads(threads, threads_count, write_some);
    join_threads(threads, threads_count);
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("{\"writes\": \"%s\", \"threads\": %ld, \"count\": %ld, "
           "\"per_second\": %.0f, \"per_processor_second\": %.0f}\n",
           kind, threads_count, changes, (double)changes / seconds,
           (double)changes / (processor_seconds() - processor));
    (void)fflush(stdout);
}

/* One reader for two seconds, alone and beside writers. */
static void time_reads(long writers)
{
    pthread_t threads[THREADS_MAX];
    pthread_t reader;
    struct timespec second = {.tv_sec = 2};
    atomic_store(&reads, 0);
    atomic_store(&stopped, 0);
    atomic_store(&left, 1L << 40);
    kind_now = "crash";
    start_threads(threads, writers, write_some);
    start_threads(&reader, 1, read_some);
    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &second, NULL);
    atomic_store(&stopped, 1);
    join_threads(&reader, 1);
    atomic_store(&left, 0);
    join_threads(threads, writers);
    printf("{\"reads\": \"one thread\", \"writers\": %ld, \"per_second\": %.0f}\n",
           writers, (double)atomic_load(&reads) / 2);
    (void)fflush(stdout);
}

/* ---- memory ---- */

static long resident_kib(void)
{
    long size = 0;
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2) {
        give_up("no /proc/self/statm");
    }
    (void)fclose(file);
    return resident * 4;
}

static void populate(const char *kind, long count, long variables, int durability)
{
    sp_error err = {0};
    char id[32];
    char name[32];
    sp_session_options options = {.size = sizeof options, .durability = durability};
    for (long i = 0; i < count; i++) {
        name_session(id, kind, (uint64_t)i);
        must(sp_session_create(set, id, &options, &err), &err);
        for (long k = 0; k < variables; k++) {
            (void)snprintf(name, sizeof name, variables == 1 ? "x" : "variable-%ld", k);
            must(sp_variable_register(set, id, name, "float", "0.5", NULL, NULL, &err),
                 &err);
        }
    }
}

static void weigh(long population, long variables)
{
    sp_error err = {0};
    sp_sessions_stats stats;
    sp_sessions_options options = {.size = sizeof options,
                                   .sessions_max = (uint64_t)population};
    must(sp_sessions_open(&options, &set, &err), &err);
    long before = resident_kib();
    populate("empty", population, 0, SP_DURABILITY_MEMORY);
    long bare = resident_kib();
    sp_sessions_close(set);
    must(sp_sessions_open(&options, &set, &err), &err);
    populate("full", population, variables, SP_DURABILITY_MEMORY);
    long full = resident_kib();
    must(sp_sessions_stats_get(set, &stats, &err), &err);
    printf("{\"memory\": \"sessions\", \"sessions\": %ld, \"variables_each\": %ld, "
           "\"bytes_per_session\": %.0f, \"bytes_per_variable\": %.0f, "
           "\"counted_per_variable\": %.0f}\n",
           population, variables, (double)(bare - before) * 1024 / (double)population,
           (double)(full - bare) * 1024 / (double)(population * variables),
           (double)stats.memory_bytes / (double)(population * variables));
    (void)fflush(stdout);
    sp_sessions_close(set);
}

static void time_opening(const sp_sessions_options *options, long variables)
{
    sp_error err = {0};
    uint64_t start = now_ns();
    must(sp_sessions_open(options, &set, &err), &err);
    printf("{\"open\": \"stored\", \"variables\": %ld, \"seconds\": %.3f}\n", variables,
           (double)(now_ns() - start) / 1e9);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    sp_error err = {0};
    if (argc < 2) {
        give_up("usage: bench-store FOLDER [--threads 64] ...");
    }
    long threads = option_number(argc, argv, "threads", 64);
    long population = option_number(argc, argv, "population", 10000);
    long variables = option_number(argc, argv, "variables", 100);
    sessions_count = option_number(argc, argv, "sessions", 1000);
    if (threads < 1 || threads > THREADS_MAX) {
        give_up("threads: 1 to %d", THREADS_MAX);
    }
    if (population > 0) {
        weigh(population, variables);
    }
    sp_sessions_options options = {.size = sizeof options, .path = argv[1]};
    must(sp_sessions_open(&options, &set, &err), &err);
    populate("crash", sessions_count, 1, SP_DURABILITY_CRASH);
    populate("durable", sessions_count, 1, SP_DURABILITY_DURABLE);
    time_writes("crash", threads, option_number(argc, argv, "changes", 400000));
    time_writes("crash", 1, 20000);
    time_writes("durable", threads, option_number(argc, argv, "durable", 20000));
    time_reads(0);
    time_reads(threads);
    sp_sessions_close(set);
    time_opening(&options, 2 * sessions_count);
    sp_sessions_close(set);
    return 0;
}
