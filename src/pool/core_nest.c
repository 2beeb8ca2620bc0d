/* SPDX-License-Identifier: MIT */
/*
 * Calls that other calls have asked for.
 *
 * Whoever asked runs on, and waits: its place in a worker is taken until the nested call
 * has ended. So nothing is sent ahead to wait behind it from then on. A nested call gets a
 * place of its own, never one behind other calls of a worker, where its own ancestor may
 * stand; and it waits in front of those that nobody asked for, because places become free
 * when it has ended. And while it waits in the queue it *holds* its ancestors: a seat whose
 * every running call is held by somebody in this queue frees no place. When that is true
 * of every seat that could take it, nothing would ever move again, and the call ends at
 * once instead.
 *
 * Ancestors in other pools count where they are: this core knows those on its own seats.
 * Of a pool in several parts no core sees all seats; see pit/deadlock.c. But a call that
 * waits for one certain worker is seen here to wait for its own ancestors there.
 */
#include <string.h>

#include "pool/core_internal.h"
#include "pool/schedule.h"

static void hold(struct core *core, uint32_t at)
{
    struct core_call *call = &core->calls[at];
    if (call->held++ == 0) {
        core->seats[call->seat].held++;
    }
}

static void let_go(struct core *core, uint32_t at)
{
    struct core_call *call = &core->calls[at];
    assert(call->held > 0);
    if (--call->held == 0) {
        core->seats[call->seat].held--;
    }
}

void sp__core_nest_queued(struct core *core, uint32_t at)
{
    const struct core_call *call = &core->calls[at];
    core->queue_nested += call->nested;
    for (uint32_t i = 0; i < call->ancestors_count; i++) {
        hold(core, call->ancestors[i]);
    }
}

void sp__core_nest_unqueued(struct core *core, uint32_t at)
{
    const struct core_call *call = &core->calls[at];
    core->queue_nested -= call->nested;
    for (uint32_t i = 0; i < call->ancestors_count; i++) {
        let_go(core, call->ancestors[i]);
    }
}

/* It takes as long as what it asks for, however short it is itself: no call is to be sent
 * ahead behind it. */
void sp__core_nest_asks(struct core *core, uint32_t at)
{
    struct core_call *call = &core->calls[at];
    assert(call->state == CALL_SENT);
    if (call->estimate_us < SCHED_AHEAD_US) {
        core->seats[call->seat].estimate_us += SCHED_AHEAD_US - call->estimate_us;
        call->estimate_us = SCHED_AHEAD_US;
    }
}

void sp__core_nest_submitted(struct core *core, uint32_t at)
{
    const struct core_call *call = &core->calls[at];
    for (uint32_t i = 0; i < call->ancestors_count; i++) {
        sp__core_nest_asks(core, call->ancestors[i]);
        core->calls[call->ancestors[i]].asks = 1;
    }
}

static void forget_ancestor(struct core *core, struct core_call *call, uint32_t gone)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < call->ancestors_count; i++) {
        if (call->ancestors[i] != gone) {
            call->ancestors[kept++] = call->ancestors[i];
        } else if (call->state == CALL_QUEUED) {
            let_go(core, gone);
        }
    }
    memset(&call->ancestors[kept], 0,
           (call->ancestors_count - kept) * sizeof call->ancestors[0]);
    call->ancestors_count = (uint8_t)kept;
}

void sp__core_nest_released(struct core *core, uint32_t at)
{
    if (!core->calls[at].asks) {
        return;
    }
    core->calls[at].asks = 0;
    for (uint32_t i = 0; i < core->calls_max; i++) {
        if (core->calls[i].state != CALL_FREE) {
            forget_ancestor(core, &core->calls[i], at);
        }
    }
    assert(core->calls[at].held == 0);
}

static uint32_t running_on(const struct core_seat *seat)
{
    return seat->in_flight < seat->capacity ? seat->in_flight : seat->capacity;
}

/* No place of it is going to be free before a call of this queue has had one. */
static int is_shut(const struct core_seat *seat)
{
    uint32_t running = running_on(seat);
    switch (seat->state) {
    case SEAT_EMPTY:
        return 1;
    case SEAT_WAITING:
    case SEAT_STARTING:
    case SEAT_STOPPING:
        return 0; /* a fresh process comes into it */
    case SEAT_READY:
        return !seat->stuck && !seat->spent && running > 0 && seat->held >= running;
    case SEAT_DRAINING:
        return running > 0 && seat->held >= running;
    }
    return 0;
}

/* Whatever its worker runs are ancestors of the call, which waits for that worker. */
static int waits_for_its_own(const struct core *core, const struct core_call *call)
{
    const struct core_seat *seat = &core->seats[call->preferred];
    uint32_t own = 0;
    for (uint32_t i = 0; i < call->ancestors_count; i++) {
        own += core->calls[call->ancestors[i]].seat == call->preferred;
    }
    return !seat->stuck && own > 0 && own >= running_on(seat);
}

int sp__core_nest_is_stuck(const struct core *core, uint32_t at)
{
    const struct core_call *call = &core->calls[at];
    if (!call->nested) {
        return 0;
    }
    if (core->options.parts > 0) {
        return call->bound && waits_for_its_own(core, call);
    }
    if (call->bound) {
        return is_shut(&core->seats[call->preferred]);
    }
    for (uint32_t i = 0; i < core->seats_count; i++) {
        if (!is_shut(&core->seats[i])) {
            return 0;
        }
    }
    return 1;
}
