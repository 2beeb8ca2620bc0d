/* SPDX-License-Identifier: MIT */
/*
 * Reading everything back as the records it was written from.
 *
 * Versions lie in the order in which they were written. One walk over the table finds
 * out where each is; sorted by what they belong to, they are then fetched by their rows.
 *
 * Sessions come with the last made first: when two have the same id, the first one is
 * the one that counts, the other a deletion that was not written any more.
 */
#include "store/open_store.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"

/* Where a version is, and what it belongs to. */
struct version_at {
    uint64_t session;
    uint64_t number;
    uint64_t version;
    int64_t row;
};

struct reading {
    sqlite3 *db;
    int64_t boot;
    struct version_at *versions; /* sorted */
    size_t versions_count;
    sqlite3_stmt *sessions;
    sqlite3_stmt *variables;
    sqlite3_stmt *version;
    sqlite3_stmt *dependencies;
    sqlite3_stmt *programs;
    store_read_fn fn;
    void *user_data;
    sp_error *err;
};

static const char SESSIONS[] =
    "SELECT key, id, durability, ttl_ms, until_boot_ms, until_unix_ms, boot,"
    " created_unix_ms, last_number, metadata FROM session ORDER BY key DESC";

static const char VARIABLES[] =
    "SELECT number, name, type, constraints, created_unix_ms, locked_by, locked_unix_ms"
    " FROM variable WHERE session = ?1 ORDER BY number";

static const char VERSION[] =
    "SELECT time_unix_ms, value, metadata, changed_by FROM version WHERE row = ?1";

static const char ALL_VERSIONS[] = "SELECT session, number, version, row FROM version";

static const char DEPENDENCIES[] =
    "SELECT number, needs, kind FROM dependency WHERE session = ?1";

static const char PROGRAMS[] =
    "SELECT id, data, created_unix_ms, updated_unix_ms, ttl_ms, until_boot_ms,"
    " until_unix_ms, boot FROM program WHERE session = ?1";

static uint64_t number(sqlite3_stmt *row, int column)
{
    return (uint64_t)sqlite3_column_int64(row, column);
}

/* NULL for NULL, and without memory: is_whole() tells. */
static const char *text(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

static int is_whole(const struct record *record)
{
    switch ((int)record->kind) {
    case RECORD_SESSION:
        return record->name != NULL && record->metadata != NULL;
    case RECORD_VARIABLE:
        return record->name != NULL && record->type != NULL && record->value != NULL;
    case RECORD_VARIABLE_LOCK:
        return record->by != NULL;
    case RECORD_VERSION:
        return record->value != NULL && record->metadata != NULL && record->by != NULL;
    case RECORD_DEPENDENCY:
        return record->type != NULL;
    default: /* a program: nothing else is read */
        return record->name != NULL && record->value != NULL;
    }
}

static int hand_over(struct reading *reading, const struct record *record)
{
    if (!is_whole(record)) { /* no column of these can be NULL in the file */
        return sp__fail(reading->err, SP_ERR_NOMEM, "no memory to read the state");
    }
    return reading->fn(record, reading->user_data, reading->err);
}

static int end_rows(struct reading *reading, sqlite3_stmt *rows, int rc)
{
    (void)sqlite3_reset(rows); /* repeats what the last step said */
    return rc == SQLITE_DONE
               ? SP_OK
               : sp__fault_fail(reading->db, rc, "reading it", reading->err);
}

static struct record_expiry expiry(const struct reading *reading, sqlite3_stmt *row,
                                   int column)
{
    return (struct record_expiry){
        .ttl_ms = number(row, column),
        .boot_ms = number(row, column + 1),
        .unix_ms = number(row, column + 2),
        .other_boot = sqlite3_column_int64(row, column + 3) != reading->boot,
    };
}

/* ---- variables ---- */

static int read_variable(struct reading *reading, uint64_t session, sqlite3_stmt *row)
{
    struct record record = {.kind = RECORD_VARIABLE,
                            .session = session,
                            .number = number(row, 0),
                            .name = text(row, 1),
                            .type = text(row, 2),
                            .value = text(row, 3),
                            .value_size = (size_t)sqlite3_column_bytes(row, 3),
                            .created_unix_ms = number(row, 4)};
    int rc = hand_over(reading, &record);
    if (rc == SP_OK && sqlite3_column_type(row, 5) != SQLITE_NULL) {
        record.kind = RECORD_VARIABLE_LOCK;
        record.by = text(row, 5);
        record.updated_unix_ms = number(row, 6);
        rc = hand_over(reading, &record);
    }
    return rc;
}

static int read_version(struct reading *reading, const struct version_at *at)
{
    sqlite3_stmt *row = reading->version;
    int rc = sqlite3_bind_int64(row, 1, at->row);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(row);
    }
    if (rc != SQLITE_ROW) {
        return end_rows(reading, row, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc);
    }
    struct record record = {.kind = RECORD_VERSION,
                            .session = at->session,
                            .number = at->number,
                            .version = at->version,
                            .row = at->row,
                            .updated_unix_ms = number(row, 0),
                            .value = text(row, 1),
                            .value_size = (size_t)sqlite3_column_bytes(row, 1),
                            .metadata = text(row, 2),
                            .by = text(row, 3)};
    int code = hand_over(reading, &record);
    (void)sqlite3_reset(row);
    return code;
}

