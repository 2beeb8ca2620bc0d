/* SPDX-License-Identifier: MIT */
/*
 * What a listener wishes to hear: which events, and how many of them. Under smu.
 *
 * A filter lets an event through that no pattern of its `deny` names and, unless it has
 * none, one of its `allow` does. A rate thins what is let through: the rates of the events
 * that its patterns name, the last one first, else the rate of all the others. Patterns
 * are names with '*' for anything and '?' for any one character.
 *
 * A wish that says more than fits is not taken in part: it is not obeyed, because nobody
 * would expect the rest.
 */
#include <string.h>

#include "base/error.h"
#include "base/wildcard.h"
#include "runtime/runtime.h"

/* Ten times a tenth is a little less than one. */
static const double ROUNDING = 1e-9;

void sp__wish_init(struct wish *wish)
{
    *wish = (struct wish){.others = {.rate = 1}};
}

void sp__wish_fini(struct wish *wish)
{
    sp__proto_control_fini(&wish->filter);
    for (size_t i = 0; i < wish->rates_count; i++) {
        sp__proto_control_fini(&wish->rates[i].of);
    }
    wish->rates_count = 0;
}

static void set_rate(struct wish *wish, struct proto_control *control)
{
    if (control->patterns_count == 0) { /* of all: the others are over */
        for (size_t i = 0; i < wish->rates_count; i++) {
            sp__proto_control_fini(&wish->rates[i].of);
        }
        wish->rates_count = 0;
        wish->others = (struct wish_rate){.rate = control->rate};
        sp__proto_control_fini(control);
        return;
    }
    if (wish->rates_count == WISH_RATES_MAX) { /* the oldest gives its place */
        sp__proto_control_fini(&wish->rates[0].of);
        memmove(&wish->rates[0], &wish->rates[1],
                (WISH_RATES_MAX - 1) * sizeof wish->rates[0]);
        wish->rates_count--;
    }
    wish->rates[wish->rates_count++] =
        (struct wish_rate){.of = *control, .rate = control->rate};
}

void sp__wish_take(struct wish *wish, struct proto_control *control)
{
    if (control->patterns_count > WISH_PATTERNS_MAX ||
        control->allow_count > WISH_PATTERNS_MAX ||
        control->deny_count > WISH_PATTERNS_MAX) {
        sp__proto_control_fini(control);
    } else if (control->is_filter) {
        sp__proto_control_fini(&wish->filter);
        wish->filter = *control;
    } else if (control->rate >= 0) {
        set_rate(wish, control);
    } else {
        sp__proto_control_fini(control);
    }
}

int sp__wish_allows(const struct wish *wish, const char *event)
{
    const struct proto_control *filter = &wish->filter;
    return !sp__wildcard_any(filter->deny, filter->deny_count, event) &&
           (filter->allow_count == 0 ||
            sp__wildcard_any(filter->allow, filter->allow_count, event));
}

int sp__wish_samples(struct wish *wish, const char *event)
{
    struct wish_rate *rate = &wish->others;
    for (size_t i = wish->rates_count; i > 0; i--) {
        struct wish_rate *each = &wish->rates[i - 1];
        if (sp__wildcard_any(each->of.patterns, each->of.patterns_count, event)) {
            rate = each;
            break;
        }
    }
    rate->credit += rate->rate;
    if (rate->credit < 1 - ROUNDING) {
        return 0;
    }
    rate->credit -= 1;
    return 1;
}
