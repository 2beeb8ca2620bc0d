/* SPDX-License-Identifier: MIT */
/*
 * The sweep: what a dead run left behind is ended before the next one serves.
 *
 * Two sources. The rows of the registry name guards and workers by number, start time
 * and serial. The mark in the environment, which every process inherits from its worker,
 * finds what no row knows: a process whose host died between reserving its row and
 * writing its number, and what workers moved out of everybody's sight. Both are judged
 * by the same rules, which see nothing but facts (sp__sweep_judge), so that a test can
 * put any facts before them.
 *
 * The rules, in short: a process is ended when it is certainly of this instance and
 * certainly not of the run that has it now. A row alone is not enough when only number
 * and start time fit; then the process must bear the mark too. What is of another user,
 * another space of process numbers, or this very program and those it descends from, is
 * never ended.
 *
 * Ending repeats until a look finds nothing more, because what dies may have begotten a
 * moment before. It fails when something does not die within the limit: starting beside
 * it could mean two copies of the same work.
 */
#include "guard/sweep.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum {
    TOLD_MAX = 8192,  /* processes remembered, to be told of once */
    WAITED_MAX = 64,  /* processes waited for at the same time */
    WAIT_TURN_MS = 10 /* without pidfds their ends must be asked for */
};

static const char guard_name[] = "snakepit-guard";

/* ---- judging ---- */

static int same_id(const uint8_t a[RUN_ID_BYTES], const uint8_t b[RUN_ID_BYTES])
{
    return memcmp(a, b, RUN_ID_BYTES) == 0;
}

static const struct process *find_process(const struct process *processes, size_t count,
                                          int32_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (processes[i].id.pid == pid) {
            return &processes[i];
        }
    }
    return NULL;
}

/* Whether it is the asking process or one of those it descends from. */
static int is_ancestor(const struct left_query *query, const struct process *processes,
                       size_t count, int32_t pid)
{
    int32_t at = query->self;
    for (size_t depth = 0; depth <= count && at > 0; depth++) {
        if (at == pid) {
            return 1;
        }
        const struct process *process = find_process(processes, count, at);
        at = process != NULL ? process->parent : 0;
    }
    return 0;
}

static int has_mark_of(const struct process *process, const struct left_query *query)
{
    return process->marked == 1 &&
           same_id(process->mark.instance, query->run.mark.instance);
}

static void decide(struct left *left, enum left_verdict verdict, const char *why)
{
    left->verdict = verdict;
    left->why = why;
}

/* Number and start time fit, and the kernel has no serial: something more is needed. */
static void judge_without_serial(const struct left_query *query,
                                 const struct process *process, struct left *left)
{
    if (has_mark_of(process, query)) {
        decide(left, LEFT_OURS, "the row's number and start, and the mark");
    } else if (process->marked == 1) {
        decide(left, LEFT_STRANGER, "it bears another instance's mark");
    } else if (left->kind == ROW_GUARD && process->marked < 0 &&
               strcmp(process->name, guard_name) == 0) {
        /* Nobody may read a guard's environment but root. */
        decide(left, LEFT_OURS, "the row's number and start, and it is a guard");
    } else {
        decide(left, LEFT_UNSURE, "the row's number and start fit, but it has no mark");
    }
}

static void judge_row(const struct left_query *query, const struct row *row,
                      const struct process *processes, size_t count, struct left *left)
{
    if (row->state == ROW_RESERVED) {
        decide(left, LEFT_GONE, "reserved, and no process of its own is known");
        return;
    }
    if (!same_id(row->boot, query->run.boot)) {
        decide(left, LEFT_GONE, "the machine was started since");
        return;
    }
    if (row->pid_space != query->run.pid_space) {
        decide(left, LEFT_UNSURE, "its number is of another space of process numbers");
        return;
    }
    const struct process *process = find_process(processes, count, row->process.pid);
    if (process == NULL) {
        decide(left, LEFT_GONE, "no process has its number");
        return;
    }
    left->process = process->id;
    int same = sp__process_compare(&row->process, &process->id);
    if (same > 0) {
        decide(left, LEFT_OURS, "the row's number, start and serial");
    } else if (same == 0) {
        decide(left, LEFT_STRANGER, "its number is another process's now");
    } else {
        judge_without_serial(query, process, left);
    }
}

/* What holds for every process, however it was found. */
static void spare(const struct left_query *query, const struct process *processes,
                  size_t count, struct left *left)
{
    if (left->verdict == LEFT_OURS &&
        is_ancestor(query, processes, count, left->process.pid)) {
        decide(left, LEFT_UNSURE, "this program is it, or descends from it");
    }
    if (left->verdict == LEFT_OURS && same_id(left->run, query->run.mark.run)) {
        decide(left, LEFT_RUNNING, "of the run that has the instance");
    }
}

