/* SPDX-License-Identifier: MIT */
/*
 * Whose a port is. A loopback port belongs to whoever was first: between a worker's word
 * and our connection another program could sit there and get the calls. The kernel's
 * table names the socket that listens, and the descriptors of a process name its sockets;
 * who connects only where both agree talks to the worker.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "worker/stock.h"

enum { LISTENERS_MAX = 16, STATE_LISTEN = 0x0A };

struct listeners {
    unsigned long inodes[LISTENERS_MAX];
    size_t count;
    int is_blind; /* a process could not be looked into */
};

/* Whether who listens there takes connections to 127.0.0.1: that address, any, and their
 * forms in IPv6; as the kernel's tables write them, words in the machine's order. */
static int takes_loopback(const char *address)
{
    static const char *const all[] = {"0100007F", "00000000",
                                      "00000000000000000000000000000000",
                                      "0000000000000000FFFF00000100007F"};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(address, all[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

/* One table of the kernel: a head line, then one for each socket. */
static int read_table(const char *path, uint16_t port, struct listeners *ret)
{
    char line[512];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT ? 0 : -1; /* no IPv6 */
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char address[64];
        unsigned local_port;
        unsigned state;
        unsigned long inode;
        if (sscanf(line, " %*u: %63[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*u %*u %lu",
                   address, &local_port, &state, &inode) == 4 &&
            local_port == port && state == STATE_LISTEN && takes_loopback(address)) {
            if (ret->count < LISTENERS_MAX) {
                ret->inodes[ret->count] = inode;
            }
            ret->count++; /* more than there is room for are no worker's */
        }
    }
    (void)fclose(file);
    return 0;
}

/* Take out of the list what this process holds open. */
static void strike(struct listeners *listeners, const char *pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%.20s/fd", pid);
    DIR *folder = opendir(path);
    struct dirent *entry;
    listeners->is_blind |= folder == NULL && errno != ENOENT;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char target[64];
        unsigned long inode;
        ssize_t n = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        if (sscanf(target, "socket:[%lu]", &inode) != 1) {
            continue;
        }
        for (size_t i = 0; i < listeners->count; i++) {
            if (listeners->inodes[i] == inode) {
                listeners->inodes[i--] = listeners->inodes[--listeners->count];
            }
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

/* The process group of a process, 0 when it is gone. */
static int group_of(const char *pid)
{
    char path[64];
    char line[512];
    int group = 0;
    (void)snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        size_t n = fread(line, 1, sizeof line - 1, file);
        line[n] = '\0';
        const char *after = strrchr(line, ')'); /* the name may hold anything */
        if (after == NULL || sscanf(after, ") %*c %*d %d", &group) != 1) {
            group = 0;
        }
        (void)fclose(file);
    }
    return group;
}

/* The worker may be a child of the program that was started, which leads its group. */
static void strike_group(struct listeners *listeners, int group)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder != NULL && listeners->count > 0 &&
           (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            group_of(entry->d_name) == group) {
            strike(listeners, entry->d_name);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

int sp__port_owner_check(uint16_t port, int pid, sp_error *err)
{
    char leader[24];
    struct listeners listeners = {.count = 0};
    if (read_table("/proc/net/tcp", port, &listeners) < 0 ||
        read_table("/proc/net/tcp6", port, &listeners) < 0) {
        return sp__fail_errno(err, errno, "look who listens on port %u", port);
    }
    if (listeners.count == 0) {
        return 0;
    }
    if (listeners.count > LISTENERS_MAX) {
        return sp__fail(err, SP_ERR_REFUSED, "%zu sockets listen on port %u",
                        listeners.count, port);
    }
    (void)snprintf(leader, sizeof leader, "%d", pid);
    strike(&listeners, leader);
    if (listeners.count > 0) {
        strike_group(&listeners, pid);
    }
    if (listeners.count > 0 && listeners.is_blind) {
        return 0; /* nothing is known: another time */
    }
    if (listeners.count > 0) {
        return sp__fail(err, SP_ERR_REFUSED,
                        "port %u, which the worker named, is listened on by a process "
                        "that is not of the worker",
                        port);
    }
    return 1;
}
