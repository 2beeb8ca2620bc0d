/* SPDX-License-Identifier: MIT */
/*
 * Parts of a pool, and what they do for each other.
 *
 * Normal course: a call is routed to the better of two parts, and stays there. What a part
 * has to do is known to all threads by relaxed numbers, which may be a moment old: nothing
 * that is promised rests on them, only where a call waits. When a call waits in one part
 * while a worker of another has nothing to do, it goes there: the part that has calls
 * gives them away at the end of a step, or one that has become idle asks for some. A part
 * that has lost all its workers gives away everything.
 *
 * Promised for the pool as a whole is the length of the queue and the number of reliefs;
 * both are counted exactly, by taking before using.
 */
#include "pool/share.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/flow.h"

enum { IDLE_ENOUGH = 8 }; /* counting them all would take time in every step */

/* ---- choosing ---- */

struct load {
    uint32_t calls;
    uint32_t places;
};

static struct load load_of(const struct part_view *view)
{
    return (struct load){
        .calls = atomic_load_explicit(&view->calls, memory_order_relaxed),
        .places = atomic_load_explicit(&view->places, memory_order_relaxed)};
}

static int is_better(struct load a, struct load b)
{
    if (a.places == 0 || b.places == 0) {
        return a.places > b.places || (a.places == b.places && a.calls < b.calls);
    }
    return (uint64_t)a.calls * b.places < (uint64_t)b.calls * a.places;
}

uint32_t sp__share_choose(const struct part_view *views, uint32_t count,
                          uint64_t random)
{
    if (count == 1) {
        return 0;
    }
    uint32_t best = (uint32_t)(random % count);
    uint32_t other = (uint32_t)((random >> 32) % (count - 1));
    other += other >= best;
    struct load load = load_of(&views[best]);
    if (is_better(load_of(&views[other]), load)) {
        best = other;
        load = load_of(&views[best]);
    }
    for (uint32_t i = 1; i < count && load.calls >= load.places; i++) {
        uint32_t at = (best + i) % count;
        struct load here = load_of(&views[at]);
        if (here.calls < here.places || (load.places == 0 && here.places > 0)) {
            best = at;
            load = here;
            i = 0;
        }
    }
    return best;
}

static uint64_t next_random(void)
{
    static _Thread_local uint64_t state;
    uint64_t x = state != 0 ? state : sp__now_us() ^ (uint64_t)(uintptr_t)&state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state = x;
    return x * 0x2545f4914f6cdd1du;
}

struct pool *sp__share_route(const struct pool_share *share)
{
    return share
        ->parts[sp__share_choose(share->views, share->parts_count, next_random())];
}

/* ---- life ---- */

int sp__share_new(struct pool *front, uint32_t parts_count, sp_error *err)
{
    struct pool_share *share = sp__calloc(1, sizeof *share);
    if (share == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to divide pool %s", front->name);
    }
    (void)pthread_mutex_init(&share->lock, NULL);
    share->parts_count = parts_count;
    share->parts = sp__calloc(parts_count, sizeof(struct pool *));
    share->views = sp__calloc(parts_count, sizeof *share->views);
    if (share->parts == NULL || share->views == NULL) {
        sp__share_free(share);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %u parts of pool %s",
                        parts_count, front->name);
    }
    front->share = share;
    return sp__share_join(front, front, 0, err);
}

int sp__share_join(struct pool *front, struct pool *part, uint32_t number,
                   sp_error *err)
{
    struct pool_share *share = front->share;
    struct part_view *view = &share->views[number];
    part->share = share;
    part->front = front;
    part->part = number;
    share->parts[number] = part;
    sp__meter_join(&part->meter, &front->meter);
    view->seats = sp__share_of(part->options.workers, number, share->parts_count) +
                  part->options.recycle_surge;
    view->workers = sp__calloc(view->seats, sizeof *view->workers);
    if (view->workers == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a part of pool %s",
                        front->name);
    }
    return SP_OK;
}

