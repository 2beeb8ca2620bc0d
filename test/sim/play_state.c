/* SPDX-License-Identifier: MIT */
/*
 * The state of a small pool as bytes, and back.
 *
 * Before it is written, a state is given its plain form: now becomes one fixed moment
 * and everything else is moved along; what lies so far back that it has no influence is
 * forgotten; generations, which are only ever compared, become 1 (an older one) and 2
 * (this one); counters stop where more makes no difference. Two states with the same
 * bytes have the same future, in the core as well as in the book.
 */
#include <assert.h>
#include <string.h>

#include "play.h"

enum { PLAIN_MS = 1000000, FAILURES_ENOUGH = 3, START_FAILURES_ENOUGH = 8 };

/* ---- the plain form ---- */

/* A moment ahead keeps its distance; one that is past counts as `past`. */
static void shift(uint64_t *moment, uint64_t now_ms, uint64_t past)
{
    if (*moment == CORE_NEVER) {
        return;
    }
    *moment = *moment <= now_ms ? past : *moment - now_ms + PLAIN_MS;
}

/* A moment behind, of which no more than `span` matters; 0 stays 0. */
static void shift_back(uint64_t *moment, uint64_t now_ms, uint64_t span)
{
    if (*moment == 0) {
        return;
    }
    uint64_t age = now_ms - *moment;
    *moment = PLAIN_MS - (age < span ? age : span);
}

/* What the next start writes anew. */
static void forget_process(struct core_seat *seat)
{
    seat->capacity = 0;
    seat->stuck = 0;
    seat->spent = 0;
    seat->exempt = 0;
    seat->sampled = 0;
    seat->poisoned = 0;
    seat->steady = 0;
    seat->served = 0;
    seat->calls_limit = 0;
    seat->ready_ms = 0;
    seat->recycle_ms = CORE_NEVER;
    seat->hold_ms = 0;
}

static void make_seat_plain(struct play *play, uint32_t at)
{
    const struct core_options *options = &play->core.options;
    struct core_seat *seat = &play->core.seats[at];
    uint64_t now_ms = play->now_ms;
    if (seat->state != SEAT_WAITING && seat->state != SEAT_DRAINING) {
        seat->due_ms = CORE_NEVER;
    }
    if (seat->state == SEAT_EMPTY || seat->state == SEAT_WAITING) {
        forget_process(seat);
    }
    shift(&seat->due_ms, now_ms, PLAIN_MS);
    shift(&seat->recycle_ms, now_ms, PLAIN_MS);
    shift(&seat->hold_ms, now_ms, 0);
    shift(&seat->suspect_ms, now_ms, 0);
    shift_back(&seat->ready_ms, now_ms, options->steady_ms);
    seat->started_ms = 0;
    seat->starts = 0;
    seat->failures =
        seat->failures < FAILURES_ENOUGH ? seat->failures : FAILURES_ENOUGH;
    uint64_t most = options->recycle_calls == CORE_NEVER ? 1 : options->recycle_calls;
    seat->served = seat->served < most ? seat->served : most;
}

static uint32_t plain_generation(const struct play *play, uint32_t seat,
                                 uint32_t generation)
{
    if (seat == CORE_NONE || generation == 0) {
        return 0;
    }
    return generation == play->core.seats[seat].generation ? 2 : 1;
}

static void make_call_plain(struct play *play, uint32_t at)
{
    struct core_call *call = &play->core.calls[at];
    struct book_call *book = &play->rules.calls[at];
    if (call->state == CALL_FREE) {
        *book = (struct book_call){0};
        return;
    }
    call->generation = plain_generation(play, call->seat, call->generation);
    if (call->generation != 2) {
        call->seat = CORE_NONE; /* it is not avoided any more */
    }
    call->preferred_generation =
        plain_generation(play, call->preferred, call->preferred_generation);
    book->preferred_generation =
        plain_generation(play, book->preferred, book->preferred_generation);
    shift(&call->deadline_ms, play->now_ms, PLAIN_MS);
    shift(&call->queue_deadline_ms, play->now_ms, PLAIN_MS);
    shift(&book->deadline_ms, play->now_ms, PLAIN_MS);
    shift(&book->queue_deadline_ms, play->now_ms, PLAIN_MS);
    shift(&book->wait_ms, play->now_ms, PLAIN_MS);
    book->wait_ms = book->state == BOOK_WAITING ? book->wait_ms : CORE_NEVER;
    if (book->state != BOOK_SENT) {
        book->seat = CORE_NONE;
    }
}

