/* SPDX-License-Identifier: MIT */
/*
 * Opening a store: the file, every statement, and a way to hear how long the log is.
 */
#include "store/open_store.h"

#include "base/error.h"
#include "base/mem.h"

enum {
    LOG_PAGES = 2000, /* 8 MB */
    PROBE_MS = 200
};

static int log_grew_cb(void *user, sqlite3 *db, const char *name, int pages)
{
    struct store *store = user;
    (void)db;
    (void)name;
    store->log_pages = pages;
    return SQLITE_OK;
}

static int prepare(struct store *store, const char *sql, sqlite3_stmt **ret_statement,
                   sp_error *err)
{
    int rc = sqlite3_prepare_v3(store->file.db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                ret_statement, NULL);
    return rc == SQLITE_OK
               ? SP_OK
               : sp__fault_fail(store->file.db, rc, "reading its tables", err);
}

static int prepare_all(struct store *store, sp_error *err)
{
    int rc =
        sp__statements_init(&store->statements, store->file.db, store->file.boot, err);
    if (rc == SP_OK) {
        rc = prepare(store, "BEGIN IMMEDIATE", &store->begin, err);
    }
    if (rc == SP_OK) {
        rc = prepare(store, "COMMIT", &store->commit, err);
    }
    if (rc == SP_OK) {
        rc = prepare(store, "ROLLBACK", &store->rollback, err);
    }
    return rc < 0 ? rc : sp__sweep_init(store, err);
}

int sp__store_open(const char *path, struct store **ret_store, sp_error *err)
{
    struct store *store = sp__calloc(1, sizeof *store);
    if (store == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a store");
    }
    sp__latch_init(&store->bell);
    store->sync_full = -1;
    store->log_max = LOG_PAGES;
    store->probe_ms = PROBE_MS;
    int rc = sp__file_open(&store->file, path, NULL, err);
    if (rc == SP_OK) {
        (void)sqlite3_wal_hook(store->file.db, log_grew_cb, store);
        rc = prepare_all(store, err);
    }
    if (rc < 0) {
        sp__store_free(store);
        return rc;
    }
    *ret_store = store;
    return SP_OK;
}

void sp__store_free(struct store *store)
{
    sp__statements_fini(&store->statements);
    (void)sqlite3_finalize(store->begin);
    (void)sqlite3_finalize(store->commit);
    (void)sqlite3_finalize(store->rollback);
    sp__sweep_fini(store);
    sp__file_close(&store->file);
    sp__free(store);
}
