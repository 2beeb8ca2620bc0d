/* SPDX-License-Identifier: MIT */
/*
 * The census: one walk through /proc for all workers of a pit, every few seconds.
 *
 * Not every kernel lists a process's children, so the whole table is read, a slice per
 * turn of the loop. Then the workers are measured one per turn: their tree is put
 * together from parents, groups and sessions, and its resident memory added up.
 *
 * Splitting shared pages (smaps_rollup) makes the kernel walk the process's page tables,
 * some 20 ms for a gigabyte. So it is done for one worker only as often as it costs a
 * hundredth of the time, not at all for giants, and not for a process that is deep in the
 * kernel and may hold the lock it needs. The whole census is slowed down likewise when
 * there are many processes. What it costs is processor time: a busy machine, which makes
 * it wait, does not make it rarer.
 *
 * A process that is gone meanwhile counts nothing. Without memory for the table a round
 * is left out.
 */
#include "worker/census.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "worker/worker.h"

enum {
    SLICE = 64,          /* processes read in one turn */
    FOUND_MAX = 1 << 20, /* of a machine; more than PID_MAX_LIMIT makes no sense */
    ANCESTORS_MAX = 64,
    PRICE = 100 /* what costs t is not repeated before 100 t have passed */
};

#define GIANT_BYTES (4ull << 30)

/* ---- the tree ---- */

static int by_pid(const void *a, const void *b)
{
    int left = ((const struct vitals *)a)->pid;
    int right = ((const struct vitals *)b)->pid;
    return (left > right) - (left < right);
}

static const struct vitals *find(const struct vitals *found, size_t count, int pid)
{
    struct vitals key = {.pid = pid};
    return bsearch(&key, found, count, sizeof *found, by_pid);
}

static int belongs(const struct vitals *found, size_t count, const struct vitals *at,
                   int pid)
{
    for (int i = 0; at != NULL && i < ANCESTORS_MAX; i++) {
        if (at->pid == pid || at->group == pid || at->session == pid) {
            return 1;
        }
        at = at->parent > 1 ? find(found, count, at->parent) : NULL;
    }
    return 0;
}

size_t sp__census_tree(const struct vitals *found, size_t count, int pid, size_t *ret,
                       size_t max)
{
    size_t members = 0;
    const struct vitals *root = find(found, count, pid);
    if (root == NULL || max == 0) {
        return 0;
    }
    ret[members++] = (size_t)(root - found);
    for (size_t i = 0; i < count && members < max; i++) {
        if (&found[i] != root && belongs(found, count, &found[i], pid)) {
            ret[members++] = i;
        }
    }
    return members;
}

/* ---- measuring ---- */

/* The proportional set of a process, 0 when it is not known. */
static uint64_t read_pss(int pid)
{
    char path[48];
    char text[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "\nPss:");
    return line == NULL ? 0 : strtoull(line + 5, NULL, 10) * 1024;
}

static void add_process(const struct vitals *vitals, int split, struct sample *sample)
{
    uint64_t pss_bytes = 0;
    if (split && vitals->state != 'D' && vitals->rss_bytes < GIANT_BYTES) {
        pss_bytes = read_pss(vitals->pid);
    }
    if (sample->processes == 0) {
        sample->rss_bytes = vitals->rss_bytes;
        sample->pss_bytes = pss_bytes;
        sample->state = vitals->state;
        sample->cpu_ms = vitals->cpu_ms;
    }
    sample->tree_bytes += pss_bytes > 0 ? pss_bytes : vitals->rss_bytes;
    sample->tree_rss_bytes += vitals->rss_bytes;
    sample->processes++;
}

/* What came or went since the last time is taken for the process's own: shared pages
 * rarely do either. */
static uint64_t shifted(uint64_t value, uint64_t then, uint64_t now)
{
    uint64_t moved = value + now;
    return moved > then ? moved - then : 0;
}

/* Where it is not due to split shared pages, the last result is carried on. */
static void estimate(const struct sample *last, struct sample *sample)
{
    sample->pss_bytes = last->pss_bytes > 0 ? shifted(last->pss_bytes, last->rss_bytes,
                                                      sample->rss_bytes)
                                            : 0;
    sample->tree_bytes =
        shifted(last->tree_bytes, last->tree_rss_bytes, sample->tree_rss_bytes);
}

static void measure(struct census *census, struct worker *worker)
{
    size_t members[CENSUS_TREE_MAX];
    uint64_t now_ms = sp__loop_now_ms(census->shop->loop);
    size_t count = sp__census_tree(census->found, census->found_count, worker->pid,
                                   members, CENSUS_TREE_MAX);
    int split = worker->sample.pss_next_ms <= now_ms;
    struct sample sample = {.at_ms = now_ms, .pss_next_ms = worker->sample.pss_next_ms};
    uint64_t begin_us = sp__cpu_us();
    for (size_t i = 0; i < count; i++) {
        add_process(&census->found[members[i]], split, &sample);
    }
    if (count == 0) {
        return; /* it has just ended */
    }
    if (split) {
        sample.pss_next_ms = now_ms + (sp__cpu_us() - begin_us) * PRICE / 1000;
    } else {
        estimate(&worker->sample, &sample);
    }
    worker->sample = sample;
    if (worker->state == WORKER_READY) {
        worker->events->on_sampled(worker);
    }
}

