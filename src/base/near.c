/* SPDX-License-Identifier: MIT */
/*
 * Nearest names by edit distance (insert, delete, replace, swap of neighbours), ignoring
 * case. A name is near when the distance is at most a third of its length, or when one
 * of the two begins with the other.
 */
#include "base/near.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH_MAX = 64 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static int same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment over three rows. */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    unsigned rows[3][LENGTH_MAX + 1];
    for (unsigned j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b_size; j++) {
            unsigned cost = same(a[i - 1], b[j - 1]) ? 0 : 1;
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
                same(a[i - 2], b[j - 1])) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a_size % 3][b_size];
}

void sp__near_init(struct near *near, const char *wanted)
{
    *near = (struct near){.wanted = wanted};
}

void sp__near_offer(struct near *near, const char *name)
{
    size_t wanted_size = strlen(near->wanted);
    size_t size = strlen(name);
    if (wanted_size > LENGTH_MAX || size > LENGTH_MAX || size == 0) {
        return;
    }
    size_t shorter = size < wanted_size ? size : wanted_size;
    unsigned d = distance(near->wanted, wanted_size, name, size);
    int prefix = shorter >= 3 && strncasecmp(near->wanted, name, shorter) == 0;
    if (d > (size + 2) / 3 && !prefix) {
        return;
    }
    size_t at = near->length < NEAR_MAX ? near->length++ : NEAR_MAX;
    while (at > 0 && near->distances[at - 1] > d) {
        if (at < NEAR_MAX) {
            near->distances[at] = near->distances[at - 1];
            near->names[at] = near->names[at - 1];
        }
        at--;
    }
    if (at < NEAR_MAX) {
        near->distances[at] = d;
        near->names[at] = name;
    }
}

const char *sp__near_text(const struct near *near, char *text, size_t max)
{
    text[0] = '\0';
    size_t used = 0;
    for (size_t i = 0; i < near->length && used < max; i++) {
        int n = snprintf(text + used, max - used, "%s%s",
                         i == 0 ? "; near matches: " : ", ", near->names[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return text;
}
