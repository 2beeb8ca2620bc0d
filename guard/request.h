/* SPDX-License-Identifier: MIT */
/* A spawn request's bytes -> argv, environment, directory. Pure; see request.c. */
#ifndef SP_GUARD_REQUEST_H
#define SP_GUARD_REQUEST_H

#include <stddef.h>

#include "guard/protocol.h"

/* What execve() needs, borrowed from the block it was read from. */
struct spawn_request {
    char *strings[GUARD_STRINGS_MAX + 2]; /* argv, NULL, environment, NULL */
    char **argv; /* argv[0] is an absolute path: what is executed */
    char **env;
    const char *working_dir; /* "" stays where the guard is */
    struct guard_limits limits;
};

/* Fill *ret from `size` bytes of block. 0, or the errno that describes what is wrong:
 * EINVAL (not what protocol.h says) or E2BIG (over one of its limits). */
int sp__request_parse(const struct guard_message *message, const char *block,
                      size_t size, struct spawn_request *ret);

#endif
