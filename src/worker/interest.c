/* SPDX-License-Identifier: MIT */
/*
 * From what handlers want to the filter that a worker is given.
 *
 * Events of the table are allowed by their names and aliases. When a handler wants those
 * that have no row (worker.telemetry), names cannot be listed: then all is allowed but the
 * rows that nobody wants. So a worker never makes an event for nobody.
 */
#include "worker/interest.h"

#include <assert.h>

static void add(const char *list[INTEREST_MAX], size_t *count, const char *name)
{
    assert(*count < INTEREST_MAX);
    list[(*count)++] = name;
}

static void add_row(const char *list[INTEREST_MAX], size_t *count,
                    const sp_event_info *row)
{
    add(list, count, row->name);
    for (size_t i = 0; i < SP_EVENT_ALIASES_MAX && row->aliases[i] != NULL; i++) {
        add(list, count, row->aliases[i]);
    }
}

int sp__interest_of(const struct herald *herald, struct interest *ret)
{
    int others = sp__herald_wants(herald, SP_EVENT_TELEMETRY);
    const sp_event_info *row;
    ret->allow_count = 0;
    ret->deny_count = 0;
    for (size_t i = 0; (row = sp__event_row_at(i)) != NULL; i++) {
        if (!sp__event_is_workers(row->kind) || row->kind == SP_EVENT_TELEMETRY) {
            continue;
        }
        if (!sp__herald_wants(herald, row->kind)) {
            if (others) {
                add_row(ret->deny, &ret->deny_count, row);
            }
        } else if (!others) {
            add_row(ret->allow, &ret->allow_count, row);
        }
    }
    return others || ret->allow_count > 0;
}

/* The coder reads them alone. */
static char *const *as_texts(const char *const *list)
{
    return (char *const *)(uintptr_t)list;
}

int sp__interest_put(struct sp_buffer *out, const struct interest *interest,
                     sp_error *err)
{
    return sp__proto_put_control(
        out,
        &(struct proto_control){.enabled = -1,
                                .rate = -1,
                                .is_filter = 1,
                                .allow = as_texts(interest->allow),
                                .allow_count = interest->allow_count,
                                .deny = as_texts(interest->deny),
                                .deny_count = interest->deny_count},
        err);
}
