/* SPDX-License-Identifier: MIT */
/*
 * A list of spare blocks for each size, in steps of 16 bytes, under one lock.
 *
 * Nobody waits for that lock: it is held for some ten instructions, and who finds it taken
 * goes to the allocator, as those do who find their list empty, or full. (Only who closes
 * all this waits, to empty it.) A block knows its list by the word before it.
 *
 * Tests see no difference: what is kept is not alive, and an allocation that is to fail
 * fails also when a spare block is there. Under AddressSanitizer nothing is kept.
 */
#include "base/spare.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/mem.h"

enum {
    STEP = 16,
    SIZES = 256, /* blocks of n * STEP bytes, for n from 1 */
    LARGE = 0,   /* straight from the allocator */
    KEPT_MAX = 2 << 20,
    KEPT_OF_SIZE_MAX = 256 << 10
};

struct block {
    uint64_t size; /* in steps; LARGE */
    union {
        struct block *next; /* while it is spare */
        uint64_t memory[1];
    };
};

enum { HEAD = offsetof(struct block, memory) };

static struct {
    _Alignas(64) atomic_int is_locked;
    unsigned users;
    size_t kept; /* bytes, of all shelves */
    struct shelf {
        struct block *first;
        size_t kept;
    } shelves[SIZES];
} spares;

static int try_lock(void)
{
    return !atomic_load_explicit(&spares.is_locked, memory_order_relaxed) &&
           !atomic_exchange_explicit(&spares.is_locked, 1, memory_order_acquire);
}

static void lock(void)
{
    while (!try_lock()) {
        (void)sched_yield();
    }
}

static void unlock(void)
{
    atomic_store_explicit(&spares.is_locked, 0, memory_order_release);
}

/* A spare block, or NULL. */
static struct block *find(size_t size)
{
    if (!try_lock()) {
        return NULL;
    }
    struct shelf *shelf = &spares.shelves[size];
    struct block *block = shelf->first;
    if (block != NULL) {
        shelf->first = block->next;
        shelf->kept -= size * STEP;
        spares.kept -= size * STEP;
    }
    unlock();
    return block;
}

/* 1 when it is kept. */
static int keep(struct block *block)
{
    size_t bytes = (size_t)block->size * STEP;
    if (!MEM_MAY_KEEP || block->size == LARGE || !try_lock()) {
        return 0;
    }
    struct shelf *shelf = &spares.shelves[block->size];
    int fits = spares.users > 0 && spares.kept + bytes <= KEPT_MAX &&
               shelf->kept + bytes <= KEPT_OF_SIZE_MAX;
    if (fits) {
        block->next = shelf->first;
        shelf->first = block;
        shelf->kept += bytes;
        spares.kept += bytes;
    }
    unlock();
    return fits;
}

void *sp__spare_take(size_t size)
{
    if (size > SIZE_MAX - HEAD || sp__mem_refuses()) {
        return NULL;
    }
    size_t steps = size <= STEP ? 1 : (size + STEP - 1) / STEP;
    struct block *block = NULL;
    if (steps < SIZES) {
        size = steps * STEP;
        block = find(steps);
    } else {
        steps = LARGE;
    }
    if (block == NULL) {
        block = sp__mem_get(HEAD + size);
        if (block == NULL) {
            return NULL;
        }
        block->size = steps;
    }
    sp__mem_count(1);
    return block->memory;
}

void sp__spare_give(void *memory)
{
    if (memory != NULL) {
        struct block *block = (struct block *)(void *)((char *)memory - HEAD);
        sp__mem_count(-1);
        if (!keep(block)) {
            sp__mem_put(block);
        }
    }
}

void sp__spare_open(void)
{
    lock();
    spares.users++;
    unlock();
}

void sp__spare_close(void)
{
    struct block *spare = NULL;
    lock();
    if (--spares.users == 0) {
        for (size_t i = 0; i < SIZES; i++) {
            while (spares.shelves[i].first != NULL) {
                struct block *block = spares.shelves[i].first;
                spares.shelves[i].first = block->next;
                block->next = spare;
                spare = block;
            }
            spares.shelves[i].kept = 0;
        }
        spares.kept = 0;
    }
    unlock();
    while (spare != NULL) {
        struct block *next = spare->next;
        sp__mem_put(spare);
        spare = next;
    }
}
