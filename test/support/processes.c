/* SPDX-License-Identifier: MIT */
/*
 * Looking at processes from outside, through /proc.
 *
 * Nothing here changes a process. A process may end while it is looked at; it then
 * counts as not there. Processes of other users cannot be read and are not ours.
 */
#include "processes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "leak.h"

enum { ENVIRON_MAX = 256 * 1024 };

/* The whole of a small file; its size, 0 when it cannot be read. */
static size_t slurp(const char *path, char *text, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    if (fd < 0) {
        text[0] = '\0';
        return 0;
    }
    while (used < max - 1) {
        ssize_t n = read(fd, text + used, max - 1 - used);
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
    }
    (void)close(fd);
    text[used] = '\0';
    return used;
}

/* The state letter and the parent of a process; 0 when it is gone. */
static int stat_of(pid_t pid, char *ret_state, pid_t *ret_parent)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (slurp(path, text, sizeof text) == 0) {
        return 0;
    }
    const char *behind_name = strrchr(text, ')');
    int parent;
    if (behind_name == NULL ||
        sscanf(behind_name + 1, " %c %d", ret_state, &parent) != 2) {
        return 0;
    }
    *ret_parent = parent;
    return 1;
}

static int has_entry(const char *block, size_t size, const char *entry)
{
    for (size_t at = 0; at < size; at += strlen(block + at) + 1) {
        if (strcmp(block + at, entry) == 0) {
            return 1;
        }
    }
    return 0;
}

static int has_environment(pid_t pid, const char *entry)
{
    static char block[ENVIRON_MAX];
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    size_t size = slurp(path, block, sizeof block);
    return has_entry(block, size, entry);
}

/* Every process for which `wanted` says yes. */
static size_t each(int (*wanted)(pid_t pid, const void *arg), const void *arg,
                   pid_t *ret, size_t max)
{
    size_t found = 0;
    DIR *dir = opendir("/proc");
    assert_non_null(dir);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0])) {
            continue;
        }
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (wanted(pid, arg)) {
            if (found < max) {
                ret[found] = pid;
            }
            found++;
        }
    }
    (void)closedir(dir);
    return found < max ? found : max;
}

static int is_child(pid_t pid, const void *arg)
{
    char state;
    pid_t parent;
    return stat_of(pid, &state, &parent) && parent == *(const pid_t *)arg;
}

size_t processes_children_of(pid_t parent, pid_t *ret, size_t max)
{
    return each(is_child, &parent, ret, max);
}

size_t processes_children(pid_t *ret, size_t max)
{
    return processes_children_of(getpid(), ret, max);
}

static int is_marked(pid_t pid, const void *arg)
{
    return pid != getpid() && has_environment(pid, arg);
}

size_t processes_with(const char *name, const char *value, pid_t *ret, size_t max)
{
    char entry[256];
    (void)snprintf(entry, sizeof entry, "%s=%s", name, value);
    return each(is_marked, entry, ret, max);
}

const char *processes_name(pid_t pid, char *text, size_t max)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    size_t size = slurp(path, text, max);
    for (size_t i = 0; i + 1 < size; i++) {
        if (text[i] == '\0') {
            text[i] = ' ';
        }
    }
    if (size == 0) {
        (void)snprintf(text, max, "(zombie)");
    }
    return text;
}

int processes_watch(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        fail_msg("no process %d to watch", (int)pid);
    }
    return fd;
}

int processes_ended(int pidfd, uint64_t timeout_ms)
{
    struct pollfd ready = {.fd = pidfd, .events = POLLIN};
    return poll(&ready, 1, (int)timeout_ms) == 1;
}

int processes_exists(pid_t pid)
{
    char state;
    pid_t parent;
    return stat_of(pid, &state, &parent) && state != 'Z' && state != 'X';
}

size_t processes_resident_bytes(void)
{
    char text[256];
    unsigned long whole;
    unsigned long resident;
    (void)slurp("/proc/self/statm", text, sizeof text);
    if (sscanf(text, "%lu %lu", &whole, &resident) != 2) {
        fail_msg("/proc/self/statm: %s", text);
    }
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

int processes_thread_polls(int tid)
{
    char path[64];
    char text[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    if (slurp(path, text, sizeof text) == 0) {
        fail_msg("no %s", path);
    }
    long call = strtol(text, NULL, 10);
#ifdef SYS_epoll_wait
    if (call == SYS_epoll_wait && isdigit((unsigned char)text[0])) {
        return 1;
    }
#endif
    return call == SYS_epoll_pwait;
}
