/* SPDX-License-Identifier: MIT */
/*
 * The guard and its client together: real processes, real deaths.
 *
 * Every test has a host (this process, or a child of it where the host must die), waits
 * for events with a deadline, and leaves no process, descriptor or allocation.
 * $SNAKEPIT_GUARD is the guard, the first argument the misbehaving worker.
 */
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
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "guard/guard.h"
#include "guard/protocol.h"

enum { DEADLINE_MS = 20000, GONE_MS = 1000, RECORDS = 1024 };

static char misbehave[4096];
static char guard_path[4096];

/* What the guard told about worker `id`, at index `id`. */
struct record {
    int answered;
    int pid;
    int pidfd;
    int os_errno; /* of a failure */
    char failure[SP_ERROR_MESSAGE_MAX];
    int exited;
    struct guard_exit exit;
};

struct host {
    struct guard *guard;
    struct record records[RECORDS];
    uint32_t answered;
    uint32_t exited;
    int lost;
    char lost_text[SP_ERROR_MESSAGE_MAX];
    int fds_before;
    int64_t mem_before;
};

static struct host host;

static void on_spawned(void *user, uint64_t id, int pid, int pidfd,
                       const sp_error *failure)
{
    struct host *h = user;
    struct record *record = &h->records[id];
    record->answered++;
    record->pid = pid;
    record->pidfd = pidfd;
    if (failure != NULL) {
        record->os_errno = failure->os_errno;
        memcpy(record->failure, failure->message, sizeof record->failure);
    }
    h->answered++;
}

static void on_exited(void *user, uint64_t id, const struct guard_exit *exit)
{
    struct host *h = user;
    h->records[id].exited++;
    h->records[id].exit = *exit;
    h->exited++;
}

static void on_lost(void *user, const sp_error *err)
{
    struct host *h = user;
    h->lost++;
    memcpy(h->lost_text, err->message, sizeof h->lost_text);
}

static const struct guard_events events = {
    .on_spawned = on_spawned, .on_exited = on_exited, .on_lost = on_lost};

static int count_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count;
}

static int open_guard(void **state)
{
    memset(&host, 0, sizeof host);
    for (size_t i = 0; i < RECORDS; i++) {
        host.records[i].pidfd = -1;
    }
    host.fds_before = count_fds();
    host.mem_before = sp__mem_live();
    sp_error err = {0};
    int rc = sp__guard_open(guard_path, &events, &host, &host.guard, &err);
    if (rc < 0) {
        print_error("%s\n", err.message);
    }
    *state = &host;
    return rc;
}

static int close_guard(void **state)
{
    (void)state;
    sp__guard_close(host.guard);
    for (size_t i = 0; i < RECORDS; i++) {
        if (host.records[i].pidfd >= 0) {
            (void)close(host.records[i].pidfd);
        }
    }
    int clean = waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD &&
                count_fds() == host.fds_before && sp__mem_live() == host.mem_before;
    if (!clean) {
        print_error("left behind: fds %d -> %d, allocations %lld\n", host.fds_before,
                    count_fds(), (long long)(sp__mem_live() - host.mem_before));
    }
    return clean ? 0 : -1;
}

/* Serve the guard's descriptor until *counter reaches `wanted`; 1 when it does. */
static int pump(const uint32_t *counter, uint32_t wanted)
{
    uint64_t end_ms = sp__now_ms() + DEADLINE_MS;
    while (*counter < wanted && !host.lost && sp__now_ms() < end_ms) {
        int out = sp__guard_wants_write(host.guard) ? POLLOUT : 0;
        struct pollfd fd = {.fd = sp__guard_fd(host.guard),
                            .events = (short)(POLLIN | out)};
        (void)poll(&fd, 1, 100);
        if ((fd.revents & POLLOUT) != 0) {
            sp__guard_on_writable(host.guard);
        }
        sp__guard_on_readable(host.guard);
    }
    return *counter >= wanted;
}

static void spawn(uint64_t id, const char *const *argv, const int *fds, size_t count)
{
    struct guard_command command = {.argv = argv, .fds = fds, .fds_count = count};
    sp_error err = {0};
    int rc = sp__guard_spawn(host.guard, id, &command, &err);
    if (rc < 0) {
        print_error("spawn: %s\n", err.message);
    }
    assert_int_equal(rc, SP_OK);
}

