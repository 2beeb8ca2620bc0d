/* SPDX-License-Identifier: MIT */
/*
 * Poison: calls that are like one which has ended too many workers, by the fingerprints of
 * their tool and arguments. Each is remembered for a while; when there are too many, the one
 * that has been known longest is forgotten.
 */
#include <string.h>

#include "pool/core_internal.h"

static struct core_fingerprint *find_fingerprint(struct core *core, uint64_t value)
{
    for (uint32_t i = 0; value != 0 && i < core->poison_count; i++) {
        if (core->poison[i].value == value) {
            return &core->poison[i];
        }
    }
    return NULL;
}

static void forget_fingerprints(struct core *core, uint64_t now_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < core->poison_count; i++) {
        if (core->poison[i].until_ms > now_ms) {
            core->poison[kept++] = core->poison[i];
        }
    }
    core->poison_count = kept;
}

void sp__core_note_death(struct core *core, const struct core_call *call,
                         uint64_t now_ms)
{
    if (core->options.poison_block_ms == 0 || call->fingerprint == 0) {
        return;
    }
    forget_fingerprints(core, now_ms);
    struct core_fingerprint *found = find_fingerprint(core, call->fingerprint);
    if (found == NULL) {
        if (core->poison_count == CORE_FINGERPRINTS) {
            memmove(core->poison, core->poison + 1,
                    (CORE_FINGERPRINTS - 1) * sizeof core->poison[0]);
            core->poison_count--;
        }
        found = &core->poison[core->poison_count++];
        *found = (struct core_fingerprint){.value = call->fingerprint};
    }
    found->deaths++;
    found->until_ms = now_ms + core->options.poison_block_ms;
}

int sp__core_is_poison(struct core *core, const struct core_call *call, uint64_t now_ms)
{
    forget_fingerprints(core, now_ms);
    struct core_fingerprint *found = find_fingerprint(core, call->fingerprint);
    return found != NULL && found->deaths >= core->options.poison_deaths;
}
