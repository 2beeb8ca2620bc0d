/* SPDX-License-Identifier: MIT */
/* Which of the events that workers make are wanted, in the words that they are told. Pure. */
#ifndef SP_WORKER_INTEREST_H
#define SP_WORKER_INTEREST_H

#include "event/herald.h"
#include "wire/proto.h"

enum { INTEREST_MAX = 64 }; /* as many names as a worker takes in a filter's list */

struct interest {
    const char *allow[INTEREST_MAX]; /* none: all that `deny` does not name */
    size_t allow_count;
    const char *deny[INTEREST_MAX];
    size_t deny_count;
};

/* 0: no handler wants any, and a worker is to be asked for none. */
int sp__interest_of(const struct herald *herald, struct interest *ret);
/* As the filter of a TelemetryControl. */
int sp__interest_put(struct sp_buffer *out, const struct interest *interest,
                     sp_error *err) SP_MUST_CHECK;

#endif