void sp__share_free(struct pool_share *share)
{
    if (share == NULL) {
        return;
    }
    for (uint32_t i = 0; share->views != NULL && i < share->parts_count; i++) {
        sp__free(share->views[i].workers);
    }
    for (size_t i = 0; i < POOL_DEATHS_MAX; i++) {
        sp__death_drop(share->deaths[i]);
    }
    sp_error_clear(&share->last_failure);
    (void)pthread_mutex_destroy(&share->lock);
    sp__free(share->views);
    sp__free(share->parts);
    sp__free(share);
}

/* ---- what all may know ---- */

static struct part_view *view_of(const struct pool *part)
{
    return &part->share->views[part->part];
}

void sp__share_count(const struct pool *part, int change)
{
    atomic_fetch_add_explicit(&view_of(part)->calls, (unsigned)change,
                              memory_order_relaxed);
}

int sp__share_others_ready(const struct pool *part)
{
    const struct pool_share *share = part->share;
    for (uint32_t i = 0; i < share->parts_count; i++) {
        if (i != part->part &&
            atomic_load_explicit(&share->views[i].ready, memory_order_relaxed) > 0) {
            return 1;
        }
    }
    return 0;
}

void sp__share_seated(const struct pool *part, uint32_t seat, uint64_t worker)
{
    atomic_store_explicit(&view_of(part)->workers[seat], worker, memory_order_relaxed);
}

int sp__share_has_worker(const struct pool_share *share, uint64_t worker)
{
    for (uint32_t i = 0; i < share->parts_count; i++) {
        for (uint32_t seat = 0; seat < share->views[i].seats; seat++) {
            if (atomic_load_explicit(&share->views[i].workers[seat],
                                     memory_order_relaxed) == worker) {
                return 1;
            }
        }
    }
    return 0;
}

void sp__share_start_failed(const struct pool *part, const sp_error *failure)
{
    (void)pthread_mutex_lock(&part->share->lock);
    sp__error_copy(&part->share->last_failure, failure);
    (void)pthread_mutex_unlock(&part->share->lock);
}

void sp__share_died(const struct pool *part, struct death *certificate)
{
    struct pool_share *share = part->share;
    (void)pthread_mutex_lock(&share->lock);
    struct death **place = &share->deaths[share->deaths_count++ % POOL_DEATHS_MAX];
    struct death *oldest = *place;
    *place = sp__death_hold(certificate);
    (void)pthread_mutex_unlock(&share->lock);
    sp__death_drop(oldest);
}

int sp__share_fate(const struct pool *part, uint64_t worker, struct fate *ret)
{
    struct pool_share *share = part->share;
    (void)pthread_mutex_lock(&share->lock);
    int is_known = sp__pool_find_fate(share->deaths, worker, ret);
    (void)pthread_mutex_unlock(&share->lock);
    return is_known;
}

int sp__share_was_last(const struct pool *part)
{
    return atomic_fetch_add_explicit(&part->share->were_ready, 1,
                                     memory_order_relaxed) +
               1 ==
           part->share->parts_count;
}

uint32_t sp__share_queued(const struct pool *part)
{
    /* Places that are just being taken in vain do not count. */
    uint32_t queued = atomic_load_explicit(&part->share->queued, memory_order_relaxed);
    return queued < part->options.queue_max ? queued : part->options.queue_max;
}

uint32_t sp__share_busy(const struct pool *part)
{
    uint32_t busy = 0;
    for (uint32_t i = 0; i < part->share->parts_count; i++) {
        busy += atomic_load_explicit(&part->share->views[i].busy, memory_order_relaxed);
    }
    return busy;
}

void sp__share_note_status(const struct pool *part, struct status *status)
{
    struct pool_share *share = part->share;
    struct status sum = {0};
    (void)pthread_mutex_lock(&share->lock);
    share->statuses[part->part] = *status;
    for (uint32_t i = 0; i < share->parts_count; i++) {
        const struct status *one = &share->statuses[i];
        sum.workers += one->workers;
        sum.available += one->available;
        sum.busy += one->busy;
        sum.queued += one->queued;
        sum.requests += one->requests;
        sum.errors += one->errors;
    }
    (void)pthread_mutex_unlock(&share->lock);
    *status = sum;
}

/* ---- the queue of the whole ---- */

