/* SPDX-License-Identifier: MIT */
/*
 * status: how the pools are, those of the daemon that runs or, without one, of a pit that
 * is started to be looked at; so this is also the quickest way to see that a
 * configuration works. The exit code is that of the pools' state together.
 */
#include <string.h>

#include "fields.h"
#include "view.h"

/* --- Tables --------------------------------------------------------------------------- */

static void print_pools(const json_t *pools)
{
    static const char *const headings[] = {"POOL",   "STATE",    "WORKERS", "READY",
                                           "BUSY",   "STARTING", "BACKOFF", "CAPACITY",
                                           "QUEUE",  "PEAK",     "LIMIT",   "CALLS",
                                           "ERRORS", "PROFILE",  "ADAPTER", NULL};
    static const char *const numbers[] = {
        "workers", "available",   "busy",      "starting", "backoff", "capacity",
        "queued",  "queued_peak", "queue_max", "requests", "errors"};
    struct table *table = table_new(headings);
    const json_t *pool;
    size_t i;
    json_array_foreach (pools, i, pool) {
        words_cell(table, pool, "name");
        words_cell(table, pool, "state");
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
            number_cell(table, pool, numbers[n]);
        }
        words_cell(table, pool, "profile");
        words_cell(table, pool, "adapter");
    }
    table_print(table, "");
    table_free(table);
}

/* A line for each pool that wants one. */
static void print_zygotes(const json_t *pools)
{
    const json_t *pool;
    size_t i;
    json_array_foreach (pools, i, pool) {
        const json_t *zygote = json_object_get(pool, "zygote");
        if (strcmp(field_words(zygote, "mode"), "off") != 0) {
            (void)printf("zygote of %s: %s, pid %lld, %lld workers forked\n",
                         field_words(pool, "name"), field_words(zygote, "state"),
                         field_number(zygote, "pid"), field_number(zygote, "forked"));
        }
    }
}

static void worker_row(struct table *table, const json_t *pool, const json_t *worker)
{
    char size[32];
    table_cell(table, "%s/%lld", field_words(pool, "name"),
               field_number(worker, "slot"));
    words_cell(table, worker, "state");
    number_cell(table, worker, "pid");
    number_cell(table, worker, "calls_total");
    number_cell(table, worker, "in_flight");
    number_cell(table, worker, "capacity");
    duration_cell(table, worker, "ready_ms");
    duration_cell(table, worker, "age_ms");
    table_cell(
        table, "%s",
        format_bytes((uint64_t)field_number(worker, "tree_bytes"), size, sizeof size));
    number_cell(table, worker, "restarts");
    words_cell(table, worker, "runtime");
}

static void print_workers(const json_t *pools)
{
    static const char *const headings[] = {"WORKER",  "STATE",    "PID",      "CALLS",
                                           "RUNNING", "OF",       "READY IN", "AGE",
                                           "MEMORY",  "RESTARTS", "RUNTIME",  NULL};
    struct table *table = table_new(headings);
    const json_t *pool;
    const json_t *worker;
    size_t i;
    size_t k;
    json_array_foreach (pools, i, pool) {
        json_array_foreach (json_object_get(pool, "worker_list"), k, worker) {
            worker_row(table, pool, worker);
        }
    }
    (void)puts("");
    table_print(table, "");
    table_free(table);
}

static void death_row(struct table *table, const json_t *pool, const json_t *death)
{
    size_t running = json_array_size(json_object_get(death, "calls"));
    table_cell(table, "%s/%lld", field_words(pool, "name"),
               field_number(death, "slot"));
    number_cell(table, death, "pid");
    words_cell(table, death, "why");
    number_cell(table, death, "exit_status");
    number_cell(table, death, "signal");
    duration_cell(table, death, "age_ms");
    number_cell(table, death, "calls_total");
    table_cell(table, "%lld", (long long)running + field_number(death, "calls_more"));
    words_cell(table, death, "message");
}

static void print_deaths(const json_t *pools)
{
    static const char *const headings[] = {"WORKER", "PID", "WHY",   "EXIT",
                                           "SIGNAL", "AGE", "CALLS", "RUNNING",
                                           "CAUSE",  NULL};
    struct table *table = table_new(headings);
    const json_t *pool;
    const json_t *death;
    size_t i;
    size_t k;
    json_array_foreach (pools, i, pool) {
        json_array_foreach (json_object_get(pool, "deaths"), k, death) {
            death_row(table, pool, death);
        }
    }
    (void)puts("");
    table_print(table, "");
    table_free(table);
}

static void print_sessions(const json_t *sessions)
{
    long long max = field_number(sessions, "max");
    (void)printf("sessions: %lld", field_number(sessions, "count"));
    if (max >= 0) { /* else SP_UNLIMITED */
        (void)printf(" of at most %lld", max);
    }
    (void)printf(", durability %s, store %s\n", field_words(sessions, "durability"),
                 field_words(sessions, "store"));
}

/* --- The command ---------------------------------------------------------------------- */

static void print_tables(const struct cli *cli, const json_t *status)
{
    const json_t *pools = json_object_get(status, "pools");
    print_pools(pools);
    if (cli->show_workers || cli->output == OUTPUT_WIDE) {
        print_workers(pools);
    }
    if (cli->show_deaths) {
        print_deaths(pools);
    }
    (void)printf("\norphan-safety: %s\n", field_words(status, "orphan_safety"));
    print_zygotes(pools);
    print_sessions(json_object_get(status, "sessions"));
}

static int code_of(const json_t *status)
{
    const char *state = field_words(status, "state");
    return strcmp(state, "running") == 0    ? CODE_OK
           : strcmp(state, "degraded") == 0 ? CODE_FINDING
                                            : CODE_USAGE;
}

/* Of a daemon the pool of -p alone; a pit of our own has no other. */
static void keep_pool(json_t *status, const char *name)
{
    json_t *pools = json_object_get(status, "pools");
    for (size_t i = json_array_size(pools); i > 0; i--) {
        if (strcmp(field_words(json_array_get(pools, i - 1), "name"), name) != 0) {
            (void)json_array_remove(pools, i - 1);
        }
    }
}

static int show(const struct cli *cli, struct view *view)
{
    int code;
    json_t *status = view_report(view, "status", NULL, &code);
    if (status == NULL) {
        return code;
    }
    if (view->own.instance != NULL) {
        json_object_set_new(status, "instance", json_string(view->own.instance));
    }
    if (cli->pool != NULL) {
        keep_pool(status, cli->pool);
    }
    code = code_of(status);
    if (cli->pool != NULL && json_array_size(json_object_get(status, "pools")) == 0) {
        code = complain(CODE_NOT_FOUND, "the daemon has no pool \"%s\"", cli->pool);
    } else if (wants_json(cli)) {
        print_json(status);
    } else {
        print_tables(cli, status);
    }
    json_decref(status);
    return code;
}

int cmd_status(struct cli *cli)
{
    if (cli->words_count > 0) {
        return complain(CODE_USAGE, "status takes no \"%s\"; -p NAME chooses a pool",
                        cli->words[0]);
    }
    return view_do(cli, show);
}
