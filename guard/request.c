/* SPDX-License-Identifier: MIT */
/*
 * Reading a spawn request.
 *
 * The host is trusted, yet this is the one place where the guard interprets bytes of
 * variable size, and the guard must outlive every mistake of the host. So the block is
 * checked as if a stranger had written it: counts against the limits before they are
 * added up, every string ended inside the block, nothing left over. The block is
 * sealed, hence what was checked here is what execve() reads later.
 *
 * It touches its arguments only; a fuzz target and a unit test call it directly.
 */
#include "request.h"

#include <errno.h>
#include <string.h>

/* Take the next string of a block that is known to end with NUL, or NULL at its end. */
static char *next(const char **cursor, const char *end)
{
    if (*cursor == end) {
        return NULL;
    }
    char *string = (char *)*cursor; /* execve() wants char *, and changes nothing */
    *cursor += strlen(string) + 1;
    return string;
}

static int check_counts(const struct guard_message *message, size_t size)
{
    if (message->id == 0 || message->argc == 0 || size == 0 ||
        message->block_bytes != size) {
        return EINVAL;
    }
    if (message->argc > GUARD_STRINGS_MAX || message->envc > GUARD_STRINGS_MAX ||
        message->argc + message->envc > GUARD_STRINGS_MAX || size > GUARD_BLOCK_MAX ||
        message->fds > GUARD_FDS_MAX) {
        return E2BIG;
    }
    const struct guard_limits *limits = &message->limits;
    if (limits->nice < 0 || limits->nice > 19 || limits->umask > 0777) {
        return EINVAL;
    }
    return 0;
}

/* Read `count` strings into place and end them with NULL; where the next go, or NULL. */
static char **read_strings(char **at, uint32_t count, const char **cursor,
                           const char *end)
{
    for (uint32_t i = 0; i < count; i++) {
        *at = next(cursor, end);
        if (*at == NULL) {
            return NULL;
        }
        at++;
    }
    *at = NULL;
    return at + 1;
}

int sp__request_parse(const struct guard_message *message, const char *block,
                      size_t size, struct spawn_request *ret)
{
    int wrong = check_counts(message, size);
    if (wrong != 0) {
        return wrong;
    }
    if (block[size - 1] != '\0') {
        return EINVAL;
    }

    const char *cursor = block;
    const char *end = block + size;
    ret->argv = ret->strings;
    ret->env = read_strings(ret->argv, message->argc, &cursor, end);
    if (ret->env == NULL ||
        read_strings(ret->env, message->envc, &cursor, end) == NULL) {
        return EINVAL;
    }
    ret->limits = message->limits;
    ret->working_dir = next(&cursor, end);
    if (ret->working_dir == NULL || cursor != end || ret->argv[0][0] != '/') {
        return EINVAL;
    }
    return 0;
}
