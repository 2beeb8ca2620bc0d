/* SPDX-License-Identifier: MIT */
/*
 * What the guard asks of a zygote: a process that has loaded what workers need and makes
 * them by forking.
 *
 * One struct over a SEQPACKET socket, with descriptors by SCM_RIGHTS in this order: the
 * status pipe, a sealed memfd with the worker's variables, the kernel's lifeline (if
 * has_lifeline), `groups` files that it writes "0" to, and `fds` that become its 0, 1,
 * 2 ... Whatever the zygote has of its own stays open in the worker.
 *
 * The zygote makes a process that forks the worker and ends, so that the worker becomes
 * the guard's: fork() runs what the libraries in the process have asked to be run, which
 * a bare clone(CLONE_PARENT) would not. The worker then says on the status pipe what
 * process it is, ties itself to this world as an executed one is tied (guard/spawn.c), and
 * closes the pipe; or it says at which stage it failed with which errno.
 *
 * Built together with the guard: no versions, host order.
 */
#ifndef SP_WIRE_ZYGOTE_H
#define SP_WIRE_ZYGOTE_H

#include <stdint.h>

enum {
    ZYGOTE_BORN = -1, /* the stage of the word that has the worker's pid for an errno */
    ZYGOTE_FDS_MAX = 14 /* that come with a request */
};

struct zygote_request {
    uint32_t fds;
    uint32_t groups;
    uint32_t has_lifeline;
    int32_t guard;        /* its pid, as the worker's getppid() gives it */
    uint32_t block_bytes; /* of the memfd: "NAME=value", each ended by NUL, */
    uint32_t envc;        /* so many, then one more NUL */
    int32_t setup_stage;  /* the numbers of the stages that may fail */
    int32_t limits_stage;
    int32_t fork_stage;
};

struct zygote_word {
    int32_t stage;
    int32_t value;
};

#endif
