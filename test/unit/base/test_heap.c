/* SPDX-License-Identifier: MIT */
/* The heap: the earliest first, under every mixture of pushes, moves and removals. */
#include "base/heap.h"

#include "base/mem.h"
#include "leak.h"
#include "snakepit/error.h"

enum { NODES = 300, STEPS = 30000 };

static uint32_t seed = 12345;

static uint32_t number(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static void check(const struct heap *heap)
{
    for (size_t i = 0; i < heap->length; i++) {
        const struct heap_place *place = &heap->places[i];
        assert_int_equal(place->node->at, i + 1);
        assert_int_equal(place->node->key, place->key);
        assert_true(i == 0 || heap->places[(i - 1) / HEAP_CHILDREN].key <= place->key);
    }
}

static void the_earliest_comes_first(void **state)
{
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {0};
    assert_null(sp__heap_first(&heap));
    assert_int_equal(sp__heap_reserve(&heap, NODES), 0);
    for (int i = 0; i < NODES; i++) {
        sp__heap_push(&heap, &nodes[i], number(1000));
    }
    uint64_t last = 0;
    for (int i = 0; i < NODES; i++) {
        struct heap_node *first = sp__heap_first(&heap);
        assert_true(first->key >= last);
        last = first->key;
        sp__heap_remove(&heap, first);
        assert_int_equal(first->at, 0);
    }
    assert_null(sp__heap_first(&heap));
    sp__heap_fini(&heap);
}

static void it_keeps_its_order_under_any_mixture(void **state)
{
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {0};
    size_t in = 0;
    assert_int_equal(sp__heap_reserve(&heap, NODES), 0);
    for (int step = 0; step < STEPS; step++) {
        struct heap_node *node = &nodes[number(NODES)];
        if (node->at == 0) {
            sp__heap_push(&heap, node, number(500));
            in++;
        } else if (number(2) == 0) {
            sp__heap_move(&heap, node, number(500));
        } else {
            sp__heap_remove(&heap, node);
            in--;
        }
        assert_int_equal(heap.length, in);
        if (step % 100 == 0) {
            check(&heap);
        }
    }
    check(&heap);
    sp__heap_fini(&heap);
}

static void removing_what_is_not_there_is_harmless(void **state)
{
    struct heap heap = {0};
    struct heap_node node = {0};
    sp__heap_remove(&heap, &node);
    assert_int_equal(sp__heap_reserve(&heap, 1), 0);
    sp__heap_push(&heap, &node, 5);
    sp__heap_remove(&heap, &node);
    sp__heap_remove(&heap, &node);
    assert_int_equal(heap.length, 0);
    sp__heap_fini(&heap);
}

static void room_is_reserved_before_it_is_needed(void **state)
{
    struct heap heap = {0};
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__heap_reserve(&heap, 10), SP_ERR_NOMEM);
    assert_int_equal(heap.capacity, 0);
    assert_int_equal(sp__heap_reserve(&heap, 10), 0);
    assert_true(heap.capacity >= 10);
    assert_int_equal(sp__heap_reserve(&heap, 5000), 0);
    assert_true(heap.capacity >= 5000);
    sp__heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_earliest_comes_first),
        TEST(it_keeps_its_order_under_any_mixture),
        TEST(removing_what_is_not_there_is_harmless),
        TEST(room_is_reserved_before_it_is_needed),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
