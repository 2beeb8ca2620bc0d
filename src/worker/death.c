/* SPDX-License-Identifier: MIT */
/*
 * A death certificate: one block of memory with the facts and every text they point to.
 *
 * It never changes once it is made, so the loop keeps it in its pool's ring while other
 * threads read it; the last one to drop it frees it. Without memory for one the death is
 * told without it.
 */
#include "worker/death.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"

struct death {
    atomic_uint references;
    sp_death facts;
    sp_death_call calls[]; /* then the steps, then the texts */
};

/* Copy a text to *at and move *at behind it. NULL becomes "". */
static const char *place(char **at, const char *text)
{
    char *begin = *at;
    size_t bytes = text == NULL ? 0 : strlen(text);
    if (bytes > 0) {
        memcpy(begin, text, bytes);
    }
    begin[bytes] = '\0';
    *at += bytes + 1;
    return begin;
}

static size_t bytes_of(const char *text)
{
    return text == NULL ? 1 : strlen(text) + 1;
}

struct death *sp__death_new(const sp_death *facts)
{
    size_t bytes = sizeof(struct death) + facts->calls_count * sizeof(sp_death_call) +
                   facts->steps_count * sizeof(sp_death_step) + bytes_of(facts->pool) +
                   bytes_of(facts->message) + bytes_of(facts->last_lines) +
                   bytes_of(facts->evidence) + bytes_of(facts->stack);
    for (size_t i = 0; i < facts->calls_count; i++) {
        bytes += bytes_of(facts->calls[i].tool) + bytes_of(facts->calls[i].request_id);
    }
    struct death *death = sp__malloc(bytes);
    if (death == NULL) {
        return NULL;
    }
    sp_death_step *steps = (sp_death_step *)(void *)(death->calls + facts->calls_count);
    char *at = (char *)(steps + facts->steps_count);
    atomic_init(&death->references, 1);
    death->facts = *facts;
    for (size_t i = 0; i < facts->calls_count; i++) {
        death->calls[i] = facts->calls[i];
        death->calls[i].tool = place(&at, facts->calls[i].tool);
        death->calls[i].request_id = place(&at, facts->calls[i].request_id);
    }
    for (size_t i = 0; i < facts->steps_count; i++) {
        steps[i] = facts->steps[i];
    }
    death->facts.calls = death->calls;
    death->facts.steps = steps;
    death->facts.evidence = place(&at, facts->evidence);
    death->facts.stack = place(&at, facts->stack);
    death->facts.pool = place(&at, facts->pool);
    death->facts.message = place(&at, facts->message);
    death->facts.last_lines = place(&at, facts->last_lines);
    return death;
}

struct death *sp__death_hold(struct death *death)
{
    if (death != NULL) {
        atomic_fetch_add_explicit(&death->references, 1, memory_order_relaxed);
    }
    return death;
}

void sp__death_drop(struct death *death)
{
    if (death != NULL &&
        atomic_fetch_sub_explicit(&death->references, 1, memory_order_acq_rel) == 1) {
        sp__free(death);
    }
}

const sp_death *sp__death_facts(const struct death *death)
{
    return &death->facts;
}

SP_API const char *sp_death_name(int why)
{
    static const struct {
        int why;
        const char *name;
    } names[] = {
        {SP_DEATH_CRASHED, "crashed"},     {SP_DEATH_KILLED, "killed"},
        {SP_DEATH_STOPPED, "stopped"},     {SP_DEATH_OUT_OF_MEMORY, "out_of_memory"},
        {SP_DEATH_RECYCLED, "recycled"},   {SP_DEATH_REFUSED, "refused"},
        {SP_DEATH_TOO_SLOW, "too_slow"},   {SP_DEATH_LOST, "lost"},
        {SP_DEATH_PROTOCOL, "protocol"},   {SP_DEATH_HUNG, "hung"},
        {SP_DEATH_STUCK, "stuck"},         {SP_DEATH_GUARD, "guard"},
        {SP_DEATH_CANCELLED, "cancelled"}, {SP_DEATH_OPERATOR, "operator"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].why == why) {
            return names[i].name;
        }
    }
    return "unknown";
}
