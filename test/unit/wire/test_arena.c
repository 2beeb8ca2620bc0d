/* SPDX-License-Identifier: MIT */
/* Places in shared memory: given out, taken, let go of, and no more than there are. */
#include "wire/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

enum { AREA = 256 * 1024 };

struct both {
    struct arena down;
    struct arena up;
    uint8_t *memory;
};

static struct both both;
static const uint8_t zeros[AREA + 1];

static void release(void)
{
    sp__arena_fini(&both.down);
    sp__arena_fini(&both.up);
    free(both.memory);
    both.memory = NULL;
}

static void make(void)
{
    both.memory = calloc(1, sp__arena_file_bytes(AREA));
    assert_non_null(both.memory);
    leak_at_end(release);
    sp__arena_init(&both.down, &both.up, both.memory, AREA);
}

static uint32_t state_of(uint32_t slot)
{
    return atomic_load(&both.down.side->state[slot]);
}

static void a_value_is_found_where_it_was_put(void **state)
{
    struct arena_ref ref;
    sp_bytes there;
    make();
    assert_int_equal(sp__arena_put(&both.down, sp_text("hello"), 7, &ref), 1);
    assert_int_equal(ref.slot, 0);
    assert_int_equal(ref.at, 0);
    assert_int_equal(ref.size, 5);
    assert_int_equal(state_of(0), ARENA_SENT);
    assert_int_equal(atomic_load(&both.down.side->stream[0]), 7);
    assert_int_equal(sp__arena_find(&both.down, &ref, &there), 1);
    assert_memory_equal(there.data, "hello", 5);
    assert_int_equal(sp__arena_put(&both.up, sp_text("other"), 9, &ref), 1);
    assert_int_equal(sp__arena_find(&both.up, &ref, &there), 1);
    assert_ptr_equal(there.data, both.memory + ARENA_HEAD_BYTES + AREA);
    assert_int_equal(sp__arena_find(&both.down, &ref, &there), 1);
    assert_memory_equal(there.data, "hello", 5); /* the directions do not meet */
}

static void a_place_is_free_again_when_its_receiver_is_done(void **state)
{
    struct arena_ref first, second, third;
    make();
    sp_bytes half = {zeros, AREA / 2};
    assert_int_equal(sp__arena_put(&both.down, half, 0, &first), 1);
    assert_int_equal(sp__arena_put(&both.down, half, 0, &second), 1);
    assert_int_equal(sp__arena_put(&both.down, sp_text("x"), 0, &third), 0); /* full */
    assert_int_equal(sp__arena_hold(&both.down, first.slot), 1);
    assert_int_equal(sp__arena_hold(&both.down, first.slot), 0);
    sp__arena_give_up(&both.down, first.slot); /* too late: it is held */
    assert_int_equal(state_of(first.slot), ARENA_HELD);
    sp__arena_give_up(&both.down, second.slot);
    assert_int_equal(sp__arena_hold(&both.down, second.slot), 0);
    assert_int_equal(sp__arena_put(&both.down, half, 0, &third), 1);
    assert_int_equal(third.at, AREA / 2);
    sp__arena_release(&both.down, first.slot);
    assert_int_equal(sp__arena_put(&both.down, half, 0, &third), 1);
    assert_int_equal(third.at, 0); /* the front is used again */
}

static void there_are_only_so_many_slots_and_bytes(void **state)
{
    struct arena_ref ref;
    make();
    assert_int_equal(sp__arena_put(&both.down, (sp_bytes){zeros, AREA + 1}, 0, &ref),
                     0);
    assert_int_equal(sp__arena_put(&both.down, (sp_bytes){zeros, SIZE_MAX}, 0, &ref),
                     0);
    assert_int_equal(sp__arena_put(&both.down, (sp_bytes){NULL, 0}, 0, &ref), 0);
    assert_int_equal(sp__arena_put(&both.down, (sp_bytes){zeros, AREA}, 0, &ref), 1);
    sp__arena_give_up(&both.down, ref.slot);
    for (uint32_t i = 0; i < ARENA_SLOTS; i++) {
        assert_int_equal(sp__arena_put(&both.down, sp_text("x"), 0, &ref), 1);
        assert_int_equal(ref.at, i * (uint64_t)ARENA_ALIGN);
    }
    assert_int_equal(sp__arena_put(&both.down, sp_text("x"), 0, &ref), 0);
    sp__arena_give_up(&both.down, 17);
    assert_int_equal(sp__arena_put(&both.down, sp_text("x"), 0, &ref), 1);
    assert_int_equal(ref.slot, 17);
}

static void without_memory_there_is_no_place(void **state)
{
    struct arena_ref ref;
    make();
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__arena_put(&both.down, sp_text("hello"), 7, &ref), 0);
    assert_int_equal(state_of(0), ARENA_FREE);
    assert_int_equal(sp__arena_put(&both.down, sp_text("hello"), 7, &ref), 1);
    assert_int_equal(state_of(0), ARENA_SENT);
}

static void what_lies_outside_is_not_found(void **state)
{
    static const struct arena_ref wrong[] = {
        {ARENA_SLOTS, 0, 1}, {UINT32_MAX, 0, 1},
        {0, AREA, 1},        {0, AREA + 1, 0},
        {0, 1, AREA},        {0, UINT64_MAX, 1},
        {0, 1, UINT64_MAX},  {0, UINT64_MAX, UINT64_MAX},
        {0, 0, AREA + 1},    {0, UINT64_MAX - 4096, 8192}};
    sp_bytes there;
    make();
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_int_equal(sp__arena_find(&both.down, &wrong[i], &there), 0);
    }
    const struct arena_ref whole = {63, 0, AREA};
    assert_int_equal(sp__arena_find(&both.down, &whole, &there), 1);
}

/* Whatever is given out at random never overlaps, and everything comes back. */
static void places_never_overlap(void **state)
{
    struct arena_ref live[ARENA_SLOTS];
    size_t count = 0;
    uint64_t seed = 88172645463325252ull;
    static uint8_t pattern[AREA];
    make();
    for (int round = 0; round < 20000; round++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        size_t size = 1 + (size_t)(seed >> 20) % (seed % 5 == 0 ? AREA / 2 : 9000);
        if (seed % 3 != 0 && count < ARENA_SLOTS) {
            memset(pattern, (int)(round % 251), size);
            if (sp__arena_put(&both.down, (sp_bytes){pattern, size}, (uint32_t)round,
                              &live[count])) {
                count++;
            }
        } else if (count > 0) {
            size_t which = (size_t)(seed >> 8) % count;
            sp_bytes there;
            uint32_t made = atomic_load(&both.down.side->stream[live[which].slot]);
            assert_int_equal(sp__arena_find(&both.down, &live[which], &there), 1);
            for (size_t i = 0; i < there.size; i++) {
                assert_int_equal(((const uint8_t *)there.data)[i], made % 251);
            }
            sp__arena_release(&both.down, live[which].slot);
            live[which] = live[--count];
        }
    }
    while (count > 0) {
        sp__arena_release(&both.down, live[--count].slot);
    }
    assert_int_equal(sp__arena_put(&both.down, (sp_bytes){zeros, AREA}, 0, &live[0]),
                     1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_found_where_it_was_put),
        TEST(a_place_is_free_again_when_its_receiver_is_done),
        TEST(there_are_only_so_many_slots_and_bytes),
        TEST(without_memory_there_is_no_place),
        TEST(what_lies_outside_is_not_found),
        TEST(places_never_overlap),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
