/* SPDX-License-Identifier: MIT */
/*
 * Rounds of killing: a host with hostile workers is started, something is killed with
 * SIGKILL, and a second later nobody may be left.
 *
 *     orphans HOST LEVEL KILL ROUNDS WORKERS [zygote] COMMAND...
 *
 *   LEVEL  namespace, cgroup, subreaper, lifeline
 *   KILL   host       the host
 *          guard      the guard, the outer one of two
 *          inner      the inner one
 *          both       host and guards at once
 *          stopped    the host, with the guards stopped before
 *          leak       the host, whose child keeps its descriptors open
 *          birth      the host, at any moment while a zygote forks its first workers
 *
 * Survivors are found in two ways: by pidfds of all processes, opened while they lived,
 * and by the mark in their environment, once host and guards are gone. Which roles may
 * survive depends on level and kill alone; the table `allowed` is the promise. Whatever
 * survives is counted, told and killed.
 *
 * $ORPHANS_PROMISE_MS is for machines that are busy with other things.
 *
 * The last line is one of figures; the exit status is 0 when the promise was kept.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "processes.h"

enum { WATCHED_MAX = 512, READY_MS = 60000, ROUNDS_MAX = 100000 };

enum role { ROLE_GUARD, ROLE_WORKER, ROLE_GROUP, ROLE_ESCAPED, ROLES };
static const char *const role_names[ROLES] = {"guard", "worker", "group", "escaped"};

enum kill {
    KILL_HOST,
    KILL_GUARD,
    KILL_INNER,
    KILL_BOTH,
    KILL_STOPPED,
    KILL_LEAK,
    KILL_BIRTH,
    KILLS
};
static const char *const kill_names[KILLS] = {"host",    "guard", "inner", "both",
                                              "stopped", "leak",  "birth"};
enum { BIRTH_MS = 30 }; /* at most, from the zygote's word to the kill */

static struct {
    const char *host;
    const char *level;
    enum kill kill;
    unsigned workers;
    char **command;
    int is_python;
    int is_forked;
    char mark[64];
    char path[108];
    int socket;
} run;

static struct {
    pid_t host;
    pid_t guard;
    pid_t inner;
    pid_t sibling;
    int pidfds[WATCHED_MAX];
    enum role roles[WATCHED_MAX];
    size_t count;
} now_round;

static double zero_ms[ROUNDS_MAX]; /* per round: from the kill to nobody */
static int promise_ms = 1000;
static unsigned survivors[ROLES];
static unsigned broken; /* rounds in which somebody survived who may not */
static unsigned long processes_total;

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static _Noreturn void give_up(const char *why)
{
    (void)printf("orphans: %s\n", why);
    (void)kill(now_round.host, SIGKILL);
    exit(1);
}

/* The promise. Without a namespace a killed guard leaves to the next start's sweep what
 * its workers had started, unless the host ends the control group that this is in; at the level of the lifeline nobody looks for what left its
 * group. */
static int is_allowed(enum role role)
{
    int is_guard_killed = run.kill == KILL_GUARD || run.kill == KILL_BOTH;
    if (strcmp(run.level, "namespace") == 0) {
        return 0;
    }
    if (strcmp(run.level, "cgroup") == 0) {
        is_guard_killed = run.kill == KILL_BOTH;
    }
    if (is_guard_killed) {
        return role == ROLE_GROUP || role == ROLE_ESCAPED;
    }
    return strcmp(run.level, "lifeline") == 0 && role == ROLE_ESCAPED;
}

/* ---- a round begins ---- */

static void watch(pid_t pid, enum role role)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || now_round.count == WATCHED_MAX) {
        give_up("a process was gone before anything was killed");
    }
    now_round.pidfds[now_round.count] = fd;
    now_round.roles[now_round.count] = role;
    now_round.count++;
}

/* One message, with the number of who sent it as the kernel translates it. */
static pid_t hear(char *text, size_t max)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } space;
    struct iovec part = {.iov_base = text, .iov_len = max - 1};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = space.bytes,
                            .msg_controllen = sizeof space.bytes};
    struct pollfd readable = {.fd = run.socket, .events = POLLIN};
    if (poll(&readable, 1, READY_MS) != 1) {
        give_up("a host was not ready in time");
    }
    ssize_t n = recvmsg(run.socket, &header, 0);
    struct ucred sender = {0};
    const struct cmsghdr *cmsg = n > 0 ? CMSG_FIRSTHDR(&header) : NULL;
    if (cmsg == NULL || cmsg->cmsg_type != SCM_CREDENTIALS) {
        give_up("a message without credentials");
    }
    memcpy(&sender, CMSG_DATA(cmsg), sizeof sender);
    text[n] = '\0';
    return sender.pid;
}

static void start_host(void)
{
    char workers[16];
    char *argv[32] = {(char *)run.host, (char *)run.level, workers};
    size_t count = 3;
    (void)snprintf(workers, sizeof workers, "%u", run.workers);
    if (run.kill == KILL_LEAK) {
        argv[count++] = "leak";
    }
    for (char **word = run.command; *word != NULL && count < 31; word++) {
        argv[count++] = *word;
    }
    now_round.host = fork();
    if (now_round.host == 0) {
        (void)execv(run.host, argv);
        _exit(127);
    }
}

