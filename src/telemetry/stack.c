/* SPDX-License-Identifier: MIT */
/*
 * The report "stack": what workers do this moment, each in the manner of its language, and
 * the threads of each as the kernel sees them.
 *
 * Workers are asked one after the other and go on with their work. One that says nothing
 * costs two seconds, so no more are asked than time allows; how many were left out is
 * told. A worker without a stack has the reason in its place.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "telemetry/json_report.h"
#include "telemetry/threads.h"
#include "telemetry/words.h"

enum { BEGIN_WITHIN_MS = 15000, WORKER_NAME_BYTES = 80 };

/* Which workers: one of a name, or of a process, or all. */
struct wish {
    const char *name; /* "pool/3", NULL: any */
    long pid;         /* 0: any */
};

struct stacks {
    sp_pit *pit;
    struct wish wish;
    uint64_t until_ms;
    char *text; /* room for one */
    json_t *workers;
    int found;
    int left_out;
};

static int read_wish(const json_t *options, struct wish *ret, sp_error *err)
{
    const json_t *worker = json_object_get(options, "worker");
    *ret = (struct wish){0};
    if (json_is_integer(worker)) {
        ret->pid = (long)json_integer_value(worker);
    } else if (json_is_string(worker)) {
        char *end = NULL;
        ret->name = json_string_value(worker);
        ret->pid = strtol(ret->name, &end, 10);
        if (end == ret->name || *end != '\0') {
            ret->pid = 0;
        }
    } else if (worker != NULL && !json_is_null(worker)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "worker is a worker as \"POOL/SLOT\", or a pid");
    }
    return SP_OK;
}

static int is_wished(const struct wish *wish, const char *name,
                     const sp_worker_info *worker)
{
    if (wish->pid > 0) {
        return worker->pid == wish->pid;
    }
    return wish->name == NULL || strcmp(wish->name, name) == 0;
}

static void add_worker(struct stacks *stacks, const char *pool, const char *name,
                       const sp_worker_info *worker)
{
    sp_error err = {0};
    if (sp__now_ms() > stacks->until_ms) {
        stacks->left_out++;
        return;
    }
    json_t *entry = json_pack(
        "{s:s, s:s, s:i, s:i, s:s, s:i, s:s}", "worker", name, "pool", pool, "slot",
        (int)worker->slot, "pid", worker->pid, "state", sp__word_worker(worker->state),
        "in_flight", (int)worker->in_flight, "runtime", worker->runtime);
    int length = sp_pool_stack_get(stacks->pit, pool, worker->slot, stacks->text,
                                   SP_STACK_MAX, &err);
    sp__report_set_words(entry, "stack", length > 0 ? stacks->text : "");
    sp__report_set_words(entry, "why_none", length > 0 ? "" : err.message);
    sp_error_clear(&err);
    (void)json_object_set_new(entry, "threads", sp__threads_json(worker->pid));
    sp__report_add(&stacks->workers, entry);
}

static int add_pool(struct stacks *stacks, const char *pool, sp_error *err)
{
    sp_worker_info *workers;
    int count;
    int rc = sp__report_workers(stacks->pit, pool, &workers, &count, err);
    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < count; i++) {
        char name[WORKER_NAME_BYTES];
        (void)snprintf(name, sizeof name, "%s/%u", pool, workers[i].slot);
        if (is_wished(&stacks->wish, name, &workers[i])) {
            stacks->found = 1;
            add_worker(stacks, pool, name, &workers[i]);
        }
    }
    sp__free(workers);
    return SP_OK;
}

static int ask_all(struct stacks *stacks, sp_error *err)
{
    const char *pool;
    stacks->text = sp__malloc(SP_STACK_MAX);
    if (stacks->text == NULL || stacks->workers == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for stacks");
    }
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && (pool = sp_pool_name_at(stacks->pit, i)) != NULL;
         i++) {
        rc = add_pool(stacks, pool, err);
    }
    if (rc < 0) {
        return rc;
    }
    if (!stacks->found && stacks->wish.pid > 0) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "no worker is process %ld",
                        stacks->wish.pid);
    }
    if (!stacks->found && stacks->wish.name != NULL) {
        return sp__fail(err, SP_ERR_NOT_FOUND,
                        "there is no worker \"%.64s\"; workers are POOL/SLOT",
                        stacks->wish.name);
    }
    return SP_OK;
}

int sp__report_stack(const struct report_question *question, struct sp_buffer *out,
                     sp_error *err)
{
    struct stacks stacks = {.pit = question->pit,
                            .until_ms = sp__now_ms() + BEGIN_WITHIN_MS};
    int rc = read_wish(question->options, &stacks.wish, err);
    if (rc == SP_OK) {
        stacks.workers = json_array();
        rc = ask_all(&stacks, err);
    }
    if (rc == SP_OK) {
        rc = sp__report_put_json(out,
                                 json_pack("{s:i, s:O, s:i}", "version", 1, "workers",
                                           stacks.workers, "left_out", stacks.left_out),
                                 err);
    }
    sp__free(stacks.text);
    json_decref(stacks.workers);
    return rc;
}
