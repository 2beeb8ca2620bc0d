/* SPDX-License-Identifier: MIT */
/*
 * From the command line to an open pit: configuration, flags over it, only the pool that
 * is needed, started and ready.
 *
 * Without a daemon every command opens its own pit and closes it. A single call starts
 * one worker of one pool, however large the configured pools are, unless --size or --set
 * asks for more. On failure the error is on standard error and nothing is left open.
 */
#include "cli.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* --- Configuration ------------------------------------------------------------------- */

/* The index of the pool of -p, or of the first. */
static int find_pool(const struct cli *cli, const sp_pit_options *options,
                     size_t *ret_index)
{
    struct nearest nearest;
    *ret_index = 0;
    if (cli->pool == NULL) {
        return CODE_OK;
    }
    nearest_init(&nearest, cli->pool);
    for (size_t i = 0; i < options->pools_count; i++) {
        if (strcmp(options->pools[i].name, cli->pool) == 0) {
            *ret_index = i;
            return CODE_OK;
        }
        nearest_offer(&nearest, options->pools[i].name);
    }
    sp_error err = {0};
    (void)sp_error_set(&err, SP_ERR_NO_POOL,
                       nearest.name != NULL ? "no pool \"%s\"; did you mean \"%s\"?"
                                            : "no pool \"%s\"; the first one is \"%s\"",
                       cli->pool,
                       nearest.name != NULL ? nearest.name : options->pools[0].name);
    int code = report(&err);
    sp_error_clear(&err);
    return code;
}

static int set(sp_config *config, const char *pool, const char *key, const char *value)
{
    char full[160];
    sp_error err = {0};
    (void)snprintf(full, sizeof full, "pools.%s.%s", pool, key);
    if (value == NULL || sp_config_set(config, full, value, &err) == 0) {
        return CODE_OK;
    }
    int code = report(&err);
    sp_error_clear(&err);
    return code;
}

/* A file that is not there needs no worker to be noticed. */
static int check_adapter(const char *adapter)
{
    char path[4096];
    const char *colon = strrchr(adapter, ':');
    int length = colon != NULL ? (int)(colon - adapter) : (int)strlen(adapter);
    (void)snprintf(path, sizeof path, "%.*s", length, adapter);
    if (path[0] == '/' && access(path, F_OK) != 0) {
        return complain(CODE_NOT_FOUND, "adapter %s: %s", path, strerror(errno));
    }
    return CODE_OK;
}

int config_load(const struct cli *cli, sp_config **ret_config, sp_error *err)
{
    sp_config *config = NULL;
    int rc = sp_config_load(cli->config_path, &config, err);
    for (int i = 0; rc == SP_OK && i < cli->sets_count; i++) {
        rc = sp_config_set(config, cli->sets[i].key, cli->sets[i].value, err);
    }
    if (rc < 0) {
        sp_config_free(config);
        return rc;
    }
    *ret_config = config;
    return SP_OK;
}

const char *config_instance(const struct cli *cli, sp_config *config)
{
    return cli->instance != NULL ? cli->instance : sp_config_options(config)->instance;
}

/* -a, -m, --python and --size concern the pool in use. */
static int set_flags(const struct cli *cli, sp_config *config)
{
    const char *adapter = cli->function != NULL ? "none" : cli->adapter;
    size_t index;
    int code = find_pool(cli, sp_config_options(config), &index);
    if (code != CODE_OK) {
        return code;
    }
    const sp_pool_options *pool = &sp_config_options(config)->pools[index];
    if ((cli->function != NULL || cli->python != NULL) &&
        strcmp(pool->runtime, "python") != 0) {
        return complain(CODE_USAGE,
                        "pool \"%s\" runs %s; -m and --python need a pool of Python "
                        "workers",
                        pool->name, pool->runtime);
    }
    if (adapter != NULL && pool->command != NULL) {
        return complain(CODE_USAGE,
                        "pool \"%s\" runs %s; -a needs a pool of a language",
                        pool->name, pool->runtime);
    }
    code = set(config, pool->name, "adapter", adapter);
    if (code == CODE_OK && adapter != NULL) {
        code = check_adapter(pool->adapter); /* a path is absolute by now */
    }
    if (code == CODE_OK) {
        code = set(config, pool->name, "python", cli->python);
    }
    if (code == CODE_OK) {
        code = set(config, pool->name, "size", cli->workers);
    }
    return code;
}

