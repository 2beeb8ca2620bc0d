/* SPDX-License-Identifier: MIT */
/*
 * Control groups: the limits of memory and processes that hold for root too, and the only
 * honest answer to whether memory was what killed a worker.
 *
 * A worker with such a limit gets a group below the one the guard is in, so that what
 * bounds the host bounds it as well: in the version 1 hierarchy of the controller where
 * there is one, else in version 2. It moves there itself, before it executes. The groups
 * are named after guard and worker, and removed when the worker has been reaped; those of
 * a guard that was killed are removed by the next one that makes any.
 *
 * Where no group can be made (no controller, not delegated, version 2 and processes in
 * the group above) the caller is told and falls back to what setrlimit() can do. Nothing
 * else here fails a worker.
 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hierarchy.h"
#include "nest.h"
#include "table.h"

enum { FILE_MAX_BYTES = 128 };

#define PREFIX "snakepit-" /* as GUARD_GROUP_PREFIX begins */

static const char *const controllers[CGROUP_KINDS] = {"memory", "pids"};

static struct {
    pid_t number;
    uint64_t begun_us; /* since the machine started */
    int is_open;
    struct hierarchy in[CGROUP_KINDS]; /* where groups are made */
    int left;                          /* groups that could not be removed yet */
} all;

void sp__cgroup_init(pid_t number)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    all.number = number;
    all.begun_us = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

uint64_t sp__cgroup_begun(void)
{
    return all.begun_us;
}

void sp__cgroup_name(uint64_t id, char name[CGROUP_NAME_MAX])
{
    (void)snprintf(name, CGROUP_NAME_MAX, GUARD_GROUP_PREFIX "%llu", (int)all.number,
                   (unsigned long long)all.begun_us, (unsigned long long)id);
}

/* ---- files of a group ---- */

static int open_file(enum cgroup_kind kind, uint64_t id, const char *file, int flags)
{
    char name[CGROUP_NAME_MAX];
    char path[FILE_MAX_BYTES];
    sp__cgroup_name(id, name);
    (void)snprintf(path, sizeof path, "%s/%s", name, file);
    return openat(all.in[kind].dir, path, flags | O_CLOEXEC);
}

static int write_file(enum cgroup_kind kind, uint64_t id, const char *file,
                      const char *text)
{
    int fd = open_file(kind, id, file, O_WRONLY);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = write(fd, text, strlen(text));
    (void)close(fd);
    return n > 0 ? 0 : -1;
}

/* The number behind a word at the beginning of a line; 0 when there is none. */
static uint64_t find_number(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, length) == 0 && line[length] == ' ') {
            return strtoull(line + length, NULL, 10);
        }
    }
    return 0;
}

/* ---- the first group that is made ---- */

/* The guard's number in the name of a group, or 0. */
static pid_t maker_of(const char *name)
{
    size_t length = strlen(PREFIX);
    return strncmp(name, PREFIX, length) == 0 ? (pid_t)strtol(name + length, NULL, 10)
                                              : 0;
}

/* Whether a group of this guard is of no worker that still runs. */
static int is_forgotten(const char *name)
{
    uint64_t id = strtoull(strrchr(name, '-') + 1, NULL, 10);
    const struct worker *worker = sp__table_by_id(id);
    return id != 0 && (worker == NULL || worker->state == WORKER_ENDED);
}

/* Those of dead guards, and of this one's workers that are forgotten. The kernel removes
 * no group that somebody is in. */
static void remove_stale(void *user, const char *name)
{
    int dir = *(const int *)user;
    pid_t maker = maker_of(name);
    if (maker == 0) {
        return;
    }
    int is_stale = maker == all.number ? is_forgotten(name) : !sp__nest_exists(maker);
    if (is_stale && unlinkat(dir, name, AT_REMOVEDIR) != 0) {
        all.left += maker == all.number;
    }
}

void sp__cgroup_remove_stale(int dir)
{
    sp__hierarchy_list(dir, remove_stale, &dir);
}

static void open_all(void)
{
    all.is_open = 1;
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        all.in[kind] = sp__hierarchy_find(controllers[kind]);
        if (all.in[kind].dir >= 0) {
            sp__cgroup_remove_stale(all.in[kind].dir);
        }
    }
}

/* ---- making ---- */

static int set_limit(enum cgroup_kind kind, uint64_t id,
                     const struct guard_limits *limits)
{
    char number[24];
    if (kind == CGROUP_PIDS) {
        (void)snprintf(number, sizeof number, "%u", limits->processes);
        return write_file(kind, id, "pids.max", number);
    }
    (void)snprintf(number, sizeof number, "%llu",
                   (unsigned long long)limits->memory_bytes);
    if (all.in[kind].is_v2) {
        (void)write_file(kind, id, "memory.swap.max", "0");
        (void)write_file(kind, id, "memory.oom.group", "1");
        return write_file(kind, id, "memory.max", number);
    }
    int rc = write_file(kind, id, "memory.limit_in_bytes", number);
    (void)write_file(kind, id, "memory.memsw.limit_in_bytes", number); /* with swap */
    return rc;
}

