/* SPDX-License-Identifier: MIT */
/* Programs of sessions, and those that all share. */
#ifndef SP_SESSION_PROGRAMS_H
#define SP_SESSION_PROGRAMS_H

#include "session/sessions.h"
#include "snakepit/program.h"

struct program {
    struct name_node node;    /* in its session's programs, or the global ones */
    struct heap_node in_heap; /* global: by expires_ms, unless that is SP_UNLIMITED */
    uint64_t created_unix_ms;
    uint64_t updated_unix_ms;
    uint64_t ttl_ms;     /* global; else SP_UNLIMITED */
    uint64_t expires_ms; /* global: by the set's clock; else SP_UNLIMITED */
    size_t data_size;
    char *data; /* terminated */
    char id[];
};

int sp__program_store(struct sp_sessions *sessions, const char *session_id,
                      const char *id, const char *data, uint64_t ttl_ms, sp_error *err);
int sp__program_update(struct sp_sessions *sessions, const char *session_id,
                       const char *id, const char *data, sp_error *err);
int sp__program_get(struct sp_sessions *sessions, const char *session_id,
                    const char *id, sp_program *ret_program, sp_error *err);
int sp__program_delete(struct sp_sessions *sessions, const char *session_id,
                       const char *id, sp_error *err);
int sp__programs_list(struct sp_sessions *sessions, const char *session_id,
                      sp_program_cb cb, void *user_data, sp_error *err);

/* Not in its place yet. INVAL, BAD_JSON and the like for what is not as it must be. */
int sp__program_build(const char *id, const char *data, size_t max,
                      struct program **ret_program, sp_error *err) SP_MUST_CHECK;
void sp__program_free(struct program *program);
/* In: into a session, or with NULL among the global ones. Before anybody else sees the
 * set. NOMEM; then it is still the caller's. */
int sp__program_restore(struct sp_sessions *sessions, struct session *session,
                        struct program *program, sp_error *err) SP_MUST_CHECK;

/* Free up to *budget programs of a table that nobody else uses; 1 when it is empty. */
int sp__programs_free(struct names *programs, size_t *budget);

/* Remove global programs whose time is over, a few. 1 when there were some. */
int sp__programs_expire(struct sp_sessions *sessions);

#endif