int config_open(const struct cli *cli, sp_config **ret_config)
{
    sp_config *config = NULL;
    sp_error err = {0};
    if (config_load(cli, &config, &err) < 0) {
        int code = report(&err);
        sp_error_clear(&err);
        return code;
    }
    int code = set_flags(cli, config);
    if (code != CODE_OK) {
        sp_config_free(config);
        return code;
    }
    *ret_config = config;
    return CODE_OK;
}

/* --- The pit ------------------------------------------------------------------------- */

static int has_size(const struct cli *cli)
{
    for (int i = 0; i < cli->sets_count; i++) {
        size_t length = strlen(cli->sets[i].key);
        if (length >= 5 && strcmp(cli->sets[i].key + length - 5, ".size") == 0) {
            return 1;
        }
    }
    return cli->workers != NULL;
}

/* Nobody's getpid() but that of workers this program was made for is concerned. */
static void prefer_safety(sp_pit_options *options)
{
    if (options->guard_level == SP_SAFETY_DEFAULT) {
        options->guard_level = SP_SAFETY_NAMESPACE;
    }
}

void take_options(struct opened *opened, const sp_pit_options *options)
{
    opened->options = *options;
    prefer_safety(&opened->options);
    opened->instance = options->instance;
    opened->options.instance = NULL;
    opened->sessions = *options->sessions;
    opened->sessions.path = NULL;
    opened->sessions.durability = SP_DURABILITY_MEMORY;
    opened->options.sessions = &opened->sessions;
}

/* --- A timeline of what it does --------------------------------------------------------- */

/* The file is made at once, so that one that cannot be is told before anything runs. */
static int timeline_begin(struct opened *opened, const char *path)
{
    opened->timeline_path = path;
    opened->timeline = fopen(path, "we");
    if (opened->timeline == NULL) {
        return complain(CODE_USAGE, "--timeline: %s: %s", path, strerror(errno));
    }
    opened->options.trace_sample_permille = 1000;
    return CODE_OK;
}

static void timeline_give_up(struct opened *opened)
{
    if (opened->timeline != NULL) {
        (void)fclose(opened->timeline);
        opened->timeline = NULL;
    }
}

static void write_bytes(sp_bytes bytes, void *user_data)
{
    (void)fwrite(bytes.data, 1, bytes.size, user_data);
}

static void timeline_end(struct opened *opened)
{
    sp_error err = {0};
    if (opened->timeline == NULL) {
        return;
    }
    if (sp_pit_report(opened->pit, "timeline", "{\"calls\":4096}", write_bytes,
                      opened->timeline, &err) < 0) {
        talk("no timeline: %s", err.message);
    }
    int failed = ferror(opened->timeline);
    if (fclose(opened->timeline) != 0 || failed) {
        talk("%s is not whole: it could not be written", opened->timeline_path);
    }
    opened->timeline = NULL;
    sp_error_clear(&err);
}

