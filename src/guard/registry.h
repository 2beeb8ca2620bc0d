/* SPDX-License-Identifier: MIT */
/*
 * The processes of an instance, in a file that outlives the host; see registry.c.
 *
 * A row is reserved before its process exists, made active when the process is known,
 * and freed when it has ended. One thread at a time.
 */
#ifndef SP_GUARD_REGISTRY_H
#define SP_GUARD_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "guard/identity.h"

enum {
    ROW_BYTES = 256,
    ROWS_MAX = 16384, /* 4 MiB; more workers than any pit may have */
    ROW_NAME_MAX = 95
};

enum row_kind { ROW_HOST = 1, ROW_GUARD, ROW_WORKER };

/*
 *   FREE ──reserve──▶ RESERVED ──the process is known──▶ ACTIVE ──it has ended──▶ FREE
 *                        └──────────── there will be none ───────────────────────▶
 */
enum row_state { ROW_FREE = 0, ROW_RESERVED, ROW_ACTIVE };

/* As it stands in the file: native byte order, because the file is of no use elsewhere.
 * The host's row is the first one. */
struct row {
    uint32_t magic;
    uint32_t place;    /* its index in the file */
    uint64_t sequence; /* grows with every write of this place */
    uint8_t kind;
    uint8_t state;
    uint8_t none[6];
    uint8_t instance[RUN_ID_BYTES];
    uint8_t run[RUN_ID_BYTES];
    uint8_t boot[RUN_ID_BYTES];
    uint64_t pid_space; /* pids mean something in this one only */
    uint64_t number;    /* of the worker or the guard, the host's count */
    uint64_t since_unix_ms;
    struct process_id process;   /* ACTIVE only */
    char name[ROW_NAME_MAX + 1]; /* worker: "pool/3"; host: its program */
    char version[36];            /* host only */
    uint32_t sum;                /* CRC-32C of all before it */
};

/* What every row of a run says of it. */
struct run {
    struct mark mark;
    uint8_t boot[RUN_ID_BYTES];
    uint64_t pid_space;
};

/* ---- rows as bytes: pure ---- */

enum row_sight { ROW_UNWRITTEN, ROW_GOOD, ROW_BAD };

/* What 256 bytes at a place of the file are. */
enum row_sight sp__row_check(const struct row *row, uint32_t place);
void sp__row_seal(struct row *row);

/* ---- the file ---- */

struct registry {
    int fd; /* borrowed */
    struct run run;
    struct row *rows; /* as they are in the file; [0] is the host's */
    uint32_t rows_count;
};

/* Read whatever is there; a file that is not all rows is read as far as it is. The
 * caller frees *ret_rows; bad and unwritten rows are left in place, to be checked.
 * SP_ERR_NOMEM, SP_ERR_SYSTEM. */
int sp__registry_read(int fd, struct row **ret_rows, size_t *ret_count,
                      sp_error *err) SP_MUST_CHECK;

/* Take over what was read (the memory too, also on failure) and write the host's row: who
 * looks from now on sees that `run` has the instance. Rows of other runs stay as they
 * are. SP_ERR_NOMEM, SP_ERR_SYSTEM. */
int sp__registry_take(struct registry *registry, int fd, const struct run *run,
                      struct row *rows, size_t count, sp_error *err) SP_MUST_CHECK;
void sp__registry_fini(struct registry *registry);

/* Free the rows of other runs (and of this), whose processes have ended, and those that
 * are bad. */
int sp__registry_clear(struct registry *registry, int mine_too, sp_error *err);

/* The host's row becomes free: nobody has the instance. */
void sp__registry_leave(struct registry *registry);

int sp__registry_reserve(struct registry *registry, enum row_kind kind, uint64_t number,
                         const char *name, sp_error *err) SP_MUST_CHECK;
int sp__registry_activate(struct registry *registry, enum row_kind kind,
                          uint64_t number, const struct process_id *process,
                          sp_error *err) SP_MUST_CHECK;

/* What is not there is free already. A row that cannot be written keeps its process's
 * name, which finds nobody when it is looked for. */
void sp__registry_free(struct registry *registry, enum row_kind kind, uint64_t number);

/* 1 when no row but the host's is in use, or bad and perhaps in use. */
int sp__registry_is_empty(const struct registry *registry);

#endif
