/* SPDX-License-Identifier: MIT */
/* Letting one allocation after the other fail, until a run needs none that fails. */
#ifndef TEST_SUPPORT_SWEEP_H
#define TEST_SUPPORT_SWEEP_H

#include "pits.h"

/* A run: 0 when it went well, or the code of its failure. */
typedef int (*run_fn)(void *arg);

/* Fail the first, the second ...; `after` puts things right after each. A run may end
 * well, with SP_ERR_NOMEM, or with its worker lost. The second form lets every allocation
 * after the n-th fail, too, until the run has ended. */
void sweep(run_fn run, void (*after)(void *arg), void *arg);
void sweep_sticky(run_fn run, void (*after)(void *arg), void *arg);

/* For `after`: the pit answers, whatever happened to its workers meanwhile. */
void works_again(void *arg);

/* A ready pit of one plain worker. */
sp_pit *open_plain(void);

/* A reply callback that leaves the code of the ending in an int that was 1, and the wait
 * for it. */
void note_end(const sp_reply *reply, void *user_data);
int await_end(sp_pit *pit, const int *end);

#endif
