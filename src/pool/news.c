/* SPDX-License-Identifier: MIT */
/*
 * What a pool tells its owner: its events, and the words they are told in.
 *
 * The core gives news as numbers; here they get the kind of event, the figure of the pool
 * that counts them, and one line for people. Nothing fails: a line that is too long is
 * cut.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pool/flow.h"
#include "pool/share.h"
#include "snakepit/error.h"

enum { NEWS_TEXT_MAX = 256 };

static void put_worker(const struct pool *pool, const struct worker *worker,
                       sp_event *event)
{
    event->worker = worker->id;
    event->slot = sp__pool_slot(pool, worker->slot);
    event->pid = worker->pid;
}

/* The worker that it was sent to last may have ended meanwhile. */
static void put_call(const struct request *request, sp_event *event)
{
    event->session = request->session;
    if (request->result.worker != 0) {
        event->worker = request->result.worker;
        event->slot = request->slot;
        event->pid = request->result.worker_pid;
    }
}

static void tell(struct pool *pool, const struct worker *worker,
                 struct tidings *tidings)
{
    tidings->event.pool = pool->name;
    if (worker != NULL) {
        put_worker(pool, worker, &tidings->event);
    }
    sp__herald_tell(pool->shop->herald, tidings);
}

void sp__pool_tell(struct pool *pool, int kind, const struct worker *worker,
                   uint64_t duration_ms, const char *message)
{
    struct tidings tidings = {
        .event = {.kind = kind, .duration_ms = duration_ms, .message = message}};
    tell(pool, worker, &tidings);
}

void sp__pool_tell_status(const struct pool *pool)
{
    const struct core *core = &pool->core;
    struct status status = {.workers = core->seats_count - core->states[SEAT_EMPTY],
                            .available = core->idle.length,
                            .busy = core->busy.length,
                            .queued = core->queue.length,
                            .requests = pool->stats.requests,
                            .errors = pool->stats.errors};
    if (pool->share != NULL) {
        sp__share_note_status(pool, &status);
    }
    if (pool != pool->front) {
        return; /* the first part speaks for all */
    }
    sp__herald_tell(
        pool->shop->herald,
        &(struct tidings){.event = {.kind = SP_EVENT_POOL_STATUS, .pool = pool->name},
                          EVENT_NUMBERS(status.workers, status.available, status.busy,
                                        status.queued, (double)status.requests,
                                        (double)status.errors)});
}

void sp__pool_tell_started(struct pool *pool)
{
    tell(pool, NULL,
         &(struct tidings){.event = {.kind = SP_EVENT_POOL_INIT_STARTED},
                           EVENT_NUMBERS(pool->options.workers, 1)});
}

void sp__pool_tell_unstarted(struct pool *pool, const struct worker *worker,
                             const char *why)
{
    tell(pool, worker,
         &(struct tidings){.event = {.kind = SP_EVENT_WORKER_SPAWN_FAILED},
                           EVENT_NUMBERS(1),
                           EVENT_TEXTS(why)});
}

/* An exit status in words, "" for none. */
static const char *status_text(char text[16], const struct death *certificate)
{
    int status = certificate == NULL ? -1 : sp__death_facts(certificate)->exit_status;
    text[0] = '\0';
    if (status >= 0) {
        (void)snprintf(text, 16, "%d", status);
    }
    return text;
}

void sp__pool_tell_tainted(struct pool *pool, const struct worker *worker,
                           const struct worker_death *death)
{
    char status[16];
    tell(pool, worker,
         &(struct tidings){.event = {.kind = SP_EVENT_WORKER_TAINTED},
                           EVENT_NUMBERS((double)pool->core.options.suspect_ms),
                           EVENT_TEXTS(death->error.message,
                                       status_text(status, death->certificate))});
}

void sp__pool_tell_restarted(struct pool *pool, const struct worker *worker)
{
    char status[16];
    for (size_t i = 0; i < POOL_DEATHS_MAX && pool->deaths[i] != NULL; i++) {
        const sp_death *facts = sp__death_facts(pool->deaths[i]);
        if (facts->slot != worker->public_slot ||
            facts->generation + 1 != worker->generation ||
            facts->why == SP_DEATH_RECYCLED || facts->why == SP_DEATH_STOPPED) {
            continue;
        }
        tell(pool, worker,
             &(struct tidings){
                 .event = {.kind = SP_EVENT_WORKER_RESTARTED},
                 EVENT_NUMBERS(1,
                               (double)(sp__unix_ns() / 1000000u - facts->time_unix_ms),
                               worker->generation - 1),
                 EVENT_TEXTS(sp_death_name(facts->why),
                             status_text(status, pool->deaths[i]))});
    }
}

