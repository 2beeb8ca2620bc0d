/* SPDX-License-Identifier: MIT */
/*
 * The load.
 *
 * Each client takes the next id, plans the call from the id and the seed alone, notes
 * that it is sent, waits for it, and notes how it ended. Nothing here judges: an answer
 * that must not be is a line in the ledger like any other.
 */
#include "load.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan {
    uint64_t id;
    int stream;
    int idempotent;
    int cancelled; /* after cancel_us */
    uint64_t cancel_us;
    uint64_t timeout_ms;
    char args[256];
};

/* ---- chance ---- */

uint64_t chance(uint64_t seed, uint64_t salt)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u + salt * 0xbf58476d1ce4e5b9u + 1;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

int is_spread(uint64_t id, uint64_t count, uint64_t total)
{
    return total > 0 && (id + 1) * count / total != id * count / total;
}

/* ---- planning ---- */

static void plan_misdeed(const struct load *load, uint64_t at, char *text, size_t max)
{
    text[0] = '\0';
    if (load->kinds_count > 0 && is_spread(at, load->evils, load->count)) {
        uint64_t dice = chance(load->scene->amounts->seed, at * 4 + 1);
        uint64_t number = at * load->evils / load->count;
        const struct evil_kind *kind = &load->kinds[number % load->kinds_count];
        unsigned moments = kind->at_last - kind->at_first + 1;
        (void)snprintf(text, max,
                       ",\"do\":\"%s\",\"at\":%u,\"amount\":%" PRIu64 ",\"times\":%u",
                       kind->what, kind->at_first + (unsigned)(dice % moments),
                       kind->amount, kind->times);
    }
}

static void plan_call(const struct load *load, uint64_t at, struct plan *plan)
{
    const struct amounts *amounts = load->scene->amounts;
    uint64_t dice = chance(amounts->seed, at * 4);
    char evil[96];
    plan->id = load->first + at;
    plan->stream = is_spread(at, load->streams, load->count);
    plan->idempotent = dice % 100 < amounts->idempotent;
    plan->cancelled = dice / 100 % 100 < amounts->cancels;
    plan->cancel_us = dice / 10000 % (4 * amounts->work_us + 1);
    plan->timeout_ms = load->timeout_ms;
    if (load->timeout_min_ms > 0) {
        plan->timeout_ms = load->timeout_min_ms +
                           dice / 1000000 % (load->timeout_ms - load->timeout_min_ms);
    }
    plan_misdeed(load, at, evil, sizeof evil);
    (void)snprintf(plan->args, sizeof plan->args,
                   "{\"id\":%" PRIu64 ",\"us\":%" PRIu64 ",\"chunks\":%" PRIu64
                   ",\"bytes\":%" PRIu64 "%s}",
                   plan->id, plan->stream ? amounts->work_us / 100 : amounts->work_us,
                   amounts->chunks, amounts->chunk_bytes, evil);
}

/* ---- noting ---- */

static void note_send(const struct load *load, const struct plan *plan)
{
    static const char *const kinds[2][2] = {{"once", "again"}, {"stream", "restream"}};
    ledger_note(&load->scene->client, "send", "%" PRIu64 " %s %" PRIu64 " %" PRIu64,
                plan->id, kinds[plan->stream][plan->idempotent],
                ledger_now_us() + plan->timeout_ms * 1000u,
                plan->stream ? load->scene->amounts->chunks : 0);
}

static void note_answer(const struct load *load, const struct plan *plan,
                        const sp_error *err, uint32_t attempts, uint64_t chunks)
{
    ledger_note(&load->scene->client, "answer", "%" PRIu64 " %s %d %u %" PRIu64 " %d",
                plan->id, sp_error_name(err->code), err->executed,
                err->code != 0 ? err->attempts : attempts, chunks, err->worker_pid);
}

/* ---- calling ---- */

static sp_call_options options_of(const struct plan *plan)
{
    return (sp_call_options){.size = sizeof(sp_call_options),
                             .timeout_ms = plan->timeout_ms,
                             .flags = plan->idempotent ? SP_CALL_IDEMPOTENT : 0};
}

static void wait_us(uint64_t us)
{
    if (us >= 1000) {
        (void)poll(NULL, 0, (int)(us / 1000));
    } else {
        uint64_t end_us = ledger_now_us() + us;
        while (ledger_now_us() < end_us) {
        }
    }
}

static void note_latency(struct load *load, const struct plan *plan, int code,
                         uint64_t took_us)
{
    uint32_t us = took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us;
    if (code == 0) {
        load->latency_us[plan->id - load->first] = us;
    } else if (code == SP_ERR_QUEUE_FULL) {
        load->refused_us[plan->id - load->first] = us;
    }
}

