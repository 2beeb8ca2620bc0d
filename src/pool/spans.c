/* SPDX-License-Identifier: MIT */
/*
 * Records of calls and of starts, in two rings of a fixed size.
 *
 * Normal course: whoever ends a call writes its record over the oldest one; readers have a
 * cursor each and come by in their own time. Starts have a ring of their own, so that a
 * thousand calls do not push out how the pool came up. A lock is held for one copy.
 *
 * Failure: a reader that is too slow misses records, and is told how many. Nobody ever
 * waits for a reader.
 */
#include "pool/spans.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/pool.h"
#include "worker/worker.h"

enum {
    CALLS_KEPT = 4096,
    STARTS_KEPT = 64,
    PERMILLE = 1000,
    SECOND_US = 1000000,
    AHEAD_US = 100000 /* what a tenth of a second may have can begin at once */
};

static void free_spans(struct spans *spans)
{
    sp__free(spans->calls.records);
    sp__free(spans->starts.records);
    (void)pthread_cond_destroy(&spans->changed);
    (void)pthread_mutex_destroy(&spans->lock);
    sp__free(spans);
}

static int init_ring(struct span_ring *ring, uint32_t capacity)
{
    ring->capacity = capacity;
    ring->records = sp__malloc(capacity * sizeof *ring->records);
    return ring->records != NULL ? SP_OK : SP_ERR_NOMEM;
}

int sp__spans_new(int records, uint32_t sample_permille, uint32_t rate_max,
                  struct spans **ret_spans, sp_error *err)
{
    struct spans *spans = sp__calloc(1, sizeof *spans);
    if (spans == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for spans");
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&spans->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&spans->lock, NULL);
    atomic_init(&spans->references, 1);
    spans->records_calls = records;
    spans->gap_us = rate_max != 0 ? (SECOND_US + rate_max - 1) / rate_max : 0;
    if (records) {
        spans->threshold = ((uint64_t)1 << 63) / PERMILLE *
                           (sample_permille < PERMILLE ? sample_permille : PERMILLE);
        spans->threshold +=
            sample_permille >= PERMILLE ? PERMILLE : 0; /* what the division lost */
    }
    if (init_ring(&spans->starts, STARTS_KEPT) < 0 ||
        (records && init_ring(&spans->calls, CALLS_KEPT) < 0)) {
        free_spans(spans);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for spans");
    }
    *ret_spans = spans;
    return SP_OK;
}

void sp__spans_hold(struct spans *spans)
{
    atomic_fetch_add_explicit(&spans->references, 1, memory_order_relaxed);
}

void sp__spans_drop(struct spans *spans)
{
    if (spans != NULL &&
        atomic_fetch_sub_explicit(&spans->references, 1, memory_order_acq_rel) == 1) {
        free_spans(spans);
    }
}

/* ---- beginning ---- */

/* The generic cell rate algorithm (ITU-T I.371): evenly spread over a busy second, where a
 * counter would let all of them through at its beginning. */
int sp__spans_admit(struct spans *spans, uint64_t now_us)
{
    uint64_t due_us = atomic_load_explicit(&spans->next_us, memory_order_relaxed);
    uint64_t next_us;
    do {
        if (due_us > now_us + AHEAD_US) {
            return 0;
        }
        next_us = (due_us > now_us ? due_us : now_us) + spans->gap_us;
    } while (!atomic_compare_exchange_weak_explicit(
        &spans->next_us, &due_us, next_us, memory_order_relaxed, memory_order_relaxed));
    return 1;
}

/* ---- writing ---- */

void sp__spans_put(struct spans *spans, const struct span_record *record)
{
    struct span_ring *ring =
        record->kind == SPAN_START ? &spans->starts : &spans->calls;
    if (ring->capacity == 0) {
        return;
    }
    (void)pthread_mutex_lock(&spans->lock);
    ring->records[ring->written++ % ring->capacity] = *record;
    int is_due = spans->awaited != 0 && spans->calls.written >= spans->awaited;
    if (is_due) {
        spans->awaited = 0;
    }
    (void)pthread_mutex_unlock(&spans->lock);
    if (is_due) {
        (void)pthread_cond_signal(&spans->changed);
    }
}

void sp__span_put_name(char *to, size_t max, const char *text)
{
    size_t size = strnlen(text, max);
    if (size == max) {
        size--;
        while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
            size--; /* cut between characters */
        }
    }
    memcpy(to, text, size);
    to[size] = '\0';
}

static enum span_kind kind_of(const struct request *request)
{
    if (!request->is_asked) {
        return SPAN_CALL;
    }
    return request->lineage != NULL ? SPAN_CALLBACK : SPAN_SERVED;
}