/* Free numbers in ascending order: which one is next makes no difference. */
static void make_free_plain(struct play *play)
{
    struct core *core = &play->core;
    core->calls_free = CORE_NONE;
    for (uint32_t i = core->calls_max; i > 0; i--) {
        if (core->calls[i - 1].state == CALL_FREE) {
            core->calls[i - 1] = (struct core_call){.next = core->calls_free};
            core->calls_free = i - 1;
        }
    }
}

static void make_core_plain(struct play *play)
{
    struct core *core = &play->core;
    uint64_t now_ms = play->now_ms;
    uint32_t max = core->options.crashes_max + 1;
    uint64_t crashes_ms[16] = {0};
    assert(max <= 16);
    for (uint32_t i = 0; i < core->crashes_count; i++) {
        /* The newest last, the ring's next place first. */
        uint32_t at = (core->crashes_at + max - core->crashes_count + i) % max;
        crashes_ms[i] = core->crashes_ms[at];
        shift_back(&crashes_ms[i], now_ms, core->options.crash_period_ms);
    }
    for (uint32_t i = 0; i < max; i++) {
        core->crashes_ms[i] = crashes_ms[i];
    }
    core->crashes_at = core->crashes_count % max;
    shift(&core->batch_ms, now_ms, PLAIN_MS);
    shift(&core->probe_ms, now_ms, core->breaker == BREAKER_OPEN ? PLAIN_MS : 0);
    core->probe_ms = core->breaker == BREAKER_OPEN ? core->probe_ms : 0;
    shift(&core->next_due_ms, now_ms, PLAIN_MS);
    core->start_failures = core->start_failures < START_FAILURES_ENOUGH
                               ? core->start_failures
                               : START_FAILURES_ENOUGH;
    if (core->filling != CORE_NONE && core->seats[core->filling].in_flight == 0) {
        core->filling = CORE_NONE;
    }
    core->random = 1;
    for (uint32_t i = 0; i < core->poison_count; i++) {
        shift(&core->poison[i].until_ms, now_ms, PLAIN_MS);
        core->poison[i].deaths =
            core->poison[i].deaths < 2 ? core->poison[i].deaths : 2;
    }
}

static void make_book_plain(struct play *play)
{
    struct rules *rules = &play->rules;
    shift(&rules->probe_ms, play->now_ms, 0);
    rules->probe_ms = rules->breaker == BREAKER_OPEN ? rules->probe_ms : 0;
    rules->queue_was = 0;
    for (uint32_t i = 0; i < rules->seats_count; i++) {
        rules->seats[i].was = 0;
        rules->seats[i].generation = rules->seats[i].generation > 0 ? 2 : 0;
    }
}

static void make_plain(struct play *play)
{
    for (uint32_t i = 0; i < play->core.calls_max && i < play->rules.calls_max; i++) {
        make_call_plain(play, i);
    }
    for (uint32_t i = 0; i < play->core.seats_count; i++) {
        make_seat_plain(play, i);
    }
    make_free_plain(play);
    make_core_plain(play);
    make_book_plain(play);
    for (uint32_t i = 0; i < play->core.seats_count; i++) {
        struct core_seat *seat = &play->core.seats[i];
        seat->generation = seat->generation > 0 ? 2 : 0;
    }
    play->now_ms = PLAIN_MS;
}

/* ---- bytes ---- */

struct codec {
    unsigned char *at;
    int reads;
};

