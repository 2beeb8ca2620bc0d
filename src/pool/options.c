/* SPDX-License-Identifier: MIT */
/*
 * A pool's options: defaults and ranges, for whoever brings a struct. The configuration
 * file has its own table with the same limits and says where in the file the value is;
 * this is the check that nobody can go around.
 */
#include "pool/options.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "worker/language.h"

enum {
    WORKERS_MAX = 1000,
    NAME_MAX_BYTES = 64,
    THREADS_MAX = 256,  /* of which a worker can say what they are at */
    THREADS_USUAL = 10, /* the original's */
    CONCURRENCY_MAX = 10000,
    PIPELINE_MAX = 1024,
    QUEUE_MAX = 10000000,
    CRASHES_MAX = 1000000
};

#define DAY_MS (24ull * 3600 * 1000)
#define GIB (1ull << 30)

struct rule {
    const char *name;
    uint64_t value;
    uint64_t min;
    uint64_t max;
    int may_be_unlimited;
};

static int check(const sp_pool_options *options, sp_error *err)
{
    const struct rule rules[] = {
        {"workers", options->workers, 1, WORKERS_MAX, 0},
        {"profile", (uint64_t)options->profile, 0, SP_PROFILE_THREAD, 0},
        {"threads", options->threads, 1, THREADS_MAX, 0},
        {"max_concurrency", options->max_concurrency, 1, CONCURRENCY_MAX, 0},
        {"pipeline_max", options->pipeline_max, 1, PIPELINE_MAX, 0},
        {"startup_batch", options->startup_batch, 1, WORKERS_MAX, 0},
        {"startup_batch_delay_ms", options->startup_batch_delay_ms, 0, DAY_MS, 0},
        {"startup_timeout_ms", options->startup_timeout_ms, 1, DAY_MS, 0},
        {"init_timeout_ms", options->init_timeout_ms, 1, DAY_MS, 0},
        {"queue_timeout_ms", options->queue_timeout_ms, 1, DAY_MS, 1},
        {"call_timeout_ms", options->call_timeout_ms, 1, DAY_MS, 1},
        {"stream_timeout_ms", options->stream_timeout_ms, 1, DAY_MS, 1},
        {"cancel_grace_ms", options->cancel_grace_ms, 1, DAY_MS, 1},
        {"shutdown_grace_ms", options->shutdown_grace_ms, 1, DAY_MS, 0},
        {"health_interval_ms", options->health_interval_ms, 10, DAY_MS, 1},
        {"health_misses", options->health_misses, 1, 100, 0},
        {"hang_grace_ms", options->hang_grace_ms, 1, DAY_MS, 0},
        {"queue_max", options->queue_max, 1, QUEUE_MAX, 0},
        {"request_max_bytes", options->request_max_bytes, 1, GIB, 0},
        {"response_max_bytes", options->response_max_bytes, 1, GIB, 0},
        {"shared_min_bytes", options->shared_min_bytes, 1u << 16, GIB, 1},
        {"shared_max_bytes", options->shared_max_bytes, 1u << 20, GIB, 0},
        {"affinity", (uint64_t)options->affinity, SP_AFFINITY_HINT,
         SP_AFFINITY_STRICT_FAIL_FAST, 0},
        {"check_args", (uint64_t)options->check_args, 0, SP_CHECK_NONE, 0},
        {"thread_checks", (uint64_t)options->thread_checks, 0, SP_THREADS_STRICT, 0},
        {"require_gil_disabled", (uint64_t)options->require_gil_disabled, 0, 1, 0},
        {"recycle_after_ms", options->recycle_after_ms, 100, 365 * DAY_MS, 1},
        {"recycle_calls", options->recycle_calls, 1, UINT64_MAX, 1},
        {"recycle_memory_bytes", options->recycle_memory_bytes, 1u << 20, 1024 * GIB,
         1},
        {"recycle_jitter_permille", options->recycle_jitter_permille, 0, 900, 0},
        {"recycle_surge", options->recycle_surge, 0, WORKERS_MAX, 0},
        {"drain_timeout_ms", options->drain_timeout_ms, 1, DAY_MS, 1},
        {"backoff_min_ms", options->backoff_min_ms, 1, DAY_MS, 0},
        {"backoff_max_ms", options->backoff_max_ms, options->backoff_min_ms, DAY_MS, 0},
        {"steady_ms", options->steady_ms, 1, DAY_MS, 0},
        {"crashes_max", options->crashes_max, 1, CRASHES_MAX, 0},
        {"crash_period_ms", options->crash_period_ms, 1, DAY_MS, 0},
        {"probe_interval_ms", options->probe_interval_ms, 1, DAY_MS, 0},
        {"suspect_ms", options->suspect_ms, 0, DAY_MS, 0},
        {"attempts_max", options->attempts_max, 1, 100, 0},
        {"retry_budget", options->retry_budget, 1, 1000000, 0},
        {"poison_deaths", options->poison_deaths, 1, 100, 0},
        {"poison_block_ms", options->poison_block_ms, 0, DAY_MS, 0},
        {"limit_memory_bytes", options->limit_memory_bytes, 1u << 20, 1024 * GIB, 1},
        {"limit_core_bytes", options->limit_core_bytes, 0, 1024 * GIB, 1},
        {"limit_processes", options->limit_processes, 0, 4194304, 0},
        {"limit_files", options->limit_files, 0, 1u << 20, 0},
        {"nice", options->nice, 0, 19, 0},
        {"zygote", (uint64_t)options->zygote, SP_ZYGOTE_OFF, SP_ZYGOTE_AUTO, 0},
        {"umask", options->umask == SP_NONE ? 0 : options->umask, 0, 0777, 0},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct rule *rule = &rules[i];
        if (rule->may_be_unlimited && rule->value == SP_UNLIMITED) {
            continue;
        }
        if (rule->value < rule->min || rule->value > rule->max) {
            return sp__fail(
                err, SP_ERR_CONFIG, "pool %s: %s is %llu, allowed are %llu to %llu",
                options->name, rule->name, (unsigned long long)rule->value,
                (unsigned long long)rule->min, (unsigned long long)rule->max);
        }
    }
    return SP_OK;
}

