/* SPDX-License-Identifier: MIT */
/*
 * The calls that R is in, written when the worker's host asks by a signal, while a tool
 * runs and without stopping it.
 *
 * The handler only notes it. R looks at its events where it also looks for interrupts,
 * every thousand steps of a loop and in waits; there a function in R walks its calls.
 * Code in C that does not come back to R answers nothing; the host waits only so long.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bridge.h"

extern void (*R_PolledEvents)(void); /* as <R_ext/eventloop.h> declares it */

static struct {
    volatile sig_atomic_t is_wanted;
    int fd;
    int is_writing;
    void (*events_before)(void);
} shown = {.fd = -1};

static void put(const char *text)
{
    ssize_t ignored = write(shown.fd, text, strlen(text));
    (void)ignored; /* the descriptor takes what it takes */
}

static void put_calls(void)
{
    int failed;
    SEXP call = PROTECT(Rf_lang1(Rf_install("stack_lines")));
    SEXP lines = PROTECT(R_tryEvalSilent(call, sp__r_namespace, &failed));
    put("R's calls (most recent call last):\n");
    for (R_xlen_t i = 0; !failed && i < Rf_xlength(lines); i++) {
        put("  ");
        put(R_CHAR(STRING_ELT(lines, i)));
        put("\n");
    }
    UNPROTECT(2);
}

void sp__r_stacks_look(void)
{
    if (!shown.is_wanted || shown.is_writing) {
        return;
    }
    shown.is_wanted = 0;
    shown.is_writing = 1;
    if (sp__r_bridge.job == NULL) {
        put("no R code runs: the worker waits for a call\n");
    } else {
        put_calls();
    }
    shown.is_writing = 0;
}

static void on_events(void)
{
    shown.events_before();
    sp__r_stacks_look();
}

static void on_stack_signal(int number)
{
    (void)number;
    shown.is_wanted = 1;
}

void sp__r_stacks_start(int number)
{
    /* No SA_RESTART: waiting for a call is to be interrupted, to say that it waits. */
    struct sigaction action = {.sa_handler = on_stack_signal};
    sp_error err = {0};
    (void)sigemptyset(&action.sa_mask);
    if (number <= 0 || sigaction(number, &action, NULL) < 0) {
        return;
    }
    shown.fd = sp_worker_offer_stacks(sp__r_bridge.worker, number, &err);
    if (shown.fd >= 0 && sp_worker_repeat_stacks(sp__r_bridge.worker, &err) == SP_OK &&
        R_PolledEvents != on_events) {
        shown.events_before = R_PolledEvents;
        R_PolledEvents = on_events;
    }
    sp_error_clear(&err); /* a worker that listens, or a host that takes none */
}