/* The descriptor of its cgroup.procs, or -1 with nothing left. */
static int make(enum cgroup_kind kind, uint64_t id, const struct guard_limits *limits)
{
    char name[CGROUP_NAME_MAX];
    sp__cgroup_name(id, name);
    if (all.in[kind].dir < 0) {
        return -1;
    }
    /* One of that name is of a guard long dead; its counters are of no use. */
    if (mkdirat(all.in[kind].dir, name, 0755) != 0 &&
        (errno != EEXIST || unlinkat(all.in[kind].dir, name, AT_REMOVEDIR) != 0 ||
         mkdirat(all.in[kind].dir, name, 0755) != 0)) {
        return -1;
    }
    int procs = -1;
    if (set_limit(kind, id, limits) == 0) {
        procs = open_file(kind, id, "cgroup.procs", O_WRONLY);
    }
    if (procs < 0) {
        (void)unlinkat(all.in[kind].dir, name, AT_REMOVEDIR);
    }
    return procs;
}

uint32_t sp__cgroup_make(struct cgroup *cgroup, uint64_t id,
                         const struct guard_limits *limits, int procs[CGROUP_KINDS])
{
    uint32_t weak = 0;
    *cgroup = (struct cgroup){.id = id};
    procs[CGROUP_MEMORY] = -1;
    procs[CGROUP_PIDS] = -1;
    if (limits->memory_bytes == 0 && limits->processes == 0) {
        return 0;
    }
    if (!all.is_open) {
        open_all();
    }
    if (limits->memory_bytes != 0) {
        procs[CGROUP_MEMORY] = make(CGROUP_MEMORY, id, limits);
        weak |= procs[CGROUP_MEMORY] < 0 ? GUARD_WEAK_MEMORY : 0;
    }
    if (limits->processes != 0) {
        procs[CGROUP_PIDS] = make(CGROUP_PIDS, id, limits);
        weak |= procs[CGROUP_PIDS] < 0 ? GUARD_WEAK_PROCESSES : 0;
    }
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        cgroup->has[kind] = procs[kind] >= 0;
    }
    return weak;
}

/* ---- the end ---- */

/* By number, an instant after it was read of a group that is the workers' alone. */
static void kill_listed(int fd)
{
    char text[4096];
    pid_t pid = 0;
    ssize_t n;
    while (fd >= 0 && (n = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0'); /* may go on in the next read */
            } else {
                if (pid > 1) {
                    (void)kill(pid, SIGKILL);
                }
                pid = 0;
            }
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

void sp__cgroup_kill(const struct cgroup *cgroup)
{
    if (!cgroup->has[CGROUP_PIDS]) {
        return;
    }
    /* Nobody forks from here on, so that one look finds all. */
    (void)write_file(CGROUP_PIDS, cgroup->id, "pids.max", "0");
    if (!all.in[CGROUP_PIDS].is_v2 ||
        write_file(CGROUP_PIDS, cgroup->id, "cgroup.kill", "1") != 0) {
        kill_listed(open_file(CGROUP_PIDS, cgroup->id, "cgroup.procs", O_RDONLY));
    }
}

void sp__cgroup_kill_all(int group)
{
    int fd = openat(group, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, "1", 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n != 1) {
        kill_listed(openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC));
    }
}

uint64_t sp__cgroup_oom_total(void)
{
    static char text[16384]; /* today's kernels write a third of it */
    int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t n = 0;
    while (fd >= 0 && used < sizeof text - 1 &&
           (n = read(fd, text + used, sizeof text - 1 - used)) > 0) {
        used += (size_t)n;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    text[used] = '\0';
    return find_number(text, "oom_kill");
}

int sp__cgroup_was_oom(const struct cgroup *cgroup, uint64_t before)
{
    if (!cgroup->has[CGROUP_MEMORY]) {
        /* Nobody at all since it was born, or somebody, perhaps it. */
        return sp__cgroup_oom_total() == before ? GUARD_OOM_NO : GUARD_OOM_UNKNOWN;
    }
    char text[1024];
    int fd = open_file(
        CGROUP_MEMORY, cgroup->id,
        all.in[CGROUP_MEMORY].is_v2 ? "memory.events" : "memory.oom_control", O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        return GUARD_OOM_UNKNOWN;
    }
    text[n] = '\0';
    return find_number(text, "oom_kill") > 0 ? GUARD_OOM_YES : GUARD_OOM_NO;
}

void sp__cgroup_remove(struct cgroup *cgroup)
{
    char name[CGROUP_NAME_MAX];
    sp__cgroup_name(cgroup->id, name);
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        if (cgroup->has[kind] && unlinkat(all.in[kind].dir, name, AT_REMOVEDIR) != 0) {
            all.left++;
        }
        cgroup->has[kind] = 0;
    }
}

void sp__cgroup_tidy(void)
{
    if (all.left == 0) {
        return;
    }
    all.left = 0;
    for (int kind = 0; kind < CGROUP_KINDS; kind++) {
        if (all.in[kind].dir >= 0) {
            sp__cgroup_remove_stale(all.in[kind].dir);
        }
    }
}