/* Spawn a misbehaving worker whose output comes from the descriptor returned. */
static int misbehaving(uint64_t id, const char *how, const char *more)
{
    const char *const argv[] = {misbehave, how, more, NULL};
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fds[3] = {null, out[1], null};
    spawn(id, argv, fds, 3);
    (void)close(null);
    (void)close(out[1]);
    return out[0];
}

/* Read lines until `lines` have come or the other end closes. */
static void read_lines(int fd, char *text, size_t max, int lines)
{
    size_t used = 0;
    uint64_t end_ms = sp__now_ms() + DEADLINE_MS;
    while (lines > 0 && used < max - 1 && sp__now_ms() < end_ms) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, 100) <= 0) {
            if (host.guard != NULL) {
                sp__guard_on_readable(host.guard);
            }
            continue;
        }
        ssize_t n = read(fd, text + used, 1);
        if (n <= 0) {
            break;
        }
        lines -= text[used] == '\n';
        used++;
    }
    text[used] = '\0';
}

/* By number: whether a process runs, be it not yet waited for or not. */
static int is_running(int pid)
{
    char path[32];
    char state = 'Z';
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *stat = fopen(path, "r");
    if (stat != NULL) {
        (void)fscanf(stat, "%*d (%*[^)]) %c", &state);
        (void)fclose(stat);
    }
    return state != 'Z' && state != 'X';
}

static int watch(int pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 && (errno != ENOSYS || !is_running(pid))) {
        fail_msg("no process %d", pid);
    }
    return pidfd >= 0 ? pidfd : -pid; /* valgrind knows no pidfds: ask by number */
}

/* Read a process id from a worker and watch that process. */
static int watch_next(int fd)
{
    char text[32];
    read_lines(fd, text, sizeof text, 1);
    return watch(atoi(text));
}

/* Whether a watched process ends in time; closes the descriptor. */
static int is_gone(int pidfd, int limit_ms)
{
    uint64_t end_ms = sp__now_ms() + (uint64_t)limit_ms;
    while (pidfd < 0 && is_running(-pidfd)) {
        if (sp__now_ms() >= end_ms) {
            return 0;
        }
        (void)poll(NULL, 0, 1);
    }
    if (pidfd < 0) {
        return 1;
    }
    struct pollfd process = {.fd = pidfd, .events = POLLIN};
    int gone = poll(&process, 1, limit_ms) == 1;
    (void)close(pidfd);
    return gone;
}

static int is_alive(int pidfd)
{
    struct pollfd process = {.fd = pidfd, .events = POLLIN};
    return pidfd < 0 ? is_running(-pidfd) : poll(&process, 1, 0) == 0;
}

/* What was orphaned came to this process, a subreaper, and is dead: wait for it. */
static void reap_orphans(void)
{
    while (waitpid(-1, NULL, 0) > 0) {
    }
}

/* ---- spawning ---- */

static void guard_says_how_it_protects(void **state)
{
    (void)state;
    assert_int_equal(sp__guard_level(host.guard), GUARD_LEVEL_SUBREAPER);
    assert_true(sp__guard_pid(host.guard) > 1);
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
    static const char *const wanted[] = {"0 1 \n", "0 1 2 \n", "0 1 2 3 \n",
                                         "0 1 2 3 4 \n", "0 1 2 3 4 5 \n"};
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

/* ---- dying ---- */

static void cause_of_death_is_told(void **state)
{
    (void)state;
    int outs[] = {misbehaving(1, "exit", "3"), misbehaving(2, "crash", NULL),
                  misbehaving(3, "exit", "0")};
    assert_true(pump(&host.exited, 3));
    char text[64];
    (void)sp__guard_describe_exit(&host.records[1].exit, text, sizeof text);
    assert_string_equal(text, "exited with status 3");
    (void)sp__guard_describe_exit(&host.records[2].exit, text, sizeof text);
    assert_string_equal(text, "killed by SIGSEGV");
    assert_int_equal(host.records[2].exit.exit_code, -1);
    (void)sp__guard_describe_exit(&host.records[3].exit, text, sizeof text);
    assert_string_equal(text, "exited with status 0");
    for (size_t i = 0; i < 3; i++) {
        (void)close(outs[i]);
    }
}

static void exits_are_described_in_words(void **state)
{
    (void)state;
    char text[64];
    struct guard_exit exit = {.exit_code = -1, .exit_signal = 11, .core_dumped = 1};
    (void)sp__guard_describe_exit(&exit, text, sizeof text);
    assert_string_equal(text, "killed by SIGSEGV (core dumped)");
    exit = (struct guard_exit){.exit_code = -1, .exit_signal = SIGRTMIN + 6};
    (void)sp__guard_describe_exit(&exit, text, sizeof text);
    assert_string_equal(text, "killed by signal 40");
    assert_int_equal(sp__guard_describe_exit(&exit, text, 4), 19);
    assert_string_equal(text, "kil");
}

static void kill_reaches_one_worker_only(void **state)
{
    (void)state;
    int outs[] = {misbehaving(1, "stay", NULL), misbehaving(2, "stay", NULL)};
    int other = watch_next(outs[1]);
    assert_true(pump(&host.answered, 2));
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[1].exit.exit_signal, SIGKILL);
    assert_true(is_alive(other));
    /* A kill of what has ended finds nothing, and is no error. */
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_int_equal(sp__guard_kill(host.guard, 99, SIGKILL, 1, NULL), SP_OK);
    assert_int_equal(sp__guard_kill(host.guard, 2, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 2));
    assert_true(is_gone(other, GONE_MS));
    (void)close(outs[0]);
    (void)close(outs[1]);
}