static int compare_versions(const void *a, const void *b)
{
    const struct version_at *x = a;
    const struct version_at *y = b;
    if (x->session != y->session) {
        return x->session < y->session ? -1 : 1;
    }
    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return (x->version > y->version) - (x->version < y->version);
}

/* The first of a variable, or where it would be. */
static size_t find_versions(const struct reading *reading, uint64_t session,
                            uint64_t number)
{
    const struct version_at wanted = {.session = session, .number = number};
    size_t low = 0;
    size_t high = reading->versions_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_versions(&reading->versions[middle], &wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int read_versions(struct reading *reading, uint64_t session, uint64_t number,
                         const char *name)
{
    size_t first = find_versions(reading, session, number);
    size_t i = first;
    for (; i < reading->versions_count; i++) {
        const struct version_at *at = &reading->versions[i];
        if (at->session != session || at->number != number) {
            break;
        }
        int rc = read_version(reading, at);
        if (rc < 0) {
            return rc;
        }
    }
    return i > first ? SP_OK
                     : sp__fail(reading->err, SP_ERR_STORE,
                                "variable \"%.100s\" has no value", name);
}

static int read_variables(struct reading *reading, uint64_t session)
{
    sqlite3_stmt *rows = reading->variables;
    int rc = sqlite3_bind_int64(rows, 1, (int64_t)session);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(rows);
        if (rc != SQLITE_ROW) {
            break;
        }
        int code = read_variable(reading, session, rows);
        if (code == SP_OK) {
            code = read_versions(reading, session, number(rows, 0), text(rows, 1));
        }
        if (code < 0) {
            (void)sqlite3_reset(rows);
            return code;
        }
    }
    return end_rows(reading, rows, rc);
}

/* ---- where the versions are ---- */

static int add_version(struct reading *reading, sqlite3_stmt *row, size_t *capacity)
{
    if (reading->versions_count == *capacity) {
        size_t larger = *capacity == 0 ? 1024 : *capacity * 2;
        struct version_at *versions =
            sp__realloc(reading->versions, larger * sizeof *versions);
        if (versions == NULL) {
            return sp__fail(reading->err, SP_ERR_NOMEM, "no memory to read the state");
        }
        reading->versions = versions;
        *capacity = larger;
    }
    reading->versions[reading->versions_count++] =
        (struct version_at){.session = number(row, 0),
                            .number = number(row, 1),
                            .version = number(row, 2),
                            .row = sqlite3_column_int64(row, 3)};
    return SP_OK;
}

static int find_all_versions(struct reading *reading)
{
    sqlite3_stmt *rows = NULL;
    size_t capacity = 0;
    int code = SP_OK;
    int rc = sqlite3_prepare_v2(reading->db, ALL_VERSIONS, -1, &rows, NULL);
    while (rc == SQLITE_OK && code == SP_OK) {
        rc = sqlite3_step(rows);
        if (rc == SQLITE_ROW) {
            code = add_version(reading, rows, &capacity);
            rc = SQLITE_OK;
        }
    }
    if (code == SP_OK && rc != SQLITE_DONE) {
        code = sp__fault_fail(reading->db, rc, "reading it", reading->err);
    }
    (void)sqlite3_finalize(rows);
    if (code == SP_OK && reading->versions_count > 0) {
        qsort(reading->versions, reading->versions_count, sizeof *reading->versions,
              compare_versions);
    }
    return code;
}

/* ---- the rest of a session ---- */

static struct record dependency_of(const struct reading *reading, uint64_t session,
                                   sqlite3_stmt *row)
{
    (void)reading;
    return (struct record){.kind = RECORD_DEPENDENCY,
                           .session = session,
                           .number = number(row, 0),
                           .needs = number(row, 1),
                           .type = text(row, 2)};
}

static struct record program_of(const struct reading *reading, uint64_t session,
                                sqlite3_stmt *row)
{
    return (struct record){.kind = RECORD_PROGRAM,
                           .session = session,
                           .name = text(row, 0),
                           .value = text(row, 1),
                           .value_size = (size_t)sqlite3_column_bytes(row, 1),
                           .created_unix_ms = number(row, 2),
                           .updated_unix_ms = number(row, 3),
                           .expires = expiry(reading, row, 4)};
}

/* Rows of which each is one record. */
static int read_rows(struct reading *reading, sqlite3_stmt *rows, uint64_t session,
                     struct record (*make)(const struct reading *, uint64_t,
                                           sqlite3_stmt *))
{
    int rc = sqlite3_bind_int64(rows, 1, (int64_t)session);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(rows);
        if (rc != SQLITE_ROW) {
            break;
        }
        struct record record = make(reading, session, rows);
        int code = hand_over(reading, &record);
        if (code < 0) {
            (void)sqlite3_reset(rows);
            return code;
        }
    }
    return end_rows(reading, rows, rc);
}

