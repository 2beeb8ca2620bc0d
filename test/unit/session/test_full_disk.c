/* SPDX-License-Identifier: MIT */
/*
 * Stored sessions on a disk of 8 MB that really is full, or read-only: a tmpfs in a mount
 * namespace of this test's own.
 */
#include "leak.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "portrait.h"
#include "snakepit/snakepit.h"
#include "store/open_store.h"
#include "stored.h"

enum { VALUE_BYTES = 100000, DELETIONS = 12 };

static char disk[600];

static void unmount(void)
{
    (void)umount2(disk, MNT_DETACH);
}

/* Skips the test where this is not allowed. */
static void mount_disk(void)
{
    if (unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        skip_because("no mount namespace of one's own: %s", strerror(errno));
    }
    (void)snprintf(disk, sizeof disk, "%s", leak_path("disk"));
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("none", disk, "tmpfs", 0, "size=8m,mode=0700") < 0) {
        skip_because("no tmpfs of one's own: %s", strerror(errno));
    }
    leak_at_end(unmount);
}

static const char *on_disk(const char *name)
{
    static char path[700];
    (void)snprintf(path, sizeof path, "%s/%s", disk, name);
    return path;
}

static void fill_disk(void)
{
    static char bytes[1 << 12];
    int fd = open(on_disk("filler"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, bytes, sizeof bytes) > 0) {
    }
    assert_int_equal(errno, ENOSPC);
    (void)close(fd);
}

static void create_victims(void)
{
    for (int i = 0; i < DELETIONS; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "victim %d", i);
        assert_int_equal(sp_session_create(stored, id, NULL, &stored_error), 1);
        assert_int_equal(
            sp_variable_register(stored, id, "v", NULL, "1", NULL, NULL, &stored_error),
            0);
    }
}

static char value[VALUE_BYTES + 1];

/* Until one is refused, which is the answer. */
static int set_until_refused(void)
{
    int rc = 0;
    memset(value, '7', VALUE_BYTES);
    value[0] = value[VALUE_BYTES - 1] = '"';
    for (int i = 0; rc == 0 && i < 1000; i++) {
        rc = sp_variable_set(stored, "a", "y", value, NULL, NULL, &stored_error);
    }
    return rc;
}

static void a_full_disk_is_survived(void **state)
{
    mount_disk();
    stored_fill(stored_open_at("disk/state"));
    create_victims();
    stored_close(); /* the log is empty then, and has nothing to give back */
    (void)stored_open_at("disk/state");
    fill_disk();
    assert_int_equal(set_until_refused(), SP_ERR_STORE_FULL);
    assert_int_equal(sp__store_state(stored->store), STORE_NO_ROOM);
    char *before = portrait(stored); /* reading goes on */
    assert_int_equal(sp_variable_set(stored, "b", "y", "\"no\"", NULL, NULL, NULL),
                     SP_ERR_STORE_FULL);
    assert_int_equal(sp_session_create(stored, "no", NULL, NULL), SP_ERR_STORE_FULL);
    char *after = portrait(stored);
    assert_string_equal(after, before);
    free(before);
    free(after);
    for (int i = 0; i < DELETIONS; i++) { /* deleting as well */
        char id[32];
        (void)snprintf(id, sizeof id, "victim %d", i);
        assert_int_equal(sp_session_delete(stored, id, &stored_error), 0);
    }
    assert_int_equal(sp_variable_delete(stored, "b", "y", NULL, &stored_error), 0);
    assert_int_equal(unlink(on_disk("filler")), 0);
    uint64_t freed_ms = leak_now_ms();
    UNTIL(sp__store_state(stored->store) == STORE_OK);
    print_message("recovered after %d ms\n", (int)(leak_now_ms() - freed_ms));
    assert_int_equal(sp_session_create(stored, "yes", NULL, &stored_error), 1);
    before = portrait(stored);
    stored_close();
    after = portrait(stored_open_at("disk/state"));
    assert_string_equal(after, before);
    free(before);
    free(after);
    stored_close();
}

static void what_is_read_only_is_refused(void **state)
{
    mount_disk();
    stored_fill(stored_open_at("disk/state"));
    stored_close();
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(stored_try("disk/state"), SP_ERR_STORE);
    assert_non_null(strstr(stored_error.message, "cannot be written to"));
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT, NULL), 0);
    (void)stored_open_at("disk/state");
    assert_int_equal(sp_session_exists(stored, "a"), 1);
    stored_close();
}

static void a_disk_without_room_for_a_store_is_refused(void **state)
{
    mount_disk();
    fill_disk();
    int rc = stored_try("disk/state");
    assert_true(rc == SP_ERR_STORE_FULL || rc == SP_ERR_SYSTEM);
    assert_int_equal(unlink(on_disk("filler")), 0);
    (void)stored_open_at("disk/state");
    stored_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_is_survived),
        TEST(what_is_read_only_is_refused),
        TEST(a_disk_without_room_for_a_store_is_refused),
    };
    return cmocka_run_group_tests_name("full disk", tests, NULL, NULL);
}
