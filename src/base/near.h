/* SPDX-License-Identifier: MIT */
/* "Did you mean": the names nearest to one that does not exist. */
#ifndef SP_BASE_NEAR_H
#define SP_BASE_NEAR_H

#include <stddef.h>

enum { NEAR_MAX = 3 };

struct near {
    const char *wanted;
    const char *names[NEAR_MAX]; /* the best so far, borrowed */
    unsigned distances[NEAR_MAX];
    size_t length;
};

void sp__near_init(struct near *near, const char *wanted);
void sp__near_offer(struct near *near, const char *name);

/* "; near matches: add, and" into text, or "" when nothing is near. */
const char *sp__near_text(const struct near *near, char *text, size_t max);

#endif
