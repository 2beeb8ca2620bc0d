/* SPDX-License-Identifier: MIT */
/*
 * The pit's public face: open, wait until ready, dispatch, ask, close, run as a script.
 *
 * Questions about pools are errands on the loop thread: the answer is a copy of one
 * moment, and nothing outside the loop ever looks into a pool.
 */
#include "snakepit/pit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/serve.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "base/spin.h"
#include "pit/pit.h"
#include "pit/rules.h"
#include "pool/share.h"
#include "serve/rpc.h"
#include "snakepit/config.h"
#include "telemetry/exporter.h"
#include "telemetry/gpu.h"
#include "telemetry/statsd.h"
#include "worker/language.h"
#include "worker/python.h"

enum { METRICS_TOOLS_MAX = 1000, STATSD_INTERVAL_MS = 10000, TRACE_RATE_MAX = 1000000 };

enum {
    GPU_INTERVAL_MIN_MS = 100,
    GPU_INTERVAL_MAX_MS = 24 * 3600 * 1000,
    EXPORT_MIN_MS = 200, /* for what is still to be exported when a pit closes */
    EXPORT_MAX_MS = 2000
};

static int is_safety(int level)
{
    return level == SP_SAFETY_DEFAULT || level == SP_SAFETY_LIFELINE ||
           level == SP_SAFETY_SUBREAPER || level == SP_SAFETY_CGROUP ||
           level == SP_SAFETY_NAMESPACE;
}

/* What the options leave open is the environment's to say. */
static int set_loops(sp_pit_options *options, sp_error *err)
{
    const char *text = getenv("SNAKEPIT_LOOPS");
    char *end = NULL;
    if (options->loops == 0 && text != NULL) {
        unsigned long loops = strtoul(text, &end, 10);
        if (end == text || *end != '\0' || loops < 1 || loops > PARTS_MAX) {
            return sp__fail(err, SP_ERR_CONFIG, "SNAKEPIT_LOOPS is \"%.64s\": 1 to %d",
                            text, PARTS_MAX);
        }
        options->loops = (uint32_t)loops;
    }
    if (options->loops > PARTS_MAX) {
        return sp__fail(err, SP_ERR_CONFIG, "loops is %u: 1 to %d", options->loops,
                        PARTS_MAX);
    }
    return SP_OK;
}

/* Within the time, but for what telemetry is left then: that has a moment of its own. */
static void close_pit(sp_pit *pit, uint64_t wait_ms)
{
    struct exporter *exporter = pit->exporter;
    uint64_t begin_ms = sp__now_ms();
    sp__statsd_close(pit->statsd); /* it asks the loops */
    sp__exporter_leave_pit(exporter);
    sp__gpu_close(pit->sampler);
    pit->sampler = NULL;
    sp__pit_close(pit, wait_ms);
    uint64_t used_ms = sp__now_ms() - begin_ms;
    uint64_t left_ms = wait_ms > used_ms ? wait_ms - used_ms : 0;
    sp__exporter_close(exporter, left_ms > EXPORT_MAX_MS   ? EXPORT_MAX_MS
                                 : left_ms < EXPORT_MIN_MS ? EXPORT_MIN_MS
                                                           : left_ms);
}

static int open_sampler(sp_pit *pit, uint64_t interval_ms, sp_error *err)
{
    static const sp_hardware_options fresh = {.size = sizeof fresh, .refresh = 1};
    if (interval_ms < GPU_INTERVAL_MIN_MS || interval_ms > GPU_INTERVAL_MAX_MS) {
        return sp__fail(err, SP_ERR_CONFIG, "gpu_interval_ms is %llu: %d to %d",
                        (unsigned long long)interval_ms, GPU_INTERVAL_MIN_MS,
                        GPU_INTERVAL_MAX_MS);
    }
    return sp__gpu_open(&pit->herald, &fresh, interval_ms, &pit->sampler, err);
}