static void group_dies_with_its_worker(void **state)
{
    (void)state;
    int out = misbehaving(1, "family", NULL);
    int grandchild = watch_next(out);
    assert_true(pump(&host.answered, 1));
    assert_true(is_alive(grandchild));
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(grandchild, GONE_MS));
    (void)close(out);
}

static void group_is_killed_by_one_request(void **state)
{
    (void)state;
    int out = misbehaving(1, "family", NULL);
    int grandchild = watch_next(out);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(grandchild, GONE_MS));
    (void)close(out);
}

static void escaped_grandchild_dies_with_its_worker(void **state)
{
    (void)state;
    int out = misbehaving(1, "escape", NULL);
    int grandchild = watch_next(out);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(grandchild, GONE_MS));
    (void)close(out);
}

static void daemonised_process_of_a_live_worker_is_spared(void **state)
{
    (void)state;
    int outs[] = {misbehaving(1, "escape", NULL), misbehaving(2, "escape", NULL)};
    int first = watch_next(outs[0]);
    int second = watch_next(outs[1]);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 1, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_true(is_gone(first, GONE_MS));
    /* The sweep that ended the first is over when its leftovers have been reaped: one
     * more spawn and exit makes sure that a whole turn has passed. */
    const char *const argv[] = {"/bin/true", NULL};
    spawn(3, argv, NULL, 0);
    assert_true(pump(&host.exited, 2));
    assert_true(is_alive(second));
    assert_false(is_gone(second, 0));
    (void)close(outs[0]);
    (void)close(outs[1]);
}

static void worker_that_exits_leaves_no_daemon(void **state)
{
    (void)state;
    const char *const argv[] = {misbehave, "leave", NULL};
    int in[2];
    int out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    spawn(1, argv, (const int[]){in[0], out[1]}, 2);
    (void)close(in[0]);
    (void)close(out[1]);
    int daemon = watch_next(out[0]);
    (void)close(in[1]); /* the worker reads end of file and exits */
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[1].exit.exit_code, 0);
    assert_true(is_gone(daemon, GONE_MS));
    (void)close(out[0]);
}

static void close_ends_everything(void **state)
{
    (void)state;
    int outs[8];
    int watched[16];
    for (uint64_t id = 1; id <= 8; id++) {
        outs[id - 1] = misbehaving(id, "hostile", NULL);
        watched[2 * id - 2] = watch_next(outs[id - 1]);
        watched[2 * id - 1] = watch_next(outs[id - 1]);
    }
    int guard = watch(sp__guard_pid(host.guard));
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(guard, 0));
    for (size_t i = 0; i < 16; i++) {
        assert_true(is_gone(watched[i], 0)); /* when close returns, not later */
    }
    for (size_t i = 0; i < 8; i++) {
        (void)close(outs[i]);
    }
}

static void close_ends_a_stopped_guard(void **state)
{
    (void)state;
    int out = misbehaving(1, "hostile", NULL);
    int watched[2] = {watch_next(out), watch_next(out)};
    (void)kill(sp__guard_pid(host.guard), SIGSTOP);
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(watched[0], 0));
    assert_true(is_gone(watched[1], 0));
    (void)close(out);
}

