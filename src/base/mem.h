/* SPDX-License-Identifier: MIT */
/* Every allocation of the library goes through here; see mem.c. */
#ifndef SP_BASE_MEM_H
#define SP_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/base.h"

void *sp__malloc(size_t size) SP_MUST_CHECK;
void *sp__calloc(size_t count, size_t size) SP_MUST_CHECK;
void *sp__realloc(void *memory, size_t size) SP_MUST_CHECK;
void sp__release(void *memory); /* not NULL */
static inline void sp__free(void *memory)
{
    if (memory != NULL) { /* often it is, where what may be there is cleared */
        sp__release(memory);
    }
}
char *sp__strdup(const char *text) SP_MUST_CHECK; /* NULL gives NULL */
char *sp__strndup(const char *text, size_t n) SP_MUST_CHECK;

/* For who keeps memory to use it again, in parts. The allocator without counting; what tests
 * count; and whether one wants this allocation to fail. */
void *sp__mem_get(size_t size) SP_MUST_CHECK;
void sp__mem_put(void *memory); /* not NULL */
void sp__mem_count(int change);
int sp__mem_refuses(void);

/* Under AddressSanitizer nothing is to be kept, so that it sees every use after a free. */
#if defined(__SANITIZE_ADDRESS__)
#define MEM_MAY_KEEP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_MAY_KEEP 0
#endif
#endif
#ifndef MEM_MAY_KEEP
#define MEM_MAY_KEEP 1
#endif

/* For tests: how many allocations more are alive than when the first of these was called,
 * and "fail the n-th allocation from here on" (1 is the next; 0 never; `sticky` fails every
 * one after it too). */
int64_t sp__mem_live(void);
void sp__mem_fail_at(uint64_t n, int sticky);
uint64_t sp__mem_calls(void);

#endif
