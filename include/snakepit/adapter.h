/* SPDX-License-Identifier: MIT */
/*
 * An adapter: how to start one kind of worker and how to talk to it.
 *
 * The usual kinds need no code: a pool's options name a runtime ("python", "node", "exec",
 * "grpc" and others) and the rest is configuration. An sp_adapter is for the others, and for
 * programs that check or change what crosses the border.
 */
#ifndef SNAKEPIT_ADAPTER_H
#define SNAKEPIT_ADAPTER_H

#include "base.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the worker is reached. */
enum {
    /* It inherits connections and shared memory and uses libsnakepit-worker
     * (SNAKEPIT_CALL_FD, SNAKEPIT_CALL_IN_FD, SNAKEPIT_CALL_OUT_FD, SNAKEPIT_HOST_FD,
     * SNAKEPIT_PAGE_FD and SNAKEPIT_MEMORY_FD name them). It listens nowhere. */
    SP_TRANSPORT_INHERITED = 0,
    /* A stock gRPC server: it listens on the unix socket that SNAKEPIT_ADDRESS names
     * ("unix:/path"), also put in place of "{address}" in its arguments. */
    SP_TRANSPORT_ADDRESS = 1,
    /* A stock gRPC server that binds a port of its choice on the loopback interface and
     * tells it: in a line of its output, "GRPC_READY:4711", or by moving a file with the
     * number to the path that SNAKEPIT_READY_FILE names. Its arguments get --port 0,
     * --elixir-address ADDRESS (where its host answers), --snakepit-run-id TEXT, and in a
     * pool with threads --max-workers N and with thread_checks --thread-safety-check,
     * each unless they have it. So does the original's own Python worker start.
     * Since: 0.1 */
    SP_TRANSPORT_PORT = 2
};

typedef struct sp_adapter {
    size_t size;      /* sizeof(sp_adapter) */
    const char *name; /* shown in status and errors; NULL: the executable's name */
    void *user_data;  /* handed to the callbacks */

    const char *executable;      /* path, or a name looked up on PATH; needed */
    const char *script;          /* first argument, or NULL */
    const char *const *args;     /* further arguments, NULL-terminated, or NULL */
    const char *const *env;      /* "NAME=value", NULL-terminated, or NULL */
    int transport;               /* SP_TRANSPORT_ */
    const char *const *commands; /* supported commands, NULL-terminated; NULL: those
                                      the worker announces */

    /* Check a command before it is sent. Return 0 to let it pass; anything else refuses
     * it with SP_ERR_REFUSED and the message put into `err`. May be NULL. */
    int (*validate)(void *user_data, const char *command, sp_bytes args_json,
                    sp_error *err);

    /* Rewrite the arguments: append JSON to `ret_args`; appending nothing keeps them.
     * Returns 0, or a failure as `validate` does. May be NULL. */
    int (*prepare)(void *user_data, const char *command, sp_bytes args_json,
                   sp_buffer *ret_args, sp_error *err);

    /* Rewrite a result: append JSON to `ret_result`; appending nothing keeps it.
     * Returns 0, or a failure as `validate` does. May be NULL. */
    int (*process)(void *user_data, const char *command, sp_bytes result_json,
                   sp_buffer *ret_result, sp_error *err);

    /* Milliseconds this command may take; 0 leaves it to the pool. May be NULL. */
    uint64_t (*timeout_ms)(void *user_data, const char *command, sp_bytes args_json);
} sp_adapter;

/*
 * `validate`, `prepare` and `timeout_ms` run on the thread that makes the call, before
 * it returns; `process` runs on the thread that takes the result. They may run at the
 * same time on several threads. The struct and what it points to must stay valid until
 * the pit that uses it is closed.
 */

#ifdef __cplusplus
}
#endif
#endif