/* ---- a round ---- */

static void end_round(struct census *census)
{
    uint64_t pause_ms = census->spent_us * PRICE / 1000;
    uint64_t now_ms = sp__loop_now_ms(census->shop->loop);
    if (census->proc != NULL) {
        (void)closedir(census->proc);
        census->proc = NULL;
    }
    census->found_count = 0;
    census->ids_count = 0;
    census->spent_us = 0;
    census->due_ms =
        now_ms + (pause_ms > census->interval_ms ? pause_ms : census->interval_ms);
    sp__timer_set(census->shop->loop, &census->timer, census->due_ms);
    if (census->on_round != NULL) {
        census->on_round(census->user);
    }
}

static int make_room(struct census *census)
{
    if (census->found_count < census->found_max) {
        return 1;
    }
    size_t max = census->found_max == 0 ? 256 : 2 * census->found_max;
    if (max > FOUND_MAX) {
        return 0;
    }
    struct vitals *grown = sp__realloc(census->found, max * sizeof *grown);
    if (grown == NULL) {
        return 0;
    }
    census->found = grown;
    census->found_max = max;
    return 1;
}

static int list_workers(struct census *census)
{
    const struct map *by_id = &census->shop->by_id;
    size_t at = 0;
    const struct worker *worker;
    uint64_t *ids = sp__realloc(census->ids, (by_id->length + 1) * sizeof *ids);
    if (ids == NULL) {
        return 0;
    }
    census->ids = ids;
    while ((worker = sp__map_next(by_id, &at)) != NULL) {
        census->ids[census->ids_count++] = worker->id;
    }
    return 1;
}

/* 1 when there is more of /proc, 0 at its end, negative without memory. */
static int walk(struct census *census)
{
    for (int i = 0; i < SLICE;) {
        const struct dirent *entry = readdir(census->proc);
        if (entry == NULL) {
            return 0;
        }
        if (!isdigit((unsigned char)entry->d_name[0])) {
            continue;
        }
        if (!make_room(census)) {
            return SP_ERR_NOMEM;
        }
        i++;
        int pid = (int)strtol(entry->d_name, NULL, 10);
        census->found_count +=
            (size_t)sp__vitals_read(pid, &census->found[census->found_count]);
    }
    return 1;
}

/* One slice: of the walk, or one worker. 1 when there is more to do. */
static int go_on(struct census *census)
{
    if (census->proc != NULL) {
        int rc = walk(census);
        if (rc != 0) {
            return rc > 0;
        }
        (void)closedir(census->proc);
        census->proc = NULL;
        qsort(census->found, census->found_count, sizeof *census->found, by_pid);
        return list_workers(census);
    }
    if (census->ids_count > 0) {
        struct worker *worker =
            sp__map_find(&census->shop->by_id, census->ids[--census->ids_count]);
        if (worker != NULL && worker->pid > 0) {
            measure(census, worker);
        }
    }
    return census->ids_count > 0;
}

static void due(struct timer *timer, uint64_t now_ms)
{
    struct census *census = ITEM(timer, struct census, timer);
    uint64_t begin_us = sp__cpu_us();
    int begins = census->proc == NULL && census->ids_count == 0;
    if (begins) {
        (void)sp__histogram_add(&census->lag, (now_ms - census->due_ms) * 1000);
    }
    if (begins && census->shop->by_id.length > 0) {
        census->proc = opendir("/proc");
    }
    int more = begins && census->proc == NULL ? 0 : go_on(census);
    census->spent_us += sp__cpu_us() - begin_us;
    if (more) {
        sp__timer_set(census->shop->loop, timer, now_ms + 1);
    } else {
        end_round(census);
    }
}

int sp__census_start(struct census *census, struct workshop *shop, uint64_t interval_ms,
                     sp_error *err)
{
    *census = (struct census){.shop = shop, .interval_ms = interval_ms};
    if (interval_ms == SP_UNLIMITED) {
        return SP_OK;
    }
    if (sp__timer_init(shop->loop, &census->timer, due) < 0) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a timer");
    }
    census->due_ms = sp__loop_now_ms(shop->loop) + interval_ms;
    sp__timer_set(shop->loop, &census->timer, census->due_ms);
    return SP_OK;
}

void sp__census_stop(struct census *census)
{
    if (census->timer.fire != NULL) {
        sp__timer_fini(census->shop->loop, &census->timer);
    }
    if (census->proc != NULL) {
        (void)closedir(census->proc);
    }
    sp__free(census->found);
    sp__free(census->ids);
    *census = (struct census){0};
}
