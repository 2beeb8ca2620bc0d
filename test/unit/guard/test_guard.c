/* SPDX-License-Identifier: MIT */
/* Opening the guard and spawning workers through it: src/guard and guard/ together. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rig.h"

/* ---- spawning ---- */

static void guard_says_how_it_protects(void **state)
{
    (void)state;
    const char *forced = getenv("SNAKEPIT_GUARD_FORCE");
    char text[256];
    (void)sp__guard_describe_level(host.guard, text, sizeof text);
    assert_string_equal(text, forced != NULL ? forced : "subreaper");
    assert_true(sp__guard_pid(host.guard) > 1);
    int is_nested = sp__guard_level(host.guard) == GUARD_LEVEL_NAMESPACE;
    assert_true(is_nested == (sp__guard_inner_pid(host.guard) > 1));
}

static void worker_runs_and_its_status_is_told(void **state)
{
    (void)state;
    const char *const yes[] = {"/bin/true", NULL};
    const char *const no[] = {"/bin/false", NULL};
    spawn(1, yes, NULL, 0);
    spawn(2, no, NULL, 0);
    assert_true(pump(&host.exited, 2));
    assert_int_equal(host.records[1].exit.exit_code, 0);
    assert_int_equal(host.records[2].exit.exit_code, 1);
    assert_int_equal(host.records[2].exit.exit_signal, 0);
    assert_int_equal(host.records[2].exit.pid, host.records[2].pid);
    assert_true(host.records[1].exit.rss_max_kib > 0);
    if (host.records[1].pidfd >= 0) { /* the kernel may have none */
        assert_true(is_gone(host.records[1].pidfd, 0));
        host.records[1].pidfd = -1;
    }
}

static void missing_program_is_told_with_its_errno(void **state)
{
    (void)state;
    const char *const argv[] = {"/nowhere/at/all", NULL};
    spawn(1, argv, NULL, 0);
    assert_true(pump(&host.answered, 1));
    assert_int_equal(host.records[1].os_errno, ENOENT);
    assert_int_equal(host.records[1].pid, 0);
    assert_non_null(strstr(host.records[1].failure, "could not be executed"));
    const char *const folder[] = {"/", NULL};
    spawn(2, folder, NULL, 0);
    assert_true(pump(&host.answered, 2));
    assert_int_equal(host.records[2].os_errno, EACCES);
    /* The row of a failed start can be used again, and no exit is told. */
    const char *const yes[] = {"/bin/true", NULL};
    spawn(3, yes, NULL, 0);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[1].exited + host.records[2].exited, 0);
}

static void missing_directory_is_told_with_its_errno(void **state)
{
    (void)state;
    const char *const argv[] = {"/bin/true", NULL};
    struct guard_command command = {.argv = argv, .working_dir = "/nowhere"};
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_OK);
    assert_true(pump(&host.answered, 1));
    assert_int_equal(host.records[1].os_errno, ENOENT);
    assert_non_null(strstr(host.records[1].failure, "working directory"));
}

static void bad_commands_are_refused_at_once(void **state)
{
    (void)state;
    const char *const relative[] = {"true", NULL};
    const char *const none[] = {NULL};
    const char *const fine[] = {"/bin/true", NULL};
    static char large[GUARD_BLOCK_MAX + 2];
    memset(large, 'a', sizeof large - 1);
    const char *const huge[] = {"/bin/true", large, NULL};
    const char *many[GUARD_STRINGS_MAX + 2];
    for (size_t i = 0; i < GUARD_STRINGS_MAX + 1; i++) {
        many[i] = "/bin/true";
    }
    many[GUARD_STRINGS_MAX + 1] = NULL;
    int closed = -1;
    struct guard_command command = {.argv = relative};
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_ERR_INVAL);
    command.argv = none;
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_ERR_INVAL);
    command.argv = fine;
    assert_int_equal(sp__guard_spawn(host.guard, 0, &command, NULL), SP_ERR_INVAL);
    command.fds_count = GUARD_FDS_MAX + 1;
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_ERR_INVAL);
    command.fds = &closed;
    command.fds_count = 1;
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_ERR_SYSTEM);
    command.fds_count = 0;
    command.argv = huge;
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_ERR_TOO_BIG);
    command.argv = many;
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_ERR_TOO_BIG);
}

