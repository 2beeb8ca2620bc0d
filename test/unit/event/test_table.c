/* SPDX-License-Identifier: MIT */
/* The table of events: its names, and what patterns mean by them. */
#include "event/table.h"

#include <string.h>

#include "leak.h"

static void every_row_is_whole(void **state)
{
    const sp_event_info *row;
    size_t count = 0;
    for (; (row = sp__event_row_at(count)) != NULL; count++) {
        assert_int_equal(row->kind, count + 1);
        assert_true(strlen(row->name) > 0 && row->name[strlen(row->name) - 1] != '.');
        assert_true(strlen(row->meaning) > 10);
        assert_non_null(row->since);
        assert_ptr_equal(sp__event_row(row->kind), row);
        assert_ptr_equal(sp__event_named(row->name), row); /* so no two have one name */
        size_t words = 0;
        while (row->measurements[words] != NULL) {
            words++;
        }
        assert_int_equal(words % 3, 0);
        for (size_t i = 0; i < words; i += 3) {
            const char *type = row->measurements[i + 1];
            assert_true(strcmp(type, "integer") == 0 || strcmp(type, "float") == 0);
            assert_ptr_equal(sp__event_measurement(row->measurements[i]),
                             sp__event_measurement(row->measurements[i]));
        }
    }
    assert_true(count > 100);
    assert_null(sp__event_row(0));
    assert_null(sp__event_row((int)count + 1));
    assert_null(sp__event_row(-1));
}

static void an_alias_finds_the_event(void **state)
{
    assert_int_equal(sp__event_named("snakepit.worker.recycled")->kind,
                     SP_EVENT_WORKER_RECYCLED);
    assert_int_equal(sp__event_named("worker.initialized")->kind,
                     SP_EVENT_WORKER_READY);
    assert_int_equal(sp__event_named("circuit_breaker.opened")->kind,
                     SP_EVENT_BREAKER_OPENED);
    assert_null(sp__event_named("worker."));
    assert_null(sp__event_named(""));
    assert_null(sp__event_named("snakepit."));
    assert_null(sp__event_named("worker"));
}

static struct event_set set_of(const char *pattern)
{
    struct event_set set;
    sp_error err = {0};
    assert_int_equal(sp__event_pattern(pattern, &set, &err), SP_OK);
    return set;
}

static int length(const struct event_set *set)
{
    int n = 0;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        n += sp__event_in(set, kind);
    }
    return n;
}

static void patterns_are_names_and_prefixes(void **state)
{
    struct event_set set = set_of("worker.died");
    assert_int_equal(length(&set), 1);
    assert_true(sp__event_in(&set, SP_EVENT_WORKER_DIED));

    set = set_of("breaker., pool.saturated");
    assert_true(sp__event_in(&set, SP_EVENT_BREAKER_CLOSED));
    assert_true(sp__event_in(&set, SP_EVENT_BREAKER_ALLOWED));
    assert_true(sp__event_in(&set, SP_EVENT_POOL_SATURATED));
    assert_false(sp__event_in(&set, SP_EVENT_POOL_READY));

    set = set_of("pool.worker.terminated"); /* an alias of two */
    assert_int_equal(length(&set), 2);
    set = set_of("circuit_breaker."); /* a prefix of aliases */
    assert_true(sp__event_in(&set, SP_EVENT_BREAKER_OPENED));

    struct event_set all = set_of("");
    set = set_of("snakepit.");
    assert_memory_equal(&all, &set, sizeof all);
    set = set_of(" ,");
    assert_memory_equal(&all, &set, sizeof all);
    assert_false(sp__event_in(&all, 0));
}

static void a_pattern_that_fits_nothing_is_refused(void **state)
{
    struct event_set set;
    sp_error err = {0};
    assert_int_equal(sp__event_pattern("worker.dead", &set, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "worker.died"));
    assert_int_equal(sp__event_pattern("worker.died,nothing.", &set, &err),
                     SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "\"nothing.\""));
    assert_int_equal(sp__event_pattern("worker", &set, &err), SP_ERR_INVAL);
    assert_int_equal(sp__event_pattern(".", &set, &err), SP_ERR_INVAL);
}

/* However many names a worker thinks of. */
static void measurements_of_workers_are_a_bounded_set(void **state)
{
    assert_string_equal(sp__event_measurement("rss_bytes"), "rss_bytes");
    assert_string_equal(sp__event_measurement("requested_bytes"), "requested_bytes");
    assert_null(sp__event_measurement("integer")); /* a type is no name */
    assert_null(sp__event_measurement("anything_else"));
    assert_null(sp__event_measurement(""));
}

/* What the page says of a row, and what workers are asked for, is the same. */
static void what_workers_make_says_so(void **state)
{
    const sp_event_info *row;
    for (size_t i = 0; (row = sp__event_row_at(i)) != NULL; i++) {
        int says_so = strncmp(row->meaning, "worker: ", 8) == 0;
        if (says_so != sp__event_is_workers(row->kind)) {
            fail_msg("%s: \"%s\"", row->name, row->meaning);
        }
        if (says_so) {
            assert_int_equal(row->flow, SP_EVENT_FLOW_MANY);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(every_row_is_whole),
                                       TEST(an_alias_finds_the_event),
                                       TEST(patterns_are_names_and_prefixes),
                                       TEST(a_pattern_that_fits_nothing_is_refused),
                                       TEST(measurements_of_workers_are_a_bounded_set),
                                       TEST(what_workers_make_says_so)};
    return cmocka_run_group_tests_name("event_table", tests, NULL, NULL);
}