void sp__share_take_place(struct pool *part, int has_one)
{
    struct core *core = &part->core;
    uint32_t waiting =
        atomic_fetch_add_explicit(&part->share->queued, 1, memory_order_relaxed);
    part->queued_told++;
    if (has_one) {
        core->options.queue_max = UINT32_MAX;
    } else {
        core->options.queue_max =
            core->queue.length + (waiting < part->options.queue_max);
    }
}

/* ---- nudges ---- */

static void run_nudge(struct command *command, void *user)
{
    struct pool *part = ITEM(command, struct pool, nudge);
    struct core_event resume = {.kind = CORE_RESUME};
    struct core_event tick = {.kind = CORE_TICK};
    atomic_store_explicit(&part->nudged, 0, memory_order_release);
    if (part->share != NULL && !part->core.closing) {
        sp__pool_step(part, &resume, NULL);
        sp__pool_step(part, &tick, NULL);
    }
}

/* Any thread: what it has waited for may be there. */
static void nudge(struct pool *other)
{
    if (atomic_exchange(&other->nudged, 1) == 0) {
        other->nudge.run = run_nudge;
        sp__loop_post(other->loop, &other->nudge);
    }
}

/* ---- telling ---- */

static void tell(atomic_uint *place, uint32_t value)
{
    if (atomic_load_explicit(place, memory_order_relaxed) != value) {
        atomic_store_explicit(place, value, memory_order_relaxed);
    }
}

static void tell_flag(atomic_int *place, int value)
{
    if (atomic_load_explicit(place, memory_order_relaxed) != value) {
        atomic_store_explicit(place, value, memory_order_release);
    }
}

static uint32_t places_of(const struct core *core)
{
    uint32_t places = 0;
    for (uint32_t i = 0; i < core->seats_count; i++) {
        places += core->seats[i].state == SEAT_READY ? core->seats[i].capacity : 0;
    }
    return places;
}

void sp__share_prepare(struct pool *part)
{
    uint32_t nested = atomic_load_explicit(&part->share->nested, memory_order_relaxed);
    part->core.yields = nested > part->nested_told;
    /* One ready worker may be lost in this step. */
    part->core.others_ready =
        part->core.states[SEAT_READY] <= 1 && sp__share_others_ready(part);
}

static uint32_t count_nested(const struct core *core)
{
    uint32_t count = 0;
    uint32_t at = core->queue_nested > 0 ? core->queue.first : CORE_NONE;
    for (; at != CORE_NONE; at = core->calls[at].next) {
        const struct core_call *call = &core->calls[at];
        count += call->nested && !call->bound;
    }
    return count;
}

/* How many wait here that come first everywhere. Who has held back for the last of them goes on. */
static void tell_nested(struct pool *part)
{
    struct pool_share *share = part->share;
    uint32_t nested = count_nested(&part->core);
    if (nested == part->nested_told) {
        return;
    }
    unsigned change = nested - part->nested_told;
    part->nested_told = nested;
    tell(&share->views[part->part].nested, nested);
    if (atomic_fetch_add(&share->nested, change) + change != 0) {
        return;
    }
    for (uint32_t i = 0; i < share->parts_count; i++) {
        if (i != part->part && atomic_exchange(&share->views[i].yields, 0)) {
            nudge(share->parts[i]);
        }
    }
}

/* One that goes on with a cancelled call, or is spent, takes none. */
static uint32_t count_in(const struct core *core, const struct core_list *list)
{
    uint32_t count = 0;
    for (uint32_t i = list->last; i != CORE_NONE && count < IDLE_ENOUGH;
         i = core->seats[i].prev) {
        const struct core_seat *seat = &core->seats[i];
        if (!seat->stuck && !seat->spent && seat->in_flight < seat->capacity) {
            count += seat->capacity - seat->in_flight;
        }
    }
    return count;
}

/* Calls that its workers could begin at once. */
static uint32_t count_idle(const struct core *core)
{
    uint32_t count = count_in(core, &core->idle);
    if (core->options.threads > 1 && count < IDLE_ENOUGH) {
        count += count_in(core, &core->busy);
    }
    return count < IDLE_ENOUGH ? count : IDLE_ENOUGH;
}

