/* SPDX-License-Identifier: MIT */
/*
 * A worker that crashes: a few lines of stack, then its death by the signal itself.
 *
 * Ruby's own report of a crash is hundreds of lines of maps and registers, which leave no
 * room for what matters among a worker's last lines, and it ends in SIGABRT whatever
 * happened. But Ruby also finds a machine stack that is used up by the same signal and
 * makes SystemStackError of it: a fault close to the stack pointer is therefore Ruby's.
 */
#include <ucontext.h>
#include <unistd.h>

#include "bridge.h"

enum { NEAR_STACK_BYTES = 1 << 20 };

static struct sigaction old_segv;
static struct sigaction old_bus;

/* 0 when this machine's registers are not known here. */
static uintptr_t stack_pointer(const void *context)
{
    const ucontext_t *machine = context;
#if defined(__x86_64__)
    return (uintptr_t)machine->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)machine->uc_mcontext.sp;
#else
    (void)machine;
    return 0;
#endif
}

static int may_be_overflow(const siginfo_t *info, const void *context)
{
    if (info->si_code <= 0) {
        return 0; /* somebody has sent it */
    }
    uintptr_t pointer = stack_pointer(context);
    uintptr_t address = (uintptr_t)info->si_addr;
    return pointer == 0 || (address > pointer ? address - pointer : pointer - address) <
                               NEAR_STACK_BYTES;
}

static void on_crash(int number, siginfo_t *info, void *context)
{
    const struct sigaction *old = number == SIGBUS ? &old_bus : &old_segv;
    if (may_be_overflow(info, context) && (old->sa_flags & SA_SIGINFO) != 0) {
        old->sa_sigaction(number, info, context);
        return;
    }
    sp__rb_write_stack(STDERR_FILENO);
    (void)signal(number, SIG_DFL);
    (void)raise(number); /* it comes when this handler has returned */
}

void sp__rb_crash_start(void)
{
    struct sigaction action = {.sa_sigaction = on_crash,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGSEGV, &action, &old_segv);
    (void)sigaction(SIGBUS, &action, &old_bus);
}
