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

enum { SWEEPS = 5 };

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

    /* The store's thread; before its start, whoever opened it. */
    struct store_file file;
    struct statements statements;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *sweeps[SWEEPS];
    int sync_full;     /* what `synchronous` is: 1 FULL, 0 NORMAL, -1 not known */
    int log_pages;     /* in the log since the last checkpoint */
    int has_dead;      /* rows of deleted sessions may be left */
    int log_max;       /* pages of it that cause one */
    uint64_t probe_ms; /* in NO_ROOM: between two looks for room */

    /* Set by whoever opened it. */
    int is_started;
    pthread_t thread;
};

/* Close the file and free the rest; the thread is gone. */
void sp__store_free(struct store *store);

#endif
