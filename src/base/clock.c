/* SPDX-License-Identifier: MIT */
/*
 * The clock. Decisions use the monotonic one; the wall clock is for people.
 */
#include "base/clock.h"

#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now); /* cannot fail for these clocks */
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t sp__now_us(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000u;
}

uint64_t sp__now_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t sp__boot_ms(void)
{
    return read_ns(CLOCK_BOOTTIME) / 1000000u;
}

uint64_t sp__cpu_us(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID) / 1000u;
}

uint64_t sp__unix_ns(void)
{
    return read_ns(CLOCK_REALTIME);
}
