/* SPDX-License-Identifier: MIT */
/*
 * The folder of an instance.
 *
 * One for each name, in a place that a restart of the machine empties. What is in it
 * decides who may serve and which processes are killed, so nobody else may have a hand
 * in it: it is opened without following links and must belong to this user with mode
 * 0700; the folder around it must belong to this user or root and let no others write.
 * What is not so is refused with its owner and mode, never mended: it might be a trap.
 *
 * All files in it are reached through its descriptor, so it cannot be exchanged after it
 * was looked at.
 */
#include "guard/folder.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

/* ---- where ---- */

int sp__folder_base(const char *wanted, size_t index, char path[FOLDER_PATH_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    size_t at = 0;
    int n = -1;
    if (wanted != NULL) {
        n = index == 0 ? snprintf(path, FOLDER_PATH_MAX, "%s", wanted) : -1;
        return n > 0 && n < FOLDER_PATH_MAX;
    }
    if (runtime != NULL && runtime[0] == '/' && at++ == index) {
        n = snprintf(path, FOLDER_PATH_MAX, "%s/snakepit", runtime);
    } else if (geteuid() == 0 && at++ == index) {
        n = snprintf(path, FOLDER_PATH_MAX, "/run/snakepit");
    } else if (at == index) {
        n = snprintf(path, FOLDER_PATH_MAX, "/tmp/snakepit-%u", (unsigned)geteuid());
    }
    return n > 0 && n < FOLDER_PATH_MAX;
}

static int check_name(const char *name, sp_error *err)
{
    size_t length = strlen(name);
    int good = length >= 1 && length <= FOLDER_NAME_MAX && name[0] != '.';
    for (size_t i = 0; good && i < length; i++) {
        good = isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL;
    }
    if (!good) {
        return sp__fail(err, SP_ERR_INVAL,
                        "instance \"%.80s\": a name has 1 to %d letters, digits, '.', "
                        "'_' and '-', the first no '.'",
                        name, FOLDER_NAME_MAX);
    }
    return SP_OK;
}

/* ---- opening ---- */

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* Open a folder below `parent`, and make it when it is missing and `create`. */
static int open_folder(int parent, const char *name, const char *path, int create,
                       int *ret_fd, sp_error *err)
{
    int fd = openat(parent, name, FOLDER_FLAGS);
    if (fd < 0 && errno == ENOENT && create) {
        if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
            return sp__fail_errno(err, errno, "make the folder %s", path);
        }
        fd = openat(parent, name, FOLDER_FLAGS);
    }
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        return sp__fail(err, SP_ERR_SYSTEM, "%s is no folder but a link or a file",
                        path);
    }
    if (fd < 0 && errno == ENOENT && !create) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "there is no %s", path);
    }
    if (fd < 0) {
        return sp__fail_errno(err, errno, "open the folder %s", path);
    }
    *ret_fd = fd;
    return SP_OK;
}

/* Mode bits that must not be set, for a folder of ours (or, when so allowed, root's). */
static int check_owner(int fd, const char *path, mode_t forbidden, int root_may,
                       sp_error *err)
{
    struct stat folder;
    if (fstat(fd, &folder) != 0) {
        return sp__fail_errno(err, errno, "look at the folder %s", path);
    }
    if (folder.st_uid != geteuid() && !(root_may && folder.st_uid == 0)) {
        return sp__fail(err, SP_ERR_SYSTEM,
                        "the folder %s belongs to user %u, not to user %u", path,
                        (unsigned)folder.st_uid, (unsigned)geteuid());
    }
    if ((folder.st_mode & forbidden) != 0) {
        return sp__fail(err, SP_ERR_SYSTEM,
                        "the folder %s has mode %04o, which lets others in; it must be "
                        "%04o",
                        path, (unsigned)folder.st_mode & 07777u,
                        (unsigned)(folder.st_mode & 07777u & ~forbidden));
    }
    return SP_OK;
}

static int open_both(struct folder *folder, int create, sp_error *err)
{
    int rc = open_folder(AT_FDCWD, folder->base_path, folder->base_path, create,
                         &folder->base, err);
    if (rc == SP_OK) {
        rc = check_owner(folder->base, folder->base_path, 0022, 1, err);
    }
    if (rc == SP_OK) {
        rc = open_folder(folder->base, folder->name, folder->path, create, &folder->fd,
                         err);
    }
    if (rc == SP_OK) {
        rc = check_owner(folder->fd, folder->path, 0077, 0, err);
    }
    if (rc == SP_OK && folder->fd < 3) {
        /* A host without standard descriptors: they stay free for what opens them. */
        int lifted = fcntl(folder->fd, F_DUPFD_CLOEXEC, 3);
        rc = lifted < 0 ? sp__fail_errno(err, errno, "open %s", folder->path) : SP_OK;
        (void)close(folder->fd);
        folder->fd = lifted;
    }
    return rc;
}

int sp__folder_open_in(const char *wanted, size_t index, const char *name, int create,
                       struct folder *ret, sp_error *err)
{
    *ret = (struct folder){.base = -1, .fd = -1, .is_default = wanted == NULL};
    int rc = check_name(name, err);
    if (rc < 0) {
        return rc;
    }
    if (!sp__folder_base(wanted, index, ret->base_path)) {
        return sp__fail(err, SP_ERR_TOO_BIG,
                        "the folder of instances has a path longer than %d",
                        FOLDER_PATH_MAX - 1);
    }
    (void)snprintf(ret->name, sizeof ret->name, "%s", name);
    (void)snprintf(ret->path, sizeof ret->path, "%s/%s", ret->base_path, name);
    rc = open_both(ret, create, err);
    if (rc < 0) {
        sp__folder_close(ret);
    }
    return rc;
}

int sp__folder_open(const char *wanted, const char *name, int create,
                    struct folder *ret, sp_error *err)
{
    return sp__folder_open_in(wanted, 0, name, create, ret, err);
}

int sp__folder_is_current(const struct folder *folder)
{
    struct stat open;
    struct stat there;
    return fstat(folder->fd, &open) == 0 &&
           fstatat(AT_FDCWD, folder->path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           open.st_ino == there.st_ino && open.st_dev == there.st_dev;
}

void sp__folder_remove(struct folder *folder)
{
    if (unlinkat(folder->base, folder->name, AT_REMOVEDIR) == 0 && folder->is_default) {
        (void)rmdir(folder->base_path); /* other instances keep it */
    }
}

void sp__folder_close(struct folder *folder)
{
    if (folder->fd >= 0) {
        (void)close(folder->fd);
    }
    if (folder->base >= 0) {
        (void)close(folder->base);
    }
    folder->fd = -1;
    folder->base = -1;
}
