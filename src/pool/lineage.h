/* SPDX-License-Identifier: MIT */
/* Who asked for a call, who asked for that, and so on: from the first to the last. */
#ifndef SP_POOL_LINEAGE_H
#define SP_POOL_LINEAGE_H

#include <stdint.h>

#include "pool/core.h"
#include "pool/trace.h"
#include "snakepit/error.h"

enum { LINEAGE_DEFAULT = 8, LINEAGE_TEXT = 200 };

struct request;

struct lineage {
    uint32_t depth; /* calls in it */
    sp_id calls[CORE_ANCESTORS_MAX];
    uint64_t deadline_ms;          /* the earliest of theirs */
    uint64_t via;                  /* of the host tool that asks, 0: a worker does */
    char chain[LINEAGE_TEXT];      /* their tools, "a > b"; cut in front */
    char trace[TRACE_BYTES];       /* the span that asks; "": it is in no trace */
    const struct carried *carried; /* by what asks, which still has it; or NULL */
};

/* That of what `parent` asks for. */
void sp__lineage_after(struct lineage *ret, const struct request *parent);

/* One more tool behind the others. */
void sp__lineage_add_name(struct lineage *lineage, const char *tool);

/* SP_ERR_RECURSION when a call of `tool` would be one too many. */
int sp__lineage_check(const struct lineage *lineage, const char *tool, uint32_t max,
                      sp_error *err) SP_MUST_CHECK;

#endif
