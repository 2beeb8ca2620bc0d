/* SPDX-License-Identifier: MIT */
/*
 * A zygote: a process that has loaded what the workers of a pool need, and makes them by
 * forking itself.
 *
 *     sp_zygote_open(NULL, &zygote, &err);
 *     ... load what all workers need; start no threads ...
 *     sp_zygote_announce(zygote, &err);
 *     int rc = sp_zygote_next(zygote, &err);
 *     if (rc > 0) {
 *         sp_zygote_close(zygote);
 *         sp_worker_open(NULL, &worker, &err); ... as every worker does
 *     }
 *
 * What the workers have in common, their tools first of all, may be prepared before it is
 * announced: with sp_worker_options.unconnected. Then each calls sp_worker_connect().
 *
 * sp_zygote_next() returns in the zygote when the pool is over, and in each worker once.
 * A worker is in a session and process group of its own, has the descriptors 0 to 2 and
 * the environment variables of a worker that was executed, is a child of the guard, ends
 * with the host and has the pool's limits; its memory is the zygote's until one of the two
 * writes to it. What the zygote has open it shares with its workers, file offsets
 * included: open such files anew. It shares random numbers too, unless they are seeded
 * anew.
 *
 * Thread: everything here on one, and the process has no other while it forks.
 *
 * This header belongs to libsnakepit-worker; it needs no other library of ours.
 */
#ifndef SNAKEPIT_ZYGOTE_H
#define SNAKEPIT_ZYGOTE_H

#include "base.h"
#include "error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_zygote sp_zygote;

typedef struct sp_zygote_options {
    size_t size;
    const char *runtime; /* shown in status, "python 3.11.2"; NULL: "c" */
    /* Around each fork, in the zygote: so that a binding can put its interpreter in
     * order. Both or neither. */
    void (*on_fork)(void *user_data);
    void (*on_forked)(void *user_data);
    void *user_data;
} sp_zygote_options;

/* Whether the environment says that this process was started as a zygote. Since: 0.1 */
SP_API int sp_zygote_is_wanted(void);

/* Take what the guard handed down, named in the environment; the names are removed from
 * there. options may be NULL. Keeps the descriptors 3 to 6 for the workers.
 * Errors: SP_ERR_INVAL, SP_ERR_NOMEM, SP_ERR_SYSTEM. Since: 0.1 */
SP_API int sp_zygote_open(const sp_zygote_options *options, sp_zygote **ret_zygote,
                          sp_error *err);

/* Tell the host that workers can be made from now on.
 * Errors: SP_ERR_CLOSED (the host is gone), SP_ERR_UNSUPPORTED (the process has more
 * than one thread), SP_ERR_NOMEM. Since: 0.1 */
SP_API int sp_zygote_announce(sp_zygote *zygote, sp_error *err);

/* Tell the host that this can never be a zygote, and why. As sp_worker_refuse().
 * Since: 0.1 */
SP_API void sp_zygote_refuse(sp_zygote *zygote, int permanent, const char *type,
                             const char *message, const char *trace);

/* Make workers as they are wanted. Returns 1 in each worker, 0 in the zygote when it is
 * wanted no more. Nothing is wrong with the zygote when a fork fails: the host is told.
 * Errors, in the zygote: SP_ERR_SYSTEM. Since: 0.1 */
SP_API int sp_zygote_next(sp_zygote *zygote, sp_error *err);

/* In a worker: the variables that are its own, "NAME=value", ended by NULL; they are in
 * its environment already. Borrowed until sp_zygote_close(). Since: 0.1 */
SP_API const char *const *sp_zygote_variables(const sp_zygote *zygote);

/* How many threads this process has, as the kernel counts them; 1 where it does not
 * tell. Since: 0.1 */
SP_API int sp_zygote_threads(void);

/* In the zygote or in a worker. NULL is fine. Since: 0.1 */
SP_API void sp_zygote_close(sp_zygote *zygote);

#ifdef __cplusplus
}
#endif
#endif
