/* SPDX-License-Identifier: MIT */
/*
 * From what handlers want, and the program's control has, to what a worker is asked for.
 *
 * Events of the table are allowed by their names and aliases. When a handler wants those
 * that have no row (worker.telemetry), names cannot be listed: then what the control allows
 * is allowed, but for the rows that nobody wants. So a worker never makes an event for
 * nobody.
 *
 * A pattern of the control that fits one of a row's names means the row.
 */
#include "worker/interest.h"

#include <assert.h>

#include "base/wildcard.h"

_Static_assert((int)CONTROL_WORDS < (int)INTEREST_MAX, "no room for names of rows");

static void add(struct interest_words *words, const char *word)
{
    assert(words->count < INTEREST_MAX);
    words->at[words->count++] = word;
}

static void add_row(struct interest_words *words, const sp_event_info *row)
{
    add(words, row->name);
    for (size_t i = 0; i < SP_EVENT_ALIASES_MAX && row->aliases[i] != NULL; i++) {
        add(words, row->aliases[i]);
    }
}

static void add_all(struct interest_words *words, const struct control_words *from)
{
    for (size_t i = 0; i < from->count; i++) {
        add(words, from->at[i]);
    }
}

static int means_row(const struct control_words *words, const sp_event_info *row)
{
    int means = sp__wildcard_any(words->at, words->count, row->name);
    for (size_t i = 0; !means && i < SP_EVENT_ALIASES_MAX && row->aliases[i] != NULL;
         i++) {
        means = sp__wildcard_any(words->at, words->count, row->aliases[i]);
    }
    return means;
}

static int has_row(const struct control *control, const sp_event_info *row)
{
    return control == NULL ||
           (!means_row(&control->deny, row) &&
            (control->allow.count == 0 || means_row(&control->allow, row)));
}

/* Those of the table; `others`: of everything else, too, what the control has. */
static void choose_rows(const struct herald *herald, const struct control *control,
                        int others, struct interest *ret)
{
    const sp_event_info *row;
    for (size_t i = 0; (row = sp__event_row_at(i)) != NULL; i++) {
        if (!sp__event_is_workers(row->kind) || row->kind == SP_EVENT_TELEMETRY) {
            continue;
        }
        int is_wanted = sp__herald_wants(herald, row->kind) && has_row(control, row);
        if (others && !is_wanted) {
            add_row(&ret->deny, row);
        } else if (is_wanted && (!others || ret->allow.count > 0)) {
            add_row(&ret->allow, row);
        }
    }
}

static void set_rate(const struct control *control, struct interest *ret)
{
    const sp_event_info *row;
    ret->rate = control->rate;
    add_all(&ret->sample, &control->sample);
    for (size_t i = 0; ret->sample.count > 0 && (row = sp__event_row_at(i)) != NULL;
         i++) {
        if (sp__event_is_workers(row->kind) && means_row(&control->sample, row)) {
            add_row(&ret->sample, row);
        }
    }
}

int sp__interest_of(const struct herald *herald, const struct control *control,
                    struct interest *ret)
{
    int others = sp__herald_wants(herald, SP_EVENT_TELEMETRY);
    ret->allow.count = ret->deny.count = ret->sample.count = 0;
    ret->rate = 1;
    if (control != NULL &&
        (control->is_off || (control->rate <= 0 && control->sample.count == 0))) {
        return 0;
    }
    if (others && control != NULL) {
        add_all(&ret->allow, &control->allow);
        add_all(&ret->deny, &control->deny);
    }
    choose_rows(herald, control, others, ret);
    if (control != NULL) {
        set_rate(control, ret);
    }
    return others || ret->allow.count > 0;
}

/* ---- in the words of the wire ---- */

/* The coder reads them alone. */
static char *const *texts(const struct interest_words *words)
{
    return (char *const *)(uintptr_t)words->at;
}

int sp__interest_put_filter(struct sp_buffer *out, const struct interest *interest,
                            sp_error *err)
{
    return sp__proto_put_control(
        out,
        &(struct proto_control){.enabled = -1,
                                .rate = -1,
                                .is_filter = 1,
                                .allow = texts(&interest->allow),
                                .allow_count = interest->allow.count,
                                .deny = texts(&interest->deny),
                                .deny_count = interest->deny.count},
        err);
}

int sp__interest_put_rate(struct sp_buffer *out, const struct interest *interest,
                          sp_error *err)
{
    return sp__proto_put_control(
        out,
        &(struct proto_control){.enabled = -1,
                                .rate = interest->rate,
                                .patterns = texts(&interest->sample),
                                .patterns_count = interest->sample.count},
        err);
}

int sp__interest_put_full_rate(struct sp_buffer *out, sp_error *err)
{
    return sp__proto_put_control(out, &(struct proto_control){.enabled = -1, .rate = 1},
                                 err);
}
