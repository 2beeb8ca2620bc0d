/* SPDX-License-Identifier: MIT */
/*
 * Deadlocks of pools that are divided over several lanes.
 *
 * A nested call that waits holds the calls that asked for it: a worker whose running calls
 * are all held by calls that wait in front of its own pool frees no place. When that is
 * true of every worker of the pool, in all parts, nothing would ever move again. In a pool
 * that is whole its core knows at once (pool/core_nest.c); here a search finds out.
 *
 * Normal course: a nested call waits, and a moment later one errand goes from lane to lane
 * and writes down which calls run and which wait. Mostly some worker is free by then, and
 * that is all. If not, it goes round once more: what was there in both rounds was there
 * all at once between them, so what is stuck in both is stuck. The newest of the calls that
 * wait ends with SP_ERR_DEADLOCK, and the search begins anew, now and then, as long as any
 * nested call waits.
 *
 * Failure: without memory for what it sees a search is given up, and the next one follows.
 */
#include "pit/deadlock.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "pit/pit_internal.h"
#include "pool/lineage.h"
#include "pool/share.h"

enum { FIRST_MS = 10, AGAIN_MS = 100 };

/* A worker with calls, or a call: one that runs there, or one that waits. */
struct sight {
    uint32_t pool;
    enum { SIGHT_SEAT, SIGHT_RUNNING, SIGHT_WAITING, SIGHT_HELD } kind;
    uint64_t id;   /* of the call; of a seat: how many it runs at once */
    uint32_t lane; /* of one that waits */
};

struct deadlock {
    struct sp_pit *pit;
    atomic_int is_suspected; /* an errand to set the timer is on its way */
    struct command suspect;

    /* First lane. */
    struct timer timer;
    int is_searching;
    int again; /* a call has come to wait since that began */

    /* The lane where the errand is. */
    struct command errand;
    struct sight *sights;
    size_t count;
    size_t capacity;
    int failed;       /* no memory */
    int any_waits;    /* a nested call, anywhere */
    char *is_free;    /* of each pool: some worker may take a call */
    uint64_t *hashes; /* of each pool in the first round, 0: not stuck */
    int round;        /* 0 or 1 */
    uint64_t victim;
    uint32_t victim_lane;
};

/* ---- looking ---- */

static void note(struct deadlock *deadlock, struct sight sight)
{
    if (deadlock->count == deadlock->capacity) {
        size_t wanted = deadlock->capacity > 0 ? 2 * deadlock->capacity : 64;
        struct sight *grown = sp__realloc(deadlock->sights, wanted * sizeof *grown);
        if (grown == NULL) {
            deadlock->failed = 1;
            return;
        }
        deadlock->sights = grown;
        deadlock->capacity = wanted;
    }
    deadlock->sights[deadlock->count++] = sight;
}

/* It has, or will have, a place without a call's having to end. */
static int is_open(const struct core_seat *seat)
{
    switch (seat->state) {
    case SEAT_EMPTY:
        return 0;
    case SEAT_WAITING:
    case SEAT_STARTING:
    case SEAT_STOPPING:
        return 1;
    case SEAT_READY:
        return seat->stuck || seat->spent || seat->in_flight == 0;
    case SEAT_DRAINING:
        return seat->in_flight == 0;
    }
    return 1;
}

/* Its workers, each with the calls on it behind it. */
static void note_running(struct deadlock *deadlock, const struct pool *part,
                         uint32_t pool)
{
    const struct core *core = &part->core;
    for (uint32_t seat = 0; seat < core->seats_count; seat++) {
        const struct core_seat *s = &core->seats[seat];
        if (is_open(s)) {
            deadlock->is_free[pool] = 1;
            return;
        }
        if (s->in_flight == 0) {
            continue;
        }
        uint32_t at_once = s->in_flight < s->capacity ? s->in_flight : s->capacity;
        note(deadlock, (struct sight){.pool = pool, .kind = SIGHT_SEAT, .id = at_once});
        for (uint32_t at = 0; at < core->calls_max; at++) {
            if (core->calls[at].state == CALL_SENT && core->calls[at].seat == seat) {
                note(deadlock, (struct sight){.pool = pool,
                                              .kind = SIGHT_RUNNING,
                                              .id = part->requests[at]->id});
            }
        }
    }
}

