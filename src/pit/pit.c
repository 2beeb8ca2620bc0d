/* SPDX-License-Identifier: MIT */
/*
 * The runtime: one loop thread, one guard process, some pools.
 *
 * Start order: the instance, when it has one (its lock, and the end of what a dead run
 * left), loop thread, guard, pools on the loop. Stop order, reversed: pools end their
 * calls and stop their workers, the guard is told to end what is left and reaped, the
 * loop thread ends, the instance is given back, callbacks that are still due run on the
 * closing thread.
 */
#include "pit/pit.h"

#include <stdio.h>

#include "base/error.h"
#include "base/mem.h"
#include "pit/guarding.h"
#include "pit/pit_internal.h"
#include "pit/upkeep.h"
#include "pool/lineage.h"
#include "session/host_tools.h"
#include "worker/python.h"
#include "worker/stock.h"

enum {
    CLOSE_MARGIN_MS = 1000, /* beyond the longest grace, then the guard ends the rest */
    OUTCOME_KEEP_MS = 600000,
    SAMPLE_INTERVAL_MS = 5000
};

/* ---- opening ---- */

/* Where workers find their host that have not inherited a way to it; nowhere without
 * any. */
static int choose_host_address(struct sp_pit *pit, sp_error *err)
{
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && i < pit->pools_count; i++) {
        if (pit->pools[i].spec.transport == SP_TRANSPORT_PORT) {
            rc = sp__stock_make_folder(&pit->shop, err);
            (void)snprintf(pit->shop.host_address, sizeof pit->shop.host_address,
                           "unix:%s/host", pit->shop.run_dir);
        }
    }
    return rc;
}

static void start_pools(void *user, void *arg)
{
    struct sp_pit *pit = user;
    sp_error *err = arg;
    if (sp__workshop_init(&pit->shop, pit->loop, err) < 0) {
        return;
    }
    pit->shop.instance = pit->instance;
    pit->shop.service = pit->service;
    pit->shop.service_user = pit;
    if (choose_host_address(pit, err) < 0) {
        return;
    }
    if (sp__upkeep_start(pit, err) < 0) {
        return;
    }
    if (sp__timer_init(pit->loop, &pit->guard_retry, sp__pit_reopen_guard) < 0) {
        sp__fail(err, SP_ERR_NOMEM, "no memory for a pit's timer");
        return;
    }
    if (sp__pit_open_guard(pit, err) < 0) {
        return;
    }
    if (sp__census_start(&pit->census, &pit->shop, pit->sample_interval_ms, err) < 0) {
        return;
    }
    for (size_t i = 0; i < pit->pools_count; i++) {
        if (sp__pool_start(&pit->pools[i], &pit->shop, err) < 0) {
            return;
        }
        pit->pools_open++;
    }
}

/* Any thread: a host tool has ended, and a thread of the program is to hear of it. */
static void take_gone(void *user, struct host_tool *tool)
{
    struct sp_pit *pit = user;
    sp__dispatch_gone(&pit->dispatch, tool);
}

static void set_options(struct sp_pit *pit, const sp_pit_options *options)
{
    pit->on_event = options->on_event;
    pit->event_data = options->event_data;
    pit->guard_level = options->guard_level;
    pit->guard_require = options->guard_require;
    pit->outcomes.keep_ms =
        options->outcome_keep_ms == 0 ? OUTCOME_KEEP_MS : options->outcome_keep_ms;
    pit->nesting_max =
        options->nesting_max == 0 ? LINEAGE_DEFAULT : options->nesting_max;
    pit->sample_interval_ms = options->sample_interval_ms == 0
                                  ? SAMPLE_INTERVAL_MS
                                  : options->sample_interval_ms;
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
        rc = sp__pit_take_instance(pit, options, err);
    }
    return rc;
}

static void close_parts(struct sp_pit *pit)
{
    sp__instance_close(pit->instance);
    sp__upkeep_close(pit);
    sp__pools_fini(pit);
    sp__free(pit->pools);
}

int sp__pit_new(const sp_pit_options *options, const struct host_service *service,
                struct sp_pit **ret_pit, sp_error *err)
{
    sp_error failure = {0};
    struct sp_pit *pit = sp__calloc(1, sizeof *pit);
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a pit");
    }
    atomic_init(&pit->next_call, 1);
    atomic_init(&pit->hurried, 0);
    sp__latch_init(&pit->drained);
    sp__latch_init(&pit->closed);
    pit->service = service;
    set_options(pit, options);
    int rc = sp__dispatch_init(&pit->dispatch, err);
    if (rc < 0) {
        goto free_pit;
    }
    rc = open_parts(pit, options, err);
    if (rc == SP_OK) {
        rc = sp__loop_open(&sp__turn_events, pit, &pit->loop, err);
    }
    if (rc < 0) {
        goto close_parts;
    }
    sp__work_set_loop(&pit->dispatch.work, pit->loop);
    sp__clerks_init(&pit->clerks, pit->loop);
    sp__clerks_init(&pit->runners, pit->loop);
    sp__undertaker_set(pit->sessions->undertaker, take_gone, pit);
    sp__loop_call(pit->loop, start_pools, &failure);
    if (failure.code != 0) {
        rc = failure.code;
        sp_error_move(err, &failure);
        sp__pit_close(pit, SP_UNLIMITED);
        return rc;
    }
    sp_error_clear(err);
    *ret_pit = pit;
    return SP_OK;