SP_API int sp_pit_open(const sp_pit_options *options, sp_pit **ret_pit, sp_error *err)
{
    sp_pit_options full = {0};
    if (ret_pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a place for the pit is needed");
    }
    int rc = sp__take_options("sp_pit_options", options, &full, sizeof full, err);
    if (rc < 0) {
        return rc;
    }
    if (full.pools_count > 0 && full.pools == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "pools_count is %zu but pools is NULL",
                        full.pools_count);
    }
    if (full.spin_us > SPIN_MAX_US && full.spin_us != SP_NONE) {
        return sp__fail(err, SP_ERR_CONFIG, "spin_us is %u: at most %d", full.spin_us,
                        SPIN_MAX_US);
    }
    if (full.metrics_tools_max > METRICS_TOOLS_MAX &&
        full.metrics_tools_max != SP_NONE) {
        return sp__fail(err, SP_ERR_CONFIG, "metrics_tools_max is %u: at most %d",
                        full.metrics_tools_max, METRICS_TOOLS_MAX);
    }
    if (full.trace_rate_max > TRACE_RATE_MAX) {
        return sp__fail(err, SP_ERR_CONFIG, "trace_rate_max is %u: at most %d",
                        full.trace_rate_max, TRACE_RATE_MAX);
    }
    if (full.nesting_max > CORE_ANCESTORS_MAX) {
        return sp__fail(err, SP_ERR_CONFIG, "nesting_max is %u: 1 to %d",
                        full.nesting_max, CORE_ANCESTORS_MAX);
    }
    if (!is_safety(full.guard_level) || !is_safety(full.guard_require)) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "guard_level is %d and guard_require %d; both are SP_SAFETY_ "
                        "constants",
                        full.guard_level, full.guard_require);
    }
    sp_pit *pit = NULL;
    rc = set_loops(&full, err);
    if (rc < 0) {
        return rc;
    }
    const char *otlp_endpoint = full.otlp_endpoint;
    int exports = sp__otlp_is_wanted(otlp_endpoint);
    if (!exports) {
        full.otlp_endpoint = NULL;
    } else if (otlp_endpoint == NULL) {
        full.otlp_endpoint = ""; /* the environment says where */
    }
    rc = sp__pit_new(&full, &sp__host_service, &pit, err);
    if (rc == SP_OK && exports) {
        rc = sp__exporter_open(pit, otlp_endpoint, &pit->exporter, err);
    }
    if (rc == SP_OK && full.statsd != NULL) {
        rc = sp__statsd_open(
            pit, full.statsd,
            full.statsd_prefix != NULL ? full.statsd_prefix : "snakepit",
            full.statsd_interval_ms > 0 ? full.statsd_interval_ms : STATSD_INTERVAL_MS,
            &pit->statsd, err);
    }
    if (rc == SP_OK && full.gpu_interval_ms != 0) {
        rc = open_sampler(pit, full.gpu_interval_ms, err);
    }
    if (rc == SP_OK && pit->lanes[0].shop.host_address[0] != '\0') {
        rc = sp__listen_for_workers(pit, err);
    }
    if (rc < 0) {
        sp_pit_close(pit);
        return rc;
    }
    *ret_pit = pit;
    return SP_OK;
}

static int open_config(int rc, sp_config *config, sp_pit **ret_pit, sp_error *err)
{
    if (rc < 0) {
        return rc;
    }
    rc = sp_pit_open(sp_config_options(config), ret_pit, err);
    sp_config_free(config);
    return rc;
}

SP_API int sp_pit_open_file(const char *path, sp_pit **ret_pit, sp_error *err)
{
    sp_config *config = NULL;
    int rc = sp_config_load(path, &config, err);
    return open_config(rc, config, ret_pit, err);
}

SP_API int sp_pit_open_string(const char *yaml, sp_pit **ret_pit, sp_error *err)
{
    sp_config *config = NULL;
    int rc = sp_config_parse(sp_text(yaml), "text", &config, err);
    return open_config(rc, config, ret_pit, err);
}

