/* SPDX-License-Identifier: MIT */
/*
 * The store's thread: group commit, what it does when the disk refuses, checkpoints.
 *
 * Normal course: changes are pushed onto a list without a lock; the thread takes the
 * whole list, writes up to BATCH_MAX changes in one transaction, and opens the latches of
 * those who wait. What is pushed while it commits is the next transaction, so the busier
 * it is, the more changes share the price of one. Nothing is held back for company.
 *
 * A transaction that fails is taken back, and its changes are tried one by one, so that
 * nobody fails for his neighbour's sake.
 *
 *   OK ──no room──▶ NO_ROOM ──the ballast can be had again──▶ OK
 *    └── a sync failed, or damage ──▶ FAILED, until the host is started anew
 *
 * In NO_ROOM the ballast is let go and only what needs no more room is written:
 * what takes away, and expiries, which change in place. In FAILED nothing is:
 * what the kernel could not write it has forgotten, and asking again would succeed without
 * being true. What was acknowledged before a failed sync may be on the disk or not; what
 * was refused by it too. Nobody is told that it is there.
 *
 * The log is copied into the file (a checkpoint) when it has log_max pages, after the
 * latches are open: the next change waits for it, the last ones do not; and at the end.
 * Never in FAILED: what is in the log then is for the checksums to judge, at a new start.
 */
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/thread.h"
#include "store/open_store.h"

enum {
    BATCH_MAX = 256,
    POSTED_MAX = 200000, /* two for each of 100 000 sessions */
    PAGE_BYTES = 4096    /* of SQLite's files, unless somebody chose otherwise */
};

/* A record that nobody waits for. */
struct posted {
    struct change change;
    struct record record;
    char name[]; /* the record's, when it has one */
};

/* ---- the queue ---- */

static void push(struct store *store, struct change *change)
{
    struct change *newest = atomic_load(&store->pushed);
    do {
        change->next = newest;
    } while (!atomic_compare_exchange_weak(&store->pushed, &newest, change));
    if (newest == NULL) {
        sp__latch_open(&store->bell);
    }
}

