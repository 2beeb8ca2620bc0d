/* SPDX-License-Identifier: MIT */
/*
 * Taking an instance: one host at a time, and after a dead one only when it is gone.
 *
 * A host here is a child of the test that opens the instance and waits; it dies by
 * SIGKILL as a real one does. A guard is a child that shares the lock.
 */
#include "guard/instance.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "left.h"
#include "processes.h"

static struct instance *instance;
static sp_error err;
static unsigned ended;
static pid_t last_ended;

static void on_left(const struct left *left, void *user)
{
    ended += left->verdict == LEFT_OURS;
    last_ended = left->process.pid;
}

static int take_within(uint64_t grace_ms, uint64_t limit_ms)
{
    struct instance_options options = {.name = "test",
                                       .runtime_dir = leak_path("run"),
                                       .guard_grace_ms = grace_ms,
                                       .limit_ms = limit_ms,
                                       .on_left = on_left};
    ended = 0;
    sp_error_clear(&err);
    return sp__instance_open(&options, &instance, &err);
}

static int take(void)
{
    return take_within(1, patience_ms(20000));
}

static void give_back(void)
{
    sp__instance_close(instance);
    instance = NULL;
}

static int exists(const char *name)
{
    struct stat file;
    return lstat(leak_path(name), &file) == 0;
}

/* ---- another host ---- */

struct other {
    pid_t pid;
    int told; /* what it has to say */
};

/* Fork a host that takes the instance, does `more` and waits to be killed. */
static struct other start_host(void (*more)(int told))
{
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int rc = take();
        (void)!write(pipe_fds[1], &rc, sizeof rc);
        if (rc == 0 && more != NULL) {
            more(pipe_fds[1]);
        }
        for (;;) {
            (void)pause();
        }
    }
    int rc = 1;
    (void)close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &rc, sizeof rc), sizeof rc);
    assert_int_equal(rc, 0);
    return (struct other){pid, pipe_fds[0]};
}

static pid_t next_pid(const struct other *other)
{
    pid_t pid = 0;
    assert_int_equal(read(other->told, &pid, sizeof pid), sizeof pid);
    return pid;
}

static void end_host(struct other *other)
{
    left_end(other->pid);
    (void)close(other->told);
}

/* In the host: something with the instance's mark, that is told of. */
static pid_t start_worker(int told)
{
    const char *mark = sp__instance_mark(instance);
    char own[128];
    (void)snprintf(own, sizeof own, "SNAKEPIT_TEST_MARK=%s", leak_mark());
    char *const env[] = {own, (char *)mark, NULL};
    pid_t pid = left_start_with(env, "/bin/sleep");
    (void)!write(told, &pid, sizeof pid);
    return pid;
}

/* In a child nobody may go on after a mistake. */
static void must(int rc)
{
    if (rc < 0) {
        _exit(98);
    }
}

static void note_pid(enum row_kind kind, pid_t pid)
{
    int pidfd = sp__process_open(pid);
    must(sp__instance_activate(instance, kind, 1, pid, pidfd, NULL));
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
}

static void a_worker_by_its_row(int told)
{
    must(sp__instance_reserve(instance, ROW_WORKER, 1, "pool/0", NULL));
    pid_t pid = start_worker(told);
    note_pid(ROW_WORKER, pid);
    (void)!write(told, &pid, sizeof pid);
}

static void a_worker_only_reserved(int told)
{
    must(sp__instance_reserve(instance, ROW_WORKER, 1, "pool/0", NULL));
    (void)start_worker(told);
}

/* A process that holds the lock as a guard does, in the registry or not. */
static void hold_lock(int told, int recorded)
{
    if (recorded) {
        must(sp__instance_reserve(instance, ROW_GUARD, 1, "guard", NULL));
    }
    int lock = sp__instance_lock(instance);
    pid_t pid = fork();
    if (pid == 0) {
        (void)fcntl(lock, F_SETFD, 0);
        char *const argv[] = {"sleep", "1000", NULL};
        char own[128];
        (void)snprintf(own, sizeof own, "SNAKEPIT_TEST_MARK=%s", leak_mark());
        char *const env[] = {own, recorded ? (char *)sp__instance_mark(instance) : NULL,
                             NULL};
        (void)execve("/bin/sleep", argv, env);
        _exit(99);
    }
    /* Known once its environment is its own. */
    struct process process;
    do {
        leak_pause();
        (void)sp__process_look(pid, -1, &process);
    } while (strcmp(process.name, "sleep") != 0);
    if (recorded) {
        note_pid(ROW_GUARD, pid);
    }
    (void)!write(told, &pid, sizeof pid);
}