static int read_session(struct reading *reading, sqlite3_stmt *row)
{
    struct record record = {.kind = RECORD_SESSION,
                            .session = number(row, 0),
                            .name = text(row, 1),
                            .durability = sqlite3_column_int(row, 2),
                            .expires = expiry(reading, row, 3),
                            .created_unix_ms = number(row, 7),
                            .number = number(row, 8),
                            .metadata = text(row, 9)};
    int rc = hand_over(reading, &record);
    if (rc == SP_OK) {
        rc = read_variables(reading, record.session);
    }
    if (rc == SP_OK) {
        rc = read_rows(reading, reading->dependencies, record.session, dependency_of);
    }
    if (rc == SP_OK) {
        rc = read_rows(reading, reading->programs, record.session, program_of);
    }
    return rc;
}

static int read_sessions(struct reading *reading)
{
    sqlite3_stmt *rows = reading->sessions;
    int rc;
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
        int code = read_session(reading, rows);
        if (code < 0) {
            return code;
        }
    }
    return end_rows(reading, rows, rc);
}

static int prepare(struct reading *reading, const char *sql, sqlite3_stmt **ret)
{
    int rc = sqlite3_prepare_v2(reading->db, sql, -1, ret, NULL);
    return rc == SQLITE_OK
               ? SP_OK
               : sp__fault_fail(reading->db, rc, "reading its tables", reading->err);
}

int sp__store_read(struct store *store, store_read_fn fn, void *user_data,
                   sp_error *err)
{
    struct reading reading = {.db = store->file.db,
                              .boot = store->file.boot,
                              .fn = fn,
                              .user_data = user_data,
                              .err = err};
    int rc = prepare(&reading, SESSIONS, &reading.sessions);
    if (rc == SP_OK) {
        rc = prepare(&reading, VARIABLES, &reading.variables);
    }
    if (rc == SP_OK) {
        rc = prepare(&reading, DEPENDENCIES, &reading.dependencies);
    }
    if (rc == SP_OK) {
        rc = prepare(&reading, PROGRAMS, &reading.programs);
    }
    if (rc == SP_OK) {
        rc = prepare(&reading, VERSION, &reading.version);
    }
    if (rc == SP_OK) {
        rc = find_all_versions(&reading);
    }
    if (rc == SP_OK) {
        rc = read_sessions(&reading);
    }
    if (rc == SP_OK) {
        rc = read_rows(&reading, reading.programs, 0, program_of);
    }
    (void)sqlite3_finalize(reading.sessions);
    (void)sqlite3_finalize(reading.variables);
    (void)sqlite3_finalize(reading.version);
    (void)sqlite3_finalize(reading.dependencies);
    (void)sqlite3_finalize(reading.programs);
    sp__free(reading.versions);
    return rc;
}

int sp__store_last_key(struct store *store, uint64_t *ret_key, sp_error *err)
{
    sqlite3_stmt *row = NULL;
    int rc =
        sqlite3_prepare_v2(store->file.db,
                           "SELECT max(key) FROM (SELECT max(key) AS key"
                           " FROM session UNION ALL SELECT max(session) FROM dead)",
                           -1, &row, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(row);
    }
    if (rc == SQLITE_ROW) {
        *ret_key = number(row, 0);
    }
    (void)sqlite3_finalize(row);
    return rc == SQLITE_ROW ? SP_OK
                            : sp__fault_fail(store->file.db, rc, "reading it", err);
}
