/* SPDX-License-Identifier: MIT */
/* A pit of Python workers for a benchmark, as a program sees it: public headers only. */
#ifndef BENCH_PIT_H
#define BENCH_PIT_H

#include "snakepit/snakepit.h"

enum { CALLS_MAX = 65536 };

/* End the program with what the library says when rc is an error. */
void check(int rc, const sp_error *err, const char *what);

/* One pool of so many workers, ready; the interpreter is BENCH_PYTHON's, and the adapter,
 * when it is NULL, BENCH_ADAPTER's: one whose `add` is what all peers run, no more. */
sp_pit *pit_of(uint32_t workers, const char *adapter);

/* What such a pool is made of, for programs that want it a little different. */
sp_pool_options pool_of(uint32_t workers, const char *adapter);
sp_pit *pit_with(const sp_pool_options *pool);

int worker_pid(sp_pit *pit);

#endif
