/* SPDX-License-Identifier: MIT */
/* What the tools of workers take: schemas made of what they announce, and arguments
 * checked against them before anything is queued. */
#ifndef SP_PIT_RULES_H
#define SP_PIT_RULES_H

#include "pool/pool.h"
#include "snakepit/pool.h"
#include "wire/binaries.h"
#include "wire/proto.h"

/* Loop thread: of a tool that a worker of this pool announces; NULL when it takes
 * anything, or nothing is to be checked. */
void *sp__rules_learn(const struct pool *pool, const struct proto_tool *spec);
void sp__rules_forget(void *rules);

/* Any thread: SP_ERR_BAD_ARGS, NOMEM. The arguments are valid JSON. */
int sp__rules_check(const struct tool *tool, const struct binaries *binaries,
                    sp_bytes args, sp_error *err) SP_MUST_CHECK;

/* Any thread: 1 when the text is certainly JSON and what the tool takes. */
int sp__rules_take(const struct tool *tool, sp_bytes args);

/* Append the JSON Schema of what was announced. */
int sp__rules_put_schema(struct sp_buffer *out, const sp_tool_parameter *params,
                         size_t count, int with_types, sp_error *err) SP_MUST_CHECK;

#endif