/* One integer of 1, 4 or 8 bytes as base 128, one more than it is: what stands for
 * "none" is a single byte then. */
static void code(struct codec *codec, void *field, size_t size)
{
    uint64_t value = 0;
    if (!codec->reads) {
        memcpy(&value, field, size);
        value++;
        if (size == 4) {
            value &= UINT32_MAX;
        }
        for (; value >= 0x80; value >>= 7) {
            *codec->at++ = (unsigned char)(value | 0x80);
        }
        *codec->at++ = (unsigned char)value;
        return;
    }
    for (unsigned bits = 0;; bits += 7) {
        unsigned char byte = *codec->at++;
        value |= (uint64_t)(byte & 0x7f) << bits;
        if (byte < 0x80) {
            break;
        }
    }
    value--;
    memcpy(field, &value, size);
}

/* Moments lie around PLAIN_MS; written as the distance they take a byte. */
static void code_moment(struct codec *codec, uint64_t *field)
{
    uint64_t value = *field;
    if (!codec->reads && value != CORE_NEVER) {
        value = value == 0 ? 0 : value - PLAIN_MS + 4096;
    }
    code(codec, &value, sizeof value);
    if (codec->reads) {
        *field = value == CORE_NEVER || value == 0 ? value : value + PLAIN_MS - 4096;
    }
}

#define FIELD(field) code(codec, &(field), sizeof(field))
#define MOMENT(field) code_moment(codec, &(field))

static void code_list(struct codec *codec, struct core_list *list)
{
    FIELD(list->first);
    FIELD(list->last);
    FIELD(list->length);
}

static void code_seat(struct codec *codec, struct core_seat *seat)
{
    FIELD(seat->state);
    FIELD(seat->generation);
    FIELD(seat->on);
    FIELD(seat->next);
    FIELD(seat->prev);
    FIELD(seat->in_flight);
    FIELD(seat->held);
    FIELD(seat->capacity);
    FIELD(seat->failures);
    FIELD(seat->replaces);
    FIELD(seat->relief);
    FIELD(seat->stuck);
    FIELD(seat->spent);
    FIELD(seat->exempt);
    FIELD(seat->sampled);
    FIELD(seat->poisoned);
    FIELD(seat->relieves_big);
    FIELD(seat->reason);
    FIELD(seat->steady);
    FIELD(seat->estimate_us);
    FIELD(seat->served);
    FIELD(seat->calls_limit);
    MOMENT(seat->due_ms);
    MOMENT(seat->ready_ms);
    MOMENT(seat->recycle_ms);
    MOMENT(seat->hold_ms);
    MOMENT(seat->suspect_ms);
}

static void code_call(struct codec *codec, struct core_call *call)
{
    FIELD(call->state);
    FIELD(call->next);
    if (call->state == CALL_FREE) {
        return;
    }
    FIELD(call->prev);
    FIELD(call->idempotent);
    FIELD(call->streaming);
    FIELD(call->touched);
    FIELD(call->executed);
    FIELD(call->deaths);
    FIELD(call->bound);
    FIELD(call->affinity);
    FIELD(call->nested);
    FIELD(call->asks);
    FIELD(call->held);
    FIELD(call->ancestors_count);
    for (uint32_t i = 0; i < call->ancestors_count; i++) {
        FIELD(call->ancestors[i]);
    }
    FIELD(call->attempts);
    FIELD(call->seat);
    FIELD(call->generation);
    FIELD(call->preferred);
    FIELD(call->preferred_generation);
    FIELD(call->estimate_us);
    FIELD(call->average_us);
    MOMENT(call->deadline_ms);
    MOMENT(call->queue_deadline_ms);
    FIELD(call->fingerprint);
}

