/* SPDX-License-Identifier: MIT */
/*
 * Instances in large numbers: starters that race, numbers that are used again, neighbours
 * of one that keeps dying, and what dead hosts and guards leave.
 *
 *     instances starters ROUNDS            twenty at once, one winner each
 *     instances reuse ROUNDS               in a PID namespace: 0 strangers harmed
 *     instances neighbours ROUNDS PLAIN    five pits, one killed and started again
 *     instances left ROUNDS HOSTILE        host and guard killed at once, then a start
 *     instances host FOLDER NAME PROGRAM   a pit that says "ready", until its input ends
 *
 * One line of figures for each; the exit status is 0 when they are what they must be, 77
 * when the machine does not let it be tried. Every host is a child, killed by SIGKILL.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/instance.h"
#include "processes.h"
#include "snakepit/snakepit.h"

enum { STARTERS = 20, NEIGHBOURS = 5, WORKERS = 2, SKIPPED = 77 };

static char made[] = "/tmp/instances-XXXXXX";
static const char *folder = made;
static unsigned ended;

static _Noreturn void stop(const char *what)
{
    (void)fprintf(stderr, "instances: %s: %s\n", what, strerror(errno));
    exit(2);
}

static void on_left(const struct left *left, void *user)
{
    ended += left->verdict == LEFT_OURS;
}

static int take(const char *name, struct instance **ret)
{
    struct instance_options options = {
        .name = name, .runtime_dir = folder, .on_left = on_left};
    sp_error err = {0};
    int rc = sp__instance_open(&options, ret, &err);
    if (rc < 0 && rc != SP_ERR_IN_USE) {
        (void)fprintf(stderr, "instances: %s\n", err.message);
    }
    sp_error_clear(&err);
    return rc;
}

static void kill_child(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void await_end_of(int fd)
{
    char byte;
    while (read(fd, &byte, 1) < 0 && errno == EINTR) {
    }
}

/* ---- starters ---- */

struct outcome {
    pid_t pid;
    int rc;
};

/* Wait for the start, take the instance, say how that went, hold it until told. */
static _Noreturn void be_starter(int start, int say, int hold)
{
    struct instance *instance = NULL;
    await_end_of(start);
    struct outcome outcome = {getpid(), take("race", &instance)};
    (void)!write(say, &outcome, sizeof outcome);
    if (outcome.rc == 0) {
        await_end_of(hold);
        sp__instance_close(instance);
    }
    _exit(0);
}

/* One round; the number of winners, and of those refused. */
static unsigned race(unsigned round, unsigned *refused)
{
    int start[2];
    int say[2];
    int hold[2];
    pid_t winner = 0;
    unsigned winners = 0;
    if (pipe(start) != 0 || pipe(say) != 0 || pipe(hold) != 0) {
        stop("pipe");
    }
    for (int i = 0; i < STARTERS; i++) {
        if (fork() == 0) {
            (void)close(start[1]);
            (void)close(hold[1]);
            be_starter(start[0], say[1], hold[0]);
        }
    }
    (void)close(start[1]);
    for (int i = 0; i < STARTERS; i++) {
        struct outcome outcome = {0};
        if (read(say[0], &outcome, sizeof outcome) != sizeof outcome) {
            stop("a starter's word");
        }
        winners += outcome.rc == 0;
        *refused += outcome.rc == SP_ERR_IN_USE;
        winner = outcome.rc == 0 ? outcome.pid : winner;
    }
    if (round % 2 == 1 && winner != 0) {
        (void)kill(winner, SIGKILL); /* every second one dies with it in its hands */
    }
    (void)close(hold[1]);
    while (wait(NULL) > 0) {
    }
    (void)close(start[0]);
    (void)close(say[0]);
    (void)close(say[1]);
    (void)close(hold[0]);
    return winners;
}

static int run_starters(unsigned rounds)
{
    unsigned exactly_one = 0;
    unsigned refused = 0;
    for (unsigned round = 0; round < rounds; round++) {
        exactly_one += race(round, &refused) == 1;
    }
    struct instance *instance = NULL;
    int rc = take("race", &instance); /* removes what the last one may have left */
    sp__instance_close(instance);
    (void)printf("starters: %u rounds of %d at once: %u with exactly one winner, %u "
                 "refused\n",
                 rounds, STARTERS, exactly_one, refused);
    return rc == 0 && exactly_one == rounds && refused == rounds * (STARTERS - 1) ? 0
                                                                                  : 1;
}

