/* SPDX-License-Identifier: MIT */
/* Sessions that outlive their host: what is there again, for how long, and what is not. */
#include "session/restore.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "portrait.h"
#include "snakepit/snakepit.h"
#include "stored.h"

/* Two texts, freed. */
static void expect_same(char *is, char *wanted)
{
    assert_non_null(is);
    assert_non_null(wanted);
    assert_string_equal(is, wanted);
    free(is);
    free(wanted);
}

/* What a set would be without its session in memory. */
static char *portrait_without_memory(struct sp_sessions *set)
{
    assert_int_equal(sp_session_delete(set, "m", &stored_error), 0);
    return portrait(set);
}

static void everything_is_there_again(void **state)
{
    struct sp_sessions *set = stored_open();
    stored_fill(set);
    assert_int_equal(sp_session_exists(set, "m"), 1);
    char *before = portrait_without_memory(set);
    stored_close();
    expect_same(portrait(stored_open()), before);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct sp_sessions *set = stored_open();
    stored_fill(set);
    stored_copy("killed");
    char *before = portrait_without_memory(set);
    stored_close();
    expect_same(portrait(stored_open_at("killed")), before);
}

static void what_is_there_again_can_be_used(void **state)
{
    sp_error *err = &stored_error;
    sp_change_options owner = {.size = sizeof owner, .owner = "optimiser"};
    uint64_t version = 0;
    sp_variable fresh;
    struct sp_sessions *set = stored_open();
    stored_fill(set);
    sp_variable before;
    assert_int_equal(
        sp_variable_register(set, "a", "last", NULL, "1", NULL, &before, err), 0);
    assert_int_equal(sp_variable_delete(set, "a", "last", NULL, err), 0);
    stored_close();
    set = stored_open();
    /* rules, versions, the lock, dependencies */
    assert_int_equal(sp_variable_set(set, "a", "x", "101", &owner, NULL, err),
                     SP_ERR_BAD_VALUE);
    assert_int_equal(sp_variable_set(set, "a", "x", "9", NULL, NULL, err),
                     SP_ERR_LOCKED);
    assert_int_equal(sp_variable_set(set, "a", "x", "9", &owner, &version, err), 0);
    assert_int_equal(version, 6);
    assert_int_equal(sp_variable_depend(set, "a", "z", "x", "uses", err), SP_ERR_CYCLE);
    /* numbers are not used twice */
    assert_int_equal(
        sp_variable_register(set, "a", "last", NULL, "1", NULL, &fresh, err), 0);
    assert_string_not_equal(fresh.id, before.id);
    sp_variable_clear(&fresh);
    sp_variable_clear(&before);
    char *changed = portrait(set);
    stored_close();
    expect_same(portrait(stored_open()), changed);
}

static void an_id_used_again_is_the_later_session(void **state)
{
    sp_session_options options = {.size = sizeof options, .metadata = "{\"n\":2}"};
    struct sp_sessions *set = stored_open();
    assert_int_equal(sp_session_create(set, "a", NULL, &stored_error), 1);
    stored_boot_ms += 100001; /* over */
    assert_int_equal(sp_session_create(set, "a", &options, &stored_error), 1);
    char *before = portrait(set);
    stored_close();
    expect_same(portrait(stored_open()), before);
}

static uint64_t remaining(const char *id)
{
    uint64_t left = 0;
    sp_session_info info;
    if (sp_session_get(stored, id, &info, &stored_error) == 0) {
        left = info.remaining_ms;
        sp_session_info_clear(&info);
    }
    return left;
}

static uint64_t found_ms;

static void note_remaining(const sp_session_info *info, void *user)
{
    if (strcmp(info->id, user) == 0) {
        found_ms = info->remaining_ms;
    }
}

/* Without using it: 0 when it is not there. */
static uint64_t remaining_unused(const char *id)
{
    found_ms = 0;
    (void)sp_sessions_list(stored, note_remaining, (void *)(uintptr_t)id, NULL);
    return found_ms;
}

static void time_goes_on_while_nobody_has_it_open(void **state)
{
    struct sp_sessions *set = stored_open();
    assert_int_equal(sp_session_create(set, "a", NULL, &stored_error), 1);
    stored_boot_ms += 30000;
    assert_int_equal(remaining("a"), 100000); /* used */
    stored_boot_ms += 40000;
    stored_close();
    stored_boot_ms += 50000;
    stored_unix_ms += 3600000000; /* means nothing: it is the same start */
    (void)stored_open();
    assert_int_equal(remaining_unused("a"), 10000);
    stored_close();
    stored_boot_ms += 10000;
    (void)stored_open();
    assert_int_equal(remaining_unused("a"), 0);
}

