/* SPDX-License-Identifier: MIT */
/*
 * Where the HTTP listener listens: an address of this machine by its number, or a unix
 * socket for this user alone. A socket file that nobody listens on any more is replaced;
 * names are not looked up, so that nothing waits for a name server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http.h"

enum { BACKLOG = 64 };

union place {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

/* ---- reading ---- */

static int refuse(const char *text, const char *why, sp_error *err)
{
    return sp_error_set(err, SP_ERR_CONFIG,
                        "http.listen is \"%.200s\": %s; tcp:127.0.0.1:9190 or "
                        "unix:/path",
                        text, why);
}

/* The length of the place, 0 when the host is no number. */
static socklen_t fill(const struct http_address *address, union place *ret)
{
    memset(ret, 0, sizeof *ret);
    if (address->path[0] != '\0') {
        ret->un.sun_family = AF_UNIX;
        memcpy(ret->un.sun_path, address->path, sizeof ret->un.sun_path);
        return sizeof ret->un;
    }
    if (inet_pton(AF_INET, address->host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons((uint16_t)address->port);
        return sizeof ret->v4;
    }
    if (inet_pton(AF_INET6, address->host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons((uint16_t)address->port);
        return sizeof ret->v6;
    }
    return 0;
}

static int is_loopback(const union place *place)
{
    return place->any.sa_family == AF_UNIX ||
           (place->any.sa_family == AF_INET &&
            ntohl(place->v4.sin_addr.s_addr) >> 24 == 127) ||
           (place->any.sa_family == AF_INET6 &&
            IN6_IS_ADDR_LOOPBACK(&place->v6.sin6_addr));
}

static int parse_tcp(const char *text, struct http_address *ret, sp_error *err)
{
    const char *host = text + 4;
    const char *colon = strrchr(host, ':');
    char *end = NULL;
    unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    if (colon == NULL || colon[1] < '0' || colon[1] > '9' || *end != '\0' ||
        port > 65535) {
        return refuse(text, "it ends in no port", err);
    }
    size_t length = (size_t)(colon - host);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (length >= sizeof ret->host) {
        return refuse(text, "the host is too long", err);
    }
    memcpy(ret->host, host, length);
    ret->port = (unsigned)port;
    return 0;
}

int http_address_parse(const char *text, struct http_address *ret, sp_error *err)
{
    union place place;
    *ret = (struct http_address){0};
    if (strncmp(text, "unix:/", 6) == 0) {
        if (strlen(text + 5) >= sizeof ret->path) {
            return refuse(text, "the path is longer than 107 bytes", err);
        }
        (void)snprintf(ret->path, sizeof ret->path, "%s", text + 5);
    } else if (strncmp(text, "tcp:", 4) == 0) {
        int rc = parse_tcp(text, ret, err);
        if (rc < 0) {
            return rc;
        }
    } else {
        return refuse(text, "it is no address", err);
    }
    if (fill(ret, &place) == 0) {
        return refuse(text, "the host is no number", err);
    }
    ret->is_loopback = is_loopback(&place);
    return 0;
}

/* ---- opening ---- */

/* A socket that a dead daemon has left. */
static void remove_stale(const union place *place, socklen_t length)
{
    struct stat facts;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && lstat(place->un.sun_path, &facts) == 0 && S_ISSOCK(facts.st_mode) &&
        connect(fd, &place->any, length) < 0 && errno == ECONNREFUSED) {
        (void)unlink(place->un.sun_path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static int bind_and_listen(int fd, const union place *place, socklen_t length)
{
    int one = 1;
    if (place->any.sa_family != AF_UNIX) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        return bind(fd, &place->any, length) == 0 && listen(fd, BACKLOG) == 0;
    }
    remove_stale(place, length);
    /* Nobody else may connect, from the first moment on. No thread of ours makes files
     * while the daemon starts. */
    mode_t mask = umask(0177);
    int rc = bind(fd, &place->any, length);
    (void)umask(mask);
    return rc == 0 && listen(fd, BACKLOG) == 0;
}

static unsigned port_of(int fd)
{
    union place place = {0};
    socklen_t length = sizeof place;
    (void)getsockname(fd, &place.any, &length);
    return ntohs(place.any.sa_family == AF_INET6 ? place.v6.sin6_port
                                                 : place.v4.sin_port);
}

int http_socket_open(const struct http_address *address, char *ret_text, size_t max,
                     sp_error *err)
{
    union place place;
    socklen_t length = fill(address, &place);
    int fd = socket(place.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !bind_and_listen(fd, &place, length)) {
        int code = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return sp_error_set(err, SP_ERR_SYSTEM, "listen at %s%s: %s", address->path,
                            address->host, strerror(code));
    }
    if (address->path[0] != '\0') {
        (void)snprintf(ret_text, max, "unix:%s", address->path);
    } else {
        (void)snprintf(ret_text, max,
                       strchr(address->host, ':') != NULL ? "http://[%s]:%u"
                                                          : "http://%s:%u",
                       address->host, port_of(fd));
    }
    return fd;
}