/* Until host and all hostile processes have said who they are. */
static void await_all(void)
{
    size_t wanted =
        run.is_python ? 0 : (size_t)3 * run.workers + (run.is_forked ? 1 : 0);
    int is_host_ready = 0;
    while (!is_host_ready || now_round.count < wanted ||
           (run.kill == KILL_LEAK && now_round.sibling == 0)) {
        char text[700];
        pid_t sender = hear(text, sizeof text);
        if (strncmp(text, "failed", 6) == 0) {
            give_up(text);
        } else if (strncmp(text, "host ", 5) == 0) {
            char *end;
            now_round.guard = (pid_t)strtol(text + 5, &end, 10);
            now_round.inner = (pid_t)strtol(end, NULL, 10);
            is_host_ready = 1;
        } else if (strcmp(text, "sibling") == 0) {
            now_round.sibling = sender;
        } else {
            watch(sender, strcmp(text, "worker") == 0  ? ROLE_WORKER
                          : strcmp(text, "group") == 0 ? ROLE_GROUP
                                                       : ROLE_ESCAPED);
        }
    }
}

/* Their children are called sleep. */
static enum role role_of(pid_t pid)
{
    char name[64];
    if (strncmp(processes_name(pid, name, sizeof name), "sleep", 5) != 0) {
        return ROLE_WORKER;
    }
    return getsid(pid) == pid ? ROLE_ESCAPED : ROLE_GROUP;
}

/* Interpreters do not say who they are: all that has the mark but host and sibling. */
static void watch_marked(void)
{
    pid_t found[WATCHED_MAX];
    /* One that executes at this moment shows no environment: look again. */
    size_t wanted = run.workers + 3 + (now_round.sibling != 0) + (run.is_forked != 0);
    double limit = now() + READY_MS;
    size_t count;
    do {
        count = processes_with("SNAKEPIT_TEST_MARK", run.mark, found, WATCHED_MAX);
    } while (count < wanted && now() < limit);
    for (size_t i = 0; i < count; i++) {
        if (found[i] != now_round.host && found[i] != now_round.sibling &&
            found[i] != now_round.guard && found[i] != now_round.inner) {
            watch(found[i], role_of(found[i]));
        }
    }
    if (now_round.count < run.workers + 2) {
        give_up("fewer interpreters and children than were started");
    }
}

/* ---- killing ---- */

/* Children of the guard are no children of ours; pidfds opened a moment ago or, here,
 * numbers that the host has just told: the host waits for nobody. */
static void do_kill(void)
{
    switch (run.kill) {
    case KILL_HOST:
    case KILL_LEAK:
    case KILL_BIRTH:
        (void)kill(now_round.host, SIGKILL);
        break;
    case KILL_GUARD:
        (void)kill(now_round.guard, SIGKILL);
        break;
    case KILL_INNER:
        (void)kill(now_round.inner, SIGKILL);
        break;
    case KILL_BOTH:
        (void)kill(now_round.host, SIGKILL);
        (void)kill(now_round.guard, SIGKILL);
        if (now_round.inner != 0) {
            (void)kill(now_round.inner, SIGKILL);
        }
        break;
    case KILL_STOPPED:
        (void)kill(now_round.guard, SIGSTOP);
        if (now_round.inner != 0) {
            (void)kill(now_round.inner, SIGSTOP);
        }
        (void)kill(now_round.host, SIGKILL);
        break;
    case KILLS:
        break;
    }
}

/* Wait for all who must go, the promised time at most. When the last of them went. */
static double await_nobody(double begun)
{
    double last = begun;
    for (size_t i = 0; i < now_round.count; i++) {
        struct pollfd process = {.fd = now_round.pidfds[i], .events = POLLIN};
        double left = begun + promise_ms - now();
        if (!is_allowed(now_round.roles[i]) &&
            poll(&process, 1, left > 0 ? (int)left + 1 : 0) == 1) {
            last = now();
        }
    }
    return last - begun;
}

/* Count who is alive and end it. */
static void count_survivors(void)
{
    int is_broken = 0;
    for (size_t i = 0; i < now_round.count; i++) {
        struct pollfd process = {.fd = now_round.pidfds[i], .events = POLLIN};
        if (poll(&process, 1, 0) == 0) {
            survivors[now_round.roles[i]]++;
            is_broken |= !is_allowed(now_round.roles[i]);
            (void)syscall(SYS_pidfd_send_signal, now_round.pidfds[i], SIGKILL, NULL, 0);
        }
        (void)close(now_round.pidfds[i]);
    }
    broken += is_broken;
}