SP_API void sp_pit_close(sp_pit *pit)
{
    if (pit != NULL) {
        close_pit(pit, SP_UNLIMITED);
    }
}

SP_API sp_sessions *sp_pit_sessions(sp_pit *pit)
{
    return pit != NULL ? pit->sessions : NULL;
}

/* ---- readiness ---- */

static void add_waiter(void *user, void *arg)
{
    struct sp_pit *pit = ((struct lane *)user)->pit;
    struct ready_waiter *waiter = arg;
    sp__list_append(&pit->ready_waiters, &waiter->on_pit);
    sp__pools_look(pit); /* perhaps it is already */
}

struct giving_up {
    struct ready_waiter *waiter;
    uint64_t timeout_ms;
};

/* The last failed start of any pool, if there is one. */
static void quote_failure(struct sp_pit *pit, sp_error *ret)
{
    for (size_t i = 0; i < pit->pools_count; i++) {
        sp_error failure = {0};
        sp__pools_last_failure(&pit->pools[i], &failure);
        if (failure.code != 0) {
            sp_error_clear(ret);
            sp_error_move(ret, &failure);
        }
        sp_error_clear(&failure);
    }
}

static void give_up(void *user, void *arg)
{
    struct sp_pit *pit = ((struct lane *)user)->pit;
    struct giving_up *giving_up = arg;
    uint32_t ready = 0;
    uint32_t wanted = 0;
    sp_error last = {0};
    if (giving_up->waiter->on_pit.on == NULL) {
        return; /* the answer came just now */
    }
    sp__list_remove(&giving_up->waiter->on_pit);
    for (size_t i = 0; i < pit->pools_count; i++) {
        ready += sp__pools_ready(&pit->pools[i]);
        wanted += pit->pools[i].options.workers;
    }
    quote_failure(pit, &last);
    sp__fail(&giving_up->waiter->error, SP_ERR_NOT_READY,
             "%u of %u workers are ready after %llu ms%s%.300s", ready, wanted,
             (unsigned long long)giving_up->timeout_ms,
             last.code != 0 ? "; last failed start: " : "", last.message);
    giving_up->waiter->error.worker_stderr = sp__strdup(last.worker_stderr);
    sp_error_clear(&last);
}

SP_API int sp_pit_await_ready(sp_pit *pit, uint64_t timeout_ms, sp_error *err)
{
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    uint64_t longest_ms = 0;
    for (size_t i = 0; i < pit->pools_count; i++) {
        uint64_t pool_ms = pit->pools[i].options.startup_timeout_ms;
        longest_ms = pool_ms > longest_ms ? pool_ms : longest_ms;
    }
    timeout_ms = timeout_ms == 0 ? longest_ms : timeout_ms;
    struct ready_waiter waiter = {0};
    sp__latch_init(&waiter.done);
    sp__loop_call(pit->loop, add_waiter, &waiter);
    if (!sp__work_wait(&pit->dispatch.work, &waiter.done, timeout_ms)) {
        struct giving_up giving_up = {.waiter = &waiter, .timeout_ms = timeout_ms};
        sp__loop_call(pit->loop, give_up, &giving_up);
    }
    int rc = waiter.error.code;
    sp_error_move(err, &waiter.error);
    return rc;
}

/* ---- dispatch ---- */

SP_API int sp_pit_fd(const sp_pit *pit)
{
    return pit == NULL ? -1 : pit->dispatch.fd;
}

static int is_due(void *dispatch)
{
    return sp__dispatch_wait(dispatch, 0);
}

