/* SPDX-License-Identifier: MIT */
/* A heap of deadlines: the earliest is found at once, any can be taken out. */
#ifndef SP_BASE_HEAP_H
#define SP_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

enum { HEAP_CHILDREN = 4 }; /* of the node at n: from HEAP_CHILDREN * n + 1 on */

struct heap_node {
    uint64_t key;
    size_t at; /* place in the heap + 1; 0: not in it */
};

struct heap_place {
    uint64_t key; /* the node's */
    struct heap_node *node;
};

struct heap {
    struct heap_place *places;
    size_t length;
    size_t capacity;
};

void sp__heap_fini(struct heap *heap);

/* Room for `length` nodes, so that a later push of as many cannot fail. 0 or NOMEM. */
int sp__heap_reserve(struct heap *heap, size_t length);

/* The node must not be in it, and there must be room. */
void sp__heap_push(struct heap *heap, struct heap_node *node, uint64_t key);
void sp__heap_remove(struct heap *heap, struct heap_node *node); /* fine when not in */
void sp__heap_move(struct heap *heap, struct heap_node *node, uint64_t key);

/* The earliest, or NULL. */
static inline struct heap_node *sp__heap_first(const struct heap *heap)
{
    return heap->length == 0 ? NULL : heap->places[0].node;
}

#endif
