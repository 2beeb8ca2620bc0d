/* SPDX-License-Identifier: MIT */
/*
 * The rules: one function for each concern, which looks at figures and adds what they
 * advise. Nothing is advised without a figure that says so, and a healthy pool gets none.
 */
#include "telemetry/advice.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    SMALL_POOL = 10,      /* an idle one of so many is not worth a word */
    LARGE_POOL = 200,     /* processes that threads could be */
    THREADS_FEW = 4,      /* in a worker: processes would do as well */
    THREADS_MANY = 32,    /* they wait for each other */
    SLOW_START_MS = 1000, /* that a zygote would spare */
    SESSION_CALLS = 10,   /* fewer say nothing of where calls of sessions go */
    MISSES_PERCENT = 10,  /* of these: what one notices */
    WORKERS_FOR_ZYGOTE = 4
};

static const uint64_t MEAN_BYTES = UINT64_C(100) << 20;
static const uint64_t LARGEST_BYTES = UINT64_C(200) << 20;
static const uint64_t MINUTE_MS = 60000;

struct advising {
    const struct advice_facts *facts;
    struct advice *list;
    size_t count;
};

double sp__utilization(uint64_t load, uint64_t capacity)
{
    return capacity > 0 ? 100.0 * (double)load / (double)capacity : 0;
}

const char *sp__utilization_word(double percent)
{
    return percent >= 90   ? "CRITICAL"
           : percent >= 80 ? "HIGH"
           : percent >= 60 ? "GOOD"
                           : "LOW";
}

/* The figure is the format's. The constant's value is the one to set, or the unit of
 * `value`, which 0 leaves out. */
static void add(struct advising *advising, const struct advice *constant,
                uint64_t value, const char *figure, ...) SP_PRINTF(4, 5);

static void add(struct advising *advising, const struct advice *constant,
                uint64_t value, const char *figure, ...)
{
    if (advising->count == ADVICE_MAX) {
        return;
    }
    struct advice *next = &advising->list[advising->count++];
    *next = *constant;
    if (value > 0) {
        (void)snprintf(next->value, sizeof next->value, "%llu%.8s",
                       (unsigned long long)value, constant->value);
    }
    va_list args;
    va_start(args, figure);
    (void)vsnprintf(next->figure, sizeof next->figure, figure, args);
    va_end(args);
}

static unsigned long long mib(uint64_t bytes)
{
    return (unsigned long long)(bytes >> 20);
}

/* So many workers that the load of now is 70 % of what they can do. */
static uint64_t size_for(const struct advice_facts *facts)
{
    const sp_pool_stats *stats = facts->stats;
    uint64_t ready = stats->available + stats->busy;
    uint64_t each = ready > 0 ? (stats->capacity + ready - 1) / ready : 1;
    uint64_t wanted = (facts->load + stats->queued) * 10 / 7;
    uint64_t size = (wanted + each - 1) / (each > 0 ? each : 1);
    return size > 1000 ? 1000 : size;
}

static void advise_size(struct advising *advising)
{
    const struct advice_facts *facts = advising->facts;
    const sp_pool_stats *stats = facts->stats;
    double percent = sp__utilization(facts->load, stats->capacity);
    if (stats->capacity > 0 && percent > 80) {
        const struct advice more = {
            .severity = percent > 90 ? "high" : "medium",
            .rule = "utilization_high",
            .key = "size",
            .why = "calls wait as soon as a few more come at once"};
        uint64_t size = size_for(facts);
        add(advising, &more, size > stats->workers ? size : stats->workers + 1,
            "%.0f %% in use: %u of %u calls that can run at once, %u waiting", percent,
            facts->load, stats->capacity, stats->queued);
    }
    /* A peak that needed them is a reason to keep them. */
    if (stats->workers > SMALL_POOL && stats->capacity > 0 && percent < 20 &&
        stats->queued_peak == 0 && facts->uptime_ms >= MINUTE_MS) {
        uint64_t size = size_for(facts);
        const struct advice fewer = {.severity = "low",
                                     .rule = "utilization_low",
                                     .key = "size",
                                     .why =
                                         "workers that rest hold memory and processes"};
        add(advising, &fewer, size < SMALL_POOL ? SMALL_POOL : size,
            "%.0f %% in use by %u workers, and no call has ever waited", percent,
            stats->workers);
    }
    if (stats->profile == SP_PROFILE_PROCESS && stats->workers > LARGE_POOL) {
        const struct advice threads = {.severity = "medium",
                                       .rule = "many_processes",
                                       .key = "profile",
                                       .value = "thread",
                                       .why = "a worker of the profile thread runs "
                                              "several calls in the memory of one"};
        add(advising, &threads, 0, "%u processes, more than %d", stats->workers,
            LARGE_POOL);
    }
}

