/* SPDX-License-Identifier: MIT */
/*
 * The runtime: one guard process, some pools, and a lane or several: a loop thread each,
 * with a part of every pool's workers.
 *
 * Start order: the instance, when it has one (its lock, and the end of what a dead run
 * left), loop threads, guard, pools on the loops. Stop order, reversed: pools end their
 * calls and stop their workers, the guard is told to end what is left and reaped, the
 * loop threads end, the instance is given back, callbacks that are still due run on the
 * closing thread.
 */
#include "pit/pit.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/spare.h"
#include "pit/deadlock.h"
#include "pit/guarding.h"
#include "pit/pit_internal.h"
#include "pit/reports.h"
#include "pit/upkeep.h"
#include "pool/lineage.h"
#include "pool/share.h"
#include "session/host_tools.h"
#include "worker/python.h"
#include "worker/stock.h"

enum {
    CLOSE_MARGIN_MS = 1000, /* beyond the longest grace, then the guard ends the rest */
    CLOSE_ROUNDS =
        3, /* a call comes to its lane, one that follows it ends on another, and
                         that one's taker is told on a third; each is sent in one turn */
    OUTCOME_KEEP_MS = 600000,
    SAMPLE_INTERVAL_MS = 5000,
    /* Recording a call costs as much as the call, so a busy pit records a few. */
    TRACE_SAMPLE_DEFAULT = 100, /* of a thousand */
    TRACE_RATE_DEFAULT = 1000   /* in a second */
};

/* ---- lanes ---- */

enum {
    FEW_PROCESSORS =
        4, /* one loop has enough of them, and leaves the rest to workers */
    PROCESSORS_PER_LOOP = 4,
    LOOPS_DEFAULT_MAX = 16
};

static uint32_t usable_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0) {
        return 1; /* more than 1,024, or none of our business */
    }
    return (uint32_t)CPU_COUNT(&set);
}

uint32_t sp__pit_default_loops(uint32_t processors)
{
    if (processors <= FEW_PROCESSORS) {
        return 1;
    }
    uint32_t loops = (processors + PROCESSORS_PER_LOOP - 1) / PROCESSORS_PER_LOOP;
    return loops < LOOPS_DEFAULT_MAX ? loops : LOOPS_DEFAULT_MAX;
}

/* No more than there are workers to divide. */
static int make_lanes(struct sp_pit *pit, uint32_t wished, sp_error *err)
{
    uint64_t workers = 0;
    uint32_t count = wished != 0 ? wished : sp__pit_default_loops(usable_processors());
    for (size_t i = 0; i < pit->pools_count; i++) {
        workers += pit->pools[i].options.workers;
    }
    count = workers < count ? (uint32_t)workers : count;
    pit->lanes = sp__calloc(count, sizeof *pit->lanes);
    if (pit->lanes == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %u loops", count);
    }
    pit->lanes_count = count;
    for (uint32_t i = 0; i < count; i++) {
        pit->lanes[i].pit = pit;
        pit->lanes[i].number = i;
        sp__meter_init(&pit->lanes[i].callbacks);
        sp__meter_join(&pit->lanes[i].callbacks, &pit->lanes[0].callbacks);
    }
    return SP_OK;
}

/* What may have a process of its own at a time. */
static uint32_t seats_on(const struct lane *lane)
{
    uint32_t seats = 0;
    for (size_t i = 0; i < lane->pit->pools_count; i++) {
        const struct pool *part = sp__pools_part_on(lane, i);
        seats += part != NULL ? part->options.workers + part->options.recycle_surge : 0;
    }
    return seats;
}

static int open_lane(struct lane *lane, sp_error *err)
{
    int rc = SP_OK;
    if (lane->number > 0) {
        rc = sp__reports_open(lane, seats_on(lane), err);
    }
    if (rc == SP_OK) {
        rc = sp__loop_open(&sp__turn_events, lane, &lane->loop, err);
    }
    if (rc == SP_OK) {
        sp__clerks_init(&lane->clerks, lane->loop);
        sp__clerks_init(&lane->runners, lane->loop);
    }
    return rc;
}

static int open_lanes(struct sp_pit *pit, sp_error *err)
{
    for (uint32_t i = 0; i < pit->lanes_count; i++) {
        int rc = open_lane(&pit->lanes[i], err);
        if (rc < 0) {
            return rc;
        }
    }
    pit->loop = pit->lanes[0].loop;
    sp__pools_meet(pit);
    if (pit->lanes_count > 1) {
        sp__affinity_share(&pit->affinity);
    }
    sp__work_set_lanes(&pit->dispatch.work, pit->lanes, pit->lanes_count);
    return SP_OK;
}

