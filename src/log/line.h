/* SPDX-License-Identifier: MIT */
/* A line in the making: text in memory of a fixed size, cut where it is full. */
#ifndef SP_LOG_LINE_H
#define SP_LOG_LINE_H

#include <stddef.h>

#include "snakepit/base.h"

struct line {
    char *text; /* not terminated */
    size_t size;
    size_t max;
};

void sp__line_put(struct line *line, const char *format, ...) SP_PRINTF(2, 3);
void sp__line_bytes(struct line *line, const char *bytes, size_t size);

/* As it is where that is one word, else between quotes; bytes that are no UTF-8 become
 * U+FFFD, control bytes \xNN. Whole or, when it is long, with "..." at its end. */
void sp__line_logfmt(struct line *line, const char *text);

/* A JSON string, cut at a character when the line is full. */
void sp__line_json(struct line *line, const char *text);

/* Text for people on one line: control bytes are '?'. */
void sp__line_plain(struct line *line, const char *text);

#endif
