/* SPDX-License-Identifier: MIT */
/*
 * The tables, and the way to them from every earlier version.
 *
 * A file has its version in SQLite's user_version. A new one is at 0, so making the tables
 * and bringing old ones up to date are the same: the steps that are missing, one after
 * the other, in one transaction. Steps that were released never change; there is no way
 * back, and a file of a later version is refused.
 *
 * Sessions are known by a number (key) that is never used twice, so nothing that is
 * written late can hit a later session of the same id. What is deleted leaves its key, and
 * a variable its number (0: all of the session), in `dead` until the rows under it are
 * swept, a portion at a time.
 *
 * Versions lie in the order in which they were written, whatever they belong to: so a
 * group of changes of many variables fills a page or two at the end, instead of changing
 * a page for each. They are found again by their rows, which memory knows, and by one walk
 * over all of them when the file is read.
 */
#include "store/schema.h"

#include "base/error.h"
#include "store/fault.h"

#define VERSION_1                                                                  \
    "CREATE TABLE boot (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)"      \
    " STRICT;"                                                                     \
    "CREATE TABLE session (key INTEGER PRIMARY KEY, id TEXT NOT NULL,"             \
    " durability INTEGER NOT NULL, ttl_ms INTEGER NOT NULL,"                       \
    " boot INTEGER NOT NULL, until_boot_ms INTEGER NOT NULL,"                      \
    " until_unix_ms INTEGER NOT NULL, created_unix_ms INTEGER NOT NULL,"           \
    " last_number INTEGER NOT NULL DEFAULT 0, metadata TEXT NOT NULL) STRICT;"     \
    "CREATE TABLE dead (id INTEGER PRIMARY KEY, session INTEGER NOT NULL,"         \
    " number INTEGER NOT NULL) STRICT;"                                            \
    "CREATE UNIQUE INDEX dead_of ON dead (session, number);"                       \
    "CREATE TABLE variable (session INTEGER NOT NULL, number INTEGER NOT NULL,"    \
    " name TEXT NOT NULL, type TEXT NOT NULL, constraints TEXT NOT NULL,"          \
    " created_unix_ms INTEGER NOT NULL, locked_by TEXT,"                           \
    " locked_unix_ms INTEGER NOT NULL DEFAULT 0,"                                  \
    " PRIMARY KEY (session, number)) STRICT, WITHOUT ROWID;"                       \
    "CREATE TABLE version (row INTEGER PRIMARY KEY, session INTEGER NOT NULL,"     \
    " number INTEGER NOT NULL, version INTEGER NOT NULL,"                          \
    " time_unix_ms INTEGER NOT NULL, value TEXT NOT NULL, metadata TEXT NOT NULL," \
    " changed_by TEXT NOT NULL) STRICT;"                                           \
    "CREATE TABLE dependency (session INTEGER NOT NULL,"                           \
    " number INTEGER NOT NULL, needs INTEGER NOT NULL, kind TEXT NOT NULL,"        \
    " PRIMARY KEY (session, number, needs)) STRICT, WITHOUT ROWID;"                \
    "CREATE TABLE program (session INTEGER NOT NULL, id TEXT NOT NULL,"            \
    " data TEXT NOT NULL, created_unix_ms INTEGER NOT NULL,"                       \
    " updated_unix_ms INTEGER NOT NULL, ttl_ms INTEGER NOT NULL,"                  \
    " boot INTEGER NOT NULL, until_boot_ms INTEGER NOT NULL,"                      \
    " until_unix_ms INTEGER NOT NULL, PRIMARY KEY (session, id)) STRICT,"          \
    " WITHOUT ROWID;"

static const char *const steps[] = {VERSION_1};

const struct schema sp__schema = {steps, sizeof steps / sizeof steps[0]};

static int read_pragma(sqlite3 *db, const char *sql, sqlite3_int64 *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
        *ret_value = sqlite3_column_int64(statement, 0);
        rc = rc == SQLITE_ROW ? SQLITE_OK : rc;
    }
    (void)sqlite3_finalize(statement); /* repeats what the step said */
    return rc;
}

static int run_steps(sqlite3 *db, const struct schema *schema, size_t from)
{
    char *sql = sqlite3_mprintf("PRAGMA application_id = %d; PRAGMA user_version = %d",
                                SCHEMA_APPLICATION, (int)schema->count);
    int rc = sql == NULL ? SQLITE_NOMEM : SQLITE_OK;
    for (size_t i = from; rc == SQLITE_OK && i < schema->count; i++) {
        rc = sqlite3_exec(db, schema->steps[i], NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    sqlite3_free(sql);
    return rc;
}

int sp__schema_apply(sqlite3 *db, const struct schema *schema, sp_error *err)
{
    sqlite3_int64 version = 0;
    sqlite3_int64 application = 0;
    int rc = read_pragma(db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK) {
        rc = read_pragma(db, "PRAGMA application_id", &application);
    }
    if (rc != SQLITE_OK) {
        return sp__fault_fail(db, rc, "the schema's version", err);
    }
    if (version < 0 || (size_t)version > schema->count) {
        return sp__fail(
            err, SP_ERR_STORE,
            "schema %lld, written by a newer snakepit: this one knows up to "
            "%zu; use the newer one, or another folder",
            (long long)version, schema->count);
    }
    if (version > 0 && application != SCHEMA_APPLICATION) {
        return sp__fail(err, SP_ERR_STORE,
                        "a database of another program (application id %lld); name "
                        "another folder",
                        (long long)application);
    }
    if ((size_t)version == schema->count) {
        return 0;
    }
    rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = run_steps(db, schema, (size_t)version);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        rc = sp__fault_fail(db, rc, "making the tables", err);
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* it may be done */
        return rc;
    }
    return 1;
}
