/* SPDX-License-Identifier: MIT */
/*
 * Streams of what happens.
 *
 * Normal course: the source is opened and the headers are sent, so that the watcher knows
 * from when on it sees everything. Whoever has something to tell wakes the watching, on
 * any thread; on the loop, what there is leaves for as long as the stream takes it, so
 * many messages a turn, so that one who watches much does not hold up the calls.
 *
 * Failure: a watcher that is too slow is not written to, and not woken either, until its
 * stream has room; what happens meanwhile, the source knows. Without memory the stream
 * ends. An end for any other reason closes the source.
 */
#include "serve/watching.h"

#include "base/error.h"
#include "base/mem.h"

enum { TURN_MESSAGES = 16 };

/* ---- out ---- */

static void end_source(struct watching *watching)
{
    if (!watching->is_over) {
        watching->is_over = 1;
        watching->source->close(watching);
    }
}

/* As next(), and the message is on its way. */
static int tell_next(struct watching *watching, sp_error *err)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    int rc = watching->source->next(watching, &out, err);
    if (rc >= 0 && out.size > 0) {
        int written =
            sp__h2_write(watching->rpc->stream, (sp_bytes){out.data, out.size}, err);
        rc = written < 0 ? written : rc;
    }
    sp__buf_fini(&out);
    return rc;
}

void sp__watching_pump(struct watching *watching)
{
    struct rpc *rpc = watching->rpc;
    sp_error failure = {0};
    int rc = 1;
    int told = 0;
    while (rc > 0 && told < TURN_MESSAGES &&
           sp__h2_queued(rpc->stream) <= HIGH_WATER_BYTES) {
        rc = tell_next(watching, &failure);
        told++;
    }
    sp__channel_touch(rpc->peer->channel);
    if (rc < 0) {
        end_source(watching);
        sp__rpc_fail(rpc, &failure);
    } else if (rc > 0 && told == TURN_MESSAGES) {
        sp__watching_wake(watching); /* the rest after what else there is to do */
    }
    sp_error_clear(&failure);
}

/* ---- being woken ---- */

void sp__watching_wake(struct watching *watching)
{
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
    } else if (!watching->is_over) {
        sp__watching_pump(watching);
    }
}

void sp__watching_drained(struct rpc *rpc)
{
    if (rpc->watching != NULL && !rpc->watching->is_over) {
        sp__watching_pump(rpc->watching);
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
    end_source(watching); /* nobody wakes it after that */
    if (!atomic_load(&watching->is_woken)) {
        sp__free(watching);
    }
}

/* ---- in ---- */

static int begin(struct rpc *rpc, const struct watch_source *source, sp_bytes question,
                 sp_error *err)
{
    const struct asking asking = sp__asking_of(rpc);
    struct watching *watching = sp__calloc(1, source->size);
    if (watching == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a watch");
    }
    watching->source = source;
    watching->loop = rpc->peer->lane->loop;
    watching->wake.run = woken;
    watching->rpc = rpc;
    rpc->watching = watching;
    int rc = source->open(watching, &asking, question, err);
    return rc == SP_OK ? sp__h2_accept(rpc->stream, err) : rc;
}

void sp__watching_begin(struct rpc *rpc, const struct watch_source *source,
                        sp_bytes question)
{
    sp_error failure = {0};
    if (begin(rpc, source, question, &failure) < 0) {
        sp__rpc_fail(rpc, &failure);
        sp__watching_gone(rpc);
    }
    sp__channel_touch(rpc->peer->channel);
    sp_error_clear(&failure);
}
