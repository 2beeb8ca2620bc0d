/* SPDX-License-Identifier: MIT */
/*
 * Hybrid pools: one pit, a pool for each kind of work.
 *
 * "api" has processes, for calls that come often and must not disturb each other;
 * "compute" has one process with threads that share what is loaded. Each has its own
 * queue, limits and recycling, and what fills one does not hold up the other. A call
 * names its pool; one that names none goes to the first that has the tool.
 */
#include <snakepit/snakepit.h>
#include <stdio.h>

static const char pools[] =
    "pools:\n"
    "  - name: api\n"
    "    size: 2\n"
    "    recycle: { after: 2h }\n"
    "  - name: compute\n"
    "    adapter: snakepit_bridge.adapters.threaded_showcase.ThreadedShowcaseAdapter\n"
    "    profile: thread\n"
    "    size: 1\n"
    "    threads: 4\n"
    "    recycle: { after: 1h, calls: 1000 }\n";

static int call(sp_pit *pit, const char *pool, const char *tool, const char *args,
                sp_error *err)
{
    sp_call_options options = {.size = sizeof options, .pool = pool};
    sp_result result = {0};
    int rc = sp_execute(pit, tool, sp_text(args), &options, &result, err);
    if (rc == 0) {
        printf("%s in %s: %s\n", tool, pool != NULL ? pool : "any pool", result.json);
    }
    sp_result_clear(&result);
    return rc;
}

static int show(sp_pit *pit, const char *pool, sp_error *err)
{
    sp_pool_stats stats;
    int rc = sp_pool_stats_get(pit, pool, &stats, err);
    if (rc == 0) {
        printf("%s: %u workers, room for %u calls at once, %llu done\n", stats.name,
               stats.workers, stats.capacity, (unsigned long long)stats.succeeded);
    }
    return rc;
}

int main(void)
{
    sp_pit *pit = NULL;
    sp_error err = {0};
    int rc = sp_pit_open_string(pools, &pit, &err);
    if (rc == 0) {
        rc = sp_pit_await_ready(pit, 0, &err);
    }
    if (rc == 0) {
        rc = call(pit, "api", "add", "{\"a\": 5, \"b\": 3}", &err);
    }
    if (rc == 0) {
        rc = call(pit, NULL, "compute_intensive", "{\"data\": [1, 2, 3]}", &err);
    }
    for (size_t i = 0; rc == 0 && sp_pool_name_at(pit, i) != NULL; i++) {
        rc = show(pit, sp_pool_name_at(pit, i), &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", sp_error_name(rc), err.message);
    }
    sp_error_clear(&err);
    sp_pit_close(pit);
    return rc == 0 ? 0 : 1;
}
