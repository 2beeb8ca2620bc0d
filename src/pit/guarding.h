/* SPDX-License-Identifier: MIT */
/* The pit's dealings with its guard; see guarding.c. Loop thread of the first lane. */
#ifndef SP_PIT_GUARDING_H
#define SP_PIT_GUARDING_H

#include "pit/pit.h"

/* Open the guard and watch it. SP_ERR_GUARD, SP_ERR_NOMEM, SP_ERR_SYSTEM. */
int sp__pit_open_guard(struct sp_pit *pit, sp_error *err) SP_MUST_CHECK;

/* Take the instance the options name, if any, before there is a loop; the events tell
 * what was ended. Give it back after the loop and the guard. As sp__instance_open(). */
int sp__pit_take_instance(struct sp_pit *pit, const sp_pit_options *options,
                          sp_error *err) SP_MUST_CHECK;
void sp__pit_leave_instance(struct sp_pit *pit);

/* For sp_pit.guard_retry: open it again, and try until it works. */
void sp__pit_reopen_guard(struct timer *timer, uint64_t now_ms);

#endif
