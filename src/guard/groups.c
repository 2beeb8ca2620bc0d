/* SPDX-License-Identifier: MIT */
/*
 * Ending what a dead guard has left in its control groups.
 *
 * A guard that somebody kills takes its workers along, but not what has left their
 * process groups. At GUARD_LEVEL_CGROUP all of that is in control groups whose names
 * begin with the guard's number and start: the one for all in the folder that the guard
 * told, those of workers with limits there or in the folder above. They are listed, not
 * computed, for the guard that knew the workers is gone.
 *
 * Nothing here fails: a group that somebody is in who cannot die is left to the next
 * guard that is started, which removes the groups of dead ones.
 */
#include "guard/groups.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "guard/protocol.h"

enum { TURN_MS = 1 }; /* from a look at what is left to the next */

/* One look: a kernel that needs this kills none that are born meanwhile. */
static void kill_listed(int group)
{
    int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    int pid;
    while (file != NULL && fscanf(file, "%d", &pid) == 1) {
        if (pid > 1) {
            (void)kill(pid, SIGKILL);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    } else if (fd >= 0) {
        (void)close(fd);
    }
}

static void kill_group(int group)
{
    int fd = openat(group, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? write(fd, "1", 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n != 1) {
        kill_listed(group); /* Linux 5.14 */
    }
}

/* Kill and try to remove each in a folder; how many are left. */
static unsigned end_in(int place, const char *folder, const char *prefix)
{
    unsigned left = 0;
    int fd = openat(place, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) {
            continue;
        }
        int group = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (group >= 0) {
            kill_group(group);
            (void)close(group);
        }
        left += unlinkat(fd, entry->d_name, AT_REMOVEDIR) != 0;
    }
    if (list != NULL) {
        (void)closedir(list);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    return left;
}

void sp__guard_groups_end(const struct guard_groups *groups, int limit_ms)
{
    char prefix[80];
    if (groups->place < 0) {
        return;
    }
    (void)snprintf(prefix, sizeof prefix, GUARD_GROUP_PREFIX, (int)groups->number,
                   (unsigned long long)groups->begun_us);
    uint64_t end_ms = sp__now_ms() + (uint64_t)limit_ms;
    while (end_in(groups->place, ".", prefix) + end_in(groups->place, "..", prefix) >
               0 &&
           sp__now_ms() < end_ms) {
        (void)poll(NULL, 0, TURN_MS);
    }
}