static void a_guard(int told)
{
    hold_lock(told, 1);
}

static void somebody_with_a_copy(int told)
{
    hold_lock(told, 0);
}

/* ---- tests ---- */

static void nothing_is_left_of_an_instance_given_back(void **state)
{
    assert_int_equal(take(), 0);
    assert_true(exists("run/test/registry"));
    assert_true(exists("run/test/host.json"));
    char text[1024] = "";
    int fd = open(leak_path("run/test/host.json"), O_RDONLY | O_CLOEXEC);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    (void)close(fd);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "\"pid\":%d,", (int)getpid());
    assert_non_null(strstr(text, pid));
    assert_non_null(strstr(text, "\"instance\":\"test\""));
    give_back();
    assert_false(exists("run/test"));
    assert_int_equal(take(), 0);
    give_back();
}

static void a_second_host_is_told_who_has_it(void **state)
{
    struct other other = start_host(NULL);
    assert_int_equal(take(), SP_ERR_IN_USE);
    char who[64];
    (void)snprintf(who, sizeof who, "test_instance (pid %d, snakepit 0.1.0) since 2",
                   (int)other.pid);
    assert_non_null(strstr(err.message, who));
    assert_null(instance);
    end_host(&other);
    assert_int_equal(take(), 0);
    assert_int_equal(take_within(1, 1), SP_ERR_IN_USE); /* itself, a second time */
    give_back();
}

static void deleting_files_does_not_open_the_lock(void **state)
{
    struct other other = start_host(NULL);
    (void)unlink(leak_path("run/test/host.json"));
    assert_int_equal(take(), SP_ERR_IN_USE);
    (void)unlink(leak_path("run/test/registry"));
    assert_int_equal(take_within(1, 50), SP_ERR_IN_USE);
    assert_non_null(strstr(err.message, "left no record"));
    end_host(&other);
    assert_int_equal(take(), 0);
    give_back();
}

static void a_dead_hosts_workers_are_ended_first(void **state)
{
    struct other other = start_host(a_worker_by_its_row);
    pid_t worker = next_pid(&other);
    assert_int_equal(next_pid(&other), worker);
    end_host(&other);
    assert_true(processes_exists(worker));
    assert_int_equal(take(), 0);
    assert_int_equal(ended, 1);
    assert_int_equal(last_ended, worker);
    assert_false(processes_exists(worker));
    give_back();
    assert_false(exists("run/test"));
}

/* The host died between reserving the row and writing the number. */
static void a_reserved_worker_is_found_by_its_mark(void **state)
{
    struct other other = start_host(a_worker_only_reserved);
    pid_t worker = next_pid(&other);
    end_host(&other);
    assert_int_equal(take(), 0);
    assert_int_equal(ended, 1);
    assert_int_equal(last_ended, worker);
    give_back();
}

/* Even when not a single row can be read but one. */
static void a_spoilt_registry_hides_nobody(void **state)
{
    struct other other = start_host(a_worker_by_its_row);
    pid_t worker = next_pid(&other);
    (void)next_pid(&other);
    end_host(&other);
    int fd = open(leak_path("run/test/registry"), O_RDWR | O_CLOEXEC);
    char junk[ROW_BYTES];
    memset(junk, 0x5a, sizeof junk);
    assert_int_equal(pwrite(fd, junk, sizeof junk, ROW_BYTES), sizeof junk);
    (void)close(fd);
    assert_int_equal(take(), 0);
    assert_int_equal(ended, 1);
    assert_int_equal(last_ended, worker);
    give_back();
}

static void a_guard_of_a_dead_host_gets_a_moment_and_is_ended(void **state)
{
    struct other other = start_host(a_guard);
    pid_t guard = next_pid(&other);
    end_host(&other);
    (void)unlink(leak_path("run/test/host.json"));
    assert_true(processes_exists(guard));
    assert_int_equal(take_within(patience_ms(100000), 50), SP_ERR_IN_USE);
    assert_non_null(strstr(err.message, "is dead, yet"));
    assert_true(processes_exists(guard));
    assert_int_equal(take(), 0);
    assert_false(processes_exists(guard));
    give_back();
}

static void a_foreign_copy_of_the_lock_is_respected(void **state)
{
    struct other other = start_host(somebody_with_a_copy);
    pid_t holder = next_pid(&other);
    end_host(&other);
    assert_int_equal(take_within(1, 100), SP_ERR_IN_USE);
    assert_non_null(strstr(err.message, "a copy of its descriptor is open"));
    assert_true(processes_exists(holder));
    (void)kill(holder, SIGKILL);
    assert_int_equal(take(), 0);
    give_back();
}

