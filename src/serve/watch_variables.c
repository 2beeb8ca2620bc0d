/* SPDX-License-Identifier: MIT */
/*
 * WatchVariables: the changes of a session's variables.
 *
 * Normal course: whoever changes a variable puts the change into the watch's queue and
 * wakes the stream.
 *
 * Failure: a watcher that is too slow gets what its queue holds, then the stream ends
 * with RESOURCE_EXHAUSTED; NOT_FOUND is the end of the session.
 */
#include "base/error.h"
#include "base/mem.h"
#include "serve/state.h"
#include "serve/watching.h"
#include "session/variable.h"

enum { WAITING_MAX = 65536 /* changes that a peer may let wait */ };

struct variable_watching {
    struct watching watching;
    struct watcher *watch;
};

/* ---- out ---- */

static int put_change(struct sp_buffer *out, const sp_change *change, sp_error *err)
{
    struct variable_message message;
    int rc = sp__variable_message(&change->variable, &message, err);
    if (rc == SP_OK) {
        const struct proto_variable_update update = {
            .variable_id = change->variable.id,
            .variable = &message.variable,
            .update_source = change->variable.changed_by,
            .update_metadata = message.variable.metadata,
            .unix_ms = change->variable.updated_unix_ms,
            .update_type = sp__proto_change_name(change->kind),
        };
        rc = sp__proto_put_variable_update(out, &update, err);
    }
    sp__variable_message_fini(&message);
    return rc;
}

static int next_change(struct watching *watching, struct sp_buffer *out, sp_error *err)
{
    struct variable_watching *of = ITEM(watching, struct variable_watching, watching);
    sp_change change;
    int rc = sp__watcher_next(of->watch, 0, &change, err);
    if (rc == 1) {
        int put = put_change(out, &change, err);
        sp__free(change.variable.memory);
        rc = put < 0 ? put : 1;
    }
    return rc;
}

/* ---- in ---- */

static void wake(void *user)
{
    sp__watching_wake(user);
}

static int open_watch(struct watching *watching, const struct asking *asking,
                      sp_bytes bytes, sp_error *err)
{
    struct variable_watching *of = ITEM(watching, struct variable_watching, watching);
    struct question question;
    struct proto_variable_watch request;
    int rc = sp__question_read(&question, asking, &sp__proto_variable_watch_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        const struct watch_notice notice = {wake, watching};
        const sp_watch_options options = {
            .size = sizeof options,
            .names = request.names.items,
            .names_count = request.names.count,
            .initial = request.include_initial_values,
            .queue_max =
                request.queue_max < WAITING_MAX ? request.queue_max : WAITING_MAX,
        };
        rc = sp__watcher_open(asking->sessions, question.session, &options, &notice,
                              &of->watch, err);
    }
    sp__question_fini(&question);
    return rc;
}

static void close_watch(struct watching *watching)
{
    struct variable_watching *of = ITEM(watching, struct variable_watching, watching);
    sp__watcher_close(of->watch);
    of->watch = NULL;
}

void sp__watch_variables_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    static const struct watch_source source = {.size = sizeof(struct variable_watching),
                                               .open = open_watch,
                                               .next = next_change,
                                               .close = close_watch};
    sp__watching_begin(rpc, &source, (sp_bytes){data, size});
}
