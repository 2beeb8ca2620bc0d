/* SPDX-License-Identifier: MIT */
/*
 * An instance: a name that one host at a time may serve under; see instance.c.
 *
 * Thread: one at a time owns a struct instance; rows may be reserved, activated and freed by
 * any.
 */
#ifndef SP_GUARD_INSTANCE_H
#define SP_GUARD_INSTANCE_H

#include <stdint.h>

#include "guard/folder.h"
#include "guard/registry.h"
#include "guard/sweep.h"

struct instance;

struct instance_options {
    const char *name;
    const char *runtime_dir; /* NULL: see folder.h */
    uint64_t
        guard_grace_ms; /* for guards of a dead host to end by themselves; 0: 2 s */
    uint64_t limit_ms;  /* for everything of a dead host to end; 0: 10 s */
    sweep_cb *on_left;  /* each process of a dead run that was ended; or NULL */
    void *user;
};

/*
 * Take the instance: lock it, end what a dead run left, begin a run.
 *
 * Errors: SP_ERR_IN_USE (the message says who has it, or what does not end), and those of
 * sp__folder_open() and sp__sweep().
 */
int sp__instance_open(const struct instance_options *options, struct instance **ret,
                      sp_error *err) SP_MUST_CHECK;

/* Give it back. When nothing of the run is left, nothing of it is left on disk either.
 * To be called after the guard has been closed. NULL is fine. */
void sp__instance_close(struct instance *instance);

/* The descriptor that is locked, for the guard to share. */
int sp__instance_lock(const struct instance *instance);

/* "SNAKEPIT_RUN=...", for the environment of everything it starts. */
const char *sp__instance_mark(const struct instance *instance);

/* Before a process exists, when it is known, and after it has ended. `number` is the
 * host's own for it. SP_ERR_NOMEM, SP_ERR_SYSTEM, SP_ERR_TOO_BIG. */
int sp__instance_reserve(struct instance *instance, enum row_kind kind, uint64_t number,
                         const char *name, sp_error *err) SP_MUST_CHECK;
int sp__instance_activate(struct instance *instance, enum row_kind kind,
                          uint64_t number, int pid, int pidfd,
                          sp_error *err) SP_MUST_CHECK;
void sp__instance_free(struct instance *instance, enum row_kind kind, uint64_t number);

/* End what this very run has left, after its guard has, and free the rows. As
 * sp__sweep(). */
int sp__instance_sweep(struct instance *instance, uint64_t limit_ms, sweep_cb *on_left,
                       void *user, sp_error *err) SP_MUST_CHECK;

/* ---- looking at an instance without taking it ---- */

enum instance_state {
    INSTANCE_FREE,     /* nobody has it */
    INSTANCE_HELD,     /* a host has it */
    INSTANCE_ABANDONED /* its host is dead, and perhaps not all it started */
};

struct instance_sight {
    enum instance_state state;
    struct row host; /* name "" when no row of a host can be read */
    int locked;      /* by the host, or by guards of a dead one */
    uint32_t workers;
    uint32_t bad; /* rows that cannot be read */
    struct left_query query;
    struct row *rows; /* owned */
    size_t rows_count;
};

/* SP_ERR_NOMEM, SP_ERR_SYSTEM. Release
 * with sp__instance_sight_fini(). */
int sp__instance_look(const struct folder *folder, struct instance_sight *ret,
                      sp_error *err) SP_MUST_CHECK;
void sp__instance_sight_fini(struct instance_sight *sight);

#endif