/* ---- numbers used again ---- */

static pid_t start_sleep(const char *mark)
{
    int ready[2];
    char *const env[] = {(char *)mark, NULL};
    char *const argv[] = {"sleep", "1000", NULL};
    if (pipe2(ready, O_CLOEXEC) != 0) {
        stop("pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)execve("/bin/sleep", argv, env);
        _exit(99);
    }
    (void)close(ready[1]);
    await_end_of(ready[0]);
    (void)close(ready[0]);
    return pid;
}

/* The next process gets this number. */
static int ask_for_pid(pid_t pid)
{
    char text[16];
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    int n = snprintf(text, sizeof text, "%d", (int)pid - 1);
    int done = fd >= 0 && write(fd, text, (size_t)n) == n;
    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}

struct dead_run {
    pid_t host;
    pid_t recorded;
};

/* A host that has a recorded process, both dead and their numbers free. */
static struct dead_run leave_rows(enum row_kind kind)
{
    struct dead_run run = {0};
    int say[2];
    if (pipe(say) != 0) {
        stop("pipe");
    }
    run.host = fork();
    if (run.host == 0) {
        struct instance *instance = NULL;
        if (take("reuse", &instance) < 0 ||
            sp__instance_reserve(instance, kind, 1, "row", NULL) < 0) {
            _exit(1);
        }
        pid_t pid = start_sleep(sp__instance_mark(instance));
        int pidfd = sp__process_open(pid);
        if (sp__instance_activate(instance, kind, 1, pid, pidfd, NULL) < 0) {
            _exit(1);
        }
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        (void)!write(say[1], &pid, sizeof pid);
        for (;;) {
            (void)pause();
        }
    }
    if (read(say[0], &run.recorded, sizeof run.recorded) != sizeof run.recorded) {
        stop("a host's word");
    }
    kill_child(run.host);
    (void)close(say[0]);
    (void)close(say[1]);
    return run;
}

/* One round: a stranger gets the number of a dead host, guard or worker, and lives. */
static int spare_stranger(unsigned round)
{
    struct dead_run run = leave_rows(round % 3 == 0 ? ROW_GUARD : ROW_WORKER);
    pid_t wanted = round % 3 == 1 ? run.host : run.recorded;
    struct instance *instance = NULL;
    if (!ask_for_pid(wanted)) {
        stop("ns_last_pid");
    }
    pid_t stranger = start_sleep(round % 2 == 0 ? "STRANGER=1"
                                                : "SNAKEPIT_RUN=other:"
                                                  "00000000000000000000000000000000:"
                                                  "00000000000000000000000000000000");
    if (stranger != wanted) {
        (void)fprintf(stderr, "instances: got number %d, not %d\n", (int)stranger,
                      (int)wanted);
        exit(2);
    }
    ended = 0;
    int rc = take("reuse", &instance);
    int spared = rc == 0 && ended == 0 && waitpid(stranger, NULL, WNOHANG) == 0;
    sp__instance_close(instance);
    kill_child(stranger);
    return spared;
}

static int run_reuse_inside(unsigned rounds)
{
    unsigned spared = 0;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) {
        return SKIPPED;
    }
    for (unsigned round = 0; round < rounds; round++) {
        spared += (unsigned)spare_stranger(round);
    }
    (void)printf("reuse: %u numbers given again: %u strangers harmed\n", rounds,
                 rounds - spared);
    (void)fflush(stdout);
    return spared == rounds ? 0 : 1;
}

