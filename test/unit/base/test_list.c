/* SPDX-License-Identifier: MIT */
/* The list: order, length, and links that know where they stand. */
#include "base/list.h"

#include "leak.h"

struct item {
    int number;
    struct link on_list;
};

/* The numbers on a list as one decimal number, checked in both directions. */
static int spell(const struct list *list)
{
    int forward = 0;
    int backward = 0;
    int factor = 1;
    uint32_t length = 0;
    for (struct link *link = list->first; link != NULL; link = link->next) {
        forward = forward * 10 + ITEM(link, struct item, on_list)->number;
        assert_ptr_equal(link->on, list);
        length++;
    }
    for (struct link *link = list->last; link != NULL; link = link->prev) {
        backward += factor * ITEM(link, struct item, on_list)->number;
        factor *= 10;
    }
    assert_int_equal(forward, backward);
    assert_int_equal(length, list->length);
    return forward;
}

static void items_stand_in_the_order_given(void **state)
{
    struct list list = {0};
    struct item items[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    assert_int_equal(spell(&list), 0);
    sp__list_append(&list, &items[1].on_list);
    sp__list_append(&list, &items[2].on_list);
    sp__list_prepend(&list, &items[0].on_list);
    sp__list_append(&list, &items[3].on_list);
    assert_int_equal(spell(&list), 1234);
}

static void an_item_leaves_from_anywhere(void **state)
{
    struct list list = {0};
    struct item items[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    for (int i = 0; i < 4; i++) {
        sp__list_append(&list, &items[i].on_list);
    }
    sp__list_remove(&items[1].on_list);
    assert_int_equal(spell(&list), 134);
    sp__list_remove(&items[0].on_list);
    assert_int_equal(spell(&list), 34);
    sp__list_remove(&items[3].on_list);
    assert_int_equal(spell(&list), 3);
    sp__list_remove(&items[2].on_list);
    assert_int_equal(spell(&list), 0);
    assert_null(list.first);
    assert_null(list.last);
}

static void removing_twice_is_harmless(void **state)
{
    struct list list = {0};
    struct item item = {.number = 7};
    sp__list_remove(&item.on_list);
    sp__list_prepend(&list, &item.on_list);
    sp__list_remove(&item.on_list);
    sp__list_remove(&item.on_list);
    assert_int_equal(list.length, 0);
    sp__list_append(&list, &item.on_list);
    assert_int_equal(spell(&list), 7);
}

static void popping_empties_from_the_front(void **state)
{
    struct list list = {0};
    struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    assert_null(sp__list_pop(&list));
    for (int i = 0; i < 3; i++) {
        sp__list_append(&list, &items[i].on_list);
    }
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(sp__list_pop(&list), &items[i].on_list);
        assert_null(items[i].on_list.on);
    }
    assert_null(sp__list_pop(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(items_stand_in_the_order_given),
        TEST(an_item_leaves_from_anywhere),
        TEST(removing_twice_is_harmless),
        TEST(popping_empties_from_the_front),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
