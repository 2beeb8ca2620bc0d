/* SPDX-License-Identifier: MIT */
/*
 * Questions about the state, each answered with one message.
 *
 * Normal course: a question that only looks is answered at once. One that changes
 * something, or has a lot to tell, is copied and given to a clerk, because it may wait for
 * others who change the same, and for a commit, or just take long; its answer leaves when
 * it comes back.
 *
 * Failure: the rpc ends with the status and details of its error. Whoever resets the
 * stream or is gone hears nothing more; a change that a clerk has not begun is then not
 * made, and one that it has begun is made whole.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/rpc.h"
#include "serve/server.h"

enum { PREFIX_BYTES = 5 /* gRPC: not compressed, length */ };

/* A change on its way to a clerk and back. */
struct deed {
    struct errand errand;
    struct rpc *rpc; /* loop thread; NULL when nobody waits any more */
    atomic_int is_unwanted;
    struct asking asking;
    answer_fn answer;
    struct sp_buffer reply;
    sp_error error;
    size_t question_size;
    char *session;      /* behind the question */
    uint8_t question[]; /* the message, and the session's name */
};

struct asking sp__asking_of(const struct rpc *rpc)
{
    const struct peer *peer = rpc->peer;
    const struct request *parent = rpc->parent;
    return (struct asking){
        .pit = peer->pit,
        .sessions = peer->pit->sessions,
        .session = parent != NULL ? parent->session : "",
        .deadline_ms = parent != NULL ? parent->deadline_ms : SP_UNLIMITED,
        .call = parent != NULL ? parent->id : 0,
        .worker = peer->worker != NULL ? peer->worker->id : 0,
        .is_own = peer->client != NULL && sp__client_is_own(peer->client),
    };
}

int sp__asking_session(const struct asking *asking, const char *named,
                       const char **ret_session, sp_error *err)
{
    if (named[0] == '\0' || asking->session[0] == '\0') {
        *ret_session = named[0] == '\0' ? asking->session : named;
        return SP_OK;
    }
    if (strcmp(named, asking->session) != 0) {
        return sp__fail(err, SP_ERR_REFUSED,
                        "a call of session \"%.64s\" asks about session \"%.64s\"",
                        asking->session, named);
    }
    *ret_session = named;
    return SP_OK;
}

/* ---- the answer ---- */

/* Room for the prefix, and behind it what the answer appends. */
static int make(const struct asking *asking, answer_fn answer, sp_bytes question,
                struct sp_buffer *reply, sp_error *err)
{
    sp__buf_init(reply, SIZE_MAX / 2);
    int rc = sp__buf_append(reply, "\0\0\0\0", PREFIX_BYTES, err);
    return rc < 0 ? rc : answer(asking, question, reply, err);
}

static void deliver(struct rpc *rpc, struct sp_buffer *reply, int rc, sp_error *failure)
{
    if (rc == SP_OK) {
        uint8_t *data;
        size_t size;
        sp__buf_take(reply, &data, &size);
        rc = sp__h2_write_take(rpc->stream, &data, size - PREFIX_BYTES, failure);
        sp__free(data); /* NULL once it was taken */
    }
    if (rc == SP_OK) {
        sp__rpc_finish(rpc, GRPC_OK, NULL);
    } else {
        sp__rpc_fail(rpc, failure);
    }
}

/* 0 when it takes too long for here. */
static int answer_here(struct rpc *rpc, sp_bytes question)
{
    struct asking asking = sp__asking_of(rpc);
    struct sp_buffer reply;
    sp_error failure = {0};
    asking.is_hurried = 1;
    int rc = make(&asking, rpc->method->answer, question, &reply, &failure);
    if (rc != ANSWER_LATER) {
        deliver(rpc, &reply, rc, &failure);
    }
    sp__buf_fini(&reply);
    sp_error_clear(&failure);
    return rc != ANSWER_LATER;
}

/* ---- changes ---- */

static void run(struct errand *errand)
{
    struct deed *deed = ITEM(errand, struct deed, errand);
    if (atomic_load_explicit(&deed->is_unwanted, memory_order_relaxed)) {
        sp__fail(&deed->error, SP_ERR_CANCELLED, "who asked for it is gone");
        return;
    }
    (void)make(&deed->asking, deed->answer,
               (sp_bytes){deed->question, deed->question_size}, &deed->reply,
               &deed->error);
}

static void free_deed(struct deed *deed)
{
    sp__buf_fini(&deed->reply);
    sp_error_clear(&deed->error);
    sp__free(deed);
}

static void done(struct errand *errand, int has_run)
{
    struct deed *deed = ITEM(errand, struct deed, errand);
    struct rpc *rpc = deed->rpc;
    if (!has_run) {
        sp__fail(&deed->error, SP_ERR_CLOSED, "the pit is closing");
    }
    if (rpc != NULL) {
        rpc->deed = NULL;
        deliver(rpc, &deed->reply, deed->error.code, &deed->error);
    }
    free_deed(deed);
}

static int send(struct rpc *rpc, sp_bytes question, sp_error *err)
{
    struct asking asking = sp__asking_of(rpc);
    size_t session_size = strlen(asking.session) + 1;
    struct deed *deed = sp__calloc(1, sizeof *deed + question.size + session_size);
    if (deed == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a change");
    }
    if (question.size > 0) {
        memcpy(deed->question, question.data, question.size);
    }
    deed->question_size = question.size;
    deed->session = (char *)deed->question + question.size;
    memcpy(deed->session, asking.session, session_size);
    deed->asking = asking;
    deed->asking.session = deed->session;
    deed->answer = rpc->method->answer;
    deed->errand.run = run;
    deed->errand.done = done;
    sp__buf_init(&deed->reply, SIZE_MAX / 2);
    int rc = sp__clerks_send(&rpc->peer->lane->clerks, &deed->errand, err);
    if (rc < 0) {
        free_deed(deed);
        return rc;
    }
    deed->rpc = rpc;
    rpc->deed = deed;
    return SP_OK;
}

void sp__answer_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    sp_bytes question = {data, size};
    if (rpc->method->kind == METHOD_READ && answer_here(rpc, question)) {
        return;
    }
    sp_error failure = {0};
    if (send(rpc, question, &failure) < 0) {
        sp__rpc_fail(rpc, &failure);
    }
    sp_error_clear(&failure);
}

void sp__answer_gone(struct rpc *rpc)
{
    if (rpc->deed != NULL) {
        atomic_store_explicit(&rpc->deed->is_unwanted, 1, memory_order_relaxed);
        rpc->deed->rpc = NULL;
        rpc->deed = NULL;
    }
}