/* 1 when a callback is due. On the loop, when nobody else is at it. */
static int await_due(struct sp_pit *pit, uint64_t timeout_ms)
{
    /* With several loops none brings all that is due. */
    if (timeout_ms == 0 || is_due(&pit->dispatch) || pit->lanes_count > 1 ||
        !sp__loop_borrow(pit->loop)) {
        return sp__dispatch_wait(&pit->dispatch, timeout_ms);
    }
    uint64_t now_ms = sp__now_ms();
    uint64_t end_ms =
        timeout_ms < UINT64_MAX - now_ms ? now_ms + timeout_ms : UINT64_MAX;
    sp__work_sleep(&pit->dispatch.work);
    sp__dispatch_drives(&pit->dispatch, pit->loop);
    int due = sp__loop_drive(pit->loop, is_due, &pit->dispatch, end_ms,
                             sp__pit_how_to_sleep(pit));
    sp__dispatch_drives(&pit->dispatch, NULL);
    sp__loop_leave(pit->loop, REST_BETWEEN_DISPATCHES);
    sp__work_wake(&pit->dispatch.work);
    return due;
}

SP_API int sp_pit_dispatch(sp_pit *pit, uint64_t timeout_ms, sp_error *err)
{
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    sp_error_clear(err);
    if (!await_due(pit, timeout_ms)) {
        return 0;
    }
    sp__loop_postpone(pit->loop);
    int ran = sp__dispatch_run(&pit->dispatch, pit->on_event, pit->event_data,
                               sp__pit_grant, sp__pit_cancel_request);
    sp__loop_catch_up(pit->loop);
    return ran;
}

/* ---- shutting down ---- */

enum { CUT_MS = 500 }; /* of a shutdown's time: for what has to be cut off */

static int drain(sp_pit *pit, uint64_t timeout_ms, size_t *ret_left, sp_error *err)
{
    *ret_left = 0;
    if (sp__pit_drain(pit, timeout_ms, ret_left)) {
        sp_error_clear(err);
        return SP_OK;
    }
    if (atomic_load(&pit->hurried)) {
        return sp__fail(err, SP_ERR_CANCELLED, "hurried with %zu calls left",
                        *ret_left);
    }
    return sp__fail(err, SP_ERR_TIMEOUT, "%zu calls had not ended after %llu ms",
                    *ret_left, (unsigned long long)timeout_ms);
}

SP_API int sp_pit_drain(sp_pit *pit, uint64_t timeout_ms, sp_error *err)
{
    size_t left;
    return pit != NULL ? drain(pit, timeout_ms, &left, err)
                       : sp__fail(err, SP_ERR_INVAL, "a pit is needed");
}

static void begin_shutdown(sp_pit *pit, uint64_t begin_ms)
{
    pit->shutdown_ms = begin_ms;
    sp__pit_tell_shutdown(pit, SP_EVENT_SHUTDOWN_START, 0, NULL);
}

SP_API int sp_pit_shutdown(sp_pit *pit, uint64_t timeout_ms, sp_error *err)
{
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    uint64_t begin_ms = sp__now_ms();
    begin_shutdown(pit, begin_ms);
    uint64_t cut_ms = timeout_ms / 4 < CUT_MS ? timeout_ms / 4 : CUT_MS;
    size_t left;
    int rc = drain(pit, timeout_ms == SP_UNLIMITED ? SP_UNLIMITED : timeout_ms - cut_ms,
                   &left, err);
    uint64_t used_ms = sp__now_ms() - begin_ms;
    sp__pit_tell_shutdown(pit, SP_EVENT_SHUTDOWN_STOP, rc == SP_OK ? 0 : left, NULL);
    uint64_t left_ms = timeout_ms > used_ms ? timeout_ms - used_ms : 0;
    close_pit(pit, timeout_ms == SP_UNLIMITED ? SP_UNLIMITED : left_ms);
    return rc;
}

SP_API void sp_pit_hurry(sp_pit *pit)
{
    if (pit != NULL) {
        sp__pit_hurry(pit);
    }
}

/* ---- health ---- */

/* Asked for on the heap: a loop that does not answer in time may yet answer later. It goes
 * from lane to lane, so that all have answered when the first does. */
