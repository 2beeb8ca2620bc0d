/* SPDX-License-Identifier: MIT */
/* The shared page: what has begun, and what must not begin any more. */
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "leak.h"
#include "processor.h"
#include "wire/page.h"

enum { IDS = 400000 };

static struct worker_page page;
static unsigned char begun[IDS];
static unsigned char given_up[IDS];

static void begin_again(void)
{
    memset(&page, 0, sizeof page);
    atomic_store(&page.heeds_revoked, 1);
}

static void a_call_given_up_in_time_is_not_begun(void **state)
{
    uint32_t place = 0;
    begin_again();
    assert_int_equal(sp__page_begin(&page, 1), 1);
    assert_int_equal(sp__page_revoke(&page, &place, 1), 0);
    assert_int_equal(sp__page_revoke(&page, &place, 3), 1);
    assert_int_equal(sp__page_begin(&page, 3), 0);
    assert_int_equal(sp__page_begin(&page, 5), 1);
}

static void a_worker_that_does_not_look_makes_it_uncertain(void **state)
{
    uint32_t place = 0;
    begin_again();
    atomic_store(&page.heeds_revoked, 0);
    assert_int_equal(sp__page_revoke(&page, &place, 3), 0);
}

static void without_a_place_it_is_uncertain(void **state)
{
    uint32_t place = 0;
    uint32_t id = 1;
    begin_again();
    for (int i = 0; i < WORKER_PAGE_REVOKED; i++, id += 2) {
        assert_int_equal(sp__page_revoke(&page, &place, id), 1);
    }
    assert_int_equal(sp__page_revoke(&page, &place, id), 0);
    assert_int_equal(sp__page_begin(&page, 1), 0);
    assert_int_equal(sp__page_begin(&page, id), 1); /* beyond all that were given up */
    assert_int_equal(sp__page_revoke(&page, &place, id + 2), 1);
}

static void it_is_known_where_the_host_writes(void **state)
{
    uint32_t here = processor_bind(pthread_self());
    begin_again();
    assert_int_equal(sp__page_host_is_here(&page), 0); /* it has not written yet */
    sp__page_put_host(&page);
    assert_int_equal(atomic_load(&page.host_cpu), here + 1);
    assert_int_equal(sp__page_host_is_here(&page), 1);
    atomic_store(&page.host_cpu, here + 2);
    assert_int_equal(sp__page_host_is_here(&page), 0);
}

static void *be_worker(void *arg)
{
    for (uint32_t id = 1; id < IDS; id++) {
        begun[id] = sp__page_begin(&page, id) != 0;
    }
    return arg;
}

/* A host that gives calls up just as the worker gets to them. Neither order may end in a
 * call that was both given up for certain and begun. */
static void nothing_is_both_given_up_and_begun(void **state)
{
    pthread_t worker;
    uint32_t place = 0;
    begin_again();
    memset(begun, 0, sizeof begun);
    memset(given_up, 0, sizeof given_up);
    assert_int_equal(pthread_create(&worker, NULL, be_worker, NULL), 0);
    for (uint32_t id = 0; id < IDS - 3;) {
        uint32_t started = atomic_load(&page.started);
        id = started + 1 + id % 3;
        if (id < IDS) {
            given_up[id] |= sp__page_revoke(&page, &place, id) != 0;
        }
    }
    (void)pthread_join(worker, NULL);
    for (uint32_t id = 1; id < IDS; id++) {
        assert_false(given_up[id] && begun[id]);
    }
}

static void a_time_is_found_by_its_call_alone(void **state)
{
    uint64_t us = 1;
    begin_again();
    assert_int_equal(sp__page_get_time(&page, 3, &us), 0);
    sp__page_put_time(&page, 3, 40);
    sp__page_put_time(&page, 5, UINT64_MAX);
    assert_int_equal(sp__page_get_time(&page, 3, &us), 1);
    assert_int_equal(us, 40);
    assert_int_equal(sp__page_get_time(&page, 5, &us), 1);
    assert_int_equal(us, UINT32_MAX);
    sp__page_put_time(&page, 3 + 2 * WORKER_PAGE_TIMES, 7); /* in the same place */
    assert_int_equal(sp__page_get_time(&page, 3, &us), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_given_up_in_time_is_not_begun),
        TEST(a_worker_that_does_not_look_makes_it_uncertain),
        TEST(without_a_place_it_is_uncertain),
        TEST(nothing_is_both_given_up_and_begun),
        TEST(a_time_is_found_by_its_call_alone),
        TEST(it_is_known_where_the_host_writes),
    };
    return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
