/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic over all pools: recycling by memory lets every worker grow to its limit, and
 * while one is replaced two of them stand side by side. Whoever sets the limit should be
 * told when that is more than there is, before the kernel tells it.
 */
#include "pit/sums.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "snakepit/base.h"

#define MIB ((uint64_t)1 << 20)

void sp__memory_add(struct memory_sum *sum, const char *pool, uint32_t workers,
                    uint32_t surge, uint64_t bytes_each)
{
    if (bytes_each == SP_UNLIMITED || bytes_each == 0) {
        return;
    }
    uint64_t count = (uint64_t)workers + surge;
    uint64_t bytes = count > UINT64_MAX / bytes_each ? UINT64_MAX : count * bytes_each;
    sum->bytes = sum->bytes > UINT64_MAX - bytes ? UINT64_MAX : sum->bytes + bytes;
    size_t used = strlen(sum->terms);
    (void)snprintf(sum->terms + used, sizeof sum->terms - used,
                   "%s%s: (%u + %u) x %llu MiB", used > 0 ? ", " : "", pool, workers,
                   surge, (unsigned long long)(bytes_each / MIB));
}

int sp__memory_warn(const struct memory_sum *sum, uint64_t machine_bytes, char *text,
                    size_t max)
{
    if (sum->bytes <= machine_bytes) {
        return 0;
    }
    (void)snprintf(
        text, max,
        "workers may grow to %llu MiB together before they are replaced (%s, "
        "the old ones and their reliefs), this machine has %llu MiB: lower "
        "recycle.memory, recycle.surge or size",
        (unsigned long long)(sum->bytes / MIB), sum->terms,
        (unsigned long long)(machine_bytes / MIB));
    return 1;
}

uint64_t sp__memory_of_machine(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long bytes = sysconf(_SC_PAGESIZE);
    return pages <= 0 || bytes <= 0 ? UINT64_MAX : (uint64_t)pages * (uint64_t)bytes;
}
