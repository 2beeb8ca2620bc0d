/* SPDX-License-Identifier: MIT */
/* The folder of the state: its lock, the database in it, and the ballast. */
#ifndef SP_STORE_FILE_H
#define SP_STORE_FILE_H

#include <sqlite3.h>
#include <stdint.h>

#include "snakepit/error.h"
#include "store/room.h"

struct store_file {
    int folder; /* descriptor, -1 when not open */
    int lock;
    struct room room;
    sqlite3 *db;
    int64_t boot; /* number of this start of the machine, in the table */
};

/*
 * Open the state in a folder, which is made (0700) when it is not there, and bring it to
 * the schema. `vfs` names SQLite's way to the disk; NULL is the usual one.
 *
 * Errors: SP_ERR_IN_USE (who), SP_ERR_STORE (not a database, of another program, newer,
 * corrupt, read-only: the file is left as it is), SP_ERR_STORE_FULL, SP_ERR_SYSTEM,
 * SP_ERR_NOMEM. Every message names the file.
 */
int sp__file_open(struct store_file *file, const char *path, const char *vfs,
                  sp_error *err) SP_MUST_CHECK;

/* Fine when it is not wholly open. */
void sp__file_close(struct store_file *file);

/* What tells this start of the machine from others, and its clock from that of another
 * time namespace. "" when nothing does: then the wall clock decides. */
enum { CLOCK_ID_MAX = 96 };
void sp__file_clock_id(char id[CLOCK_ID_MAX]);

#endif
