/* SPDX-License-Identifier: MIT */
/* The folder of an instance: where it is, and opening it safely; see folder.c. */
#ifndef SP_GUARD_FOLDER_H
#define SP_GUARD_FOLDER_H

#include <stddef.h>

#include "snakepit/base.h"
#include "snakepit/error.h"

enum { FOLDER_NAME_MAX = 64, FOLDER_PATH_MAX = 512 };

struct folder {
    int base;       /* descriptor of the folder it is in, -1 when not open */
    int fd;         /* above 2: what is locked; -1 when not open */
    int is_default; /* the base was not named by anybody */
    char base_path[FOLDER_PATH_MAX];
    char path[FOLDER_PATH_MAX + 1 + FOLDER_NAME_MAX];
    char name[FOLDER_NAME_MAX + 1];
};

/* The index-th folder that instances may be in, the first being where they are made:
 * `wanted` alone, or without it $XDG_RUNTIME_DIR/snakepit when that is set,
 * /run/snakepit for root, /tmp/snakepit-UID. 1, or 0 past the last. */
int sp__folder_base(const char *wanted, size_t index, char path[FOLDER_PATH_MAX]);

/*
 * Open the folder of an instance, and make it when `create`.
 *
 * Errors: SP_ERR_INVAL (the name), SP_ERR_NOT_FOUND (not created), SP_ERR_TOO_BIG (the
 * path), SP_ERR_SYSTEM (also when it is not ours alone: the message says whose it is, or
 * its mode).
 */
int sp__folder_open(const char *wanted, const char *name, int create,
                    struct folder *ret, sp_error *err) SP_MUST_CHECK;

/* The same below the index-th base. */
int sp__folder_open_in(const char *wanted, size_t index, const char *name, int create,
                       struct folder *ret, sp_error *err) SP_MUST_CHECK;

/* Whether the path still leads to what is open: somebody may have removed it between
 * opening and locking. */
int sp__folder_is_current(const struct folder *folder);

/* Remove it when nothing is in it, and its base, when that is the default, likewise. */
void sp__folder_remove(struct folder *folder);

void sp__folder_close(struct folder *folder);

#endif