static void id_in_use_is_refused(void **state)
{
    (void)state;
    int out = misbehaving(1, "stay", NULL);
    int worker = watch_next(out);
    assert_true(pump(&host.answered, 1));
    int pidfd = host.records[1].pidfd;
    const char *const argv[] = {"/bin/true", NULL};
    spawn(1, argv, NULL, 0);
    assert_true(pump(&host.answered, 2));
    assert_int_equal(host.records[1].os_errno, EEXIST);
    assert_false(is_gone(worker, 0));
    host.records[1].pidfd = pidfd;
    (void)close(out);
}

static void arguments_environment_and_directory_arrive(void **state)
{
    (void)state;
    const char *const argv[] = {misbehave, "arguments", "", "a b\nc", NULL};
    const char *const env[] = {"A=1", "EMPTY=", "WORD=\xc3\xa9", NULL};
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    struct guard_command command = {.argv = argv,
                                    .env = env,
                                    .working_dir = "/usr",
                                    .fds = (const int[]){out[1], out[1]},
                                    .fds_count = 2};
    assert_int_equal(sp__guard_spawn(host.guard, 1, &command, NULL), SP_OK);
    (void)close(out[1]);
    char text[8192];
    char wanted[8192];
    read_lines(out[0], text, sizeof text, 1000);
    (void)snprintf(wanted, sizeof wanted,
                   "arg %s\narg arguments\narg \narg a b\nc\nenv A=1\nenv EMPTY=\n"
                   "env WORD=\xc3\xa9\ncwd /usr\n",
                   misbehave);
    assert_string_equal(text, wanted);
    (void)close(out[0]);
    assert_true(pump(&host.exited, 1));
}

static void worker_has_the_given_descriptors_and_no_other(void **state)
{
    (void)state;
    static const char *const wanted[] = {"0 1 \n",
                                         "0 1 2 \n",
                                         "0 1 2 3 \n",
                                         "0 1 2 3 4 \n",
                                         "0 1 2 3 4 5 \n",
                                         "0 1 2 3 4 5 6 \n",
                                         "0 1 2 3 4 5 6 7 \n",
                                         "0 1 2 3 4 5 6 7 8 \n"};
    assert_int_equal(sizeof wanted / sizeof wanted[0], GUARD_FDS_MAX - 1);
    int leaked = dup(2); /* not close-on-exec: an embedding program's habit */
    for (size_t count = 2; count <= GUARD_FDS_MAX; count++) {
        const char *const argv[] = {misbehave, "fds", NULL};
        int out[2];
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        int fds[GUARD_FDS_MAX];
        for (size_t i = 0; i < count; i++) {
            fds[i] = out[1];
        }
        spawn(count, argv, fds, count);
        (void)close(out[1]);
        char text[128];
        read_lines(out[0], text, sizeof text, 1);
        assert_string_equal(text, wanted[count - 2]);
        (void)close(out[0]);
    }
    (void)close(leaked);
    assert_true(pump(&host.exited, GUARD_FDS_MAX - 1));
}

/* The kernel's view of this process: valgrind shows its programs another. */
static unsigned long long read_files_limit(void)
{
    char line[256];
    unsigned long long soft = 0;
    FILE *limits = fopen("/proc/self/limits", "r");
    assert_non_null(limits);
    while (fgets(line, sizeof line, limits) != NULL &&
           sscanf(line, "Max open files %llu", &soft) != 1) {
    }
    (void)fclose(limits);
    return soft;
}

static void worker_starts_with_a_clean_state(void **state)
{
    (void)state;
    int out = misbehaving(1, "state", NULL);
    char text[1024];
    char wanted[256];
    read_lines(out, text, sizeof text, 1000);
    mode_t mask = umask(0);
    (void)umask(mask);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(text, "SigIgn:\t0000000000000000"));
    (void)snprintf(wanted, sizeof wanted, "group 1 session 1 files %llu umask %o oom ",
                   read_files_limit(), mask);
    assert_non_null(strstr(text, wanted));
    assert_non_null(strstr(text, "oom 500\n"));
    (void)close(out);
    assert_true(pump(&host.exited, 1));
}

/* The same from a host that ignores and blocks signals: run before the guard opens. */
static int open_guard_rudely(void **state)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    return open_guard(state);
}

