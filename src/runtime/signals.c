/* SPDX-License-Identifier: MIT */
/*
 * SIGTERM and SIGINT as the wish that a worker end in good order.
 *
 * A process has one such worker at most. The handler runs wherever a signal strikes, so
 * all it does is sp_worker_stop(); a second signal has the effect it would have had. On
 * the stack for signals where there is one: Ruby's fibers have small stacks.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <signal.h>

static struct {
    _Atomic(sp_worker *) worker; /* NULL: they are not caught */
    struct sigaction old_term;
    struct sigaction old_int;
    volatile sig_atomic_t came;
} caught;

static void on_signal(int number)
{
    int kept = errno;
    sp_worker *worker = atomic_load(&caught.worker);
    if (caught.came) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    caught.came = 1;
    if (worker != NULL) {
        sp_worker_stop(worker);
    }
    errno = kept;
}

SP_API void sp_worker_catch_signals(sp_worker *w)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sp_worker *nobody = NULL;
    if (!atomic_compare_exchange_strong(&caught.worker, &nobody, w)) {
        return;
    }
    (void)sigemptyset(&action.sa_mask);
    caught.came = 0;
    (void)sigaction(SIGTERM, &action, &caught.old_term);
    (void)sigaction(SIGINT, &action, &caught.old_int);
}

SP_API int sp_worker_was_signalled(const sp_worker *w)
{
    return atomic_load(&caught.worker) == w && caught.came != 0;
}

SP_API void sp_worker_release_signals(sp_worker *w)
{
    if (w == NULL || atomic_load(&caught.worker) != w) {
        return;
    }
    (void)sigaction(SIGTERM, &caught.old_term, NULL);
    (void)sigaction(SIGINT, &caught.old_int, NULL);
    atomic_store(&caught.worker, NULL);
}