/* Their loops have nothing left, so their threads end. */
static void close_lanes(struct sp_pit *pit)
{
    for (uint32_t i = pit->lanes_count; i > 0; i--) {
        struct lane *lane = &pit->lanes[i - 1];
        if (lane->loop != NULL) {
            sp__clerks_close(&lane->clerks);
            sp__clerks_close(&lane->runners);
        }
    }
    sp__work_set_lanes(&pit->dispatch.work, NULL, 0);
    for (uint32_t i = pit->lanes_count; i > 0; i--) {
        sp__loop_close(pit->lanes[i - 1].loop);
    }
    for (uint32_t i = 0; i < pit->lanes_count; i++) {
        sp__reports_close(&pit->lanes[i]);
        sp__meter_fini(&pit->lanes[i].callbacks);
    }
}

/* ---- opening ---- */

/* Where workers find their host that have not inherited a way to it; nowhere without
 * any. The first lane serves it, for the workers of all. */
static int choose_host_address(struct lane *lane, sp_error *err)
{
    struct sp_pit *pit = lane->pit;
    struct workshop *first = &pit->lanes[0].shop;
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && i < pit->pools_count; i++) {
        if (pit->pools[i].spec.transport != SP_TRANSPORT_PORT) {
            continue;
        }
        rc = sp__socket_folder_make(&lane->shop.sockets, err);
        if (lane->number == 0) {
            (void)snprintf(first->host_address, sizeof first->host_address,
                           "unix:%s/host", first->sockets.path);
        } else {
            memcpy(lane->shop.host_address, first->host_address,
                   sizeof first->host_address);
        }
    }
    return rc;
}

static void start_shop(void *user, void *arg)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    sp_error *err = arg;
    if (sp__turn_init(lane, err) < 0 ||
        sp__workshop_init(&lane->shop, lane->loop, lane->number, pit->lanes_count,
                          err) < 0) {
        return;
    }
    lane->shop.instance = pit->instance;
    lane->shop.herald = &pit->herald;
    lane->shop.controls = &pit->controls;
    lane->shop.slow_call_us = pit->slow_call_us;
    lane->shop.service = pit->service;
    lane->shop.service_user = lane;
    lane->shop.spin_us = pit->spin_us;
    sp__loop_set_spin(lane->loop, pit->spin_us);
    (void)!choose_host_address(lane, err); /* it is in err */
}

static void start_guard(void *user, void *arg)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    sp_error *err = arg;
    if (sp__upkeep_start(pit, err) < 0) {
        return;
    }
    if (sp__timer_init(pit->loop, &pit->guard_retry, sp__pit_reopen_guard) < 0) {
        sp__fail(err, SP_ERR_NOMEM, "no memory for a pit's timer");
        return;
    }
    if (pit->lanes_count > 1 && sp__deadlock_open(pit, err) < 0) {
        return;
    }
    (void)!sp__pit_open_guard(pit, err); /* it is in err */
}

/* How its parts of the pools are, for who listens. */
static void tell_status(void *user)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    for (size_t i = 0; i < pit->pools_count; i++) {
        const struct pool *part = sp__pools_part_on(lane, i);
        if (part != NULL && part->is_open) {
            sp__pool_tell_status(part);
        }
    }
}

static void start_pools(void *user, void *arg)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    sp_error *err = arg;
    if (sp__census_start(&lane->census, &lane->shop, pit->sample_interval_ms, err) <
        0) {
        return;
    }
    lane->census.on_round = tell_status;
    lane->census.user = lane;
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *part = sp__pools_part_on(lane, i);
        if (part != NULL) {
            part->spans = pit->spans;
            if (sp__pool_start(part, &lane->shop, err) < 0) {
                return;
            }
            part->is_open = 1;
            atomic_fetch_add(&pit->pools_open, 1);
        }
    }
}

static void run_listen(struct command *command, void *user)
{
    struct lane *lane = ITEM(command, struct lane, listen);
    atomic_store(&lane->listen_posted, 0); /* before it looks */
    if (!lane->closing) {
        sp__workshop_listen(&lane->shop);
    }
}

