/* SPDX-License-Identifier: MIT */
/* What a call carries beside its arguments: what a client on the wire sent, or what a
 * program gave in its options. */
#ifndef SP_PIT_BINARIES_H
#define SP_PIT_BINARIES_H

#include "base/buf.h"
#include "pit/admit.h"

struct binaries {
    struct proto_pair *own; /* of the program's, or NULL */
    const struct proto_pair *pairs;
    size_t count;
    size_t bytes; /* of all values */
    struct sp_buffer text;
    sp_bytes args; /* the arguments, with the tensors among them */
};

/* Check what was given; nothing is copied but the arguments when tensors join them.
 * `ret` wants its fini whatever is returned. Errors: SP_ERR_INVAL, SP_ERR_BAD_ARGS, those
 * of sp_tensor_check(), SP_ERR_TOO_BIG, SP_ERR_NOMEM. */
int sp__binaries_read(const struct call_wish *wish, const sp_call_options *options,
                      sp_bytes args, struct binaries *ret, sp_error *err) SP_MUST_CHECK;
void sp__binaries_fini(struct binaries *binaries);

#endif
