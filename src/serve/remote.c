/* SPDX-License-Identifier: MIT */
/*
 * Questions to a daemon about its state: send one, wait for its answer.
 *
 * Each question takes a line for itself, an idle one or a new one, and puts it back when
 * it is answered; so threads never wait for each other, and a line needs no lock. A
 * question that nobody has looked at, because the daemon was closing an idle line just
 * then, is asked again on a new one. After any other end of a line the caller is told:
 * what the daemon has done meanwhile is not known here.
 *
 * Watches have their lines for as long as they live: remote_stream.c.
 */
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/address.h"
#include "serve/remote_internal.h"

enum { IDLE_MAX = 8, TRIES_MAX = 3 };

/* ---- lines ---- */

static struct line *take_idle(struct remote *remote)
{
    (void)pthread_mutex_lock(&remote->lock);
    struct link *link = sp__list_pop(&remote->idle);
    (void)pthread_mutex_unlock(&remote->lock);
    return link != NULL ? ITEM(link, struct line, on_idle) : NULL;
}

int sp__remote_line(struct remote *remote, uint64_t until_ms, struct line **ret_line,
                    sp_error *err)
{
    struct line *line;
    while ((line = take_idle(remote)) != NULL) {
        if (sp__line_is_usable(line)) {
            *ret_line = line;
            return SP_OK;
        }
        sp__line_close(line);
    }
    return sp__line_open(remote->path, until_ms, ret_line, err);
}

/* The last one used is the next one: the others grow old and are closed. */
static void keep(struct remote *remote, struct line *line)
{
    int has_room;
    (void)pthread_mutex_lock(&remote->lock);
    has_room = remote->idle.length < IDLE_MAX && !line->leaving;
    if (has_room) {
        sp__list_prepend(&remote->idle, &line->on_idle);
    }
    (void)pthread_mutex_unlock(&remote->lock);
    if (!has_room) {
        sp__line_close(line);
    }
}

/* ---- one question ---- */

struct question {
    struct line_rpc rpc;
    struct sp_buffer *reply;
    int answers;
};

static int answer_came(struct line_rpc *rpc, sp_bytes message, sp_error *err)
{
    struct question *question = ITEM(rpc, struct question, rpc);
    if (question->answers++ > 0) {
        return sp__fail(err, SP_ERR_PROTOCOL, "two answers to one question");
    }
    return sp__buf_append(question->reply, message.data, message.size, err);
}

/* Until it is over. Negative: the line is, and the rpc with it. */
static int wait_for_answer(struct line *line, struct question *question,
                           uint64_t until_ms, sp_error *err)
{
    while (question->rpc.stream != NULL) {
        int rc = sp__line_turn(line, until_ms, err);
        if (rc < 0 && question->rpc.stream == NULL) {
            break; /* it was answered with the last words of the daemon */
        }
        if (rc < 0) {
            return rc;
        }
        if (rc == 0) {
            return sp__fail(err, SP_ERR_TIMEOUT,
                            "the daemon has not answered in time; it may have done "
                            "what was asked");
        }
    }
    return SP_OK;
}

/* One try. 1: nobody has looked at it, ask again. */
static int ask_once(struct remote *remote, const char *path, sp_bytes request,
                    uint64_t until_ms, struct sp_buffer *reply, sp_error *err)
{
    struct question question = {.rpc.on_message = answer_came, .reply = reply};
    struct line *line;
    uint64_t now = sp__now_ms();
    int rc = sp__remote_line(remote, until_ms, &line, err);
    if (rc < 0) {
        return rc;
    }
    const struct line_request begun = {.path = path,
                                       .timeout_ms =
                                           until_ms > now ? until_ms - now : 1,
                                       .message = request};
    rc = sp__line_begin(line, &question.rpc, &begun, err);
    if (rc == SP_OK) {
        rc = wait_for_answer(line, &question, until_ms, err);
    }
    if (rc < 0) {
        sp__line_forget(&question.rpc);
        sp__line_close(line);
        sp_error_clear(&question.rpc.failure);
        return rc;
    }
    keep(remote, line);
    if (question.rpc.refused) {
        sp_error_clear(&question.rpc.failure);
        return 1;
    }
    if (question.rpc.failure.code != 0) {
        rc = question.rpc.failure.code;
        sp_error_move(err, &question.rpc.failure);
        return rc;
    }
    return question.answers == 1
               ? SP_OK
               : sp__fail(err, SP_ERR_PROTOCOL, "the daemon gave no answer");
}

static int ask(void *user, const char *path, sp_bytes request, struct sp_buffer *reply,
               sp_error *err)
{
    struct remote *remote = user;
    uint64_t until_ms = sp__now_ms() + remote->timeout_ms;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        int rc = ask_once(remote, path, request, until_ms, reply, err);
        if (rc != 1) {
            return rc;
        }
    }
    return sp__fail(err, SP_ERR_CLOSED, "the daemon at %s takes no requests",
                    remote->path);
}

const struct caller *sp__remote_caller(const struct remote *remote)
{
    return &remote->caller;
}

/* ---- opening and closing ---- */

int sp__remote_open(const char *address, uint64_t timeout_ms,
                    struct remote **ret_remote, sp_error *err)
{
    enum { TIMEOUT_MS = 30 * 1000, TIMEOUT_MAX_MS = 24 * 3600 * 1000 };
    const char *path;
    struct line *line;
    int rc = sp__address_check(address, &path, err);
    if (rc < 0) {
        return rc;
    }
    struct remote *remote = sp__calloc(1, sizeof *remote);
    if (remote == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a set of sessions");
    }
    (void)pthread_mutex_init(&remote->lock, NULL);
    (void)snprintf(remote->path, sizeof remote->path, "%s", path);
    remote->timeout_ms = timeout_ms == 0               ? TIMEOUT_MS
                         : timeout_ms > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS
                                                       : timeout_ms;
    remote->caller = (struct caller){.call = ask, .user = remote};
    /* A daemon that is not there is better known now than with the first question. */
    rc = sp__line_open(remote->path, sp__now_ms() + remote->timeout_ms, &line, err);
    if (rc < 0) {
        sp__remote_close(remote);
        return rc;
    }
    keep(remote, line);
    *ret_remote = remote;
    return SP_OK;
}

void sp__remote_close(struct remote *remote)
{
    struct link *link;
    if (remote == NULL) {
        return;
    }
    while ((link = sp__list_pop(&remote->idle)) != NULL) {
        sp__line_close(ITEM(link, struct line, on_idle));
    }
    (void)pthread_mutex_destroy(&remote->lock);
    sp__free(remote);
}