void sp__share_tell(struct pool *part)
{
    const struct core *core = &part->core;
    struct part_view *view = view_of(part);
    uint32_t queued = core->queue.length;
    uint32_t ready = core->states[SEAT_READY];
    if (queued != part->queued_told) {
        atomic_fetch_add_explicit(&part->share->queued, queued - part->queued_told,
                                  memory_order_relaxed);
        part->queued_told = queued;
    }
    if (ready != atomic_load_explicit(&view->ready, memory_order_relaxed)) {
        tell(&view->places, places_of(core));
        tell(&view->ready, ready);
    }
    tell_nested(part);
    tell(&view->queued, queued - core->queue_bound);
    tell(&view->busy, core->busy.length);
    part->idle = count_idle(core);
    tell(&view->idle, part->idle);
    tell_flag(&view->breaker, (int)core->breaker);
    tell_flag(&view->was_ready, core->was_ready);
    tell_flag(&view->hopeless, core->hopeless);
}

/* ---- calls that others can run ---- */

/* How many have gone. */
static uint32_t give(struct pool *part, struct pool *to, uint32_t most)
{
    struct core_event event = {.kind = CORE_SURRENDER, .value = most};
    part->gives_to = to;
    part->given = 0;
    sp__pool_step(part, &event, NULL);
    part->gives_to = NULL;
    return part->given;
}

/* As many as there are places for that nothing else waits for. */
static void give_to_idle(struct pool *part)
{
    struct pool_share *share = part->share;
    for (uint32_t i = 1; i < share->parts_count && part->core.queue.length > 0; i++) {
        uint32_t at = (part->part + i) % share->parts_count;
        uint32_t idle =
            atomic_load_explicit(&share->views[at].idle, memory_order_relaxed);
        if (idle > 0) {
            /* Counted off now: the next step here must not see them again. */
            atomic_store_explicit(&share->views[at].idle, 0, memory_order_relaxed);
            (void)give(part, share->parts[at], idle);
        }
    }
}

static uint32_t waiting_in(const struct part_view *view)
{
    uint32_t nested = atomic_load_explicit(&view->nested, memory_order_relaxed);
    uint32_t queued = atomic_load_explicit(&view->queued, memory_order_relaxed);
    return nested > 0 ? UINT32_MAX : queued; /* those come first */
}

static void run_steal(struct command *command, void *user)
{
    struct pool *thief = ITEM(command, struct pool, steal);
    struct part_view *view = view_of(thief);
    struct pool *victim = thief->steals_from;
    uint32_t idle = atomic_load_explicit(&view->idle, memory_order_relaxed);
    int is_closing = victim->core.closing;
    uint32_t given = is_closing ? 0 : give(victim, thief, idle > 0 ? idle : 1);
    atomic_store_explicit(&view->steals, 0, memory_order_release);
    if ((given == 0 && !is_closing) ||
        atomic_load_explicit(&view->yields, memory_order_relaxed)) {
        nudge(thief); /* it was too late, for it or for others: there may be more */
    }
}

static void steal(struct pool *part)
{
    struct pool_share *share = part->share;
    uint32_t most = 0;
    for (uint32_t i = 0; i < share->parts_count; i++) {
        uint32_t queued = waiting_in(&share->views[i]);
        if (i != part->part && queued > most) {
            most = queued;
            part->steals_from = share->parts[i];
        }
    }
    if (most > 0) {
        atomic_store_explicit(&view_of(part)->steals, 1, memory_order_relaxed);
        part->steal.run = run_steal;
        sp__loop_post(part->steals_from->loop, &part->steal);
    }
}

/* Others have what comes before its own; or it has nothing. */
static int wants_more(const struct pool *part)
{
    const struct core *core = &part->core;
    return part->idle > 0 &&
           (core->queue.length == core->queue_bound || core->held_back);
}

static void balance(struct pool *part)
{
    const struct core *core = &part->core;
    struct part_view *view = view_of(part);
    if (wants_more(part)) {
        if (sp__share_queued(part) > core->queue.length &&
            !atomic_load_explicit(&view->steals, memory_order_acquire)) {
            steal(part);
        }
    } else if (core->queue.length > core->queue_bound) {
        if (core->states[SEAT_READY] == 0 && sp__share_others_ready(part)) {
            (void)give(part, NULL, UINT32_MAX);
        } else {
            give_to_idle(part);
        }
    }
}

