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
#include "base/options.h"
#include "worker/language.h"

enum {
    WORKERS_MAX = 1000,
    NAME_MAX_BYTES = 64,
    THREADS_MAX = 256,  /* of which a worker can say what they are at */
    THREADS_USUAL = 10, /* the original's */
    CONCURRENCY_MAX = 10000,
    PIPELINE_MAX = 1024,
    QUEUE_MAX = 10000000,
    CRASHES_MAX = 1000000,
    RETRY_MAX = 1000000
};

#define DAY_MS (24ull * 3600 * 1000)
#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* One number of the options: where it is, what 0 stands for (0: for itself, or for what
 * fill_computed() says), and its range. */
struct rule {
    const char *name;
    size_t offset;
    size_t bytes; /* 4 or 8 */
    uint64_t usual;
    uint64_t min;
    uint64_t max;
    enum {
        IN_RANGE,
        OR_UNLIMITED, /* SP_UNLIMITED is allowed too */
        NONE_IS_0,    /* SP_NONE is 0, because 0 is the usual */
        OR_NONE       /* SP_NONE is allowed too, and stays */
    } beyond;
};

#define RULE(member, usual, min, max, beyond)                                  \
    {                                                                          \
#member, offsetof(sp_pool_options, member),                            \
            sizeof(((sp_pool_options *)NULL)->member), usual, min, max, beyond \
    }

static const struct rule rules[] = {
    RULE(workers, 0, 1, WORKERS_MAX, IN_RANGE),
    RULE(profile, 0, 0, SP_PROFILE_THREAD, IN_RANGE),
    RULE(threads, 0, 1, THREADS_MAX, IN_RANGE),
    RULE(max_concurrency, 1, 1, CONCURRENCY_MAX, IN_RANGE),
    RULE(pipeline_max, 64, 1, PIPELINE_MAX, IN_RANGE),
    RULE(startup_batch, 0, 1, WORKERS_MAX, IN_RANGE),
    RULE(startup_batch_delay_ms, 0, 0, DAY_MS, IN_RANGE),
    RULE(startup_timeout_ms, 30000, 1, DAY_MS, IN_RANGE),
    RULE(init_timeout_ms, 20000, 1, DAY_MS, IN_RANGE),
    RULE(queue_timeout_ms, 5000, 1, DAY_MS, OR_UNLIMITED),
    RULE(call_timeout_ms, 60000, 1, DAY_MS, OR_UNLIMITED),
    RULE(stream_timeout_ms, 300000, 1, DAY_MS, OR_UNLIMITED),
    RULE(cancel_grace_ms, 2000, 1, DAY_MS, OR_UNLIMITED),
    RULE(shutdown_grace_ms, 2000, 1, DAY_MS, IN_RANGE),
    RULE(health_interval_ms, 30000, 10, DAY_MS, OR_UNLIMITED),
    RULE(health_misses, 1, 1, 100, IN_RANGE),
    RULE(hang_grace_ms, 1000, 1, DAY_MS, IN_RANGE),
    RULE(queue_max, 1000, 1, QUEUE_MAX, IN_RANGE),
    RULE(request_max_bytes, 128 * MIB, 1, GIB, IN_RANGE),
    RULE(response_max_bytes, 128 * MIB, 1, GIB, IN_RANGE),
    RULE(shared_min_bytes, MIB / 4, MIB / 16, GIB, OR_UNLIMITED),
    RULE(shared_max_bytes, 64 * MIB, MIB, GIB, IN_RANGE),
    RULE(affinity, SP_AFFINITY_HINT, SP_AFFINITY_HINT, SP_AFFINITY_STRICT_FAIL_FAST,
         IN_RANGE),
    RULE(check_args, 0, 0, SP_CHECK_NONE, IN_RANGE),
    RULE(thread_checks, 0, 0, SP_THREADS_STRICT, IN_RANGE),
    RULE(require_gil_disabled, 0, 0, 1, IN_RANGE),
    RULE(recycle_after_ms, SP_UNLIMITED, 100, 365 * DAY_MS, OR_UNLIMITED),
    RULE(recycle_calls, SP_UNLIMITED, 1, UINT64_MAX, OR_UNLIMITED),
    RULE(recycle_memory_bytes, SP_UNLIMITED, MIB, 1024 * GIB, OR_UNLIMITED),
    RULE(recycle_jitter_permille, 100, 0, 900, NONE_IS_0),
    RULE(recycle_surge, 1, 0, WORKERS_MAX, NONE_IS_0),
    RULE(drain_timeout_ms, 300000, 1, DAY_MS, OR_UNLIMITED),
    RULE(backoff_min_ms, 100, 1, DAY_MS, IN_RANGE),
    RULE(backoff_max_ms, 30000, 1, DAY_MS, IN_RANGE),
    RULE(steady_ms, 10000, 1, DAY_MS, IN_RANGE),
    RULE(crashes_max, 0, 1, CRASHES_MAX, IN_RANGE),
    RULE(crash_period_ms, 60000, 1, DAY_MS, IN_RANGE),
    RULE(probe_interval_ms, 30000, 1, DAY_MS, IN_RANGE),
    RULE(suspect_ms, 0, 0, DAY_MS, IN_RANGE),
    RULE(attempts_max, 3, 1, 100, IN_RANGE),
    RULE(retry_budget, 0, 1, RETRY_MAX, IN_RANGE),
    RULE(poison_deaths, 2, 1, 100, IN_RANGE),
    RULE(poison_block_ms, 0, 0, DAY_MS, IN_RANGE),
    RULE(limit_memory_bytes, SP_UNLIMITED, MIB, 1024 * GIB, OR_UNLIMITED),
    RULE(limit_core_bytes, 0, 0, 1024 * GIB, OR_UNLIMITED),
    RULE(limit_processes, 0, 0, 4194304, IN_RANGE),
    RULE(limit_files, 0, 0, 1u << 20, IN_RANGE),
    RULE(nice, 0, 0, 19, NONE_IS_0),
    RULE(zygote, 0, SP_ZYGOTE_OFF, SP_ZYGOTE_AUTO, IN_RANGE),
    RULE(umask, 0, 0, 0777, OR_NONE),
};

