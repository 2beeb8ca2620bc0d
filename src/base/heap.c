/* SPDX-License-Identifier: MIT */
/*
 * A binary heap of pointers, smallest key first.
 *
 * Nodes live inside the objects they time and know their place, so that taking one out
 * costs as little as pushing it. Memory is reserved before the objects exist; pushing
 * therefore never fails.
 */
#include "base/heap.h"

#include <assert.h>

#include "base/mem.h"
#include "snakepit/error.h"

static void put(struct heap *heap, size_t at, struct heap_node *node)
{
    heap->nodes[at] = node;
    node->at = at + 1;
}

static void sift_up(struct heap *heap, size_t at, struct heap_node *node)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (heap->nodes[parent]->key <= node->key) {
            break;
        }
        put(heap, at, heap->nodes[parent]);
        at = parent;
    }
    put(heap, at, node);
}

static void sift_down(struct heap *heap, size_t at, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->length) {
            break;
        }
        if (child + 1 < heap->length &&
            heap->nodes[child + 1]->key < heap->nodes[child]->key) {
            child++;
        }
        if (node->key <= heap->nodes[child]->key) {
            break;
        }
        put(heap, at, heap->nodes[child]);
        at = child;
    }
    put(heap, at, node);
}

void sp__heap_fini(struct heap *heap)
{
    sp__free(heap->nodes);
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
    struct heap_node **nodes = sp__realloc(heap->nodes, capacity * sizeof *nodes);
    if (nodes == NULL) {
        return SP_ERR_NOMEM;
    }
    heap->nodes = nodes;
    heap->capacity = capacity;
    return SP_OK;
}

void sp__heap_push(struct heap *heap, struct heap_node *node, uint64_t key)
{
    assert(node->at == 0 && heap->length < heap->capacity);
    node->key = key;
    heap->length++;
    sift_up(heap, heap->length - 1, node);
}

void sp__heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->at == 0) {
        return;
    }
    size_t at = node->at - 1;
    struct heap_node *last = heap->nodes[heap->length - 1];
    heap->length--;
    node->at = 0;
    if (last == node) {
        return;
    }
    if (at > 0 && heap->nodes[(at - 1) / 2]->key > last->key) {
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
    if (key < old) {
        sift_up(heap, at, node);
    } else {
        sift_down(heap, at, node);
    }
}
