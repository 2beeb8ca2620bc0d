/* SPDX-License-Identifier: MIT */
/*
 * Stopping a call that nobody waits for any more.
 *
 * A cancellation arrives on the runtime's helper thread. It notes the call and sends a
 * signal (SIGURG unless set otherwise) to R's thread, whose handler makes an interrupt of
 * it as Ctrl-C would be: R raises it where it next looks, and sleeps and waits end. The
 * loop allows interrupts only while a tool runs. The runtime repeats the signal with
 * growing pauses; a tool that has swallowed an interrupt meets one again after a second.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "bridge.h"

extern int R_interrupts_pending; /* as <R_ext/GraphicsDevice.h> declares it */

enum { REPEAT_MS = 1000 };

static pthread_t r_thread;
static int cancel_signal;
static _Atomic(sp_job *) cancelled; /* by the runtime's thread */
static sp_job *volatile running;
static volatile uint64_t not_before_ms;

void sp__r_on_cancel(void *user_data, sp_job *job)
{
    (void)user_data;
    atomic_store(&cancelled, job);
    if (cancel_signal != 0) {
        (void)pthread_kill(r_thread, cancel_signal);
    }
}

static void on_cancel_signal(int number)
{
    (void)number;
    sp_job *job = running;
    if (job == NULL || atomic_load(&cancelled) != job) {
        return; /* it has ended meanwhile */
    }
    uint64_t now_ms = sp__now_ms();
    if (now_ms >= not_before_ms) {
        not_before_ms = now_ms + REPEAT_MS;
        R_interrupts_pending = 1;
    }
}

void sp__r_interruptible(sp_job *job)
{
    running = NULL;
    not_before_ms = 0;
    atomic_store(&cancelled, NULL);
    R_interrupts_pending = 0;
    running = job;
}

void sp__r_interrupt_start(int number)
{
    struct sigaction action = {.sa_handler = on_cancel_signal};
    (void)sigemptyset(&action.sa_mask);
    r_thread = pthread_self();
    cancel_signal = number;
    if (number != 0) {
        (void)sigaction(number, &action, NULL);
    }
}

/* A signal came while the thread waits: for a call, or for its host's answer. */
int sp__r_on_signal(void *user_data)
{
    (void)user_data;
    sp__r_stacks_look();
    return R_interrupts_pending != 0;
}