static int close_guard_rudely(void **state)
{
    int rc = close_guard(state);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGCHLD, SIG_DFL);
    return rc;
}

static void two_hundred_workers_come_and_go(void **state)
{
    (void)state;
    const char *const argv[] = {"/bin/true", NULL};
    for (uint64_t id = 1; id <= 200; id++) {
        spawn(id, argv, NULL, 0);
        if (id % 50 == 0) {
            assert_true(pump(&host.answered, (uint32_t)id));
        }
    }
    assert_true(pump(&host.exited, 200));
    for (uint64_t id = 1; id <= 200; id++) {
        assert_int_equal(host.records[id].answered, 1);
        assert_int_equal(host.records[id].exited, 1);
        assert_int_equal(host.records[id].exit.exit_code, 0);
    }
}

static void requests_wait_in_the_client_when_many_are_made_at_once(void **state)
{
    (void)state;
    const char *const argv[] = {misbehave, "stay", NULL};
    for (uint64_t id = 1; id <= 100; id++) {
        spawn(id, argv, NULL, 0);
    }
    /* Kills behind spawns that wait must not overtake them. */
    for (uint64_t id = 1; id <= 100; id++) {
        assert_int_equal(sp__guard_kill(host.guard, id, SIGKILL, 1, NULL), SP_OK);
    }
    assert_true(pump(&host.exited, 100));
    for (uint64_t id = 1; id <= 100; id++) {
        assert_int_equal(host.records[id].exit.exit_signal, SIGKILL);
    }
}

static void full_socket_is_told(void **state)
{
    enum { ENOUGH = 10000, NOBODY = 7 };
    (void)state;
    const char *const argv[] = {"/bin/true", NULL};
    signal_guards(SIGSTOP);
    for (int i = 0; i < ENOUGH && host.blocked == 0; i++) {
        assert_int_equal(sp__guard_kill(host.guard, NOBODY, SIGTERM, 0, NULL), SP_OK);
    }
    assert_int_equal(host.blocked, 1);
    assert_true(sp__guard_wants_write(host.guard));
    signal_guards(SIGCONT);
    spawn(1, argv, NULL, 0);
    assert_true(pump(&host.exited, 1)); /* behind all of them */
    assert_false(sp__guard_wants_write(host.guard));
}

/* ---- opening ---- */

static void missing_guard_is_an_error(void **state)
{
    (void)state;
    sp_error err = {0};
    struct guard *guard = NULL;
    struct guard_options options = {.path = "/nowhere"};
    assert_int_equal(sp__guard_open(&options, &events, &host, &guard, &err),
                     SP_ERR_GUARD);
    /* Valgrind turns the vfork of posix_spawn() into a fork, which cannot tell. */
    assert_true(err.os_errno == ENOENT || strstr(err.message, "status 127") != NULL);
    assert_null(guard);
}

static void program_that_is_no_guard_is_an_error(void **state)
{
    (void)state;
    sp_error err = {0};
    struct guard *guard = NULL;
    struct guard_options options = {.path = "/bin/false"};
    assert_int_equal(sp__guard_open(&options, &events, &host, &guard, &err),
                     SP_ERR_GUARD);
    assert_non_null(strstr(err.message, "exited with status 1"));
}

/* Whether a process has the lock's file open. */
static int has_open(int pid, int lock_fd)
{
    struct stat lock;
    struct stat other;
    char path[300];
    int found = 0;
    assert_int_equal(fstat(lock_fd, &lock), 0);
    (void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        (void)snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, entry->d_name);
        found |= stat(path, &other) == 0 && other.st_ino == lock.st_ino &&
                 other.st_dev == lock.st_dev;
    }
    (void)closedir(dir);
    return found;
}

/* The host's lock stays taken until the guard has ended, and no worker has it. */
static void guard_shares_the_lock_with_nobody(void **state)
{
    (void)state;
    char path[] = "/tmp/test-guard-XXXXXX";
    int lock = mkostemp(path, O_CLOEXEC);
    int other = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(lock >= 0 && other >= 0);
    (void)unlink(path);
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
    struct guard_options options = guard_options;
    options.lock_fd = lock;
    assert_int_equal(
        sp__guard_open(&options, &events, &host, &host.guard, &(sp_error){0}), 0);
    (void)close(lock);
    (void)close(misbehaving(1, "family", NULL));
    assert_true(pump(&host.answered, 1));
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    assert_false(has_open(host.records[1].pid, other));
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    (void)close(other);
}

