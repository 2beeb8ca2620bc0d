/* SPDX-License-Identifier: MIT */
/* The threads of a process as the kernel sees them: for one that shows no stacks of its
 * own, and beside them. Any thread. */
#ifndef SP_TELEMETRY_THREADS_H
#define SP_TELEMETRY_THREADS_H

#include <jansson.h>

/* A list with an object for each thread: `tid`, `name`, `state` (a word), `cpu_ms`, and
 * where it can be seen `waits_in` (a function of the kernel), `syscall` (a name, or a
 * number as text) and `kernel_stack`. Empty when there is no such process; NULL without
 * memory. */
json_t *sp__threads_json(int pid);

/* The word for a letter of /proc/PID/stat, "" for one that has none. Pure. */
const char *sp__thread_state(char letter);

#endif