/* The host and all it has started meanwhile; then the mark must be nobody's. */
static void end_round(void)
{
    (void)kill(now_round.host, SIGKILL);
    if (now_round.sibling != 0) {
        (void)kill(now_round.sibling, SIGKILL);
    }
    double limit = now() + 10000;
    size_t left;
    pid_t found[WATCHED_MAX];
    do {
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        left = processes_with("SNAKEPIT_TEST_MARK", run.mark, found, WATCHED_MAX);
        /* At lower levels: what a replacement left, which is nobody we watched. */
        for (size_t i = 0; i < left && is_allowed(ROLE_ESCAPED); i++) {
            (void)kill(found[i], SIGKILL);
        }
    } while (left > 0 && now() < limit);
    if (left > 0) {
        (void)printf("orphans: %zu processes with the mark are left\n", left);
        broken++;
    }
}

/* Nobody is known by then but the zygote: the mark tells who is left. */
static void await_birth(void)
{
    char text[700];
    watch(hear(text, sizeof text), ROLE_WORKER);
    (void)poll(NULL, 0, rand() % BIRTH_MS); /* any moment will do */
}

static void await_ready(void)
{
    await_all();
    if (run.is_python) {
        watch_marked();
    }
    watch(now_round.guard, ROLE_GUARD);
    if (now_round.inner != 0) {
        watch(now_round.inner, ROLE_GUARD);
    }
}

static void play_round(unsigned round)
{
    memset(&now_round, 0, sizeof now_round);
    (void)snprintf(run.mark, sizeof run.mark, "orphans-%d-%u", (int)getpid(), round);
    (void)setenv("SNAKEPIT_TEST_MARK", run.mark, 1);
    start_host();
    if (run.kill == KILL_BIRTH) {
        await_birth();
    } else {
        await_ready();
    }
    processes_total += now_round.count;
    double begun = now();
    do_kill();
    zero_ms[round] = await_nobody(begun);
    count_survivors();
    end_round();
    /* What was still on its way is of no interest to the next round. */
    char late[64];
    while (recv(run.socket, late, sizeof late, MSG_DONTWAIT) > 0) {
    }
}

/* ---- the whole ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int report(unsigned rounds)
{
    qsort(zero_ms, rounds, sizeof zero_ms[0], compare);
    (void)printf("orphans: level=%s kill=%s of=%s rounds=%u processes=%lu broken=%u "
                 "survivors=",
                 run.level, kill_names[run.kill],
                 run.is_python && run.is_forked ? "forked python"
                 : run.is_python                ? "python"
                 : run.is_forked                ? "forked c"
                                                : "c",
                 rounds, processes_total, broken);
    for (int role = 0; role < ROLES; role++) {
        (void)printf("%s%s:%u%s", role == 0 ? "" : ",", role_names[role],
                     survivors[role], is_allowed((enum role)role) ? "(allowed)" : "");
    }
    (void)printf(" zero_ms p50=%.1f p99=%.1f max=%.1f\n", zero_ms[rounds / 2],
                 zero_ms[rounds * 99 / 100], zero_ms[rounds - 1]);
    return broken == 0 ? 0 : 1;
}

static void open_socket(const char *folder)
{
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    const int on = 1;
    const int much = 1 << 20;
    (void)snprintf(run.path, sizeof run.path, "%s/s", folder);
    (void)snprintf(own.sun_path, sizeof own.sun_path, "%s", run.path);
    run.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (run.socket < 0 || bind(run.socket, (struct sockaddr *)&own, sizeof own) != 0 ||
        setsockopt(run.socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
        give_up("no socket to hear from the processes");
    }
    (void)setsockopt(run.socket, SOL_SOCKET, SO_RCVBUF, &much, sizeof much);
    (void)setenv("ORPHANS_SOCKET", run.path, 1);
}

static int read_kill(const char *word)
{
    for (int i = 0; i < KILLS; i++) {
        if (strcmp(word, kill_names[i]) == 0) {
            run.kill = (enum kill)i;
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 6 ? strtoul(argv[4], NULL, 10) : 0;
    char folder[] = "/tmp/orphans-XXXXXX";
    if (rounds == 0 || rounds > ROUNDS_MAX || !read_kill(argv[3]) ||
        mkdtemp(folder) == NULL) {
        (void)fputs(
            "usage: orphans HOST LEVEL KILL ROUNDS WORKERS [zygote] COMMAND...\n",
            stderr);
        return 2;
    }
    const char *promise = getenv("ORPHANS_PROMISE_MS");
    if (promise != NULL) {
        promise_ms = (int)strtol(promise, NULL, 10);
    }
    run.host = argv[1];
    run.level = argv[2];
    run.workers = (unsigned)strtoul(argv[5], NULL, 10);
    run.command = argv + 6;
    run.is_forked = strcmp(argv[6], "zygote") == 0;
    run.is_python = strcmp(argv[6 + run.is_forked], "python") == 0;
    srand((unsigned)getpid());
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    open_socket(folder);
    for (unsigned round = 0; round < rounds; round++) {
        play_round(round);
    }
    (void)close(run.socket);
    (void)unlink(run.path);
    (void)rmdir(folder);
    return report((unsigned)rounds);
}
