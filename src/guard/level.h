/* SPDX-License-Identifier: MIT */
/* Levels of orphan-safety, in words; see level.c. */
#ifndef SP_GUARD_LEVEL_H
#define SP_GUARD_LEVEL_H

#include "guard/process.h"

/* "namespace"; "unknown" for what is no level. */
const char *sp__guard_level_name(int level);

/* As sp__guard_describe_level(). */
int sp__guard_level_describe(const struct guard_process *guard, char *text, size_t max);

/* Overrule both by $SNAKEPIT_GUARD_FORCE, when it is set. SP_ERR_CONFIG. */
int sp__guard_level_forced(int *level, int *require, sp_error *err) SP_MUST_CHECK;

#endif
