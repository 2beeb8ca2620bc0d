/* SPDX-License-Identifier: MIT */
/* Looks are timed by the clock and not by counting: a look may be a system call. */
#include "base/spin.h"

#include "base/clock.h"

enum { DISTRUST_MIN = 4, DISTRUST_MAX = 1024, FORGIVEN = 4 };

void sp__spin_init(struct spin *spin, uint64_t limit_us)
{
    *spin = (struct spin){.limit_us = limit_us, .distrust = DISTRUST_MIN};
}

/* Tell the processor that this is a loop of waiting. */
static void breathe(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

int sp__spin(struct spin *spin, int (*is_ready)(void *arg), void *arg)
{
    if (spin->limit_us == 0) {
        return 0;
    }
    if (spin->pause > 0) {
        spin->pause--;
        return 0;
    }
    uint64_t end_us = sp__now_us() + spin->limit_us;
    do {
        if (is_ready(arg)) {
            spin->distrust = spin->distrust / FORGIVEN > DISTRUST_MIN
                                 ? spin->distrust / FORGIVEN
                                 : DISTRUST_MIN;
            return 1;
        }
        breathe();
    } while (sp__now_us() < end_us);
    spin->pause = spin->distrust;
    spin->distrust = spin->distrust < DISTRUST_MAX ? spin->distrust * 2 : DISTRUST_MAX;
    return 0;
}