/* All that was pushed, the oldest first. */
static struct change *take_pushed(struct store *store)
{
    struct change *newest = atomic_exchange(&store->pushed, NULL);
    struct change *oldest = NULL;
    while (newest != NULL) {
        struct change *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

int sp__store_commit(struct store *store, struct change *change, sp_error *err)
{
    change->err = err;
    change->is_posted = 0;
    sp__latch_init(&change->done);
    push(store, change);
    (void)sp__latch_wait(&change->done, SP_UNLIMITED); /* the thread answers each */
    return change->rc;
}

int sp__store_post(struct store *store, const struct record *record)
{
    if (atomic_fetch_add(&store->posted, 1) >= POSTED_MAX) {
        atomic_fetch_sub(&store->posted, 1);
        return SP_ERR_QUOTA;
    }
    size_t size = record->name == NULL ? 0 : strlen(record->name);
    struct posted *posted = sp__calloc(1, sizeof *posted + size + 1);
    if (posted == NULL) {
        atomic_fetch_sub(&store->posted, 1);
        return SP_ERR_NOMEM;
    }
    posted->record = *record;
    if (record->name != NULL) {
        memcpy(posted->name, record->name, size);
        posted->record.name = posted->name;
    }
    posted->change.records = &posted->record;
    posted->change.count = 1;
    posted->change.is_posted = 1;
    /* A use changes a row in place, which a full disk has room for too. */
    posted->change.shrinks = record->kind == RECORD_SESSION_DELETE ||
                             record->kind == RECORD_PROGRAM_DELETE ||
                             record->kind == RECORD_SESSION_USE;
    push(store, &posted->change);
    return SP_OK;
}

static void answer(struct store *store, struct change *change, int rc)
{
    atomic_fetch_add(rc < 0 ? &store->refused : &store->changes, 1);
    for (size_t i = 0; rc == SP_OK && i < change->count; i++) {
        sp__sweep_note(store, &change->records[i]);
    }
    if (change->is_posted) {
        atomic_fetch_sub(&store->posted, 1);
        sp__free((struct posted *)(void *)change);
        return;
    }
    change->rc = rc;
    sp__latch_open(
        &change->done); /* from here on it is the waiter's, and may be gone */
}

/* ---- states ---- */

static void enter(struct store *store, enum store_state state)
{
    if (atomic_load(&store->state) != (int)state) {
        atomic_store(&store->state, (int)state);
        atomic_store(&store->news, 1);
    }
}

enum store_state sp__store_state(const struct store *store)
{
    return (enum store_state)atomic_load(&store->state);
}

int sp__store_news(struct store *store, enum store_state *ret_state)
{
    if (!atomic_load_explicit(&store->news, memory_order_relaxed) ||
        !atomic_exchange(&store->news, 0)) {
        return 0;
    }
    *ret_state = sp__store_state(store);
    return 1;
}

static int checkpoint(struct store *store, int mode)
{
    int rc = sqlite3_wal_checkpoint_v2(store->file.db, NULL, mode, NULL, NULL);
    atomic_fetch_add(&store->checkpoints, 1);
    if (rc == SQLITE_OK) {
        store->log_pages = 0;
    } else if (sp__fault_of(store->file.db, rc) == FAULT_LASTING) {
        enter(store, STORE_FAILED);
    }
    return rc;
}

/* After a failure: what it means for those who come next. */
static void on_fault(struct store *store, int rc)
{
    switch (sp__fault_of(store->file.db, rc)) {
    case FAULT_PASSING:
        break;
    case FAULT_FULL:
        if (sp__store_state(store) == STORE_OK) {
            enter(store, STORE_NO_ROOM);
            sp__room_give(&store->file.room);
        }
        break;
    case FAULT_LASTING:
        enter(store, STORE_FAILED);
        break;
    }
}

/* In NO_ROOM: whether the ballast can be had again. The log is emptied first when the
 * file may grow by all of it; else that would use up the room that deletions need. */
static void look_for_room(struct store *store)
{
    uint64_t log_bytes = (uint64_t)store->log_pages * PAGE_BYTES;
    if (sp__room_left(&store->file.room) >= log_bytes + ROOM_MARGIN &&
        checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE) != SQLITE_OK) {
        return;
    }
    if (sp__store_state(store) == STORE_NO_ROOM && sp__room_take(&store->file.room)) {
        enter(store, STORE_OK);
    }
}

/* ---- committing ---- */

static int set_sync(struct store *store, int full)
{
    if (store->sync_full == full) {
        return SQLITE_OK;
    }
    int rc =
        sqlite3_exec(store->file.db,
                     full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                     NULL, NULL, NULL);
    store->sync_full = rc == SQLITE_OK ? full : -1;
    return rc;
}

static void take_back(struct store *store)
{
    if (!sqlite3_get_autocommit(store->file.db)) {
        (void)sp__store_step(store->rollback);
    }
    if (!sqlite3_get_autocommit(store->file.db)) {
        enter(store, STORE_FAILED); /* or the next commit would commit this one too */
    }
}

static int write_change(struct store *store, const struct change *change)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < change->count; i++) {
        rc = sp__statements_write(&store->statements, &change->records[i]);
    }
    return rc;
}

/* The first `count` of a list in one transaction. */
static int write_batch(struct store *store, const struct change *first, size_t count)
{
    int durable = 0;
    const struct change *change = first;
    for (size_t i = 0; i < count; i++, change = change->next) {
        durable |= change->durable;
    }
    int rc = set_sync(store, durable);
    if (rc == SQLITE_OK) {
        rc = sp__store_step(store->begin);
    }
    change = first;
    for (size_t i = 0; rc == SQLITE_OK && i < count; i++, change = change->next) {
        rc = write_change(store, change);
    }
    if (rc == SQLITE_OK) {
        rc = sp__store_step(store->commit);
    }
    if (rc != SQLITE_OK) {
        return rc;
    }
    atomic_fetch_add(&store->commits, 1);
    atomic_fetch_add(&store->syncs, (unsigned)durable);
    return SQLITE_OK;
}

static int refuse(struct store *store, const struct change *change)
{
    enum store_state state = sp__store_state(store);
    if (state == STORE_FAILED) {
        return sp__fail(change->err, SP_ERR_STORE,
                        "the store failed before and takes no more changes: see to the "
                        "disk, then start the host again");
    }
    if (state == STORE_NO_ROOM && !change->shrinks) {
        return sp__fail(change->err, SP_ERR_STORE_FULL,
                        "no room on the disk for the state: only deletions are taken");
    }
    return SP_OK;
}

/* One change by itself. When the disk became full with it, and it makes room, again. */
static int commit_alone(struct store *store, struct change *change)
{
    struct change *next = change->next;
    int code = SP_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        code = refuse(store, change);
        if (code < 0) {
            break;
        }
        enum store_state before = sp__store_state(store);
        int rc = write_batch(store, change, 1);
        if (rc == SQLITE_OK) {
            code = SP_OK;
            break;
        }
        code = sp__fault_fail(store->file.db, rc, "writing the change", change->err);
        on_fault(store, rc);
        take_back(store);
        if (before != STORE_OK || sp__store_state(store) != STORE_NO_ROOM) {
            break;
        }
        if (change->err != NULL && change->shrinks) {
            sp_error_clear(change->err);
        }
    }
    change->next = next;
    return code;
}

