/* SPDX-License-Identifier: MIT */
/* A pool's options with every default filled in and every range checked. */
#ifndef SP_POOL_OPTIONS_H
#define SP_POOL_OPTIONS_H

#include "snakepit/pool.h"

/* given may be NULL. The strings stay the caller's. Errors: SP_ERR_CONFIG, naming the
 * pool, the option, the value and the limit. */
int sp__pool_options_fill(const sp_pool_options *given, sp_pool_options *ret,
                          sp_error *err) SP_MUST_CHECK;

/* How many calls a worker may run at once, at most: it may say fewer. */
uint32_t sp__pool_options_capacity(const sp_pool_options *options);

/* Whether an adapter, which may be NULL, has functions of the program. */
int sp__adapter_has_functions(const sp_adapter *adapter);

#endif
