/* SPDX-License-Identifier: MIT */
/*
 * Watching variables that a daemon keeps.
 *
 * The watch is a stream on a line of its own. It is open once the daemon has said so:
 * every change from then on comes. Nothing is read from the socket while nobody asks for
 * a change, so what lies waiting is bounded by what one reading brings; the rest waits in
 * the daemon, whose bound is the watch's queue_max. The daemon ends the stream when that
 * is reached, when the session ends or when it goes itself, and the end is told after
 * all that came before.
 */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/remote_internal.h"

struct update {
    struct link on_queue;
    size_t size;
    char data[];
};

struct remote_watch {
    struct line *line;
    struct line_rpc rpc;
    struct list queue;
};

static int update_came(struct line_rpc *rpc, sp_bytes message, sp_error *err)
{
    struct remote_watch *watch = ITEM(rpc, struct remote_watch, rpc);
    struct update *update = sp__malloc(sizeof *update + message.size);
    if (update == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a change");
    }
    *update = (struct update){.size = message.size};
    memcpy(update->data, message.data, message.size);
    sp__list_append(&watch->queue, &update->on_queue);
    return SP_OK;
}

/* The daemon's line is over, or the rpc: tell what is known of it. */
static int end_of(struct remote_watch *watch, sp_error *err)
{
    const sp_error *failure = &watch->rpc.failure;
    if (failure->code == 0) {
        return sp__fail(err, SP_ERR_CLOSED, "the daemon has ended the watch");
    }
    return sp__fail(err, failure->code, "%s", failure->message);
}

static int begin(struct remote *remote, struct remote_watch *watch, sp_bytes request,
                 sp_error *err)
{
    uint64_t until_ms = sp__now_ms() + remote->timeout_ms;
    int rc = sp__remote_line(remote, until_ms, &watch->line, err);
    if (rc == SP_OK) {
        rc = sp__line_begin(watch->line, &watch->rpc, SP__PATH_WATCH_VARIABLES,
                            SP_UNLIMITED, request, err);
    }
    while (rc == SP_OK && !watch->rpc.accepted && watch->rpc.stream != NULL) {
        int turn = sp__line_turn(watch->line, until_ms, err);
        if (turn < 0 && watch->rpc.stream != NULL) {
            return turn;
        }
        if (turn == 0) {
            return sp__fail(err, SP_ERR_TIMEOUT, "the daemon has not answered in time");
        }
    }
    /* An end without headers before it is a refusal. */
    return rc == SP_OK && watch->rpc.stream == NULL && watch->queue.length == 0
               ? end_of(watch, err)
               : rc;
}

int sp__remote_watch_open(struct remote *remote, const char *session,
                          const sp_watch_options *options,
                          struct remote_watch **ret_watch, sp_error *err)
{
    struct sp_buffer request;
    struct remote_watch *watch = sp__calloc(1, sizeof *watch);
    if (watch == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a watch");
    }
    watch->rpc.on_message = update_came;
    sp__buf_init(&request, SIZE_MAX);
    int rc = sp__stub_watch_request(&request, session, options, err);
    if (rc == SP_OK) {
        rc = begin(remote, watch, (sp_bytes){(const char *)request.data, request.size},
                   err);
    }
    sp__buf_fini(&request);
    if (rc < 0) {
        sp__remote_watch_close(watch);
        return rc;
    }
    *ret_watch = watch;
    return SP_OK;
}

int sp__remote_watch_next(struct remote_watch *watch, uint64_t timeout_ms,
                          sp_change *ret_change, sp_error *err)
{
    uint64_t now = sp__now_ms();
    uint64_t until_ms = timeout_ms < UINT64_MAX - now ? now + timeout_ms : UINT64_MAX;
    while (watch->queue.first == NULL) {
        if (watch->rpc.stream == NULL) {
            return end_of(watch, err);
        }
        int rc = sp__line_turn(watch->line, until_ms, err);
        if (rc < 0 && watch->rpc.stream != NULL) {
            return rc;
        }
        if (rc == 0) {
            return 0;
        }
    }
    struct update *update = ITEM(watch->queue.first, struct update, on_queue);
    sp_bytes message = {update->data, update->size};
    int rc = sp__stub_watch_update(message, ret_change, err);
    if (rc == SP_ERR_NOMEM) {
        return rc; /* it stays the next */
    }
    sp__list_remove(&update->on_queue);
    sp__free(update);
    return rc < 0 ? rc : 1;
}

void sp__remote_watch_close(struct remote_watch *watch)
{
    struct link *link;
    if (watch == NULL) {
        return;
    }
    sp__line_forget(&watch->rpc);
    sp__line_close(watch->line);
    while ((link = sp__list_pop(&watch->queue)) != NULL) {
        sp__free(ITEM(link, struct update, on_queue));
    }
    sp_error_clear(&watch->rpc.failure);
    sp__free(watch);
}
