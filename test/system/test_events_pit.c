/* SPDX-License-Identifier: MIT */
/*
 * Events of a pit as a whole, each of which is made to happen: its guard, its end, what it
 * finds of others, who listens and who asks.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caller.h"
#include "processes.h"
#include "sightings.h"

#define EVENTS_FILE "pit"

static sp_pit *pit_of_eventful(void)
{
    sp_pool_options pool = pool_of_eventful(NULL);
    return sights_open_ready(&pool);
}

/* ---- the guard ---- */

/* Below the level of control groups, what has a session of its own outlives its guard; it
 * bears the mark of the instance. */
static void a_guard_is_killed(void)
{
    sp_safety safety;
    sp_pool_options pool = pool_of_eventful(NULL);
    sp_pit_options options = {.instance = "eventful",
                              .runtime_dir = leak_path("run"),
                              .pools = &pool,
                              .pools_count = 1,
                              .guard_level = SP_SAFETY_SUBREAPER};
    sp_pit *pit = sights_open(&options);
    long long pid = strtoll(call(pit, "leave", "{}", NULL)->json, NULL, 10);
    int left = processes_watch((pid_t)pid);
    assert_int_equal(sp_pit_safety(pit, &safety, last_error()), 0);
    assert_int_equal(kill(safety.guard_pid, SIGKILL), 0);
    sights_await(SP_EVENT_GUARD_READY, 1);
    sights_await(SP_EVENT_CONNECTION_LOST, 1);   /* of its worker, */
    sights_await(SP_EVENT_HEARTBEAT_STOPPED, 1); /* in whatever order it is heard of */
    assert_int_equal(processes_ended(left, patience_ms(10000)), 1);
    (void)close(left);
    assert_int_equal((unsigned)sights_number(SP_EVENT_CLEANUP_ORPHANS, "count"),
                     sights_of(SP_EVENT_ORPHAN_KILLED));
}

/* ---- the end ---- */

static void a_pit_is_closed(void)
{
    pit_close(pit_of_eventful());
}

static void a_pit_is_shut_down(void)
{
    sp_pit *pit = pit_of_eventful();
    pit_release(pit);
    assert_int_equal(sp_pit_shutdown(pit, SP_UNLIMITED, last_error()), 0);
}

/* Two calls have not ended: one in a worker that cannot be asked to, and one behind it. */
static void a_worker_outlasts_the_shutdown(void)
{
    char args[400];
    sp_pool_options pool = pool_of_eventful(NULL);
    pool.shutdown_grace_ms = 60000;
    pool.cancel_grace_ms = SP_UNLIMITED;
    sp_pit *pit = sights_open_ready(&pool);
    (void)call_start(pit, "stay", hold_args("h", args, sizeof args), NULL);
    hold_await("h");
    (void)call_start(pit, "echo", "{}", NULL);
    pit_release(pit);
    assert_int_equal(sp_pit_shutdown(pit, 100, last_error()), SP_ERR_TIMEOUT);
    assert_int_equal((int)sights_number(SP_EVENT_SHUTDOWN_STOP, "count"), 2);
}

/* ---- who listens, and who asks ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static int may_go_on;

static void wait_until_released(const sp_event *event, void *user_data)
{
    (void)pthread_mutex_lock(&lock);
    while (!may_go_on) {
        (void)pthread_cond_wait(&more, &lock);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void release(int let)
{
    (void)pthread_mutex_lock(&lock);
    may_go_on = let;
    (void)pthread_cond_broadcast(&more);
    (void)pthread_mutex_unlock(&lock);
}

static void release_all(void)
{
    release(1);
}

static void a_handler_is_slow(void)
{
    uint64_t id;
    sp_events_stats stats = {.size = sizeof stats};
    sp_pit *pit = pit_of_eventful();
    release(0);
    leak_at_end(release_all);
    assert_int_equal(sp_events_attach(pit, "call.dispatched", wait_until_released, NULL,
                                      &id, last_error()),
                     0);
    while (stats.dropped == 0) {
        (void)call(pit, "echo", "{}", NULL);
        assert_int_equal(sp_events_stats_get(pit, id, &stats, last_error()), 0);
    }
    release(1);
}

static void a_peer_is_of_an_old_version(void)
{
    char address[512];
    const char *path = leak_path("serve/pit.sock");
    (void)snprintf(address, sizeof address, "unix:%s", path);
    assert_int_equal(sp_pit_listen(pit_of_eventful(), address, NULL, last_error()), 0);
    (void)caller_once(
        path, &(struct wish){.path = "/snakepit.bridge.BridgeService/ExecuteElixirTool",
                             .tool = "echo"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(a_guard_is_killed),
        SCENARIO(a_pit_is_closed),
        SCENARIO(a_pit_is_shut_down),
        SCENARIO(a_worker_outlasts_the_shutdown),
        SCENARIO(a_handler_is_slow),
        SCENARIO(a_peer_is_of_an_old_version),
        ALL_CLAIMS,
    };
    return RUN_SYSTEM_TESTS("events_pit", tests);
}