/* 1 when the row is worth a word. */
static int judge_any_row(const struct left_query *query, const struct row *row,
                         uint32_t place, const struct process *processes, size_t count,
                         struct left *left)
{
    if (place == 0 || sp__row_check(row, place) != ROW_GOOD || row->state == ROW_FREE ||
        !same_id(row->instance, query->run.mark.instance)) {
        return 0;
    }
    *left = (struct left){.source = LEFT_BY_ROW,
                          .kind = (enum row_kind)row->kind,
                          .process = row->process};
    memcpy(left->name, row->name, sizeof left->name);
    memcpy(left->run, row->run, sizeof left->run);
    judge_row(query, row, processes, count, left);
    spare(query, processes, count, left);
    return 1;
}

static int is_known(const struct left *lefts, size_t count,
                    const struct process *process)
{
    for (size_t i = 0; i < count; i++) {
        if (sp__process_compare(&lefts[i].process, &process->id) != 0 &&
            (lefts[i].verdict == LEFT_OURS || lefts[i].verdict == LEFT_RUNNING ||
             lefts[i].verdict == LEFT_UNSURE)) {
            return 1;
        }
    }
    return 0;
}

static int judge_process(const struct left_query *query, const struct process *process,
                         const struct process *processes, size_t count,
                         struct left *left)
{
    if (!has_mark_of(process, query)) {
        return 0;
    }
    int is_guard = strcmp(process->name, guard_name) == 0;
    *left = (struct left){.source = LEFT_BY_MARK,
                          .kind = is_guard ? ROW_GUARD : ROW_WORKER,
                          .process = process->id};
    (void)snprintf(left->name, sizeof left->name, "%s", process->name);
    memcpy(left->run, process->mark.run, sizeof left->run);
    if (process->uid == query->uid) {
        decide(left, LEFT_OURS, "the mark in its environment");
    } else {
        decide(left, LEFT_UNSURE, "the mark is right, but it is another user's");
    }
    spare(query, processes, count, left);
    return 1;
}

size_t sp__sweep_judge(const struct left_query *query, const struct row *rows,
                       size_t rows_count, const struct process *processes,
                       size_t processes_count, struct left *ret)
{
    size_t used = 0;
    for (size_t i = 0; i < rows_count; i++) {
        used += (size_t)judge_any_row(query, &rows[i], (uint32_t)i, processes,
                                      processes_count, &ret[used]);
    }
    size_t by_row = used;
    for (size_t i = 0; i < processes_count; i++) {
        if (!is_known(ret, by_row, &processes[i])) {
            used += (size_t)judge_process(query, &processes[i], processes,
                                          processes_count, &ret[used]);
        }
    }
    return used;
}

const char *sp__left_verdict_word(enum left_verdict verdict)
{
    static const char *const words[] = {
        [LEFT_OURS] = "ours",         [LEFT_RUNNING] = "running", [LEFT_GONE] = "gone",
        [LEFT_STRANGER] = "stranger", [LEFT_UNSURE] = "unsure",
    };
    return words[verdict];
}

/* ---- looking ---- */

/* All that can be known now. The caller frees *ret. */
static int look(const struct left_query *query, const struct row *rows,
                size_t rows_count, struct left **ret, size_t *ret_count, sp_error *err)
{
    struct process *processes = NULL;
    size_t count = 0;
    int rc = sp__process_list(&processes, &count, err);
    if (rc < 0) {
        return rc;
    }
    struct left *lefts = sp__calloc(rows_count + count, sizeof *lefts);
    if (lefts == NULL) {
        sp__free(processes);
        return sp__fail(err, SP_ERR_NOMEM, "no memory to sweep");
    }
    *ret_count = sp__sweep_judge(query, rows, rows_count, processes, count, lefts);
    *ret = lefts;
    sp__free(processes);
    return SP_OK;
}

int sp__sweep_look(const struct left_query *query, const struct row *rows,
                   size_t rows_count, sweep_cb *on_left, void *user, sp_error *err)
{
    struct left *lefts = NULL;
    size_t count = 0;
    int rc = look(query, rows, rows_count, &lefts, &count, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        on_left(&lefts[i], user);
    }
    sp__free(lefts);
    return SP_OK;
}

