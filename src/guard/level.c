/* SPDX-License-Identifier: MIT */
/*
 * Levels of orphan-safety in words, and the switch that forces one.
 *
 * A guard goes for the level that is wished and ends up at it or at the next lower one
 * that the machine allows; what stood in the way is put into words here. The environment
 * variable is for tests, which must see every level on a machine that has the highest.
 */
#include "guard/level.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "guard/protocol.h"

static const char *const names[] = {
    [GUARD_LEVEL_LIFELINE] = "lifeline",
    [GUARD_LEVEL_SUBREAPER] = "subreaper",
    [GUARD_LEVEL_CGROUP] = "cgroup",
    [GUARD_LEVEL_NAMESPACE] = "namespace",
};
enum { LEVELS = sizeof names / sizeof names[0] };

static const char *const missed[] = {
    [GUARD_STAGE_SUBREAPER] = "what a worker leaves behind cannot be found",
    [GUARD_STAGE_ENCLOSURE] = "no control group can be made for workers",
    [GUARD_STAGE_NEST_CLONE] = "a PID namespace is not to be had",
    [GUARD_STAGE_NEST_IDS] = "no user can be mapped in a namespace",
    [GUARD_STAGE_NEST_MOUNTS] = "mounts cannot be made private",
    [GUARD_STAGE_NEST_PROC] = "a /proc of its own cannot be mounted",
};
enum { MISSED = sizeof missed / sizeof missed[0] };

static int is_level(int level)
{
    return level > 0 && level < LEVELS && names[level] != NULL;
}

const char *sp__guard_level_name(int level)
{
    return is_level(level) ? names[level] : "unknown";
}

int sp__guard_level_describe(const struct guard_process *guard, char *text, size_t max)
{
    if (guard->level >= guard->wished) {
        return snprintf(text, max, "%s", sp__guard_level_name(guard->level));
    }
    const char *what = NULL;
    if (guard->stage > 0 && guard->stage < MISSED) {
        what = missed[guard->stage];
    }
    const char *why = strerrordesc_np(guard->os_errno);
    return snprintf(text, max, "%s (no %s: %s: %s)", sp__guard_level_name(guard->level),
                    sp__guard_level_name(guard->wished),
                    what != NULL ? what : "the guard does not say why",
                    why != NULL ? why : "unknown errno");
}

int sp__guard_level_forced(int *level, int *require, sp_error *err)
{
    const char *forced = secure_getenv("SNAKEPIT_GUARD_FORCE");
    if (forced == NULL || forced[0] == '\0') {
        return SP_OK;
    }
    for (int i = 0; i < LEVELS; i++) {
        if (is_level(i) && strcmp(forced, names[i]) == 0) {
            *level = i;
            *require = i;
            return SP_OK;
        }
    }
    return sp__fail(err, SP_ERR_CONFIG,
                    "$SNAKEPIT_GUARD_FORCE is \"%.40s\", which is none of lifeline, "
                    "subreaper, cgroup and namespace",
                    forced);
}
