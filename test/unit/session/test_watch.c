/* SPDX-License-Identifier: MIT */
/* Watching variables: every change, in order, or the truth about it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "session/variable.h"

static sp_sessions *set;
static sp_watch *watch;
static sp_error error;

static void close_all(void)
{
    sp_watch_close(watch);
    sp_sessions_close(set);
    watch = NULL;
    set = NULL;
    sp_error_clear(&error);
}

static void open_set(void)
{
    assert_int_equal(sp_sessions_open(NULL, &set, &error), 0);
    leak_at_end(close_all);
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
}

static void watch_with(sp_watch_options options)
{
    options.size = sizeof options;
    assert_int_equal(sp_watch_open(set, "s", &options, &watch, &error), 0);
}

static void add(const char *name)
{
    assert_int_equal(
        sp_variable_register(set, "s", name, "integer", "0", NULL, NULL, &error), 0);
}

static void put(const char *name, const char *value)
{
    assert_int_equal(sp_variable_set(set, "s", name, value, NULL, NULL, &error), 0);
}

/* The next change, which must be there, as "kind name=value@version". */
static void expect(const char *wanted)
{
    static const char *const kinds[] = {[SP_CHANGE_INITIAL] = "initial",
                                        [SP_CHANGE_REGISTERED] = "registered",
                                        [SP_CHANGE_VALUE] = "value",
                                        [SP_CHANGE_LOCK] = "lock",
                                        [SP_CHANGE_DELETED] = "deleted"};
    sp_change change;
    char text[128];
    assert_int_equal(sp_watch_next(watch, 0, &change, &error), 1);
    (void)snprintf(text, sizeof text, "%s %s=%s@%llu", kinds[change.kind],
                   change.variable.name, change.variable.value,
                   (unsigned long long)change.variable.version);
    sp_variable_clear(&change.variable);
    assert_string_equal(text, wanted);
}

static void expect_nothing(void)
{
    sp_change change;
    assert_int_equal(sp_watch_next(watch, 0, &change, &error), 0);
}

static void every_kind_of_change_is_told_in_order(void **state)
{
    open_set();
    add("a");
    watch_with((sp_watch_options){.initial = 1});
    add("b");
    put("a", "1");
    put("b", "2");
    assert_int_equal(sp_variable_rollback(set, "s", "a", 0, NULL, NULL, &error), 0);
    assert_int_equal(sp_variable_lock(set, "s", "b", "me", &error), 0);
    assert_int_equal(sp_variable_unlock(set, "s", "b", "me", NULL, &error), 0);
    assert_int_equal(sp_variable_set(set, "s", "a", "true", NULL, NULL, &error),
                     SP_ERR_BAD_VALUE); /* no change */
    assert_int_equal(sp_variable_delete(set, "s", "a", NULL, &error), 0);
    expect("initial a=0@0");
    expect("registered b=0@0");
    expect("value a=1@1");
    expect("value b=2@1");
    expect("value a=0@2");
    expect("lock b=2@1");
    expect("lock b=2@1");
    expect("deleted a=0@2");
    expect_nothing();
}

static void only_what_was_asked_for_is_told(void **state)
{
    open_set();
    const char *names[] = {"var_b_2"};
    const char *missing[] = {"x"};
    sp_watch_options options = {
        .size = sizeof options, .names = missing, .names_count = 1};
    add("a");
    add("b");
    assert_int_equal(sp_watch_open(set, "s", &options, &watch, &error),
                     SP_ERR_NOT_FOUND);
    assert_int_equal(sp_watch_open(set, "t", NULL, &watch, &error), SP_ERR_NOT_FOUND);
    assert_null(watch);
    watch_with((sp_watch_options){.names = names, .names_count = 1, .initial = 1});
    put("a", "1");
    put("b", "1");
    expect("initial b=0@0");
    expect("value b=1@1");
    expect_nothing();
}

static void a_slow_watcher_is_told_that_something_is_missing(void **state)
{
    open_set();
    sp_change change;
    add("a");
    watch_with((sp_watch_options){.queue_max = 3});
    for (int i = 1; i <= 5; i++) {
        char value[2] = {(char)('0' + i), '\0'};
        put("a", value);
    }
    expect("value a=1@1");
    expect("value a=2@2");
    put("a", "6"); /* room again, but the gap is there */
    expect("value a=3@3");
    assert_int_equal(sp_watch_next(watch, 0, &change, &error), SP_ERR_TOO_SLOW);
    assert_string_equal(error.message,
                        "more than 3 changes waited to be taken: some are "
                        "missing from here on");
    assert_int_equal(sp_watch_next(watch, SP_UNLIMITED, &change, &error),
                     SP_ERR_TOO_SLOW);
}