static void guard_started_by_hand_explains_itself(void **state)
{
    (void)state;
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(out[1], 2);
        (void)execl(guard_path, "snakepit-guard", (char *)NULL);
        _exit(99);
    }
    (void)close(out[1]);
    char text[128] = "";
    assert_true(read(out[0], text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "not by hand"));
    (void)close(out[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 2);
}

/* In a child, because it closes what a test runner needs. */
static void guard_opens_when_low_descriptors_are_free(void **state)
{
    (void)state;
    for (int keep = 0; keep < 6; keep++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (int fd = keep; fd < 16; fd++) {
                (void)close(fd);
            }
            sp_error err = {0};
            if (sp__guard_open(&guard_options, &events, &host, &host.guard, &err) < 0) {
                _exit(1);
            }
            const char *const argv[] = {"/bin/true", NULL};
            struct guard_command command = {.argv = argv};
            if (sp__guard_spawn(host.guard, 1, &command, NULL) < 0 ||
                !pump(&host.exited, 1) || host.records[1].exit.exit_code != 0) {
                _exit(2);
            }
            sp__guard_close(host.guard);
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    const char *const argv[] = {"/bin/true", NULL};
    struct guard_command command = {.argv = argv};
    int rc = SP_ERR_NOMEM;
    for (uint64_t n = 1; rc != SP_OK; n++) {
        assert_true(n < 100);
        struct guard *guard = NULL;
        sp__mem_fail_at(n, 0);
        rc = sp__guard_open(&guard_options, &events, &host, &guard, NULL);
        if (rc == SP_OK) {
            rc = sp__guard_spawn(guard, 1, &command, NULL);
        }
        if (rc == SP_OK) {
            rc = sp__guard_kill(guard, 1, SIGTERM, 1, NULL);
        }
        assert_true(rc == SP_OK || rc == SP_ERR_NOMEM);
        sp__mem_fail_at(0, 0);
        sp__guard_close(guard);
    }
}

static void guard_is_found_by_its_variable_alone(void **state)
{
    (void)state;
    char found[4096];
    sp_error err = {0};
    assert_int_equal(sp__guard_find(found, sizeof found, &err), SP_OK);
    assert_string_equal(found, guard_path);
    (void)setenv("SNAKEPIT_GUARD", "/nowhere", 1);
    assert_int_equal(sp__guard_find(found, sizeof found, &err), SP_ERR_GUARD);
    assert_non_null(strstr(err.message, "/nowhere"));
    (void)setenv("SNAKEPIT_GUARD", guard_path, 1);
    assert_int_equal(sp__guard_find(found, 4, &err), SP_ERR_GUARD);
}

int main(int argc, char **argv)
{
    int unfit = prepare(argc, argv);
    if (unfit != 0) {
        return unfit;
    }
    const struct CMUnitTest tests[] = {
        WITH_GUARD(guard_says_how_it_protects),
        WITH_GUARD(worker_runs_and_its_status_is_told),
        WITH_GUARD(missing_program_is_told_with_its_errno),
        WITH_GUARD(missing_directory_is_told_with_its_errno),
        WITH_GUARD(bad_commands_are_refused_at_once),
        WITH_GUARD(id_in_use_is_refused),
        WITH_GUARD(arguments_environment_and_directory_arrive),
        WITH_GUARD(worker_has_the_given_descriptors_and_no_other),
        WITH_GUARD(worker_starts_with_a_clean_state),
        cmocka_unit_test_setup_teardown(worker_starts_with_a_clean_state,
                                        open_guard_rudely, close_guard_rudely),
        WITH_GUARD(two_hundred_workers_come_and_go),
        WITH_GUARD(requests_wait_in_the_client_when_many_are_made_at_once),
        WITH_GUARD(full_socket_is_told),
        WITHOUT(missing_guard_is_an_error),
        WITHOUT(program_that_is_no_guard_is_an_error),
        WITHOUT(guard_started_by_hand_explains_itself),
        WITHOUT(guard_shares_the_lock_with_nobody),
        WITHOUT(guard_opens_when_low_descriptors_are_free),
        WITHOUT(every_failed_allocation_is_survived),
        WITHOUT(guard_is_found_by_its_variable_alone),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