static void advise_threads(struct advising *advising)
{
    const struct advice_facts *facts = advising->facts;
    const sp_pool_stats *stats = facts->stats;
    if (stats->profile != SP_PROFILE_THREAD) {
        return;
    }
    if (facts->threads < THREADS_FEW) {
        const struct advice more = {
            .severity = "low",
            .rule = "few_threads",
            .key = "threads",
            .why = "with so few, processes do the same and fail one by one"};
        add(advising, &more, THREADS_FEW, "%u threads in a worker, fewer than %d",
            facts->threads, THREADS_FEW);
    } else if (facts->threads > THREADS_MANY) {
        const struct advice fewer = {
            .severity = "medium",
            .rule = "many_threads",
            .key = "threads",
            .why = "they wait for each other, and all are lost with their worker"};
        add(advising, &fewer, THREADS_MANY, "%u threads in a worker, more than %d",
            facts->threads, THREADS_MANY);
    }
    uint64_t all = (uint64_t)facts->threads * stats->workers;
    if (facts->processors > 0 && all > UINT64_C(16) * facts->processors) {
        const struct advice machine = {
            .severity = "low",
            .rule = "threads_for_processors",
            .key = "threads",
            .why = "more than can run help only tools that wait"};
        uint64_t each = UINT64_C(16) * facts->processors / stats->workers;
        add(advising, &machine, each > THREADS_FEW ? each : THREADS_FEW,
            "%llu threads in all for %u processors", (unsigned long long)all,
            facts->processors);
    }
}

static void advise_queue(struct advising *advising)
{
    const sp_pool_stats *stats = advising->facts->stats;
    uint64_t peak = stats->queued_peak;
    if (stats->pool_saturated > 0) {
        const struct advice full = {.severity = "high",
                                    .rule = "calls_refused",
                                    .key = "queue.max",
                                    .why =
                                        "the queue was full: more workers empty it, a "
                                        "longer one hides it"};
        add(advising, &full, UINT64_C(2) * stats->queue_max,
            "%llu calls were refused, with %u waiting of at most %u",
            (unsigned long long)stats->pool_saturated, stats->queued_peak,
            stats->queue_max);
    } else if (stats->queue_max > 0 && peak * 10 >= UINT64_C(8) * stats->queue_max) {
        const struct advice near = {.severity = "medium",
                                    .rule = "queue_nearly_full",
                                    .key = "queue.max",
                                    .why = "the next burst is refused"};
        add(advising, &near, UINT64_C(2) * stats->queue_max,
            "%u calls have waited at once, of at most %u", stats->queued_peak,
            stats->queue_max);
    }
    if (stats->queue_timeouts > 0) {
        const struct advice late = {.severity = "medium",
                                    .rule = "queue_timeouts",
                                    .key = "size",
                                    .why =
                                        "no worker became free in time; or give them "
                                        "longer with queue_timeout"};
        uint64_t size = size_for(advising->facts);
        add(advising, &late, size > stats->workers ? size : stats->workers + 1,
            "%llu of %llu calls waited longer than their queue_timeout",
            (unsigned long long)stats->queue_timeouts,
            (unsigned long long)stats->requests);
    }
    if (stats->call_timeouts * 100 > stats->requests) {
        const struct advice slow = {.severity = "medium",
                                    .rule = "call_timeouts",
                                    .key = "call_timeout",
                                    .why = "tools take longer than their callers wait; "
                                           "snakepit stack shows where"};
        add(advising, &slow, 0, "%llu of %llu calls did not end in time",
            (unsigned long long)stats->call_timeouts,
            (unsigned long long)stats->requests);
    }
}

/* A session that finds its worker busy waits, moves or is refused, as the pool's affinity
 * has it. */
static void advise_sessions(struct advising *advising)
{
    const struct advice_facts *facts = advising->facts;
    const sp_pool_stats *stats = facts->stats;
    uint64_t misses = stats->session_moves + stats->session_refusals;
    uint64_t calls = stats->session_hits + misses;
    int waits = facts->affinity == SP_AFFINITY_STRICT_QUEUE;
    if (calls < SESSION_CALLS || misses * 100 < calls * MISSES_PERCENT) {
        return;
    }
    const struct advice wait = {.severity = "medium",
                                .rule = "affinity_misses",
                                .key = "affinity",
                                .value = "strict_queue",
                                .why =
                                    "calls then wait for the worker that knows their "
                                    "session; with more workers it is free sooner"};
    const struct advice keep = {.severity = "medium",
                                .rule = "affinity_misses",
                                .key = "adapter",
                                .why = "their workers had ended: what must outlive one "
                                       "belongs into variables of the session"};
    add(advising, waits ? &keep : &wait, 0,
        "%llu of %llu calls of sessions did not get the worker they had before: %llu "
        "moved, %llu were refused",
        (unsigned long long)misses, (unsigned long long)calls,
        (unsigned long long)stats->session_moves,
        (unsigned long long)stats->session_refusals);
}

static int is_limited(uint64_t bytes)
{
    return bytes != 0 && bytes != SP_UNLIMITED;
}

