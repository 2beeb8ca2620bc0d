/* SPDX-License-Identifier: MIT */
/* What a call carries beside its arguments: what a peer on the wire sent, or what a
 * program gave in its options. */
#ifndef SP_WIRE_BINARIES_H
#define SP_WIRE_BINARIES_H

#include "base/buf.h"
#include "snakepit/tensor.h"
#include "wire/proto.h"

struct binaries {
    /* Set before: the arguments, and what came on the wire, which passes as it is. */
    sp_bytes args;
    const struct proto_pair *pairs;
    size_t count;
    /* Set by reading, which puts the tensors into `args` and what was given into
     * `pairs`. */
    size_t bytes;           /* of all values */
    struct proto_pair *own; /* of the program's, or NULL */
    struct sp_buffer text;
};

/* Check what was given; nothing is copied but the arguments when tensors join them.
 * Wants its fini whatever is returned. Errors: SP_ERR_INVAL, SP_ERR_BAD_ARGS, those of
 * sp_tensor_check(), SP_ERR_TOO_BIG, SP_ERR_NOMEM. */
int sp__binaries_read(struct binaries *ret, const sp_binary *given, size_t count,
                      sp_error *err) SP_MUST_CHECK;
void sp__binaries_fini(struct binaries *binaries);

#endif