/* Those that wait, each with those that wait for it behind it. */
static void note_waiting(struct deadlock *deadlock, const struct pool *part,
                         uint32_t pool, uint32_t lane)
{
    const struct core *core = &part->core;
    for (uint32_t at = core->queue.first; at != CORE_NONE; at = core->calls[at].next) {
        const struct request *request = part->requests[at];
        if (!core->calls[at].nested) {
            continue;
        }
        deadlock->any_waits = 1;
        note(deadlock,
             (struct sight){
                 .pool = pool, .kind = SIGHT_WAITING, .id = request->id, .lane = lane});
        for (uint32_t i = 0; i < request->lineage->depth; i++) {
            note(deadlock, (struct sight){.pool = pool,
                                          .kind = SIGHT_HELD,
                                          .id = request->lineage->calls[i]});
        }
    }
}

static void look_around(struct deadlock *deadlock, const struct lane *lane)
{
    for (size_t i = 0; i < deadlock->pit->pools_count; i++) {
        const struct pool *part = sp__pools_part_on(lane, i);
        if (part != NULL) {
            note_waiting(deadlock, part, (uint32_t)i, lane->number);
            if (!deadlock->is_free[i]) {
                note_running(deadlock, part, (uint32_t)i);
            }
        }
    }
}

/* ---- thinking ---- */

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The calls of a pool that are held, in order. The caller frees them. */
static uint64_t *gather_held(const struct deadlock *deadlock, uint32_t pool,
                             size_t *ret_count)
{
    uint64_t *held = sp__calloc(deadlock->count + 1, sizeof *held);
    size_t count = 0;
    for (size_t i = 0; held != NULL && i < deadlock->count; i++) {
        const struct sight *sight = &deadlock->sights[i];
        if (sight->pool == pool && sight->kind == SIGHT_HELD) {
            held[count++] = sight->id;
        }
    }
    if (held != NULL) {
        qsort(held, count, sizeof *held, compare_ids);
    }
    *ret_count = count;
    return held;
}

/* On every worker at least as many calls are held as it runs at once. */
static int is_stuck(const struct deadlock *deadlock, uint32_t pool,
                    const uint64_t *held, size_t held_count)
{
    uint64_t missing = 0; /* of the seat that is looked at */
    for (size_t i = 0; i < deadlock->count; i++) {
        const struct sight *sight = &deadlock->sights[i];
        if (sight->pool != pool) {
            continue;
        }
        if (sight->kind == SIGHT_SEAT) {
            if (missing > 0) {
                return 0;
            }
            missing = sight->id;
        } else if (sight->kind == SIGHT_RUNNING && missing > 0) {
            missing -= bsearch(&sight->id, held, held_count, sizeof *held,
                               compare_ids) != NULL;
        }
    }
    return missing == 0;
}

/* FNV-1a over what was seen of a pool; never 0. */
static uint64_t hash_of(const struct deadlock *deadlock, uint32_t pool)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < deadlock->count; i++) {
        const struct sight *sight = &deadlock->sights[i];
        if (sight->pool == pool) {
            hash = (hash ^ (uint64_t)sight->kind) * 1099511628211u;
            hash = (hash ^ sight->id) * 1099511628211u;
        }
    }
    return hash | 1;
}

static void choose_victim(struct deadlock *deadlock, uint32_t pool)
{
    for (size_t i = 0; i < deadlock->count; i++) {
        const struct sight *sight = &deadlock->sights[i];
        if (sight->pool == pool && sight->kind == SIGHT_WAITING &&
            sight->id > deadlock->victim) {
            deadlock->victim = sight->id;
            deadlock->victim_lane = sight->lane;
        }
    }
}

/* Returns 1 when some pool is stuck, in this round and in the one before. */
static int think(struct deadlock *deadlock)
{
    int any = 0;
    for (uint32_t i = 0; i < deadlock->pit->pools_count && !deadlock->failed; i++) {
        uint64_t before = deadlock->hashes[i];
        deadlock->hashes[i] = 0;
        size_t count = 0;
        uint64_t *held = deadlock->is_free[i] ? NULL : gather_held(deadlock, i, &count);
        if (count > 0 && is_stuck(deadlock, i, held, count)) {
            deadlock->hashes[i] = hash_of(deadlock, i);
            if (deadlock->round == 0 || before == deadlock->hashes[i]) {
                choose_victim(deadlock, i);
                any = 1;
            }
        }
        sp__free(held);
    }
    return any;
}

/* ---- going round ---- */

static void run_search(struct command *command, void *user);

static void begin_round(struct deadlock *deadlock, int round)
{
    deadlock->round = round;
    deadlock->count = 0;
    deadlock->failed = 0;
    deadlock->any_waits = 0;
    deadlock->victim = 0;
    memset(deadlock->is_free, 0, deadlock->pit->pools_count);
    deadlock->errand.run = run_search;
    sp__loop_post(deadlock->pit->loop, &deadlock->errand);
}

