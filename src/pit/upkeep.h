/* SPDX-License-Identifier: MIT */
/* The sessions of a pit: opened with it, cleaned up by its loop, told of as its events. */
#ifndef SP_PIT_UPKEEP_H
#define SP_PIT_UPKEEP_H

#include "pit/pit.h"

/* Before there is a loop: make pit->sessions of a caller's struct of any known size. */
int sp__upkeep_open(struct sp_pit *pit, const sp_sessions_options *options,
                    sp_error *err) SP_MUST_CHECK;
/* When the loop is gone. */
void sp__upkeep_close(struct sp_pit *pit);
/* Loop thread: from now on what is over is cleaned up. */
int sp__upkeep_start(struct sp_pit *pit, sp_error *err) SP_MUST_CHECK;

#endif
