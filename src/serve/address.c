/* SPDX-License-Identifier: MIT */
/*
 * The unix socket of a server.
 *
 * Normal course: open the folder without following a link and see that nobody but its
 * owner can change it (a missing one is made, 0700, and removed at the end); under a lock on the folder, remove
 * a socket that nobody listens on, bind, and remember which file that gave.
 *
 * Failure: a folder of somebody else or with too much permission, a file that is no
 * socket, a socket with a listener, a path that is too long: each refused by name, and
 * nothing is left behind. No abstract sockets: they have no permissions at all.
 */
#include "serve/address.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

enum { BACKLOG = 512 };

_Static_assert(sizeof((struct sockaddr_un *)0)->sun_path == ADDRESS_PATH_MAX + 1,
               "the kernel's limit");

int sp__address_check(const char *text, const char **ret_path, sp_error *err)
{
    static const char scheme[] = "unix:";
    if (strncmp(text, scheme, sizeof scheme - 1) != 0) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "cannot listen on \"%.100s\": only unix:/path is served", text);
    }
    const char *path = text + sizeof scheme - 1;
    if (strncmp(path, "//", 2) == 0) {
        path += 2; /* unix:///path, as gRPC also writes it */
    }
    size_t size = strlen(path);
    if (path[0] != '/' || path[size - 1] == '/') {
        return sp__fail(err, SP_ERR_CONFIG,
                        "a socket's path is absolute and names a file, not \"%.100s\"",
                        path);
    }
    if (size > ADDRESS_PATH_MAX) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "a socket's path has at most %d bytes, this one %zu: %.200s",
                        ADDRESS_PATH_MAX, size, path);
    }
    *ret_path = path;
    return SP_OK;
}

/* ---- the folder ---- */

static int check_folder(const char *path, const struct stat *st, int shared,
                        sp_error *err)
{
    mode_t forbidden = shared ? S_IWGRP | S_IWOTH : S_IRWXG | S_IRWXO;
    if (st->st_uid != geteuid()) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "the folder %s of the socket belongs to user %u, not to %u",
                        path, (unsigned)st->st_uid, (unsigned)geteuid());
    }
    if ((st->st_mode & forbidden) != 0) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "the folder %s of the socket has mode %03o; others may not %s, "
                        "so at most %s",
                        path, (unsigned)st->st_mode & 0777u,
                        shared ? "write there" : "enter it", shared ? "755" : "700");
    }
    return SP_OK;
}

static int open_folder(struct address *address, int shared, sp_error *err)
{
    char path[sizeof address->path];
    struct stat st;
    memcpy(path, address->path, sizeof path);
    const char *folder = dirname(path); /* the last component is gone from `path` */
    address->made = mkdir(folder, shared ? 0755 : 0700) == 0;
    if (!address->made && errno != EEXIST) {
        return sp__fail_errno(err, errno, "make the folder %s of the socket", folder);
    }
    address->folder = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (address->folder < 0) {
        return errno == ELOOP || errno == ENOTDIR
                   ? sp__fail(err, SP_ERR_CONFIG,
                              "%s is no folder of its own (links are not followed)",
                              folder)
                   : sp__fail_errno(err, errno, "open the folder %s", folder);
    }
    if (fstat(address->folder, &st) < 0) {
        return sp__fail_errno(err, errno, "look at the folder %s", folder);
    }
    return check_folder(folder, &st, shared, err);
}

/* ---- the socket ---- */

static int new_socket(sp_error *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd : sp__fail_errno(err, errno, "make a socket");
}

