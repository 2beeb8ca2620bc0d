/* SPDX-License-Identifier: MIT */
/*
 * Starting workers to see what they cost and where it ends: 1, 2, 4 and so on, each time
 * in a pit of its own that is closed again, whatever happened. No step is begun that
 * would take more than half of the memory that is left, by what the one before has cost.
 * Where a step fails, a few in between narrow down how many break it.
 */
#include "scaling.h"

#include <stdlib.h>
#include <string.h>

enum { FORKED_WORKERS = 4, NARROWING_STEPS = 4, NARROWING_MS = 30000 };

static void measure(sp_pit *pit, unsigned descriptors_before, struct scaling_step *step)
{
    sp_worker_info *workers = need(calloc(step->workers, sizeof *workers));
    int count = sp_pool_workers_get(pit, NULL, workers, step->workers, NULL);
    int seen = 0;
    uint64_t each_ms = 0;
    for (int i = 0; i < count && i < (int)step->workers; i++) {
        if (workers[i].pid > 0) {
            seen++;
            each_ms += workers[i].ready_ms;
            step->slowest_ms = workers[i].ready_ms > step->slowest_ms
                                   ? workers[i].ready_ms
                                   : step->slowest_ms;
            step->cost.memory_bytes += (double)kernel_pss_bytes(workers[i].pid);
            step->cost.tasks += kernel_tasks_of(workers[i].pid);
        }
    }
    if (seen > 0) {
        step->each_ms = each_ms / (unsigned)seen;
        step->cost.memory_bytes /= seen;
        step->cost.tasks /= seen;
    }
    unsigned now = kernel_descriptors();
    step->cost.descriptors =
        now > descriptors_before
            ? (double)(now - descriptors_before) / (double)step->workers
            : 0;
    free(workers);
}

/* One pit of so many workers; what its pool costs besides is counted with the first. */
static int try_step(const struct cli *cli, int zygote, struct scaling_step *step)
{
    struct cli with = *cli;
    struct opened opened;
    char size[16];
    (void)snprintf(size, sizeof size, "%u", step->workers);
    with.workers = size;
    unsigned descriptors = kernel_descriptors();
    uint64_t begin_ms = clock_ms();
    int code =
        pit_open(&with, zygote ? OPEN_ONE_POOL | OPEN_FORKED : OPEN_ONE_POOL, &opened);
    if (code != CODE_OK) {
        return code;
    }
    code = pit_wait(&opened);
    if (code == CODE_OK) {
        step->ready_ms = clock_ms() - begin_ms;
        measure(opened.pit, descriptors, step);
    }
    pit_close(&opened);
    return code;
}

/* 1: the next step would take too much of the memory. */
static int is_too_large(struct scaling_trial *trial, unsigned workers)
{
    if (trial->count == 0) {
        return 0;
    }
    double wanted = trial->steps[trial->count - 1].cost.memory_bytes * workers;
    uint64_t left = kernel_memory_left();
    if (left > 0 && wanted > (double)left / 2) {
        (void)snprintf(trial->why, sizeof trial->why,
                       "%u workers would want %.0f MiB of %.0f MiB left: not tried",
                       workers, wanted / (1 << 20), (double)left / (1 << 20));
        return 1;
    }
    return 0;
}

static int try_forking(const struct cli *cli, struct scaling_trial *trial)
{
    struct scaling_step step = {.workers = FORKED_WORKERS};
    progress("starting %d workers by a zygote", FORKED_WORKERS);
    int code = try_step(cli, 1, &step);
    trial->forked_ms = code == CODE_OK ? step.each_ms : 0;
    return code == CODE_INTERRUPTED ? code : CODE_OK;
}

/* Between the most that have started and the fewest that have not. */
static int narrow_down(const struct cli *cli, struct scaling_trial *trial)
{
    uint64_t end_ms = clock_ms() + NARROWING_MS;
    for (int i = 0; i < NARROWING_STEPS && clock_ms() < end_ms; i++) {
        unsigned most = trial->steps[trial->count - 1].workers;
        struct scaling_step step = {.workers = most + (trial->broke_at - most) / 2};
        if (step.workers == most || trial->count == STEPS_MAX) {
            break;
        }
        progress("starting %u workers, between %u and %u", step.workers, most,
                 trial->broke_at);
        int code = try_step(cli, 0, &step);
        if (code == CODE_INTERRUPTED) {
            return code;
        }
        if (code == CODE_OK) {
            trial->steps[trial->count++] = step;
        } else {
            trial->broke_at = step.workers;
        }
    }
    (void)snprintf(trial->why, sizeof trial->why,
                   "%u workers did not all start, %u did; the error is above",
                   trial->broke_at, trial->steps[trial->count - 1].workers);
    return CODE_OK;
}

int scaling_try(const struct cli *cli, unsigned max, struct scaling_trial *ret)
{
    *ret = (struct scaling_trial){0};
    for (unsigned workers = 1; ret->count < STEPS_MAX && !is_too_large(ret, workers);) {
        struct scaling_step step = {.workers = workers};
        progress("starting %u of at most %u workers", workers, max);
        int code = try_step(cli, 0, &step);
        if (code == CODE_INTERRUPTED || (code != CODE_OK && ret->count == 0)) {
            return code; /* not even one */
        }
        if (code != CODE_OK) {
            ret->broke_at = workers;
            break;
        }
        ret->steps[ret->count++] = step;
        if (workers == max) {
            break;
        }
        workers = workers * 2 < max ? workers * 2 : max;
    }
    int code = ret->broke_at > 0 ? narrow_down(cli, ret)
               : max > 1         ? try_forking(cli, ret)
                                 : CODE_OK;
    progress_erase();
    return code;
}