static const struct rule *const rules_end = rules + sizeof rules / sizeof rules[0];

static uint64_t get(const sp_pool_options *options, const struct rule *rule)
{
    const void *member = (const char *)options + rule->offset;
    return rule->bytes == sizeof(uint32_t) ? *(const uint32_t *)member
                                           : *(const uint64_t *)member;
}

static void set(sp_pool_options *options, const struct rule *rule, uint64_t value)
{
    void *member = (char *)options + rule->offset;
    if (rule->bytes == sizeof(uint32_t)) {
        *(uint32_t *)member = (uint32_t)value;
    } else {
        *(uint64_t *)member = value;
    }
}

static int is_beyond(const struct rule *rule, uint64_t value)
{
    return (rule->beyond == OR_UNLIMITED && value == SP_UNLIMITED) ||
           (rule->beyond == OR_NONE && value == SP_NONE);
}

static int check(const sp_pool_options *options, sp_error *err)
{
    for (const struct rule *rule = rules; rule < rules_end; rule++) {
        uint64_t value = get(options, rule);
        uint64_t min = rule->min;
        if (rule->offset == offsetof(sp_pool_options, backoff_max_ms)) {
            min = options->backoff_min_ms;
        }
        if (!is_beyond(rule, value) && (value < min || value > rule->max)) {
            return sp__fail(err, SP_ERR_CONFIG,
                            "pool %s: %s is %llu, allowed are %llu to %llu",
                            options->name, rule->name, (unsigned long long)value,
                            (unsigned long long)min, (unsigned long long)rule->max);
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

/* What depends on the machine, or on other options. */
static void fill_computed(sp_pool_options *options)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t twice = processors > 0 ? 2 * (uint32_t)processors : 2;
    fill_u32(&options->workers, twice > WORKERS_MAX ? WORKERS_MAX : twice);
    fill_u32(&options->threads,
             options->profile == SP_PROFILE_THREAD ? THREADS_USUAL : 1);
    fill_u32(&options->startup_batch, twice < 8 ? 8 : twice);
    fill_u32(&options->crashes_max, options->workers > 5 ? 2 * options->workers : 10);
    uint64_t at_once = (uint64_t)options->workers * sp__pool_options_capacity(options);
    fill_u32(&options->retry_budget, at_once < 3               ? 10
                                     : at_once > RETRY_MAX / 4 ? RETRY_MAX
                                                               : 4 * (uint32_t)at_once);
}

static void fill(sp_pool_options *options)
{
    options->name = options->name == NULL ? "default" : options->name;
    options->runtime = options->runtime == NULL ? "python" : options->runtime;
    for (const struct rule *rule = rules; rule < rules_end; rule++) {
        uint64_t value = get(options, rule);
        if (value == 0) {
            set(options, rule, rule->usual);
        } else if (rule->beyond == NONE_IS_0 && value == SP_NONE) {
            set(options, rule, 0);
        }
    }
    fill_computed(options);
}

static int check_name(const sp_pool_options *options, sp_error *err)
{
    size_t bytes = strlen(options->name);
    if (bytes == 0 || bytes > NAME_MAX_BYTES) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "a pool's name of %zu bytes, allowed are 1 to %d", bytes,
                        NAME_MAX_BYTES);
    }
    return SP_OK;
}

int sp__pool_options_fill(const sp_pool_options *given, sp_pool_options *ret,
                          sp_error *err)
{
    static int (*const checks[])(const sp_pool_options *, sp_error *) = {
        check_name, check, check_profile, check_zygote, check_kind};
    sp_pool_options options = {0};
    int rc = sp__take_options("sp_pool_options", given, &options, sizeof options, err);
    if (rc < 0) {
        return rc;
    }
    options.size = sizeof options;
    fill(&options);
    for (size_t i = 0; rc == SP_OK && i < sizeof checks / sizeof checks[0]; i++) {
        rc = checks[i](&options, err);
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
