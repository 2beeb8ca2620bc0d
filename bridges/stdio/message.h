/* SPDX-License-Identifier: MIT */
/* The lines in both directions: README.md has them from the program's side. */
#ifndef STDIO_MESSAGE_H
#define STDIO_MESSAGE_H

#include "base/buf.h"
#include "snakepit/worker.h"

enum reply_kind {
    REPLY_NONE, /* no message of ours: something the program printed */
    REPLY_RESULT,
    REPLY_CHUNK,
    REPLY_END,
    REPLY_ERROR,
    REPLY_TOOLS
};

struct reply { /* borrows from the line */
    enum reply_kind kind;
    uint64_t id; /* 0: it names none */
    sp_bytes value;
};

/* Append the request as a line. */
int message_put_call(struct sp_buffer *out, uint64_t id, const sp_job *job,
                     sp_error *err) SP_MUST_CHECK;

/* What a line is. Never fails: what is no message is REPLY_NONE. */
struct reply message_read(sp_bytes line);

/* What an error's value says; texts are the caller's to free. */
struct failure {
    char *type;
    char *message;
    char *trace;
    char *details; /* JSON */
};
void message_failure(sp_bytes value, struct failure *ret);

/* Register the tools of an answer to "describe". *ret_cancels: it understands "cancel". */
int message_add_tools(sp_worker *worker, sp_bytes line, int *ret_cancels,
                      sp_error *err) SP_MUST_CHECK;

#endif