static int run_reuse(unsigned rounds)
{
    int status = 0;
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) {
        (void)printf("reuse: left out: no PID namespace: %s\n", strerror(errno));
        return SKIPPED;
    }
    pid_t inside = fork();
    if (inside == 0) {
        _exit(run_reuse_inside(rounds));
    }
    (void)waitpid(inside, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* ---- neighbours ---- */

struct report {
    int rc;
    int pids[WORKERS];
};

struct host {
    pid_t pid;
    int ask;
    int hear;
};

static int open_pit(const char *name, const char *const *command, sp_pit **ret)
{
    sp_pool_options pool = {.size = sizeof pool,
                            .runtime = "exec",
                            .command = command,
                            .workers = WORKERS,
                            .call_timeout_ms = 60000};
    sp_pit_options options = {.size = sizeof options,
                              .instance = name,
                              .runtime_dir = folder,
                              .pools = &pool,
                              .pools_count = 1};
    sp_error err = {0};
    int rc = sp_pit_open(&options, ret, &err);
    rc = rc < 0 ? rc : sp_pit_await_ready(*ret, 60000, &err);
    if (rc < 0) {
        (void)fprintf(stderr, "instances: %s: %s\n", name, err.message);
    }
    sp_error_clear(&err);
    return rc;
}

static struct report look_at(sp_pit *pit)
{
    struct report report = {0};
    sp_worker_info workers[WORKERS];
    sp_result result = {0};
    sp_error err = {0};
    report.rc = sp_execute(pit, "echo", sp_text("[1]"), NULL, &result, &err);
    if (sp_pool_workers_get(pit, NULL, workers, WORKERS, NULL) != WORKERS) {
        report.rc = SP_ERR_NO_WORKER;
    }
    for (int i = 0; report.rc == 0 && i < WORKERS; i++) {
        report.pids[i] = workers[i].pid;
    }
    sp_result_clear(&result);
    sp_error_clear(&err);
    return report;
}

static _Noreturn void be_host(const char *name, const char *const *command, int ask,
                              int say)
{
    sp_pit *pit = NULL;
    char byte;
    int rc = open_pit(name, command, &pit);
    struct report report = {.rc = rc};
    (void)!write(say, &report, sizeof report);
    while (rc == 0 && read(ask, &byte, 1) == 1) {
        report = look_at(pit);
        (void)!write(say, &report, sizeof report);
    }
    sp_pit_close(pit);
    _exit(0);
}

static struct report hear(const struct host *host)
{
    struct report report = {.rc = -1};
    if (read(host->hear, &report, sizeof report) != sizeof report) {
        report.rc = SP_ERR_SYSTEM;
    }
    return report;
}

static struct report ask(const struct host *host)
{
    return write(host->ask, "?", 1) == 1 ? hear(host) : (struct report){.rc = -1};
}

/* A host with a pit that is ready; its answer says whether that came about. */
static struct host start_host(const char *name, const char *const *command, int *rc)
{
    int down[2];
    int up[2];
    if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0) {
        stop("pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        /* The ends of other hosts, too: they wait for them to close. */
        for (int fd = 3; fd < 256; fd++) {
            if (fd != down[0] && fd != up[1]) {
                (void)close(fd);
            }
        }
        be_host(name, command, down[0], up[1]);
    }
    (void)close(down[0]);
    (void)close(up[1]);
    struct host host = {pid, down[1], up[0]};
    *rc = hear(&host).rc;
    return host;
}

static void end_host(struct host *host, int kindly)
{
    (void)close(host->ask);
    if (!kindly) {
        (void)kill(host->pid, SIGKILL);
    }
    (void)waitpid(host->pid, NULL, 0);
    (void)close(host->hear);
}

static int run_neighbours(unsigned rounds, const char *program)
{
    const char *const command[] = {program, NULL};
    struct host hosts[NEIGHBOURS];
    struct report first[NEIGHBOURS];
    unsigned touched = 0;
    unsigned failed = 0;
    int rc = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < NEIGHBOURS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%d", i);
        hosts[i] = start_host(name, command, &rc);
        first[i] = ask(&hosts[i]);
        failed += rc != 0 || first[i].rc != 0;
    }
    for (unsigned round = 0; round < rounds; round++) {
        end_host(&hosts[0], 0);
        hosts[0] = start_host("n0", command, &rc);
        failed += rc != 0 || ask(&hosts[0]).rc != 0;
        for (int i = 1; i < NEIGHBOURS; i++) {
            struct report now = ask(&hosts[i]);
            failed += now.rc != 0;
            touched += memcmp(now.pids, first[i].pids, sizeof now.pids) != 0;
        }
    }
    for (int i = 0; i < NEIGHBOURS; i++) {
        end_host(&hosts[i], 1);
    }
    (void)printf(
        "neighbours: one of %d instances killed and started %u times: %u starts "
        "or calls failed, %u times a neighbour's workers were others\n",
        NEIGHBOURS, rounds, failed, touched);
    return failed == 0 && touched == 0 ? 0 : 1;
}

