/* SPDX-License-Identifier: MIT */
/*
 * SIGTERM and SIGINT.
 *
 * The handler writes to an eventfd and, while a drain waits for calls, ends its patience:
 * both are safe in a handler. The library's threads block all signals, so handlers run
 * on the main thread alone. SIGPIPE gets a handler that does nothing, rather than being
 * ignored, because an ignored signal would stay ignored in every worker.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon.h"

static int came_fd = -1;
static atomic_int came;
static _Atomic(sp_pit *) patient;

static void signal_cb(int number)
{
    int saved = errno;
    uint64_t one = 1;
    (void)number;
    (void)!write(came_fd, &one, sizeof one); /* the counter cannot fill up from here */
    (void)atomic_fetch_add(&came, 1);
    sp_pit_hurry(atomic_load(&patient)); /* NULL is fine */
    errno = saved;
}

static void pipe_cb(int number)
{
    (void)number; /* the write that raised it returns EPIPE */
}

int signals_init(void)
{
    struct sigaction action = {.sa_handler = signal_cb};
    came_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (came_fd < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
        sigaction(SIGINT, &action, NULL) < 0) {
        return -1;
    }
    action.sa_handler = pipe_cb;
    return sigaction(SIGPIPE, &action, NULL) < 0 ? -1 : came_fd;
}

int signals_came(void)
{
    return atomic_load(&came);
}

void signals_hurry(sp_pit *pit)
{
    int before = signals_came();
    atomic_store(&patient, pit);
    if (signals_came() > before || before > 1) {
        sp_pit_hurry(pit); /* it came just before the handler knew the pit */
    }
}

void signals_last(void)
{
    atomic_store(&patient, NULL);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
}