static void workers_die_with_the_guard_and_its_loss_is_told(void **state)
{
    (void)state;
    int outs[8];
    int workers[8];
    for (uint64_t id = 1; id <= 8; id++) {
        outs[id - 1] = misbehaving(id, "stay", NULL);
        workers[id - 1] = watch_next(outs[id - 1]);
    }
    assert_true(pump(&host.answered, 8));
    (void)kill(sp__guard_pid(host.guard), SIGKILL);
    assert_false(pump(&host.exited, 1)); /* ends because the guard is lost */
    assert_int_equal(host.lost, 1);
    assert_non_null(strstr(host.lost_text, "killed by SIGKILL"));
    for (size_t i = 0; i < 8; i++) {
        assert_true(is_gone(workers[i], GONE_MS));
        (void)close(outs[i]);
    }
    const char *const argv[] = {"/bin/true", NULL};
    struct guard_command command = {.argv = argv};
    assert_int_equal(sp__guard_spawn(host.guard, 9, &command, NULL), SP_ERR_GUARD);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_ERR_GUARD);
    sp__guard_on_readable(host.guard);
    assert_int_equal(host.lost, 1);
    reap_orphans();
}

static void guard_survives_every_signal_but_kill(void **state)
{
    (void)state;
    for (int signal = 1; signal < NSIG; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP) {
            (void)kill(sp__guard_pid(host.guard), signal);
        }
    }
    const char *const argv[] = {"/bin/true", NULL};
    spawn(1, argv, NULL, 0);
    assert_true(pump(&host.exited, 1));
}

/* ---- the host dies ---- */

enum { VICTIM_WORKERS = 8, VICTIM_PROCESSES = 3 * VICTIM_WORKERS + 1 };

struct victim {
    pid_t pid;
    pid_t guard_pid;
    int watched[VICTIM_PROCESSES];
    int leak; /* write end that ends a leaking sibling; or -1 */
};

/* In a child: be a host with hostile workers, tell their numbers, wait to be killed. */
static _Noreturn void be_victim(int tell, int hold)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test fail */
    memset(&host, 0, sizeof host);
    if (sp__guard_open(guard_path, &events, &host, &host.guard, NULL) < 0) {
        _exit(1);
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fds[] = {null, tell, null};
    const char *const argv[] = {misbehave, "hostile", NULL};
    struct guard_command command = {.argv = argv, .fds = fds, .fds_count = 3};
    for (uint64_t id = 1; id <= VICTIM_WORKERS; id++) {
        if (sp__guard_spawn(host.guard, id, &command, NULL) < 0) {
            _exit(1);
        }
    }
    while (host.answered < VICTIM_WORKERS) {
        struct pollfd fd = {.fd = sp__guard_fd(host.guard), .events = POLLIN};
        (void)poll(&fd, 1, -1);
        sp__guard_on_readable(host.guard);
    }
    for (uint64_t id = 1; id <= VICTIM_WORKERS; id++) {
        dprintf(tell, "%d\n", host.records[id].pid);
    }
    if (hold >= 0 && fork() == 0) {
        /* An embedding program's own child, which never executes anything and so keeps
         * the socket and the lifeline open. */
        char byte;
        _exit(read(hold, &byte, 1) == 1);
    }
    dprintf(tell, "%d\n", sp__guard_pid(host.guard)); /* last: all is set up */
    for (;;) {
        (void)pause();
    }
}

static void start_victim(struct victim *victim, int leaks)
{
    int tell[2];
    int hold[2] = {-1, -1};
    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    if (leaks) {
        assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    }
    victim->leak = hold[1];
    victim->pid = fork();
    if (victim->pid == 0) {
        if (leaks) {
            (void)close(hold[1]);
        }
        be_victim(tell[1], hold[0]);
    }
    (void)close(tell[1]);
    if (leaks) {
        (void)close(hold[0]);
    }
    /* Workers, grandchildren and the guard, in any order. */
    for (size_t i = 0; i < VICTIM_PROCESSES; i++) {
        victim->watched[i] = watch_next(tell[0]);
    }
    (void)close(tell[0]);
    /* The guard is the victim's only child that is called so. */
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", victim->pid,
                   victim->pid);
    FILE *children = fopen(path, "r");
    assert_non_null(children);
    assert_int_equal(fscanf(children, "%d", &victim->guard_pid), 1);
    (void)fclose(children);
}

