/* SPDX-License-Identifier: MIT */
/*
 * The world of a simulated pool.
 *
 * Normal course: a heap of moments; the earliest is taken, becomes an event of the core
 * (through the rules), and what the core wants done plans further moments. A moment
 * carries the generation of what it is about: one of something gone finds nothing.
 *
 * Failure: a broken rule stops the run; the rules keep the words.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snakepit/error.h"
#include "snakepit/pool.h"

enum { BEGIN_MS = 1, KIB_AT_START = 1000, QUICK_US = 20, SWAP_CALLS = 64 };

enum what {
    AT_TICK,
    AT_CALL_TIMER, /* its wait or its deadline */
    AT_ANSWER,
    AT_CHUNK,
    AT_ASKING, /* it asks another part for a call */
    AT_CHANGE_OF_MIND,
    AT_READY,
    AT_START_FAILURE,
    AT_BREAK, /* its connection ends */
    AT_DEATH,
    AT_FREE,
    AT_ARRIVAL,
    AT_IDLE_DEATH,
    AT_MEMORY,
    AT_RECYCLE
};

struct moment {
    uint64_t at_ms;
    uint64_t order; /* of two at the same time the one that was planned first */
    enum what what;
    uint32_t which; /* seat or call */
    uint64_t stamp; /* of it: serial number, generation */
};

/* What the world knows of a call. */
struct caller {
    uint64_t serial;  /* 0: no call */
    uint64_t attempt; /* stamp of what was planned for this one */
    uint64_t timer;   /* stamp of its timer */
    uint32_t seat;
    uint8_t poison;
    uint8_t begun;
};

struct process {
    uint64_t serial;
    uint64_t kib;
    uint8_t asked;
    uint8_t ready;
    uint8_t broken;
    uint8_t own_fault;
};

struct world {
    struct world_options options;
    struct core core;
    struct rules rules;
    uint64_t now_ms;
    uint64_t random;
    struct moment *heap;
    size_t heap_count, heap_max;
    uint64_t order;
    uint64_t serial;
    uint64_t tick_ms;
    struct caller *callers;
    uint32_t callers_max;
    struct process *processes;
    uint32_t averages_us[2]; /* of the two tools that are called */
    uint64_t events;
    uint64_t log;
    uint64_t calls;
    uint64_t poison_kills;
    uint64_t poison_calls;
    uint32_t fewest_ready;
    int prints;
};

/* ---- chance ---- */

static uint64_t draw(struct world *world, uint64_t below)
{
    /* splitmix64 */
    uint64_t x = world->random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return below == 0 ? 0 : x % below;
}

static int happens(struct world *world, uint32_t thousandths)
{
    return thousandths > 0 && draw(world, 1000) < thousandths;
}

static uint64_t around(struct world *world, uint32_t mean_ms)
{
    return draw(world, 2 * (uint64_t)mean_ms + 1);
}

/* ---- moments ---- */