close_parts:
    close_parts(pit);
    sp__dispatch_fini(&pit->dispatch);
free_pit:
    sp__free(pit);
    return rc;
}

/* ---- draining ---- */

static void begin_drain(void *user, void *arg)
{
    struct sp_pit *pit = user;
    pit->draining = 1;
    for (struct link *link = pit->servers.first; link != NULL; link = link->next) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_drain(server);
    }
}

static void count_left(void *user, void *arg)
{
    struct sp_pit *pit = user;
    *(size_t *)arg = pit->requests.length;
}

int sp__pit_drain(struct sp_pit *pit, uint64_t timeout_ms, size_t *ret_left)
{
    sp__loop_call(pit->loop, begin_drain, NULL);
    (void)sp__work_wait(&pit->dispatch.work, &pit->drained, timeout_ms);
    sp__loop_call(pit->loop, count_left, ret_left);
    return *ret_left == 0;
}

void sp__pit_hurry(struct sp_pit *pit)
{
    atomic_store(&pit->hurried, 1);
    sp__latch_open(&pit->drained);
    sp__latch_open(&pit->closed);
}

/* ---- closing ---- */

static void begin_close(void *user, void *arg)
{
    struct sp_pit *pit = user;
    pit->closing = 1;
    begin_drain(pit, NULL);
    if (pit->pools_open == 0) {
        sp__latch_open(&pit->closed); /* opening failed before the first pool */
        return;
    }
    size_t open = pit->pools_open;
    for (size_t i = 0; i < open; i++) {
        sp__pool_close(&pit->pools[i]);
    }
    struct link *link;
    while ((link = sp__list_pop(&pit->ready_waiters)) != NULL) {
        struct ready_waiter *waiter = ITEM(link, struct ready_waiter, on_pit);
        sp__fail(&waiter->error, SP_ERR_CLOSED, "the pit is closing");
        sp__latch_open(&waiter->done);
    }
}

static void finish_close(void *user, void *arg)
{
    struct sp_pit *pit = user;
    struct link *link;
    while ((link = sp__list_pop(&pit->servers)) != NULL) {
        struct pit_server *server = ITEM(link, struct pit_server, on_pit);
        server->on_close(server);
    }
    sp__watch_close(pit->guard_watch);
    pit->guard_watch = NULL;
    sp__timer_fini(pit->loop, &pit->guard_retry);
    sp__timer_fini(pit->loop, &pit->cleanup);
    sp__census_stop(&pit->census);
    /* Workers that outlived every grace: the guard ends them in a moment. */
    sp__workshop_on_guard_lost(&pit->shop);
    sp__pools_fini(pit);
    sp__affinity_fini(&pit->affinity);
    sp__outcomes_fini(&pit->outcomes);
    sp__map_fini(&pit->requests);
    sp__workshop_fini(&pit->shop);
    /* Taken here: a guard that dies at this moment is buried on the loop. */
    *(struct guard **)arg = pit->shop.guard;
    pit->shop.guard = NULL;
}

/* The loop is gone: credit and wishes to stop have nobody to go to. */
static void no_grant(void *user, struct request *request, size_t wire_bytes)
{
}

static void no_cancel(void *user, struct request *request)
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
    sp__loop_call(pit->loop, begin_close, NULL);
    (void)sp__latch_wait(&pit->closed, wait_ms < usual_ms ? wait_ms : usual_ms);
    struct guard *guard = NULL;
    sp__loop_call(pit->loop, finish_close, &guard);
    sp__guard_close(guard);
    sp__clerks_close(&pit->clerks);
    sp__clerks_close(&pit->runners);
    sp__work_set_loop(&pit->dispatch.work, NULL);
    sp__loop_close(pit->loop);
    sp__pit_leave_instance(pit);
    sp__undertaker_set(pit->sessions->undertaker, NULL, NULL);
    sp__upkeep_close(pit);

    struct dispatch *dispatch = &pit->dispatch;
    while (sp__dispatch_wait(dispatch, 0)) {
        (void)sp__dispatch_run(dispatch, pit->on_event, pit->event_data, no_grant,
                               no_cancel, NULL);
    }
    sp__dispatch_fini(dispatch);
    sp__free(pit->pools);
    sp__free(pit);
}
