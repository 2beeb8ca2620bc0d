/* SPDX-License-Identifier: MIT */
/*
 * What the control group of this process allows: memory, and processor time.
 *
 * A limit of any group above holds too, so the smallest counts. Version 2 has one tree,
 * with memory.max and cpu.max; version 1 a tree for each, with memory.limit_in_bytes,
 * cpu.cfs_quota_us and cpu.cfs_period_us. In a container the tree's root is the container's
 * group, and the path may lead to nothing; then the root alone is looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hardware/hardware.h"

enum { PATH_BYTES = 512, TEXT_BYTES = 4096 };

/* Version 1 says "no limit" with the largest multiple of a page. */
static const uint64_t nearly_endless = 1ull << 62;

static void take_memory(struct hardware *hardware, const char *text)
{
    uint64_t bytes = strtoull(text, NULL, 10); /* "max" is 0 */
    if (bytes > 0 && bytes < nearly_endless &&
        (hardware->memory_limit_bytes == 0 || bytes < hardware->memory_limit_bytes)) {
        hardware->memory_limit_bytes = bytes;
    }
}

static void take_time(struct hardware *hardware, double quota, double period)
{
    if (quota > 0 && period > 0 &&
        (hardware->cpu_limit == 0 || quota / period < hardware->cpu_limit)) {
        hardware->cpu_limit = quota / period;
    }
}

static double number_in(const struct search *search, const char *folder,
                        const char *name)
{
    char path[PATH_BYTES];
    char text[64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return sp__hardware_read(search, path, text, sizeof text) == 0 ? strtod(text, NULL)
                                                                   : 0;
}

static void look_at(const struct search *search, const char *folder,
                    struct hardware *hardware)
{
    char path[PATH_BYTES];
    char text[128];
    static const char *const memory[] = {"memory.max", "memory.limit_in_bytes"};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, memory[i]);
        if (sp__hardware_read(search, path, text, sizeof text) == 0) {
            take_memory(hardware, text);
        }
    }
    (void)snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (sp__hardware_read(search, path, text, sizeof text) == 0) {
        char *end;
        double quota = strtod(text, &end);
        take_time(hardware, end > text ? quota : 0, strtod(end, NULL));
    }
    take_time(hardware, number_in(search, folder, "cpu.cfs_quota_us"),
              number_in(search, folder, "cpu.cfs_period_us"));
}

/* The group's folder, and all above it up to the tree's. */
static void look_up(const struct search *search, const char *tree, const char *group,
                    struct hardware *hardware)
{
    char folder[PATH_BYTES];
    size_t least = strlen(tree);
    int n = snprintf(folder, sizeof folder, "%s%s", tree, group);
    if (n < 0 || n >= PATH_BYTES) {
        return;
    }
    while (strlen(folder) > least) {
        look_at(search, folder, hardware);
        *strrchr(folder, '/') = '\0';
    }
    look_at(search, tree, hardware);
}

/* "4:memory:/a/b" or "0::/a/b". */
static void take_line(const struct search *search, char *line,
                      struct hardware *hardware)
{
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL) {
        return;
    }
    *group++ = '\0';
    controllers++;
    group = strcmp(group, "/") == 0 ? group + 1 : group;
    if (controllers[0] == '\0') {
        look_up(search, "/sys/fs/cgroup", group, hardware);
    } else if (strcmp(controllers, "memory") == 0) {
        look_up(search, "/sys/fs/cgroup/memory", group, hardware);
    } else if (strncmp(controllers, "cpu,", 4) == 0 ||
               strcmp(controllers, "cpu") == 0) {
        look_up(search, "/sys/fs/cgroup/cpu", group, hardware);
    }
}

void sp__hardware_find_limits(const struct search *search, struct hardware *hardware)
{
    char text[TEXT_BYTES];
    (void)sp__hardware_read(search, "/proc/self/cgroup", text, sizeof text);
    char *at = text;
    for (char *line; (line = sp__hardware_line(&at)) != NULL;) {
        take_line(search, line, hardware);
    }
}
