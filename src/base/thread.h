/* SPDX-License-Identifier: MIT */
/* Starting threads in a process that is not ours. Any thread. */
#ifndef SP_BASE_THREAD_H
#define SP_BASE_THREAD_H

#include <pthread.h>

/* As pthread_create(): 0, or the error's number. The program's signals are the program's:
 * the thread takes none. attr  or NULL. */
int sp__thread_start(pthread_t *ret_thread, const pthread_attr_t *attr,
                     void *(*main)(void *user), void *user);

#endif