void sp__pool_tell_ready(struct pool *pool, const struct worker *worker)
{
    uint64_t duration_ms = worker->ready_ms - worker->spawned_ms;
    tell(
        pool, worker,
        &(struct tidings){.event = {.kind = SP_EVENT_WORKER_READY,
                                    .duration_ms = duration_ms,
                                    .message = worker->runtime},
                          EVENT_NUMBERS((double)duration_ms, (double)duration_ms / 1000,
                                        pool->core.states[SEAT_READY] + 1),
                          EVENT_TEXTS(worker->forked_by != 0 ? "forked" : "executed")});
}

void sp__pool_tell_hung(struct pool *pool, const struct worker *worker)
{
    char text[256];
    (void)snprintf(text, sizeof text, "no sign of life in %u health check%s: %s",
                   worker->missed, worker->missed == 1 ? "" : "s", worker->evidence);
    tell(pool, worker,
         &(struct tidings){
             .event = {.kind = SP_EVENT_HEALTH_FAILED,
                       .duration_ms = worker->spec->health_interval_ms * worker->missed,
                       .message = text},
             EVENT_NUMBERS(worker->missed),
             EVENT_TEXTS("hung")});
}

void sp__pool_tell_death(struct pool *pool, const struct worker *worker,
                         const struct worker_death *death, int asked)
{
    uint64_t lifetime_ms = sp__loop_now_ms(pool->shop->loop) - worker->spawned_ms;
    char code[16] = "";
    struct tidings tidings = {
        .event = {.kind = asked ? SP_EVENT_WORKER_STOPPED : SP_EVENT_WORKER_DIED,
                  .exit_status = -1,
                  .duration_ms = lifetime_ms,
                  .message = death->error.message},
        .with = death->certificate};
    const char *reason = asked ? "asked" : "unknown";
    if (death->certificate != NULL) {
        const sp_death *facts = sp__death_facts(death->certificate);
        tidings.event.exit_status = facts->exit_status;
        tidings.event.signal = facts->signal;
        reason = sp_death_name(facts->why);
        if (facts->exit_status >= 0) {
            (void)snprintf(code, sizeof code, "%d", facts->exit_status);
        }
    }
    const double numbers[] = {(double)lifetime_ms, (double)worker->calls_total};
    const char *const texts[] = {reason, asked ? "true" : "false", code};
    tidings.numbers = numbers;
    tidings.numbers_count = sizeof numbers / sizeof numbers[0];
    tidings.texts = texts;
    tidings.texts_count = sizeof texts / sizeof texts[0];
    tell(pool, worker, &tidings);
}

/* ---- lines and calls ---- */

enum { ID_TEXT = 24 };

/* What a line that was read now was printed in: the worker's only call, unless it has been
 * sent in this very turn, when the line may be of the one before. */
static const struct request *only_call(const struct worker *worker)
{
    if (worker == NULL || worker->in_flight.length != 1) {
        return NULL;
    }
    const struct worker_call *call =
        ITEM(worker->in_flight.first, struct worker_call, on_worker);
    return call->sent_us < sp__loop_now_us(worker->shop->loop)
               ? ITEM(call, struct request, call)
               : NULL;
}

void sp__pool_tell_line(struct pool *pool, const struct worker *worker, int stream,
                        const char *line)
{
    const struct request *request = only_call(worker);
    char generation[ID_TEXT] = "";
    char id[ID_TEXT] = "";
    if (worker != NULL) {
        (void)snprintf(generation, sizeof generation, "%u", worker->generation);
    }
    if (request != NULL) {
        (void)snprintf(id, sizeof id, "%llu", (unsigned long long)request->id);
    }
    const char *name = stream == 1 ? "stdout" : stream == 2 ? "stderr" : "";
    tell(pool, worker,
         &(struct tidings){
             .event = {.kind = SP_EVENT_WORKER_OUTPUT,
                       .session = request != NULL ? request->session : NULL,
                       .message = line},
             EVENT_TEXTS(name, generation, request != NULL ? request->tool_name : "",
                         id)});
}

/* Of a call: texts that are numbers, and the middle of its traceparent. */
struct call_texts {
    char id[ID_TEXT];
    char generation[ID_TEXT];
    char trace_id[TRACE_ID_TEXT_BYTES];
};