/* All of them, together, within the second that is promised. */
static void assert_all_gone(struct victim *victim)
{
    uint64_t end_ms = sp__now_ms() + GONE_MS;
    for (size_t i = 0; i < VICTIM_PROCESSES; i++) {
        uint64_t now_ms = sp__now_ms();
        assert_true(
            is_gone(victim->watched[i], now_ms < end_ms ? (int)(end_ms - now_ms) : 0));
    }
}

static void nothing_outlives_a_killed_host(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct victim victim;
        start_victim(&victim, 0);
        (void)kill(victim.pid, SIGKILL);
        assert_all_gone(&victim);
        reap_orphans();
    }
}

static void nothing_outlives_a_killed_host_with_a_stopped_guard(void **state)
{
    (void)state;
    struct victim victim;
    start_victim(&victim, 0);
    (void)kill(victim.guard_pid, SIGSTOP);
    (void)kill(victim.pid, SIGKILL);
    assert_all_gone(&victim);
    reap_orphans();
}

static void nothing_outlives_a_host_whose_child_keeps_its_descriptors(void **state)
{
    (void)state;
    struct victim victim;
    start_victim(&victim, 1);
    (void)kill(victim.pid, SIGKILL);
    assert_all_gone(&victim);
    (void)close(victim.leak); /* lets the sibling end */
    reap_orphans();
}

/* ---- opening ---- */

static int remember(void **state)
{
    (void)state;
    memset(&host, 0, sizeof host);
    for (size_t i = 0; i < RECORDS; i++) {
        host.records[i].pidfd = -1;
    }
    host.fds_before = count_fds();
    host.mem_before = sp__mem_live();
    return 0;
}

static void missing_guard_is_an_error(void **state)
{
    (void)state;
    sp_error err = {0};
    struct guard *guard = NULL;
    assert_int_equal(sp__guard_open("/nowhere", &events, &host, &guard, &err),
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
    assert_int_equal(sp__guard_open("/bin/false", &events, &host, &guard, &err),
                     SP_ERR_GUARD);
    assert_non_null(strstr(err.message, "exited with status 1"));
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
            if (sp__guard_open(guard_path, &events, &host, &host.guard, &err) < 0) {
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
        rc = sp__guard_open(guard_path, &events, &host, &guard, NULL);
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

static int check_left(void **state)
{
    host.guard = NULL;
    return close_guard(state);
}

#define WITH_GUARD(test) cmocka_unit_test_setup_teardown(test, open_guard, close_guard)
#define WITHOUT(test) cmocka_unit_test_setup_teardown(test, remember, check_left)

int main(int argc, char **argv)
{
    if (argc < 2 || realpath(argv[1], misbehave) == NULL ||
        getenv("SNAKEPIT_GUARD") == NULL) {
        print_error("usage: SNAKEPIT_GUARD=GUARD test_guard MISBEHAVE\n");
        return 2;
    }
    (void)snprintf(guard_path, sizeof guard_path, "%s", getenv("SNAKEPIT_GUARD"));
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)alarm(240); /* a hang is a failure */
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
        WITH_GUARD(cause_of_death_is_told),
        WITHOUT(exits_are_described_in_words),
        WITH_GUARD(kill_reaches_one_worker_only),
        WITH_GUARD(group_dies_with_its_worker),
        WITH_GUARD(group_is_killed_by_one_request),
        WITH_GUARD(escaped_grandchild_dies_with_its_worker),
        WITH_GUARD(daemonised_process_of_a_live_worker_is_spared),
        WITH_GUARD(worker_that_exits_leaves_no_daemon),
        WITH_GUARD(close_ends_everything),
        WITH_GUARD(close_ends_a_stopped_guard),
        WITH_GUARD(workers_die_with_the_guard_and_its_loss_is_told),
        WITH_GUARD(guard_survives_every_signal_but_kill),
        WITHOUT(nothing_outlives_a_killed_host),
        WITHOUT(nothing_outlives_a_killed_host_with_a_stopped_guard),
        WITHOUT(nothing_outlives_a_host_whose_child_keeps_its_descriptors),
        WITHOUT(missing_guard_is_an_error),
        WITHOUT(program_that_is_no_guard_is_an_error),
        WITHOUT(guard_started_by_hand_explains_itself),
        WITHOUT(guard_opens_when_low_descriptors_are_free),
        WITHOUT(every_failed_allocation_is_survived),
        WITHOUT(guard_is_found_by_its_variable_alone),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
