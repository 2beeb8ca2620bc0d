/* SPDX-License-Identifier: MIT */
/* `snakepit top` on a terminal, with keys. */
#ifndef SNAKEPIT_CLI_TOP_SCREEN_H
#define SNAKEPIT_CLI_TOP_SCREEN_H

#include "top.h"

/* Take a sample; 0, or an error in `err`. */
typedef int (*top_sampler)(void *user_data, struct top_sample *ret, sp_error *err);

/* What a worker ("pool/3") does this moment, lines of text. Likewise. */
typedef int (*top_stack)(void *user_data, const char *worker, struct text *out,
                         sp_error *err);

struct top_options {
    uint64_t delay_ms;
    int sort; /* TOP_ */
    int with_color;
    top_sampler sampler;
    top_stack stack;
    void *user_data;
};

/* Whether the terminal can place text anywhere; else there is no screen to have. */
int top_screen_is_possible(void);

/* Until the user ends it. An exit code. */
int top_screen_run(const struct top_options *options);

#endif