static void run_call(struct load *load, const struct plan *plan)
{
    sp_error err = {0};
    sp_result result = {0};
    sp_id id;
    sp_call_options options = options_of(plan);
    uint64_t start_us = ledger_now_us();
    note_send(load, plan);
    if (plan->cancelled) {
        int rc = sp_call_start(load->scene->pit, "work", sp_text(plan->args), &options,
                               NULL, NULL, &id, &err);
        if (rc == 0) {
            wait_us(plan->cancel_us);
            (void)sp_call_cancel(load->scene->pit, id, NULL);
            (void)sp_call_wait(load->scene->pit, id, &result, &err);
        }
    } else {
        (void)sp_execute(load->scene->pit, "work", sp_text(plan->args), &options,
                         &result, &err);
    }
    note_answer(load, plan, &err, result.attempts, 0);
    note_latency(load, plan, err.code, ledger_now_us() - start_us);
    sp_result_clear(&result);
    sp_error_clear(&err);
}

/* Chunks that came one by one, as runs; a gap begins another. */
struct run {
    uint64_t first;
    uint64_t next;
    uint64_t came;
};

static void note_run(const struct load *load, const struct plan *plan,
                     const struct run *run)
{
    if (run->next > run->first) {
        ledger_note(&load->scene->client, "run", "%" PRIu64 " %" PRIu64 " %" PRIu64,
                    plan->id, run->first, run->next - 1);
    }
}

/* The number in the chunk is the worker's, its index the host's: both must be right. */
static void take_chunk(const struct load *load, const struct plan *plan,
                       struct run *run, const sp_chunk *chunk)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%.*s",
                   (int)(chunk->size > 20 ? 20 : chunk->size), chunk->data);
    uint64_t number = strtoull(text, NULL, 10);
    if (number != run->next || chunk->index != number) {
        note_run(load, plan, run);
        run->first = number;
        run->next = number;
    }
    run->next++;
    run->came++;
}

static void run_stream(struct load *load, const struct plan *plan)
{
    sp_error err = {0};
    sp_stream *stream = NULL;
    sp_chunk chunk;
    struct run run = {0};
    sp_call_options options = options_of(plan);
    uint64_t cancel_at = plan->cancelled ? plan->cancel_us % 100 : UINT64_MAX;
    note_send(load, plan);
    int rc = sp_stream_open(load->scene->pit, "stream", sp_text(plan->args), &options,
                            &stream, &err);
    if (rc == 0) {
        do {
            if (run.came == cancel_at) {
                sp_stream_cancel(stream);
            }
            rc = sp_stream_next(stream, &chunk, &err);
            if (rc > 0) {
                take_chunk(load, plan, &run, &chunk);
            }
        } while (rc > 0);
        sp_stream_close(stream);
    }
    note_run(load, plan, &run);
    note_answer(load, plan, &err, 1, run.came);
    sp_error_clear(&err);
}

/* ---- clients ---- */

static void *be_client(void *arg)
{
    struct load *load = arg;
    uint64_t at;
    while ((at = atomic_fetch_add(&load->next, 1)) < load->count) {
        struct plan plan = {0};
        plan_call(load, at, &plan);
        if (load->pause_us > 0) {
            wait_us(load->pause_us);
        }
        if (plan.stream) {
            run_stream(load, &plan);
        } else {
            run_call(load, &plan);
        }
        atomic_fetch_add(&load->done, 1);
    }
    return NULL;
}

void load_start(struct load *load, struct scene *scene, uint64_t first, uint64_t count)
{
    load->scene = scene;
    load->first = first;
    load->count = count;
    load->timeout_ms = load->timeout_ms == 0 ? 120000 : load->timeout_ms;
    load->clients = load->clients > 0 ? load->clients : scene->amounts->clients;
    load->latency_us = calloc(count + 1, sizeof *load->latency_us);
    load->refused_us = calloc(count + 1, sizeof *load->refused_us);
    if (load->latency_us == NULL || load->refused_us == NULL ||
        load->clients > CLIENTS_MAX) {
        scene_fail("too many clients or calls", NULL);
    }
    /* Touched at once: resident memory is to say something about the library. */
    explicit_bzero(load->latency_us, (count + 1) * sizeof *load->latency_us);
    explicit_bzero(load->refused_us, (count + 1) * sizeof *load->refused_us);
    for (uint64_t i = 0; i < load->clients; i++) {
        if (pthread_create(&load->threads[i], NULL, be_client, load) != 0) {
            scene_fail("no thread for a client", NULL);
        }
    }
}

int load_is_done(struct load *load)
{
    return atomic_load(&load->done) == load->count;
}

void load_join(struct load *load)
{
    while (!load_is_done(load)) {
        scene_dispatch(load->scene, 20);
    }
    for (uint64_t i = 0; i < load->clients; i++) {
        (void)pthread_join(load->threads[i], NULL);
    }
}

void load_fini(struct load *load)
{
    free(load->latency_us);
    free(load->refused_us);
    load->latency_us = NULL;
    load->refused_us = NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

uint32_t percentile(const uint32_t *latencies_us, uint64_t count, unsigned permille)
{
    size_t n = 0;
    uint32_t found = 0;
    uint32_t *sorted = malloc((count + 1) * sizeof *sorted);
    for (uint64_t i = 0; sorted != NULL && i < count; i++) {
        if (latencies_us[i] > 0) {
            sorted[n++] = latencies_us[i];
        }
    }
    if (n > 0) {
        qsort(sorted, n, sizeof *sorted, compare);
        found = sorted[(n - 1) * permille / 1000];
    }
    free(sorted);
    return found;
}
