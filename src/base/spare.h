/* SPDX-License-Identifier: MIT */
/*
 * Memory for what every call needs for a while: what one gives back is kept for the next,
 * on whatever thread that is, so that calls that resemble the last ones allocate nothing.
 *
 * Kept are at most 256 KiB in blocks of one size and 2 MiB in all, and only while it is
 * open.
 */
#ifndef SP_BASE_SPARE_H
#define SP_BASE_SPARE_H

#include <stddef.h>

#include "snakepit/base.h"

/* As sp__malloc(), aligned to 8 bytes only. */
void *sp__spare_take(size_t size) SP_MUST_CHECK;
/* Give back what was taken. NULL is fine. */
void sp__spare_give(void *memory);

/* Keep what is given back from now on, until it has been closed as often as opened. */
void sp__spare_open(void);
void sp__spare_close(void);

#endif
