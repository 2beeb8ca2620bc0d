/* SPDX-License-Identifier: MIT */
/* The registry: rows as bytes, and the file they are in. */
#include "guard/registry.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "left.h"

static struct run a_run(unsigned n)
{
    struct run run = {.pid_space = sp__pid_space()};
    left_id(run.mark.instance, 1);
    left_id(run.mark.run, n);
    assert_int_equal(sp__boot_id(run.boot, NULL), 0);
    return run;
}

static int open_file(void)
{
    int fd = open(leak_path("registry"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* Take the registry over, as a host of run `n` does. */
static struct registry take(int fd, unsigned n)
{
    struct registry registry;
    struct row *rows = NULL;
    size_t count = 0;
    struct run run = a_run(n);
    assert_int_equal(sp__registry_read(fd, &rows, &count, NULL), 0);
    assert_int_equal(sp__registry_take(&registry, fd, &run, rows, count, NULL), 0);
    return registry;
}

static struct row row_at(int fd, uint32_t place)
{
    struct row row;
    assert_int_equal(pread(fd, &row, sizeof row, (off_t)place * ROW_BYTES), ROW_BYTES);
    return row;
}

static void a_row_goes_from_reserved_to_active_to_free(void **state)
{
    int fd = open_file();
    struct registry registry = take(fd, 2);
    struct process_id id = {.pid = 77, .start_ticks = 5, .serial = 9};
    assert_int_equal(sp__registry_is_empty(&registry), 1);
    assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, 1, "pool/0", NULL), 0);
    struct row row = row_at(fd, 1);
    assert_int_equal(sp__row_check(&row, 1), ROW_GOOD);
    assert_int_equal(row.state, ROW_RESERVED);
    assert_int_equal(row.process.pid, 0);
    assert_string_equal(row.name, "pool/0");
    assert_int_equal(sp__registry_activate(&registry, ROW_WORKER, 1, &id, NULL), 0);
    row = row_at(fd, 1);
    assert_int_equal(sp__row_check(&row, 1), ROW_GOOD);
    assert_int_equal(row.state, ROW_ACTIVE);
    assert_memory_equal(&row.process, &id, sizeof id);
    assert_memory_equal(row.run, registry.run.mark.run, RUN_ID_BYTES);
    assert_int_equal(sp__registry_is_empty(&registry), 0);
    sp__registry_free(&registry, ROW_WORKER, 1);
    row = row_at(fd, 1);
    assert_int_equal(sp__row_check(&row, 1), ROW_GOOD);
    assert_int_equal(row.state, ROW_FREE);
    assert_int_equal(row.sequence, 3);
    assert_int_equal(sp__registry_is_empty(&registry), 1);
    sp__registry_fini(&registry);
    (void)close(fd);
}

static void the_host_says_who_it_is(void **state)
{
    int fd = open_file();
    struct registry registry = take(fd, 2);
    struct row row = row_at(fd, 0);
    assert_int_equal(sp__row_check(&row, 0), ROW_GOOD);
    assert_int_equal(row.kind, ROW_HOST);
    assert_int_equal(row.process.pid, getpid());
    assert_string_equal(row.version, SP_VERSION_STRING);
    sp__registry_leave(&registry);
    row = row_at(fd, 0);
    assert_int_equal(sp__row_check(&row, 0), ROW_GOOD);
    assert_int_equal(row.state, ROW_FREE);
    sp__registry_fini(&registry);
    (void)close(fd);
}

static void places_are_used_again(void **state)
{
    int fd = open_file();
    struct stat file;
    struct registry registry = take(fd, 2);
    struct process_id id = {.pid = 1, .start_ticks = 1};
    for (uint64_t n = 1; n <= 3000; n++) {
        assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, n, "w", NULL), 0);
        assert_int_equal(sp__registry_activate(&registry, ROW_WORKER, n, &id, NULL), 0);
        if (n > 10) {
            sp__registry_free(&registry, ROW_WORKER, n - 10);
        }
    }
    /* A guard with a worker's number is another row. */
    assert_int_equal(sp__registry_reserve(&registry, ROW_GUARD, 3000, "g", NULL), 0);
    sp__registry_free(&registry, ROW_GUARD, 3000);
    assert_int_equal(fstat(fd, &file), 0);
    assert_int_equal(file.st_size, 12 * ROW_BYTES); /* the host's, and eleven at once */
    sp__registry_fini(&registry);
    (void)close(fd);
}

static void the_next_run_keeps_the_rows_until_it_clears_them(void **state)
{
    int fd = open_file();
    struct registry first = take(fd, 2);
    struct process_id id = {.pid = 12, .start_ticks = 34};
    assert_int_equal(sp__registry_reserve(&first, ROW_WORKER, 1, "old", NULL), 0);
    assert_int_equal(sp__registry_activate(&first, ROW_WORKER, 1, &id, NULL), 0);
    sp__registry_fini(&first); /* as if it had been killed */
    struct registry second = take(fd, 3);
    struct row row = row_at(fd, 1);
    assert_int_equal(row.state, ROW_ACTIVE);
    assert_string_equal(second.rows[1].name, "old");
    assert_int_equal(sp__registry_is_empty(&second), 0);
    assert_int_equal(sp__registry_clear(&second, 0, NULL), 0);
    row = row_at(fd, 1);
    assert_int_equal(sp__row_check(&row, 1), ROW_GOOD);
    assert_int_equal(row.state, ROW_FREE);
    assert_memory_equal(row.run, second.run.mark.run, RUN_ID_BYTES);
    assert_int_equal(sp__registry_is_empty(&second), 1);
    sp__registry_fini(&second);
    (void)close(fd);
}

