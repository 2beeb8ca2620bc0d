/* SPDX-License-Identifier: MIT */
/*
 * Events as a handler sees them, each held against its row of event_table.h.
 *
 * A scenario provokes events in a pit of its own, by the public interface alone;
 * provocations.h says which ones. It has succeeded once a handler of all events has seen
 * each of them whole: with every measurement that the row declares, of its type, every
 * metadata, and what it is about. Nothing that it sees may have anything else, but what
 * workers make.
 *
 *     #define EVENTS_FILE "lives"
 *
 *     static void a_worker_ends_itself(void)
 *     {
 *         sp_pool_options pool = pool_of_eventful(NULL);
 *         sp_pit *pit = sights_open_ready(&pool);
 *         call_fails(pit, "exit", "{\"code\":7}", NULL, SP_ERR_WORKER_DIED);
 *     }
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = {SCENARIO(a_worker_ends_itself), ALL_CLAIMS};
 *         return RUN_SYSTEM_TESTS("events_lives", tests);
 *     }
 */
#ifndef TEST_SUPPORT_SIGHTINGS_H
#define TEST_SUPPORT_SIGHTINGS_H

#include "pits.h"

struct scenario {
    const char *file;
    const char *name;
    void (*provoke)(void);
};

#define IN_SCENARIO(title, run, scenario)                              \
    (struct CMUnitTest)                                                \
    {                                                                  \
        .name = (title), .test_func = (run), .setup_func = leak_setup, \
        .teardown_func = leak_teardown, .initial_state = &(scenario)   \
    }

void scenario_run(void **state);
#define SCENARIO(fn) \
    IN_SCENARIO(#fn, scenario_run, ((struct scenario){EVENTS_FILE, #fn, fn}))

/* The last test of a file: each claim that provocations.h has for it has come true in the
 * scenario that it names. */
void claims_check(void **state);
#define ALL_CLAIMS                                         \
    IN_SCENARIO("every_claim_has_come_true", claims_check, \
                ((struct scenario){EVENTS_FILE, NULL, NULL}))

/* A worker of the program "eventful"; calls wait long for one, and one that has died is
 * replaced at once. */
sp_pool_options pool_of_eventful(const char *argument);

/* Open, with a handler of every event from the very first moment that one can be
 * attached. The second waits until the pool is ready. */
sp_pit *sights_open(const sp_pit_options *options);
sp_pit *sights_open_ready(const sp_pool_options *pool);

/* Also see what has happened before that, as far as the pit remembers it. */
void sights_recall(sp_pit *pit);

/* So many of a kind have been seen in this scenario; wait until it is so. */
unsigned sights_of(int kind);
void sights_await(int kind, unsigned count);
/* A measurement of the last one, or -1. */
double sights_number(int kind, const char *name);

/* What the scenario needs cannot be had here: say so, and make no claim for it. */
void scenario_skip(const char *why);

#endif
