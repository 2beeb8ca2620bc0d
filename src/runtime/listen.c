/* SPDX-License-Identifier: MIT */
/*
 * Listening for stock gRPC clients: a unix socket only its owner may open, or a port on
 * the loopback. Never anything that another machine could reach.
 */
#include "runtime/runtime.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

enum { BACKLOG = 64, ADDRESS_MAX = 160, ACCEPT_AGAIN_MS = 500 };

/* ---- unix ---- */

/* Remove a socket that nobody listens on any more. */
static int remove_stale(const struct sockaddr_un *address, sp_error *err)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0) {
        return SP_OK;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return sp__fail(err, SP_ERR_INVAL, "%s exists and is no socket",
                        address->sun_path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return sp__fail_errno(err, errno, "cannot make a socket");
    }
    int rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int why = rc < 0 ? errno : 0;
    (void)close(fd);
    if (why != ECONNREFUSED) {
        return sp__fail(err, SP_ERR_INVAL, "somebody listens on %s already",
                        address->sun_path);
    }
    if (unlink(address->sun_path) < 0) {
        return sp__fail_errno(err, errno, "cannot remove the old socket %s",
                              address->sun_path);
    }
    return SP_OK;
}

static int open_unix(const char *path, int fd, char **ret_address, char **ret_path,
                     sp_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof address.sun_path) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a socket's path has 1 to %zu bytes, this one %zu",
                        sizeof address.sun_path - 1, size);
    }
    memcpy(address.sun_path, path, size);
    int rc = remove_stale(&address, err);
    if (rc < 0) {
        return rc;
    }
    /* Linux gives the file the socket's own mode: no moment in which others may
     * connect, and no change of the process's umask under the other threads. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) < 0) {
        return sp__fail_errno(err, errno, "cannot restrict the socket");
    }
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        return sp__fail_errno(err, errno, "cannot bind %s", path);
    }
    char text[ADDRESS_MAX];
    (void)snprintf(text, sizeof text, "unix:%s", path);
    *ret_path = sp__strdup(path);
    *ret_address = sp__strdup(text);
    if (*ret_path == NULL || *ret_address == NULL) {
        (void)unlink(path);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an address");
    }
    return SP_OK;
}

/* ---- loopback ---- */

static int open_loopback(const char *port_text, int fd, char **ret_address,
                         sp_error *err)
{
    char *end;
    errno = 0;
    unsigned long port = strtoul(port_text, &end, 10);
    if (errno != 0 || end == port_text || *end != '\0' || port > UINT16_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "'%s' is no port", port_text);
    }
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
        return sp__fail_errno(err, errno, "cannot bind 127.0.0.1:%lu", port);
    }
    char text[ADDRESS_MAX];
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", ntohs(address.sin_port));
    *ret_address = sp__strdup(text);
    return *ret_address != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_NOMEM, "no memory for an address");
}

/* ---- both ---- */

static const char *after(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

int sp__listen_open(const char *where, int *ret_fd, char **ret_address, char **ret_path,
                    sp_error *err)
{
    const char *path = after(where, "unix:");
    const char *port = after(where, "127.0.0.1:");
    port = port != NULL ? port : after(where, "localhost:");
    if (path == NULL && port == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "'%.100s' is neither unix:/path nor 127.0.0.1:port", where);
    }
    if (path != NULL && strncmp(path, "//", 2) == 0) {
        path += 2; /* unix:///path, as gRPC also writes it */
    }
    int fd = socket(path != NULL ? AF_UNIX : AF_INET,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return sp__fail_errno(err, errno, "cannot make a socket");
    }
    *ret_address = *ret_path = NULL;
    int rc = path != NULL ? open_unix(path, fd, ret_address, ret_path, err)
                          : open_loopback(port, fd, ret_address, err);
    if (rc == SP_OK && listen(fd, BACKLOG) < 0) {
        rc = sp__fail_errno(err, errno, "cannot listen on %.100s", where);
        if (*ret_path != NULL) {
            (void)unlink(*ret_path);
        }
    }
    if (rc < 0) {
        sp__free(*ret_address);
        sp__free(*ret_path);
        *ret_address = *ret_path = NULL;
        (void)close(fd);
        return rc;
    }
    *ret_fd = fd;
    return SP_OK;
}

void sp__listen_accept(struct sp_worker *w)
{
    while (w->listen_fd >= 0) {
        int fd = accept4(w->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) {
            continue;
        }
        if (fd < 0) {
            /* Nobody is waiting; or no descriptor or memory is left for them, and poll
             * would say at once that they still wait. */
            int is_done = errno == EAGAIN || errno == EWOULDBLOCK;
            w->listen_again_ms = is_done ? 0 : w->now_ms + ACCEPT_AGAIN_MS;
            return;
        }
        struct duplex_fds fds = sp__duplex_socket(fd);
        int one = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (sp__conn_add(w, CONN_STRANGER, &fds, NULL) < 0) {
            (void)close(fd);
            continue;
        }
        w->conns[w->conns_count - 1]->hot = 1;
    }
}
