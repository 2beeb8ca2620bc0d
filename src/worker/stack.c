/* SPDX-License-Identifier: MIT */
/*
 * The stacks of a worker's process: asked for with the signal that it offers, written by
 * the process behind its page, read from there.
 *
 * What is there of an earlier time goes before each question. The memory is the worker's
 * too, which may write any time and anything: nothing of it is believed, and what is read
 * twice may differ.
 */
#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "worker/internal.h"

static char *text_of(const struct worker *worker)
{
    return (char *)worker->page + WORKER_PAGE_BYTES;
}

/* 0: it offers none, or a number that must not be sent. */
static int signal_of(const struct worker *worker)
{
    int number = worker->page == NULL
                     ? 0
                     : (int)atomic_load_explicit(&worker->page->stack_signal,
                                                 memory_order_acquire);
    /* Only numbers that are signals, and not ones that end what they are meant to
     * question. */
    return number <= 0 || number >= NSIG || number == SIGKILL || number == SIGSTOP
               ? 0
               : number;
}

int sp__worker_ask_stack(struct worker *worker)
{
    int number = signal_of(worker);
    if (number == 0 || worker->pid == 0) {
        return 0;
    }
    sp__worker_forget_stack(worker);
    sp__worker_signal(worker, number, 0);
    return 1;
}

void sp__worker_forget_stack(struct worker *worker)
{
    if (worker->page != NULL) {
        memset(text_of(worker), 0, WORKER_STACK_BYTES);
    }
}

/* Where the text begins: a process that does not begin anew leaves a gap. */
static size_t gap_of(const struct worker *worker)
{
    const char *text = text_of(worker);
    size_t gap = 0;
    while (gap < WORKER_STACK_BYTES && text[gap] == '\0') {
        gap++;
    }
    return gap;
}

size_t sp__worker_stack_bytes(const struct worker *worker)
{
    if (worker->page == NULL) {
        return 0;
    }
    size_t gap = gap_of(worker);
    return strnlen(text_of(worker) + gap, WORKER_STACK_BYTES - gap);
}

char *sp__worker_copy_stack(const struct worker *worker)
{
    if (worker->page == NULL) {
        return NULL;
    }
    size_t gap = gap_of(worker);
    size_t bytes = strnlen(text_of(worker) + gap, WORKER_STACK_BYTES - gap);
    char *text = bytes > 0 ? sp__strndup(text_of(worker) + gap, bytes) : NULL;
    for (char *c = text; c != NULL && *c != '\0'; c++) {
        /* Control bytes could reach a terminal. */
        *c = *c == '\n' || *c == '\t' || (unsigned char)*c >= ' ' ? *c : '?';
    }
    return text;
}
