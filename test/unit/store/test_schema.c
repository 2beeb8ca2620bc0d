/* SPDX-License-Identifier: MIT */
/* From version to version: forward, in one go, and never back. */
#include "store/schema.h"

#include <stdio.h>
#include <string.h>

#include "leak.h"
#include "rows.h"

static sqlite3 *db;
static sp_error error;

static void close_db(void)
{
    (void)sqlite3_close(db);
    db = NULL;
    sp_error_clear(&error);
}

static void open_db(void)
{
    assert_int_equal(sqlite3_open(leak_path("a.db"), &db), SQLITE_OK);
    leak_at_end(close_db);
}

static void run(const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s: %s", sql, why);
    }
}

static int64_t ask(const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

static const char *const STEPS[] = {
    "CREATE TABLE thing (name TEXT); INSERT INTO thing VALUES ('old')",
    "ALTER TABLE thing ADD COLUMN size INTEGER; UPDATE thing SET size = length(name)",
    "CREATE TABLE other (n INTEGER)",
};

static void a_new_file_gets_every_step(void **state)
{
    const struct schema schema = {STEPS, 3};
    open_db();
    assert_int_equal(sp__schema_apply(db, &schema, &error), 1);
    assert_int_equal(ask("PRAGMA user_version"), 3);
    assert_int_equal(ask("PRAGMA application_id"), SCHEMA_APPLICATION);
    assert_int_equal(ask("SELECT size FROM thing"), 3);
    assert_int_equal(sp__schema_apply(db, &schema, &error), 0);
}

static void an_old_file_gets_the_steps_it_lacks(void **state)
{
    const struct schema first = {STEPS, 1};
    const struct schema now = {STEPS, 3};
    open_db();
    assert_int_equal(sp__schema_apply(db, &first, &error), 1);
    run("INSERT INTO thing VALUES ('made since')");
    assert_int_equal(sp__schema_apply(db, &now, &error), 1);
    assert_int_equal(ask("SELECT count(*) FROM thing"), 2);
    assert_int_equal(ask("SELECT max(size) FROM thing"), 10);
    assert_int_equal(ask("SELECT count(*) FROM other"), 0);
}

static void a_step_that_fails_takes_all_of_them_back(void **state)
{
    const char *const broken[] = {STEPS[0], STEPS[1], "CREATE TABLE thing (n INTEGER)"};
    const struct schema first = {STEPS, 1};
    const struct schema bad = {broken, 3};
    open_db();
    assert_int_equal(sp__schema_apply(db, &first, &error), 1);
    assert_int_equal(sp__schema_apply(db, &bad, &error), SP_ERR_STORE);
    assert_string_equal(error.message, "making the tables: table thing already exists");
    assert_int_equal(ask("PRAGMA user_version"), 1);
    assert_int_equal(ask("SELECT count(*) FROM pragma_table_info('thing')"), 1);
}

static void a_newer_file_is_refused(void **state)
{
    const struct schema first = {STEPS, 1};
    const struct schema now = {STEPS, 3};
    open_db();
    assert_int_equal(sp__schema_apply(db, &now, &error), 1);
    assert_int_equal(sp__schema_apply(db, &first, &error), SP_ERR_STORE);
    assert_string_equal(
        error.message, "schema 3, written by a newer snakepit: this one knows up to 1; "
                       "use the newer one, or another folder");
    assert_int_equal(ask("PRAGMA user_version"), 3);
}

static void a_database_of_another_program_is_refused(void **state)
{
    open_db();
    run("PRAGMA user_version = 1; PRAGMA application_id = 77");
    assert_int_equal(sp__schema_apply(db, &sp__schema, &error), SP_ERR_STORE);
    assert_non_null(strstr(error.message, "another program (application id 77)"));
}

/* The tables as they are made now, and nothing in them: version 0 is an empty file. */
static void the_schema_in_use_is_made_of_nothing(void **state)
{
    open_db();
    assert_int_equal(ask("PRAGMA user_version"), 0);
    assert_int_equal(sp__schema_apply(db, &sp__schema, &error), 1);
    assert_int_equal(ask("PRAGMA user_version"), (int64_t)sp__schema.count);
    assert_int_equal(ask("SELECT count(*) FROM session"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_gets_every_step),
        TEST(an_old_file_gets_the_steps_it_lacks),
        TEST(a_step_that_fails_takes_all_of_them_back),
        TEST(a_newer_file_is_refused),
        TEST(a_database_of_another_program_is_refused),
        TEST(the_schema_in_use_is_made_of_nothing),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
