/* SPDX-License-Identifier: MIT */
/*
 * Watching the variables of a session.
 *
 * A change is put into each watcher's queue while the session's shard is locked, so that
 * every queue has all changes in the order in which they were made. A queue is bounded:
 * when one more does not fit, the watch is over, and says so once what it holds has been
 * taken; a gap is never silent. Values are shared, not copied, until they are taken.
 *
 * Locks are taken in the order shard, watch. A watch outlives its session: then it
 * stands on no list, and ends in the same way.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/variable.h"

enum { QUEUE_MAX = 1024, NAMES_MAX = 10000 };

struct change_node {
    struct link on_queue;
    int kind;
    struct var_view view;
};

struct watcher {
    /* Set before start, then constant. */
    struct shard *shard;
    char **names; /* NULL: all */
    size_t names_count;
    uint32_t queue_max;
    struct watch_notice notice;

    struct link
        on_session; /* under the shard's lock; on no list: the session is gone */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    struct list queue;
    int over; /* 0, or the code to end with */
};

static int is_watched(const struct watcher *watch, const char *name)
{
    if (watch->names == NULL) {
        return 1;
    }
    for (size_t i = 0; i < watch->names_count; i++) {
        if (strcmp(watch->names[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

/* With the lock. */
static void tell(struct watcher *watch)
{
    (void)pthread_cond_signal(&watch->changed);
    if (watch->notice.fn != NULL) {
        watch->notice.fn(watch->notice.user);
    }
}

static void push(struct watcher *watch, const struct variable *variable, int kind)
{
    struct change_node *node = NULL;
    (void)pthread_mutex_lock(&watch->lock);
    if (watch->over == 0 && watch->queue.length < watch->queue_max) {
        node = sp__calloc(1, sizeof *node);
    }
    if (node != NULL) {
        node->kind = kind;
        sp__view_init(&node->view, variable);
        sp__list_append(&watch->queue, &node->on_queue);
    } else if (watch->over == 0) {
        watch->over = SP_ERR_TOO_SLOW; /* or without memory: a change is missing */
    }
    tell(watch);
    (void)pthread_mutex_unlock(&watch->lock);
}

void sp__watches_tell(struct session *session, const struct variable *variable,
                      int kind)
{
    for (struct link *link = session->watches.first; link != NULL; link = link->next) {
        struct watcher *watch = ITEM(link, struct watcher, on_session);
        if (is_watched(watch, variable->name)) {
            push(watch, variable, kind);
        }
    }
}

void sp__watches_end(struct session *session)
{
    struct link *link;
    while ((link = sp__list_pop(&session->watches)) != NULL) {
        struct watcher *watch = ITEM(link, struct watcher, on_session);
        (void)pthread_mutex_lock(&watch->lock);
        if (watch->over == 0) {
            watch->over = SP_ERR_NOT_FOUND;
        }
        tell(watch);
        (void)pthread_mutex_unlock(&watch->lock);
    }
}

/* ---- opening and closing ---- */

static void free_watch(struct watcher *watch)
{
    struct link *link;
    while ((link = sp__list_pop(&watch->queue)) != NULL) {
        struct change_node *node = ITEM(link, struct change_node, on_queue);
        sp__view_fini(&node->view);
        sp__free(node);
    }
    for (size_t i = 0; watch->names != NULL && i < watch->names_count; i++) {
        sp__free(watch->names[i]);
    }
    sp__free(watch->names);
    (void)pthread_cond_destroy(&watch->changed);
    (void)pthread_mutex_destroy(&watch->lock);
    sp__free(watch);
}

static struct watcher *new_watch(const sp_watch_options *options)
{
    pthread_condattr_t monotonic;
    struct watcher *watch = sp__calloc(1, sizeof *watch);
    if (watch == NULL) {
        return NULL;
    }
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_cond_init(&watch->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    watch->queue_max = options->queue_max == 0 ? QUEUE_MAX : options->queue_max;
    if (options->names != NULL) {
        watch->names = sp__calloc(options->names_count + 1, sizeof *watch->names);
        if (watch->names == NULL) {
            free_watch(watch);
            return NULL;
        }
    }
    return watch;
}

/* Locked: the names asked for, which may be ids, as names. */
static int take_names(struct watcher *watch, const struct session *session,
                      const sp_watch_options *options, sp_error *err)
{
    for (size_t i = 0; options->names != NULL && i < options->names_count; i++) {
        struct variable *variable;
        int rc = sp__variable_need(session, options->names[i], &variable, err);
        if (rc < 0) {
            return rc;
        }
        watch->names[i] = sp__strdup(variable->name);
        if (watch->names[i] == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a watch");
        }
        watch->names_count++;
    }
    return SP_OK;
}

static void push_initial(struct watcher *watch, const struct session *session)
{
    struct link *link = session->variables_by_age.first;
    for (; link != NULL; link = link->next) {
        const struct variable *variable = ITEM(link, struct variable, on_age);
        if (is_watched(watch, variable->name)) {
            push(watch, variable, SP_CHANGE_INITIAL);
        }
    }
}

int sp__watcher_open(struct sp_sessions *sessions, const char *session_id,
                     const sp_watch_options *options, const struct watch_notice *notice,
                     struct watcher **ret_watch, sp_error *err)
{
    struct session *session;
    if (options->names_count > NAMES_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "%zu names to watch: at most %d",
                        options->names_count, NAMES_MAX);
    }
    struct watcher *watch = new_watch(options);
    if (watch == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a watch");
    }
    if (notice != NULL) {
        watch->notice = *notice;
    }
    int rc = sp__session_lock(sessions, session_id, &session, err);
    if (rc == SP_OK) {
        rc = take_names(watch, session, options, err);
        if (rc == SP_OK) {
            watch->shard = session->shard;
            sp__list_append(&session->watches, &watch->on_session);
            if (options->initial) {
                push_initial(watch, session);
            }
        }
        sp__session_unlock(session);
    }
    if (rc < 0) {
        free_watch(watch);
        return rc;
    }
    *ret_watch = watch;
    return SP_OK;
}

void sp__watcher_close(struct watcher *watch)
{
    if (watch != NULL) {
        (void)pthread_mutex_lock(&watch->shard->lock);
        sp__list_remove(&watch->on_session);
        (void)pthread_mutex_unlock(&watch->shard->lock);
        free_watch(watch);
    }
}

/* ---- taking ---- */

static struct timespec deadline_after(uint64_t timeout_ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(timeout_ms / 1000);
    at.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* With the lock: until there is something, or the time is over. */
static void wait_for_change(struct watcher *watch, uint64_t timeout_ms)
{
    enum { FOREVER_MS = 1000000000 }; /* time_t may be anything but larger than that */
    struct timespec deadline =
        deadline_after(timeout_ms < FOREVER_MS ? timeout_ms : FOREVER_MS);
    int waiting = timeout_ms > 0;
    while (watch->queue.first == NULL && watch->over == 0 && waiting) {
        if (timeout_ms == SP_UNLIMITED) {
            (void)pthread_cond_wait(&watch->changed, &watch->lock);
        } else {
            waiting = pthread_cond_timedwait(&watch->changed, &watch->lock,
                                             &deadline) != ETIMEDOUT;
        }
    }
}

static int end_of(const struct watcher *watch, int over, sp_error *err)
{
    switch (over) {
    case 0:
        return 0;
    case SP_ERR_TOO_SLOW:
        return sp__fail(
            err, over,
            "more than %u changes waited to be taken: some are missing from "
            "here on",
            watch->queue_max);
    default:
        return sp__fail(err, over, "the watched session has ended");
    }
}

int sp__watcher_next(struct watcher *watch, uint64_t timeout_ms, sp_change *ret_change,
                     sp_error *err)
{
    (void)pthread_mutex_lock(&watch->lock);
    wait_for_change(watch, timeout_ms);
    struct link *link = sp__list_pop(&watch->queue);
    int over = watch->over;
    (void)pthread_mutex_unlock(&watch->lock);
    if (link == NULL) {
        return end_of(watch, over, err);
    }
    struct change_node *node = ITEM(link, struct change_node, on_queue);
    ret_change->kind = node->kind;
    int rc = sp__view_copy(&node->view, &ret_change->variable, err);
    if (rc < 0) {
        (void)pthread_mutex_lock(&watch->lock);
        sp__list_prepend(&watch->queue, link);
        (void)pthread_mutex_unlock(&watch->lock);
        return rc;
    }
    sp__view_fini(&node->view);
    sp__free(node);
    return 1;
}
