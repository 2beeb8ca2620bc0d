/* SPDX-License-Identifier: MIT */
/*
 * The limits of the machine as the kernel has them, and how many workers fit in what is
 * left of each. Of a control group the least along the way up counts.
 */
#include "scaling.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 1200 };

/* The number a file begins with; UINT64_MAX for "max" and for no file. */
static uint64_t number_in(const char *path)
{
    unsigned long long number;
    FILE *file = fopen(path, "re");
    int found = file != NULL && fscanf(file, "%llu", &number) == 1;
    if (file != NULL) {
        (void)fclose(file);
    }
    return found ? number : UINT64_MAX;
}

/* The number behind a word at the beginning of a line; 0 when there is none. */
static uint64_t number_behind(const char *path, const char *word)
{
    char line[300];
    uint64_t number = 0;
    size_t length = strlen(word);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, word, length) == 0) {
            number = strtoull(line + length, NULL, 10);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return number;
}

/* ---- control groups ---- */

struct group_limit {
    uint64_t max, used;
};

/* Of a controller: in version 2 and 1 the files have names of their own. */
static void look_up(const char *root, char *group, const char *max, const char *used,
                    struct group_limit *ret)
{
    char path[PATH_BYTES];
    for (;;) {
        (void)snprintf(path, sizeof path, "%s%s/%s", root, group, max);
        uint64_t here = number_in(path);
        if (here < ret->max) {
            ret->max = here;
            (void)snprintf(path, sizeof path, "%s%s/%s", root, group, used);
            here = number_in(path);
            ret->used = here == UINT64_MAX ? 0 : here;
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

static struct group_limit group_limit(const char *controller, const char *max2,
                                      const char *used2, const char *max1,
                                      const char *used1)
{
    struct group_limit limit = {.max = UINT64_MAX};
    char line[1000];
    char root[100];
    char mark[40];
    (void)snprintf(root, sizeof root, "/sys/fs/cgroup/%s", controller);
    (void)snprintf(mark, sizeof mark, ":%s:", controller);
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *group = strrchr(line, ':');
        if (group != NULL && strncmp(line, "0::", 3) == 0) {
            look_up("/sys/fs/cgroup", group + 1, max2, used2, &limit);
        } else if (group != NULL && strstr(line, mark) != NULL) {
            look_up(root, group + 1, max1, used1, &limit);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return limit;
}

/* ---- processes ---- */

uint64_t kernel_pss_bytes(int pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    uint64_t pss = number_behind(path, "Pss:");
    if (pss == 0) {
        (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
        pss = number_behind(path, "VmRSS:");
    }
    return pss * 1024;
}

unsigned kernel_tasks_of(int pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    return (unsigned)number_behind(path, "Threads:");
}

unsigned kernel_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count > 0 ? count - 1 : 0; /* the folder itself was one */
}

uint64_t kernel_memory_left(void)
{
    uint64_t left = number_behind("/proc/meminfo", "MemAvailable:") * 1024;
    struct group_limit group =
        group_limit("memory", "memory.max", "memory.current", "memory.limit_in_bytes",
                    "memory.usage_in_bytes");
    if (group.max != UINT64_MAX && group.max > group.used &&
        group.max - group.used < left) {
        left = group.max - group.used;
    }
    return left;
}

/* Processes and threads of this user, and of all. */
static void count_tasks(uint64_t *ret_mine, uint64_t *ret_all)
{
    DIR *folder = opendir("/proc");
    const struct dirent *entry;
    *ret_mine = *ret_all = 0;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[300];
        int pid = (int)strtol(entry->d_name, NULL, 10);
        if (pid > 0) {
            unsigned tasks = kernel_tasks_of(pid);
            (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
            *ret_all += tasks;
            *ret_mine += number_behind(path, "Uid:") == getuid() ? tasks : 0;
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

/* ---- the list ---- */

struct limits {
    struct scaling_limit *list;
    size_t count;
};

static void add(struct limits *limits, struct scaling_limit limit)
{
    uint64_t left = limit.value > limit.used ? limit.value - limit.used : 0;
    limit.workers = limit.value == UINT64_MAX || limit.each <= 0
                        ? UINT64_MAX
                        : (uint64_t)((double)left / limit.each);
    if (limits->count < LIMITS_MAX) {
        limits->list[limits->count++] = limit;
    }
}

static uint64_t of_rlimit(int resource)
{
    struct rlimit limit;
    return getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY
               ? UINT64_MAX
               : limit.rlim_cur;
}

static void add_processes(struct limits *limits, double each)
{
    uint64_t mine;
    uint64_t all;
    count_tasks(&mine, &all);
    struct group_limit group =
        group_limit("pids", "pids.max", "pids.current", "pids.max", "pids.current");
    if (getuid() != 0) { /* root is not bound by it */
        add(limits,
            (struct scaling_limit){.name = "processes of this user",
                                   .value = of_rlimit(RLIMIT_NPROC),
                                   .used = mine,
                                   .each = each,
                                   .raise = "ulimit -u, or TasksMax= of its unit"});
    }
    add(limits, (struct scaling_limit){.name = "processes of the control group",
                                       .value = group.max,
                                       .used = group.used,
                                       .each = each,
                                       .raise = "TasksMax= of its unit, or pids.max"});
    add(limits,
        (struct scaling_limit){.name = "threads of the machine",
                               .value = number_in("/proc/sys/kernel/threads-max"),
                               .used = all,
                               .each = each,
                               .raise = "sysctl kernel.threads-max"});
    add(limits, (struct scaling_limit){.name = "process numbers",
                                       .value = number_in("/proc/sys/kernel/pid_max"),
                                       .used = all,
                                       .each = each,
                                       .raise = "sysctl kernel.pid_max"});
}

static void add_descriptors(struct limits *limits, double each)
{
    add(limits,
        (struct scaling_limit){.name = "descriptors of the host",
                               .value = of_rlimit(RLIMIT_NOFILE),
                               .used = kernel_descriptors(),
                               .each = each,
                               .raise = "ulimit -n, or LimitNOFILE= of its unit"});
    add(limits, (struct scaling_limit){.name = "open files of the machine",
                                       .value = number_in("/proc/sys/fs/file-max"),
                                       .used = number_in("/proc/sys/fs/file-nr"),
                                       .each = 2 * each, /* the worker's ends too */
                                       .raise = "sysctl fs.file-max"});
}

size_t scaling_limits(const struct worker_cost *cost, struct scaling_limit *ret)
{
    struct limits limits = {.list = ret};
    add_processes(&limits, cost->tasks);
    add_descriptors(&limits, cost->descriptors);
    add(&limits,
        (struct scaling_limit){.name = "memory",
                               .value = kernel_memory_left(),
                               .each = cost->memory_bytes,
                               .raise = "zygote: auto shares what is loaded; "
                                        "MemoryMax= of its unit, or more of it"});
    add(&limits, (struct scaling_limit){.name = "workers of a pool",
                                        .value = 1000,
                                        .each = 1,
                                        .raise = "another pool"});
    return limits.count;
}

const struct scaling_limit *scaling_first(const struct scaling_limit *limits,
                                          size_t count)
{
    const struct scaling_limit *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (limits[i].workers != UINT64_MAX &&
            (first == NULL || limits[i].workers < first->workers)) {
            first = &limits[i];
        }
    }
    return first;
}
