/* SPDX-License-Identifier: MIT */
/* A worker as people name it: "pool/3", or its process' number. */
#ifndef SP_TELEMETRY_FIND_WORKER_H
#define SP_TELEMETRY_FIND_WORKER_H

#include "snakepit/pit.h"

enum { WORKER_NAME_BYTES = 80 };

struct found_worker {
    char name[WORKER_NAME_BYTES]; /* "pool/3" */
    const char *pool;             /* the pit's */
    sp_worker_info info;
};

/* Any thread but a loop: it asks them. Errors: SP_ERR_NOT_FOUND. */
int sp__find_worker(sp_pit *pit, const char *name, struct found_worker *ret,
                    sp_error *err) SP_MUST_CHECK;

/* Every worker of a pit, pool by pool, until `see` returns something negative, which is
 * then what this does. */
typedef int (*worker_fn)(const struct found_worker *worker, void *user, sp_error *err);
int sp__each_worker(sp_pit *pit, worker_fn see, void *user,
                    sp_error *err) SP_MUST_CHECK;

#endif