static void describe(const struct pool *pool, const struct request *request,
                     struct call_texts *texts)
{
    const struct worker *worker =
        request->result.worker != 0
            ? sp__map_find(&pool->shop->by_id, request->result.worker)
            : NULL;
    memset(texts, 0, sizeof *texts);
    (void)snprintf(texts->id, sizeof texts->id, "%llu",
                   (unsigned long long)request->id);
    if (worker != NULL) {
        (void)snprintf(texts->generation, sizeof texts->generation, "%u",
                       worker->generation);
    }
    if (request->trace[0] != '\0') {
        sp__trace_id_text(request->trace, texts->trace_id);
    }
}

static void tell_failed(struct pool *pool, const struct request *request,
                        uint64_t lasted_ms)
{
    struct call_texts texts;
    describe(pool, request, &texts);
    struct tidings tidings = {.event = {.kind = SP_EVENT_CALL_FAILED,
                                        .duration_ms = lasted_ms,
                                        .message = request->error->message},
                              EVENT_NUMBERS((double)lasted_ms),
                              EVENT_TEXTS(request->tool_name, texts.id,
                                          sp_error_name(sp__request_code(request)),
                                          texts.generation, texts.trace_id)};
    put_call(request, &tidings.event);
    tell(pool, NULL, &tidings);
}

static void tell_slow(struct pool *pool, const struct request *request,
                      uint64_t lasted_ms)
{
    struct call_texts texts;
    char text[NEWS_TEXT_MAX];
    describe(pool, request, &texts);
    uint64_t queued_ms = request->result.queued_us / 1000;
    (void)snprintf(text, sizeof text,
                   "\"%.100s\" took %llu ms, %llu of them in the queue",
                   request->tool_name, (unsigned long long)lasted_ms,
                   (unsigned long long)queued_ms);
    struct tidings tidings = {
        .event = {.kind = SP_EVENT_CALL_SLOW,
                  .duration_ms = lasted_ms,
                  .message = text},
        EVENT_NUMBERS((double)lasted_ms, (double)queued_ms),
        EVENT_TEXTS(request->tool_name, texts.id, texts.generation, texts.trace_id)};
    put_call(request, &tidings.event);
    tell(pool, NULL, &tidings);
}

void sp__pool_tell_ending(struct pool *pool, const struct request *request)
{
    uint64_t slow_us = pool->shop->slow_call_us;
    uint64_t lasted_us = sp__loop_now_us(pool->shop->loop) - request->created_us;
    if (request->error != NULL) {
        tell_failed(pool, request, lasted_us / 1000);
    } else if (slow_us != 0 && lasted_us >= slow_us) {
        tell_slow(pool, request, lasted_us / 1000);
    }
}

/* ---- news of the core ---- */

#define COUNTED(figure) offsetof(sp_pool_stats, figure)

/* The event that each is, and the figure that counts it: 0, the place of one that the
 * options give, is none. */
static const struct {
    int kind;
    size_t figure;
    int names_call; /* its tool is the last of the texts */
} kinds[] = {
    [NEWS_READY] = {SP_EVENT_POOL_READY, 0, 0},
    [NEWS_SATURATED] = {SP_EVENT_POOL_SATURATED, COUNTED(pool_saturated), 0},
    [NEWS_CAPACITY] = {SP_EVENT_CAPACITY_REACHED, COUNTED(capacity_reached), 0},
    [NEWS_RECYCLE_BEGUN] = {SP_EVENT_RECYCLE_STARTED, 0, 0},
    [NEWS_RECYCLED] = {SP_EVENT_WORKER_RECYCLED, COUNTED(recycled), 0},
    [NEWS_RECYCLE_FAILED] = {SP_EVENT_RECYCLE_FAILED, 0, 0},
    [NEWS_RECYCLE_LOOP] = {SP_EVENT_RECYCLE_LOOP, 0, 0},
    [NEWS_BREAKER_OPENED] = {SP_EVENT_BREAKER_OPENED, 0, 0},
    [NEWS_BREAKER_PROBED] = {SP_EVENT_BREAKER_PROBED, 0, 0},
    [NEWS_BREAKER_CLOSED] = {SP_EVENT_BREAKER_CLOSED, 0, 0},
    [NEWS_RETRY] = {SP_EVENT_CALL_RETRIED, 0, 1},
    [NEWS_POISON] = {SP_EVENT_CALL_POISONED, COUNTED(poisoned), 1},
};
_Static_assert(offsetof(sp_pool_stats, workers) == 0, "0 is no figure that is counted");

static const char *reason_text(uint64_t reason)
{
    switch ((enum core_reason)reason) {
    case REASON_AGE:
        return "its age (recycle.after)";
    case REASON_CALLS:
        return "its number of calls (recycle.calls)";
    case REASON_MEMORY:
        return "its memory (recycle.memory)";
    case REASON_ASKED:
        return "by request";
    case REASON_SPENT:
        return "its connection, which has carried all the calls it can number";
    case REASON_CLOSING:
        return "the pool is closing";
    case REASON_NONE:
        break;
    }
    return "no reason";
}

