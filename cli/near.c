/* SPDX-License-Identifier: MIT */
/*
 * "Did you mean": the nearest of some words by edit distance (insert, delete, replace),
 * ignoring case. A word is near when it differs in at most a third of its letters, or
 * begins with what was written.
 */
#include "cli.h"

#include <ctype.h>
#include <string.h>

enum { LENGTH_MAX = 48 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Wagner and Fischer's table, one row at a time. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[LENGTH_MAX + 1];
    size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < b_length; j++) {
            unsigned above = row[j + 1];
            int differ =
                tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]) ? 1 : 0;
            row[j + 1] = least(least(above, row[j]) + 1, diagonal + (unsigned)differ);
            diagonal = above;
        }
    }
    return row[b_length];
}

void nearest_init(struct nearest *nearest, const char *wanted)
{
    *nearest = (struct nearest){.wanted = wanted, .distance = 1000};
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t length = strlen(nearest->wanted);
    if (length == 0 || length > LENGTH_MAX || strlen(name) > LENGTH_MAX) {
        return;
    }
    unsigned d = distance(nearest->wanted, name);
    int is_prefix = length >= 2 && strncasecmp(nearest->wanted, name, length) == 0;
    if ((d <= (strlen(name) + 2) / 3 || is_prefix) && d < nearest->distance) {
        nearest->distance = d;
        nearest->name = name;
    }
}