/* Remove a socket that nobody listens on any more. */
static int remove_stale(struct address *address, const struct sockaddr_un *where,
                        sp_error *err)
{
    struct stat st;
    if (fstatat(address->folder, address->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return SP_OK;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return sp__fail(err, SP_ERR_CONFIG, "%s exists and is no socket",
                        address->path);
    }
    int fd = new_socket(err);
    if (fd < 0) {
        return fd;
    }
    int rc = connect(fd, (const struct sockaddr *)where, sizeof *where);
    int why = rc < 0 ? errno : 0;
    (void)close(fd);
    if (why != ECONNREFUSED && why != ENOENT) {
        return sp__fail(err, SP_ERR_CONFIG, "another program listens on %s",
                        address->path);
    }
    if (unlinkat(address->folder, address->name, 0) < 0 && errno != ENOENT) {
        return sp__fail_errno(err, errno, "remove the old socket %s", address->path);
    }
    return SP_OK;
}

/* The file that bind made: in the folder that was checked, and no other. */
static int remember(struct address *address, int shared, sp_error *err)
{
    struct stat st;
    if (fstatat(address->folder, address->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISSOCK(st.st_mode) || st.st_uid != geteuid()) {
        return sp__fail(err, SP_ERR_SYSTEM,
                        "the folder of %s was replaced while the socket was made",
                        address->path);
    }
    address->device = st.st_dev;
    address->inode = st.st_ino;
    if (fchmodat(address->folder, address->name, shared ? 0666 : 0600, 0) < 0) {
        return sp__fail_errno(err, errno, "set the mode of %s", address->path);
    }
    return SP_OK;
}

static int bind_socket(struct address *address, int shared, sp_error *err)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    memcpy(where.sun_path, address->path, sizeof where.sun_path);
    int rc = remove_stale(address, &where, err);
    if (rc < 0) {
        return rc;
    }
    /* Linux gives the file the socket's own mode: no moment in which others may
     * connect, and no change of the process's umask under the other threads. */
    if (fchmod(address->fd, S_IRUSR | S_IWUSR) < 0 ||
        bind(address->fd, (struct sockaddr *)&where, sizeof where) < 0) {
        return sp__fail_errno(err, errno, "bind %s", address->path);
    }
    rc = remember(address, shared, err);
    if (rc == SP_OK && listen(address->fd, BACKLOG) < 0) {
        rc = sp__fail_errno(err, errno, "listen on %s", address->path);
    }
    return rc;
}

int sp__address_open(struct address *address, const char *text, int shared,
                     sp_error *err)
{
    const char *path;
    *address = (struct address){.fd = -1, .folder = -1};
    int rc = sp__address_check(text, &path, err);
    if (rc < 0) {
        return rc;
    }
    (void)snprintf(address->path, sizeof address->path, "%s", path);
    address->name = strrchr(address->path, '/') + 1;
    rc = open_folder(address, shared, err);
    if (rc == SP_OK) {
        address->fd = new_socket(err);
        rc = address->fd < 0 ? address->fd : SP_OK;
    }
    if (rc == SP_OK) {
        /* Two that start at once must not take each other's socket for a stale one. */
        (void)flock(address->folder, LOCK_EX);
        rc = bind_socket(address, shared, err);
        (void)flock(address->folder, LOCK_UN);
    }
    if (rc < 0) {
        sp__address_close(address);
    }
    return rc;
}

static void remove_folder(const struct address *address)
{
    char path[sizeof address->path];
    memcpy(path, address->path, sizeof path);
    (void)rmdir(dirname(path)); /* stays when somebody has put something there */
}

void sp__address_close(struct address *address)
{
    struct stat st;
    if (address->folder >= 0) {
        if (address->inode != 0 &&
            fstatat(address->folder, address->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_dev == address->device && st.st_ino == address->inode) {
            (void)unlinkat(address->folder, address->name, 0);
        }
        (void)close(address->folder);
    }
    if (address->made) {
        remove_folder(address);
    }
    if (address->fd >= 0) {
        (void)close(address->fd);
    }
    address->fd = -1;
    address->folder = -1;
    address->inode = 0;
    address->made = 0;
}

int sp__address_peer(int fd, uid_t *ret_user, pid_t *ret_pid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return -1;
    }
    *ret_user = peer.uid;
    *ret_pid = peer.pid;
    return 0;
}