/* The word for it. */
static const char *reason_word(uint64_t reason)
{
    static const char *const words[] = {
        [REASON_NONE] = "none",       [REASON_AGE] = "ttl",
        [REASON_CALLS] = "max_calls", [REASON_MEMORY] = "memory",
        [REASON_ASKED] = "operator",  [REASON_SPENT] = "spent",
        [REASON_CLOSING] = "closing"};
    return words[reason];
}

static void put_text(const struct pool *pool, const struct core_action *action,
                     char text[NEWS_TEXT_MAX])
{
    const sp_pool_options *options = &pool->options;
    unsigned long long value = action->due_ms;
    const char *tool =
        action->call != CORE_NONE ? pool->requests[action->call]->tool_name : "";
    switch ((enum core_news)action->what) {
    case NEWS_READY:
        (void)snprintf(text, NEWS_TEXT_MAX, "every worker is ready");
        break;
    case NEWS_SATURATED:
        (void)snprintf(text, NEWS_TEXT_MAX,
                       "%llu calls already wait in pool %s, its limit (queue.max)",
                       pool->share != NULL ? sp__share_queued(pool) : value,
                       pool->name);
        break;
    case NEWS_CAPACITY:
        (void)snprintf(text, NEWS_TEXT_MAX, "it runs %llu calls, as many as it can: %s",
                       value,
                       options->profile == SP_PROFILE_THREAD
                           ? "profile thread"
                           : "profile process with max_concurrency");
        break;
    case NEWS_RECYCLE_BEGUN:
        (void)snprintf(text, NEWS_TEXT_MAX, "a relief starts: %s", reason_text(value));
        break;
    case NEWS_RECYCLED:
        (void)snprintf(text, NEWS_TEXT_MAX, "replaced: %s", reason_text(value));
        break;
    case NEWS_RECYCLE_FAILED:
        (void)snprintf(text, NEWS_TEXT_MAX,
                       "its relief did not start, it stays: %.180s",
                       pool->last_failure.message);
        break;
    case NEWS_RECYCLE_LOOP:
        (void)snprintf(text, NEWS_TEXT_MAX,
                       "it has %llu KiB as soon as it has started, recycle.memory is "
                       "%llu: it is not replaced for that",
                       value,
                       (unsigned long long)pool->core.options.recycle_memory_kib);
        break;
    case NEWS_BREAKER_OPENED:
        (void)snprintf(
            text, NEWS_TEXT_MAX,
            "%llu deaths or failed starts: one start per %llu ms from now on", value,
            (unsigned long long)options->probe_interval_ms);
        break;
    case NEWS_BREAKER_PROBED:
        (void)snprintf(text, NEWS_TEXT_MAX, "one worker is started to see");
        break;
    case NEWS_BREAKER_CLOSED:
        (void)snprintf(text, NEWS_TEXT_MAX, "workers start again");
        break;
    case NEWS_RETRY:
        (void)snprintf(text, NEWS_TEXT_MAX, "\"%.100s\" is tried again", tool);
        break;
    case NEWS_POISON:
        (void)snprintf(text, NEWS_TEXT_MAX, "\"%.100s\" ended %u workers", tool,
                       options->poison_deaths);
        break;
    }
}

/* Until what the event speaks of happens, where it says so. */
static uint64_t duration_of(const struct pool *pool, const struct core_action *action)
{
    return action->what == NEWS_RETRY            ? action->due_ms
           : action->what == NEWS_BREAKER_OPENED ? pool->options.probe_interval_ms
                                                 : 0;
}

/* Numbers and texts of an event, as its row has them. */
struct details {
    double numbers[SP_EVENT_MEASUREMENTS_MAX];
    size_t numbers_count;
    const char *texts[SP_EVENT_METADATA_MAX];
    size_t texts_count;
    char first[24]; /* texts that are numbers */
    char second[24];
};

static void add_number(struct details *details, double number)
{
    details->numbers[details->numbers_count++] = number;
}

static void add_text(struct details *details, const char *text)
{
    details->texts[details->texts_count++] = text;
}

static void put_saturated(const struct pool *pool, struct details *details)
{
    uint32_t busy = pool->share != NULL ? sp__share_busy(pool) : pool->core.busy.length;
    uint32_t queued =
        pool->share != NULL ? sp__share_queued(pool) : pool->core.queue.length;
    add_number(details, queued);
    add_number(details, pool->options.queue_max);
    (void)snprintf(details->first, sizeof details->first, "%u", pool->core.idle.length);
    (void)snprintf(details->second, sizeof details->second, "%u", busy);
    add_text(details, details->first);
    add_text(details, details->second);
}

