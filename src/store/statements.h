/* SPDX-License-Identifier: MIT */
/* The SQL of every record, prepared once. */
#ifndef SP_STORE_STATEMENTS_H
#define SP_STORE_STATEMENTS_H

#include <sqlite3.h>

#include "store/record.h"

enum { STATEMENTS_PER_RECORD = 4 };

struct statements {
    sqlite3 *db;
    int64_t boot;
    int64_t last_row; /* of a version */
    sqlite3_stmt *of[RECORD_KINDS][STATEMENTS_PER_RECORD];
};

/* STORE, NOMEM. End with sp__statements_fini() in any case. */
int sp__statements_init(struct statements *statements, sqlite3 *db, int64_t boot,
                        sp_error *err) SP_MUST_CHECK;
void sp__statements_fini(struct statements *statements);

/* Write one record, in the transaction that is open. Returns SQLite's code. */
int sp__statements_write(struct statements *statements, const struct record *record);

#endif
