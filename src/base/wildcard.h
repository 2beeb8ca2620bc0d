/* SPDX-License-Identifier: MIT */
/* Names with '*' for anything and '?' for any one character. Pure. */
#ifndef SP_BASE_WILDCARD_H
#define SP_BASE_WILDCARD_H

#include <stddef.h>

/* 1 when the whole text fits the pattern. A text is read a bounded number of times. */
int sp__wildcard_fits(const char *pattern, const char *text);
/* The same for any of several patterns; 0 when there is none. */
int sp__wildcard_any(char *const *patterns, size_t count, const char *text);

#endif
