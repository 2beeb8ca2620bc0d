/* SPDX-License-Identifier: MIT */
/* The store alone: what is committed, by one or by many, is there the next time. */
#include "store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "rows.h"
#include "store/open_store.h"

static struct store *opened;
static sp_error error;

static void close_store(void)
{
    sp__store_close(opened);
    opened = NULL;
    sp_error_clear(&error);
}

static const char *path; /* of this test's store */

static void forget_path(void)
{
    path = NULL;
}

static struct store *open_store(void)
{
    if (path == NULL) {
        path = leak_path("state");
        leak_at_end(forget_path);
    }
    if (sp__store_open(path, &opened, &error) < 0) {
        fail_msg("not opened: %s", error.message);
    }
    leak_at_end(close_store);
    return opened;
}

static struct store *start_store(void)
{
    struct store *store = open_store();
    assert_int_equal(sp__store_start(store, &error), 0);
    return store;
}

static const char *read_again(void)
{
    close_store();
    return rows_read(open_store());
}

static void a_new_store_is_empty(void **state)
{
    assert_string_equal(rows_read(open_store()), "");
    assert_string_equal(read_again(), "");
}

static void every_kind_of_record_comes_back(void **state)
{
    struct record records[] = {
        rows_session(1, "a"),
        rows_variable(1, 1, "x"),
        rows_version(1, 1, 0, "10"),
        rows_version(1, 1, 1, "11"),
        rows_variable(1, 2, "y"),
        rows_version(1, 2, 0, "20"),
        {.kind = RECORD_VARIABLE_LOCK, .session = 1, .number = 2, .by = "owner"},
        {.kind = RECORD_DEPENDENCY,
         .session = 1,
         .number = 1,
         .needs = 2,
         .type = "kind"},
        {.kind = RECORD_PROGRAM,
         .session = 1,
         .name = "p",
         .value = "{}",
         .value_size = 2},
        {.kind = RECORD_PROGRAM,
         .session = 0,
         .name = "g",
         .value = "[]",
         .value_size = 2},
        rows_session(2, "b"),
    };
    rows_commit(start_store(), records, sizeof records / sizeof records[0]);
    assert_string_equal(read_again(),
                        "session 2 b {}; session 1 a {}; variable 1.1 x; "
                        "version 1.1.0 10; version 1.1.1 11; variable 1.2 y; "
                        "lock 1.2 owner; version 1.2.0 20; dependency 1.1 2 kind; "
                        "program 1 p {}; program 0 g []");
}

static void what_changes_and_goes_is_written_too(void **state)
{
    struct record made[] = {
        rows_session(1, "a"),
        rows_variable(1, 1, "x"),
        rows_version(1, 1, 0, "10"),
        rows_version(1, 1, 1, "11"),
        rows_variable(1, 2, "y"),
        rows_version(1, 2, 0, "20"),
        {.kind = RECORD_DEPENDENCY, .session = 1, .number = 1, .needs = 2, .type = "k"},
        {.kind = RECORD_VARIABLE_LOCK, .session = 1, .number = 1, .by = "owner"},
        {.kind = RECORD_PROGRAM,
         .session = 1,
         .name = "p",
         .value = "1",
         .value_size = 1},
        {.kind = RECORD_PROGRAM,
         .session = 1,
         .name = "q",
         .value = "2",
         .value_size = 1},
    };
    struct record changed[] = {
        {.kind = RECORD_SESSION_EDIT, .session = 1, .metadata = "{\"n\":1}"},
        {.kind = RECORD_VARIABLE_LOCK, .session = 1, .number = 1},
        {.kind = RECORD_VARIABLE_DELETE, .session = 1, .number = 2},
        {.kind = RECORD_PROGRAM,
         .session = 1,
         .name = "p",
         .value = "3",
         .value_size = 1},
        {.kind = RECORD_PROGRAM_DELETE, .session = 1, .name = "q"},
    };
    struct store *store = start_store();
    rows_commit(store, made, sizeof made / sizeof made[0]);
    rows_commit(store, changed, sizeof changed / sizeof changed[0]);
    assert_string_equal(read_again(), "session 1 a {\"n\":1}; variable 1.1 x; "
                                      "version 1.1.0 10; version 1.1.1 11; "
                                      "program 1 p 3");
}

