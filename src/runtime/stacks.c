/* SPDX-License-Identifier: MIT */
/*
 * How a worker shows its stacks: by a signal, whose handler writes them as text behind the
 * page that the host reads.
 *
 * The handler that writes is the binding's, or its interpreter's. Where the host may ask
 * more than once, one of ours goes before it and moves the descriptor back to the
 * beginning of the text; the host has cleared what was there. A process has one such
 * worker at most. The handler calls what is safe in one, and nothing else.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/error.h"

static struct {
    _Atomic int fd; /* 0: the handler moves nothing */
    struct sigaction writer;
} shown;

SP_API int sp_worker_offer_stacks(sp_worker *w, int signal_number, sp_error *err)
{
    int fd = w->options.page_fd;
    if (signal_number <= 0 || signal_number >= NSIG) {
        return sp__fail(err, SP_ERR_INVAL, "%d is no signal, they go from 1 to %d",
                        signal_number, NSIG - 1);
    }
    if (!w->page_mapped || fd < 0 || lseek(fd, WORKER_PAGE_BYTES, SEEK_SET) < 0) {
        return sp__fail(err, SP_ERR_UNSUPPORTED, "the host takes no stacks");
    }
    atomic_store_explicit(&w->page->stack_signal, (uint32_t)signal_number,
                          memory_order_release);
    return fd;
}

static void on_stack_signal(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    int fd = atomic_load(&shown.fd);
    if (fd > 0) {
        (void)lseek(fd, WORKER_PAGE_BYTES, SEEK_SET);
    }
    if ((shown.writer.sa_flags & SA_SIGINFO) != 0) {
        shown.writer.sa_sigaction(number, info, context);
    } else {
        shown.writer.sa_handler(number);
    }
    errno = kept; /* Python's writer leaves another */
}

SP_API int sp_worker_repeat_stacks(sp_worker *w, sp_error *err)
{
    int number = w->page_mapped ? (int)atomic_load(&w->page->stack_signal) : 0;
    struct sigaction there;
    if (number == 0) {
        return sp__fail(err, SP_ERR_INVAL, "no stacks were offered");
    }
    if (sigaction(number, NULL, &there) < 0) {
        return sp__fail_errno(err, errno, "look at the handler of signal %d", number);
    }
    if ((there.sa_flags & SA_SIGINFO) == 0 &&
        (there.sa_handler == SIG_DFL || there.sa_handler == SIG_IGN)) {
        return sp__fail(err, SP_ERR_INVAL, "signal %d has no handler to write stacks",
                        number);
    }
    atomic_store(&shown.fd, w->options.page_fd);
    if ((there.sa_flags & SA_SIGINFO) != 0 && there.sa_sigaction == on_stack_signal) {
        return SP_OK; /* it was there already, of a worker before */
    }
    struct sigaction ours = {.sa_sigaction = on_stack_signal,
                             .sa_mask = there.sa_mask,
                             .sa_flags = there.sa_flags | SA_SIGINFO};
    shown.writer = there;
    if (sigaction(number, &ours, NULL) < 0) {
        return sp__fail_errno(err, errno, "set the handler of signal %d", number);
    }
    return SP_OK;
}

void sp__stacks_end(const struct sp_worker *w)
{
    int fd = w->options.page_fd;
    (void)atomic_compare_exchange_strong(&shown.fd, &fd, 0);
}
