/* SPDX-License-Identifier: MIT */
/*
 * Processors by the affinity of this process; memory as the kernel has it, or as the
 * least of the control groups that the process is in allows, by version 2 or 1.
 */
#include "telemetry/machine.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* The number a file begins with; `otherwise` for "max" and for no file. */
static uint64_t number_in(const char *path, uint64_t otherwise)
{
    unsigned long long number;
    FILE *file = fopen(path, "re");
    int found = file != NULL && fscanf(file, "%llu", &number) == 1;
    if (file != NULL) {
        (void)fclose(file);
    }
    return found ? number : otherwise;
}

/* The least along the way up from the group of a line of /proc/self/cgroup. */
static uint64_t least_of(const char *root, const char *group, const char *name)
{
    char path[1200];
    char rest[1000];
    uint64_t least = UINT64_MAX;
    (void)snprintf(rest, sizeof rest, "%s", group);
    rest[strcspn(rest, "\n")] = '\0';
    for (;;) {
        (void)snprintf(path, sizeof path, "%s%s/%s", root, rest, name);
        uint64_t here = number_in(path, UINT64_MAX);
        least = here < least ? here : least;
        char *slash = strrchr(rest, '/');
        if (slash == NULL) {
            return least;
        }
        *slash = '\0';
    }
}

static uint64_t group_bytes(void)
{
    char line[1000];
    uint64_t least = UINT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *group = strrchr(line, ':');
        uint64_t here = UINT64_MAX;
        if (group != NULL && strncmp(line, "0::", 3) == 0) {
            here = least_of("/sys/fs/cgroup", group + 1, "memory.max");
        } else if (group != NULL && strstr(line, ":memory:") != NULL) {
            here =
                least_of("/sys/fs/cgroup/memory", group + 1, "memory.limit_in_bytes");
        }
        least = here < least ? here : least;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return least;
}

static uint64_t total_bytes(void)
{
    unsigned long long kib = 0;
    char line[200];
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL &&
           sscanf(line, "MemTotal: %llu kB", &kib) != 1) {
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kib * 1024;
}

void sp__machine_read(struct machine *ret)
{
    cpu_set_t set;
    uint64_t group = group_bytes();
    uint64_t total = total_bytes();
    CPU_ZERO(&set);
    *ret = (struct machine){
        .processors =
            sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 0,
        .memory_bytes = group < total ? group : total,
    };
}
