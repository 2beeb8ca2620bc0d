/* SPDX-License-Identifier: MIT */
/*
 * Taking away what nobody keeps any longer, a portion in a transaction of its own between
 * two groups of changes.
 *
 * Old versions: a change that lets one fall out of the history says its row. When many have
 * gathered they are taken away in the order of their rows, so that neighbours in a page go
 * together. Rows that are forgotten, in a kill or for want of memory, are found when the
 * file is read.
 *
 * The dead: a deletion only marks what it is about. When enough have died a wave goes over
 * the tables: first what has the session in its key, then one walk over all versions. What
 * dies meanwhile is the next wave's.
 *
 * When a portion fails, it is left for another time: nothing depends on it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "store/open_store.h"

enum {
    DROPS_MAX = 16384,
    DROPS_MIN = 8192, /* so many make it worth while */
    DEATHS_MIN = 256,
    PORTION = 512 /* rows; as in the SQL below */
};

enum phase { PHASE_NONE, PHASE_TABLES, PHASE_VERSIONS };

enum statement {
    DROP,
    LAST_DEAD,
    DEAD_DEPENDENCIES,
    DEAD_VARIABLES,
    DEAD_PROGRAMS,
    NEXT_ROW,
    DEAD_VERSIONS,
    BURY
};

#define DEAD_ROWS(table, key)                                                    \
    "DELETE FROM " table " WHERE (" key ") IN (SELECT " key " FROM " table       \
    " WHERE session IN (SELECT session FROM dead WHERE number = 0 AND id <= ?1)" \
    " LIMIT 512)"

static const char *const SQL[] = {
    [DROP] = "DELETE FROM version WHERE row = ?1",
    [LAST_DEAD] = "SELECT max(id) FROM dead",
    [DEAD_DEPENDENCIES] = DEAD_ROWS("dependency", "session, number, needs"),
    [DEAD_VARIABLES] = DEAD_ROWS("variable", "session, number"),
    [DEAD_PROGRAMS] = DEAD_ROWS("program", "session, id"),
    [NEXT_ROW] = "SELECT max(row) FROM"
                 " (SELECT row FROM version WHERE row > ?1 ORDER BY row LIMIT 512)",
    [DEAD_VERSIONS] = "DELETE FROM version WHERE row > ?1 AND row <= ?2 AND EXISTS"
                      " (SELECT 1 FROM dead WHERE dead.session = version.session"
                      " AND dead.number IN (0, version.number))",
    [BURY] = "DELETE FROM dead WHERE id <= ?1",
};

