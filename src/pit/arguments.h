/* SPDX-License-Identifier: MIT */
/* The arguments of a call and what travels beside them, as they are to be sent. */
#ifndef SP_PIT_ARGUMENTS_H
#define SP_PIT_ARGUMENTS_H

#include "pit/admit.h"
#include "wire/binaries.h"

struct arguments {
    sp_bytes json;
    struct binaries binaries;
    uint64_t timeout_ms; /* set before: of the tool; the adapter may know better */
    struct sp_buffer rewritten; /* by the adapter */
};

/*
 * Check them, let the pool's adapter see and rewrite them, and check them against what the
 * tool has announced. `tool` may be NULL: nothing is known of it. Borrows from the wish and
 * its options. Wants its fini whatever is returned.
 *
 * Errors: SP_ERR_TOO_BIG, SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP, SP_ERR_BAD_ARGS, SP_ERR_INVAL,
 * SP_ERR_REFUSED, SP_ERR_NOMEM.
 */
int sp__arguments_read(struct arguments *arguments, const struct pool *pool,
                       const struct tool *tool, const struct call_wish *wish,
                       const sp_call_options *options, sp_error *err) SP_MUST_CHECK;
void sp__arguments_fini(struct arguments *arguments);

#endif
