/* SPDX-License-Identifier: MIT */
/* The rules of a variable: its type and its constraints. Never change once made. */
#ifndef SP_SESSION_VAR_RULES_H
#define SP_SESSION_VAR_RULES_H

#include <stdatomic.h>

#include "session/var_pattern.h"
#include "session/var_types.h"

/* A bound as it was written, for messages, and as a number. */
struct var_bound {
    char text[VAR_NUMBER_MAX + 1]; /* "" when there is none */
    var_number number;
};

#define VAR_UNBOUNDED UINT64_MAX

struct var_rules {
    atomic_uint references;
    enum var_type type;
    struct var_bound min;
    struct var_bound max;
    uint64_t min_length; /* 0: none */
    uint64_t max_length; /* VAR_UNBOUNDED: none */
    char *pattern_text;
    struct pattern *pattern;
    char *names_json; /* of enum, choices or allowed_modules, for messages */
    char **names;     /* as JSON texts */
    size_t names_count;
    uint64_t dimensions;     /* VAR_UNBOUNDED: any */
    struct var_shape *shape; /* NULL: any */
    size_t bytes;            /* memory of all this */
    size_t json_size;
    char *json; /* the constraints as an object without white space; "{}" for none */
};

/*
 * Read constraints: a JSON object, or "" for none. The first reference is the caller's.
 *
 * Errors: SP_ERR_BAD_VALUE (no such constraint for the type, of the wrong kind, or one
 * that nothing could meet), SP_ERR_BAD_JSON, SP_ERR_TOO_BIG, SP_ERR_NOMEM.
 */
int sp__var_rules_new(enum var_type type, const char *json, size_t size,
                      struct var_rules **ret_rules, sp_error *err);
struct var_rules *sp__var_rules_ref(struct var_rules *rules);
void sp__var_rules_unref(struct var_rules *rules);

/* Cast a value and check it. As sp__cast(); SP_ERR_BAD_VALUE also for a value out of
 * bounds. */
int sp__var_rules_apply(const struct var_rules *rules, const char *json, size_t size,
                        size_t max, struct cast *ret_cast, sp_error *err);

#endif
