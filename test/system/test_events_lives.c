/* SPDX-License-Identifier: MIT */
/*
 * Events of workers' lives and of their pools, each of which is made to happen: a start,
 * a replacement, every way to end, signs of life that fail, a pool that gives up.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "sightings.h"

#define EVENTS_FILE "lives"

/* A pool whose program is whatever a link says at the time. */
static sp_pool_options pool_of_link(const char *program)
{
    static const char *command[2];
    sp_pool_options pool = pool_of_eventful(NULL);
    command[0] = leak_path("worker");
    assert_int_equal(symlink(path_of_program(program), command[0]), 0);
    pool.command = command;
    return pool;
}

static void turn_link(const char *program)
{
    const char *fresh = leak_path("fresh");
    assert_int_equal(symlink(path_of_program(program), fresh), 0);
    assert_int_equal(rename(fresh, leak_path("worker")), 0);
}

/* ---- starts ---- */

/* A pit whose workers do nothing before there is a handler. */
static sp_pit *sights_open_first(sp_pool_options *pool)
{
    const char *command[] = {path_of_program("eventful"), leak_path("begin"), NULL};
    pool->command = command;
    sp_pit_options options = {.pools = pool, .pools_count = 1};
    sp_pit *pit = sights_open(&options);
    file_write(command[1], "");
    return pit;
}

static void a_pool_starts(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_first(&pool);
    sights_await(SP_EVENT_POOL_READY, 1);
    sights_recall(pit); /* of its very beginning */
}

static void a_worker_is_replaced(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
}

/* As one, though each loop has one of its workers. */
static void a_pool_is_looked_at(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    pool.workers = 3;
    sp_pit_options options = {
        .pools = &pool, .pools_count = 1, .sample_interval_ms = 10, .loops = 3};
    sp_pit *pit = sights_open(&options);
    UNTIL(sights_number(SP_EVENT_POOL_STATUS, "available_workers") == 3);
    (void)call(pit, "echo", "{}", NULL);
    (void)call(pit, "echo", "{}", NULL);
    UNTIL(sights_number(SP_EVENT_POOL_STATUS, "requests") == 2);
    assert_int_equal((int)sights_number(SP_EVENT_POOL_STATUS, "total_workers"), 3);
}

/* Its program cannot be a zygote. */
static void a_pool_has_trouble(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    pool.zygote = SP_ZYGOTE_AUTO;
    (void)sights_open_first(&pool);
}

static void a_worker_does_not_start(void)
{
    sp_pool_options pool = pool_of_program("exits", NULL, 1);
    sp_pit_options options = {.pools = &pool, .pools_count = 1};
    (void)sights_open(&options);
}

/* ---- ends ---- */

static void a_worker_ends_itself(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    pool.suspect_ms = 10;
    sp_pit *pit = sights_open_ready(&pool);
    (void)call_fails(pit, "exit", "{\"code\":7}", NULL, SP_ERR_WORKER_DIED);
}

static void a_worker_prints_in_a_call(void)
{
    char args[400];
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_call_options in = {.size = sizeof in, .session = "s"};
    sp_pit *pit = sights_open_ready(&pool);
    sp_id id = call_start(pit, "print", hold_args("p", args, sizeof args), &in);
    sights_await(SP_EVENT_WORKER_OUTPUT, 1);
    hold_release("p");
    (void)call_wait(pit, id);
}

static void a_worker_hangs_up(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit *pit = sights_open_ready(&pool);
    (void)call_fails(pit, "hang_up", "{}", NULL, SP_ERR_WORKER_DIED);
}

static void a_worker_stands_still(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    pool.health_interval_ms = patience_ms(100);
    pool.hang_grace_ms = 100;
    sp_pit *pit = sights_open_ready(&pool);
    sights_await(SP_EVENT_HEARTBEAT_PONG, 1);
    (void)call_fails(pit, "freeze", "{}", NULL, SP_ERR_WORKER_DIED);
}

/* ---- replacements that fail ---- */

static void a_relief_does_not_start(void)
{
    sp_pool_options pool = pool_of_link("eventful");
    sp_pit *pit = sights_open_ready(&pool);
    turn_link("exits");
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), 0);
}

static void a_worker_is_too_big_at_once(void)
{
    sp_pool_options pool = pool_of_eventful("big");
    pool.recycle_memory_bytes = 1 << 20;
    sp_pit_options options = {
        .pools = &pool, .pools_count = 1, .sample_interval_ms = 10};
    (void)sights_open(&options);
}

/* ---- the breaker ---- */

static void a_pool_gives_up_and_tries_again(void)
{
    sp_pool_options pool = pool_of_link("eventful");
    sp_call_options in = {.size = sizeof in, .session = "s"};
    pool.crashes_max = 2;
    pool.steady_ms = 50;
    pool.probe_interval_ms = 100;
    sp_pit *pit = sights_open_ready(&pool);
    turn_link("exits");
    (void)call_fails(pit, "exit", "{\"code\":7}", NULL, SP_ERR_WORKER_DIED);
    sights_await(SP_EVENT_BREAKER_OPENED, 1);
    (void)call_fails(pit, "echo", "{}", &in, SP_ERR_BREAKER_OPEN);
    turn_link("eventful");
    sights_await(SP_EVENT_BREAKER_CLOSED, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(a_pool_starts),
        SCENARIO(a_worker_is_replaced),
        SCENARIO(a_pool_is_looked_at),
        SCENARIO(a_pool_has_trouble),
        SCENARIO(a_worker_does_not_start),
        SCENARIO(a_worker_ends_itself),
        SCENARIO(a_worker_prints_in_a_call),
        SCENARIO(a_worker_hangs_up),
        SCENARIO(a_worker_stands_still),
        SCENARIO(a_relief_does_not_start),
        SCENARIO(a_worker_is_too_big_at_once),
        SCENARIO(a_pool_gives_up_and_tries_again),
        ALL_CLAIMS,
    };
    return RUN_SYSTEM_TESTS("events_lives", tests);
}
