/* SPDX-License-Identifier: MIT */
/*
 * The folder is made in $XDG_RUNTIME_DIR or /tmp and held by a lock (flock) on a file in
 * it, which the kernel drops with the host, however that ends. So a folder of this user
 * whose lock can be had belongs to nobody, and the next host that makes one removes it.
 *
 * Between making a folder and locking it another host may take it for left behind and
 * remove it; who has the lock looks whether its file is still there, and else makes
 * another folder.
 */
#include "worker/socket_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum {
    BASE_MAX = 40 /* a socket's path holds 107 bytes */,
    TRIES_MAX = 16,
    LOCK_PATH_MAX = 400
};

static const char prefix[] = "snakepit-sockets.";

static const char *base_folder(void)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    return base != NULL && strlen(base) <= BASE_MAX && access(base, W_OK) == 0 ? base
                                                                               : "/tmp";
}

/* The lock of a folder: a descriptor; -1 with EWOULDBLOCK when somebody has it. */
static int lock(const char *path)
{
    char name[LOCK_PATH_MAX];
    (void)snprintf(name, sizeof name, "%s/lock", path);
    int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int failed = errno;
        (void)close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

/* The folder with what is in it; sockets and files are all there can be. */
static void remove_whole(const char *path)
{
    DIR *entries = opendir(path);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)unlinkat(dirfd(entries), entry->d_name, 0);
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
    (void)rmdir(path);
}

/* ---- what others left ---- */

/* Remove it, if it is a folder of this user's that nobody holds. */
static void remove_left(const char *path)
{
    struct stat found;
    if (lstat(path, &found) < 0 || !S_ISDIR(found.st_mode) ||
        found.st_uid != geteuid()) {
        return;
    }
    int fd = lock(path);
    if (fd >= 0) {
        remove_whole(path);
        (void)close(fd);
    }
}

static void remove_all_left(const char *base)
{
    DIR *entries = opendir(base);
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0) {
            char path[LOCK_PATH_MAX];
            (void)snprintf(path, sizeof path, "%s/%s", base, entry->d_name);
            remove_left(path);
        }
    }
    if (entries != NULL) {
        (void)closedir(entries);
    }
}

/* ---- our own ---- */

/* Whether the file is still there that was locked. */
static int is_there(const char *path, int fd)
{
    char name[LOCK_PATH_MAX];
    struct stat named;
    struct stat opened;
    (void)snprintf(name, sizeof name, "%s/lock", path);
    return lstat(name, &named) == 0 && fstat(fd, &opened) == 0 &&
           named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

/* 1; 0 when somebody took it for left behind; or an error. */
static int try_to_make(const char *base, struct socket_folder *ret, sp_error *err)
{
    (void)snprintf(ret->path, sizeof ret->path, "%s/%sXXXXXX", base, prefix);
    if (mkdtemp(ret->path) == NULL) {
        return sp__fail_errno(err, errno, "make a folder for sockets, %s", ret->path);
    }
    ret->fd = lock(ret->path);
    if (ret->fd < 0) {
        return errno == ENOENT || errno == EWOULDBLOCK
                   ? 0
                   : sp__fail_errno(err, errno, "lock %s", ret->path);
    }
    if (is_there(ret->path, ret->fd)) {
        return 1;
    }
    (void)close(ret->fd);
    return 0;
}

int sp__socket_folder_make(struct socket_folder *folder, sp_error *err)
{
    const char *base = base_folder();
    struct socket_folder made;
    int rc = 0;
    if (folder->path[0] != '\0') {
        return SP_OK;
    }
    remove_all_left(base);
    for (int i = 0; rc == 0 && i < TRIES_MAX; i++) {
        rc = try_to_make(base, &made, err);
    }
    if (rc <= 0) {
        return rc < 0
                   ? rc
                   : sp__fail(err, SP_ERR_SYSTEM,
                              "folders for sockets in %s are removed by others", base);
    }
    *folder = made;
    return SP_OK;
}

void sp__socket_folder_remove(struct socket_folder *folder)
{
    if (folder->path[0] != '\0') {
        remove_whole(folder->path);
        (void)close(folder->fd);
        folder->path[0] = '\0';
    }
}
