/* SPDX-License-Identifier: MIT */
/*
 * Starting threads. A thread begins with the signal mask of who starts it, so all signals
 * are blocked for the moment of the start; one that comes then waits.
 */
#include "base/thread.h"

#include <signal.h>
#include <stddef.h>

int sp__thread_start(pthread_t *ret_thread, const pthread_attr_t *attr,
                     void *(*main)(void *user), void *user)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(ret_thread, attr, main, user);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}
