/* SPDX-License-Identifier: MIT */
/* Tools under names: of a session, or global. Those of the program, and what workers say
 * they have. */
#ifndef SP_SESSION_HOST_TOOLS_H
#define SP_SESSION_HOST_TOOLS_H

#include "session/schema.h"
#include "session/sessions.h"
#include "snakepit/tool.h"

enum {
    TOOLS_MAX = 1024, /* in one place: a session, or global */
    TOOL_METADATA_MAX = 4096,
    TOOL_METADATA_MEMBERS_MAX = 32
};

/*
 * What happens when nobody refers to a tool any more. Its program is to be told, on one of
 * its own threads: whoever knows those takes the tool, and calls sp__host_tool_bury()
 * there. When nobody does, that happens at once. Shared with the tools, because calls may
 * outlive the set.
 */
struct host_tool;
struct undertaker {
    atomic_uint references;
    pthread_mutex_t lock;
    /* Under lock. */
    void (*take)(void *user, struct host_tool *tool); /* or NULL */
    void *user;
};

/* Never changes once it is registered. */
struct host_tool {
    struct name_node node; /* in its session's or the global tools */
    struct link on_gone;   /* the undertaker's */
    atomic_uint references;
    struct undertaker *undertaker;
    sp_host_tool facts; /* its texts are in text[] */
    struct schema *schema;
    size_t bytes;
    _Atomic sp_id worker; /* of workers' tools: who said so last; 0: a host tool */
    char text[];          /* name first */
};

struct undertaker *sp__undertaker_new(void); /* NULL without memory */
void sp__undertaker_unref(struct undertaker *undertaker);
/* take NULL: nobody from now on. */
void sp__undertaker_set(struct undertaker *undertaker,
                        void (*take)(void *user, struct host_tool *tool), void *user);

/* A host tool of the program, or with `worker` what that worker registered. The same
 * again by a worker is fine. As sp_tools_register(). */
int sp__host_tools_register(struct sp_sessions *sessions, const sp_host_tool *tools,
                            size_t count, sp_id worker, sp_error *err) SP_MUST_CHECK;
int sp__host_tool_unregister(struct sp_sessions *sessions, const char *session,
                             const char *name, sp_error *err);

/* What a session (NULL or "": none) means by a name, or NULL. The reference is the
 * caller's. */
struct host_tool *sp__host_tool_find(struct sp_sessions *sessions, const char *session,
                                     const char *name);
/* SP_ERR_NO_TOOL, with the near names among those that the session sees. */
int sp__host_tool_refuse(struct sp_sessions *sessions, const char *session,
                         const char *name, sp_error *err);
struct host_tool *sp__host_tool_ref(struct host_tool *tool);
void sp__host_tool_unref(struct host_tool *tool);
/* Tell the program that it is gone, and free. Nobody refers to it. */
void sp__host_tool_bury(struct host_tool *tool);

/* As sp_tools_list(), without those of workers. */
int sp__host_tools_list(struct sp_sessions *sessions, const char *session,
                        void (*cb)(const sp_host_tool_info *tool, void *user_data),
                        void *user_data, sp_error *err) SP_MUST_CHECK;

/* A table that is not in use any more: at most *budget of its tools; 1 when empty. */
int sp__host_tools_free(struct names *tools, size_t *budget);

#endif