static int is_before(const struct moment *a, const struct moment *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void plan(struct world *world, uint64_t at_ms, enum what what, uint32_t which,
                 uint64_t stamp)
{
    if (world->heap_count == world->heap_max) {
        world->heap_max = 2 * world->heap_max + 64;
        world->heap = realloc(world->heap, world->heap_max * sizeof *world->heap);
        if (world->heap == NULL) {
            abort();
        }
    }
    size_t i = world->heap_count++;
    struct moment moment = {at_ms, world->order++, what, which, stamp};
    while (i > 0 && is_before(&moment, &world->heap[(i - 1) / 2])) {
        world->heap[i] = world->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->heap[i] = moment;
}

static struct moment take_moment(struct world *world)
{
    struct moment first = world->heap[0];
    struct moment last = world->heap[--world->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < world->heap_count &&
            is_before(&world->heap[child + 1], &world->heap[child])) {
            child++;
        }
        if (child >= world->heap_count || !is_before(&world->heap[child], &last)) {
            break;
        }
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return first;
}

/* ---- the log ---- */

static void note(struct world *world, uint64_t value)
{
    world->log = (world->log ^ value) * 0x9fb21c651e98df25u;
    world->log ^= world->log >> 32;
}

static void note_event(struct world *world, const struct core_event *event)
{
    world->events++;
    note(world, world->now_ms);
    note(world, (uint64_t)event->kind << 32 | event->call);
    note(world, (uint64_t)event->seat << 32 | (uint32_t)event->executed);
    if (world->prints) {
        (void)printf("%llu event %d call %d seat %d executed %d\n",
                     (unsigned long long)world->now_ms, event->kind, (int)event->call,
                     (int)event->seat, event->executed);
    }
}

static void note_action(struct world *world, const struct core_action *action)
{
    note(world, (uint64_t)action->kind << 32 | (uint32_t)action->what);
    note(world, (uint64_t)action->call << 32 | action->seat);
    note(world, action->due_ms);
    if (world->prints) {
        (void)printf("    action %d what %d call %d seat %d due %lld\n", action->kind,
                     action->what, (int)action->call, (int)action->seat,
                     (long long)action->due_ms);
    }
}

/* ---- what the core wants done ---- */

static void plan_timer(struct world *world, uint32_t call, uint64_t due_ms)
{
    struct caller *caller = &world->callers[call];
    caller->timer = ++world->serial;
    if (due_ms != CORE_NEVER) {
        plan(world, due_ms > world->now_ms ? due_ms : world->now_ms, AT_CALL_TIMER,
             call, caller->timer);
    }
}

static void do_start(struct world *world, uint32_t seat)
{
    struct process *process = &world->processes[seat];
    const struct world_options *options = &world->options;
    *process = (struct process){.serial = ++world->serial, .kib = KIB_AT_START};
    uint64_t at_ms = world->now_ms + around(world, options->start_ms);
    int fails =
        happens(world, options->start_fails) || happens(world, options->spawn_fails);
    plan(world, at_ms, fails ? AT_START_FAILURE : AT_READY, seat, process->serial);
}

static void do_send(struct world *world, const struct core_action *action)
{
    struct caller *caller = &world->callers[action->call];
    const struct world_options *options = &world->options;
    caller->seat = action->seat;
    caller->attempt = ++world->serial;
    caller->begun = 0;
    uint64_t at_ms = world->now_ms + around(world, options->call_ms);
    plan_timer(world, action->call, action->due_ms);
    if (caller->poison || happens(world, options->call_crashes)) {
        struct process *process = &world->processes[action->seat];
        caller->begun = 2; /* the worker dies of it */
        plan(world, at_ms, AT_BREAK, action->seat, process->serial);
    } else if (!happens(world, options->call_hangs)) {
        plan(world, at_ms, AT_ANSWER, action->call, caller->attempt);
        if (world->core.calls[action->call].streaming) {
            plan(world, (world->now_ms + at_ms) / 2, AT_CHUNK, action->call,
                 caller->attempt);
        }
        if (happens(world, options->asks)) {
            plan(world, (world->now_ms + at_ms) / 2, AT_ASKING, action->call,
                 caller->attempt);
        }
    }
}

static void do_stop(struct world *world, uint32_t seat)
{
    struct process *process = &world->processes[seat];
    process->asked = 1;
    plan(world, world->now_ms + around(world, world->options.death_ms), AT_DEATH, seat,
         process->serial);
}

static void do_action(struct world *world, const struct core_action *action)
{
    note_action(world, action);
    switch ((enum core_action_kind)action->kind) {
    case CORE_DO_START:
        do_start(world, action->seat);
        break;
    case CORE_DO_STOP:
        do_stop(world, action->seat);
        break;
    case CORE_DO_SEND:
        do_send(world, action);
        break;
    case CORE_DO_WAIT:
        plan_timer(world, action->call, action->due_ms);
        break;
    case CORE_DO_END:
        world->callers[action->call] = (struct caller){0};
        break;
    case CORE_DO_TELL:
    case CORE_DO_LOOK:
    case CORE_DO_LEAVE:
        break;
    }
}

static void step(struct world *world, struct core_event event)
{
    note_event(world, &event);
    if (rules_step(&world->rules, &world->core, &event, world->now_ms) < 0) {
        return;
    }
    for (uint32_t i = 0; i < world->core.actions_count; i++) {
        do_action(world, &world->core.actions[i]);
    }
    if (world->core.next_due_ms != world->tick_ms) {
        world->tick_ms = world->core.next_due_ms;
        if (world->tick_ms != CORE_NEVER) {
            plan(world, world->tick_ms, AT_TICK, 0, world->tick_ms);
        }
    }
    if (world->core.was_ready && world->core.states[SEAT_READY] < world->fewest_ready) {
        world->fewest_ready = world->core.states[SEAT_READY];
    }
}

#define EVENT(...) ((struct core_event){__VA_ARGS__})

/* ---- callers ---- */

static int grow_callers(struct world *world)
{
    uint32_t max = world->core.calls_max;
    if (max <= world->callers_max) {
        return 1;
    }
    struct caller *grown = realloc(world->callers, max * sizeof *grown);
    if (grown == NULL) {
        return 0;
    }
    memset(grown + world->callers_max, 0, (max - world->callers_max) * sizeof *grown);
    world->callers = grown;
    world->callers_max = max;
    return 1;
}

static void call_now(struct world *world, int idempotent, int poison)
{
    const struct world_options *options = &world->options;
    uint32_t at = sp__core_call_new(&world->core);
    if (at == CORE_NONE || !grow_callers(world)) {
        abort();
    }
    struct core_call *call = &world->core.calls[at];
    uint64_t now_ms = world->now_ms;
    call->idempotent = (uint8_t)idempotent;
    call->streaming = happens(world, options->streams);
    call->average_us = &world->averages_us[happens(world, 500)];
    if (world->serial % SWAP_CALLS == 0) { /* what took long is quick, and back */
        uint32_t average_us = world->averages_us[0];
        world->averages_us[0] = world->averages_us[1];
        world->averages_us[1] = average_us;
    }
    call->deadline_ms =
        options->deadline_ms == 0 ? CORE_NEVER : now_ms + options->deadline_ms;
    call->queue_deadline_ms = options->queue_deadline_ms == 0
                                  ? CORE_NEVER
                                  : now_ms + options->queue_deadline_ms;
    if (happens(world, 100)) { /* a call of its own mind */
        call->affinity = (uint8_t)(SP_AFFINITY_HINT + draw(world, 4));
    }
    if (happens(world, options->sessions)) {
        call->preferred = (uint32_t)draw(world, world->core.seats_count);
        /* A process that starts has served nobody yet. */
        call->preferred_generation =
            world->core.seats[call->preferred].generation -
            (world->rules.seats[call->preferred].state == PLACE_STARTING);
    }
    struct caller *caller = &world->callers[at];
    *caller = (struct caller){
        .serial = ++world->serial, .seat = CORE_NONE, .poison = (uint8_t)poison};
    world->calls++;
    world->poison_calls += poison != 0;
    if (happens(world, options->cancels)) {
        plan(world, now_ms + around(world, options->call_ms), AT_CHANGE_OF_MIND, at,
             caller->serial);
    }
    step(world, EVENT(.kind = CORE_SUBMIT, .call = at, .seat = CORE_NONE));
}

static void arrive(struct world *world)
{
    const struct world_options *options = &world->options;
    for (uint32_t i = 0; i < options->arrivals && world->rules.broken == NULL; i++) {
        int idempotent = happens(world, options->idempotent);
        call_now(world, idempotent, happens(world, options->poison));
    }
    if (options->arrival_ms > 0) {
        plan(world, world->now_ms + around(world, options->arrival_ms), AT_ARRIVAL, 0,
             0);
    }
}

/* The call is taken back from its worker, if it is on one. */
static void take_back(struct world *world, uint32_t call, enum core_event_kind kind)
{
    struct core_event event = {.kind = kind, .call = call, .seat = CORE_NONE};
    if (world->core.calls[call].state == CALL_SENT) {
        uint32_t seat = world->core.calls[call].seat;
        event.executed = SP_EXECUTED_UNKNOWN;
        event.stuck = world->processes[seat].ready && !world->processes[seat].broken &&
                      happens(world, world->options.stuck);
        if (event.stuck) {
            plan(world, world->now_ms + around(world, world->options.call_ms), AT_FREE,
                 seat, world->processes[seat].serial);
        }
    }
    step(world, event);
}

static void answer(struct world *world, uint32_t call)
{
    const struct world_options *options = &world->options;
    if (happens(world, options->call_fails)) {
        step(world, EVENT(.kind = CORE_CALL_FAILED, .call = call, .seat = CORE_NONE,
                          .executed = SP_EXECUTED_YES));
        return;
    }
    if (!world->core.calls[call].touched && happens(world, options->refuses)) {
        step(world, EVENT(.kind = CORE_CALL_FAILED, .call = call, .seat = CORE_NONE,
                          .executed = SP_EXECUTED_NO, .lost = 1));
        return;
    }
    uint32_t seat = world->core.calls[call].seat;
    uint64_t serial = world->processes[seat].serial;
    world->processes[seat].kib += options->grows_kib;
    step(world, EVENT(.kind = CORE_CALL_OK, .call = call, .seat = CORE_NONE));
    if (happens(world, options->spends) && world->processes[seat].serial == serial &&
        world->rules.seats[seat].state == PLACE_SERVING) {
        step(world, EVENT(.kind = CORE_SPENT, .seat = seat, .call = CORE_NONE));
    }
}

/* ---- processes ---- */

static void break_off(struct world *world, uint32_t seat)
{
    struct process *process = &world->processes[seat];
    if (process->broken) {
        return;
    }
    process->broken = 1;
    process->own_fault = !process->asked;
    plan(world, world->now_ms + around(world, world->options.death_ms), AT_DEATH, seat,
         process->serial);
    step(world, EVENT(.kind = CORE_LEAVING, .seat = seat, .call = CORE_NONE));
}

/* Its calls end before it: the one it died of is to blame, and the first of the others
 * may have begun. */
static void end_calls(struct world *world, uint32_t seat)
{
    for (uint32_t i = 0; i < world->core.calls_max && world->rules.broken == NULL;
         i++) {
        const struct core_call *call = &world->core.calls[i];
        if (call->state != CALL_SENT || call->seat != seat) {
            continue;
        }
        int blamed = world->callers[i].begun == 2 && world->processes[seat].own_fault;
        int begun = blamed || call->touched || happens(world, 300);
        world->poison_kills += blamed && world->callers[i].poison;
        step(world, EVENT(.kind = CORE_CALL_FAILED, .call = i, .seat = CORE_NONE,
                          .executed = begun ? SP_EXECUTED_UNKNOWN : SP_EXECUTED_NO,
                          .lost = 1, .blamed = blamed));
    }
}

static void die(struct world *world, uint32_t seat)
{
    struct process *process = &world->processes[seat];
    int asked = process->asked;
    /* The loop over the calls may not give them back to it. */
    if (!process->broken && !asked) {
        process->broken = 1;
        step(world, EVENT(.kind = CORE_LEAVING, .seat = seat, .call = CORE_NONE));
    }
    end_calls(world, seat);
    process->serial = 0;
    step(world, EVENT(.kind = CORE_DEAD, .seat = seat, .call = CORE_NONE,
                      .crashed = !asked, .suspect = !asked));
}

static void fail_start(struct world *world, uint32_t seat)
{
    world->processes[seat].serial = 0;
    enum core_event_kind kind =
        happens(world, world->options.spawn_fails) ? CORE_SPAWN_FAILED : CORE_DEAD;
    step(world, EVENT(.kind = kind, .seat = seat, .call = CORE_NONE,
                      .crashed = !world->processes[seat].asked));
}

static uint32_t any_serving(struct world *world)
{
    uint32_t count = world->core.seats_count;
    uint32_t first = (uint32_t)draw(world, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t seat = (first + i) % count;
        if (world->rules.seats[seat].state == PLACE_SERVING) {
            return seat;
        }
    }
    return CORE_NONE;
}

static void look_at_memory(struct world *world)
{
    for (uint32_t i = 0; i < world->core.seats_count; i++) {
        if (world->rules.seats[i].state == PLACE_SERVING) {
            step(world, EVENT(.kind = CORE_MEMORY, .seat = i, .call = CORE_NONE,
                              .value = world->processes[i].kib));
        }
    }
    if (world->options.memory_ms > 0) {
        plan(world, world->now_ms + world->options.memory_ms, AT_MEMORY, 0, 0);
    }
}

/* ---- running ---- */

static void process_moment(struct world *world, const struct moment *moment)
{
    uint32_t seat = moment->which;
    if (world->processes[seat].serial != moment->stamp) {
        return; /* it is gone */
    }
    switch (moment->what) {
    case AT_READY:
        world->processes[seat].ready = 1;
        if (world->rules.seats[seat].state == PLACE_STARTING) {
            step(world, EVENT(.kind = CORE_READY, .seat = seat, .call = CORE_NONE,
                              .value = world->options.core.threads));
        }
        break;
    case AT_START_FAILURE:
        if (world->rules.seats[seat].state == PLACE_STARTING) {
            fail_start(world, seat);
        }
        break;
    case AT_BREAK:
        break_off(world, seat);
        break;
    case AT_DEATH:
        die(world, seat);
        break;
    case AT_FREE:
        if (world->rules.seats[seat].stuck) {
            step(world,
                 EVENT(.kind = CORE_FREE_AGAIN, .seat = seat, .call = CORE_NONE));
        }
        break;
    case AT_TICK:
    case AT_CALL_TIMER:
    case AT_ANSWER:
    case AT_CHUNK:
    case AT_ASKING:
    case AT_CHANGE_OF_MIND:
    case AT_ARRIVAL:
    case AT_IDLE_DEATH:
    case AT_MEMORY:
    case AT_RECYCLE:
        break;
    }
}

static void call_moment(struct world *world, const struct moment *moment)
{
    uint32_t call = moment->which;
    const struct caller *caller = &world->callers[call];
    int on_it = world->core.calls[call].state == CALL_SENT &&
                caller->attempt == moment->stamp &&
                !world->processes[caller->seat].broken;
    if (moment->what == AT_CALL_TIMER && caller->timer == moment->stamp) {
        take_back(world, call, CORE_CALL_DUE);
    } else if (moment->what == AT_CHANGE_OF_MIND && caller->serial == moment->stamp) {
        take_back(world, call, CORE_CANCEL);
    } else if (moment->what == AT_CHUNK && on_it) {
        world->core.calls[call].touched = 1;
    } else if (moment->what == AT_ASKING && on_it) {
        step(world, EVENT(.kind = CORE_ASKS, .call = call, .seat = CORE_NONE));
    } else if (moment->what == AT_ANSWER && on_it) {
        answer(world, call);
    }
}

static void happen(struct world *world, const struct moment *moment)
{
    uint32_t seat;
    switch (moment->what) {
    case AT_TICK:
        if (moment->stamp == world->tick_ms) {
            world->tick_ms = CORE_NEVER;
            step(world, EVENT(.kind = CORE_TICK, .seat = CORE_NONE, .call = CORE_NONE));
        }
        break;
    case AT_ARRIVAL:
        if (world->options.arrival_ms > 0) {
            arrive(world);
        }
        break;
    case AT_IDLE_DEATH:
        seat = any_serving(world);
        if (seat != CORE_NONE && world->options.idle_deaths_ms > 0) {
            break_off(world, seat);
        }
        if (world->options.idle_deaths_ms > 0) {
            plan(world, world->now_ms + around(world, world->options.idle_deaths_ms),
                 AT_IDLE_DEATH, 0, 0);
        }
        break;
    case AT_RECYCLE:
        seat = any_serving(world);
        if (seat != CORE_NONE && world->options.recycles_ms > 0) {
            step(world, EVENT(.kind = CORE_RECYCLE, .seat = seat, .call = CORE_NONE));
        }
        if (world->options.recycles_ms > 0) {
            plan(world, world->now_ms + around(world, world->options.recycles_ms),
                 AT_RECYCLE, 0, 0);
        }
        break;
    case AT_MEMORY:
        look_at_memory(world);
        break;
    case AT_CALL_TIMER:
    case AT_ANSWER:
    case AT_CHUNK:
    case AT_ASKING:
    case AT_CHANGE_OF_MIND:
        call_moment(world, moment);
        break;
    case AT_READY:
    case AT_START_FAILURE:
    case AT_BREAK:
    case AT_DEATH:
    case AT_FREE:
        process_moment(world, moment);
        break;
    }
}

int world_run_until(struct world *world, uint64_t until_ms)
{
    while (world->rules.broken == NULL && world->heap_count > 0 &&
           world->heap[0].at_ms <= until_ms) {
        struct moment moment = take_moment(world);
        world->now_ms = moment.at_ms > world->now_ms ? moment.at_ms : world->now_ms;
        happen(world, &moment);
    }
    world->now_ms = until_ms > world->now_ms ? until_ms : world->now_ms;
    return world->rules.broken == NULL ? 0 : -1;
}

struct world *world_new(const struct world_options *options)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL) {
        abort();
    }
    world->options = *options;
    world->averages_us[0] = 1000 * options->call_ms;
    world->averages_us[1] = QUICK_US;
    world->now_ms = BEGIN_MS;
    world->random = options->seed;
    world->tick_ms = CORE_NEVER;
    world->fewest_ready = UINT32_MAX;
    world->options.core.seed = draw(world, UINT64_MAX);
    if (sp__core_init(&world->core, &world->options.core) < 0 ||
        rules_init(&world->rules, &world->core) < 0) {
        abort();
    }
    world->processes = calloc(world->core.seats_count, sizeof *world->processes);
    if (world->processes == NULL) {
        abort();
    }
    step(world, EVENT(.kind = CORE_START, .seat = CORE_NONE, .call = CORE_NONE));
    static const enum what begin[] = {AT_ARRIVAL, AT_IDLE_DEATH, AT_MEMORY, AT_RECYCLE};
    const uint32_t after_ms[] = {options->arrival_ms, options->idle_deaths_ms,
                                 options->memory_ms, options->recycles_ms};
    for (int i = 0; i < 4; i++) {
        if (after_ms[i] > 0) {
            plan(world, world->now_ms + around(world, after_ms[i]), begin[i], 0, 0);
        }
    }
    return world;
}