/* Any thread, under the herald's lock: handlers want something else of workers. */
static void interest_changed(void *user)
{
    struct sp_pit *pit = user;
    for (uint32_t i = 0; i < pit->lanes_count; i++) {
        struct lane *lane = &pit->lanes[i];
        if (atomic_exchange(&lane->listen_posted, 1) == 0) {
            lane->listen.run = run_listen;
            sp__loop_post(lane->loop, &lane->listen);
        }
    }
}

static int start(struct sp_pit *pit, sp_error *failure)
{
    for (uint32_t i = 0; i < pit->lanes_count && failure->code == 0; i++) {
        sp__loop_call(pit->lanes[i].loop, start_shop, failure);
    }
    if (failure->code == 0) {
        sp__loop_call(pit->loop, start_guard, failure);
    }
    for (uint32_t i = 0; i < pit->lanes_count && failure->code == 0; i++) {
        sp__loop_call(pit->lanes[i].loop, start_pools, failure);
    }
    sp__herald_watch_wanted(&pit->herald, interest_changed);
    return failure->code;
}

/* Any thread: a host tool has ended, and a thread of the program is to hear of it. */
static void take_gone(void *user, struct host_tool *tool)
{
    struct sp_pit *pit = user;
    sp__dispatch_gone(&pit->dispatch, tool);
}

/* Any thread. */
static void event_told(void *user, const struct event_record *record, void *certificate)
{
    struct sp_pit *pit = user;
    sp__dispatch_event(&pit->dispatch, record, certificate);
}

static void set_options(struct sp_pit *pit, const sp_pit_options *options)
{
    (void)snprintf(pit->instance_name, sizeof pit->instance_name, "%s",
                   options->instance != NULL ? options->instance : "");
    pit->on_event = options->on_event;
    pit->event_data = options->event_data;
    pit->log = options->log;
    pit->slow_call_us =
        options->slow_call_ms < UINT64_MAX / 1000 ? options->slow_call_ms * 1000 : 0;
    pit->herald.on_told = options->on_event != NULL ? event_told : NULL;
    pit->herald.user = pit;
    pit->guard_level = options->guard_level;
    pit->guard_require = options->guard_require;
    sp__outcomes_init(&pit->outcomes, options->outcome_keep_ms == 0
                                          ? OUTCOME_KEEP_MS
                                          : options->outcome_keep_ms);
    pit->nesting_max =
        options->nesting_max == 0 ? LINEAGE_DEFAULT : options->nesting_max;
    pit->spin_us = options->spin_us == SP_NONE ? 0 : options->spin_us;
    pit->sample_interval_ms = options->sample_interval_ms == 0
                                  ? SAMPLE_INTERVAL_MS
                                  : options->sample_interval_ms;
}

/* Calls are recorded when somebody wants to know of them: of how many, or where to. */
static int open_spans(struct sp_pit *pit, const sp_pit_options *options, sp_error *err)
{
    uint32_t sample = options->trace_sample_permille;
    uint32_t rate = options->trace_rate_max;
    int records = options->otlp_endpoint != NULL || (sample != 0 && sample != SP_NONE);
    if (sample == 0) {
        sample = TRACE_SAMPLE_DEFAULT;
        rate = rate == 0 ? TRACE_RATE_DEFAULT : rate;
    }
    return sp__spans_new(records, sample == SP_NONE ? 0 : sample, rate, &pit->spans,
                         err);
}

/* The guard, and the bridge: only pools of Python workers need that, and they complain
 * when it is missing. */
