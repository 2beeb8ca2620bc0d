/* SPDX-License-Identifier: MIT */
/*
 * Faults of the C library and the kernel, from outside: libspfault.so is preloaded into a
 * program and lets the n-th call of a kind fail, in that process only.
 *
 * The program finds the control block by SPFAULT_CONTROL, the path of a file that both
 * map. `nth` 0 lets nothing fail and counts.
 */
#ifndef CHAOS_FAULT_H
#define CHAOS_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

enum fault_site {
    FAULT_NONE,
    FAULT_MEMORY,  /* malloc, calloc, realloc, posix_memalign: ENOMEM */
    FAULT_FILES,   /* open, socket, socketpair, pipe2, epoll, eventfd, memfd: `error` */
    FAULT_RECEIVE, /* read, recv, recvmsg, readv on sockets: `error`, 0: short */
    FAULT_SEND,    /* write, send, sendmsg, writev on sockets: `error`, 0: short */
    FAULT_THREADS, /* pthread_create: EAGAIN */
    FAULT_SPAWN,   /* posix_spawn: EAGAIN */
    FAULT_TRUNCATE, /* ftruncate: ENOSPC */
    FAULT_MAP       /* mmap: ENOMEM */
};

struct fault_control {
    _Atomic int pid; /* only this process */
    _Atomic int site;
    _Atomic int error;
    _Atomic int sticky; /* the n-th and every later one */
    _Atomic uint64_t nth;
    _Atomic uint64_t hits;     /* calls of that kind */
    _Atomic uint64_t injected; /* that failed */
};

#endif