/* Each profile has a number of its own; the other's says that something else was meant. */
static int check_profile(const sp_pool_options *options, sp_error *err)
{
    if (options->profile == SP_PROFILE_PROCESS && options->threads > 1) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "pool %s: threads is %u, but with the profile process a worker "
                        "has one: set the profile to thread, or max_concurrency for "
                        "asynchronous tools",
                        options->name, options->threads);
    }
    if (options->profile == SP_PROFILE_THREAD && options->max_concurrency > 1) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "pool %s: max_concurrency is %u, but with the profile thread a "
                        "worker runs as many calls as it has threads: set threads",
                        options->name, options->max_concurrency);
    }
    return SP_OK;
}

/* Only programs that have been made for it can be forked. */
static int check_zygote(const sp_pool_options *options, sp_error *err)
{
    int is_python = options->custom == NULL && strcmp(options->runtime, "python") == 0;
    int is_exec = options->custom == NULL && strcmp(options->runtime, "exec") == 0;
    if (options->preload != NULL && options->preload[0] != NULL && !is_python) {
        return sp__fail(
            err, SP_ERR_CONFIG,
            "pool %s: preload is for the runtime python, not for %s", options->name,
            options->custom != NULL ? "a custom adapter" : options->runtime);
    }
    if (options->zygote != SP_ZYGOTE_OFF && !is_python && !is_exec) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "pool %s: zygote is for the runtimes python and exec, not for "
                        "%s",
                        options->name,
                        options->custom != NULL ? "a custom adapter"
                                                : options->runtime);
    }
    return SP_OK;
}

static int check_kind(const sp_pool_options *options, sp_error *err)
{
    if (options->custom != NULL) {
        if (options->custom->size < offsetof(sp_adapter, timeout_ms) ||
            options->custom->executable == NULL) {
            return sp__fail(err, SP_ERR_CONFIG,
                            "pool %s: the adapter has no executable", options->name);
        }
        return SP_OK;
    }
    if (sp__language(options->runtime) != NULL) {
        return SP_OK;
    }
    if (strcmp(options->runtime, "exec") != 0 &&
        strcmp(options->runtime, "grpc") != 0 &&
        strcmp(options->runtime, "grpc_server") != 0 &&
        strcmp(options->runtime, "stdio") != 0) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "pool %s: runtime \"%s\" is none of python, node, ruby, "
                        "r, exec, grpc, grpc_server, stdio",
                        options->name, options->runtime);
    }
    if (options->command == NULL || options->command[0] == NULL) {
        return sp__fail(err, SP_ERR_CONFIG, "pool %s: runtime %s needs a command",
                        options->name, options->runtime);
    }
    return SP_OK;
}

uint32_t sp__pool_options_capacity(const sp_pool_options *options)
{
    return options->profile == SP_PROFILE_THREAD ? options->threads
                                                 : options->max_concurrency;
}

static void fill_u32(uint32_t *value, uint32_t usual)
{
    *value = *value == 0 ? usual : *value;
}

/* SP_NONE stands for 0, because 0 stands for the usual. */
static void fill_u32_or_none(uint32_t *value, uint32_t usual)
{
    *value = *value == 0 ? usual : *value == SP_NONE ? 0 : *value;
}

