/* SPDX-License-Identifier: MIT */
/*
 * Stock gRPC workers: programs that inherit no sockets and listen themselves, on a unix
 * socket whose path they are given, or on a port of their own choice.
 */
#ifndef SP_WORKER_STOCK_H
#define SP_WORKER_STOCK_H

#include "worker/worker.h"

/* Decide where the worker will be found; before it is started. */
int sp__stock_choose_address(struct worker *worker, sp_error *err) SP_MUST_CHECK;

/* The arguments of one launch: the spec's with every "{address}" replaced; and for a worker
 * with a port of its own, the flags that the original's host adds. */
int sp__stock_argv(const struct worker *worker, char ***ret_argv,
                   sp_error *err) SP_MUST_CHECK;
void sp__stock_argv_free(char **argv);

/* Try to reach it now, and again until it answers a Ping. */
void sp__stock_connect(struct worker *worker);
void sp__stock_try_later(struct worker *worker);

/* It has printed a line: perhaps the one with its port. */
void sp__stock_printed(struct worker *worker, const char *line);

/* It is gone: so are its files. */
void sp__stock_forget(struct worker *worker);

/* ---- port.c ---- */

/* Whether the process of that number, or one of its group, is the only one that listens on
 * a TCP port of 127.0.0.1: 1, 0 when nobody does yet or somebody could not be looked into,
 * SP_ERR_REFUSED when another one does, SP_ERR_SYSTEM when the system does not tell. */
int sp__port_owner_check(uint16_t port, int pid, sp_error *err) SP_MUST_CHECK;

#endif
