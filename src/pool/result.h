/* SPDX-License-Identifier: MIT */
/* What a call brings: an sp_result, which sp_result_clear() empties. */
#ifndef SP_POOL_RESULT_H
#define SP_POOL_RESULT_H

#include "snakepit/call.h"

/* Copy into it, in place of what it has. SP_ERR_NOMEM: it has that still. The JSON gets a
 * NUL behind it. */
int sp__result_copy_json(sp_result *result, sp_bytes json) SP_MUST_CHECK;
/* The same for one that has no binary. Of no bytes there is none afterwards either. */
int sp__result_copy_binary(sp_result *result, sp_bytes binary) SP_MUST_CHECK;

/* Release JSON and binary; the facts about the call stay. */
void sp__result_drop_data(sp_result *result);

#endif
