/* SPDX-License-Identifier: MIT */
/* `snakepit top` on a terminal, with keys. */
#ifndef SNAKEPIT_CLI_TOP_SCREEN_H
#define SNAKEPIT_CLI_TOP_SCREEN_H

#include "top.h"

struct top_options {
    uint64_t delay_ms;
    int sort; /* TOP_ */
    int with_color;
    struct view *view; /* of a daemon */
};

/* Whether the terminal can place text anywhere; else there is no screen to have. */
int top_screen_is_possible(void);

/* Until the user ends it. An exit code. */
int top_screen_run(const struct top_options *options);

#endif