static int check_expiry(const struct record *record, void *user_data, sp_error *err)
{
    assert_int_equal(record->expires.other_boot, 0);
    assert_true(record->expires.ttl_ms == SP_UNLIMITED);
    assert_true(record->expires.boot_ms == SP_UNLIMITED);
    assert_int_equal(record->expires.unix_ms, 1234);
    assert_int_equal(record->durability, 2);
    (*(int *)user_data)++;
    return SP_OK;
}

static void expiries_come_back_with_what_they_were_measured_by(void **state)
{
    int seen = 0;
    struct record session = rows_session(1, "a");
    session.expires = (struct record_expiry){
        .ttl_ms = SP_UNLIMITED, .boot_ms = SP_UNLIMITED, .unix_ms = 1234};
    rows_commit(start_store(), &session, 1);
    close_store();
    assert_int_equal(sp__store_read(open_store(), check_expiry, &seen, &error), 0);
    assert_int_equal(seen, 1);
}

static void what_is_posted_is_written_at_the_latest_at_the_end(void **state)
{
    struct record session = rows_session(1, "a");
    struct record gone = {.kind = RECORD_SESSION_DELETE, .session = 1};
    struct store *store = start_store();
    rows_commit(store, &session, 1);
    assert_int_equal(sp__store_post(store, &gone), 0);
    assert_string_equal(read_again(), "");
}

static void a_post_to_a_store_that_never_started_is_let_go(void **state)
{
    struct record gone = {.kind = RECORD_SESSION_DELETE, .session = 1};
    assert_int_equal(sp__store_post(open_store(), &gone), 0);
}

static int64_t count_rows(struct store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->file.db, sql, -1, &statement, NULL), 0);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return count;
}

enum { PORTIONS = 40 };

static void the_rows_of_a_dead_session_are_swept(void **state)
{
    struct store *store = start_store();
    struct record gone = {.kind = RECORD_SESSION_DELETE, .session = 1};
    struct record session = rows_session(1, "a");
    struct record kept[] = {rows_session(2, "b"), rows_variable(2, 1, "x"),
                            rows_version(2, 1, 0, "1")};
    rows_commit(store, &session, 1);
    rows_commit(store, kept, 3);
    for (uint64_t i = 1; i <= 600; i++) { /* more than a portion */
        struct record rows[] = {rows_variable(1, i, "x"), rows_version(1, i, 0, "1")};
        rows_commit(store, rows, 2);
    }
    rows_commit(store, &gone, 1);
    close_store(); /* before it is done: the next start goes on */
    int rounds = 0;
    while (count_rows(open_store(), "SELECT count(*) FROM dead") > 0) {
        assert_true(++rounds < 10);
        close_store();
        struct record use = {.kind = RECORD_SESSION_USE, .session = 2};
        (void)start_store();
        for (int i = 0; i < PORTIONS; i++) { /* one after each commit */
            rows_commit(opened, &use, 1);
        }
        close_store();
    }
    assert_int_equal(count_rows(opened, "SELECT count(*) FROM variable"), 1);
    assert_string_equal(rows_read(opened), "session 2 b {}; variable 2.1 x; "
                                           "version 2.1.0 1");
}

enum { OLD = 9000 };

static void old_versions_go_many_at_a_time(void **state)
{
    static struct record records[OLD];
    static int64_t rows[OLD];
    struct store *store = start_store();
    struct record session[] = {rows_session(1, "a"), rows_variable(1, 1, "x")};
    rows_commit(store, session, 2);
    for (size_t i = 0; i < OLD; i++) {
        records[i] = rows_version(1, 1, i, "1");
        records[i].ret_row = &rows[i];
    }
    rows_commit(store, records, OLD);
    for (size_t i = 0; i < OLD; i++) {
        records[i] = rows_version(1, 1, OLD + i, "2");
        records[i].drop = rows[i];
    }
    rows_commit(store, records, OLD);
    for (int i = 0; i < PORTIONS; i++) {
        struct record use = {.kind = RECORD_SESSION_USE, .session = 1};
        rows_commit(store, &use, 1);
    }
    close_store();
    assert_int_equal(count_rows(open_store(), "SELECT count(*) FROM version"), OLD);
    assert_int_equal(count_rows(opened, "SELECT min(version) FROM version"), OLD);
}

