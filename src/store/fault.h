/* SPDX-License-Identifier: MIT */
/* What SQLite's result codes mean here. */
#ifndef SP_STORE_FAULT_H
#define SP_STORE_FAULT_H

#include <sqlite3.h>

#include "snakepit/error.h"

enum fault {
    FAULT_PASSING, /* this once: memory, one failed write; the next may work */
    FAULT_FULL,    /* no room: until there is */
    FAULT_LASTING  /* the file cannot be relied on any more */
};

/* Of an extended code. */
enum fault sp__fault_of(sqlite3 *db, int rc);

/* Fill err and return its code: NOMEM, STORE_FULL, SYSTEM with errno for a write that
 * failed, or STORE with SQLite's own words. */
int sp__fault_fail(sqlite3 *db, int rc, const char *doing, sp_error *err);

#endif
