/* SPDX-License-Identifier: MIT */
/* Options structs of callers that were compiled against another version. */
#ifndef SP_BASE_OPTIONS_H
#define SP_BASE_OPTIONS_H

#include <stddef.h>

#include "snakepit/error.h"

/* Copy what the caller's struct has of ours into `full`, which is zeroed; nothing when
 * `options` is NULL. Its first member is its size; SP_ERR_INVAL when that is nonsense. */
int sp__take_options(const char *what, const void *options, void *full,
                     size_t full_size, sp_error *err) SP_MUST_CHECK;

#endif