int sp__sweep_init(struct store *store, sp_error *err)
{
    struct sweep *sweep = &store->sweep;
    _Static_assert(sizeof SQL / sizeof SQL[0] ==
                       sizeof sweep->statements / sizeof sweep->statements[0],
                   "one for each text");
    sweep->deaths = DEATHS_MIN; /* some may be left from the last time */
    sweep->drops = sp__malloc(DROPS_MAX * sizeof *sweep->drops);
    if (sweep->drops == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a store");
    }
    for (size_t i = 0; i < sizeof SQL / sizeof SQL[0]; i++) {
        int rc =
            sqlite3_prepare_v3(store->file.db, SQL[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &sweep->statements[i], NULL);
        if (rc != SQLITE_OK) {
            return sp__fault_fail(store->file.db, rc, "reading its tables", err);
        }
    }
    return SP_OK;
}

void sp__sweep_fini(struct store *store)
{
    struct sweep *sweep = &store->sweep;
    for (size_t i = 0; i < sizeof SQL / sizeof SQL[0]; i++) {
        (void)sqlite3_finalize(sweep->statements[i]); /* NULL is fine */
    }
    sp__free(sweep->drops);
    *sweep = (struct sweep){0};
}

void sp__store_drop(struct store *store, int64_t row)
{
    struct sweep *sweep = &store->sweep;
    if (row != 0 && sweep->drops_count < DROPS_MAX) {
        sweep->drops[sweep->drops_count++] = row;
    }
}

void sp__sweep_note(struct store *store, const struct record *record)
{
    if (record->drop != 0) {
        sp__store_drop(store, record->drop);
    }
    store->sweep.deaths +=
        record->kind == RECORD_SESSION_DELETE || record->kind == RECORD_VARIABLE_DELETE;
}

int sp__sweep_is_due(const struct store *store)
{
    const struct sweep *sweep = &store->sweep;
    return sweep->phase != PHASE_NONE || sweep->drops_left > 0 ||
           sweep->drops_count >= DROPS_MIN || sweep->deaths >= DEATHS_MIN;
}

static int run_with(struct store *store, enum statement which, int64_t first,
                    int64_t second)
{
    sqlite3_stmt *statement = store->sweep.statements[which];
    int rc = sqlite3_bind_int64(statement, 1, first);
    if (rc == SQLITE_OK && sqlite3_bind_parameter_count(statement) > 1) {
        rc = sqlite3_bind_int64(statement, 2, second);
    }
    return rc == SQLITE_OK ? sp__store_step(statement) : rc;
}

/* The one number of a row; 0 for NULL. */
static int ask(struct store *store, enum statement which, int64_t first,
               int64_t *ret_number)
{
    sqlite3_stmt *statement = store->sweep.statements[which];
    int rc = SQLITE_OK;
    if (sqlite3_bind_parameter_count(statement) > 0) {
        rc = sqlite3_bind_int64(statement, 1, first);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
        *ret_number = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        (void)sqlite3_reset(statement); /* repeats what the step said */
    }
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- old versions ---- */

static int compare_rows(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int drop_portion(struct store *store)
{
    struct sweep *sweep = &store->sweep;
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < PORTION && sweep->drops_left > 0; i++) {
        rc = run_with(store, DROP, sweep->drops[--sweep->drops_left], 0);
    }
    return rc;
}

/* The first `drops_left` are on their way; what came since moves down behind them. */
static void drop_some(struct store *store)
{
    struct sweep *sweep = &store->sweep;
    if (sweep->drops_left == 0) {
        sweep->drops_left = sweep->drops_count;
        qsort(sweep->drops, sweep->drops_count, sizeof *sweep->drops, compare_rows);
    }
    size_t before = sweep->drops_left;
    if (sp__store_transact(store, drop_portion) != SQLITE_OK) {
        sweep->drops_left = 0;
    }
    size_t since = sweep->drops_count - before;
    memmove(sweep->drops + sweep->drops_left, sweep->drops + before,
            since * sizeof *sweep->drops);
    sweep->drops_count = sweep->drops_left + since;
}

/* ---- the dead ---- */

static int begin_wave(struct store *store)
{
    struct sweep *sweep = &store->sweep;
    sweep->deaths = 0;
    sweep->row = 0;
    int rc = ask(store, LAST_DEAD, 0, &sweep->dead_end);
    sweep->phase = rc == SQLITE_OK && sweep->dead_end > 0 ? PHASE_TABLES : PHASE_NONE;
    return rc;
}

static int sweep_tables(struct store *store)
{
    struct sweep *sweep = &store->sweep;
    int swept = 0;
    for (int which = DEAD_DEPENDENCIES; which <= DEAD_PROGRAMS; which++) {
        int rc = run_with(store, (enum statement)which, sweep->dead_end, 0);
        if (rc != SQLITE_OK) {
            return rc;
        }
        swept += sqlite3_changes(store->file.db);
    }
    if (swept == 0) {
        sweep->phase = PHASE_VERSIONS;
    }
    return SQLITE_OK;
}

static int sweep_versions(struct store *store)
{
    struct sweep *sweep = &store->sweep;
    int64_t until = 0;
    int rc = ask(store, NEXT_ROW, sweep->row, &until);
    if (rc == SQLITE_OK && until == 0) {
        sweep->phase = PHASE_NONE;
        return run_with(store, BURY, sweep->dead_end, 0);
    }
    if (rc == SQLITE_OK) {
        rc = run_with(store, DEAD_VERSIONS, sweep->row, until);
        sweep->row = until;
    }
    return rc;
}

static int sweep_portion(struct store *store)
{
    switch ((enum phase)store->sweep.phase) {
    case PHASE_NONE:
        return begin_wave(store);
    case PHASE_TABLES:
        return sweep_tables(store);
    case PHASE_VERSIONS:
        return sweep_versions(store);
    }
    return SQLITE_OK;
}

void sp__sweep_some(struct store *store)
{
    struct sweep *sweep = &store->sweep;
    if (sweep->drops_left > 0 || sweep->drops_count >= DROPS_MIN) {
        drop_some(store);
    }
    if (sweep->phase == PHASE_NONE && sweep->deaths < DEATHS_MIN) {
        return;
    }
    if (sp__store_transact(store, sweep_portion) != SQLITE_OK) {
        sweep->phase = PHASE_NONE; /* the next wave's, or the next start's */
        sweep->deaths = 0;
    }
}
