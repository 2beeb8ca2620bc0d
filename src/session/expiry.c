/* SPDX-License-Identifier: MIT */
/*
 * What becomes of sessions whose time is over.
 *
 * Using a session only writes its new expiry; the heap keeps the old one. When that one
 * comes up and the session has been used since, it goes back in with its true expiry. So
 * use costs nothing here, and each session comes up at most once per time to live.
 *
 * The cleanup goes round the shards. It takes a few expired sessions out of a table
 * under the lock, tells of them without it, and frees them afterwards, a bounded number
 * of objects at a time: a session with thousands of variables, or thousands of sessions
 * at once, never hold up whoever runs the cleanup for longer than the time given.
 *
 * A session that is being changed is left for later.
 */
#include <assert.h>

#include "base/clock.h"
#include "session/keep.h"
#include "session/programs.h"
#include "session/sessions.h"

enum {
    EXPIRED_AT_ONCE = 32, /* taken out of a shard under one lock */
    FREED_AT_ONCE = 256,  /* objects between two looks at the clock */
    LOOK_AGAIN_MS = 1000  /* a session that was being changed */
};

/* Up to EXPIRED_AT_ONCE sessions out of the shard and onto the list. */
static void take_expired(struct sp_sessions *sessions, struct shard *shard,
                         uint64_t now_ms, struct list *ret_expired)
{
    struct heap_node *first;
    (void)pthread_mutex_lock(&shard->lock);
    for (int i = 0; i < EXPIRED_AT_ONCE; i++) {
        first = sp__heap_first(&shard->by_expiry);
        if (first == NULL || first->key > now_ms) {
            break;
        }
        struct session *session = ITEM(first, struct session, in_heap);
        if (session->expires_ms > now_ms) {
            sp__heap_move(&shard->by_expiry, first, session->expires_ms);
        } else if (session->changing) {
            sp__heap_move(&shard->by_expiry, first, now_ms + LOOK_AGAIN_MS);
        } else {
            sp__session_unlink(sessions, session);
            sp__keep_end(sessions, session);
            shard->expired++;
            sp__list_append(ret_expired, &session->on_graves);
        }
    }
    (void)pthread_mutex_unlock(&shard->lock);
}

static int is_due(struct shard *shard, uint64_t now_ms)
{
    (void)pthread_mutex_lock(&shard->lock);
    struct heap_node *first = sp__heap_first(&shard->by_expiry);
    int due = first != NULL && first->key <= now_ms;
    (void)pthread_mutex_unlock(&shard->lock);
    return due;
}

static void tell_and_bury(struct sp_sessions *sessions, struct list *expired)
{
    struct link *link;
    for (link = expired->first; link != NULL; link = link->next) {
        sp__sessions_tell(sessions, SP_EVENT_SESSION_EXPIRED,
                          ITEM(link, struct session, on_graves)->id,
                          "its time to live is over");
    }
    (void)pthread_mutex_lock(&sessions->graves_lock);
    while ((link = sp__list_pop(expired)) != NULL) {
        sp__list_append(&sessions->graves, link);
    }
    (void)pthread_mutex_unlock(&sessions->graves_lock);
}

/* Take what is expired out of the next shard that has some. 0: none has. */
static int expire_some(struct sp_sessions *sessions, size_t *ret_expired)
{
    uint64_t now_ms = sessions->now_ms();
    for (size_t i = 0; i < SHARDS; i++) {
        size_t at = atomic_load(&sessions->cleanup_shard) % SHARDS;
        struct shard *shard = &sessions->shards[at];
        if (is_due(shard, now_ms)) {
            struct list expired = {0};
            take_expired(sessions, shard, now_ms, &expired);
            *ret_expired += expired.length;
            tell_and_bury(sessions, &expired);
            return 1;
        }
        (void)atomic_compare_exchange_strong(&sessions->cleanup_shard, &at,
                                             (at + 1) % SHARDS);
    }
    return 0;
}

/* 0: there was nothing. */
static int free_some(struct sp_sessions *sessions)
{
    size_t budget = FREED_AT_ONCE;
    (void)pthread_mutex_lock(&sessions->graves_lock);
    struct link *grave = sp__list_pop(&sessions->graves);
    (void)pthread_mutex_unlock(&sessions->graves_lock);
    if (grave == NULL) {
        return 0;
    }
    if (!sp__session_free(ITEM(grave, struct session, on_graves), &budget)) {
        (void)pthread_mutex_lock(&sessions->graves_lock);
        sp__list_prepend(&sessions->graves, grave);
        (void)pthread_mutex_unlock(&sessions->graves_lock);
    }
    return 1;
}

int sp__sessions_cleanup(struct sp_sessions *sessions, uint64_t budget_us,
                         size_t *ret_expired)
{
    uint64_t start_us = sp__now_us();
    sp__keep_news(sessions);
    do {
        if (!free_some(sessions) && !expire_some(sessions, ret_expired) &&
            !sp__programs_expire(sessions)) {
            return 0;
        }
    } while (sp__now_us() - start_us < budget_us);
    return 1;
}
