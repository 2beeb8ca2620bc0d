/* SPDX-License-Identifier: MIT */
/* Making a request from what a caller gave: shared by calls and streams, by programs and
 * by clients on the wire. */
#ifndef SP_PIT_ADMIT_H
#define SP_PIT_ADMIT_H

#include "pit/pit.h"
#include "pool/lineage.h"
#include "snakepit/call.h"
#include "wire/proto.h"

struct call_wish {
    const char *tool;
    sp_bytes args_json;
    const sp_call_options *options;
    const char *session; /* overrides the options' when not NULL */
    int streaming;
    int is_asked; /* over a connection: functions of the program may not run here */
    enum request_taker taker;
    const struct proto_pair *binary; /* handed on as they are */
    size_t binary_count;
    const struct proto_pair *metadata;
    size_t metadata_count;
    const struct lineage *lineage; /* who asks for it; NULL: nobody, or the host tool
                                      that runs on this thread */
};

/* Check everything that can be checked here and encode the message. The request is not
 * submitted; drop it twice to give it up. */
int sp__admit(struct sp_pit *pit, const struct call_wish *wish,
              struct request **ret_request, sp_error *err) SP_MUST_CHECK;

#endif
