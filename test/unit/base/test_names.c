/* SPDX-License-Identifier: MIT */
/* Named objects: found by name, gone when removed, whatever the bytes of the name. */
#include "base/names.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "snakepit/error.h"

enum { THINGS = 3000 };

struct thing {
    struct name_node node;
    char name[24];
    int seen;
};

static struct thing things[THINGS];

static void put(struct names *names, int i)
{
    struct thing *thing = &things[i];
    int size = snprintf(thing->name, sizeof thing->name, "thing %d", i);
    assert_int_equal(sp__names_put(names, &thing->node, thing->name, (size_t)size), 0);
}

static void what_was_put_is_found_until_removed(void **state)
{
    struct names names = {0};
    assert_null(sp__names_find(&names, "thing 1", 7));
    for (int i = 0; i < THINGS; i++) {
        put(&names, i);
    }
    assert_int_equal(names.length, THINGS);
    for (int i = 0; i < THINGS; i += 2) {
        sp__names_remove(&names, &things[i].node);
    }
    for (int i = 0; i < THINGS; i++) {
        struct name_node *node =
            sp__names_find(&names, things[i].name, strlen(things[i].name));
        assert_ptr_equal(node, i % 2 == 0 ? NULL : &things[i].node);
    }
    sp__names_fini(&names);
}

static void what_has_room_is_put_in_without_memory(void **state)
{
    struct names names = {0};
    sp__mem_fail_at(1, 1);
    assert_int_equal(sp__names_reserve(&names, 100), SP_ERR_NOMEM);
    sp__mem_fail_at(0, 0);
    assert_int_equal(sp__names_reserve(&names, 100), 0);
    sp__mem_fail_at(1, 1);
    for (int i = 0; i < 100; i++) {
        put(&names, i);
    }
    sp__mem_fail_at(0, 0);
    assert_int_equal(names.length, 100);
    sp__names_fini(&names);
}

static void a_walk_meets_each_once(void **state)
{
    struct names names = {0};
    for (int i = 0; i < THINGS; i++) {
        things[i].seen = 0;
        put(&names, i);
    }
    size_t at = 0;
    struct name_node *node = NULL;
    while ((node = sp__names_next(&names, &at, node)) != NULL) {
        ((struct thing *)(void *)node)->seen++;
    }
    for (int i = 0; i < THINGS; i++) {
        assert_int_equal(things[i].seen, 1);
    }
    sp__names_fini(&names);
}

static void names_differ_by_any_byte_and_by_length(void **state)
{
    struct names names = {0};
    struct name_node a = {0};
    struct name_node b = {0};
    struct name_node empty = {0};
    assert_int_equal(sp__names_put(&names, &a, "a\0b", 3), 0);
    assert_int_equal(sp__names_put(&names, &b, "a\0c", 3), 0);
    assert_int_equal(sp__names_put(&names, &empty, "", 0), 0);
    assert_ptr_equal(sp__names_find(&names, "a\0b", 3), &a);
    assert_ptr_equal(sp__names_find(&names, "a\0c", 3), &b);
    assert_ptr_equal(sp__names_find(&names, "", 0), &empty);
    assert_null(sp__names_find(&names, "a", 1));
    assert_null(sp__names_find(&names, "a\0b\0", 4));
    sp__names_fini(&names);
}

static void without_memory_nothing_is_put(void **state)
{
    struct names names = {0};
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__names_put(&names, &things[0].node, "x", 1), SP_ERR_NOMEM);
    sp__mem_fail_at(0, 0);
    assert_int_equal(names.length, 0);
    assert_null(names.buckets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_found_until_removed),
        TEST(what_has_room_is_put_in_without_memory),
        TEST(a_walk_meets_each_once),
        TEST(names_differ_by_any_byte_and_by_length),
        TEST(without_memory_nothing_is_put),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
