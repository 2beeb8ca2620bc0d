/* SPDX-License-Identifier: MIT */
/* The languages a bridge exists for: what runs an adapter, and which script starts it. */
#ifndef SP_WORKER_LANGUAGE_H
#define SP_WORKER_LANGUAGE_H

#include "snakepit/pool.h"

struct language {
    const char *runtime;  /* as configured: "node" */
    const char *title;    /* in sentences: "Node.js" */
    const char *program;  /* the interpreter on PATH */
    const char *variable; /* of the environment, names another: "SNAKEPIT_NODE" */
    const char *script;   /* "node/snakepit_worker.js", in the folder of all bridges */
    const char *endings;  /* of the names of its files: ".js .mjs .cjs" */
};

/* The language of a runtime, NULL for one without a bridge (exec, grpc, ...). */
const struct language *sp__language(const char *runtime);

/* The language of an adapter's file, by the end of its name: "a.mjs", "dir/b.py:Class".
 * NULL where it is no file of any. */
const struct language *sp__language_of_file(const char *adapter);

/* The interpreter: `wanted` (a name on PATH or a path) when not NULL, the one that the
 * variable names, the usual one. `path` has room for max bytes.
 * Errors: SP_ERR_NOT_FOUND, SP_ERR_TOO_BIG, SP_ERR_NOMEM. */
int sp__language_find(const struct language *language, const char *wanted, char *path,
                      size_t max, sp_error *err) SP_MUST_CHECK;

/* The script that makes a worker of an adapter. python_bridge: the folder of the Python
 * bridge (sp__bridge_find), beside which the others lie, or NULL.
 * Errors: SP_ERR_NOT_FOUND, SP_ERR_TOO_BIG. */
int sp__language_script(const struct language *language, const char *python_bridge,
                        char *path, size_t max, sp_error *err) SP_MUST_CHECK;

#endif
