/* SPDX-License-Identifier: MIT */
/*
 * A small pool in which everything that may happen next can be listed: the real core,
 * the rules, a clock that jumps from moment to moment, and a world that answers in every
 * way it could. The explorer tries all moves, the fuzz target lets bytes choose.
 */
#ifndef TEST_SIM_PLAY_H
#define TEST_SIM_PLAY_H

#include <stddef.h>

#include "rules.h"

enum { PLAY_REQUESTS_MAX = 4, PLAY_MOVES_MAX = 256, PLAY_PACKED_MAX = 2048 };

/* A request the world may make once. */
struct play_request {
    uint8_t idempotent;
    uint8_t streaming;
    uint8_t nested; /* asked for by a call that is with a worker: 1 the first, 2 the
                       last of them, and by who has asked for that */
    uint8_t own;    /* of a session whose worker is or was in the first seat */
    uint32_t average_us;
    uint32_t deadline_ms; /* from its submission; 0: none */
    uint32_t queue_deadline_ms;
};

struct play_options {
    const char *name;
    struct core_options core;
    struct play_request requests[PLAY_REQUESTS_MAX];
    uint32_t requests_count;
    /* What the world does besides answering and dying. */
    uint8_t cancels;
    uint8_t recycles;
    uint8_t memory;
    uint8_t spends;
    uint8_t refuses; /* live workers send calls back */
    uint8_t permanent;
    uint8_t no_guard; /* starts fail by nobody's fault */
};

/* How often the world may do what it need not do. */
struct play_budget {
    uint8_t faults; /* deaths, failed starts, calls sent back */
    uint8_t wishes; /* cancellations, recycling, too much memory, spent connections */
};

enum { PLAY_WITHOUT_END = 255 }; /* as often as it likes */

struct play {
    const struct play_options *options;
    struct core core;
    struct rules rules;
    uint64_t now_ms;
    struct play_budget left;
    uint32_t asked; /* bit i: request i was made */
    uint8_t again;  /* requests are made again and again (the fuzz target) */
};

enum move_kind { MOVE_EVENT, MOVE_SUBMIT, MOVE_CHUNK, MOVE_TIME };

struct move {
    enum move_kind kind;
    uint8_t fault;           /* it costs one */
    uint8_t wish;            /* the same */
    struct core_event event; /* EVENT; CHUNK: its call */
    uint32_t request;        /* SUBMIT */
};

extern const struct play_options play_options[];
extern const size_t play_options_count;

/* SP_ERR_NOMEM, or 0. The pool is started, nothing has happened yet. */
int play_init(struct play *play, const struct play_options *options,
              struct play_budget budget) SP_MUST_CHECK;
void play_fini(struct play *play);

/* All moves that are possible now, in an order that depends on the state only. */
size_t play_moves(const struct play *play, struct move moves[PLAY_MOVES_MAX]);

/* 0, or -1 when a rule was broken: play->rules.text. */
int play_do(struct play *play, const struct move *move);

void play_describe(const struct play *play, const struct move *move, char *out,
                   size_t max);

/* play_state.c. The state as bytes, times relative to now and without what has no
 * influence any more: states that differ in nothing else are one. */
size_t play_pack(struct play *play, unsigned char out[PLAY_PACKED_MAX]);
void play_unpack(struct play *play, const unsigned char *packed);

#endif