static void a_kill_shortens_no_session(void **state)
{
    struct sp_sessions *set = stored_open();
    assert_int_equal(sp_session_create(set, "a", NULL, &stored_error), 1);
    for (int i = 0; i < 20; i++) {
        stored_boot_ms += 3000;
        assert_int_equal(remaining("a"), 100000);
        stored_close(); /* what was posted is written */
        (void)stored_open();
        stored_boot_ms += 3000;
        assert_int_equal(remaining("a"), 100000);
        stored_copy("killed");
        struct sp_sessions *kept = stored;
        stored = NULL;
        (void)stored_open_at("killed");
        uint64_t left = remaining_unused("a");
        stored_close();
        stored = kept;
        assert_true(left > 100000 - 10000 && left <= 100000);
    }
}

static void after_a_new_start_the_wall_clock_counts(void **state)
{
    struct sp_sessions *set = stored_open();
    assert_int_equal(sp_session_create(set, "a", NULL, &stored_error), 1);
    assert_int_equal(sp_program_store(set, NULL, "g", "{}", 90000, &stored_error), 0);
    stored_close();
    stored_reboot("state");
    stored_boot_ms = 1000; /* since the new start */
    stored_unix_ms += 60000;
    (void)stored_open();
    assert_int_equal(remaining_unused("a"), 40000);
    stored_close();
    stored_boot_ms += 1000; /* the new start holds from now on */
    stored_unix_ms += 36000000;
    (void)stored_open();
    assert_int_equal(remaining_unused("a"), 39000);
    sp_program program;
    assert_int_equal(sp_program_get(stored, NULL, "g", &program, &stored_error), 0);
    assert_int_equal(program.remaining_ms, 29000);
    sp_program_clear(&program);
}

static void a_clock_set_back_at_each_start_makes_nothing_immortal(void **state)
{
    uint64_t lived_ms = 0;
    struct sp_sessions *set = stored_open();
    assert_int_equal(sp_session_create(set, "a", NULL, &stored_error), 1);
    while (remaining_unused("a") > 0) {
        assert_true(remaining_unused("a") <= 100000);
        stored_close();
        stored_unix_ms -= 86400000; /* a day */
        stored_boot_ms += 10000;
        (void)stored_open();
        lived_ms += 10000;
        assert_true(lived_ms <= 100000);
    }
    stored_close();
    stored_boot_ms += 5;
    assert_int_equal(sp_sessions_list(stored_open(), NULL, NULL, NULL), 0);
}

/* ---- clocks in every which way ---- */

static uint64_t seed = 20261126;

