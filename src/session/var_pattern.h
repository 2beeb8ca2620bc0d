/* SPDX-License-Identifier: MIT */
/* Regular expressions that end in bounded time, whatever the pattern and the text. */
#ifndef SP_SESSION_VAR_PATTERN_H
#define SP_SESSION_VAR_PATTERN_H

#include <stddef.h>

#include "snakepit/error.h"

struct pattern;

enum { PATTERN_BYTES_MAX = 1000 };

/* SP_ERR_BAD_VALUE ("pattern [a-: missing terminating ] at 3"), NOMEM. */
int sp__pattern_new(const char *text, size_t size, struct pattern **ret_pattern,
                    sp_error *err);
void sp__pattern_free(struct pattern *pattern);

/* 1 when the pattern is found anywhere in the UTF-8 text, 0 when not. SP_ERR_BAD_VALUE
 * when looking took too many steps, NOMEM. */
int sp__pattern_search(const struct pattern *pattern, const char *text, size_t size,
                       sp_error *err);

/* Length as a reader counts it: what looks like one character is one (grapheme
 * clusters). SP_ERR_NOMEM. */
int sp__grapheme_count(const char *text, size_t size, size_t *ret_count, sp_error *err);

#endif
