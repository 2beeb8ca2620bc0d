/* SPDX-License-Identifier: MIT */
/* Events that workers tell of themselves, each of which is made to happen. */
#include <stdio.h>

#include "sightings.h"

#define EVENTS_FILE "workers"

/* Whose calls are all in a trace, and which looks at itself often. */
static sp_pit *pit_of_eventful(void)
{
    static char adapter[512];
    static const char *env[3];
    const char *const *given = env_for_python();
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(adapter, sizeof adapter, "%s", path_of_python("eventful.py"));
    pool.adapter = adapter;
    env[0] = "SNAKEPIT_WORKER_SAMPLE_S=0.1";
    env[1] = given != NULL ? given[0] : NULL;
    pool.env_set = env;
    sp_pit_options options = {
        .pools = &pool, .pools_count = 1, .trace_sample_permille = 1000};
    return sights_open(&options);
}

static sp_call_options in_session(void)
{
    return (sp_call_options){.size = sizeof(sp_call_options), .session = "s"};
}

static void a_tool_is_run(void)
{
    sp_call_options in = in_session();
    (void)call(pit_of_eventful(), "work", "{}", &in);
}

static void a_tool_fails(void)
{
    sp_call_options in = in_session();
    (void)call_fails(pit_of_eventful(), "fail", "{\"about\":\"other\"}", &in,
                     SP_ERR_REMOTE);
}

static void a_worker_looks_at_itself(void)
{
    sp_pit *pit = pit_of_eventful();
    (void)call(pit, "collect", "{}", NULL);
}

static void a_worker_reports_its_own(void)
{
    sp_call_options in = in_session();
    (void)call(pit_of_eventful(), "report", "{}", &in);
}

static void arrays_do_not_fit(void)
{
    static const char *const about[] = {"shape", "dimension", "dtype", "device",
                                        "memory"};
    sp_call_options in = in_session();
    sp_pit *pit = pit_of_eventful();
    for (size_t i = 0; i < COUNT_OF(about); i++) {
        char args[64];
        (void)snprintf(args, sizeof args, "{\"about\":\"%s\"}", about[i]);
        (void)call_fails(pit, "fail", args, &in, SP_ERR_REMOTE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(a_tool_is_run),
        SCENARIO(a_tool_fails),
        SCENARIO(a_worker_looks_at_itself),
        SCENARIO(a_worker_reports_its_own),
        SCENARIO(arrays_do_not_fit),
        ALL_CLAIMS,
    };
    return RUN_SYSTEM_TESTS("events_workers", tests);
}
