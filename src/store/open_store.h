/* SPDX-License-Identifier: MIT */
/* A store as its files see it. */
#ifndef SP_STORE_OPEN_STORE_H
#define SP_STORE_OPEN_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/fault.h"
#include "store/file.h"
#include "store/statements.h"
#include "store/store.h"

/* What is taken away behind everybody's back; see sweep.c. */
struct sweep {
    int64_t *drops; /* rows of versions that are not kept any longer */
    size_t drops_count;
    size_t drops_left; /* while they are being taken away */
    unsigned deaths;   /* since the last wave */
    int phase;
    int64_t dead_end; /* of this wave: what died before it */
    int64_t row;      /* how far the walk over the versions is */
    sqlite3_stmt *statements[8];
};

struct store {
    /* Any thread. */
    _Atomic(struct change *) pushed; /* the newest first */
    struct latch bell;               /* opened when there was nothing before */
    atomic_uint posted;              /* that wait, or are being written */
    atomic_int closing;
    atomic_int state; /* enum store_state; the store's thread changes it */
    atomic_int news;  /* it did, and nobody has asked */
    atomic_uint_least64_t changes;
    atomic_uint_least64_t commits;
    atomic_uint_least64_t syncs;
    atomic_uint_least64_t refused;
    atomic_uint_least64_t checkpoints;

    /* Constant, but for tests. */
    atomic_int log_max;             /* pages of the log that cause a checkpoint */
    atomic_uint_least64_t probe_ms; /* in NO_ROOM: between two looks for room */

    /* The store's thread; before its start, whoever opened it. */
    struct store_file file;
    struct statements statements;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    struct sweep sweep;
    int sync_full;       /* what `synchronous` is: 1 FULL, 0 NORMAL, -1 not known */
    int log_pages;       /* in the log since the last checkpoint */
    uint64_t look_at_ms; /* in NO_ROOM: not for room again before */

    /* Set by whoever opened it. */
    int is_started;
    pthread_t thread;
};

static inline int sp__store_step(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);
    (void)sqlite3_reset(statement); /* repeats what the step said */
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Store's thread: what fn writes, as a transaction that nobody waits for. */
int sp__store_transact(struct store *store, int (*fn)(struct store *store));

/* STORE, NOMEM. End with sp__sweep_fini() in any case. */
int sp__sweep_init(struct store *store, sp_error *err) SP_MUST_CHECK;
void sp__sweep_fini(struct store *store);
/* This was written. */
void sp__sweep_note(struct store *store, const struct record *record);
int sp__sweep_is_due(const struct store *store);
/* Take away a portion. */
void sp__sweep_some(struct store *store);

/* Close the file and free the rest; the thread is gone. */
void sp__store_free(struct store *store);

#endif