/* The certificate of the one that has just left a seat, which has no worker by now; NULL:
 * there was no memory for it. */
static const sp_death *leaver_of(const struct pool *pool, uint32_t seat)
{
    const struct death *last =
        pool->deaths[(pool->deaths_count + POOL_DEATHS_MAX - 1) % POOL_DEATHS_MAX];
    const sp_death *facts = last != NULL ? sp__death_facts(last) : NULL;
    return facts != NULL && facts->slot == sp__pool_slot(pool, seat) ? facts : NULL;
}

static void put_recycled(const sp_death *leaver, struct details *details)
{
    if (leaver != NULL) {
        (void)snprintf(details->first, sizeof details->first, "%llu",
                       (unsigned long long)leaver->age_ms / 1000);
        (void)snprintf(details->second, sizeof details->second, "%llu",
                       (unsigned long long)leaver->calls_total);
    }
    add_number(details, 1);
    add_text(details, details->first);
    add_text(details, details->second);
}

static void put_details(const struct pool *pool, const struct core_action *action,
                        const sp_death *leaver, struct details *details)
{
    double value = (double)action->due_ms;
    switch ((enum core_news)action->what) {
    case NEWS_READY:
        add_number(details,
                   (double)(sp__loop_now_ms(pool->shop->loop) - pool->started_ms));
        add_number(details, pool->options.workers);
        add_number(details, 1);
        break;
    case NEWS_SATURATED:
        put_saturated(pool, details);
        break;
    case NEWS_CAPACITY:
        add_number(details, value);
        add_number(details, value);
        add_text(details,
                 pool->options.profile == SP_PROFILE_THREAD ? "thread" : "process");
        add_text(details, "false"); /* it waits, as long as the queue has room */
        break;
    case NEWS_RECYCLED:
        add_text(details, reason_word(action->due_ms));
        put_recycled(leaver, details);
        break;
    case NEWS_RECYCLE_BEGUN:
    case NEWS_RECYCLE_FAILED:
        add_text(details, reason_word(action->due_ms));
        break;
    case NEWS_BREAKER_OPENED:
    case NEWS_RETRY:
        add_number(details, value);
        break;
    case NEWS_RECYCLE_LOOP:
    case NEWS_BREAKER_PROBED:
    case NEWS_BREAKER_CLOSED:
    case NEWS_POISON:
        break;
    }
    if (action->call != CORE_NONE && kinds[action->what].names_call) {
        add_text(details, pool->requests[action->call]->tool_name);
    }
}

/* Whom it is about: the worker in the seat, the one that has just left it, or a call. */
static sp_event event_about(struct pool *pool, const struct core_action *action,
                            const sp_death *leaver)
{
    sp_event event = {.kind = kinds[action->what].kind,
                      .duration_ms = duration_of(pool, action)};
    const struct worker *worker =
        action->seat != CORE_NONE ? pool->workers[action->seat] : NULL;
    if (leaver != NULL) {
        event.worker = leaver->worker;
        event.slot = leaver->slot;
        event.pid = leaver->pid;
    } else if (worker != NULL) {
        put_worker(pool, worker, &event);
    } else if (action->call != CORE_NONE) {
        put_call(pool->requests[action->call], &event);
    }
    return event;
}

void sp__pool_tell_news(struct pool *pool, const struct core_action *action)
{
    char text[NEWS_TEXT_MAX] = "";
    struct details details = {0};
    size_t figure = kinds[action->what].figure;
    if (action->what == NEWS_READY && pool->share != NULL &&
        !sp__share_was_last(pool)) {
        return;
    }
    if (figure != 0) {
        ++*(uint64_t *)(void *)((char *)&pool->stats + figure);
    }
    if (action->what == NEWS_RECYCLED) {
        pool->meter.counts.recycled[action->due_ms]++;
    }
    const sp_death *leaver =
        action->what == NEWS_RECYCLED ? leaver_of(pool, action->seat) : NULL;
    struct tidings tidings = {.event = event_about(pool, action, leaver),
                              .numbers = details.numbers,
                              .texts = details.texts};
    put_text(pool, action, text);
    put_details(pool, action, leaver, &details);
    tidings.event.message = text;
    tidings.numbers_count = details.numbers_count;
    tidings.texts_count = details.texts_count;
    tell(pool, NULL, &tidings);
}