static uint64_t draw(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

enum { JUMPS = 1000000 };

#define DAY_MS ((uint64_t)86400000)

/* A session is used, hosts and machines start anew, the wall clock jumps by up to ten
 * years either way; real time is what the test knows and nobody else. */
static void a_million_jumps_of_the_clock(void **state)
{
    uint64_t real_ms = 40 * 365 * DAY_MS;
    uint64_t boot_at_ms = real_ms - 1000;
    int64_t wall_off_ms = 0;
    uint64_t ttl_ms = 60000;
    uint64_t end_ms = real_ms + ttl_ms; /* when the session ends, in real time */
    struct record_expiry stored_as = {
        .ttl_ms = ttl_ms, .boot_ms = end_ms - boot_at_ms, .unix_ms = end_ms};
    uint64_t latest_ms = end_ms; /* no later than this, whatever the wall clock says */
    int reboots = 0;
    int ended = 0;
    for (int i = 0; i < JUMPS; i++) {
        real_ms += draw(ttl_ms / 4);
        wall_off_ms = (int64_t)draw(7300 * DAY_MS) - (int64_t)(3650 * DAY_MS);
        if (draw(8) == 0) {
            boot_at_ms = real_ms - draw(5000);
            stored_as.other_boot = 1;
            reboots++;
        }
        uint64_t boot_ms = real_ms - boot_at_ms;
        uint64_t wall_ms = (uint64_t)((int64_t)real_ms + wall_off_ms);
        uint64_t left_ms = sp__remaining_ms(&stored_as, boot_ms, wall_ms);
        assert_true(left_ms <= ttl_ms);
        if (!stored_as.other_boot) {
            /* exactly: neither early nor late */
            assert_int_equal(left_ms, end_ms > real_ms ? end_ms - real_ms : 0);
        } else {
            latest_ms = real_ms + ttl_ms;
            end_ms = real_ms + left_ms;
        }
        assert_true(end_ms <= latest_ms);
        if (left_ms == 0 || draw(3) == 0) { /* a new one, or used */
            ended += left_ms == 0;
            ttl_ms = 1 + draw(10 * DAY_MS);
            end_ms = real_ms + ttl_ms;
            latest_ms = end_ms;
        }
        stored_as = (struct record_expiry){
            .ttl_ms = ttl_ms,
            .boot_ms = end_ms - boot_at_ms,
            .unix_ms = (uint64_t)((int64_t)end_ms + wall_off_ms)};
    }
    assert_true(reboots > JUMPS / 10);
    assert_true(ended > JUMPS / 100);
    struct record_expiry never = {
        .ttl_ms = SP_UNLIMITED, .boot_ms = SP_UNLIMITED, .unix_ms = SP_UNLIMITED};
    assert_true(sp__remaining_ms(&never, real_ms, 0) == SP_UNLIMITED);
}

/* ---- classes ---- */

static int class_of(const char *id)
{
    sp_session_info info;
    assert_int_equal(sp_session_get(stored, id, &info, &stored_error), 0);
    int durability = info.durability;
    sp_session_info_clear(&info);
    return durability;
}

static void a_session_says_its_class(void **state)
{
    sp_session_options options = {.size = sizeof options};
    struct sp_sessions *set = stored_open();
    assert_int_equal(sp_session_create(set, "default", &options, &stored_error), 1);
    options.durability = SP_DURABILITY_DURABLE;
    assert_int_equal(sp_session_create(set, "durable", &options, &stored_error), 1);
    options.durability = SP_DURABILITY_MEMORY;
    assert_int_equal(sp_session_create(set, "memory", &options, &stored_error), 1);
    assert_int_equal(class_of("default"), SP_DURABILITY_CRASH);
    assert_int_equal(class_of("memory"), SP_DURABILITY_MEMORY);
    stored_close();
    set = stored_open();
    assert_int_equal(class_of("default"), SP_DURABILITY_CRASH);
    assert_int_equal(class_of("durable"), SP_DURABILITY_DURABLE);
    assert_int_equal(sp_session_exists(set, "memory"), 0);
}

static void a_class_that_cannot_be_is_refused(void **state)
{
    sp_session_options options = {.size = sizeof options,
                                  .durability = SP_DURABILITY_DURABLE};
    sp_sessions_options set_options = {.size = sizeof set_options,
                                       .durability = SP_DURABILITY_CRASH};
    sp_sessions *set;
    assert_int_equal(sp_sessions_open(&set_options, &set, &stored_error), SP_ERR_INVAL);
    assert_string_equal(stored_error.message,
                        "durability is 2 without a path: only SP_DURABILITY_MEMORY "
                        "needs none");
    assert_int_equal(sp_sessions_open(NULL, &set, &stored_error), 0);
    assert_int_equal(sp_session_create(set, "a", &options, &stored_error),
                     SP_ERR_INVAL);
    assert_string_equal(stored_error.message,
                        "only a set of sessions that has a path stores any");
    options.durability = 9;
    assert_int_equal(sp_session_create(set, "a", &options, &stored_error),
                     SP_ERR_INVAL);
    assert_string_equal(stored_error.message,
                        "durability is 9: SP_DURABILITY_MEMORY to 3");
    sp_sessions_close(set);
    sp_error_clear(&stored_error);
}

/* ---- races ---- */

enum { RACERS = 8 };

static void *create_one(void *user)
{
    return (void *)(intptr_t)sp_session_create(stored, "same", NULL, NULL);
}

static void of_many_who_create_the_same_one_does(void **state)
{
    pthread_t threads[RACERS];
    (void)stored_open();
    for (int round = 0; round < 20; round++) {
        int created = 0;
        for (int i = 0; i < RACERS; i++) {
            assert_int_equal(pthread_create(&threads[i], NULL, create_one, NULL), 0);
        }
        for (int i = 0; i < RACERS; i++) {
            void *result;
            assert_int_equal(pthread_join(threads[i], &result), 0);
            created += (intptr_t)result == 1;
            assert_true((intptr_t)result == 1 || (intptr_t)result == SP_ERR_EXISTS);
        }
        assert_int_equal(created, 1);
        assert_int_equal(sp_session_delete(stored, "same", &stored_error), 0);
    }
    stored_close();
    assert_int_equal(sp_sessions_list(stored_open(), NULL, NULL, NULL), 0);
}

/* ---- without memory ---- */

static void without_memory_a_set_opens_wholly_or_not(void **state)
{
    stored_fill(stored_open());
    char *before = portrait_without_memory(stored);
    stored_close();
    for (uint64_t n = 1;; n++) {
        sp__mem_fail_at(n, 0);
        uint64_t calls = sp__mem_calls();
        int rc = stored_try("state");
        int tried = sp__mem_calls() - calls >= n;
        sp__mem_fail_at(0, 0);
        if (rc < 0) {
            assert_int_equal(rc, SP_ERR_NOMEM);
        }
        stored_close();
        if (!tried) {
            break;
        }
    }
    (void)stored_open();
    char *after = portrait(stored);
    assert_string_equal(after, before);
    free(after);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_there_again),
        TEST(what_was_acknowledged_survives_a_kill),
        TEST(what_is_there_again_can_be_used),
        TEST(an_id_used_again_is_the_later_session),
        TEST(time_goes_on_while_nobody_has_it_open),
        TEST(a_kill_shortens_no_session),
        TEST(after_a_new_start_the_wall_clock_counts),
        TEST(a_clock_set_back_at_each_start_makes_nothing_immortal),
        TEST(a_million_jumps_of_the_clock),
        TEST(a_session_says_its_class),
        TEST(a_class_that_cannot_be_is_refused),
        TEST(of_many_who_create_the_same_one_does),
        TEST(without_memory_a_set_opens_wholly_or_not),
    };
    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
