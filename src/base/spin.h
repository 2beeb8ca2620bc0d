/* SPDX-License-Identifier: MIT */
/*
 * Looking for news for a moment before sleeping, while that pays.
 *
 * A sleeper is woken some 20 us after its news on a machine whose processors idle; who
 * looks meanwhile has them at once, and takes a processor for it. Where that processor is
 * wanted, by whoever the news are to come from above all, looking makes everything late.
 * So a look in vain is followed by sleeps without one, twice as many each time, and looks
 * that find something bring back the trust.
 */
#ifndef SP_BASE_SPIN_H
#define SP_BASE_SPIN_H

#include <stdint.h>

enum { SPIN_MAX_US = 1000 };

struct spin {
    uint64_t limit_us; /* of one look; 0: never */
    uint32_t distrust; /* sleeps without a look after the next look in vain */
    uint32_t pause;    /* those that are left */
};

void sp__spin_init(struct spin *spin, uint64_t limit_us);

/* Before a sleep: 1 when is_ready(arg) said so in time. */
int sp__spin(struct spin *spin, int (*is_ready)(void *arg), void *arg);

#endif
