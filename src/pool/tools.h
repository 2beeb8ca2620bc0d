/* SPDX-License-Identifier: MIT */
/* The tools of a pool: what workers announced, and how long they take. */
#ifndef SP_POOL_TOOLS_H
#define SP_POOL_TOOLS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "snakepit/error.h"
#include "snakepit/pool.h"
#include "wire/proto.h"

enum { TOOLS_LEARNED_MAX = 4096 }; /* names remembered beyond those announced */

struct tool_meter;

struct tool {
    char *name;
    size_t name_size;
    uint32_t average_us;      /* 0: never ran */
    atomic_int declared;      /* it is on the configured list */
    atomic_int announced;     /* then `spec` and `rules` are complete */
    struct proto_tool spec;   /* owned when announced */
    _Atomic(void *) rules;    /* what it takes, as its owner knows; or NULL */
    struct tool_meter *meter; /* what counts its calls; NULL: none has ended */
};

struct tool_table;

struct tools {
    /* Whoever looks a name up, reads. The loops add, under the lock. */
    _Atomic(struct tool_table *) table; /* NULL: there is none yet */
    atomic_int known;                   /* the list is complete: others are refused */
    pthread_mutex_t lock;               /* for what follows, and for adding */
    size_t length;
    int declared; /* it was configured: what else is announced is left out */

    /* What is to be known of a tool besides, made when it is announced. Set before the
     * first announcement; NULL: nothing. */
    void *(*learn)(void *user, const struct proto_tool *spec);
    void (*forget)(void *rules);
    void *user;
};

void sp__tools_init(struct tools *tools);
void sp__tools_fini(struct tools *tools);

/* Move an announcement's tools in. accepts_any: its list is not the whole truth. */
int sp__tools_announce(struct tools *tools, struct proto_announce *announce,
                       sp_error *err) SP_MUST_CHECK;
/* A configured list of names: these may be called and no others, whatever workers
 * announce, which then only describes them. */
int sp__tools_declare(struct tools *tools, const char *const *names,
                      sp_error *err) SP_MUST_CHECK;

/* Loop thread: what is known of a tool, making an entry to learn in; NULL when there is
 * no room for more. */
struct tool *sp__tools_of(struct tools *tools, const char *name);

/* Any thread: 0, or SP_ERR_NO_TOOL with the near matches; SP_ERR_BAD_ARGS when a
 * streaming tool is called as a plain one. ret_tool: what is known of it, NULL: nothing;
 * stays as long as the tools. */
int sp__tools_check(struct tools *tools, const char *name, int streaming,
                    const char *pool, struct tool **ret_tool,
                    sp_error *err) SP_MUST_CHECK;

/* Any thread: 1 when it is on offer for certain. */
int sp__tools_has(struct tools *tools, const char *name);

/* Any thread: 1 when it is certain that it is not: the list is complete without it. */
int sp__tools_lack(struct tools *tools, const char *name);

/* Any thread: every tool on offer in the order of names. */
int sp__tools_each(struct tools *tools, void (*cb)(const sp_tool_info *, void *),
                   void *user_data);

#endif