static void run_rest(struct command *command, void *user)
{
    struct deadlock *deadlock = ITEM(command, struct deadlock, errand);
    struct lane *lane = user;
    int again = deadlock->any_waits || deadlock->again;
    deadlock->is_searching = 0;
    deadlock->again = 0;
    if (again && !lane->closing) {
        sp__timer_set(lane->loop, &deadlock->timer,
                      sp__loop_now_ms(lane->loop) + AGAIN_MS);
    }
}

/* Back to the first lane. */
static void rest(struct deadlock *deadlock)
{
    deadlock->errand.run = run_rest;
    sp__loop_post(deadlock->pit->loop, &deadlock->errand);
}

/* On the lane of the one that is to end. */
static void run_end(struct command *command, void *user)
{
    struct deadlock *deadlock = ITEM(command, struct deadlock, errand);
    struct lane *lane = user;
    struct request *request = sp__map_find(&lane->requests, deadlock->victim);
    if (request != NULL && !lane->closing) {
        sp__pool_end_deadlock(request);
        begin_round(deadlock, 0);
    } else {
        rest(deadlock);
    }
}

static void end_round(struct deadlock *deadlock)
{
    struct sp_pit *pit = deadlock->pit;
    if (!think(deadlock)) {
        rest(deadlock);
    } else if (deadlock->round == 0) {
        begin_round(deadlock, 1);
    } else {
        deadlock->errand.run = run_end;
        sp__loop_post(pit->lanes[deadlock->victim_lane].loop, &deadlock->errand);
    }
}

static void run_search(struct command *command, void *user)
{
    struct deadlock *deadlock = ITEM(command, struct deadlock, errand);
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    if (lane->closing) {
        rest(deadlock);
        return;
    }
    look_around(deadlock, lane);
    if (lane->number + 1 < pit->lanes_count) {
        sp__loop_post(pit->lanes[lane->number + 1].loop, command);
    } else {
        end_round(deadlock);
    }
}

/* ---- on the first lane ---- */

static void search(struct timer *timer, uint64_t now_ms)
{
    struct deadlock *deadlock = ITEM(timer, struct deadlock, timer);
    if (!deadlock->is_searching) {
        deadlock->is_searching = 1;
        begin_round(deadlock, 0);
    }
}

static void run_suspect(struct command *command, void *user)
{
    struct deadlock *deadlock = ITEM(command, struct deadlock, suspect);
    struct lane *lane = user;
    atomic_store(&deadlock->is_suspected, 0);
    deadlock->again = deadlock->is_searching;
    if (!deadlock->is_searching && !lane->closing) {
        sp__timer_set(lane->loop, &deadlock->timer,
                      sp__loop_now_ms(lane->loop) + FIRST_MS);
    }
}

void sp__deadlock_suspect(void *owner, struct request *request)
{
    const struct lane *lane = owner;
    struct deadlock *deadlock = lane->pit->deadlock;
    if (deadlock != NULL && atomic_exchange(&deadlock->is_suspected, 1) == 0) {
        deadlock->suspect.run = run_suspect;
        sp__loop_post(lane->pit->loop, &deadlock->suspect);
    }
}

int sp__deadlock_open(struct sp_pit *pit, sp_error *err)
{
    struct deadlock *deadlock = sp__calloc(1, sizeof *deadlock);
    if (deadlock != NULL) {
        deadlock->is_free = sp__calloc(pit->pools_count, 1);
        deadlock->hashes = sp__calloc(pit->pools_count, sizeof *deadlock->hashes);
    }
    if (deadlock == NULL || deadlock->is_free == NULL || deadlock->hashes == NULL ||
        sp__timer_init(pit->loop, &deadlock->timer, search) < 0) {
        sp__deadlock_free(deadlock);
        return sp__fail(err, SP_ERR_NOMEM, "no memory to look for deadlocks");
    }
    deadlock->pit = pit;
    pit->deadlock = deadlock;
    return SP_OK;
}

void sp__deadlock_stop(struct deadlock *deadlock)
{
    if (deadlock != NULL) {
        sp__timer_fini(deadlock->pit->loop, &deadlock->timer);
    }
}

void sp__deadlock_free(struct deadlock *deadlock)
{
    if (deadlock != NULL) {
        sp__free(deadlock->sights);
        sp__free(deadlock->is_free);
        sp__free(deadlock->hashes);
        sp__free(deadlock);
    }
}
