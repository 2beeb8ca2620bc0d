/* SPDX-License-Identifier: MIT */
/* Which of the events that workers make are wanted, in the words that they are told. Pure. */
#ifndef SP_WORKER_INTEREST_H
#define SP_WORKER_INTEREST_H

#include "event/herald.h"
#include "wire/proto.h"
#include "worker/controls.h"

enum { INTEREST_MAX = 64 }; /* as many patterns as a worker takes in one list */

struct interest_words {
    const char *at[INTEREST_MAX]; /* borrowed */
    size_t count;
};

struct interest {
    struct interest_words allow; /* none: all that `deny` does not name */
    struct interest_words deny;
    double rate;
    struct interest_words sample; /* what the rate is of; none: of all */
};

/* What handlers want, as far as the program's control has it; NULL: it has said nothing.
 * 0: a worker is to be asked for nothing. */
int sp__interest_of(const struct herald *herald, const struct control *control,
                    struct interest *ret);

/* Not every event that the filter lets through is wanted. */
static inline int sp__interest_is_sampled(const struct interest *interest)
{
    return interest->rate < 1;
}

/* As TelemetryControl messages: the filter; the rate; and that of a worker that has been
 * told none. */
int sp__interest_put_filter(struct sp_buffer *out, const struct interest *interest,
                            sp_error *err) SP_MUST_CHECK;
int sp__interest_put_rate(struct sp_buffer *out, const struct interest *interest,
                          sp_error *err) SP_MUST_CHECK;
int sp__interest_put_full_rate(struct sp_buffer *out, sp_error *err) SP_MUST_CHECK;

#endif
