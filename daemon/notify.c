/* SPDX-License-Identifier: MIT */
/*
 * Telling the service manager: one datagram to the socket in $NOTIFY_SOCKET.
 *
 * The variables are taken out of the environment at the start, so that no worker can
 * speak in the daemon's name. Without a manager everything here does nothing.
 *
 * Follows: sd_notify(3), sd_watchdog_enabled(3).
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"

static struct sockaddr_un manager;
static socklen_t manager_size; /* 0: there is none */

static void take_socket(const char *path)
{
    size_t size = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || size >= sizeof manager.sun_path) {
        return; /* a kind we do not know: as if there were none */
    }
    manager.sun_family = AF_UNIX;
    memcpy(manager.sun_path, path, size);
    manager_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    if (path[0] == '@') {
        manager.sun_path[0] = '\0'; /* an abstract name; its length counts */
    } else {
        manager_size++;
    }
}

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0 ? number : 0;
}

uint64_t notify_init(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    uint64_t watchdog_us = number_of("WATCHDOG_USEC");
    uint64_t watched = number_of("WATCHDOG_PID");
    if (path != NULL) {
        take_socket(path);
    }
    if (watched != 0 && watched != (uint64_t)getpid()) {
        watchdog_us = 0; /* somebody else is meant */
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    if (manager_size == 0 || watchdog_us == 0) {
        return 0;
    }
    return watchdog_us < 1000 ? 1 : watchdog_us / 1000;
}

int notify(const char *format, ...)
{
    char text[512];
    va_list args;
    if (manager_size == 0) {
        return 0;
    }
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0) {
        errno = EINVAL;
        return -1;
    }
    if ((size_t)size >= sizeof text) {
        size = sizeof text - 1;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = sendto(fd, text, (size_t)size, MSG_NOSIGNAL,
                       (const struct sockaddr *)&manager, manager_size);
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return n < 0 ? -1 : 1;
}
