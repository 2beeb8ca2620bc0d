/* SPDX-License-Identifier: MIT */
/*
 * The spans that a record of a call stands for:
 *
 *   server, callback or call      of whoever asked; the whole time
 *     snakepit.queue              until a worker had it
 *     snakepit.dispatch           from then on, over all attempts
 *       client                    the last attempt
 *         server                  in the worker, which says so itself
 *           snakepit.tool         user code: what it asks for is inside that
 *
 * Times never leave those of the span around. Pure.
 */
#ifndef SP_TELEMETRY_SPAN_TREE_H
#define SP_TELEMETRY_SPAN_TREE_H

#include "pool/spans.h"
#include "wire/otlp.h"

enum { SPAN_TREE_MAX = 6, SPAN_TREE_ATTRIBUTES = 12, SPAN_TREE_NAME = 128 };

struct span_tree {
    size_t count;
    struct otlp_span spans[SPAN_TREE_MAX]; /* from the outermost to the innermost */
    struct otlp_attribute attributes[SPAN_TREE_MAX][SPAN_TREE_ATTRIBUTES];
    char names[2][SPAN_TREE_NAME]; /* of those that have the tool's name in theirs */
};

/* `offset_ns`: from the monotonic clock to the wall clock. What it gives borrows from the
 * record and from itself, so it is not copied. */
void sp__span_tree(const struct span_record *record, uint64_t offset_ns,
                   struct span_tree *ret);

#endif