int sp__sweep_guards(const struct left_query *query, const struct row *rows,
                     size_t rows_count, const uint8_t run[RUN_ID_BYTES], sp_error *err)
{
    struct left *lefts = NULL;
    size_t count = 0;
    int rc = look(query, rows, rows_count, &lefts, &count, err);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        if (lefts[i].verdict == LEFT_OURS && lefts[i].source == LEFT_BY_ROW &&
            lefts[i].kind == ROW_GUARD && same_id(lefts[i].run, run)) {
            (void)sp__process_kill(&lefts[i].process);
        }
    }
    sp__free(lefts);
    return SP_OK;
}

/* ---- ending ---- */

struct ending {
    struct process_id *told; /* those on_left has heard of */
    size_t told_count;
    struct pollfd waited[WAITED_MAX];
    size_t waited_count;
    struct left last; /* one that was still there at the last look */
    size_t alive;
    int os_errno; /* why the last one could not be signalled, or 0 */
};

static void tell(struct ending *ending, const struct left *left, sweep_cb *on_left,
                 void *user)
{
    for (size_t i = 0; i < ending->told_count; i++) {
        if (sp__process_compare(&ending->told[i], &left->process) != 0) {
            return;
        }
    }
    if (ending->told_count < TOLD_MAX) {
        ending->told[ending->told_count++] = left->process;
    }
    if (on_left != NULL) {
        on_left(left, user);
    }
}

static void end_one(struct ending *ending, const struct left *left, sweep_cb *on_left,
                    void *user)
{
    /* Before the signal, so that what is waited for is what was signalled. */
    int pidfd =
        ending->waited_count < WAITED_MAX ? sp__process_open(left->process.pid) : -1;
    int sent = sp__process_kill(&left->process);
    ending->last = *left;
    ending->alive++;
    ending->os_errno = sent < 0 ? errno : 0;
    if (sent > 0) {
        tell(ending, left, on_left, user);
    }
    if (pidfd >= 0 && sent > 0) {
        ending->waited[ending->waited_count++] =
            (struct pollfd){.fd = pidfd, .events = POLLIN};
    } else if (pidfd >= 0) {
        (void)close(pidfd);
    }
}

/* Until those signalled have ended, or a turn has passed for those nobody can watch. */
static void await_ends(struct ending *ending, uint64_t end_ms)
{
    uint64_t now_ms = sp__now_ms();
    if (ending->waited_count < ending->alive || ending->os_errno != 0) {
        end_ms = now_ms + WAIT_TURN_MS;
    }
    for (size_t i = 0; i < ending->waited_count; i++) {
        struct pollfd *process = &ending->waited[i];
        now_ms = sp__now_ms();
        (void)poll(process, 1, now_ms < end_ms ? (int)(end_ms - now_ms) : 0);
        (void)close(process->fd);
    }
    if (ending->waited_count == 0) {
        (void)poll(NULL, 0, WAIT_TURN_MS);
    }
    ending->waited_count = 0;
}

static int end_all(const struct left_query *query, const struct row *rows,
                   size_t rows_count, struct ending *ending, sweep_cb *on_left,
                   void *user, sp_error *err)
{
    struct left *lefts = NULL;
    size_t count = 0;
    int rc = look(query, rows, rows_count, &lefts, &count, err);
    if (rc < 0) {
        return rc;
    }
    ending->alive = 0;
    for (size_t i = 0; i < count; i++) {
        if (lefts[i].verdict == LEFT_OURS) {
            end_one(ending, &lefts[i], on_left, user);
        } else if (lefts[i].verdict == LEFT_UNSURE) {
            tell(ending, &lefts[i], on_left, user);
        }
    }
    sp__free(lefts);
    return SP_OK;
}

int sp__sweep(const struct left_query *query, const struct row *rows, size_t rows_count,
              uint64_t limit_ms, sweep_cb *on_left, void *user, sp_error *err)
{
    struct ending ending = {0};
    uint64_t end_ms = sp__now_ms() + limit_ms;
    ending.told = sp__calloc(TOLD_MAX, sizeof *ending.told);
    if (ending.told == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to sweep");
    }
    int rc = SP_OK;
    for (;;) {
        rc = end_all(query, rows, rows_count, &ending, on_left, user, err);
        if (rc < 0 || ending.alive == 0) {
            break;
        }
        await_ends(&ending, end_ms);
        if (sp__now_ms() >= end_ms) {
            const char *why =
                ending.os_errno != 0 ? strerrordesc_np(ending.os_errno) : NULL;
            rc = sp__fail(err, SP_ERR_IN_USE,
                          "process %d (%s) of a run that is dead did not end within "
                          "%llu ms%s%s",
                          (int)ending.last.process.pid, ending.last.name,
                          (unsigned long long)limit_ms, why != NULL ? ": " : "",
                          why != NULL ? why : "");
            break;
        }
    }
    sp__free(ending.told);
    return rc;
}
