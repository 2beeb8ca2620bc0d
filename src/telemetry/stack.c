/* SPDX-License-Identifier: MIT */
/*
 * The report "stack": what workers do this moment, each in the manner of its language, and
 * the threads of each as the kernel sees them.
 *
 * Workers are asked one after the other and go on with their work. One that says nothing
 * costs two seconds, so no more are asked than time allows; how many were left out is
 * told. A worker without a stack has the reason in its place.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "telemetry/find_worker.h"
#include "telemetry/json_report.h"
#include "telemetry/threads.h"
#include "telemetry/words.h"

enum { BEGIN_WITHIN_MS = 15000, PID_TEXT_BYTES = 24 };

struct stacks {
    sp_pit *pit;
    uint64_t until_ms;
    char *text; /* room for one */
    json_t *workers;
    int left_out;
};

/* *ret_name: which worker, or NULL for all; it may be put into `pid`. */
static int read_wish(const json_t *options, char pid[PID_TEXT_BYTES],
                     const char **ret_name, sp_error *err)
{
    const json_t *worker = json_object_get(options, "worker");
    *ret_name = json_string_value(worker);
    if (json_is_integer(worker)) {
        (void)snprintf(pid, PID_TEXT_BYTES, "%lld",
                       (long long)json_integer_value(worker));
        *ret_name = pid;
    } else if (worker != NULL && *ret_name == NULL && !json_is_null(worker)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "worker is a worker as \"POOL/SLOT\", or a pid");
    }
    return SP_OK;
}

static int add_worker(const struct found_worker *found, void *user, sp_error *err)
{
    struct stacks *stacks = user;
    const sp_worker_info *worker = &found->info;
    sp_error failure = {0};
    (void)err;
    if (sp__now_ms() > stacks->until_ms) {
        stacks->left_out++;
        return SP_OK;
    }
    json_t *entry =
        json_pack("{s:s, s:s, s:i, s:i, s:s, s:i, s:s}", "worker", found->name, "pool",
                  found->pool, "slot", (int)worker->slot, "pid", worker->pid, "state",
                  sp__word_worker(worker->state), "in_flight", (int)worker->in_flight,
                  "runtime", worker->runtime);
    int length = sp_pool_stack_get(stacks->pit, found->pool, worker->slot, stacks->text,
                                   SP_STACK_MAX, &failure);
    sp__report_set_words(entry, "stack", length > 0 ? stacks->text : "");
    sp__report_set_words(entry, "why_none", length > 0 ? "" : failure.message);
    sp_error_clear(&failure);
    (void)json_object_set_new(entry, "threads", sp__threads_json(worker->pid));
    sp__report_add(&stacks->workers, entry);
    return SP_OK;
}

/* Of one, or of all. */
static int ask(struct stacks *stacks, const char *name, sp_error *err)
{
    struct found_worker found;
    stacks->text = sp__malloc(SP_STACK_MAX);
    if (stacks->text == NULL || stacks->workers == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for stacks");
    }
    if (name == NULL) {
        return sp__each_worker(stacks->pit, add_worker, stacks, err);
    }
    int rc = sp__find_worker(stacks->pit, name, &found, err);
    return rc < 0 ? rc : add_worker(&found, stacks, err);
}

int sp__report_stack(const struct report_question *question, struct sp_buffer *out,
                     sp_error *err)
{
    struct stacks stacks = {.pit = question->pit,
                            .until_ms = sp__now_ms() + BEGIN_WITHIN_MS};
    char pid[PID_TEXT_BYTES];
    const char *name;
    int rc = read_wish(question->options, pid, &name, err);
    if (rc == SP_OK) {
        stacks.workers = json_array();
        rc = ask(&stacks, name, err);
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
