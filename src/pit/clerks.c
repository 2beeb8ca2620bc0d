/* SPDX-License-Identifier: MIT */
/*
 * The clerks' queue and their threads.
 *
 * Normal course: the loop puts an errand into the queue; a clerk that waits takes it, or
 * another one is started; it runs the errand and posts it back, and the loop is told
 * that it is done. At the end the clerks finish what they have in hand, and what waits
 * goes back as it is.
 *
 * A clerk that cannot be started is no failure as long as there is another one.
 */
#include "pit/clerks.h"

#include "base/error.h"
#include "base/thread.h"

void sp__clerks_init(struct clerks *clerks, struct loop *loop)
{
    *clerks = (struct clerks){.loop = loop};
    (void)pthread_mutex_init(&clerks->lock, NULL);
    (void)pthread_cond_init(&clerks->some, NULL);
}

static void come_back(struct command *command, void *user)
{
    struct errand *errand = ITEM(command, struct errand, back);
    errand->done(errand, errand->has_run);
}

static void send_back(struct clerks *clerks, struct errand *errand)
{
    errand->back.run = come_back;
    sp__loop_post(clerks->loop, &errand->back);
}

static void *clerk_main(void *arg)
{
    struct clerks *clerks = arg;
    (void)pthread_mutex_lock(&clerks->lock);
    while (!clerks->closing) {
        struct link *link = sp__list_pop(&clerks->queue);
        if (link == NULL) {
            clerks->idle++;
            (void)pthread_cond_wait(&clerks->some, &clerks->lock);
            clerks->idle--;
            continue;
        }
        (void)pthread_mutex_unlock(&clerks->lock);
        struct errand *errand = ITEM(link, struct errand, on_queue);
        errand->has_run = 1;
        errand->run(errand);
        send_back(clerks, errand);
        (void)pthread_mutex_lock(&clerks->lock);
    }
    (void)pthread_mutex_unlock(&clerks->lock);
    return NULL;
}

static int start_clerk(struct clerks *clerks)
{
    int rc =
        sp__thread_start(&clerks->threads[clerks->count], NULL, clerk_main, clerks);
    clerks->count += rc == 0;
    return rc;
}

int sp__clerks_send(struct clerks *clerks, struct errand *errand, sp_error *err)
{
    SP__ON_LOOP(clerks->loop);
    (void)pthread_mutex_lock(&clerks->lock);
    int closing = clerks->closing;
    int full = clerks->queue.length >= ERRANDS_MAX;
    int needs_one = (int)clerks->queue.length >= clerks->idle;
    (void)pthread_mutex_unlock(&clerks->lock);
    if (closing) {
        return sp__fail(err, SP_ERR_CLOSED, "the pit is closing");
    }
    if (full) {
        return sp__fail(err, SP_ERR_QUEUE_FULL, "%d changes wait already, no more may",
                        (int)ERRANDS_MAX);
    }
    if (needs_one && clerks->count < CLERKS_MAX) {
        int rc = start_clerk(clerks);
        if (rc != 0 && clerks->count == 0) {
            return sp__fail_errno(err, rc, "start a thread for changes");
        }
    }
    errand->has_run = 0;
    (void)pthread_mutex_lock(&clerks->lock);
    sp__list_append(&clerks->queue, &errand->on_queue);
    (void)pthread_cond_signal(&clerks->some);
    (void)pthread_mutex_unlock(&clerks->lock);
    return SP_OK;
}

static void all_are_back(void *user, void *arg)
{
}

void sp__clerks_close(struct clerks *clerks)
{
    struct link *link;
    (void)pthread_mutex_lock(&clerks->lock);
    clerks->closing = 1;
    (void)pthread_cond_broadcast(&clerks->some);
    (void)pthread_mutex_unlock(&clerks->lock);
    for (int i = 0; i < clerks->count; i++) {
        (void)pthread_join(clerks->threads[i], NULL);
    }
    while ((link = sp__list_pop(&clerks->queue)) != NULL) {
        send_back(clerks, ITEM(link, struct errand, on_queue));
    }
    /* Behind the last one that came back. */
    sp__loop_call(clerks->loop, all_are_back, NULL);
    (void)pthread_cond_destroy(&clerks->some);
    (void)pthread_mutex_destroy(&clerks->lock);
}