/* A row that is gone may still be on somebody's list. */
static void the_number_of_a_row_is_not_used_again(void **state)
{
    int64_t first = 0;
    int64_t second = 0;
    struct store *store = open_store();
    struct record version = rows_version(1, 1, 0, "1");
    version.ret_row = &first;
    assert_int_equal(sp__statements_write(&store->statements, &version), SQLITE_OK);
    assert_true(first > 0);
    assert_int_equal(
        sqlite3_exec(store->file.db, "DELETE FROM version", NULL, NULL, NULL),
        SQLITE_OK);
    version.ret_row = &second;
    assert_int_equal(sp__statements_write(&store->statements, &version), SQLITE_OK);
    assert_true(second > first);
}

enum { WRITERS = 16, EACH = 50 };

static void *write_many(void *user)
{
    uint64_t session = (uint64_t)(uintptr_t)user;
    for (uint64_t i = 0; i < EACH; i++) {
        struct record version = rows_version(session, 1, i, "1");
        struct change change = {
            .records = &version, .count = 1, .durable = session % 2 == 0};
        if (sp__store_commit(opened, &change, NULL) < 0) {
            return "failed";
        }
    }
    return NULL;
}

static void many_writers_share_commits(void **state)
{
    pthread_t threads[WRITERS];
    struct store_stats stats;
    struct store *store = start_store();
    for (uintptr_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)i), 0);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
    sp__store_sum(store, &stats);
    assert_int_equal(stats.changes, WRITERS * EACH);
    assert_true(stats.commits <= stats.changes);
    assert_true(stats.syncs > 0);
    close_store();
    assert_int_equal(count_rows(open_store(), "SELECT count(*) FROM version"),
                     WRITERS * EACH);
}

static void a_change_that_fails_fails_alone(void **state)
{
    struct store *store = start_store();
    struct record records[] = {rows_session(1, "a"), rows_session(1, "a")};
    struct record good = rows_session(2, "b");
    struct change change = {.records = records, .count = 2};
    assert_int_equal(sp__store_commit(store, &change, &error), SP_ERR_STORE);
    assert_string_equal(error.message,
                        "writing the change: UNIQUE constraint failed: session.key");
    rows_commit(store, &good, 1);
    assert_string_equal(read_again(), "session 2 b {}");
}

static void without_memory_nothing_is_left_open(void **state)
{
    (void)start_store();
    close_store();
    for (uint64_t n = 1;; n++) {
        sp__mem_fail_at(n, 0);
        uint64_t before = sp__mem_calls();
        int rc = sp__store_open(path, &opened, &error);
        int tried = sp__mem_calls() - before >= n;
        sp__mem_fail_at(0, 0);
        if (rc == 0) {
            sp__store_close(opened);
            opened = NULL;
        } else {
            assert_int_equal(rc, SP_ERR_NOMEM);
        }
        if (!tried) {
            assert_int_equal(rc, 0);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_store_is_empty),
        TEST(every_kind_of_record_comes_back),
        TEST(what_changes_and_goes_is_written_too),
        TEST(expiries_come_back_with_what_they_were_measured_by),
        TEST(what_is_posted_is_written_at_the_latest_at_the_end),
        TEST(a_post_to_a_store_that_never_started_is_let_go),
        TEST(the_rows_of_a_dead_session_are_swept),
        TEST(old_versions_go_many_at_a_time),
        TEST(the_number_of_a_row_is_not_used_again),
        TEST(many_writers_share_commits),
        TEST(a_change_that_fails_fails_alone),
        TEST(without_memory_nothing_is_left_open),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