/* What it has held back goes on when nobody has any more what comes first. */
static void settle_yielding(struct pool *part)
{
    atomic_int *yields = &view_of(part)->yields;
    if (part->core.held_back) {
        part->core.held_back = 0;
        atomic_store(yields, 1);
    }
    if (atomic_load_explicit(yields, memory_order_relaxed) &&
        atomic_load(&part->share->nested) <= part->nested_told &&
        atomic_exchange(yields, 0)) {
        nudge(part);
    }
}

/* ---- reliefs ---- */

/* Who waits for it may have the leave now; who is first may not need it any more. */
static void pass_leave(struct pool *part)
{
    struct pool_share *share = part->share;
    for (uint32_t i = 1; i < share->parts_count; i++) {
        uint32_t at = (part->part + i) % share->parts_count;
        if (atomic_exchange(&share->views[at].wants_leave, 0)) {
            nudge(share->parts[at]);
        }
    }
}

static int take_leave(struct pool *part)
{
    unsigned before = atomic_load(&part->share->reliefs);
    while (before < part->options.recycle_surge) {
        if (atomic_compare_exchange_weak(&part->share->reliefs, &before, before + 1)) {
            return 1;
        }
    }
    return 0;
}

static void settle_reliefs(struct pool *part)
{
    struct core *core = &part->core;
    uint32_t seated = core->seats_count - core->states[SEAT_EMPTY];
    uint32_t surplus =
        seated > core->options.workers ? seated - core->options.workers : 0;
    while (part->reliefs > surplus) {
        part->reliefs--;
        atomic_fetch_sub(&part->share->reliefs, 1);
        pass_leave(part);
    }
    if (!core->wants_leave) {
        return;
    }
    core->wants_leave = 0;
    int has_leave = take_leave(part);
    if (!has_leave) {
        atomic_store(&view_of(part)->wants_leave, 1);
        has_leave = take_leave(part); /* given back just before it was said */
    }
    if (has_leave) {
        struct core_event event = {.kind = CORE_TICK};
        atomic_store(&view_of(part)->wants_leave, 0);
        part->reliefs++;
        core->leave = 1;
        sp__pool_step(part, &event, NULL); /* what is not used is given back there */
        core->leave = 0;
    }
}

void sp__share_settle(struct pool *part)
{
    sp__share_tell(part);
    if (part->core.closing) {
        return;
    }
    if (part->gives_to == NULL && !part->is_giving) {
        part->is_giving = 1;
        balance(part);
        part->is_giving = 0;
    }
    settle_yielding(part);
    if (part->reliefs > 0 || part->core.wants_leave) {
        settle_reliefs(part);
    }
}

void sp__share_add_stats(sp_pool_stats *sum, const sp_pool_stats *part)
{
    sum->starting += part->starting;
    sum->available += part->available;
    sum->busy += part->busy;
    sum->draining += part->draining;
    sum->backoff += part->backoff;
    sum->breaker = part->breaker > sum->breaker ? part->breaker : sum->breaker;
    sum->queued += part->queued;
    /* Each has noted that of the whole, as far as it has seen it. */
    sum->queued_peak =
        part->queued_peak > sum->queued_peak ? part->queued_peak : sum->queued_peak;
    sum->requests += part->requests;
    sum->succeeded += part->succeeded;
    sum->errors += part->errors;
    sum->queue_timeouts += part->queue_timeouts;
    sum->call_timeouts += part->call_timeouts;
    sum->cancelled += part->cancelled;
    sum->pool_saturated += part->pool_saturated;
    sum->chunks += part->chunks;
    sum->workers_started += part->workers_started;
    sum->workers_died += part->workers_died;
    sum->unkillable += part->unkillable;
    sum->retried += part->retried;
    sum->recycled += part->recycled;
    sum->poisoned += part->poisoned;
    sum->workers_forked += part->workers_forked;
    sum->zygotes_started += part->zygotes_started;
    sum->session_hits += part->session_hits;
    sum->session_moves += part->session_moves;
    sum->session_refusals += part->session_refusals;
    sum->capacity += part->capacity;
    sum->capacity_reached += part->capacity_reached;
}