struct checkup {
    struct command command;
    struct latch done;
    atomic_int holders; /* who asked, and the loop */
    sp_health health;
};

static void release_checkup(struct checkup *checkup)
{
    if (atomic_fetch_sub(&checkup->holders, 1) == 1) {
        sp__free(checkup);
    }
}

static void run_checkup(struct command *command, void *user)
{
    struct checkup *checkup = (struct checkup *)(void *)command;
    struct lane *lane = user;
    if (lane->number > 0) {
        sp__loop_post(lane->pit->lanes[lane->number - 1].loop, command);
        return;
    }
    sp__pit_describe_health(lane->pit, &checkup->health);
    sp__latch_open(&checkup->done);
    release_checkup(checkup);
}

SP_API int sp_pit_health(sp_pit *pit, uint64_t timeout_ms, sp_health *ret_health,
                         sp_error *err)
{
    if (pit == NULL || ret_health == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the answer are needed");
    }
    struct checkup *checkup = sp__calloc(1, sizeof *checkup);
    if (checkup == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to ask for the health");
    }
    checkup->command.run = run_checkup;
    sp__latch_init(&checkup->done);
    atomic_init(&checkup->holders, 2);
    sp__loop_post(pit->lanes[pit->lanes_count - 1].loop, &checkup->command);
    if (sp__latch_wait(&checkup->done, timeout_ms)) {
        *ret_health = checkup->health;
    } else {
        *ret_health = (sp_health){0};
        (void)snprintf(ret_health->why, sizeof ret_health->why,
                       "the loop did not answer within %llu ms",
                       (unsigned long long)timeout_ms);
    }
    release_checkup(checkup);
    sp_error_clear(err);
    return SP_OK;
}

/* ---- asking ---- */

/* Asked of one part of the pool after the other, each on its loop. */
struct question {
    struct pool *part;
    sp_pool_stats *stats;
    sp_worker_info *workers;
    size_t max;
    size_t count;
};

static struct loop *loop_of(const struct pool *part)
{
    const struct lane *lane = part->owner;
    return lane->loop;
}

static void answer_stats(void *user, void *arg)
{
    struct question *question = arg;
    sp__pool_stats(question->part, question->stats);
}

static void answer_workers(void *user, void *arg)
{
    struct question *question = arg;
    size_t max = question->max > question->count ? question->max - question->count : 0;
    question->count +=
        sp__pool_workers(question->part, question->workers + question->count, max);
}

SP_API int sp_pool_stats_get(sp_pit *pit, const char *pool, sp_pool_stats *ret_stats,
                             sp_error *err)
{
    struct pool *found;
    if (pit == NULL || ret_stats == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the answer are needed");
    }
    int rc = sp__pit_pool(pit, pool, &found, err);
    for (uint32_t i = 0; rc == SP_OK && i < sp__pool_parts(found); i++) {
        sp_pool_stats of_part;
        struct question question = {.part = sp__pool_part(found, i), .stats = &of_part};
        sp__loop_call(loop_of(question.part), answer_stats, &question);
        if (i == 0) {
            *ret_stats = of_part;
        } else {
            sp__share_add_stats(ret_stats, &of_part);
        }
    }
    return rc;
}

static void answer_safety(void *user, void *arg)
{
    const struct lane *lane = user;
    sp__pit_describe_safety(lane->pit, arg);
}

SP_API int sp_pit_safety(sp_pit *pit, sp_safety *ret_safety, sp_error *err)
{
    if (pit == NULL || ret_safety == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the answer are needed");
    }
    sp__loop_call(pit->loop, answer_safety, ret_safety);
    return SP_OK;
}

SP_API const char *sp_pool_name_at(const sp_pit *pit, size_t index)
{
    return pit == NULL || index >= pit->pools_count ? NULL : pit->pools[index].name;
}

