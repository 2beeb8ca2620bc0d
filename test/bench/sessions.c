/* SPDX-License-Identifier: MIT */
/*
 * Sessions without workers: operations a second from one thread over many sessions.
 *
 *   bench-sessions [--sessions 100000] [--operations 4000000]
 *
 * Prints a line of JSON for each kind of operation. Ids are visited in a random order,
 * so that the processor's caches help as little as they would in use.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"
#include "snakepit/snakepit.h"

enum { ID_MAX = 40 };

static long count;
static long operations;
static char (*ids)[ID_MAX];
static uint32_t *order;
static sp_sessions *set;

static void must(int rc, sp_error *err)
{
    if (rc < 0) {
        give_up("%s", err->message);
    }
}

/* Both clocks: on a busy machine a thread waits for a processor most of the time. */
struct moment {
    uint64_t ns;
    uint64_t processor_ns;
};

static struct moment moment_now(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (struct moment){now_ns(), (uint64_t)used.tv_sec * 1000000000u +
                                         (uint64_t)used.tv_nsec};
}

static void report(const char *what, long n, struct moment start)
{
    struct moment end = moment_now();
    printf("{\"operation\": \"%s\", \"sessions\": %ld, \"count\": %ld, "
           "\"per_second\": %.0f, \"per_processor_second\": %.0f}\n",
           what, count, n, (double)n * 1e9 / (double)(end.ns - start.ns),
           (double)n * 1e9 / (double)(end.processor_ns - start.processor_ns));
    fflush(stdout);
}

static void name_sessions(void)
{
    uint32_t seed = 1;
    ids = calloc((size_t)count, sizeof *ids);
    order = calloc((size_t)count, sizeof *order);
    if (ids == NULL || order == NULL) {
        give_up("no memory for %ld ids", count);
    }
    for (long i = 0; i < count; i++) {
        snprintf(ids[i], ID_MAX, "user-session-%ld", i);
        order[i] = (uint32_t)i;
    }
    for (long i = count - 1; i > 0; i--) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t other = (uint32_t)((uint64_t)seed * (uint64_t)(i + 1) >> 32);
        uint32_t kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
}

static const char *id_at(long i)
{
    return ids[order[i % count]];
}

static void time_creation(sp_error *err)
{
    struct moment start = moment_now();
    for (long i = 0; i < count; i++) {
        must(sp_session_create(set, id_at(i), NULL, err), err);
    }
    report("create", count, start);
}

static void time_use(sp_error *err)
{
    struct moment start = moment_now();
    for (long i = 0; i < operations; i++) {
        must(sp_session_get(set, id_at(i), NULL, err), err);
    }
    report("use", operations, start);
    start = moment_now();
    for (long i = 0; i < operations; i++) {
        sp_session_info info;
        must(sp_session_get(set, id_at(i), &info, err), err);
        sp_session_info_clear(&info);
    }
    report("get", operations, start);
}

static int set_ttl(const sp_session_info *info, sp_session_edit *edit, void *user,
                   sp_error *err)
{
    edit->ttl_ms = info->ttl_ms + 1;
    return 0;
}

static void time_update(sp_error *err)
{
    struct moment start = moment_now();
    for (long i = 0; i < operations; i++) {
        must(sp_session_update(set, id_at(i), set_ttl, NULL, err), err);
    }
    report("update", operations, start);
}

/* Eight gets, an update, and a deletion with a creation in each eleven operations. */
static void time_mix(sp_error *err)
{
    struct moment start = moment_now();
    long done = 0;
    for (long i = 0; done < operations; i++) {
        for (int k = 0; k < 8; k++) {
            sp_session_info info;
            must(sp_session_get(set, id_at(i * 8 + k), &info, err), err);
            sp_session_info_clear(&info);
        }
        must(sp_session_update(set, id_at(i * 3), set_ttl, NULL, err), err);
        must(sp_session_delete(set, id_at(i * 7), err), err);
        must(sp_session_create(set, id_at(i * 7), NULL, err), err);
        done += 11;
    }
    report("mix", done, start);
}

static void time_deletion(sp_error *err)
{
    struct moment start = moment_now();
    for (long i = 0; i < count; i++) {
        must(sp_session_delete(set, id_at(i), err), err);
    }
    report("delete", count, start);
}

int main(int argc, char **argv)
{
    sp_error err = {0};
    count = option_number(argc, argv, "sessions", 100000);
    operations = option_number(argc, argv, "operations", 4000000);
    sp_sessions_options options = {.size = sizeof options,
                                   .sessions_max = (uint64_t)count};
    must(sp_sessions_open(&options, &set, &err), &err);
    name_sessions();
    time_creation(&err);
    time_use(&err);
    time_update(&err);
    time_mix(&err);
    time_deletion(&err);
    sp_sessions_close(set);
    free(ids);
    free(order);
    return 0;
}
