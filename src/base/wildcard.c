/* SPDX-License-Identifier: MIT */
/*
 * Wildcards. A '*' first stands for nothing; when what follows does not fit, it takes one
 * character more. Only the last '*' is ever gone back to: what an earlier one would take
 * instead, the last one can take as well.
 */
#include "base/wildcard.h"

int sp__wildcard_fits(const char *pattern, const char *text)
{
    const char *star = NULL, *again = text;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            again = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++again;
        } else {
            return 0;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

int sp__wildcard_any(char *const *patterns, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (sp__wildcard_fits(patterns[i], text)) {
            return 1;
        }
    }
    return 0;
}