static int find_programs(struct sp_pit *pit, const sp_pit_options *options,
                         char *ret_bridge, size_t max, sp_error *err)
{
    if (options->guard_path != NULL) {
        (void)snprintf(pit->guard_path, sizeof pit->guard_path, "%s",
                       options->guard_path);
    } else {
        int rc = sp__guard_find(pit->guard_path, sizeof pit->guard_path, err);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = sp__bridge_find(options->bridge_path, ret_bridge, max, err);
    return options->bridge_path != NULL ? rc : SP_OK;
}

/* What there is before the loop: pools, sessions, and the instance last. */
static int open_parts(struct sp_pit *pit, const sp_pit_options *options, sp_error *err)
{
    char bridge[4096] = "";
    int rc = find_programs(pit, options, bridge, sizeof bridge, err);
    if (rc == SP_OK) {
        rc = sp__pools_init(pit, options, bridge, err);
    }
    if (rc == SP_OK) {
        rc = sp__upkeep_open(pit, options->sessions, err);
    }
    if (rc == SP_OK) {
        sp__pools_limit(pit, options->workers_max);
        rc = make_lanes(pit, options->loops, err);
    }
    if (rc == SP_OK) {
        rc = sp__pools_divide(pit, options, bridge, err);
    }
    return rc == SP_OK ? sp__pit_take_instance(pit, options, err) : rc;
}

/* What a pit is without its loops, and its dispatch queue. */
static void close_parts(struct sp_pit *pit)
{
    sp__pit_leave_instance(pit);
    sp__upkeep_close(pit);
    sp__affinity_fini(&pit->affinity);
    sp__outcomes_fini(&pit->outcomes);
    sp__pools_free(pit);
    sp__deadlock_free(pit->deadlock);
    sp__free(pit->lanes);
}

int sp__pit_new(const sp_pit_options *options, const struct host_service *service,
                struct sp_pit **ret_pit, sp_error *err)
{
    sp_error failure = {0};
    struct sp_pit *pit = sp__calloc(1, sizeof *pit);
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a pit");
    }
    sp__spare_open();
    atomic_init(&pit->next_call, 1);
    atomic_init(&pit->hurried, 0);
    sp__latch_init(&pit->drained);
    sp__latch_init(&pit->closed);
    pit->service = service;
    pit->opened_ms = sp__now_ms();
    pit->opened_unix_ms = sp__unix_ns() / 1000000u;
    sp__herald_init(&pit->herald);
    sp__controls_init(&pit->controls);
    (void)snprintf(pit->run_id, sizeof pit->run_id, "%d-%llu", (int)getpid(),
                   (unsigned long long)pit->opened_ms);
    set_options(pit, options);
    int rc = sp__herald_keep(&pit->herald, HISTORY_DEFAULT);
    if (rc < 0) {
        sp__fail(err, rc, "no memory for the events that are kept");
        goto free_pit;
    }
    rc = open_spans(pit, options, err);
    if (rc < 0) {
        goto free_pit;
    }
    rc = sp__dispatch_init(&pit->dispatch, err);
    if (rc < 0) {
        goto drop_spans;
    }
    rc = open_parts(pit, options, err);
    if (rc == SP_OK) {
        rc = open_lanes(pit, err);
    }
    if (rc < 0) {
        goto close_parts;
    }
    sp__undertaker_set(pit->sessions->undertaker, take_gone, pit);
    if (start(pit, &failure) < 0) {
        rc = failure.code;
        sp_error_move(err, &failure);
        sp__pit_close(pit, SP_UNLIMITED);
        return rc;
    }
    sp_error_clear(err);
    *ret_pit = pit;
    return SP_OK;

close_parts:
    close_lanes(pit);
    close_parts(pit);
    sp__dispatch_fini(&pit->dispatch);
drop_spans:
    sp__spans_drop(pit->spans);
free_pit:
    sp__controls_fini(&pit->controls);
    sp__herald_fini(&pit->herald);
    sp__spare_close();
    sp__free(pit);
    return rc;
}

/* ---- what is told of an end ---- */

void sp__pit_tell_end(struct sp_pit *pit, int kind, double count, uint64_t begin_ms,
                      const char *last)
{
    double duration_ms = (double)(sp__now_ms() - begin_ms);
    double numbers[] = {count, duration_ms};
    const char *const texts[] = {pit->run_id, last};
    if (kind == SP_EVENT_CLEANUP_START) {
        numbers[0] = (double)sp__unix_ns();
    }
    int has_duration =
        kind == SP_EVENT_CLEANUP_SUCCESS || kind == SP_EVENT_CLEANUP_TIMEOUT;
    sp__herald_tell(&pit->herald,
                    &(struct tidings){.event = {.kind = kind},
                                      .numbers = numbers,
                                      .numbers_count = has_duration ? 2 : 1,
                                      .texts = texts,
                                      .texts_count = last != NULL ? 2 : 1});
}

