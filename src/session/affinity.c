/* SPDX-License-Identifier: MIT */
/*
 * The worker a session was served by last, so that the next call finds what the first
 * one left in that worker's memory.
 *
 * Bounded in number and in time; both ends are kept by one list in order of use. Keys
 * are 64-bit hashes of session and pool: two sessions that collide would share a worker,
 * which costs nothing but the spread.
 */
#include "session/affinity.h"

#include "base/mem.h"

struct entry {
    struct link on_used;
    uint64_t key;
    uint64_t worker; /* 0: none yet */
    uint32_t place;  /* the part of its pool that has it */
    uint64_t used_ms;
};

static void forget(struct affinity *affinity, struct entry *entry)
{
    (void)sp__map_take(&affinity->by_key, entry->key);
    sp__list_remove(&entry->on_used);
    sp__free(entry);
}

static void expire(struct affinity *affinity, uint64_t now_ms)
{
    while (affinity->used.first != NULL) {
        struct entry *oldest = ITEM(affinity->used.first, struct entry, on_used);
        if (affinity->used.length <= AFFINITY_MAX &&
            now_ms < oldest->used_ms + AFFINITY_TTL_MS) {
            break;
        }
        forget(affinity, oldest);
    }
}

void sp__affinity_share(struct affinity *affinity)
{
    (void)pthread_mutex_init(&affinity->lock, NULL);
    affinity->is_shared = 1;
}

void sp__affinity_fini(struct affinity *affinity)
{
    while (affinity->used.first != NULL) {
        forget(affinity, ITEM(affinity->used.first, struct entry, on_used));
    }
    sp__map_fini(&affinity->by_key);
    if (affinity->is_shared) {
        (void)pthread_mutex_destroy(&affinity->lock);
    }
}

uint64_t sp__affinity_key(uint64_t session_hash, const void *pool)
{
    uint64_t key = session_hash ^ ((uint64_t)(uintptr_t)pool * 0x9e3779b97f4a7c15u);
    return key == 0 ? 1 : key;
}

static struct entry *find(struct affinity *affinity, uint64_t key, uint64_t now_ms)
{
    expire(affinity, now_ms);
    return sp__map_find(&affinity->by_key, key);
}

/* A new one, or NULL without memory. */
static struct entry *add(struct affinity *affinity, uint64_t key)
{
    struct entry *entry = sp__calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->key = key;
    if (sp__map_put(&affinity->by_key, key, entry) < 0) {
        sp__free(entry);
        return NULL;
    }
    return entry;
}

static void use(struct affinity *affinity, struct entry *entry, uint64_t now_ms)
{
    sp__list_remove(&entry->on_used);
    entry->used_ms = now_ms;
    sp__list_append(&affinity->used, &entry->on_used);
}

static void set(struct affinity *affinity, uint64_t key, uint64_t worker,
                uint64_t now_ms)
{
    struct entry *entry = sp__map_find(&affinity->by_key, key);
    if (worker == 0) {
        if (entry != NULL) {
            forget(affinity, entry);
        }
        return;
    }
    if (entry == NULL) {
        entry = add(affinity, key);
    }
    if (entry != NULL) {
        entry->worker = worker;
        use(affinity, entry, now_ms);
        expire(affinity, now_ms);
    }
}

/* ---- for all ---- */

static void lock(struct affinity *affinity)
{
    if (affinity->is_shared) {
        (void)pthread_mutex_lock(&affinity->lock);
    }
}

static void unlock(struct affinity *affinity)
{
    if (affinity->is_shared) {
        (void)pthread_mutex_unlock(&affinity->lock);
    }
}

uint64_t sp__affinity_find(struct affinity *affinity, uint64_t key, uint64_t now_ms)
{
    lock(affinity);
    const struct entry *entry = find(affinity, key, now_ms);
    uint64_t worker = entry == NULL ? 0 : entry->worker;
    unlock(affinity);
    return worker;
}

void sp__affinity_set(struct affinity *affinity, uint64_t key, uint64_t worker,
                      uint64_t now_ms)
{
    lock(affinity);
    set(affinity, key, worker, now_ms);
    unlock(affinity);
}

uint32_t sp__affinity_place(struct affinity *affinity, uint64_t key, uint32_t wished,
                            uint64_t now_ms)
{
    lock(affinity);
    struct entry *entry = find(affinity, key, now_ms);
    if (entry == NULL && (entry = add(affinity, key)) != NULL) {
        entry->place = wished;
    }
    if (entry != NULL) {
        use(affinity, entry, now_ms);
        wished = entry->place;
    }
    unlock(affinity);
    return wished;
}

void sp__affinity_move(struct affinity *affinity, uint64_t key, uint32_t place)
{
    lock(affinity);
    struct entry *entry = sp__map_find(&affinity->by_key, key);
    if (entry != NULL) {
        entry->place = place;
    }
    unlock(affinity);
}