int pit_open(const struct cli *cli, int flags, struct opened *ret)
{
    sp_error err = {0};
    size_t index = 0;
    *ret = (struct opened){0};
    int code = config_open(cli, &ret->config);
    if (code != CODE_OK) {
        return code;
    }
    const sp_pit_options *options = sp_config_options(ret->config);
    take_options(ret, options);
    ret->options.on_event = show_event;
    ret->options.event_data = (void *)(uintptr_t)cli;
    /* config_open() has found the pool of -p already. */
    (void)find_pool(cli, options, &index);
    memcpy(ret->pools, options->pools, options->pools_count * sizeof *ret->pools);
    ret->options.pools = ret->pools;
    if ((flags & OPEN_ONE_POOL) != 0 || cli->pool != NULL) {
        ret->options.pools = &ret->pools[index];
        ret->options.pools_count = 1;
    }
    if ((flags & OPEN_ONE_WORKER) != 0 && !has_size(cli)) {
        ret->pools[index].workers = 1;
    }
    if ((flags & OPEN_FORKED) != 0) {
        ret->pools[index].zygote = SP_ZYGOTE_ON;
    }
    if ((flags & OPEN_STATE) != 0) {
        ret->options.sessions = options->sessions;
    }
    if (cli->timeline != NULL) {
        code = timeline_begin(ret, cli->timeline);
        if (code != CODE_OK) {
            sp_config_free(ret->config);
            return code;
        }
    }
    int rc = sp_pit_open(&ret->options, &ret->pit, &err);
    if (rc == SP_ERR_IN_USE && (flags & OPEN_STATE) != 0) {
        talk("sessions are not looked at: %s", err.message);
        sp_error_clear(&err);
        ret->options.sessions = &ret->sessions;
        rc = sp_pit_open(&ret->options, &ret->pit, &err);
    }
    if (rc < 0) {
        code = report(&err);
        sp_error_clear(&err);
        timeline_give_up(ret);
        sp_config_free(ret->config);
        return code;
    }
    talk_hold(1, 0);
    code = watch_start(ret->pit);
    if (code == CODE_OK) {
        code = shell_tools_add(cli, ret->pit);
    }
    if (code != CODE_OK) {
        pit_close(ret);
    }
    return code;
}

struct count {
    unsigned ready;
    unsigned wanted;
};

static struct count count_workers(const struct opened *opened)
{
    struct count count = {0};
    for (size_t i = 0; i < opened->options.pools_count; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(opened->pit, opened->options.pools[i].name, &stats,
                              NULL) == 0) {
            count.ready += stats.available + stats.busy;
            count.wanted += stats.workers;
        }
    }
    return count;
}

/* Say that the wait is over without success; takes what the error has. The time in the
 * error's own message is that of the last slice. */
static int give_up(const struct opened *opened, uint64_t waited_ms, sp_error *err)
{
    struct count count = count_workers(opened);
    if (err->code == SP_ERR_NOT_READY) {
        char last[SP_ERROR_MESSAGE_MAX];
        char time[32];
        const char *semicolon = strstr(err->message, "; ");
        (void)snprintf(last, sizeof last, "%s", semicolon != NULL ? semicolon : "");
        (void)sp_error_set(
            err, last[0] != '\0' ? SP_ERR_START_FAILED : SP_ERR_NOT_READY,
            "%u of %u workers ready after %s%s", count.ready, count.wanted,
            format_duration(waited_ms, time, sizeof time), last);
    }
    talk_hold(0, err->worker_stderr != NULL || err->remote_trace != NULL);
    int code = report(err);
    sp_error_clear(err);
    return code;
}

int pit_wait(struct opened *opened)
{
    enum {
        SLICE_MS = 200, /* how soon an interrupt and the progress line show */
        DEATHS_MAX = 3  /* after so many starts that failed, and none that did not,
                           another one is not worth a person's time */
    };
    uint64_t limit = 0;
    for (size_t i = 0; i < opened->options.pools_count; i++) {
        uint64_t timeout = opened->options.pools[i].startup_timeout_ms;
        limit = timeout > limit ? timeout : limit;
    }
    uint64_t begun = clock_ms();
    for (;;) {
        sp_error err = {0};
        uint64_t waited = clock_ms() - begun;
        uint64_t left = limit > waited ? limit - waited : 1;
        int rc =
            sp_pit_await_ready(opened->pit, left < SLICE_MS ? left : SLICE_MS, &err);
        if (rc == 0) {
            talk_hold(0, 0);
            return CODE_OK;
        }
        if (watch_interrupted()) {
            sp_error_clear(&err);
            return CODE_INTERRUPTED;
        }
        struct count count = count_workers(opened);
        waited = clock_ms() - begun;
        if (rc != SP_ERR_NOT_READY || waited >= limit ||
            (talk_deaths() >= DEATHS_MAX && count.ready == 0)) {
            return give_up(opened, waited, &err);
        }
        sp_error_clear(&err);
        progress("starting: %u of %u workers ready", count.ready, count.wanted);
    }
}

void pit_close(struct opened *opened)
{
    talk_hold(0, 0);
    watch_stop();
    timeline_end(opened);
    sp_pit_close(opened->pit);
    shell_tools_end();
    sp_config_free(opened->config);
    *opened = (struct opened){0};
}