void world_free(struct world *world)
{
    rules_fini(&world->rules);
    sp__core_fini(&world->core);
    free(world->heap);
    free(world->callers);
    free(world->processes);
    free(world);
}

void world_heal(struct world *world)
{
    struct world_options *options = &world->options;
    options->start_fails = options->spawn_fails = 0;
    options->call_fails = options->call_crashes = options->call_hangs = 0;
    options->refuses = options->poison = options->stuck = options->cancels = 0;
    options->arrival_ms = options->idle_deaths_ms = options->recycles_ms = 0;
    options->spends = 0;
    options->memory_ms = 0;
}

struct world_options *world_options(struct world *world)
{
    return &world->options;
}

void world_call(struct world *world, int idempotent, int poison)
{
    call_now(world, idempotent, poison);
}

void world_close(struct world *world)
{
    step(world, EVENT(.kind = CORE_CLOSE, .seat = CORE_NONE, .call = CORE_NONE));
}

const struct core *world_core(const struct world *world)
{
    return &world->core;
}

const struct rules *world_rules(const struct world *world)
{
    return &world->rules;
}

uint64_t world_now_ms(const struct world *world)
{
    return world->now_ms;
}

uint64_t world_events(const struct world *world)
{
    return world->events;
}

uint64_t world_log(const struct world *world)
{
    return world->log;
}

uint64_t world_calls(const struct world *world)
{
    return world->calls;
}

uint64_t world_poison_kills(const struct world *world)
{
    return world->poison_kills;
}

uint64_t world_poison_calls(const struct world *world)
{
    return world->poison_calls;
}

uint32_t world_fewest_ready(struct world *world)
{
    uint32_t fewest = world->fewest_ready;
    world->fewest_ready = world->core.states[SEAT_READY];
    return fewest;
}

void world_print(struct world *world, int prints)
{
    world->prints = prints;
}
