/* SPDX-License-Identifier: MIT */
/* Between core.c (calls), its parts, and core_seats.c (workers). */
#ifndef SP_POOL_CORE_INTERNAL_H
#define SP_POOL_CORE_INTERNAL_H

#include <assert.h>

#include "pool/core.h"

/* One more action; there is always room (see sp__core_call_new). */
static inline struct core_action *sp__core_do(struct core *core,
                                              enum core_action_kind kind)
{
    assert(core->actions_count < core->actions_max);
    struct core_action *action = &core->actions[core->actions_count++];
    *action = (struct core_action){
        .kind = kind, .call = CORE_NONE, .seat = CORE_NONE, .due_ms = CORE_NEVER};
    return action;
}

static inline void sp__core_tell(struct core *core, enum core_news what, uint32_t seat,
                                 uint64_t value)
{
    struct core_action *action = sp__core_do(core, CORE_DO_TELL);
    action->what = what;
    action->seat = seat;
    action->due_ms = value;
}

/* 0 .. below - 1. */
uint64_t sp__core_random(struct core *core, uint64_t below);

/* core.c */
void sp__core_pull(struct core *core, uint32_t seat, uint64_t now_ms);
/* Calls that wait for this seat's worker have lost it. */
void sp__core_end_bound(struct core *core, uint32_t seat);
void sp__core_end_queue(struct core *core, enum core_ending ending);
void sp__core_end_all(struct core *core);

/* core_nest.c */
/* A nested call is in the queue, or is not any more. */
void sp__core_nest_queued(struct core *core, uint32_t call);
void sp__core_nest_unqueued(struct core *core, uint32_t call);
/* It comes in; its ancestors are with their workers. */
void sp__core_nest_submitted(struct core *core, uint32_t call);
/* The call, which is with its worker, asks for another one. */
void sp__core_nest_asks(struct core *core, uint32_t call);
/* A call leaves its worker, whatever it has asked for. */
void sp__core_nest_released(struct core *core, uint32_t call);
/* The call, which is queued, would wait for ever. */
int sp__core_nest_is_stuck(const struct core *core, uint32_t call);

/* core_poison.c */
/* The call has ended its worker. */
void sp__core_note_death(struct core *core, const struct core_call *call,
                         uint64_t now_ms);
/* Its like have ended too many. */
int sp__core_is_poison(struct core *core, const struct core_call *call,
                       uint64_t now_ms);

/* core_seats.c */
void sp__core_seat_move(struct core *core, uint32_t seat, enum core_seat_state next);
void sp__core_seat_home(struct core *core,
                        uint32_t seat); /* onto the list it belongs */
void sp__core_seat_served(struct core *core, uint32_t seat, int well, uint64_t now_ms);
/* The call that was on it is poison and has ended so many workers, this one included:
 * their deaths say nothing about the pool. */
void sp__core_poisoned(struct core *core, uint32_t seat, uint32_t deaths);
void sp__core_seats_step(struct core *core, const struct core_event *event,
                         uint64_t now_ms);
void sp__core_plan(struct core *core, uint64_t now_ms);

#endif
