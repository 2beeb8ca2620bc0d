/* SPDX-License-Identifier: MIT */
/*
 * Events of calls, each of which is made to happen: that they wait, go to a worker, stream,
 * end, are repeated, are refused, and that large values take a way of their own.
 */
#include <stdio.h>

#include "sightings.h"

#define EVENTS_FILE "calls"

enum { SHARED_MIN = 64 * 1024, SHARED_MAX = 1 << 20 };

static double numbers[2 * SHARED_MAX / sizeof(double)];

/* Whose calls are recorded, all of them. */
static sp_pit *pit_of_traced(uint64_t slow_call_ms)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit_options options = {.pools = &pool,
                              .pools_count = 1,
                              .slow_call_ms = slow_call_ms,
                              .trace_sample_permille = 1000};
    return sights_open(&options);
}

static sp_call_options in_session(void)
{
    return (sp_call_options){
        .size = sizeof(sp_call_options), .session = "s", .request_id = "r-1"};
}

/* ---- one call ---- */

static void a_call_is_made(void)
{
    sp_call_options named = {.size = sizeof named, .request_id = "r-1"};
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    (void)call(pit, "echo", "{}", &named);
    named.request_id = "r-2";
    (void)call_fails(pit, "fail", "{}", &named, SP_ERR_REMOTE);
}

static void a_call_of_a_session_is_made(void)
{
    sp_call_options in = in_session();
    sp_pit *pit = pit_of_traced(0);
    (void)call(pit, "echo", "{}", &in);
    in.request_id = "r-2";
    (void)call_fails(pit, "fail", "{}", &in, SP_ERR_REMOTE);
}

static void a_call_is_slow(void)
{
    sp_call_options in = in_session();
    (void)call(pit_of_traced(1), "nap", "{\"ms\":5}", &in);
}

static int go_on(const sp_chunk *chunk, void *user_data)
{
    return 0;
}

static void a_call_streams(void)
{
    sp_call_options in = in_session();
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    assert_int_equal(sp_execute_stream(pit, "count", sp_text("{\"count\":3}"), &in,
                                       go_on, NULL, last_error()),
                     0);
}

/* ---- the queue ---- */

static void a_call_waits_its_turn(void)
{
    sp_call_options in = in_session();
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    sp_id held = hold_start(pit, "h", NULL);
    sp_id id = call_start(pit, "echo", "{}", &in);
    sights_await(SP_EVENT_QUEUE_ENQUEUED, 1);
    hold_release("h");
    (void)call_wait(pit, held);
    (void)call_wait(pit, id);
}

static void a_call_waits_in_vain(void)
{
    sp_call_options in = in_session();
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    sp_id held = hold_start(pit, "h", NULL);
    in.queue_timeout_ms = 20;
    (void)call_fails(pit, "echo", "{}", &in, SP_ERR_QUEUE_TIMEOUT);
    hold_release("h");
    (void)call_wait(pit, held);
}

static void a_queue_is_full(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    pool.queue_max = 1;
    sp_pit *pit = sights_open_ready(&pool);
    sp_id held = hold_start(pit, "h", NULL);
    sp_id waiting = call_start(pit, "echo", "{}", NULL);
    (void)call_fails(pit, "echo", "{}", NULL, SP_ERR_QUEUE_FULL);
    hold_release("h");
    (void)call_wait(pit, held);
    (void)call_wait(pit, waiting);
}

static void a_worker_is_full(void)
{
    sp_id calls[4];
    sp_pool_options pool = pool_of_eventful("wide");
    pool.profile = SP_PROFILE_THREAD;
    pool.threads = COUNT_OF(calls);
    sp_pit *pit = sights_open_ready(&pool);
    calls[0] = hold_start(pit, "h", NULL);
    for (size_t i = 1; i < COUNT_OF(calls); i++) {
        calls[i] = call_start(pit, "echo", "{}", NULL);
    }
    sights_await(SP_EVENT_CAPACITY_REACHED, 1);
    hold_release("h");
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        (void)call_wait(pit, calls[i]);
    }
}

/* ---- once more ---- */

static void a_call_outlives_its_worker(void)
{
    char args[400];
    sp_call_options in = in_session();
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    in.flags = SP_CALL_IDEMPOTENT;
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("once"));
    assert_int_equal(call(pit, "end_once", args, &in)->attempts, 2);
}

static void a_call_ends_all_its_workers(void)
{
    sp_call_options in = in_session();
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    in.flags = SP_CALL_IDEMPOTENT;
    (void)call_fails(pit, "exit", "{\"code\":6}", &in, SP_ERR_POISON);
}

/* With its first one dead, a call that comes later goes elsewhere. */
static void a_session_loses_its_worker(void)
{
    sp_call_options in = in_session();
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    (void)call(pit, "echo", "{}", &in);
    in.request_id = "r-2";
    (void)call_fails(pit, "exit", "{\"code\":6}", &in, SP_ERR_WORKER_DIED);
    in.request_id = "r-3";
    (void)call(pit, "echo", "{}", &in);
}

/* ---- large values ---- */

static void large_values_are_shared(void)
{
    static char adapter[512];
    sp_pool_options pool = pool_of_probes(1);
    sp_tensor small = {.dtype = SP_DTYPE_F64,
                       .dims = 1,
                       .shape = {SHARED_MIN / sizeof numbers[0]},
                       .data = numbers,
                       .bytes = SHARED_MIN};
    sp_tensor large = {.dtype = SP_DTYPE_F64,
                       .dims = 1,
                       .shape = {COUNT_OF(numbers)},
                       .data = numbers,
                       .bytes = sizeof numbers};
    sp_binary binary = {.name = "x", .tensor = &small};
    sp_call_options in = in_session();
    (void)snprintf(adapter, sizeof adapter, "%s", path_of_python("arrays.py"));
    pool.adapter = adapter;
    pool.shared_min_bytes = SHARED_MIN;
    pool.shared_max_bytes = SHARED_MAX;
    sp_pit *pit = sights_open_ready(&pool);
    in.binaries = &binary;
    in.binaries_count = 1;
    (void)call(pit, "give_back", "", &in);
    binary.tensor = &large; /* the memory has no room for it */
    in.request_id = "r-2";
    (void)call(pit, "give_back", "", &in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(a_call_is_made),
        SCENARIO(a_call_of_a_session_is_made),
        SCENARIO(a_call_is_slow),
        SCENARIO(a_call_streams),
        SCENARIO(a_call_waits_its_turn),
        SCENARIO(a_call_waits_in_vain),
        SCENARIO(a_queue_is_full),
        SCENARIO(a_worker_is_full),
        SCENARIO(a_call_outlives_its_worker),
        SCENARIO(a_call_ends_all_its_workers),
        SCENARIO(a_session_loses_its_worker),
        SCENARIO(large_values_are_shared),
        ALL_CLAIMS,
    };
    return RUN_SYSTEM_TESTS("events_calls", tests);
}
