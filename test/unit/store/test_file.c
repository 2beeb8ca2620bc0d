/* SPDX-License-Identifier: MIT */
/* Opening the state: what it makes, and what it refuses and leaves as it is. */
#include "store/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leak.h"
#include "rows.h"
#include "store/schema.h"

static struct store_file file;
static struct store *opened;
static sp_error error;

static void close_all(void)
{
    if (file.db != NULL) {
        sp__file_close(&file);
    }
    sp__store_close(opened);
    opened = NULL;
    sp_error_clear(&error);
}

static void open_file(void)
{
    if (sp__file_open(&file, leak_path("state"), NULL, &error) < 0) {
        fail_msg("not opened: %s", error.message);
    }
    leak_at_end(close_all);
}

static const char *database(void)
{
    return leak_path("state/state.db");
}

static unsigned mode_of(const char *name)
{
    char path[600];
    struct stat at;
    (void)snprintf(path, sizeof path, "%sstate/%s", leak_folder(), name);
    assert_int_equal(stat(path, &at), 0);
    return (unsigned)at.st_mode & 0777u;
}

static void folder_and_files_are_for_nobody_else(void **state)
{
    open_file();
    assert_int_equal(mode_of("."), 0700);
    assert_int_equal(mode_of("state.db"), 0600);
    assert_int_equal(mode_of("ballast"), 0600);
    assert_int_equal(mode_of("lock"), 0600);
}

static void one_host_at_a_time(void **state)
{
    char wanted[600];
    open_file();
    assert_int_equal(sp__store_open(leak_path("state"), &opened, &error),
                     SP_ERR_IN_USE);
    (void)snprintf(wanted, sizeof wanted, "the state in %s is in use by process %ld",
                   leak_path("state"), (long)getpid());
    assert_string_equal(error.message, wanted);
    sp__file_close(&file);
    assert_int_equal(sp__store_open(leak_path("state"), &opened, &error), 0);
}

static void a_folder_that_others_write_to_is_refused(void **state)
{
    assert_int_equal(mkdir(leak_path("state"), 0700), 0);
    assert_int_equal(chmod(leak_path("state"), 0777), 0);
    leak_at_end(close_all);
    assert_int_equal(sp__file_open(&file, leak_path("state"), NULL, &error),
                     SP_ERR_SYSTEM);
    assert_non_null(strstr(error.message, "mode 777"));
}

/* ---- files that are not for us ---- */

static char before[65536];
static char after[65536];

static size_t read_whole(char *bytes)
{
    int fd = open(database(), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, bytes, sizeof before);
    (void)close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static void write_at(off_t at, const void *bytes, size_t size)
{
    int fd = open(database(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), (ssize_t)size);
    (void)close(fd);
}

/* Opening fails with this text in its message, and the file is what it was. */
static void expect_refusal(const char *text)
{
    size_t size = read_whole(before);
    leak_at_end(close_all);
    int rc = sp__file_open(&file, leak_path("state"), NULL, &error);
    assert_int_equal(rc, SP_ERR_STORE);
    if (strstr(error.message, text) == NULL ||
        strstr(error.message, database()) == NULL) {
        fail_msg("the message is: %s", error.message);
    }
    assert_int_equal(read_whole(after), size);
    assert_memory_equal(before, after, size);
}

static void make_one(void)
{
    struct record rows[] = {rows_session(1, "a"), rows_variable(1, 1, "x"),
                            rows_version(1, 1, 0, "1")};
    assert_int_equal(sp__store_open(leak_path("state"), &opened, &error), 0);
    assert_int_equal(sp__store_start(opened, &error), 0);
    rows_commit(opened, rows, 3);
    close_all();
}

static void what_is_not_a_database_is_refused(void **state)
{
    assert_int_equal(mkdir(leak_path("state"), 0700), 0);
    write_at(0, "dear diary", 10);
    expect_refusal("it is not a database");
}

static void a_database_of_another_program_is_refused(void **state)
{
    make_one();
    write_at(68, "abcd", 4);
    expect_refusal("it is a database of another program (application id 1633837924)");
}

static void a_file_of_a_newer_snakepit_is_refused(void **state)
{
    const uint8_t version[4] = {0, 0, 0, 99};
    make_one();
    write_at(60, version, 4);
    expect_refusal("schema 99, written by a newer snakepit");
}

static void a_damaged_file_is_refused(void **state)
{
    make_one();
    size_t size = read_whole(before);
    assert_true(size > 8192);
    memset(before, 0xa5, 4096);
    write_at(4096, before, 4096); /* the root of the first table */
    expect_refusal("damaged");
}

static void a_file_that_was_cut_off_is_refused(void **state)
{
    make_one();
    assert_int_equal(truncate(database(), 9000), 0);
    expect_refusal(""); /* SQLite's words */
}

static void an_empty_file_becomes_a_store(void **state)
{
    assert_int_equal(mkdir(leak_path("state"), 0700), 0);
    write_at(0, "", 0);
    open_file();
    assert_int_equal(sqlite3_table_column_metadata(file.db, NULL, "session", "key",
                                                   NULL, NULL, NULL, NULL, NULL),
                     SQLITE_OK);
}

static void this_start_of_the_machine_has_one_number(void **state)
{
    char id[CLOCK_ID_MAX];
    sp__file_clock_id(id);
    assert_true(strlen(id) >= 36);
    open_file();
    int64_t boot = file.boot;
    assert_true(boot > 0);
    sp__file_close(&file);
    open_file();
    assert_int_equal(file.boot, boot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(folder_and_files_are_for_nobody_else),
        TEST(one_host_at_a_time),
        TEST(a_folder_that_others_write_to_is_refused),
        TEST(what_is_not_a_database_is_refused),
        TEST(a_database_of_another_program_is_refused),
        TEST(a_file_of_a_newer_snakepit_is_refused),
        TEST(a_damaged_file_is_refused),
        TEST(a_file_that_was_cut_off_is_refused),
        TEST(an_empty_file_becomes_a_store),
        TEST(this_start_of_the_machine_has_one_number),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