static void every_wrong_bit_makes_one_row_bad(void **state)
{
    int fd = open_file();
    struct registry registry = take(fd, 2);
    assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, 7, "pool/7", NULL), 0);
    struct row row = row_at(fd, 1);
    for (size_t bit = 0; bit < sizeof row * 8; bit++) {
        ((unsigned char *)&row)[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_int_equal(sp__row_check(&row, 1), ROW_BAD);
        ((unsigned char *)&row)[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    assert_int_equal(sp__row_check(&row, 1), ROW_GOOD);
    assert_int_equal(sp__row_check(&row, 2), ROW_BAD); /* a row is at its own place */
    assert_int_equal(sp__row_check(&row, 0), ROW_BAD); /* the host's is another kind */
    memset(&row, 0, sizeof row);
    assert_int_equal(sp__row_check(&row, 1), ROW_UNWRITTEN);
    sp__registry_fini(&registry);
    (void)close(fd);
}

static void a_row_with_a_right_sum_is_still_looked_at(void **state)
{
    struct row good = {.place = 3, .kind = ROW_WORKER, .state = ROW_ACTIVE};
    good.process.pid = 4;
    sp__row_seal(&good);
    assert_int_equal(sp__row_check(&good, 3), ROW_GOOD);
    struct row bad[5] = {good, good, good, good, good};
    bad[0].kind = 9;
    bad[1].state = 9;
    bad[2].process.pid = -1;
    memset(bad[3].name, 'x', sizeof bad[3].name);
    memset(bad[4].version, 'x', sizeof bad[4].version);
    for (size_t i = 0; i < 5; i++) {
        sp__row_seal(&bad[i]);
        assert_int_equal(sp__row_check(&bad[i], 3), ROW_BAD);
    }
}

static void a_file_of_any_size_is_read(void **state)
{
    static const off_t sizes[] = {0, 1, 255, 256, 257, 511, 512, 5000};
    int fd = open_file();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct row *rows = NULL;
        size_t count = 99;
        assert_int_equal(ftruncate(fd, sizes[i]), 0);
        assert_int_equal(sp__registry_read(fd, &rows, &count, NULL), 0);
        assert_int_equal(count, (size_t)sizes[i] / ROW_BYTES);
        struct registry registry;
        struct run run = a_run(2);
        assert_int_equal(sp__registry_take(&registry, fd, &run, rows, count, NULL), 0);
        assert_int_equal(sp__registry_reserve(&registry, ROW_GUARD, 1, "g", NULL), 0);
        sp__registry_fini(&registry);
    }
    (void)close(fd);
}

static void a_full_registry_refuses(void **state)
{
    int fd = open_file();
    struct row *rows = sp__calloc(ROWS_MAX, sizeof *rows);
    struct registry registry;
    struct run run = a_run(2);
    sp_error err = {0};
    for (size_t i = 1; i < ROWS_MAX; i++) {
        rows[i].state = ROW_RESERVED;
    }
    assert_int_equal(sp__registry_take(&registry, fd, &run, rows, ROWS_MAX, NULL), 0);
    assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, 1, "w", &err),
                     SP_ERR_TOO_BIG);
    assert_non_null(strstr(err.message, "16384"));
    sp__registry_fini(&registry);
    (void)close(fd);
}

static void a_row_that_cannot_be_written_is_not_reserved(void **state)
{
    int fd = open_file();
    struct registry registry = take(fd, 2);
    sp_error err = {0};
    registry.fd = open(leak_path("registry"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, 1, "w", &err),
                     SP_ERR_SYSTEM);
    assert_true(err.os_errno != 0);
    assert_int_equal(sp__registry_is_empty(&registry), 1);
    (void)close(registry.fd);
    registry.fd = fd;
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, 1, "a", NULL), 0);
    assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, 2, "b", NULL),
                     SP_ERR_NOMEM);
    sp__mem_fail_at(0, 0);
    assert_int_equal(sp__registry_reserve(&registry, ROW_WORKER, 2, "b", NULL), 0);
    sp__registry_fini(&registry);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_goes_from_reserved_to_active_to_free),
        TEST(the_host_says_who_it_is),
        TEST(places_are_used_again),
        TEST(the_next_run_keeps_the_rows_until_it_clears_them),
        TEST(every_wrong_bit_makes_one_row_bad),
        TEST(a_row_with_a_right_sum_is_still_looked_at),
        TEST(a_file_of_any_size_is_read),
        TEST(a_full_registry_refuses),
        TEST(a_row_that_cannot_be_written_is_not_reserved),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
