/* SPDX-License-Identifier: MIT */
#include "processor.h"

#include <sched.h>

#include "leak.h"

static cpu_set_t before;

static void unbind(void)
{
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

uint32_t processor_bind(pthread_t thread)
{
    cpu_set_t one;
    uint32_t here = (uint32_t)sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(here, &one);
    if (pthread_equal(thread, pthread_self())) {
        assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
        leak_at_end(unbind);
    }
    assert_int_equal(pthread_setaffinity_np(thread, sizeof one, &one), 0);
    return here;
}
