/* SPDX-License-Identifier: MIT */
/* A pit of Python workers for a benchmark, as a program sees it: public headers only. */
#ifndef BENCH_PIT_H
#define BENCH_PIT_H

#include "snakepit/snakepit.h"

enum { CALLS_MAX = 65536 };

/* End the program with what the library says when rc is an error. */
void check(int rc, const sp_error *err, const char *what);

/* One pool of so many workers, ready. run.py says what they run: the interpreter is
 * BENCH_PYTHON's, the adapter BENCH_ADAPTER's, bench_adapter.py. */
sp_pit *pit_of(uint32_t workers);

/* What such a pool is made of, for programs that want it a little different. */
sp_pool_options pool_of(uint32_t workers);
sp_pit *pit_with(const sp_pool_options *pool);

int worker_pid(sp_pit *pit);

#endif
