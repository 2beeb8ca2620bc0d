/* SPDX-License-Identifier: MIT */
/*
 * From records to rows.
 *
 * Every statement takes its values from the same numbered places, whatever it does:
 * ?1 is the session everywhere. So one function binds a record to any of them, each
 * value only where the statement has a place for it.
 */
#include "store/statements.h"

#include <string.h>

#include "base/error.h"
#include "store/fault.h"

enum place {
    AT_SESSION = 1,
    AT_NUMBER,
    AT_VERSION,
    AT_NEEDS,
    AT_CREATED,
    AT_UPDATED,
    AT_DURABILITY,
    AT_TTL,
    AT_BOOT,
    AT_UNTIL_BOOT,
    AT_UNTIL_UNIX,
    AT_NAME,
    AT_TYPE,
    AT_VALUE,
    AT_METADATA,
    AT_BY,
    AT_ROW
};

#define BIT(place) (1u << (place))
#define KEY (BIT(AT_SESSION) | BIT(AT_NUMBER))
#define EXPIRY (BIT(AT_TTL) | BIT(AT_BOOT) | BIT(AT_UNTIL_BOOT) | BIT(AT_UNTIL_UNIX))

/* All texts of a record are bound at the places of the first; the others have no more. */
struct sql {
    const char *text[STATEMENTS_PER_RECORD];
    unsigned places;
};

static const struct sql SQL[RECORD_KINDS] = {
    [RECORD_SESSION] =
        {{"INSERT INTO session (key, id, durability, ttl_ms, boot, until_boot_ms,"
          " until_unix_ms, created_unix_ms, metadata)"
          " VALUES (?1, ?12, ?7, ?8, ?9, ?10, ?11, ?5, ?15)"},
         BIT(AT_SESSION) | BIT(AT_NAME) | BIT(AT_DURABILITY) | EXPIRY |
             BIT(AT_CREATED) | BIT(AT_METADATA)},
    [RECORD_SESSION_EDIT] =
        {{"UPDATE session SET ttl_ms = ?8, boot = ?9, until_boot_ms = ?10,"
          " until_unix_ms = ?11, metadata = ?15 WHERE key = ?1"},
         BIT(AT_SESSION) | EXPIRY | BIT(AT_METADATA)},
    [RECORD_SESSION_USE] =
        {{"UPDATE session SET boot = ?9, until_boot_ms = ?10, until_unix_ms = ?11"
          " WHERE key = ?1"},
         BIT(AT_SESSION) | BIT(AT_BOOT) | BIT(AT_UNTIL_BOOT) | BIT(AT_UNTIL_UNIX)},
    [RECORD_SESSION_DELETE] =
        {{"DELETE FROM session WHERE key = ?1",
          "INSERT OR IGNORE INTO dead (session, number) VALUES (?1, 0)"},
         BIT(AT_SESSION)},
    [RECORD_VARIABLE] =
        {{"INSERT INTO variable (session, number, name, type, constraints,"
          " created_unix_ms) VALUES (?1, ?2, ?12, ?13, ?14, ?5)",
          "UPDATE session SET last_number = ?2 WHERE key = ?1"},
         KEY | BIT(AT_NAME) | BIT(AT_TYPE) | BIT(AT_VALUE) | BIT(AT_CREATED)},
    [RECORD_VARIABLE_LOCK] =
        {{"UPDATE variable SET locked_by = ?16, locked_unix_ms = ?6"
          " WHERE session = ?1 AND number = ?2"},
         KEY | BIT(AT_BY) | BIT(AT_UPDATED)},
    [RECORD_VARIABLE_DELETE] =
        {{"DELETE FROM variable WHERE session = ?1 AND number = ?2",
          "DELETE FROM dependency WHERE session = ?1 AND number = ?2",
          "DELETE FROM dependency WHERE session = ?1 AND needs = ?2",
          "INSERT OR IGNORE INTO dead (session, number) VALUES (?1, ?2)"},
         KEY},
    [RECORD_VERSION] =
        {{"INSERT INTO version (session, number, version, time_unix_ms, value,"
          " metadata, changed_by, row) VALUES (?1, ?2, ?3, ?6, ?14, ?15, ?16, ?17)"},
         BIT(AT_ROW) | KEY | BIT(AT_VERSION) | BIT(AT_UPDATED) | BIT(AT_VALUE) |
             BIT(AT_METADATA) | BIT(AT_BY)},
    [RECORD_DEPENDENCY] = {{"INSERT INTO dependency (session, number, needs, kind)"
                            " VALUES (?1, ?2, ?4, ?13)"},
                           KEY | BIT(AT_NEEDS) | BIT(AT_TYPE)},
    [RECORD_DEPENDENCY_DELETE] =
        {{"DELETE FROM dependency"
          " WHERE session = ?1 AND number = ?2 AND needs = ?4"},
         KEY | BIT(AT_NEEDS)},
    [RECORD_PROGRAM] =
        {{"INSERT OR REPLACE INTO program (session, id, data, created_unix_ms,"
          " updated_unix_ms, ttl_ms, boot, until_boot_ms, until_unix_ms)"
          " VALUES (?1, ?12, ?14, ?5, ?6, ?8, ?9, ?10, ?11)"},
         BIT(AT_SESSION) | BIT(AT_NAME) | BIT(AT_VALUE) | BIT(AT_CREATED) |
             BIT(AT_UPDATED) | EXPIRY},
    [RECORD_PROGRAM_USE] =
        {{"UPDATE program SET boot = ?9, until_boot_ms = ?10, until_unix_ms = ?11"
          " WHERE session = ?1 AND id = ?12"},
         BIT(AT_SESSION) | BIT(AT_NAME) | BIT(AT_BOOT) | BIT(AT_UNTIL_BOOT) |
             BIT(AT_UNTIL_UNIX)},
    [RECORD_PROGRAM_DELETE] = {{"DELETE FROM program WHERE session = ?1 AND id = ?12"},
                               BIT(AT_SESSION) | BIT(AT_NAME)},
};

