/* SPDX-License-Identifier: MIT */
/* Between zygote.c, which has the zygote, and newborn.c, which makes its workers. */
#ifndef SP_RUNTIME_ZYGOTE_H
#define SP_RUNTIME_ZYGOTE_H

#include <stddef.h>
#include <sys/types.h>

#include "snakepit/zygote.h"
#include "wire/zygote.h"

enum {
    NEWBORN_FDS = 9 /* the numbers below are a worker's own */
};

struct sp_zygote {
    sp_zygote_options options;
    char *runtime;
    int host_fd;
    int guard_fd;
    int kept[NEWBORN_FDS]; /* open on nothing, so that nothing else gets the numbers */
    int kept_count;
    char *block; /* in a worker: its variables, */
    const char **variables;
};

/* One request of the guard. */
struct newborn {
    struct zygote_request request;
    int fds[ZYGOTE_FDS_MAX]; /* the first is the status pipe */
    size_t fds_count;
};

/* In the worker: become the guard's, with everything a worker has, when a byte comes
 * through the gate. Ends the process when that fails. */
void sp__newborn_tie(struct sp_zygote *z, struct newborn *newborn, const int gate[2]);

/* A word on the status pipe. */
void sp__newborn_say(const struct newborn *newborn, int stage, int value);

/* In the worker: nothing of the zygote's is open any more. */
void sp__zygote_let_go(struct sp_zygote *z);

#endif
