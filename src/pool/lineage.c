/* SPDX-License-Identifier: MIT */
/*
 * Lineages: calls that ask for calls.
 *
 * A lineage is a copy, so that nothing in it can be gone: the ids find nothing when their
 * calls are over, and the names are for messages only. But for what goes along, which is
 * copied at once by whoever keeps a lineage.
 */
#include "pool/lineage.h"

#include <string.h>

#include "base/error.h"
#include "pool/request.h"

void sp__lineage_add_name(struct lineage *lineage, const char *tool)
{
    static const char arrow[] = " > ";
    size_t used = strlen(lineage->chain);
    size_t size = strlen(tool);
    size_t arrow_size = used == 0 ? 0 : sizeof arrow - 1;
    if (size > LINEAGE_TEXT / 4) {
        size = LINEAGE_TEXT / 4;
    }
    size_t more = arrow_size + size + 1;
    if (used + more > LINEAGE_TEXT) {
        /* The nearest ones say most. */
        size_t cut = used + more - LINEAGE_TEXT;
        memmove(lineage->chain, lineage->chain + cut, used - cut + 1);
        memcpy(lineage->chain, "...", 3);
        used -= cut;
    }
    memcpy(lineage->chain + used, arrow, arrow_size);
    memcpy(lineage->chain + used + arrow_size, tool, size);
    lineage->chain[used + arrow_size + size] = '\0';
}

void sp__lineage_after(struct lineage *ret, const struct request *parent)
{
    if (parent->lineage != NULL) {
        *ret = *parent->lineage;
    } else {
        *ret = (struct lineage){.deadline_ms = SP_UNLIMITED};
    }
    ret->via = 0;
    if (ret->depth < CORE_ANCESTORS_MAX) {
        ret->calls[ret->depth++] = parent->id;
    }
    if (parent->deadline_ms < ret->deadline_ms) {
        ret->deadline_ms = parent->deadline_ms;
    }
    memcpy(ret->trace, parent->trace, strlen(parent->trace) + 1);
    ret->carried = parent->carried;
    sp__lineage_add_name(ret, parent->tool_name);
}

int sp__lineage_check(const struct lineage *lineage, const char *tool, uint32_t max,
                      sp_error *err)
{
    if (lineage->depth < max) {
        return SP_OK;
    }
    return sp__fail(err, SP_ERR_RECURSION,
                    "%s > %.64s: %u calls wait for each other already, as many as may "
                    "(nesting_max)",
                    lineage->chain, tool, lineage->depth);
}
