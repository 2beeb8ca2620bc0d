/* SPDX-License-Identifier: MIT */
/* The only readers of the clock. */
#ifndef SP_BASE_CLOCK_H
#define SP_BASE_CLOCK_H

#include <stdint.h>

uint64_t sp__now_us(void);  /* monotonic */
uint64_t sp__now_ms(void);  /* monotonic */
uint64_t sp__boot_ms(void); /* since boot, time of suspension included */
uint64_t sp__cpu_us(void);  /* processor time of this thread */
uint64_t sp__unix_ns(void); /* the wall clock, for showing only */

#endif
