/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the library.
 *
 * One place so that the embedder can bring an allocator (sp_set_allocator), so that a
 * test can count what is alive and so that it can make the n-th allocation fail. Nothing is
 * counted before a test asks: a counter that all threads write costs more than the memory.
 * The counters are relaxed atomics, exact when nobody allocates.
 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "snakepit/error.h"

enum { HUGE_BYTES = 2 << 20, ADVISE_BYTES = 4 << 20 };

static void *(*malloc_fn)(size_t) = malloc;
static void *(*realloc_fn)(void *, size_t) = realloc;
static void (*free_fn)(void *) = free;

static atomic_int_least64_t live;
static atomic_uint_least64_t fail_countdown; /* 0: never; 1: the next one */
static atomic_uint_least64_t calls;
static atomic_bool fail_sticky;
static atomic_bool watching; /* a test has asked for any of these */

SP_API int sp_set_allocator(void *(*new_malloc)(size_t),
                            void *(*new_realloc)(void *, size_t),
                            void (*new_free)(void *))
{
    if (new_malloc == NULL || new_realloc == NULL || new_free == NULL) {
        return SP_ERR_INVAL;
    }
    malloc_fn = new_malloc;
    realloc_fn = new_realloc;
    free_fn = new_free;
    return SP_OK;
}

static inline int is_watched(void)
{
    return atomic_load_explicit(&watching, memory_order_relaxed);
}

/* 1 when a test wants this allocation to fail. */
static int must_fail(void)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    uint64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left != 0) {
        uint64_t next = left - 1;
        if (left == 1 && atomic_load_explicit(&fail_sticky, memory_order_relaxed)) {
            return 1;
        }
        if (atomic_compare_exchange_weak(&fail_countdown, &left, next)) {
            return left == 1;
        }
    }
    return 0;
}

/* Much memory is asked of the kernel in huge pages: to fault in 64 MB by small ones takes
 * longer than to fill it. Only an advice. */
static void advise(void *memory, size_t size)
{
    uintptr_t from =
        ((uintptr_t)memory + HUGE_BYTES - 1) & ~(uintptr_t)(HUGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(HUGE_BYTES - 1);
    if (from < end) {
        (void)madvise((void *)from, end - from, MADV_HUGEPAGE);
    }
}

int sp__mem_refuses(void)
{
    return is_watched() && must_fail();
}

void sp__mem_count(int change)
{
    if (is_watched()) {
        atomic_fetch_add_explicit(&live, change, memory_order_relaxed);
    }
}

void *sp__mem_get(size_t size)
{
    void *memory = malloc_fn(size == 0 ? 1 : size);
    if (memory != NULL && size >= ADVISE_BYTES) {
        advise(memory, size);
    }
    return memory;
}

void sp__mem_put(void *memory)
{
    free_fn(memory);
}

void *sp__malloc(size_t size)
{
    void *memory = sp__mem_refuses() ? NULL : sp__mem_get(size);
    if (memory != NULL) {
        sp__mem_count(1);
    }
    return memory;
}

void *sp__calloc(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *memory = sp__malloc(count * size);
    if (memory != NULL) {
        memset(memory, 0, count * size);
    }
    return memory;
}

void *sp__realloc(void *memory, size_t size)
{
    if (memory == NULL) {
        return sp__malloc(size);
    }
    return sp__mem_refuses() ? NULL : realloc_fn(memory, size == 0 ? 1 : size);
}

void sp__release(void *memory)
{
    sp__mem_count(-1);
    sp__mem_put(memory);
}

char *sp__strndup(const char *text, size_t n)
{
    char *copy = sp__malloc(n + 1);
    if (copy != NULL) {
        memcpy(copy, text, n);
        copy[n] = '\0';
    }
    return copy;
}

char *sp__strdup(const char *text)
{
    return text == NULL ? NULL : sp__strndup(text, strlen(text));
}

int64_t sp__mem_live(void)
{
    atomic_store(&watching, 1);
    return atomic_load(&live);
}

void sp__mem_fail_at(uint64_t n, int sticky)
{
    atomic_store(&fail_sticky, sticky != 0);
    atomic_store(&fail_countdown, n);
    atomic_store(&watching, 1);
}

uint64_t sp__mem_calls(void)
{
    atomic_store(&watching, 1);
    return atomic_load(&calls);
}
