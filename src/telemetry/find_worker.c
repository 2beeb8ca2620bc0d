/* SPDX-License-Identifier: MIT */
/*
 * Looking through the workers of all pools as they are now. Nothing is kept: who acts on
 * what was found names it by its id, which is of that process alone.
 */
#include "telemetry/find_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "telemetry/report.h"

static int each_of_pool(sp_pit *pit, const char *pool, worker_fn see, void *user,
                        sp_error *err)
{
    sp_worker_info *workers;
    int count;
    int rc = sp__report_workers(pit, pool, &workers, &count, err);
    if (rc < 0) {
        return rc;
    }
    for (int i = 0; rc >= 0 && i < count; i++) {
        struct found_worker worker = {.pool = pool, .info = workers[i]};
        (void)snprintf(worker.name, sizeof worker.name, "%s/%u", pool, workers[i].slot);
        rc = see(&worker, user, err);
    }
    sp__free(workers);
    return rc;
}

int sp__each_worker(sp_pit *pit, worker_fn see, void *user, sp_error *err)
{
    const char *pool;
    int rc = SP_OK;
    for (size_t i = 0; rc >= 0 && (pool = sp_pool_name_at(pit, i)) != NULL; i++) {
        rc = each_of_pool(pit, pool, see, user, err);
    }
    return rc;
}

/* ---- one of a name ---- */

struct search {
    const char *name;
    long pid; /* 0: it is no number */
    struct found_worker *found;
    int is_found;
};

static int compare(const struct found_worker *worker, void *user, sp_error *err)
{
    struct search *search = user;
    (void)err;
    if (search->pid > 0 ? worker->info.pid == search->pid
                        : strcmp(worker->name, search->name) == 0) {
        *search->found = *worker;
        search->is_found = 1;
    }
    return SP_OK;
}

int sp__find_worker(sp_pit *pit, const char *name, struct found_worker *ret,
                    sp_error *err)
{
    struct search search = {.name = name, .found = ret};
    char *end = NULL;
    long pid = strtol(name, &end, 10);
    search.pid = end != name && *end == '\0' ? pid : 0;
    int rc = sp__each_worker(pit, compare, &search, err);
    if (rc < 0 || search.is_found) {
        return rc;
    }
    return search.pid > 0
               ? sp__fail(err, SP_ERR_NOT_FOUND, "no worker is process %ld", search.pid)
               : sp__fail(err, SP_ERR_NOT_FOUND,
                          "there is no worker \"%.64s\"; workers are POOL/SLOT", name);
}
