/* SPDX-License-Identifier: MIT */
/* Handlers of events, on threads of their own. */
#include "event/handler.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/latch.h"
#include "base/mem.h"
#include "leak.h"

static struct herald herald;
static atomic_uint seen;
static struct latch gate;

static void tell(int kind)
{
    sp__herald_tell(&herald, &(struct tidings){.event = {.kind = kind}});
}

static void count(const sp_event *event, void *user_data)
{
    atomic_fetch_add((atomic_uint *)user_data, 1);
}

static uint64_t attach(const char *pattern, sp_event_cb cb, void *user)
{
    uint64_t id = 0;
    sp_error err = {0};
    assert_int_equal(sp__handler_attach(&herald, pattern, cb, user, &id, &err), SP_OK);
    assert_true(id > 0);
    return id;
}

static void handlers_get_what_fits(void **state)
{
    atomic_uint some = 0;
    atomic_uint all = 0;
    sp__herald_init(&herald);
    uint64_t first = attach("worker.", count, &some);
    (void)attach("", count, &all);
    for (int i = 0; i < 1000; i++) {
        tell(SP_EVENT_WORKER_READY);
        tell(SP_EVENT_CALL_DISPATCHED);
    }
    UNTIL(some == 1000 && all == 2000);
    assert_int_equal(sp__handler_detach(&herald, first, NULL), SP_OK);
    tell(SP_EVENT_WORKER_READY);
    UNTIL(all == 2001);
    assert_int_equal(some, 1000);
    assert_int_equal(sp__handler_detach(&herald, first, NULL), SP_ERR_NOT_FOUND);
    sp__handlers_close(&herald);
    sp__herald_fini(&herald);
}

static void block(const sp_event *event, void *user_data)
{
    (void)sp__latch_wait(&gate, SP_UNLIMITED);
    atomic_fetch_add(&seen, 1);
}

/* One that does not come back loses events of its own and no other's, and holds nobody up:
 * all of them have been told before it is let go. */
static void a_slow_handler_loses_alone(void **state)
{
    enum { EVENTS = 30000 };
    atomic_uint others = 0;
    uint64_t delivered;
    uint64_t dropped;
    sp__herald_init(&herald);
    sp__latch_init(&gate);
    seen = 0;
    uint64_t slow = attach("worker.ready", block, NULL);
    uint64_t fast = attach("worker.ready", count, &others);
    for (int i = 1; i <= EVENTS; i++) {
        tell(SP_EVENT_WORKER_READY);
        if (i % 500 == 0) {
            UNTIL(others == (unsigned)i);
        }
    }
    assert_int_equal(seen, 0);
    sp__latch_open(&gate);
    UNTIL(sp__handler_stats(&herald, slow, &delivered, &dropped, NULL) == SP_OK &&
          delivered + dropped == EVENTS);
    assert_true(dropped > 0);
    assert_int_equal(sp__handler_stats(&herald, fast, &delivered, &dropped, NULL),
                     SP_OK);
    assert_int_equal(dropped, 0);
    assert_int_equal(sp__handler_stats(&herald, 0, &delivered, &dropped, NULL), SP_OK);
    assert_int_equal(delivered + dropped, 2 * EVENTS);
    assert_int_equal(sp__handler_stats(&herald, 99, &delivered, &dropped, NULL),
                     SP_ERR_NOT_FOUND);
    sp__handlers_close(&herald);
    sp__herald_fini(&herald);
}

static uint64_t own;
static atomic_uint inner;

/* Ends itself and attaches another one. */
static void replace(const sp_event *event, void *user_data)
{
    uint64_t id;
    if (sp__handler_attach(&herald, "warning", count, &inner, &id, NULL) == SP_OK &&
        sp__handler_detach(&herald, own, NULL) == SP_OK) {
        atomic_fetch_add(&seen, 1);
    }
}

static void a_handler_may_end_itself_and_attach_others(void **state)
{
    sp__herald_init(&herald);
    seen = 0;
    inner = 0;
    own = attach("pool.ready", replace, NULL);
    tell(SP_EVENT_POOL_READY);
    UNTIL(seen == 1);
    tell(SP_EVENT_POOL_READY);
    tell(SP_EVENT_WARNING);
    UNTIL(inner == 1);
    assert_int_equal(seen, 1);
    sp__handlers_close(&herald);
    sp__herald_fini(&herald);
}

static void the_end_gives_what_is_left(void **state)
{
    sp__herald_init(&herald);
    sp__latch_init(&gate);
    seen = 0;
    (void)attach("warning", block, NULL);
    for (int i = 0; i < 100; i++) {
        tell(SP_EVENT_WARNING);
    }
    sp__latch_open(&gate);
    sp__handlers_close(&herald);
    assert_int_equal(seen, 100);
    sp_error err = {0};
    uint64_t id;
    assert_int_equal(sp__handler_attach(&herald, "", block, NULL, &id, &err),
                     SP_ERR_CLOSED);
    sp__herald_fini(&herald);
}

static void *hammer(void *user)
{
    for (int i = 0; i < 2000; i++) {
        uint64_t id;
        tell(i % 2 ? SP_EVENT_WARNING : SP_EVENT_CALL_DISPATCHED);
        if (i % 50 == 0 &&
            sp__handler_attach(&herald, "", count, user, &id, NULL) == SP_OK) {
            (void)sp__handler_detach(&herald, id, NULL);
        }
    }
    return NULL;
}

/* For the sanitizers: everything at once. */
static void threads_tell_attach_and_detach(void **state)
{
    pthread_t threads[4];
    atomic_uint counted = 0;
    uint64_t delivered;
    uint64_t dropped;
    sp__herald_init(&herald);
    uint64_t id = attach("", count, &seen);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &counted), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    /* Losses are told too, so there may be more than were made. */
    UNTIL(sp__handler_stats(&herald, id, &delivered, &dropped, NULL) == SP_OK &&
          delivered + dropped >= 8000);
    sp__handlers_close(&herald);
    sp__herald_fini(&herald);
}

static void no_memory_is_told(void **state)
{
    sp_error err = {0};
    uint64_t id;
    sp__herald_init(&herald);
    for (uint64_t n = 1; n <= 3; n++) {
        sp__mem_fail_at(n, 0);
        assert_int_equal(sp__handler_attach(&herald, "", count, &seen, &id, &err),
                         SP_ERR_NOMEM);
        sp__mem_fail_at(0, 0);
    }
    assert_int_equal(sp__handler_attach(&herald, "no.such", count, &seen, &id, &err),
                     SP_ERR_INVAL);
    sp__handlers_close(&herald);
    sp__herald_fini(&herald);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(handlers_get_what_fits),
                                       TEST(a_slow_handler_loses_alone),
                                       TEST(a_handler_may_end_itself_and_attach_others),
                                       TEST(the_end_gives_what_is_left),
                                       TEST(threads_tell_attach_and_detach),
                                       TEST(no_memory_is_told)};
    return cmocka_run_group_tests_name("event_handler", tests, NULL, NULL);
}
