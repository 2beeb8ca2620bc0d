/* SPDX-License-Identifier: MIT */
/* Which workers have run calls of a session, so that they can be told of its end. */
#ifndef SP_SESSION_VISITS_H
#define SP_SESSION_VISITS_H

#include <pthread.h>
#include <stdint.h>

#include "base/list.h"
#include "base/names.h"
#include "io/loop.h"

enum { VISITS_MAX = 100000 /* sessions remembered; the longest unused goes */ };

/* What is known of one session; its owner's once it was taken. */
struct visits_entry {
    struct command ended; /* for the owner's errand */
    struct name_node node;
    struct link on_used;
    uint64_t *workers; /* their ids */
    size_t count;
    size_t capacity;
    char session[];
};

/* Any thread, by a lock of its own. */
struct visits {
    pthread_mutex_t lock;
    struct names by_session;
    struct list used; /* the longest unused first */
    /* Set before start, then constant: is a worker of this id still there? */
    int (*is_there)(void *user, uint64_t worker);
    void *user;
};

void sp__visits_init(struct visits *visits,
                     int (*is_there)(void *user, uint64_t worker), void *user);
void sp__visits_fini(struct visits *visits);

/* A call of the session goes to the worker; the thread on which is_there() may be
 * asked. Without memory the worker is not told of the end, no more. */
void sp__visits_note(struct visits *visits, const char *session, uint64_t worker);

/* The session has ended: what was known of it, or NULL. */
struct visits_entry *sp__visits_take(struct visits *visits, const char *session);
void sp__visits_entry_free(struct visits_entry *entry);

#endif
