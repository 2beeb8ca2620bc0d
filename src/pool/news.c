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

#include "base/clock.h"
#include "pool/flow.h"
#include "pool/share.h"

enum { NEWS_TEXT_MAX = 256 };

static void tell(struct pool *pool, const struct worker *worker, sp_event *event,
                 struct death *certificate)
{
    event->time_unix_ms = sp__unix_ns() / 1000000u;
    event->pool = pool->name;
    if (worker != NULL) {
        event->worker = worker->id;
        event->slot = sp__pool_slot(pool, worker->slot);
        event->pid = worker->pid;
    }
    pool->events->on_event(pool->owner, event, certificate);
}

void sp__pool_tell(struct pool *pool, int kind, const struct worker *worker,
                   uint64_t duration_ms, const char *message)
{
    sp_event event = {.kind = kind,
                      .exit_status = -1,
                      .duration_ms = duration_ms,
                      .message = message};
    tell(pool, worker, &event, NULL);
}

void sp__pool_tell_death(struct pool *pool, const struct worker *worker,
                         const struct worker_death *death, int asked)
{
    sp_event event = {
        .kind = asked ? SP_EVENT_WORKER_STOPPED : SP_EVENT_WORKER_DIED,
        .exit_status = -1,
        .duration_ms = sp__loop_now_ms(pool->shop->loop) - worker->spawned_ms,
        .message = death->error.message,
    };
    if (death->certificate != NULL) {
        const sp_death *facts = sp__death_facts(death->certificate);
        event.exit_status = facts->exit_status;
        event.signal = facts->signal;
    }
    tell(pool, worker, &event, death->certificate);
}

/* ---- news of the core ---- */

#define COUNTED(figure) offsetof(sp_pool_stats, figure)

/* The event that each is, and the figure that counts it: 0, the place of one that the
 * options give, is none. */
static const struct {
    int kind;
    size_t figure;
} kinds[] = {
    [NEWS_READY] = {SP_EVENT_POOL_READY, 0},
    [NEWS_SATURATED] = {SP_EVENT_POOL_SATURATED, COUNTED(pool_saturated)},
    [NEWS_CAPACITY] = {SP_EVENT_CAPACITY_REACHED, COUNTED(capacity_reached)},
    [NEWS_RECYCLE_BEGUN] = {SP_EVENT_RECYCLE_STARTED, 0},
    [NEWS_RECYCLED] = {SP_EVENT_WORKER_RECYCLED, COUNTED(recycled)},
    [NEWS_RECYCLE_FAILED] = {SP_EVENT_RECYCLE_FAILED, 0},
    [NEWS_RECYCLE_LOOP] = {SP_EVENT_RECYCLE_LOOP, 0},
    [NEWS_BREAKER_OPENED] = {SP_EVENT_BREAKER_OPENED, 0},
    [NEWS_BREAKER_PROBED] = {SP_EVENT_BREAKER_PROBED, 0},
    [NEWS_BREAKER_CLOSED] = {SP_EVENT_BREAKER_CLOSED, 0},
    [NEWS_RETRY] = {SP_EVENT_CALL_RETRIED, 0},
    [NEWS_POISON] = {SP_EVENT_CALL_POISONED, COUNTED(poisoned)},
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

void sp__pool_tell_news(struct pool *pool, const struct core_action *action)
{
    char text[NEWS_TEXT_MAX] = "";
    const struct worker *worker =
        action->seat != CORE_NONE ? pool->workers[action->seat] : NULL;
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
    put_text(pool, action, text);
    sp__pool_tell(pool, kinds[action->what].kind, worker, duration_of(pool, action),
                  text);
}