static void advise_memory(struct advising *advising)
{
    const struct advice_facts *facts = advising->facts;
    uint32_t workers = facts->stats->workers;
    uint64_t mean =
        facts->workers_seen > 0 ? facts->memory_bytes / facts->workers_seen : 0;
    int is_bounded = is_limited(facts->limit_memory_bytes) ||
                     is_limited(facts->recycle_memory_bytes);
    if (mean >= MEAN_BYTES && facts->stats->profile == SP_PROFILE_PROCESS &&
        facts->can_fork && facts->stats->zygote == SP_ZYGOTE_OFF) {
        const struct advice share = {
            .severity = "low",
            .rule = "memory_mean",
            .key = "zygote",
            .value = "auto",
            .why = "forked workers share what their adapter has loaded"};
        add(advising, &share, 0, "%llu MiB in a worker on average, of %llu looked at",
            mib(mean), (unsigned long long)facts->workers_seen);
    }
    if (facts->memory_largest >= LARGEST_BYTES && !is_bounded) {
        const struct advice bound = {
            .severity = "medium",
            .rule = "memory_largest",
            .key = "recycle.memory",
            .value = "MiB",
            .why = "one that grows is replaced before it takes the machine along"};
        add(advising, &bound, mib(2 * facts->memory_largest),
            "%llu MiB in the largest worker, and nothing bounds it",
            mib(facts->memory_largest));
    }
    if (facts->machine_bytes > 0 && is_limited(facts->limit_memory_bytes) &&
        facts->limit_memory_bytes > facts->machine_bytes / workers) {
        const struct advice fit = {
            .severity = "medium",
            .rule = "memory_limits_exceed_machine",
            .key = "limits.memory",
            .value = "MiB",
            .why = "the kernel may end others before any worker meets its limit"};
        add(advising, &fit, mib(facts->machine_bytes / 10 * 9 / workers),
            "%u workers may use %llu MiB each, the host and its workers %llu MiB",
            workers, mib(facts->limit_memory_bytes), mib(facts->machine_bytes));
    }
    if (facts->machine_bytes > 0 &&
        facts->memory_bytes > facts->machine_bytes / 10 * 8) {
        const struct advice less = {.severity = "high",
                                    .rule = "memory_nearly_used",
                                    .key = "size",
                                    .why = "memory runs out before processors do"};
        uint64_t fits = mean > 0 ? facts->machine_bytes / 10 * 7 / mean : 0;
        add(advising, &less, fits > 0 ? fits : 1, "workers use %llu of %llu MiB",
            mib(facts->memory_bytes), mib(facts->machine_bytes));
    }
}

static void advise_lives(struct advising *advising)
{
    const struct advice_facts *facts = advising->facts;
    const sp_pool_stats *stats = facts->stats;
    uint64_t minutes = facts->uptime_ms / MINUTE_MS + 1;
    if (stats->breaker != SP_BREAKER_CLOSED) {
        const struct advice broken = {.severity = "high",
                                      .rule = "breaker_open",
                                      .key = "adapter",
                                      .why = "too many workers died: snakepit status "
                                             "--deaths says how"};
        add(advising, &broken, 0, "no workers are started after %llu deaths",
            (unsigned long long)stats->workers_died);
    } else if (stats->workers_died > minutes && stats->workers_died > stats->workers) {
        const struct advice dying = {.severity = "medium",
                                     .rule = "workers_die",
                                     .key = "adapter",
                                     .why = "snakepit status --deaths says how"};
        add(advising, &dying, 0, "%llu workers died in %llu minutes",
            (unsigned long long)stats->workers_died, (unsigned long long)minutes);
    }
    if (stats->recycled > minutes * stats->workers) {
        const struct advice often = {
            .severity = "medium",
            .rule = "recycled_often",
            .key = "recycle.calls",
            .why = "each start costs what many calls do; raise the limit that is met "
                   "(also recycle.after, recycle.memory)"};
        add(advising, &often, 0, "%llu workers were recycled in %llu minutes, of %u",
            (unsigned long long)stats->recycled, (unsigned long long)minutes,
            stats->workers);
    }
    if (facts->can_fork && stats->zygote == SP_ZYGOTE_OFF &&
        stats->workers >= WORKERS_FOR_ZYGOTE && facts->ready_ms > SLOW_START_MS) {
        const struct advice fork = {.severity = "low",
                                    .rule = "slow_start",
                                    .key = "zygote",
                                    .value = "auto",
                                    .why =
                                        "a zygote loads the adapter once, and forks"};
        add(advising, &fork, 0, "%u workers took %llu ms on average to be ready",
            stats->workers, (unsigned long long)facts->ready_ms);
    }
}

size_t sp__advise(const struct advice_facts *facts, struct advice *ret)
{
    struct advising advising = {.facts = facts, .list = ret};
    advise_size(&advising);
    advise_threads(&advising);
    advise_queue(&advising);
    advise_sessions(&advising);
    advise_memory(&advising);
    advise_lives(&advising);
    return advising.count;
}
