/* SPDX-License-Identifier: MIT */
/*
 * What must be true of a pool's decisions, whatever happens: the rules, and the book that
 * is kept to judge them.
 *
 * The book knows what the core was told and what it wanted done, nothing of how it
 * decides: which calls are open and where, which seats have a process and in which
 * state. rules_step() is the one way in: it writes the event down, has the core decide,
 * holds every action against the book, and looks at the core's own lists and numbers.
 */
#ifndef TEST_SIM_RULES_H
#define TEST_SIM_RULES_H

#include "pool/core.h"

enum book_call_state {
    BOOK_NO_CALL,
    BOOK_NEW,     /* submitted in this step */
    BOOK_OFF,     /* came back from its worker in this step */
    BOOK_WAITING, /* the core said when to look again */
    BOOK_SENT
};

struct book_call {
    uint8_t state;
    uint8_t idempotent;
    uint8_t streaming;
    uint8_t nested; /* another call has asked for it */
    uint8_t touched;
    uint8_t executed; /* SP_EXECUTED_ over the attempts that are over */
    uint8_t deaths;
    uint8_t affinity; /* SP_AFFINITY_ */
    uint8_t due;      /* its moment came in this step */
    uint32_t attempts;
    uint32_t seat;
    uint32_t preferred;
    uint32_t preferred_generation;
    uint32_t estimate_us; /* when it was sent */
    const uint32_t *average_us;
    uint64_t deadline_ms;
    uint64_t queue_deadline_ms;
    uint64_t wait_ms; /* WAITING: when CORE_CALL_DUE is to come */
};

enum book_seat_state {
    PLACE_EMPTY,
    PLACE_STARTING,
    PLACE_SERVING,
    PLACE_LEAVING, /* its end was told to the core */
    PLACE_STOPPED  /* the core had it stopped */
};

struct book_seat {
    uint8_t state;
    uint8_t spent;
    uint8_t stuck;
    uint8_t was; /* enum core_seat_state before the step */
    uint32_t in_flight;
    uint32_t capacity;
    uint32_t generation;
    uint64_t estimate_us;
};

struct rules {
    struct book_call *calls;
    uint32_t calls_max;
    struct book_seat *seats;
    uint32_t seats_count;
    uint32_t fresh;     /* calls that wait and were never sent */
    uint32_t queue_was; /* the core's queue before the step */
    enum core_breaker breaker;
    uint32_t probe;
    uint64_t probe_ms; /* no probe before this */
    uint8_t closing;
    uint8_t left;
    const char *broken; /* the first rule that was */
    char text[240];     /* and how */

    /* Since the start; the explorer has no use for them. */
    uint64_t endings[ENDING_DEADLOCK + 1];
    uint64_t starts;
    uint64_t sends;
    uint64_t repeats; /* of calls that may have run */
    uint64_t recycled;
};

/* SP_ERR_NOMEM, or 0. The core was initialised and not stepped yet. */
int rules_init(struct rules *rules, const struct core *core) SP_MUST_CHECK;
void rules_fini(struct rules *rules);

/* One event: 0, or -1 when a rule was broken (then and ever after). */
int rules_step(struct rules *rules, struct core *core, const struct core_event *event,
               uint64_t now_ms);

/* Note a rule as broken; the first one counts. */
void rules_break(struct rules *rules, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A condition of a rule, whose name is the sentence that was broken. */
#define RULE(condition, rule, ...)                   \
    do {                                             \
        if (!(condition)) {                          \
            rules_break(rules, (rule), __VA_ARGS__); \
        }                                            \
    } while (0)

/* rules_state.c: the core's own lists and numbers, and that they agree with the book. */
void rules_check_state(struct rules *rules, const struct core *core,
                       const struct core_event *event, uint64_t now_ms);

#endif
