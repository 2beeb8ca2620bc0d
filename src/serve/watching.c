/* SPDX-License-Identifier: MIT */
/*
 * WatchVariables: a stream of the changes of a session's variables.
 *
 * Normal course: the watch is opened and the headers are sent, so that the watcher knows
 * from when on it sees everything. Whoever changes a variable puts the change into the
 * watch's queue and posts to the loop, which sends what is there for as long as the
 * stream takes it.
 *
 * Failure: a watcher that is too slow gets what its queue holds, then the stream ends
 * with RESOURCE_EXHAUSTED; NOT_FOUND is the end of the session. Without memory the
 * stream ends too. An end for any other reason closes the watch.
 */
#include <stdatomic.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/state.h"
#include "session/variable.h"

enum { WAITING_MAX = 65536 /* changes that a peer may let wait */ };

struct watching {
    struct command wake;
    struct loop *loop;
    struct rpc *rpc;       /* NULL: it has gone while a wake was on its way */
    struct watcher *watch; /* NULL once it is over */
    atomic_int is_woken;
};

/* ---- out ---- */

static int put_change(struct rpc *rpc, const sp_change *change, sp_error *err)
{
    struct variable_message message;
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
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
        rc = sp__proto_put_variable_update(&out, &update, err);
    }
    if (rc == SP_OK) {
        rc = sp__h2_write(rpc->stream, (sp_bytes){out.data, out.size}, err);
    }
    sp__variable_message_fini(&message);
    sp__buf_fini(&out);
    return rc;
}

static void close_watch(struct watching *watching)
{
    sp__watcher_close(watching->watch);
    watching->watch = NULL;
}

/* Send what there is, as long as the stream takes it. */
static void pump(struct watching *watching)
{
    struct rpc *rpc = watching->rpc;
    sp_error failure = {0};
    int rc = 1;
    while (rc > 0 && sp__h2_queued(rpc->stream) <= HIGH_WATER_BYTES) {
        sp_change change;
        rc = sp__watcher_next(watching->watch, 0, &change, &failure);
        if (rc == 1) {
            int put = put_change(rpc, &change, &failure);
            sp__free(change.variable.memory);
            rc = put < 0 ? put : 1;
        }
    }
    sp__channel_touch(rpc->peer->channel);
    if (rc < 0) {
        close_watch(watching);
        sp__rpc_fail(rpc, &failure);
    }
    sp_error_clear(&failure);
}

/* ---- being woken ---- */

/* Any thread, with locks held. */
static void wake(void *user)
{
    struct watching *watching = user;
    if (!atomic_exchange(&watching->is_woken, 1)) {
        sp__loop_post(watching->loop, &watching->wake);
    }
}

static void woken(struct command *command, void *user)
{
    struct watching *watching = ITEM(command, struct watching, wake);
    atomic_store(&watching->is_woken, 0);
    if (watching->rpc == NULL) {
        sp__free(watching);
    } else if (watching->watch != NULL) {
        pump(watching);
    }
}

void sp__watching_drained(struct rpc *rpc)
{
    if (rpc->watching != NULL && rpc->watching->watch != NULL) {
        pump(rpc->watching);
    }
}

void sp__watching_gone(struct rpc *rpc)
{
    struct watching *watching = rpc->watching;
    if (watching == NULL) {
        return;
    }
    rpc->watching = NULL;
    watching->rpc = NULL;
    close_watch(watching); /* nobody wakes it after that */
    if (!atomic_load(&watching->is_woken)) {
        sp__free(watching);
    }
}

/* ---- in ---- */

static int open_watch(struct watching *watching, const struct asking *asking,
                      sp_bytes bytes, sp_error *err)
{
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
                              &watching->watch, err);
    }
    sp__question_fini(&question);
    return rc;
}

static int begin(struct rpc *rpc, sp_bytes bytes, sp_error *err)
{
    const struct asking asking = sp__asking_of(rpc);
    struct watching *watching = sp__calloc(1, sizeof *watching);
    if (watching == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a watch");
    }
    watching->loop = rpc->peer->lane->loop;
    watching->wake.run = woken;
    watching->rpc = rpc;
    rpc->watching = watching;
    int rc = open_watch(watching, &asking, bytes, err);
    if (rc == SP_OK) {
        rc = sp__h2_accept(rpc->stream, err);
    }
    return rc;
}

void sp__watching_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    sp_error failure = {0};
    if (begin(rpc, (sp_bytes){data, size}, &failure) < 0) {
        sp__rpc_fail(rpc, &failure);
        sp__watching_gone(rpc);
    }
    sp__channel_touch(rpc->peer->channel);
    sp_error_clear(&failure);
}