SP_API int sp_pool_workers_get(sp_pit *pit, const char *pool,
                               sp_worker_info *ret_workers, size_t max, sp_error *err)
{
    struct question question = {.workers = ret_workers, .max = max};
    struct pool *found;
    if (pit == NULL || (ret_workers == NULL && max > 0)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the answer are needed");
    }
    int rc = sp__pit_pool(pit, pool, &found, err);
    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < sp__pool_parts(found); i++) {
        question.part = sp__pool_part(found, i);
        sp__loop_call(loop_of(question.part), answer_workers, &question);
    }
    return (int)question.count;
}

struct obituary {
    struct pool *part;
    struct death **deaths; /* room for those of a part */
    size_t count;
};

static void answer_deaths(void *user, void *arg)
{
    struct obituary *obituary = arg;
    obituary->count +=
        sp__pool_deaths(obituary->part, obituary->deaths + obituary->count);
}

static int compare_deaths(const void *a, const void *b)
{
    uint64_t left = sp__death_facts(*(struct death *const *)a)->time_unix_ms;
    uint64_t right = sp__death_facts(*(struct death *const *)b)->time_unix_ms;
    return left < right ? -1 : left > right;
}

/* Of all parts; the oldest of them go when there are more than of one. */
static int tell_deaths(struct pool *front, sp_death_cb cb, void *user_data,
                       sp_error *err)
{
    uint32_t parts = sp__pool_parts(front);
    struct obituary obituary = {
        .deaths = sp__calloc((size_t)parts * POOL_DEATHS_MAX, sizeof(struct death *))};
    if (obituary.deaths == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a list of deaths");
    }
    for (uint32_t i = 0; i < parts; i++) {
        obituary.part = sp__pool_part(front, i);
        sp__loop_call(loop_of(obituary.part), answer_deaths, &obituary);
    }
    if (parts > 1) {
        qsort(obituary.deaths, obituary.count, sizeof(struct death *), compare_deaths);
    }
    size_t first =
        obituary.count > POOL_DEATHS_MAX ? obituary.count - POOL_DEATHS_MAX : 0;
    for (size_t i = 0; i < obituary.count; i++) {
        if (i >= first) {
            cb(sp__death_facts(obituary.deaths[i]), user_data);
        }
        sp__death_drop(obituary.deaths[i]);
    }
    sp__free(obituary.deaths);
    return (int)(obituary.count - first);
}

SP_API int sp_pool_deaths_get(sp_pit *pit, const char *pool, sp_death_cb cb,
                              void *user_data, sp_error *err)
{
    struct pool *found;
    if (pit == NULL || cb == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit and a callback are needed");
    }
    int rc = sp__pit_pool(pit, pool, &found, err);
    return rc < 0 ? rc : tell_deaths(found, cb, user_data, err);
}

/* What is to become of a worker, or of all. */
struct wish {
    int (*run)(struct pool *part, sp_id worker, sp_error *err);
    struct pool *part;
    sp_id worker;
    sp_error *err;
    int rc;
};

static void do_wish(void *user, void *arg)
{
    struct wish *wish = arg;
    (void)user;
    wish->rc = wish->run(wish->part, wish->worker, wish->err);
}

static int wish_for(sp_pit *pit, const char *pool, struct wish *wish)
{
    struct pool *found;
    if (pit == NULL) {
        return sp__fail(wish->err, SP_ERR_INVAL, "a pit is needed");
    }
    int rc = sp__pit_pool(pit, pool, &found, wish->err);
    if (rc < 0) {
        return rc;
    }
    /* Of all of them, or of the part that has the worker. */
    for (uint32_t i = 0; i < sp__pool_parts(found); i++) {
        wish->part = sp__pool_part(found, i);
        sp__loop_call(loop_of(wish->part), do_wish, wish);
        if (wish->worker != 0 && wish->rc == SP_OK) {
            break;
        }
    }
    if (wish->rc == SP_OK) {
        sp_error_clear(wish->err);
    }
    return wish->rc;
}

