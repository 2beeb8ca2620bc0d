/* SPDX-License-Identifier: MIT */
/* The folder of sockets: made once, private, removed with what is in it; one that a dead
 * host has left is removed by the next host, one of a living host is not. */
#include "worker/socket_folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leak.h"

/* The test's folder under a name that is short enough for sockets. */
static char base[32];

static const char *in_base(const char *name)
{
    static char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", base, name);
    return path;
}

static int set_up(void **state)
{
    int rc = leak_setup(state);
    (void)snprintf(base, sizeof base, "/tmp/sockets-%d", (int)getpid());
    return rc != 0 || symlink(leak_path(""), base) != 0 ||
           setenv("XDG_RUNTIME_DIR", base, 1) != 0;
}

static int tear_down(void **state)
{
    return unlink(base) != 0 || leak_teardown(state) != 0;
}

static struct socket_folder make(void)
{
    struct socket_folder folder = {0};
    assert_int_equal(sp__socket_folder_make(&folder, NULL), SP_OK);
    return folder;
}

static void put_file(const char *folder)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/1.ready", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static int exists(const char *path)
{
    struct stat found;
    return lstat(path, &found) == 0;
}

static void it_is_private_and_goes_with_what_is_in_it(void **state)
{
    struct socket_folder folder = make();
    char path[sizeof folder.path];
    struct stat found;
    memcpy(path, folder.path, sizeof path);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0700);
    assert_int_equal(sp__socket_folder_make(&folder, NULL), SP_OK); /* it is made */
    assert_string_equal(folder.path, path);
    put_file(path);
    sp__socket_folder_remove(&folder);
    assert_false(exists(path));
    sp__socket_folder_remove(&folder);
}

/* What a host that is killed leaves. */
static void leave_one(char ret_path[80])
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct socket_folder folder = make();
        put_file(folder.path);
        _exit(write(ends[1], folder.path, sizeof folder.path) !=
              (ssize_t)sizeof folder.path);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], ret_path, 80), 80);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

static void what_a_dead_host_left_goes_with_the_next(void **state)
{
    char left[80];
    struct socket_folder first = make();
    leave_one(left);
    assert_true(exists(left));
    struct socket_folder second = make();
    assert_false(exists(left));
    assert_true(exists(first.path)); /* its host lives */
    sp__socket_folder_remove(&second);
    sp__socket_folder_remove(&first);
}

static void what_is_no_folder_stays(void **state)
{
    struct socket_folder folder = make();
    char file[200];
    char target[200];
    char name[200];
    (void)snprintf(file, sizeof file, "%s", in_base("snakepit-sockets.file00"));
    (void)snprintf(target, sizeof target, "%s", in_base("other"));
    (void)snprintf(name, sizeof name, "%s", in_base("snakepit-sockets.link00"));
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(close(fd), 0);
    assert_int_equal(mkdir(target, 0700), 0);
    put_file(target);
    assert_int_equal(symlink(target, name), 0);
    struct socket_folder next = make();
    assert_true(exists(file));
    assert_true(exists(name));
    assert_true(exists(in_base("other/1.ready")));
    sp__socket_folder_remove(&next);
    sp__socket_folder_remove(&folder);
}

static void a_base_too_long_for_sockets_is_left_for_tmp(void **state)
{
    struct socket_folder folder = {0};
    assert_int_equal(setenv("XDG_RUNTIME_DIR",
                            "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1),
                     0);
    assert_int_equal(sp__socket_folder_make(&folder, NULL), SP_OK);
    assert_int_equal(strncmp(folder.path, "/tmp/snakepit-sockets.", 22), 0);
    sp__socket_folder_remove(&folder);
}

#define IN_BASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_BASE(it_is_private_and_goes_with_what_is_in_it),
        IN_BASE(what_a_dead_host_left_goes_with_the_next),
        IN_BASE(what_is_no_folder_stays),
        IN_BASE(a_base_too_long_for_sockets_is_left_for_tmp),
    };
    return cmocka_run_group_tests_name("socket_folder", tests, NULL, NULL);
}
