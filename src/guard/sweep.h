/* SPDX-License-Identifier: MIT */
/* What a dead run left behind, found and ended; see sweep.c. One thread at a time. */
#ifndef SP_GUARD_SWEEP_H
#define SP_GUARD_SWEEP_H

#include <stddef.h>
#include <stdint.h>

#include "guard/identity.h"
#include "guard/registry.h"

enum left_verdict {
    LEFT_OURS,     /* of a dead run of this instance: to be ended */
    LEFT_RUNNING,  /* of the run that has the instance: left alone */
    LEFT_GONE,     /* a row of a process that has ended */
    LEFT_STRANGER, /* a row whose number is another process's by now */
    LEFT_UNSURE    /* it may be ours, and that is not enough to end it */
};

enum left_source { LEFT_BY_ROW, LEFT_BY_MARK };

/* One row or process, and what is to be thought of it. */
struct left {
    enum left_verdict verdict;
    enum left_source source;
    enum row_kind kind;        /* by mark: what it looks like */
    struct process_id process; /* pid 0: the row was only reserved */
    char name[ROW_NAME_MAX + 1];
    uint8_t run[RUN_ID_BYTES];
    const char *why; /* static: what the verdict rests on */
};

/* Whom to look for, and who asks. */
struct left_query {
    struct run run; /* the instance and this start of the machine; its run is alive */
    uint32_t uid;
    int32_t self; /* neither this process nor one it descends from is ever ended */
};

/*
 * Think over what the rows say and what processes there are. Pure.
 *
 * ret  room for rows_count + processes_count entries
 *
 * Returns how many were filled.
 */
size_t sp__sweep_judge(const struct left_query *query, const struct row *rows,
                       size_t rows_count, const struct process *processes,
                       size_t processes_count, struct left *ret);

typedef void sweep_cb(const struct left *left, void *user);

/*
 * End everything of dead runs, and wait until it has ended.
 *
 * on_left  told once of each process that was ended (LEFT_OURS), before it is waited
 *          for, and of each that was left alone because it is LEFT_UNSURE; or NULL
 *
 * Errors: SP_ERR_IN_USE (something does not end within limit_ms; the message names it),
 * SP_ERR_SYSTEM, SP_ERR_NOMEM.
 */
int sp__sweep(const struct left_query *query, const struct row *rows, size_t rows_count,
              uint64_t limit_ms, sweep_cb *on_left, void *user,
              sp_error *err) SP_MUST_CHECK;

/* Look only. */
int sp__sweep_look(const struct left_query *query, const struct row *rows,
                   size_t rows_count, sweep_cb *on_left, void *user,
                   sp_error *err) SP_MUST_CHECK;

/* Send SIGKILL to the guards that rows of a run name: of a run whose host is dead, for
 * which the lock is not needed. Does not wait. */
int sp__sweep_guards(const struct left_query *query, const struct row *rows,
                     size_t rows_count, const uint8_t run[RUN_ID_BYTES],
                     sp_error *err) SP_MUST_CHECK;

/* A word for each verdict. */
const char *sp__left_verdict_word(enum left_verdict verdict);

#endif