SP_API int sp_pool_recycle(sp_pit *pit, const char *pool, sp_id worker, sp_error *err)
{
    struct wish wish = {.run = sp__pool_recycle, .worker = worker, .err = err};
    return wish_for(pit, pool, &wish);
}

SP_API int sp_pool_worker_kill(sp_pit *pit, const char *pool, sp_id worker,
                               sp_error *err)
{
    struct wish wish = {.run = sp__pool_kill, .worker = worker, .err = err};
    return worker == 0 ? sp__fail(err, SP_ERR_INVAL, "the id of a worker is needed")
                       : wish_for(pit, pool, &wish);
}

struct telling {
    sp_tool_cb cb;
    void *user_data;
};

/* With the schema of what was announced. */
static void tell_tool(const sp_tool_info *info, void *user_data)
{
    const struct telling *telling = user_data;
    sp_tool_info whole = *info;
    struct sp_buffer schema;
    sp__buf_init(&schema, SIZE_MAX / 2);
    int rc = sp__rules_put_schema(&schema, info->parameters, info->parameters_count, 1,
                                  NULL);
    if (rc == SP_OK) {
        rc = sp__buf_append(&schema, "", 1, NULL);
    }
    whole.input_schema = rc == SP_OK ? (const char *)schema.data : "{}";
    telling->cb(&whole, telling->user_data);
    sp__buf_fini(&schema);
}

SP_API int sp_pool_tools_get(sp_pit *pit, const char *pool, sp_tool_cb cb,
                             void *user_data, sp_error *err)
{
    struct pool *found;
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    int rc = sp__pit_pool(pit, pool, &found, err);
    struct telling telling = {cb, user_data};
    return rc < 0
               ? rc
               : sp__tools_each(&found->tools, cb != NULL ? tell_tool : NULL, &telling);
}

/* ---- the whole in one ---- */

SP_API int sp_run_as_script(const sp_pit_options *options, uint64_t timeout_ms,
                            sp_script_fn fn, void *user_data, sp_error *err)
{
    sp_pit *pit;
    if (fn == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a function to run is needed");
    }
    int rc = sp_pit_open(options, &pit, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp_pit_await_ready(pit, timeout_ms, err);
    if (rc == SP_OK) {
        rc = fn(pit, user_data);
    }
    begin_shutdown(pit, sp__now_ms());
    sp__pit_tell_shutdown(pit, SP_EVENT_SHUTDOWN_STOP, 0, NULL);
    sp_pit_close(pit);
    return rc;
}

/* The language of a runtime, for who asks about one; NULL with an error. */
static const struct language *language_of(const char *runtime, const char *ret_path,
                                          size_t max, sp_error *err)
{
    if (ret_path == NULL || max == 0 || runtime == NULL) {
        (void)sp__fail(err, SP_ERR_INVAL,
                       "a language and a place for a path are needed");
        return NULL;
    }
    const struct language *language = sp__language(runtime);
    if (language == NULL) {
        (void)sp__fail(err, SP_ERR_INVAL, "\"%s\" is none of python, node, ruby, r",
                       runtime);
    }
    return language;
}

SP_API int sp_interpreter_find(const char *runtime, char *ret_path, size_t max,
                               sp_error *err)
{
    const struct language *language = language_of(runtime, ret_path, max, err);
    return language == NULL ? SP_ERR_INVAL
                            : sp__language_find(language, NULL, ret_path, max, err);
}

SP_API int sp_bridge_find(const char *runtime, char *ret_path, size_t max,
                          sp_error *err)
{
    char python[4096];
    const struct language *language = language_of(runtime, ret_path, max, err);
    if (language == NULL) {
        return SP_ERR_INVAL;
    }
    int rc = sp__bridge_find(NULL, python, sizeof python, err);
    return rc < 0 ? rc : sp__language_script(language, python, ret_path, max, err);
}