static void a_clash_of_runtime_folders_is_none(void **state)
{
    struct other other = start_host(a_worker_by_its_row);
    pid_t worker = next_pid(&other);
    end_host(&other);
    struct instance_options options = {
        .name = "test", .runtime_dir = leak_path("elsewhere"), .on_left = on_left};
    ended = 0;
    assert_int_equal(sp__instance_open(&options, &instance, NULL), 0);
    assert_int_equal(ended, 0);
    assert_true(processes_exists(worker));
    give_back();
    assert_int_equal(take(), 0);
    assert_int_equal(ended, 1);
    give_back();
}

static void a_running_host_can_end_what_its_guard_left(void **state)
{
    assert_int_equal(take(), 0);
    int told[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    pid_t pid = start_worker(told[1]);
    assert_int_equal(
        sp__instance_sweep(instance, patience_ms(10000), on_left, NULL, NULL), 0);
    assert_int_equal(ended, 1);
    assert_true(left_has_ended(pid));
    (void)close(told[0]);
    (void)close(told[1]);
    give_back();
}

static void giving_back_ends_what_is_recorded(void **state)
{
    assert_int_equal(take(), 0);
    int told[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    a_worker_by_its_row(told[1]);
    pid_t pid;
    assert_int_equal(read(told[0], &pid, sizeof pid), sizeof pid);
    give_back();
    assert_true(left_has_ended(pid));
    assert_false(exists("run/test"));
    (void)close(told[0]);
    (void)close(told[1]);
}

static enum instance_state look(struct instance_sight *sight)
{
    struct folder folder;
    assert_int_equal(sp__folder_open(leak_path("run"), "test", 0, &folder, NULL), 0);
    assert_int_equal(sp__instance_look(&folder, sight, NULL), 0);
    sp__folder_close(&folder);
    return sight->state;
}

static void looking_tells_free_from_held_from_abandoned(void **state)
{
    struct instance_sight sight;
    struct other other = start_host(a_worker_by_its_row);
    pid_t worker = next_pid(&other);
    (void)next_pid(&other);
    assert_int_equal(look(&sight), INSTANCE_HELD);
    assert_int_equal(sight.host.process.pid, other.pid);
    assert_int_equal(sight.workers, 1);
    assert_int_equal(sight.locked, 1);
    sp__instance_sight_fini(&sight);
    end_host(&other);
    assert_int_equal(look(&sight), INSTANCE_ABANDONED);
    assert_int_equal(sight.locked, 0);
    sp__instance_sight_fini(&sight);
    assert_true(processes_exists(worker));
    assert_int_equal(take(), 0);
    int fd = openat(sp__instance_lock(instance), "kept", O_CREAT | O_CLOEXEC, 0600);
    (void)close(fd); /* keeps the folder from being removed */
    give_back();
    assert_int_equal(look(&sight), INSTANCE_FREE);
    assert_int_equal(sight.bad, 0);
    sp__instance_sight_fini(&sight);
}

static void without_memory_nothing_is_taken(void **state)
{
    int rc = SP_ERR_NOMEM;
    for (uint64_t n = 1; rc != SP_OK; n++) {
        sp__mem_fail_at(n, 0);
        rc = take();
        sp__mem_fail_at(0, 0);
        assert_true(rc == SP_OK || rc == SP_ERR_NOMEM);
        assert_true(rc == SP_OK || instance == NULL);
    }
    give_back();
    assert_false(exists("run/test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_left_of_an_instance_given_back),
        TEST(a_second_host_is_told_who_has_it),
        TEST(deleting_files_does_not_open_the_lock),
        TEST(a_dead_hosts_workers_are_ended_first),
        TEST(a_reserved_worker_is_found_by_its_mark),
        TEST(a_spoilt_registry_hides_nobody),
        TEST(a_guard_of_a_dead_host_gets_a_moment_and_is_ended),
        TEST(a_foreign_copy_of_the_lock_is_respected),
        TEST(a_clash_of_runtime_folders_is_none),
        TEST(a_running_host_can_end_what_its_guard_left),
        TEST(giving_back_ends_what_is_recorded),
        TEST(looking_tells_free_from_held_from_abandoned),
        TEST(without_memory_nothing_is_taken),
    };
    return cmocka_run_group_tests_name("instance", tests, NULL, NULL);
}
