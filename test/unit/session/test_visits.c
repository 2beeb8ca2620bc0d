/* SPDX-License-Identifier: MIT */
/* Which workers have run calls of a session: noted once, taken once, bounded. */
#include "session/visits.h"

#include <stdio.h>

#include "base/mem.h"
#include "leak.h"

static struct visits visits;
static uint64_t oldest_alive;

static int is_there(void *user, uint64_t worker)
{
    return worker >= oldest_alive;
}

static void begin(void)
{
    oldest_alive = 0;
    sp__visits_init(&visits, is_there, NULL);
}

static size_t count_of(const char *session)
{
    struct visits_entry *entry = sp__visits_take(&visits, session);
    size_t count = entry != NULL ? entry->count : 0;
    sp__visits_entry_free(entry);
    return count;
}

static void each_worker_is_noted_once(void **state)
{
    begin();
    for (int i = 0; i < 100; i++) {
        sp__visits_note(&visits, "a", (uint64_t)(1 + i % 7));
        sp__visits_note(&visits, "b", 3);
    }
    struct visits_entry *entry = sp__visits_take(&visits, "a");
    assert_non_null(entry);
    assert_string_equal(entry->session, "a");
    assert_int_equal(entry->count, 7);
    for (uint64_t worker = 1; worker <= 7; worker++) {
        int times = 0;
        for (size_t i = 0; i < entry->count; i++) {
            times += entry->workers[i] == worker;
        }
        assert_int_equal(times, 1);
    }
    sp__visits_entry_free(entry);
    assert_int_equal(count_of("b"), 1);
    sp__visits_fini(&visits);
}

static void what_was_taken_begins_anew(void **state)
{
    begin();
    assert_null(sp__visits_take(&visits, "a"));
    sp__visits_note(&visits, "a", 1);
    assert_int_equal(count_of("a"), 1);
    assert_null(sp__visits_take(&visits, "a"));
    sp__visits_note(&visits, "a", 2);
    sp__visits_fini(&visits);
}

static void workers_that_are_no_more_leave_no_trace(void **state)
{
    begin();
    for (uint64_t worker = 1; worker <= 100000; worker++) {
        oldest_alive = worker - 1;
        sp__visits_note(&visits, "long lived", worker);
    }
    struct visits_entry *entry = sp__visits_take(&visits, "long lived");
    assert_true(entry->capacity <= 4);
    assert_int_equal(entry->workers[entry->count - 1], 100000);
    sp__visits_entry_free(entry);
    sp__visits_fini(&visits);
}

static void the_longest_unused_session_goes(void **state)
{
    char session[32];
    begin();
    for (int i = 0; i < VISITS_MAX; i++) {
        (void)snprintf(session, sizeof session, "%d", i);
        sp__visits_note(&visits, session, 1);
    }
    sp__visits_note(&visits, "0", 1);
    sp__visits_note(&visits, "one more", 1);
    assert_int_equal(count_of("0"), 1);
    assert_int_equal(count_of("1"), 0);
    assert_int_equal(count_of("2"), 1);
    assert_int_equal(count_of("one more"), 1);
    sp__visits_fini(&visits);
}

static void without_memory_a_visit_is_not_noted(void **state)
{
    begin();
    for (uint64_t n = 1; n <= 4; n++) {
        sp__mem_fail_at(n, 0);
        sp__visits_note(&visits, "a", 1);
        sp__mem_fail_at(0, 0);
    }
    sp__visits_note(&visits, "a", 1);
    assert_int_equal(count_of("a"), 1);
    sp__visits_fini(&visits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_worker_is_noted_once),
        TEST(what_was_taken_begins_anew),
        TEST(workers_that_are_no_more_leave_no_trace),
        TEST(the_longest_unused_session_goes),
        TEST(without_memory_a_visit_is_not_noted),
    };
    return cmocka_run_group_tests_name("visits", tests, NULL, NULL);
}