void sp__spans_put_call(struct spans *spans, const struct request *request)
{
    struct span_record record = {
        .kind = kind_of(request),
        .error = sp__request_code(request),
        .begin_us = request->created_us,
        .sent_us = request->first_sent_us,
        .resent_us = request->sent_us,
        .entered_us = request->call.entered_us,
        .left_us = request->call.left_us,
        .end_us = sp__now_us(),
        .call = request->id,
        .worker = request->result.worker,
        .pid = request->result.worker_pid,
        .slot = request->slot,
        .attempts = request->result.attempts,
        .placed = request->result.placed,
        .streaming = request->streaming,
        .chunks = request->chunks,
    };
    sp__trace_ids(request->trace, record.trace, record.span);
    memcpy(record.parent, request->parent_span, sizeof record.parent);
    sp__span_put_name(record.pool, sizeof record.pool, request->pool->name);
    sp__span_put_name(record.session, sizeof record.session, request->session);
    sp__span_put_name(record.tool, sizeof record.tool, request->tool_name);
    sp__spans_put(spans, &record);
}

void sp__span_start(struct span_record *ret_record, const struct worker *worker,
                    const char *pool, const struct proto_announce *announce)
{
    *ret_record = (struct span_record){
        .kind = SPAN_START,
        .begin_us = worker->asked_us,
        .sent_us = worker->spawned_us,
        .end_us = sp__now_us(),
        .worker = worker->id,
        .pid = worker->pid,
        .slot = worker->public_slot,
        .generation = worker->generation,
    };
    if (announce != NULL) {
        ret_record->entered_us = announce->opened_us;
        ret_record->left_us = announce->announced_us;
    }
    sp__span_put_name(ret_record->pool, sizeof ret_record->pool, pool);
    sp__span_put_name(ret_record->tool, sizeof ret_record->tool, worker->runtime);
}

/* ---- starts ---- */

const char *sp__start_phase_name(enum start_phase phase)
{
    static const char *const names[] = {
#define X(name, text) [START_##name] = text,
        START_PHASE_TABLE(X)
#undef X
    };
    return names[phase];
}

size_t sp__span_start_steps(const struct span_record *record,
                            struct start_step ret_steps[START_PHASES])
{
    uint64_t end = record->end_us;
    uint64_t spawned = sp__span_within(record->sent_us, record->begin_us, end);
    ret_steps[0] = (struct start_step){START_SPAWN, record->begin_us, spawned};
    if (record->entered_us == 0) {
        ret_steps[1] = (struct start_step){START_CONNECT, spawned, end};
        return 2;
    }
    uint64_t opened = sp__span_within(record->entered_us, spawned, end);
    uint64_t announced = sp__span_within(record->left_us, opened, end);
    ret_steps[1] = (struct start_step){START_EXEC, spawned, opened};
    ret_steps[2] = (struct start_step){START_IMPORT, opened, announced};
    ret_steps[3] = (struct start_step){START_ANNOUNCE, announced, end};
    return 4;
}

/* ---- reading ---- */

static size_t read_ring(const struct span_ring *ring, uint64_t *cursor,
                        struct span_record *ret, size_t max, uint64_t *ret_lost)
{
    uint64_t oldest =
        ring->written > ring->capacity ? ring->written - ring->capacity : 0;
    if (*cursor < oldest) {
        *ret_lost += oldest - *cursor;
        *cursor = oldest;
    }
    size_t count = 0;
    while (count < max && *cursor < ring->written) {
        ret[count++] = ring->records[(*cursor)++ % ring->capacity];
    }
    return count;
}

size_t sp__spans_read(struct spans *spans, struct span_cursor *cursor,
                      struct span_record *ret, size_t max, uint64_t *ret_lost)
{
    *ret_lost = 0;
    (void)pthread_mutex_lock(&spans->lock);
    size_t count = read_ring(&spans->starts, &cursor->starts, ret, max, ret_lost);
    count +=
        read_ring(&spans->calls, &cursor->calls, ret + count, max - count, ret_lost);
    (void)pthread_mutex_unlock(&spans->lock);
    return count;
}

uint64_t sp__spans_written(struct spans *spans)
{
    (void)pthread_mutex_lock(&spans->lock);
    uint64_t written = spans->calls.written;
    (void)pthread_mutex_unlock(&spans->lock);
    return written;
}

static struct timespec time_after(uint64_t ms)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

int sp__spans_wait(struct spans *spans, const struct span_cursor *cursor, size_t count,
                   uint64_t timeout_ms)
{
    struct timespec end = time_after(timeout_ms);
    int rc = 0;
    (void)pthread_mutex_lock(&spans->lock);
    while (!spans->hurried && rc != ETIMEDOUT &&
           spans->calls.written < cursor->calls + count) {
        spans->awaited = cursor->calls + count;
        rc = pthread_cond_timedwait(&spans->changed, &spans->lock, &end);
    }
    spans->awaited = 0;
    int hurried = spans->hurried;
    (void)pthread_mutex_unlock(&spans->lock);
    return !hurried;
}

void sp__spans_hurry(struct spans *spans)
{
    (void)pthread_mutex_lock(&spans->lock);
    spans->hurried = 1;
    (void)pthread_cond_signal(&spans->changed);
    (void)pthread_mutex_unlock(&spans->lock);
}
