/* SPDX-License-Identifier: MIT */
/*
 * A heap of deadlines, smallest key first, four children to a parent.
 *
 * Nodes live inside the objects they time and know their place, so that taking one out
 * costs as little as pushing it. Their keys lie in the heap as well: to find a place nobody
 * looks into objects that are long out of the cache, and the children of one parent lie side
 * by side. Memory is reserved before the objects exist; pushing therefore never fails.
 */
#include "base/heap.h"

#include <assert.h>

#include "base/mem.h"
#include "snakepit/error.h"

static void put(struct heap *heap, size_t at, struct heap_place place)
{
    heap->places[at] = place;
    place.node->at = at + 1;
}

static void sift_up(struct heap *heap, size_t at, struct heap_place place)
{
    while (at > 0) {
        size_t parent = (at - 1) / HEAP_CHILDREN;
        if (heap->places[parent].key <= place.key) {
            break;
        }
        put(heap, at, heap->places[parent]);
        at = parent;
    }
    put(heap, at, place);
}

/* The one with the smallest key, of those from `first` on that have the same parent. */
static size_t smallest_child(const struct heap *heap, size_t first)
{
    size_t end =
        first + HEAP_CHILDREN < heap->length ? first + HEAP_CHILDREN : heap->length;
    size_t smallest = first;
    for (size_t child = first + 1; child < end; child++) {
        if (heap->places[child].key < heap->places[smallest].key) {
            smallest = child;
        }
    }
    return smallest;
}

static void sift_down(struct heap *heap, size_t at, struct heap_place place)
{
    for (;;) {
        size_t child = HEAP_CHILDREN * at + 1;
        if (child >= heap->length) {
            break;
        }
        child = smallest_child(heap, child);
        if (place.key <= heap->places[child].key) {
            break;
        }
        put(heap, at, heap->places[child]);
        at = child;
    }
    put(heap, at, place);
}

void sp__heap_fini(struct heap *heap)
{
    sp__free(heap->places);
    *heap = (struct heap){0};
}

int sp__heap_reserve(struct heap *heap, size_t length)
{
    if (length <= heap->capacity) {
        return SP_OK;
    }
    size_t capacity = heap->capacity < 64 ? 64 : heap->capacity * 2;
    if (capacity < length) {
        capacity = length;
    }
    struct heap_place *places = sp__realloc(heap->places, capacity * sizeof *places);
    if (places == NULL) {
        return SP_ERR_NOMEM;
    }
    heap->places = places;
    heap->capacity = capacity;
    return SP_OK;
}

void sp__heap_push(struct heap *heap, struct heap_node *node, uint64_t key)
{
    assert(node->at == 0 && heap->length < heap->capacity);
    node->key = key;
    heap->length++;
    sift_up(heap, heap->length - 1, (struct heap_place){key, node});
}

void sp__heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->at == 0) {
        return;
    }
    size_t at = node->at - 1;
    struct heap_place last = heap->places[heap->length - 1];
    heap->length--;
    node->at = 0;
    if (last.node == node) {
        return;
    }
    if (at > 0 && heap->places[(at - 1) / HEAP_CHILDREN].key > last.key) {
        sift_up(heap, at, last);
    } else {
        sift_down(heap, at, last);
    }
}

void sp__heap_move(struct heap *heap, struct heap_node *node, uint64_t key)
{
    assert(node->at != 0);
    size_t at = node->at - 1;
    uint64_t old = node->key;
    node->key = key;
    struct heap_place place = {key, node};
    if (key < old) {
        sift_up(heap, at, place);
    } else {
        sift_down(heap, at, place);
    }
}