static void code_book_call(struct codec *codec, struct book_call *call)
{
    FIELD(call->state);
    if (call->state == BOOK_NO_CALL) {
        return;
    }
    FIELD(call->idempotent);
    FIELD(call->streaming);
    FIELD(call->nested);
    FIELD(call->touched);
    FIELD(call->executed);
    FIELD(call->deaths);
    FIELD(call->affinity);
    FIELD(call->attempts);
    FIELD(call->seat);
    FIELD(call->preferred);
    FIELD(call->preferred_generation);
    FIELD(call->estimate_us);
    FIELD(call->average_us);
    MOMENT(call->deadline_ms);
    MOMENT(call->queue_deadline_ms);
    MOMENT(call->wait_ms);
}

static void code_book(struct codec *codec, struct rules *rules)
{
    FIELD(rules->fresh);
    FIELD(rules->breaker);
    FIELD(rules->probe);
    MOMENT(rules->probe_ms);
    FIELD(rules->closing);
    FIELD(rules->left);
    for (uint32_t i = 0; i < rules->seats_count; i++) {
        struct book_seat *seat = &rules->seats[i];
        FIELD(seat->state);
        FIELD(seat->spent);
        FIELD(seat->stuck);
        FIELD(seat->in_flight);
        FIELD(seat->capacity);
        FIELD(seat->generation);
        FIELD(seat->estimate_us);
    }
    for (uint32_t i = 0; i < PLAY_REQUESTS_MAX; i++) {
        code_book_call(codec, &rules->calls[i]);
    }
}

static void code_core(struct codec *codec, struct core *core)
{
    FIELD(core->calls_free);
    code_list(codec, &core->queue);
    code_list(codec, &core->idle);
    code_list(codec, &core->busy);
    FIELD(core->queue_bound);
    FIELD(core->queue_nested);
    for (int i = 0; i < 6; i++) {
        FIELD(core->states[i]);
    }
    FIELD(core->filling);
    FIELD(core->batch_left);
    MOMENT(core->batch_ms);
    FIELD(core->crashes_at);
    FIELD(core->crashes_count);
    for (uint32_t i = 0; i < core->options.crashes_max + 1; i++) {
        MOMENT(core->crashes_ms[i]);
    }
    FIELD(core->start_failures);
    FIELD(core->breaker);
    MOMENT(core->probe_ms);
    FIELD(core->probe);
    FIELD(core->tokens_tenths);
    FIELD(core->started);
    FIELD(core->closing);
    FIELD(core->left);
    FIELD(core->was_ready);
    FIELD(core->hopeless);
    FIELD(core->start_failed);
    FIELD(core->poison_count);
    for (uint32_t i = 0; i < core->poison_count; i++) {
        FIELD(core->poison[i].value);
        MOMENT(core->poison[i].until_ms);
        FIELD(core->poison[i].deaths);
    }
    MOMENT(core->next_due_ms);
    for (uint32_t i = 0; i < core->seats_count; i++) {
        code_seat(codec, &core->seats[i]);
    }
    for (uint32_t i = 0; i < PLAY_REQUESTS_MAX; i++) {
        code_call(codec, &core->calls[i]);
    }
}

size_t play_pack(struct play *play, unsigned char out[PLAY_PACKED_MAX])
{
    struct codec codec = {.at = out};
    make_plain(play);
    code_core(&codec, &play->core);
    code_book(&codec, &play->rules);
    code(&codec, &play->asked, sizeof play->asked);
    code(&codec, &play->left.faults, sizeof play->left.faults);
    code(&codec, &play->left.wishes, sizeof play->left.wishes);
    size_t size = (size_t)(codec.at - out);
    assert(size <= PLAY_PACKED_MAX);
    return size;
}

void play_unpack(struct play *play, const unsigned char *packed)
{
    struct codec codec = {.at = (unsigned char *)packed, .reads = 1};
    code_core(&codec, &play->core);
    code_book(&codec, &play->rules);
    code(&codec, &play->asked, sizeof play->asked);
    code(&codec, &play->left.faults, sizeof play->left.faults);
    code(&codec, &play->left.wishes, sizeof play->left.wishes);
    play->core.random = 1;
    play->now_ms = PLAIN_MS;
}
