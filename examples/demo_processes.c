/* SPDX-License-Identifier: MIT */
/*
 * The demo's witness: it asks the kernel, not the library, which processes exist.
 *
 * /proc gives every process with its parent; whoever has an ancestor here belongs to
 * the list, so it also holds what workers started. A process is known by its number and
 * its time of birth together. A process that ends while the list is read is not in it.
 */
#include "demo_processes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCAN_MAX = 32768 };

struct process {
    int pid;
    int parent;
    unsigned long long started;
    char name[32];
    int is_ours;
};

/* One line of /proc/PID/stat: pid (name) state parent ... started is field 22. */
static int read_process(int pid, struct process *ret)
{
    char path[64];
    char line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[size] = '\0';
    char *name = strchr(line, '(');
    char *end = strrchr(line, ')');
    if (name == NULL || end == NULL) {
        return 0;
    }
    *end = '\0';
    *ret = (struct process){.pid = pid};
    snprintf(ret->name, sizeof ret->name, "%s", name + 1);
    return sscanf(end + 1,
                  " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                  "%*d %*d %*d %llu",
                  &ret->parent, &ret->started) == 2;
}

static int scan(struct process *all, int max)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && count < max && (entry = readdir(proc)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10);
        count += pid > 0 && read_process(pid, &all[count]);
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return count;
}

static int is_child_of_ours(const struct process *all, int count, int parent)
{
    for (int i = 0; i < count; i++) {
        if (all[i].is_ours && all[i].pid == parent) {
            return 1;
        }
    }
    return parent == getpid();
}

int processes_list(struct processes *ret)
{
    *ret = (struct processes){0};
    struct process *all = calloc(SCAN_MAX, sizeof *all);
    int count = all != NULL ? scan(all, SCAN_MAX) : 0;
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = 0; i < count; i++) {
            if (!all[i].is_ours && is_child_of_ours(all, count, all[i].parent)) {
                all[i].is_ours = 1;
                changed = 1;
            }
        }
    }
    for (int i = 0; i < count && ret->count < DEMO_PROCESSES_MAX; i++) {
        if (all[i].is_ours) {
            ret->all[ret->count].pid = all[i].pid;
            ret->all[ret->count].started = all[i].started;
            memcpy(ret->all[ret->count].name, all[i].name, sizeof all[i].name);
            ret->count++;
        }
    }
    free(all);
    return ret->count;
}

int processes_left(const struct processes *seen)
{
    int left = 0;
    for (int i = 0; i < seen->count; i++) {
        struct process now;
        left +=
            read_process(seen->all[i].pid, &now) && now.started == seen->all[i].started;
    }
    return left;
}
