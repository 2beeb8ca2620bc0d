/* SPDX-License-Identifier: MIT */
/* Which worker a session's call goes to, as the metadata of a call says it. */
#ifndef SP_SERVE_AFFINITY_H
#define SP_SERVE_AFFINITY_H

#include <stddef.h>

#include "snakepit/pool.h"

/* NULL: SP_AFFINITY_DEFAULT, which is not said, or no affinity at all. */
static inline const char *sp__affinity_word(int affinity)
{
    static const char *const words[] = {
        [SP_AFFINITY_HINT] = "hint",
        [SP_AFFINITY_NONE] = "none",
        [SP_AFFINITY_STRICT_QUEUE] = "strict_queue",
        [SP_AFFINITY_STRICT_FAIL_FAST] = "strict_fail_fast",
    };
    return affinity >= 0 && affinity < (int)(sizeof words / sizeof words[0])
               ? words[affinity]
               : NULL;
}

#endif
