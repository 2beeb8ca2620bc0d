/* SPDX-License-Identifier: MIT */
/* Parts of a pool: which one a call goes to, and what each has of the whole. */
#include "pool/share.h"

#include "cm.h"
#include "leak.h"

enum { PARTS = 8 };

static struct part_view views[PARTS];

static void set(uint32_t part, uint32_t calls, uint32_t places)
{
    atomic_store(&views[part].calls, calls);
    atomic_store(&views[part].places, places);
}

static void set_all(uint32_t calls, uint32_t places)
{
    for (uint32_t i = 0; i < PARTS; i++) {
        set(i, calls, places);
    }
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1du;
}

static void a_share_leaves_nothing_out(void **state)
{
    for (uint32_t whole = 0; whole < 50; whole++) {
        for (uint32_t parts = 1; parts < 20; parts++) {
            uint32_t sum = 0;
            for (uint32_t i = 0; i < parts; i++) {
                uint32_t share = sp__share_of(whole, i, parts);
                assert_true(share == whole / parts || share == whole / parts + 1);
                sum += share;
            }
            assert_int_equal(sum, whole);
        }
    }
}

/* Two choices keep the fullest part within a few calls of the emptiest, one would not. */
static void calls_spread_evenly(void **state)
{
    enum { CALLS = 80000 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed;
        uint32_t most = 0;
        uint32_t least = UINT32_MAX;
        set_all(0, 4);
        for (int i = 0; i < CALLS; i++) {
            uint32_t part = sp__share_choose(views, PARTS, next(&random));
            assert_true(part < PARTS);
            set(part, atomic_load(&views[part].calls) + 1, 4);
        }
        for (uint32_t i = 0; i < PARTS; i++) {
            uint32_t calls = atomic_load(&views[i].calls);
            most = calls > most ? calls : most;
            least = calls < least ? calls : least;
        }
        assert_in_range(most - least, 0, 16);
    }
}

static void parts_have_calls_by_their_places(void **state)
{
    enum { CALLS = 9000 };
    uint64_t random = 7;
    set_all(0, 0);
    set(0, 0, 1);
    set(1, 0, 2);
    set(2, 0, 6);
    for (int i = 0; i < CALLS; i++) {
        uint32_t part = sp__share_choose(views, 3, next(&random));
        atomic_fetch_add(&views[part].calls, 1);
    }
    assert_in_range(atomic_load(&views[0].calls), 900, 1100);
    assert_in_range(atomic_load(&views[1].calls), 1900, 2100);
    assert_in_range(atomic_load(&views[2].calls), 5800, 6200);
}

static void one_with_a_free_place_is_found(void **state)
{
    uint64_t random = 3;
    for (uint32_t free_part = 0; free_part < PARTS; free_part++) {
        set_all(9, 4);
        set(free_part, 3, 4);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(sp__share_choose(views, PARTS, next(&random)), free_part);
        }
    }
}

static void one_without_ready_workers_is_left_out(void **state)
{
    uint64_t random = 5;
    for (uint32_t alive = 0; alive < PARTS; alive++) {
        set_all(0, 0);
        set(alive, 1000, 1);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(sp__share_choose(views, PARTS, next(&random)), alive);
        }
    }
}

static void without_any_the_emptiest_of_two_has_it(void **state)
{
    uint64_t random = 11;
    set_all(0, 0);
    for (int i = 0; i < 800; i++) {
        uint32_t part = sp__share_choose(views, PARTS, next(&random));
        atomic_fetch_add(&views[part].calls, 1);
    }
    for (uint32_t i = 0; i < PARTS; i++) {
        assert_in_range(atomic_load(&views[i].calls), 90, 110);
    }
    assert_int_equal(sp__share_choose(views, 1, next(&random)), 0);
}

/* Workers of two threads: places count, not workers. */
static void free_threads_of_busy_workers_are_places(void **state)
{
    struct pool_share share = {.parts_count = 2, .views = views};
    struct pool part = {.share = &share};
    struct core_options options = {.workers = 2,
                                   .threads = 2,
                                   .pipeline_max = 2,
                                   .startup_batch = 2,
                                   .queue_max = 8,
                                   .attempts_max = 1,
                                   .recycle_calls = CORE_NEVER,
                                   .recycle_after_ms = CORE_NEVER,
                                   .parts = 2,
                                   .seed = 1};
    assert_int_equal(sp__core_init(&part.core, &options), SP_OK);
    struct core_event event = {.kind = CORE_START};
    sp__core_step(&part.core, &event, 1000);
    for (uint32_t seat = 0; seat < 2; seat++) {
        event = (struct core_event){.kind = CORE_READY, .seat = seat, .value = 2};
        sp__core_step(&part.core, &event, 1000);
    }
    for (uint32_t left = 4; left > 0; left--) {
        sp__share_tell(&part);
        assert_int_equal(part.idle, left);
        assert_int_equal(atomic_load(&views[0].idle), left);
        event = (struct core_event){.kind = CORE_SUBMIT,
                                    .call = sp__core_call_new(&part.core)};
        assert_int_not_equal(event.call, CORE_NONE);
        part.core.calls[event.call].deadline_ms = CORE_NEVER;
        part.core.calls[event.call].queue_deadline_ms = CORE_NEVER;
        sp__core_step(&part.core, &event, 1000);
    }
    sp__share_tell(&part);
    assert_int_equal(part.idle, 0);
    sp__core_fini(&part.core);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_share_leaves_nothing_out),
        TEST(calls_spread_evenly),
        TEST(parts_have_calls_by_their_places),
        TEST(one_with_a_free_place_is_found),
        TEST(one_without_ready_workers_is_left_out),
        TEST(without_any_the_emptiest_of_two_has_it),
        TEST(free_threads_of_busy_workers_are_places),
    };
    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