/* ---- what is left ---- */

static size_t count_of_run(pid_t *found, size_t max)
{
    return processes_with("ORPHANS_SOCKET", getenv("ORPHANS_SOCKET"), found, max);
}

/* Until every worker and its two children have said that they are there. */
static void await_family(int socket, unsigned members)
{
    char who[64];
    for (unsigned i = 0; i < members; i++) {
        struct pollfd readable = {.fd = socket, .events = POLLIN};
        if (poll(&readable, 1, 60000) != 1 || recv(socket, who, sizeof who, 0) < 0) {
            stop("a worker's word");
        }
    }
}

/* One round: how many outlived host and guard, and how many the next start. */
static void leave_and_sweep(const char *const *command, int socket, unsigned *left,
                            unsigned *survived)
{
    pid_t found[256];
    pid_t guards[8];
    struct instance *instance = NULL;
    int rc = 0;
    struct host host = start_host("left", command, &rc);
    if (rc != 0 || processes_children_of(host.pid, guards, 8) != 1) {
        stop("a host with a guard");
    }
    await_family(socket, WORKERS * 3);
    (void)kill(guards[0], SIGSTOP);
    (void)kill(host.pid, SIGSTOP);
    (void)kill(guards[0], SIGKILL);
    end_host(&host, 0);
    if (take("left", &instance) < 0) {
        stop("the next start");
    }
    *left += ended;
    *survived += (unsigned)count_of_run(found, 256);
    ended = 0;
    sp__instance_close(instance);
}

static int run_left(unsigned rounds, const char *program)
{
    const char *const command[] = {program, NULL};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    unsigned left = 0;
    unsigned survived = 0;
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        stop("socket");
    }
    (void)setenv("ORPHANS_SOCKET", at.sun_path, 1);
    for (unsigned round = 0; round < rounds; round++) {
        leave_and_sweep(command, fd, &left, &survived);
    }
    (void)close(fd);
    (void)unlink(at.sun_path);
    (void)printf("left: host and guard killed at once %u times with %d hostile workers "
                 "and two children each: %u processes were ended by the next start, %u "
                 "outlived it\n",
                 rounds, WORKERS, left, survived);
    return survived == 0 && left >= rounds * WORKERS ? 0 : 1;
}

/* For tests of programs that look at instances. */
static int run_host(const char *name, const char *program)
{
    const char *const command[] = {program, NULL};
    sp_pit *pit = NULL;
    int rc = open_pit(name, command, &pit);
    if (rc == 0) {
        (void)puts("ready");
        (void)fflush(stdout);
        await_end_of(STDIN_FILENO);
    }
    sp_pit_close(pit);
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "host") == 0) {
        folder = argv[2];
        return run_host(argv[3], argv[4]);
    }
    unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    const char *program = argc > 3 ? argv[3] : NULL;
    int status = 2;
    if (rounds == 0 || mkdtemp(made) == NULL) {
        (void)fprintf(stderr, "usage: instances starters|reuse|neighbours|left ROUNDS "
                              "[PROGRAM]\n");
        return 2;
    }
    if (strcmp(argv[1], "starters") == 0) {
        status = run_starters(rounds);
    } else if (strcmp(argv[1], "reuse") == 0) {
        status = run_reuse(rounds);
    } else if (strcmp(argv[1], "neighbours") == 0 && program != NULL) {
        status = run_neighbours(rounds, program);
    } else if (strcmp(argv[1], "left") == 0 && program != NULL) {
        status = run_left(rounds, program);
    }
    /* Every instance was given back at last, and has taken its folder along. */
    if (rmdir(folder) != 0) {
        (void)fprintf(stderr, "instances: %s: %s\n", folder, strerror(errno));
        status = status == 0 ? 1 : status;
    }
    return status;
}
