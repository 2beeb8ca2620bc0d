/* SPDX-License-Identifier: MIT */
/* Handlers of events, with real workers. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

static atomic_uint heard[256]; /* by kind */

static void note(const sp_event *event, void *user_data)
{
    atomic_fetch_add(&heard[event->kind], 1);
}

static double number_of(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->measurements_count; i++) {
        if (strcmp(event->measurements[i].name, name) == 0) {
            return event->measurements[i].value;
        }
    }
    return -1;
}

static const char *text_of(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->metadata_count; i++) {
        if (strcmp(event->metadata[i].name, name) == 0) {
            return event->metadata[i].text;
        }
    }
    return "";
}

static void check_ready(const sp_event *event, void *user_data)
{
    int fits = event->kind == SP_EVENT_WORKER_READY &&
               strcmp(event->name, "worker.ready") == 0 &&
               number_of(event, "duration_ms") >= 0 &&
               number_of(event, "worker_count") >= 1 &&
               strcmp(text_of(event, "pool"), "default") == 0 &&
               strtol(text_of(event, "pid"), NULL, 10) == event->pid &&
               event->pid > 0 && strcmp(text_of(event, "mode"), "executed") == 0;
    atomic_fetch_add((atomic_uint *)user_data, fits ? 1 : 1000);
}

static void a_handler_hears_what_it_asked_for(void **state)
{
    atomic_uint ready = 0;
    uint64_t id = 0;
    uint64_t other = 0;
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    memset(heard, 0, sizeof heard);
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(sp_events_attach(pit, "snakepit.worker.initialized", check_ready,
                                      &ready, &id, last_error()),
                     SP_OK);
    assert_int_equal(sp_events_attach(pit, "worker.", note, NULL, &other, last_error()),
                     SP_OK);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), SP_OK);
    UNTIL(ready == 1);
    UNTIL(heard[SP_EVENT_WORKER_RECYCLED] == 1);
    assert_int_equal(sp_events_detach(pit, id, last_error()), SP_OK);
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), SP_OK);
    UNTIL(heard[SP_EVENT_WORKER_RECYCLED] == 2);
    assert_int_equal(ready, 1);
    sp_events_stats stats = {.size = sizeof stats};
    assert_int_equal(sp_events_stats_get(pit, other, &stats, last_error()), SP_OK);
    assert_true(stats.delivered > 0);
    assert_int_equal(stats.dropped, 0);
    pit_close(pit);
}

static void what_cannot_be_attached_is_told(void **state)
{
    uint64_t id;
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit *pit = pit_open(&pool, 1);
    assert_int_equal(
        sp_events_attach(pit, "worker.dead", note, NULL, &id, last_error()),
        SP_ERR_INVAL);
    assert_has(last_error()->message, "worker.died");
    assert_int_equal(sp_events_attach(pit, "", NULL, NULL, &id, last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(sp_events_attach(NULL, "", note, NULL, &id, last_error()),
                     SP_ERR_INVAL);
    assert_int_equal(sp_events_detach(pit, 12345, last_error()), SP_ERR_NOT_FOUND);
    sp_events_stats stats = {0};
    assert_int_equal(sp_events_stats_get(pit, 0, &stats, last_error()), SP_ERR_INVAL);
    pit_close(pit);
}

static void check_executed(const sp_event *event, void *user_data)
{
    int well = strcmp(text_of(event, "success"), "true") == 0;
    int fits = number_of(event, "duration_us") > 0 &&
               strcmp(text_of(event, "command"), well ? "echo" : "fail") == 0 &&
               strcmp(text_of(event, "result"), well ? "ok" : "SP-REMOTE") == 0 &&
               event->pid > 0;
    atomic_fetch_add((atomic_uint *)user_data, fits ? 1 : 1000);
}

/* What each call tells, in its order, while somebody wants to hear it. */
static void a_call_is_heard(void **state)
{
    atomic_uint executed = 0;
    uint64_t id;
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    memset(heard, 0, sizeof heard);
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(
        sp_events_attach(pit, "request.executed", check_executed, &executed, &id, NULL),
        SP_OK);
    assert_int_equal(sp_events_attach(pit, "", note, NULL, &id, NULL), SP_OK);
    for (int i = 0; i < 10; i++) {
        sp_result result = {0};
        assert_int_equal(
            sp_execute(pit, "echo", sp_text("{}"), NULL, &result, last_error()), SP_OK);
        sp_result_clear(&result);
    }
    sp_result none = {0};
    assert_int_equal(sp_execute(pit, "fail", sp_text("{}"), NULL, &none, last_error()),
                     SP_ERR_REMOTE);
    /* Each handler has a thread of its own. */
    UNTIL(atomic_load(&executed) == 11 || atomic_load(&executed) >= 1000);
    assert_int_equal(atomic_load(&executed), 11);
    UNTIL(heard[SP_EVENT_REQUEST_EXECUTED] == 11);
    assert_int_equal(heard[SP_EVENT_EXECUTE_STOP], 10);
    assert_int_equal(heard[SP_EVENT_EXECUTE_EXCEPTION], 1);
    assert_int_equal(heard[SP_EVENT_BREAKER_SUCCESS], 10);
    assert_int_equal(heard[SP_EVENT_CALL_DISPATCHED], 11);
    assert_int_equal(heard[SP_EVENT_EXECUTE_START], 11);
    assert_int_equal(heard[SP_EVENT_BREAKER_ALLOWED], 11);
    pit_close(pit);
    assert_int_equal(heard[SP_EVENT_CLEANUP_SUCCESS], 1);
    assert_int_equal(heard[SP_EVENT_HEARTBEAT_STOPPED], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handler_hears_what_it_asked_for),
        TEST(what_cannot_be_attached_is_told),
        TEST(a_call_is_heard),
    };
    return RUN_SYSTEM_TESTS("events", tests);
}