void sp__pit_tell_shutdown(struct sp_pit *pit, int kind, size_t left,
                           const char *result)
{
    double numbers[] = {(double)(sp__now_ms() - pit->shutdown_ms), (double)left};
    const char *const mode = atomic_load(&pit->hurried) ? "hurried" : "drained";
    const char *const texts[] = {"stop", mode, result != NULL ? result : pit->run_id,
                                 pit->run_id};
    if (kind == SP_EVENT_SHUTDOWN_START) {
        numbers[0] = (double)sp__unix_ns();
    }
    sp__herald_tell(
        &pit->herald,
        &(struct tidings){.event = {.kind = kind},
                          .numbers = numbers,
                          .numbers_count = kind == SP_EVENT_SHUTDOWN_STOP ? 2 : 1,
                          .texts = texts,
                          .texts_count = result != NULL ? 4 : 3});
}

/* ---- draining ---- */

static void begin_drain(void *user, void *arg)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    lane->draining = 1;
    if (lane->number > 0) {
        return;
    }
    for (struct link *link = pit->servers.first; link != NULL; link = link->next) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_drain(server);
    }
}

static void await(void *user, void *arg)
{
    struct lane *lane = user;
    lane->is_awaited = *(int *)arg; /* the end of the turn tells */
}

static void call_all(struct sp_pit *pit, void (*fn)(void *user, void *arg), void *arg)
{
    for (uint32_t i = pit->lanes_count; i > 0; i--) {
        if (pit->lanes[i - 1].loop != NULL) {
            sp__loop_call(pit->lanes[i - 1].loop, fn, arg);
        }
    }
}

static void add_left(void *user, void *arg)
{
    const struct lane *lane = user;
    *(size_t *)arg += lane->requests.length;
}

/* None is left when there was none on any lane, and none went from one to another. */
static size_t count_left(struct sp_pit *pit)
{
    size_t left;
    uint64_t moves;
    do {
        left = 0;
        moves = atomic_load_explicit(&pit->moves, memory_order_acquire);
        call_all(pit, add_left, &left);
    } while (left == 0 &&
             moves != atomic_load_explicit(&pit->moves, memory_order_acquire));
    return left;
}

static uint64_t ms_until(uint64_t end_ms)
{
    uint64_t now_ms = sp__now_ms();
    return end_ms == SP_UNLIMITED ? SP_UNLIMITED
           : end_ms > now_ms      ? end_ms - now_ms
                                  : 0;
}

/* One lane after the other, the first one last: it has the answers to what others do. */
static void await_lanes(struct sp_pit *pit, uint64_t end_ms)
{
    for (uint32_t i = pit->lanes_count; i > 0; i--) {
        sp__latch_close(&pit->drained);
        if (atomic_load(&pit->hurried)) {
            break;
        }
        int is_awaited = 1;
        sp__loop_call(pit->lanes[i - 1].loop, await, &is_awaited);
        (void)sp__work_wait(&pit->dispatch.work, &pit->drained, ms_until(end_ms));
        is_awaited = 0; /* or it would open the latch for another one */
        sp__loop_call(pit->lanes[i - 1].loop, await, &is_awaited);
    }
}

/* What waits goes on to other lanes meanwhile, so that a round may leave some behind. */
int sp__pit_drain(struct sp_pit *pit, uint64_t timeout_ms, size_t *ret_left)
{
    uint64_t now_ms = sp__now_ms();
    uint64_t end_ms =
        timeout_ms >= SP_UNLIMITED - now_ms ? SP_UNLIMITED : now_ms + timeout_ms;
    call_all(pit, begin_drain, NULL);
    do {
        await_lanes(pit, end_ms);
        *ret_left = count_left(pit);
    } while (*ret_left > 0 && ms_until(end_ms) > 0 && !atomic_load(&pit->hurried));
    return *ret_left == 0;
}

void sp__pit_hurry(struct sp_pit *pit)
{
    atomic_store(&pit->hurried, 1);
    sp__latch_open(&pit->drained);
    sp__latch_open(&pit->closed);
}

/* ---- closing ---- */

static void refuse_waiters(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->ready_waiters)) != NULL) {
        struct ready_waiter *waiter = ITEM(link, struct ready_waiter, on_pit);
        sp__fail(&waiter->error, SP_ERR_CLOSED, "the pit is closing");
        sp__latch_open(&waiter->done);
    }
}

static void begin_close(void *user, void *arg)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    lane->closing = 1;
    begin_drain(lane, NULL);
    for (size_t i = 0; i < pit->pools_count; i++) {
        struct pool *part = sp__pools_part_on(lane, i);
        if (part != NULL && part->is_open) {
            sp__pool_close(part);
        }
    }
    if (lane->number == 0) {
        refuse_waiters(pit);
    }
}

