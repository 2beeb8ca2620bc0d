/* SPDX-License-Identifier: MIT */
/*
 * State on disk: a thread with the database, and a queue of changes in front of it.
 *
 * A change is some records that are written together or not at all. Who commits one waits
 * for it; what gathers meanwhile is written in one transaction.
 */
#ifndef SP_STORE_STORE_H
#define SP_STORE_STORE_H

#include <stdint.h>

#include "base/latch.h"
#include "store/record.h"

struct store;

/* The caller's, and its records too, until the commit returns. */
struct change {
    const struct record *records;
    size_t count;
    int durable; /* 1: acknowledged when it is on the disk; 0: when the kernel has it */
    int shrinks; /* needs no more room: allowed when the disk is full */

    /* The store's. */
    struct change *next;
    struct latch done;
    int rc;
    sp_error *err;
    int is_posted;
};

enum store_state {
    STORE_OK,
    STORE_NO_ROOM, /* only what needs no more is written, until there is room again */
    STORE_FAILED   /* nothing is written any more: the disk lost something */
};

struct store_stats {
    uint64_t changes; /* acknowledged */
    uint64_t commits; /* transactions; a change each, when there is no other */
    uint64_t syncs;   /* of them on the disk before they were acknowledged */
    uint64_t refused;
    uint64_t checkpoints;
};

/*
 * Open the state in a folder. The thread is not started yet, so that it can be read.
 *
 * Errors: as sp__file_open().
 */
int sp__store_open(const char *path, struct store **ret_store,
                   sp_error *err) SP_MUST_CHECK;

/* Returns 0, or a negative code, which ends the reading and is handed on. */
typedef int (*store_read_fn)(const struct record *record, void *user_data,
                             sp_error *err);

/*
 * Read everything, before the start: each session, the last made first, followed by its
 * variables, each followed by its lock, if it has one, and its versions, the oldest
 * first; then the session's dependencies and programs; at the end the global programs.
 *
 * Errors: what fn returned, SP_ERR_STORE, SP_ERR_NOMEM.
 */
int sp__store_read(struct store *store, store_read_fn fn, void *user_data,
                   sp_error *err) SP_MUST_CHECK;

/* Before the start: the largest key that was ever used, as far as that matters. STORE,
 * NOMEM. */
int sp__store_last_key(struct store *store, uint64_t *ret_key,
                       sp_error *err) SP_MUST_CHECK;

/* Before the start: this row of a version is not kept any longer; take it away some
 * time. */
void sp__store_drop(struct store *store, int64_t row);

int sp__store_start(struct store *store, sp_error *err) SP_MUST_CHECK;

/*
 * Write a change, and wait until it is as safe as it asks for. Any thread.
 *
 * Errors: SP_ERR_STORE_FULL, SP_ERR_SYSTEM (a write failed), SP_ERR_NOMEM: nothing is
 * changed, and it may work later. SP_ERR_STORE: the store has failed.
 */
int sp__store_commit(struct store *store, struct change *change,
                     sp_error *err) SP_MUST_CHECK;

/* Have a record that has no text but perhaps a name written some time, waiting for
 * nothing. What is posted may be lost with the process. Any thread, and under any lock:
 * takes none, and is short. NOMEM; QUOTA: too much waits already. */
int sp__store_post(struct store *store, const struct record *record);

enum store_state sp__store_state(const struct store *store);

/* 1 when the state became another one since the last time this said so: whoever hears
 * of it tells the program. Any thread. */
int sp__store_news(struct store *store, enum store_state *ret_state);

void sp__store_sum(const struct store *store, struct store_stats *ret_stats);

/* Write what waits, and close the file. NULL is fine, and so is one never started. */
void sp__store_close(struct store *store);

#endif