/* Rows are numbered here: SQLite would use the number of a last row that is gone again,
 * and somebody may still have it for taken away. */
static int find_last_row(struct statements *statements, sp_error *err)
{
    sqlite3_stmt *row = NULL;
    int rc = sqlite3_prepare_v2(statements->db, "SELECT max(row) FROM version", -1,
                                &row, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(row);
        statements->last_row = rc == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    }
    (void)sqlite3_finalize(row);
    return rc == SQLITE_ROW
               ? SP_OK
               : sp__fault_fail(statements->db, rc, "reading its tables", err);
}

int sp__statements_init(struct statements *statements, sqlite3 *db, int64_t boot,
                        sp_error *err)
{
    *statements = (struct statements){.db = db, .boot = boot};
    int code = find_last_row(statements, err);
    if (code < 0) {
        return code;
    }
    for (size_t kind = 0; kind < RECORD_KINDS; kind++) {
        for (size_t i = 0; i < STATEMENTS_PER_RECORD; i++) {
            const char *text = SQL[kind].text[i];
            if (text == NULL) {
                break;
            }
            int rc = sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT,
                                        &statements->of[kind][i], NULL);
            if (rc != SQLITE_OK) {
                return sp__fault_fail(db, rc, "reading its tables", err);
            }
        }
    }
    return SP_OK;
}

void sp__statements_fini(struct statements *statements)
{
    for (size_t kind = 0; kind < RECORD_KINDS; kind++) {
        for (size_t i = 0; i < STATEMENTS_PER_RECORD; i++) {
            (void)sqlite3_finalize(statements->of[kind][i]); /* NULL is fine */
        }
    }
    *statements = (struct statements){0};
}

/* SP_UNLIMITED becomes -1, and back when it is read. */
static int64_t number_at(const struct record *record, int64_t boot, enum place place)
{
    switch ((int)place) {
    case AT_SESSION:
        return (int64_t)record->session;
    case AT_NUMBER:
        return (int64_t)record->number;
    case AT_VERSION:
        return (int64_t)record->version;
    case AT_NEEDS:
        return (int64_t)record->needs;
    case AT_CREATED:
        return (int64_t)record->created_unix_ms;
    case AT_UPDATED:
        return (int64_t)record->updated_unix_ms;
    case AT_DURABILITY:
        return record->durability;
    case AT_TTL:
        return (int64_t)record->expires.ttl_ms;
    case AT_BOOT:
        return boot;
    case AT_UNTIL_BOOT:
        return (int64_t)record->expires.boot_ms;
    default:
        return (int64_t)record->expires.unix_ms;
    }
}

static int bind_text(sqlite3_stmt *statement, const struct record *record,
                     enum place place)
{
    const char *text = place == AT_NAME       ? record->name
                       : place == AT_TYPE     ? record->type
                       : place == AT_METADATA ? record->metadata
                                              : record->by;
    if (place == AT_VALUE) {
        return sqlite3_bind_text64(statement, AT_VALUE, record->value,
                                   record->value_size, SQLITE_STATIC, SQLITE_UTF8);
    }
    return text == NULL
               ? sqlite3_bind_null(statement, (int)place)
               : sqlite3_bind_text(statement, (int)place, text, -1, SQLITE_STATIC);
}

static int bind(struct statements *statements, sqlite3_stmt *statement, unsigned places,
                const struct record *record)
{
    int rc = SQLITE_OK;
    int last = sqlite3_bind_parameter_count(statement);
    for (int place = AT_SESSION; rc == SQLITE_OK && place <= last; place++) {
        if ((places & BIT(place)) == 0) {
            continue;
        }
        rc = place == AT_ROW
                 ? sqlite3_bind_int64(statement, place, ++statements->last_row)
             : place < AT_NAME ? sqlite3_bind_int64(statement, place,
                                                    number_at(record, statements->boot,
                                                              (enum place)place))
                               : bind_text(statement, record, (enum place)place);
    }
    return rc;
}

int sp__statements_write(struct statements *statements, const struct record *record)
{
    const struct sql *sql = &SQL[record->kind];
    for (size_t i = 0; i < STATEMENTS_PER_RECORD; i++) {
        sqlite3_stmt *statement = statements->of[record->kind][i];
        if (statement == NULL) {
            break;
        }
        int rc = bind(statements, statement, sql->places, record);
        if (rc == SQLITE_OK) {
            rc = sqlite3_step(statement);
        }
        /* Repeats what the step said. The texts stay bound, and are not looked at until
         * they are bound anew. */
        (void)sqlite3_reset(statement);
        if (rc != SQLITE_DONE) {
            return rc;
        }
    }
    if (record->ret_row != NULL) {
        *record->ret_row = statements->last_row;
    }
    return SQLITE_OK;
}
