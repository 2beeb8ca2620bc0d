/* SPDX-License-Identifier: MIT */
/* The pit's dealings with its guard; see guarding.c. Loop thread. */
#ifndef SP_PIT_GUARDING_H
#define SP_PIT_GUARDING_H

#include "pit/pit.h"

/* Open the guard and watch it. SP_ERR_GUARD, SP_ERR_NOMEM, SP_ERR_SYSTEM. */
int sp__pit_open_guard(struct sp_pit *pit, sp_error *err) SP_MUST_CHECK;

/* For sp_pit.guard_retry: open it again, and try until it works. */
void sp__pit_reopen_guard(struct timer *timer, uint64_t now_ms);

#endif
