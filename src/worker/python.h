/* SPDX-License-Identifier: MIT */
/* Where Python is, and where the bridge for it is. */
#ifndef SP_WORKER_PYTHON_H
#define SP_WORKER_PYTHON_H

#include "snakepit/error.h"

/* As sp_interpreter_find() says of Python. */
int sp__python_find(char *path, size_t max, sp_error *err) SP_MUST_CHECK;

/* The folder with snakepit_worker.py: `wanted` when not NULL, $SNAKEPIT_BRIDGE_PATH,
 * beside this library (a build tree), or where it was installed. 0 or SP_ERR_NOT_FOUND. */
int sp__bridge_find(const char *wanted, char *path, size_t max,
                    sp_error *err) SP_MUST_CHECK;

#endif
