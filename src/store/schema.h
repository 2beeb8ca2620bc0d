/* SPDX-License-Identifier: MIT */
/* What the tables look like, and how older files become like that. */
#ifndef SP_STORE_SCHEMA_H
#define SP_STORE_SCHEMA_H

#include <sqlite3.h>
#include <stddef.h>

#include "snakepit/error.h"

enum { SCHEMA_APPLICATION = 0x736e6b70 /* "snkp", in the file's header */ };

/* Step n makes version n + 1 of version n. Each is SQL, and may be many statements. */
struct schema {
    const char *const *steps;
    size_t count; /* of steps: the version that results */
};

/* The one in use. */
extern const struct schema sp__schema;

/*
 * Bring the file to the schema's version, in one transaction: afterwards it is there
 * wholly, or as it was. Returns 1 when something was done, else 0.
 *
 * Errors: SP_ERR_STORE (newer than this program, not ours; or a step failed),
 * SP_ERR_STORE_FULL, SP_ERR_NOMEM.
 */
int sp__schema_apply(sqlite3 *db, const struct schema *schema,
                     sp_error *err) SP_MUST_CHECK;

#endif
