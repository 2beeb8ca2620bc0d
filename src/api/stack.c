/* SPDX-License-Identifier: MIT */
/*
 * Asking a live worker for its stacks.
 *
 * The thread that asks waits, the loop does not: it sends the signal and is asked every
 * few milliseconds how much there is, until nothing has been added for a while. A handler
 * that only notes the signal may run just before its thread goes to sleep, which then
 * hears nothing: who has written nothing is asked again. Of several
 * who ask the same worker each has its turn. What the worker does when it is ended anyway
 * is the ladder's (worker/hang.c), which asks for itself.
 */
#include "snakepit/pit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pit/pit.h"
#include "pool/share.h"

enum {
    STACK_MS = 2000,      /* for the text, and for one's turn */
    STACK_AGAIN_MS = 250, /* nothing yet: the signal came as it went to sleep */
    STACK_LOOK_MS = 5,    /* between two looks */
    STACK_SETTLE_MS = 30  /* as long without another byte: it is all there is */
};

enum progress { PROGRESS_NONE = 0, PROGRESS_TAKEN, PROGRESS_ASKED, PROGRESS_SILENT };

/* One question, as it goes to the loops. */
struct stack_question {
    struct pool *part;
    uint32_t slot;
    int is_last;     /* take what there is */
    int again;       /* ask once more if there is nothing */
    int found;       /* the slot is of this part */
    uint64_t worker; /* 0: it has no process */
    enum progress progress;
    size_t bytes;
    char *text;
};

static void begin(void *user, void *arg)
{
    (void)user;
    struct stack_question *question = arg;
    int seat = sp__pool_seat(question->part, question->slot);
    question->found = seat >= 0;
    struct worker *worker = seat >= 0 ? question->part->workers[seat] : NULL;
    question->worker = 0;
    if (worker == NULL || worker->pid == 0 || worker->state > WORKER_READY) {
        return;
    }
    question->worker = worker->id;
    if (worker->stack_is_asked) {
        question->progress = PROGRESS_TAKEN;
    } else if (sp__worker_ask_stack(worker)) {
        question->progress = PROGRESS_ASKED;
        worker->stack_is_asked = 1;
    } else {
        question->progress = PROGRESS_SILENT;
    }
}

static void look(void *user, void *arg)
{
    (void)user;
    struct stack_question *question = arg;
    int seat = sp__pool_seat(question->part, question->slot);
    struct worker *worker = seat >= 0 ? question->part->workers[seat] : NULL;
    if (worker == NULL || worker->id != question->worker) {
        question->worker = 0;
        return;
    }
    question->bytes = sp__worker_stack_bytes(worker);
    if (!question->is_last) {
        if (question->again && question->bytes == 0 && worker->state <= WORKER_READY) {
            (void)sp__worker_ask_stack(worker);
        }
        return;
    }
    question->text = sp__worker_copy_stack(worker);
    worker->stack_is_asked = 0;
    if (worker->state <= WORKER_READY) { /* else it is the ladder's now */
        sp__worker_forget_stack(worker);
    }
}

static void ask_part(struct stack_question *question, void (*run)(void *, void *))
{
    const struct lane *lane = question->part->owner;
    sp__loop_call(lane->loop, run, question);
}

static void rest(void)
{
    (void)poll(NULL, 0, STACK_LOOK_MS);
}

/* Wait until the text is whole, or nothing comes. */
static void await_text(struct stack_question *question)
{
    uint64_t begin_ms = sp__now_ms();
    uint64_t grown_ms = begin_ms;
    uint64_t asked_ms = begin_ms;
    size_t seen = 0;
    while (question->worker != 0) {
        rest();
        uint64_t now_ms = sp__now_ms();
        question->is_last = now_ms - begin_ms >= STACK_MS ||
                            (seen > 0 && now_ms - grown_ms >= STACK_SETTLE_MS);
        question->again = now_ms - asked_ms >= STACK_AGAIN_MS;
        asked_ms = question->again ? now_ms : asked_ms;
        ask_part(question, look);
        if (question->is_last) {
            return;
        }
        grown_ms = question->bytes != seen ? now_ms : grown_ms;
        seen = question->bytes;
    }
}

/* The part of the pool that has the slot, asked. */
static int find_and_begin(struct pool *pool, struct stack_question *question)
{
    for (uint32_t i = 0; i < sp__pool_parts(pool) && !question->found; i++) {
        question->part = sp__pool_part(pool, i);
        ask_part(question, begin);
    }
    return question->found;
}

static int explain(const struct pool *pool, const struct stack_question *question,
                   sp_error *err)
{
    if (!question->found) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "pool \"%s\" has no worker %u, of %u",
                        pool->name, question->slot, pool->options.workers);
    }
    if (question->worker == 0) {
        return sp__fail(err, SP_ERR_NO_WORKER, "worker %s/%u has no process now",
                        pool->name, question->slot);
    }
    if (question->progress == PROGRESS_SILENT) {
        return sp__fail(err, SP_ERR_UNSUPPORTED, "worker %s/%u shows no stacks",
                        pool->name, question->slot);
    }
    return sp__fail(err, SP_ERR_TIMEOUT,
                    "worker %s/%u wrote no stack within %d ms: it is in code that does "
                    "not come back to its interpreter",
                    pool->name, question->slot, STACK_MS);
}

SP_API int sp_pool_stack_get(sp_pit *pit, const char *pool, uint32_t slot, char *text,
                             size_t max, sp_error *err)
{
    struct stack_question question = {.slot = slot};
    struct pool *found;
    if (pit == NULL || text == NULL || max == 0) {
        return sp__fail(err, SP_ERR_INVAL, "a pit and room for the text are needed");
    }
    int rc = sp__pit_pool(pit, pool, &found, err);
    if (rc < 0) {
        return rc;
    }
    uint64_t begin_ms = sp__now_ms();
    (void)find_and_begin(found, &question);
    while (question.progress == PROGRESS_TAKEN && question.worker != 0 &&
           sp__now_ms() - begin_ms < STACK_MS) {
        rest();
        ask_part(&question, begin);
    }
    if (question.progress == PROGRESS_ASKED && question.worker != 0) {
        await_text(&question);
    }
    if (question.text == NULL) {
        return explain(found, &question, err);
    }
    int length = snprintf(text, max, "%s", question.text);
    sp__free(question.text);
    sp_error_clear(err);
    return length;
}