static void answer_some(struct store *store, struct change **first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct change *change = *first;
        *first = change->next;
        answer(store, change, SP_OK);
    }
}

static void commit_each(struct store *store, struct change **first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct change *change = *first;
        int rc = commit_alone(store, change);
        *first = change->next;
        answer(store, change, rc);
    }
}

/* Up to BATCH_MAX changes off the front of a list. */
static void commit_some(struct store *store, struct change **first)
{
    size_t count = 0;
    struct change *change = *first;
    for (; change != NULL && count < BATCH_MAX; change = change->next) {
        count++;
    }
    if (sp__store_state(store) == STORE_OK) {
        int rc = write_batch(store, *first, count);
        if (rc == SQLITE_OK) {
            answer_some(store, first, count);
            return;
        }
        int lasting = sp__fault_of(store->file.db, rc) == FAULT_LASTING;
        take_back(store);
        if (lasting) {
            enter(store, STORE_FAILED);
        }
    }
    commit_each(store, first, count);
}

int sp__store_transact(struct store *store, int (*fn)(struct store *store))
{
    int rc = set_sync(store, 0);
    if (rc == SQLITE_OK) {
        rc = sp__store_step(store->begin);
    }
    if (rc == SQLITE_OK) {
        rc = fn(store);
    }
    if (rc == SQLITE_OK) {
        rc = sp__store_step(store->commit);
    }
    if (rc != SQLITE_OK) {
        on_fault(store, rc);
        take_back(store);
    }
    return rc;
}

/* ---- the thread ---- */

/* Not without room: it would write, and the file would not become smaller. */
static int has_to_sweep(const struct store *store)
{
    return sp__sweep_is_due(store) && sp__store_state(store) == STORE_OK;
}

static void tidy_up(struct store *store)
{
    if (has_to_sweep(store)) {
        sp__sweep_some(store);
    }
    if (store->log_pages >= store->log_max && sp__store_state(store) == STORE_OK) {
        on_fault(store, checkpoint(store, SQLITE_CHECKPOINT_PASSIVE));
    }
}

/* Until something is pushed, the store closes, or it is time to look for room. */
static void wait_for_more(struct store *store)
{
    sp__latch_close_first(&store->bell);
    if (atomic_load(&store->pushed) != NULL || atomic_load(&store->closing)) {
        return;
    }
    int full = sp__store_state(store) == STORE_NO_ROOM;
    (void)sp__latch_wait(&store->bell, full ? store->probe_ms : SP_UNLIMITED);
}

static void *run_store(void *user)
{
    struct store *store = user;
    for (;;) {
        struct change *changes = take_pushed(store);
        if (changes == NULL && atomic_load(&store->closing)) {
            return NULL;
        }
        while (changes != NULL) {
            commit_some(store, &changes);
        }
        tidy_up(store);
        if (!has_to_sweep(store)) {
            wait_for_more(store);
        }
        uint64_t now_ms = sp__now_ms();
        if (sp__store_state(store) == STORE_NO_ROOM && now_ms >= store->look_at_ms) {
            look_for_room(store);
            store->look_at_ms = now_ms + store->probe_ms;
        }
    }
}

int sp__store_start(struct store *store, sp_error *err)
{
    int rc = sp__thread_start(&store->thread, NULL, run_store, store);
    if (rc != 0) {
        return sp__fail_errno(err, rc, "starting the store's thread");
    }
    store->is_started = 1;
    return SP_OK;
}

void sp__store_sum(const struct store *store, struct store_stats *ret_stats)
{
    *ret_stats = (struct store_stats){
        .changes = atomic_load(&store->changes),
        .commits = atomic_load(&store->commits),
        .syncs = atomic_load(&store->syncs),
        .refused = atomic_load(&store->refused),
        .checkpoints = atomic_load(&store->checkpoints),
    };
}

void sp__store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (store->is_started) {
        atomic_store(&store->closing, 1);
        sp__latch_open(&store->bell);
        (void)pthread_join(store->thread, NULL);
    }
    if (store->is_started && sp__store_state(store) != STORE_FAILED) {
        (void)checkpoint(store,
                         SQLITE_CHECKPOINT_TRUNCATE); /* else at the next start */
    }
    struct change *change = take_pushed(store);
    while (change != NULL) { /* posted to a store that was never started */
        struct change *next = change->next;
        answer(store, change, SP_ERR_CLOSED);
        change = next;
    }
    sp__store_free(store);
}
