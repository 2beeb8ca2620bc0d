/* SPDX-License-Identifier: MIT */
/*
 * Who ran calls of which session.
 *
 * A call that goes to a worker is noted, with one look into a table when the worker is
 * known already. A session's end, which any thread may find, takes its entry out; the
 * entry carries the errand with which the workers are told, so that telling needs no
 * memory.
 *
 * Bounded like the affinities: sessions that nobody ends go out at the other end. The
 * workers of one entry are looked through when there is no more room, and those that
 * are no more leave.
 */
#include "session/visits.h"

#include <string.h>

#include "base/mem.h"

enum { WORKERS_AT_FIRST = 4 };

void sp__visits_init(struct visits *visits,
                     int (*is_there)(void *user, uint64_t worker), void *user)
{
    *visits = (struct visits){.is_there = is_there, .user = user};
    (void)pthread_mutex_init(&visits->lock, NULL);
}

void sp__visits_entry_free(struct visits_entry *entry)
{
    if (entry != NULL) {
        sp__free(entry->workers);
        sp__free(entry);
    }
}

static void take_out(struct visits *visits, struct visits_entry *entry)
{
    sp__names_remove(&visits->by_session, &entry->node);
    sp__list_remove(&entry->on_used);
}

void sp__visits_fini(struct visits *visits)
{
    while (visits->used.first != NULL) {
        struct visits_entry *entry =
            ITEM(visits->used.first, struct visits_entry, on_used);
        take_out(visits, entry);
        sp__visits_entry_free(entry);
    }
    sp__names_fini(&visits->by_session);
    (void)pthread_mutex_destroy(&visits->lock);
}

/* Locked. */
static struct visits_entry *find(struct visits *visits, const char *session,
                                 size_t size)
{
    struct name_node *node = sp__names_find(&visits->by_session, session, size);
    return node != NULL ? ITEM(node, struct visits_entry, node) : NULL;
}

/* Locked. */
static struct visits_entry *add(struct visits *visits, const char *session, size_t size)
{
    struct visits_entry *entry = sp__calloc(1, sizeof *entry + size + 1);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->session, session, size);
    if (sp__names_put(&visits->by_session, &entry->node, entry->session, size) < 0) {
        sp__free(entry);
        return NULL;
    }
    return entry;
}

static void drop_dead(const struct visits *visits, struct visits_entry *entry)
{
    size_t kept = 0;
    for (size_t i = 0; i < entry->count; i++) {
        if (visits->is_there(visits->user, entry->workers[i])) {
            entry->workers[kept++] = entry->workers[i];
        }
    }
    entry->count = kept;
}

static void add_worker(const struct visits *visits, struct visits_entry *entry,
                       uint64_t worker)
{
    if (entry->count == entry->capacity) {
        drop_dead(visits, entry);
    }
    if (entry->count == entry->capacity) {
        size_t wanted = entry->capacity > 0 ? 2 * entry->capacity : WORKERS_AT_FIRST;
        uint64_t *grown = sp__realloc(entry->workers, wanted * sizeof *grown);
        if (grown == NULL) {
            return;
        }
        entry->workers = grown;
        entry->capacity = wanted;
    }
    entry->workers[entry->count++] = worker;
}

static int has_worker(const struct visits_entry *entry, uint64_t worker)
{
    for (size_t i = entry->count; i > 0; i--) {
        if (entry->workers[i - 1] == worker) {
            return 1;
        }
    }
    return 0;
}

void sp__visits_note(struct visits *visits, const char *session, uint64_t worker)
{
    size_t size = strlen(session);
    struct visits_entry *oldest = NULL;
    (void)pthread_mutex_lock(&visits->lock);
    struct visits_entry *entry = find(visits, session, size);
    if (entry == NULL) {
        entry = add(visits, session, size);
    } else {
        sp__list_remove(&entry->on_used);
    }
    if (entry != NULL) {
        sp__list_append(&visits->used, &entry->on_used);
        if (!has_worker(entry, worker)) {
            add_worker(visits, entry, worker);
        }
    }
    if (visits->used.length > VISITS_MAX) {
        oldest = ITEM(visits->used.first, struct visits_entry, on_used);
        take_out(visits, oldest);
    }
    (void)pthread_mutex_unlock(&visits->lock);
    sp__visits_entry_free(oldest);
}

struct visits_entry *sp__visits_take(struct visits *visits, const char *session)
{
    (void)pthread_mutex_lock(&visits->lock);
    struct visits_entry *entry = find(visits, session, strlen(session));
    if (entry != NULL) {
        take_out(visits, entry);
    }
    (void)pthread_mutex_unlock(&visits->lock);
    return entry;
}