/* Of the first lane, before its workers and pools go. */
static void finish_first(struct sp_pit *pit)
{
    struct link *link;
    while ((link = sp__list_pop(&pit->servers)) != NULL) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_close(server);
    }
    sp__watch_close(pit->guard_watch);
    pit->guard_watch = NULL;
    sp__timer_fini(pit->loop, &pit->guard_retry);
    sp__timer_fini(pit->loop, &pit->cleanup);
    sp__deadlock_stop(pit->deadlock);
}

static void finish_close(void *user, void *arg)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    if (lane->number == 0) {
        finish_first(pit);
    }
    sp__census_stop(&lane->census);
    /* Workers that outlived every grace: the guard ends them in a moment. */
    sp__workshop_on_guard_lost(&lane->shop);
    sp__pools_fini(lane);
    sp__map_fini(&lane->requests);
    sp__workshop_fini(&lane->shop);
    lane->shop.guard = NULL;
    if (lane->number == 0) {
        /* Taken here: a guard that dies at this moment is buried on the loop. */
        *(struct guard **)arg = pit->guard;
        pit->guard = NULL;
    }
}

/* The loops are gone: credit and wishes to stop have nobody to go to. */
static void no_grant(struct request *request, size_t wire_bytes)
{
}

static void no_cancel(struct request *request)
{
}

/* What was on its way to it has come. */
static void catch_up(void *user, void *arg)
{
}

/* The longest time any pool gives its workers to stop. */
static uint64_t grace_of(const struct sp_pit *pit)
{
    uint64_t grace_ms = 0;
    for (size_t i = 0; i < pit->pools_count; i++) {
        uint64_t pool_ms = pit->pools[i].options.shutdown_grace_ms;
        grace_ms = pool_ms > grace_ms ? pool_ms : grace_ms;
    }
    return grace_ms;
}

void sp__pit_close(struct sp_pit *pit, uint64_t wait_ms)
{
    uint64_t usual_ms = grace_of(pit) + CLOSE_MARGIN_MS;
    uint64_t begin_ms = sp__now_ms();
    sp__pit_tell_end(pit, SP_EVENT_CLEANUP_START, 0, begin_ms, NULL);
    call_all(pit, begin_close, NULL);
    if (atomic_load(&pit->pools_open) > 0) {
        (void)sp__latch_wait(&pit->closed, wait_ms < usual_ms ? wait_ms : usual_ms);
    }
    size_t open = atomic_load(&pit->pools_open);
    if (open > 0) {
        sp__pit_tell_end(pit, SP_EVENT_CLEANUP_TIMEOUT, (double)open, begin_ms, NULL);
        sp__pit_tell_end(pit, SP_EVENT_CLEANUP_EMERGENCY, (double)open, begin_ms,
                         "the grace is over");
    }
    struct guard *guard = NULL;
    for (int round = 0; round < CLOSE_ROUNDS && pit->lanes_count > 1; round++) {
        call_all(pit, catch_up, NULL);
    }
    sp__herald_watch_wanted(&pit->herald, NULL);
    call_all(pit, finish_close, &guard);
    sp__guard_close(guard);
    close_lanes(pit);
    sp__guard_close(pit->dead_guard); /* lost while it closed */
    sp__undertaker_set(pit->sessions->undertaker, NULL, NULL);
    sp__pit_leave_instance(pit);
    sp__upkeep_close(pit);
    if (open == 0) {
        sp__pit_tell_end(pit, SP_EVENT_CLEANUP_SUCCESS, (double)pit->pools_count,
                         begin_ms, NULL);
    }
    if (pit->shutdown_ms != 0) {
        sp__pit_tell_shutdown(pit, SP_EVENT_SHUTDOWN_CLEANUP, 0,
                              open == 0 ? "ok" : "timeout");
        sp__pit_tell_shutdown(pit, SP_EVENT_SHUTDOWN_EXIT, 0, NULL);
    }

    struct dispatch *dispatch = &pit->dispatch;
    while (sp__dispatch_wait(dispatch, 0)) {
        (void)sp__dispatch_run(dispatch, pit->on_event, pit->event_data, no_grant,
                               no_cancel);
    }
    sp__handlers_close(&pit->herald);
    close_parts(pit);
    sp__dispatch_fini(dispatch);
    sp__spans_drop(pit->spans);
    sp__controls_fini(&pit->controls);
    sp__herald_fini(&pit->herald);
    sp__spare_close();
    sp__free(pit);
}
