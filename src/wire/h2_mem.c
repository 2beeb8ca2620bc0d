/* SPDX-License-Identifier: MIT */
/*
 * The memory of one connection.
 *
 * nghttp2 allocates and frees about a dozen small objects for every call, and a status with
 * more than a number is one too. A connection is used by one thread at a time, so they are
 * kept in lists by size, without locks and without counting each one; one in steady state
 * asks the library's allocator for nothing. What was kept goes back in sp__h2_mem_fini().
 *
 * Under AddressSanitizer nothing is kept.
 */
#include "wire/h2_mem.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

enum {
    CLASS_STEP = 64, /* class n holds blocks of up to (n + 1) * 64 bytes */
    LARGE = H2_MEM_CLASSES,
    SPARE_MAX = 4096 /* blocks kept in each class */
};

struct h2_mem_block {
    struct h2_mem_block *next; /* while it is spare */
    size_t class;              /* LARGE: straight from sp__malloc() */
    max_align_t memory[];
};

static struct h2_mem_block *block_of(void *memory)
{
    return (struct h2_mem_block *)(void *)((char *)memory -
                                           offsetof(struct h2_mem_block, memory));
}

static void *malloc_cb(size_t size, void *user_data)
{
    struct h2_mem *mem = user_data;
    size_t class = size == 0 ? 0 : (size - 1) / CLASS_STEP;
    struct h2_mem_block *block;
    if (!MEM_MAY_KEEP || class >= H2_MEM_CLASSES) {
        class = LARGE;
        if (size > SIZE_MAX - sizeof *block) {
            return NULL;
        }
        block = sp__malloc(sizeof *block + size);
    } else if (mem->spare[class] != NULL) {
        block = mem->spare[class];
        mem->spare[class] = block->next;
        mem->spare_count[class]--;
    } else {
        block = sp__malloc(sizeof *block + (class + 1) * CLASS_STEP);
    }
    if (block == NULL) {
        return NULL;
    }
    block->class = class;
    return block->memory;
}

static void free_cb(void *memory, void *user_data)
{
    struct h2_mem *mem = user_data;
    if (memory == NULL) {
        return;
    }
    struct h2_mem_block *block = block_of(memory);
    size_t class = block->class;
    if (class == LARGE || mem->spare_count[class] >= SPARE_MAX) {
        sp__free(block);
        return;
    }
    block->next = mem->spare[class];
    mem->spare[class] = block;
    mem->spare_count[class]++;
}

static void *calloc_cb(size_t count, size_t size, void *user_data)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *memory = malloc_cb(count * size, user_data);
    if (memory != NULL) {
        memset(memory, 0, count * size);
    }
    return memory;
}

static void *realloc_cb(void *memory, size_t size, void *user_data)
{
    if (memory == NULL) {
        return malloc_cb(size, user_data);
    }
    struct h2_mem_block *block = block_of(memory);
    if (block->class == LARGE) {
        if (size > SIZE_MAX - sizeof *block) {
            return NULL;
        }
        block = sp__realloc(block, sizeof *block + size);
        return block == NULL ? NULL : block->memory;
    }
    size_t room = (block->class + 1) * CLASS_STEP;
    if (size <= room) {
        return memory;
    }
    void *larger = malloc_cb(size, user_data);
    if (larger != NULL) {
        memcpy(larger, memory, room);
        free_cb(memory, user_data);
    }
    return larger;
}

void *sp__h2_mem_take(struct h2_mem *mem, size_t size)
{
    return calloc_cb(1, size, mem);
}

void sp__h2_mem_give(struct h2_mem *mem, void *memory)
{
    free_cb(memory, mem);
}

nghttp2_mem sp__h2_mem_of(struct h2_mem *mem)
{
    return (nghttp2_mem){.mem_user_data = mem,
                         .malloc = malloc_cb,
                         .free = free_cb,
                         .calloc = calloc_cb,
                         .realloc = realloc_cb};
}

void sp__h2_mem_fini(struct h2_mem *mem)
{
    for (size_t class = 0; class < H2_MEM_CLASSES; class ++) {
        while (mem->spare[class] != NULL) {
            struct h2_mem_block *block = mem->spare[class];
            mem->spare[class] = block->next;
            sp__free(block);
        }
        mem->spare_count[class] = 0;
    }
}
