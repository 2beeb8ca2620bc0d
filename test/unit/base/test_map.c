/* SPDX-License-Identifier: MIT */
/* The map from ids to objects, against a plain array. */
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "snakepit/error.h"

enum { KEYS = 2000, STEPS = 100000 };

static uint32_t seed = 99;

static uint32_t number(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void an_empty_map_has_nothing(void **state)
{
    struct map map = {0};
    size_t at = 0;
    assert_null(sp__map_find(&map, 1));
    assert_null(sp__map_take(&map, 1));
    assert_null(sp__map_next(&map, &at));
    sp__map_fini(&map);
}

static void what_was_put_is_found_until_taken(void **state)
{
    struct map map = {0};
    int a;
    int b;
    assert_int_equal(sp__map_put(&map, 1, &a), 0);
    assert_int_equal(sp__map_put(&map, UINT64_MAX, &b), 0);
    assert_ptr_equal(sp__map_find(&map, 1), &a);
    assert_ptr_equal(sp__map_find(&map, UINT64_MAX), &b);
    assert_null(sp__map_find(&map, 0));
    assert_null(sp__map_find(&map, 2));
    assert_int_equal(sp__map_put(&map, 1, &b), 0);
    assert_int_equal(map.length, 2);
    assert_ptr_equal(sp__map_take(&map, 1), &b);
    assert_null(sp__map_find(&map, 1));
    assert_null(sp__map_take(&map, 1));
    assert_int_equal(map.length, 1);
    sp__map_fini(&map);
}

static void it_agrees_with_an_array_under_any_mixture(void **state)
{
    struct map map = {0};
    static char there[KEYS + 1];
    size_t count = 0;
    memset(there, 0, sizeof there);
    for (int step = 0; step < STEPS; step++) {
        uint32_t key = 1 + number(KEYS);
        switch (number(3)) {
        case 0:
            assert_int_equal(sp__map_put(&map, key, &there[key]), 0);
            count += there[key] == 0;
            there[key] = 1;
            break;
        case 1:
            assert_ptr_equal(sp__map_take(&map, key), there[key] ? &there[key] : NULL);
            count -= there[key] == 1;
            there[key] = 0;
            break;
        default:
            assert_ptr_equal(sp__map_find(&map, key), there[key] ? &there[key] : NULL);
            break;
        }
        assert_int_equal(map.length, count);
    }
    for (uint32_t key = 1; key <= KEYS; key++) {
        assert_ptr_equal(sp__map_find(&map, key), there[key] ? &there[key] : NULL);
    }
    sp__map_fini(&map);
}

static void walking_meets_every_entry_once(void **state)
{
    struct map map = {0};
    static int met[100];
    for (uint64_t key = 1; key <= 100; key++) {
        assert_int_equal(sp__map_put(&map, key, &met[key - 1]), 0);
    }
    size_t at = 0;
    int *value;
    while ((value = sp__map_next(&map, &at)) != NULL) {
        (*value)++;
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(met[i], 1);
    }
    sp__map_fini(&map);
}

static void without_memory_it_stays_as_it_was(void **state)
{
    struct map map = {0};
    int value;
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__map_put(&map, 1, &value), SP_ERR_NOMEM);
    assert_int_equal(map.length, 0);
    uint64_t key = 1;
    do { /* until the next one must grow it */
        assert_int_equal(sp__map_put(&map, key++, &value), 0);
    } while ((map.length + 1) * 3 <= map.capacity * 2);
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__map_put(&map, key, &value), SP_ERR_NOMEM);
    assert_null(sp__map_find(&map, key));
    assert_ptr_equal(sp__map_find(&map, 1), &value);
    sp__map_fini(&map);
}

static void hashes_of_alike_texts_differ(void **state)
{
    assert_true(sp__hash("a", 1) != sp__hash("b", 1));
    assert_true(sp__hash("a", 1) != sp__hash("a", 2));
    assert_true(sp__hash("", 0) != 0);
    assert_int_equal(sp__hash("session", 7), sp__hash("session", 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_map_has_nothing),
        TEST(what_was_put_is_found_until_taken),
        TEST(it_agrees_with_an_array_under_any_mixture),
        TEST(walking_meets_every_entry_once),
        TEST(without_memory_it_stays_as_it_was),
        TEST(hashes_of_alike_texts_differ),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