static void fill_u64(uint64_t *value, uint64_t usual)
{
    *value = *value == 0 ? usual : *value;
}

int sp__pool_options_fill(const sp_pool_options *given, sp_pool_options *ret,
                          sp_error *err)
{
    sp_pool_options options = {0};
    if (given != NULL) {
        if (given->size == 0 || given->size > 4096) {
            return sp__fail(err, SP_ERR_INVAL,
                            "sp_pool_options.size is %zu; set it to sizeof the struct",
                            given->size);
        }
        memcpy(&options, given,
               given->size < sizeof options ? given->size : sizeof options);
    }
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t twice = processors > 0 ? 2 * (uint32_t)processors : 2;

    options.size = sizeof options;
    options.name = options.name == NULL ? "default" : options.name;
    options.runtime = options.runtime == NULL ? "python" : options.runtime;
    fill_u32(&options.workers, twice > WORKERS_MAX ? WORKERS_MAX : twice);
    fill_u32(&options.threads,
             options.profile == SP_PROFILE_THREAD ? THREADS_USUAL : 1);
    fill_u32(&options.max_concurrency, 1);
    fill_u32(&options.pipeline_max, 64);
    fill_u32(&options.startup_batch, twice < 8 ? 8 : twice);
    fill_u64(&options.startup_timeout_ms, 30000);
    fill_u64(&options.init_timeout_ms, 20000);
    fill_u64(&options.queue_timeout_ms, 5000);
    fill_u64(&options.call_timeout_ms, 60000);
    fill_u64(&options.stream_timeout_ms, 300000);
    fill_u64(&options.cancel_grace_ms, 2000);
    fill_u64(&options.shutdown_grace_ms, 2000);
    fill_u64(&options.health_interval_ms, 30000);
    fill_u32(&options.health_misses, 1);
    fill_u64(&options.hang_grace_ms, 1000);
    fill_u32(&options.queue_max, 1000);
    if (options.affinity == SP_AFFINITY_DEFAULT) {
        options.affinity = SP_AFFINITY_HINT;
    }
    fill_u64(&options.request_max_bytes, 128ull << 20);
    fill_u64(&options.response_max_bytes, 128ull << 20);
    fill_u64(&options.shared_min_bytes, 256ull << 10);
    fill_u64(&options.shared_max_bytes, 64ull << 20);

    fill_u64(&options.recycle_after_ms, SP_UNLIMITED);
    fill_u64(&options.recycle_calls, SP_UNLIMITED);
    fill_u64(&options.recycle_memory_bytes, SP_UNLIMITED);
    fill_u32_or_none(&options.recycle_jitter_permille, 100);
    fill_u32_or_none(&options.recycle_surge, 1);
    fill_u64(&options.drain_timeout_ms, 300000);
    fill_u64(&options.backoff_min_ms, 100);
    fill_u64(&options.backoff_max_ms, 30000);
    fill_u64(&options.steady_ms, 10000);
    fill_u32(&options.crashes_max, options.workers > 5 ? 2 * options.workers : 10);
    fill_u64(&options.crash_period_ms, 60000);
    fill_u64(&options.probe_interval_ms, 30000);
    fill_u32(&options.attempts_max, 3);
    uint64_t at_once = (uint64_t)options.workers * sp__pool_options_capacity(&options);
    fill_u32(&options.retry_budget, at_once < 3        ? 10
                                    : at_once > 250000 ? 1000000
                                                       : 4 * (uint32_t)at_once);
    fill_u32(&options.poison_deaths, 2);
    fill_u64(&options.limit_memory_bytes, SP_UNLIMITED);
    fill_u32_or_none(&options.nice, 0);

    size_t name_bytes = strlen(options.name);
    if (name_bytes == 0 || name_bytes > NAME_MAX_BYTES) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "a pool's name of %zu bytes, allowed are 1 to %d", name_bytes,
                        NAME_MAX_BYTES);
    }
    int rc = check(&options, err);
    if (rc == SP_OK) {
        rc = check_profile(&options, err);
    }
    if (rc == SP_OK) {
        rc = check_zygote(&options, err);
    }
    if (rc == SP_OK) {
        rc = check_kind(&options, err);
    }
    if (rc == SP_OK) {
        *ret = options;
    }
    return rc;
}

int sp__adapter_has_functions(const sp_adapter *adapter)
{
    return adapter != NULL &&
           (adapter->validate != NULL || adapter->prepare != NULL ||
            adapter->process != NULL ||
            (adapter->size >= sizeof *adapter && adapter->timeout_ms != NULL));
}
