/* SPDX-License-Identifier: MIT */
/* Where an instance's folder is, and which folders are refused. */
#include "guard/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leak.h"

static sp_error err;

static int open_in(const char *base, const char *name, int create)
{
    struct folder folder;
    sp_error_clear(&err);
    int rc = sp__folder_open(base, name, create, &folder, &err);
    if (rc == 0) {
        assert_true(folder.fd > 2);
        assert_int_equal(sp__folder_is_current(&folder), 1);
    } else {
        assert_int_equal(folder.fd, -1);
        assert_int_equal(folder.base, -1);
    }
    sp__folder_close(&folder);
    return rc;
}

static unsigned mode_of(const char *path)
{
    struct stat file;
    assert_int_equal(stat(path, &file), 0);
    return file.st_mode & 07777u;
}

static void a_folder_is_made_for_its_owner_alone(void **state)
{
    const char *base = leak_path("base");
    mode_t was = umask(0);
    assert_int_equal(open_in(base, "a", 0), SP_ERR_NOT_FOUND);
    assert_int_equal(open_in(base, "a", 1), 0);
    (void)umask(was);
    assert_int_equal(mode_of(base), 0700);
    assert_int_equal(mode_of(leak_path("base/a")), 0700);
    assert_int_equal(open_in(base, "a", 0), 0);
    assert_int_equal(open_in(base, "b", 0), SP_ERR_NOT_FOUND);
}

static void a_folder_that_lets_others_in_is_refused(void **state)
{
    const char *base = leak_path("base");
    assert_int_equal(open_in(base, "a", 1), 0);
    assert_int_equal(chmod(leak_path("base/a"), 0710), 0);
    assert_int_equal(open_in(base, "a", 1), SP_ERR_SYSTEM);
    assert_non_null(strstr(err.message, "mode 0710"));
    assert_non_null(strstr(err.message, "must be 0700"));
    assert_int_equal(chmod(leak_path("base/a"), 0700), 0);
    assert_int_equal(chmod(base, 0755), 0); /* others may look into the base */
    assert_int_equal(open_in(base, "a", 1), 0);
    assert_int_equal(chmod(base, 0770), 0);
    assert_int_equal(open_in(base, "a", 1), SP_ERR_SYSTEM);
    assert_int_equal(chmod(base, 01777), 0); /* as /tmp */
    assert_int_equal(open_in(base, "a", 1), SP_ERR_SYSTEM);
    assert_int_equal(chmod(base, 0700), 0);
}

static void a_folder_of_somebody_else_is_refused(void **state)
{
    const char *base = leak_path("base");
    if (geteuid() != 0) {
        skip_because("nobody but root can give a folder away");
    }
    assert_int_equal(open_in(base, "a", 1), 0);
    assert_int_equal(chown(leak_path("base/a"), 54321, 0), 0);
    assert_int_equal(open_in(base, "a", 1), SP_ERR_SYSTEM);
    assert_non_null(strstr(err.message, "belongs to user 54321"));
    assert_int_equal(chown(base, 54321, 0), 0);
    assert_int_equal(open_in(base, "a", 1), SP_ERR_SYSTEM);
}

static void links_are_not_followed(void **state)
{
    const char *base = leak_path("base");
    assert_int_equal(open_in(base, "a", 1), 0);
    assert_int_equal(symlink("a", leak_path("base/link")), 0);
    assert_int_equal(open_in(base, "link", 1), SP_ERR_SYSTEM);
    assert_int_equal(symlink("base", leak_path("other")), 0);
    assert_int_equal(open_in(leak_path("other"), "a", 1), SP_ERR_SYSTEM);
    int fd = open(leak_path("base/file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    (void)close(fd);
    assert_int_equal(open_in(base, "file", 1), SP_ERR_SYSTEM);
}

static void names_are_checked(void **state)
{
    const char *base = leak_path("base");
    static const char *const bad[] = {"",    ".",   "..",       ".a",
                                      "a/b", "a b", "\xc3\xa9", "a\n"};
    char name[FOLDER_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(open_in(base, bad[i], 1), SP_ERR_INVAL);
    }
    memset(name, 'n', sizeof name);
    name[FOLDER_NAME_MAX + 1] = '\0';
    assert_int_equal(open_in(base, name, 1), SP_ERR_INVAL);
    name[FOLDER_NAME_MAX] = '\0';
    assert_int_equal(open_in(base, name, 1), 0);
    assert_int_equal(open_in(base, "-a.b_C9", 1), 0);
}

static void the_base_is_found_by_rules(void **state)
{
    char path[FOLDER_PATH_MAX];
    char expected[FOLDER_PATH_MAX];
    char own[64];
    char *runtime = getenv("XDG_RUNTIME_DIR");
    assert_int_equal(sp__folder_base("/wanted", 0, path), 1);
    assert_string_equal(path, "/wanted");
    assert_int_equal(sp__folder_base("/wanted", 1, path), 0);
    assert_non_null(runtime);
    (void)snprintf(expected, sizeof expected, "%s/snakepit", runtime);
    assert_int_equal(sp__folder_base(NULL, 0, path), 1);
    assert_string_equal(path, expected);
    (void)snprintf(own, sizeof own, "/tmp/snakepit-%u", (unsigned)geteuid());
    size_t last = geteuid() == 0 ? 2 : 1;
    assert_int_equal(sp__folder_base(NULL, last, path), 1);
    assert_string_equal(path, own);
    assert_int_equal(sp__folder_base(NULL, last + 1, path), 0);
    (void)snprintf(expected, sizeof expected, "%s", runtime);
    (void)setenv("XDG_RUNTIME_DIR", "not/absolute", 1);
    assert_int_equal(sp__folder_base(NULL, 0, path), 1);
    assert_string_equal(path, geteuid() == 0 ? "/run/snakepit" : own);
    (void)setenv("XDG_RUNTIME_DIR", expected, 1);
}

static void an_empty_folder_is_removed(void **state)
{
    struct folder one;
    struct folder two;
    struct stat file;
    assert_int_equal(sp__folder_open(NULL, "one", 1, &one, NULL), 0);
    assert_int_equal(sp__folder_open(NULL, "two", 1, &two, NULL), 0);
    sp__folder_remove(&one);
    assert_int_equal(sp__folder_is_current(&one), 0);
    assert_int_equal(sp__folder_is_current(&two), 1);
    int fd = openat(two.fd, "kept", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    (void)close(fd);
    sp__folder_remove(&two);
    assert_int_equal(sp__folder_is_current(&two), 1);
    assert_int_equal(unlinkat(two.fd, "kept", 0), 0);
    sp__folder_remove(&two);
    assert_int_equal(stat(two.base_path, &file), -1); /* the last one takes it along */
    sp__folder_close(&one);
    sp__folder_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_is_made_for_its_owner_alone),
        TEST(a_folder_that_lets_others_in_is_refused),
        TEST(a_folder_of_somebody_else_is_refused),
        TEST(links_are_not_followed),
        TEST(names_are_checked),
        TEST(the_base_is_found_by_rules),
        TEST(an_empty_folder_is_removed),
    };
    return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
