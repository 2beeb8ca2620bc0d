/* SPDX-License-Identifier: MIT */
/* How to start one kind of worker: what a pool's options come down to. */
#ifndef SP_WORKER_SPEC_H
#define SP_WORKER_SPEC_H

#include <stdint.h>

#include "guard/guard.h"
#include "snakepit/pool.h"

struct worker_spec {
    const char *pool;  /* whose workers they are; the pool's */
    char **argv;       /* argv[0] is an absolute path */
    char **env;        /* NULL-terminated; the worker's own variables come on top */
    char *working_dir; /* or NULL */
    char *describe;    /* "python /usr/bin/python3, adapter showcase" */
    int transport;     /* SP_TRANSPORT_ */
    uint32_t threads;  /* calls it runs at once */
    int thread_checks; /* SP_THREADS_ */
    int accepts_any;   /* the tool list of the worker is not the whole truth */
    int uses_pipes;    /* beside the socket for calls */
    struct guard_limits limits;
    uint64_t init_timeout_ms;
    uint64_t shutdown_grace_ms;
    uint64_t health_interval_ms;
    uint32_t health_misses;
    uint64_t hang_grace_ms;
    uint64_t cancel_grace_ms;
    uint64_t response_max_bytes;
    uint64_t shared_min_bytes; /* larger than shared_max_bytes: nothing is shared */
    uint64_t shared_max_bytes; /* of shared memory, each way */
    struct zygote *zygote;     /* that forks them, the pool's; or NULL */
};

/* Resolve a pool's options: the interpreter is looked up, the environment composed.
 * Errors: SP_ERR_CONFIG, SP_ERR_NOT_FOUND, SP_ERR_NOMEM. After an error nothing is left. */
int sp__spec_init(struct worker_spec *spec, const sp_pool_options *options,
                  const char *bridge_path, sp_error *err) SP_MUST_CHECK;
void sp__spec_fini(struct worker_spec *spec);

/* Find an executable: a path as it is, a name on PATH. Result from sp__malloc(). */
int sp__find_executable(const char *name, char **ret_path, sp_error *err) SP_MUST_CHECK;

#endif
