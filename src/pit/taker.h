/* SPDX-License-Identifier: MIT */
/*
 * Threads of the program that wait for a request of theirs, whatever the function that
 * they called: each does the loop's work meanwhile when nobody else is at it, runs
 * functions of the program that are due, and asks the program now and then whether it is
 * to go on.
 */
#ifndef SP_PIT_TAKER_H
#define SP_PIT_TAKER_H

#include <stddef.h>

struct request;
struct sp_pit;

/* Submit a request of TAKER_WAITER, and wait until it has ended, or its stream has news. */
void sp__taker_run(struct sp_pit *pit, struct request *request);

/* The same in two steps. The first sees it off, for a taker that comes back soon to wait;
 * the second is also for what was submitted by other means, and first gives so much of a
 * stream's credit back. */
void sp__taker_start(struct sp_pit *pit, struct request *request);
void sp__taker_wait(struct request *request, size_t credit);

#endif
