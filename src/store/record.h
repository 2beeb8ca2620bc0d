/* SPDX-License-Identifier: MIT */
/* What is stored: one record for each row that is written or taken away. */
#ifndef SP_STORE_RECORD_H
#define SP_STORE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/error.h"

enum record_kind {
    RECORD_SESSION,      /* a new one */
    RECORD_SESSION_EDIT, /* other metadata, another time to live */
    RECORD_SESSION_USE,  /* another expiry */
    RECORD_SESSION_DELETE,
    RECORD_VARIABLE,
    RECORD_VARIABLE_LOCK,
    RECORD_VARIABLE_DELETE, /* its versions and dependencies too */
    RECORD_VERSION,
    RECORD_DEPENDENCY,
    RECORD_DEPENDENCY_DELETE,
    RECORD_PROGRAM,     /* new or changed */
    RECORD_PROGRAM_USE, /* another expiry */
    RECORD_PROGRAM_DELETE,
    RECORD_KINDS
};

/* When something ends, in a form that outlives a restart. SP_UNLIMITED: never. */
struct record_expiry {
    uint64_t ttl_ms;
    uint64_t boot_ms; /* when it ends, by the time since boot */
    uint64_t unix_ms; /* and by the wall clock */
    int other_boot;   /* read only: it was written before the machine started anew */
};

/* Texts are terminated and borrowed: until a commit returns, or the callback does. */
struct record {
    enum record_kind kind;
    uint64_t session; /* its key, never used twice; 0: a global program */
    uint64_t number;  /* of the variable in its session; session: the last one given */
    uint64_t version;
    uint64_t needs; /* dependency: the number of what it depends on */
    uint64_t created_unix_ms;
    uint64_t updated_unix_ms; /* version, program; lock: since when */
    int durability;
    struct record_expiry expires; /* session, program */
    const char *name;             /* of a variable; the id of a session or a program */
    const char *type;             /* of a variable; kind of a dependency */
    const char *value; /* JSON: version, program; constraints of a variable */
    size_t value_size;
    const char *metadata; /* session, version */
    const char *by;       /* who changed it; owner of a lock, NULL: unlocked */

    /* Version only: where it was put, or read from; and the place of one that is not kept
     * any longer, 0: none. Places are never used twice. */
    int64_t row;
    int64_t *ret_row;
    int64_t drop;
};

#endif
