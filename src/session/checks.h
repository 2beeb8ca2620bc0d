/* SPDX-License-Identifier: MIT */
/* What every text from outside must be before it is kept. */
#ifndef SP_SESSION_CHECKS_H
#define SP_SESSION_CHECKS_H

#include <stddef.h>

#include "snakepit/error.h"

enum { STATE_DEPTH_MAX = 64 }; /* nesting of JSON that is kept */

/* 1 to 255 bytes of UTF-8. `what` is for the message: "session id". */
int sp__check_name(const char *what, const char *name, size_t *ret_size, sp_error *err);

/* A JSON object, or any JSON value, of at most `max` bytes. */
int sp__check_object(const char *what, const char *json, size_t size, size_t max,
                     sp_error *err);
int sp__check_json(const char *what, const char *json, size_t size, size_t max,
                   sp_error *err);

/* The beginning of a text, for messages: at most a few dozen bytes, and "..." when there
 * is more. Ends between characters. */
enum { EXCERPT_MAX = 64 };
struct excerpt {
    char text[EXCERPT_MAX + 4];
};
struct excerpt sp__excerpt(const char *text, size_t size);

#endif
