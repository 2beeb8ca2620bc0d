/* SPDX-License-Identifier: MIT */
/* What the settings add up to: memory of old and new workers together. Pure. */
#ifndef SP_PIT_SUMS_H
#define SP_PIT_SUMS_H

#include <stddef.h>
#include <stdint.h>

struct memory_sum {
    uint64_t bytes;
    char terms[160]; /* "a: (4 + 1) x 1024 MiB, b: ..." */
};

/* One pool: its workers and those that replace them, each as large as it may become
 * before it is replaced (SP_UNLIMITED: not known, and not counted). */
void sp__memory_add(struct memory_sum *sum, const char *pool, uint32_t workers,
                    uint32_t surge, uint64_t bytes_each);

/* 1 with the sentence when the sum is more than the machine has, else 0. */
int sp__memory_warn(const struct memory_sum *sum, uint64_t machine_bytes, char *text,
                    size_t max);

/* Of this machine. */
uint64_t sp__memory_of_machine(void);

#endif
