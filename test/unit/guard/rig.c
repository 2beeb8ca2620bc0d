/* SPDX-License-Identifier: MIT */
/*
 * The host of the guard's tests: it records what it is told, serves the guard with a
 * deadline, and checks after each test that no child, descriptor or allocation is left.
 *
 * Processes that are none of its children are watched by pidfd, opened while they are
 * certainly alive; under valgrind, which knows no pidfds, by number.
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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rig.h"

enum { DEADLINE_MS = 20000 };

char misbehave[4096];
char guard_path[4096];
const struct guard_options guard_options = {.path = guard_path,
                                            .level = GUARD_LEVEL_SUBREAPER};
struct host host;

static void on_spawned(void *user, uint64_t id, int pid, int pidfd,
                       const sp_error *failure)
{
    struct host *h = user;
    struct record *record = &h->records[id < RECORDS ? id : 0];
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

static void on_blocked(void *user)
{
    struct host *h = user;
    h->blocked++;
}

static void on_lost(void *user, const sp_error *err)
{
    struct host *h = user;
    h->lost++;
    memcpy(h->lost_text, err->message, sizeof h->lost_text);
}

const struct guard_events events = {.on_spawned = on_spawned,
                                    .on_exited = on_exited,
                                    .on_blocked = on_blocked,
                                    .on_lost = on_lost};

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

int open_guard(void **state)
{
    memset(&host, 0, sizeof host);
    for (size_t i = 0; i < RECORDS; i++) {
        host.records[i].pidfd = -1;
    }
    host.fds_before = count_fds();
    host.mem_before = sp__mem_live();
    sp_error err = {0};
    int rc = sp__guard_open(&guard_options, &events, &host, &host.guard, &err);
    if (rc < 0) {
        print_error("%s\n", err.message);
    }
    *state = &host;
    return rc;
}

int close_guard(void **state)
{
    (void)state;
    sp__guard_close(host.guard);
    for (size_t i = 0; i < RECORDS; i++) {
        if (host.records[i].pidfd >= 0) {
            (void)close(host.records[i].pidfd);
        }
    }
    int clean = host.records[0].answered + host.records[0].exited == 0 &&
                waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD &&
                count_fds() == host.fds_before && sp__mem_live() == host.mem_before;
    if (!clean) {
        print_error("left behind: fds %d -> %d, allocations %lld\n", host.fds_before,
                    count_fds(), (long long)(sp__mem_live() - host.mem_before));
    }
    return clean ? 0 : -1;
}

/* Serve the guard's descriptor until *counter reaches `wanted`; 1 when it does. */
int pump(const uint32_t *counter, uint32_t wanted)
{
    uint64_t end_ms = sp__now_ms() + DEADLINE_MS;
    while (*counter < wanted && !host.lost && sp__now_ms() < end_ms) {
        /* What it was not told of is not watched for. */
        int out = host.blocked && sp__guard_wants_write(host.guard) ? POLLOUT : 0;
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

void spawn(uint64_t id, const char *const *argv, const int *fds, size_t count)
{
    struct guard_command command = {.argv = argv, .fds = fds, .fds_count = count};
    sp_error err = {0};
    int rc = sp__guard_spawn(host.guard, id, &command, &err);
    if (rc < 0) {
        print_error("spawn: %s\n", err.message);
    }
    assert_int_equal(rc, SP_OK);
}

void signal_guards(int signal)
{
    (void)kill(sp__guard_pid(host.guard), signal);
    int inner = sp__guard_inner_pid(host.guard);
    if (inner != 0) {
        (void)kill(inner, signal);
    }
}

/* A pipe that tells who wrote: the kernel translates the number of a writer in another
 * PID namespace. */
void make_pipe(int ends[2])
{
    const int on = 1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
}

/* Spawn a misbehaving worker whose output comes from the descriptor returned. */
int misbehaving(uint64_t id, const char *how, const char *more)
{
    const char *const argv[] = {misbehave, how, more, NULL};
    int out[2];
    make_pipe(out);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fds[3] = {null, out[1], null};
    spawn(id, argv, fds, 3);
    (void)close(null);
    (void)close(out[1]);
    return out[0];
}

/* One byte; from a socket also who wrote it. */
static ssize_t read_byte(int fd, char *byte, pid_t *ret_writer)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } space;
    struct iovec part = {.iov_base = byte, .iov_len = 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = space.bytes,
                            .msg_controllen = sizeof space.bytes};
    ssize_t n = recvmsg(fd, &header, 0);
    if (n < 0 && errno == ENOTSOCK) {
        return read(fd, byte, 1);
    }
    const struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;
    if (cmsg != NULL && cmsg->cmsg_type == SCM_CREDENTIALS) {
        struct ucred writer;
        memcpy(&writer, CMSG_DATA(cmsg), sizeof writer);
        *ret_writer = writer.pid;
    }
    return n;
}

static pid_t line_writer; /* who wrote the last byte of the last line */

/* Read lines until `lines` have come or the other end closes. */
void read_lines(int fd, char *text, size_t max, int lines)
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
        ssize_t n = read_byte(fd, text + used, &line_writer);
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

int watch(int pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0 && (errno != ENOSYS || !is_running(pid))) {
        fail_msg("no process %d", pid);
    }
    return pidfd >= 0 ? pidfd : -pid; /* valgrind knows no pidfds: ask by number */
}

/* Read "self" from a process, or a number, and watch that process. */
int watch_next(int fd)
{
    char text[32];
    read_lines(fd, text, sizeof text, 1);
    int is_self = strcmp(text, "self\n") == 0;
    return watch(is_self ? line_writer : (pid_t)strtol(text, NULL, 10));
}

/* Whether a watched process ends in time; closes the descriptor. */
int is_gone(int pidfd, int limit_ms)
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

int is_alive(int pidfd)
{
    struct pollfd process = {.fd = pidfd, .events = POLLIN};
    return pidfd < 0 ? is_running(-pidfd) : poll(&process, 1, 0) == 0;
}

void end_watched(int pidfd)
{
    if (pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    } else {
        (void)kill(-pidfd, SIGKILL); /* a child of this subreaper: not yet reaped */
    }
    assert_true(is_gone(pidfd, GONE_MS));
}

/* What was orphaned came to this process, a subreaper, and is dead: wait for it. */
void reap_orphans(void)
{
    while (waitpid(-1, NULL, 0) > 0) {
    }
}
int remember(void **state)
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

int check_left(void **state)
{
    host.guard = NULL;
    return close_guard(state);
}

int prepare(int argc, char **argv)
{
    const char *guard = getenv("SNAKEPIT_GUARD");
    if (argc < 2 || realpath(argv[1], misbehave) == NULL || guard == NULL) {
        print_error("usage: SNAKEPIT_GUARD=GUARD %s MISBEHAVE\n", argv[0]);
        return 2;
    }
    (void)snprintf(guard_path, sizeof guard_path, "%s", guard);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)alarm(240); /* a hang is a failure */
    sp_error err = {0};
    if (sp__guard_open(&guard_options, &events, &host, &host.guard, &err) < 0) {
        print_message("skipped: %s\n", err.message);
        return 77; /* Meson: this machine does not allow the level that is forced */
    }
    sp__guard_close(host.guard);
    return 0;
}
