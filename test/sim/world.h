/* SPDX-License-Identifier: MIT */
/*
 * A world on a clock of its own around the real decisions of a pool: workers that take
 * their time, crash, hang, fail to start, grow and leave slowly, and callers that come,
 * cancel and give up. Everything follows from a seed: the same seed gives the same log.
 *
 *     struct world *world = world_new(&options);
 *     world_script(world, WORLD_CRASHES_AT_START);
 *     world_run_until(world, 600000);
 *     ... world->rules, world->core
 *     world_free(world);
 */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include "rules.h"

/* Probabilities are in thousandths. */
struct world_options {
    uint64_t seed;
    struct core_options core;
    uint32_t start_ms;     /* a process becomes ready after up to twice that */
    uint32_t start_fails;  /* it crashes instead */
    uint32_t spawn_fails;  /* there is no process at all */
    uint32_t call_ms;      /* a call runs for up to twice that */
    uint32_t call_fails;   /* the tool answers with an error */
    uint32_t call_crashes; /* the worker dies of it */
    uint32_t call_hangs;   /* it never answers */
    uint32_t refuses;      /* the worker sends it back */
    uint32_t poison;       /* a call that crashes every worker */
    uint32_t idempotent;   /* callers that allow repetition */
    uint32_t streams;
    uint32_t sessions;    /* callers that prefer the worker of the last call */
    uint32_t cancels;     /* callers that change their mind */
    uint32_t asks;        /* calls that ask another part of their pool for one */
    uint32_t stuck;       /* cancelled calls that go on in the worker */
    uint32_t arrival_ms;  /* a caller comes after up to twice that, 0: none does */
    uint32_t arrivals;    /* as many come at once */
    uint32_t deadline_ms; /* of each call, 0: none */
    uint32_t queue_deadline_ms;
    uint32_t idle_deaths_ms; /* one worker dies by itself about every, 0: none */
    uint32_t memory_ms;      /* memory is looked at every, 0: never */
    uint32_t grows_kib;      /* per call */
    uint32_t recycles_ms;    /* somebody asks to replace one about every, 0: never */
    uint32_t spends;         /* calls that use up a connection */
    uint32_t death_ms;       /* from the end of the connection to the reaped death */
};

struct world;

struct world *world_new(const struct world_options *options);
void world_free(struct world *world);

/* Run to a moment on its clock: 0, or -1 when a rule was broken. */
int world_run_until(struct world *world, uint64_t until_ms);

/* From here on everything goes well and nobody comes any more. */
void world_heal(struct world *world);

/* Change what happens from here on. */
struct world_options *world_options(struct world *world);

/* A call now: idempotent, or poison. */
void world_call(struct world *world, int idempotent, int poison);
void world_close(struct world *world);

const struct core *world_core(const struct world *world);
const struct rules *world_rules(const struct world *world);
uint64_t world_now_ms(const struct world *world);
uint64_t world_events(const struct world *world);
uint64_t world_log(const struct world *world); /* a hash over all events and actions */
uint64_t world_calls(const struct world *world);
/* Workers ended by poison calls, and how many of these there were. */
uint64_t world_poison_kills(const struct world *world);
uint64_t world_poison_calls(const struct world *world);
/* The fewest ready workers since the pool was ready first or since this was asked. */
uint32_t world_fewest_ready(struct world *world);

/* Every event and action as a line, for whoever replays a seed. */
void world_print(struct world *world, int prints);

#endif
