/* SPDX-License-Identifier: MIT */
/* The memory of one connection: small blocks are kept and handed out again. */
#ifndef SP_WIRE_H2_MEM_H
#define SP_WIRE_H2_MEM_H

#include <nghttp2/nghttp2.h>

enum { H2_MEM_CLASSES = 16 };

struct h2_mem_block;

/* Zero it; fini it when all that used it is gone. */
struct h2_mem {
    struct h2_mem_block *spare[H2_MEM_CLASSES];
    uint32_t spare_count[H2_MEM_CLASSES];
};

/* A block of zeros, or NULL; and back, NULL is fine. */
void *sp__h2_mem_take(struct h2_mem *mem, size_t size);
void sp__h2_mem_give(struct h2_mem *mem, void *memory);

/* nghttp2's view of it. */
nghttp2_mem sp__h2_mem_of(struct h2_mem *mem);

void sp__h2_mem_fini(struct h2_mem *mem);

#endif