static void the_end_of_the_session_is_the_end_of_the_watch(void **state)
{
    open_set();
    sp_change change;
    add("a");
    watch_with((sp_watch_options){0});
    put("a", "1");
    assert_int_equal(sp_session_delete(set, "s", &error), 0);
    expect("value a=1@1");
    assert_int_equal(sp_watch_next(watch, SP_UNLIMITED, &change, &error),
                     SP_ERR_NOT_FOUND);
    assert_string_equal(error.message, "the watched session has ended");
    assert_int_equal(sp_session_create(set, "s", NULL, &error), 1);
    assert_int_equal(sp_watch_next(watch, 0, &change, &error), SP_ERR_NOT_FOUND);
}

enum { WRITERS = 3, WRITES = 300 };

static void *write_often(void *user)
{
    for (int i = 0; i < WRITES; i++) {
        if (sp_variable_set(set, "s", user, "1", NULL, NULL, NULL) < 0) {
            return user;
        }
    }
    return NULL;
}

/* Writers on several threads, a reader beside them: each version once, none skipped. */
static void nothing_is_lost_or_out_of_order_between_threads(void **state)
{
    static const char *const names[WRITERS] = {"a", "b", "c"};
    pthread_t threads[WRITERS];
    uint64_t seen[WRITERS] = {0};
    open_set();
    for (int i = 0; i < WRITERS; i++) {
        add(names[i]);
    }
    watch_with((sp_watch_options){.queue_max = WRITERS * WRITES});
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_often, (void *)names[i]), 0);
    }
    int right = 1;
    for (int i = 0; right && i < WRITERS * WRITES; i++) {
        sp_change change;
        right = sp_watch_next(watch, patience_ms(30000), &change, &error) == 1;
        if (right) {
            int writer = change.variable.name[0] - 'a';
            right = change.variable.version == ++seen[writer];
            sp_variable_clear(&change.variable);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        void *failed;
        (void)pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_true(right);
    expect_nothing();
}

static void without_memory_no_change_is_skipped_silently(void **state)
{
    open_set();
    sp_change change;
    add("a");
    watch_with((sp_watch_options){0});
    put("a", "1");
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp_watch_next(watch, 0, &change, &error), SP_ERR_NOMEM);
    sp__mem_fail_at(0, 0);
    expect("value a=1@1"); /* it stayed the next */
    for (uint64_t n = 1; n < 100; n++) {
        sp_watch *second = NULL;
        sp__mem_fail_at(n, 0);
        int rc = sp_watch_open(set, "s", NULL, &second, &error);
        sp__mem_fail_at(0, 0);
        sp_watch_close(second);
        assert_true(rc == 0 || rc == SP_ERR_NOMEM);
        if (rc == 0) {
            break;
        }
    }
}

static void count_notice(void *user)
{
    ++*(int *)user;
}

static void a_notice_is_given_for_each_change_and_for_the_end(void **state)
{
    int notices = 0;
    const struct watch_notice notice = {count_notice, &notices};
    const sp_watch_options options = {.initial = 1};
    open_set();
    add("a");
    struct watcher *noticed;
    sp_change change;
    assert_int_equal(sp__watcher_open(set, "s", &options, &notice, &noticed, &error),
                     0);
    assert_int_equal(notices, 1);
    put("a", "1");
    assert_int_equal(notices, 2);
    assert_int_equal(sp_session_delete(set, "s", &error), 0);
    assert_int_equal(notices, 3);
    for (int kind = SP_CHANGE_INITIAL; kind <= SP_CHANGE_VALUE; kind += 2) {
        assert_int_equal(sp__watcher_next(noticed, 0, &change, &error), 1);
        assert_int_equal(change.kind, kind);
        sp_variable_clear(&change.variable);
    }
    sp__watcher_close(noticed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_change_is_told_in_order),
        TEST(only_what_was_asked_for_is_told),
        TEST(a_slow_watcher_is_told_that_something_is_missing),
        TEST(the_end_of_the_session_is_the_end_of_the_watch),
        TEST(nothing_is_lost_or_out_of_order_between_threads),
        TEST(a_notice_is_given_for_each_change_and_for_the_end),
        TEST(without_memory_no_change_is_skipped_silently),
    };
    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
