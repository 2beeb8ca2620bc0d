/* SPDX-License-Identifier: MIT */
/*
 * Programs: JSON that a session keeps under a name, or that all sessions share.
 *
 * Where a session is named, NULL means the global programs. Those of a session live as
 * long as it does; a global one has a time to live of its own, from the moment it was
 * stored.
 *
 * Threads: every function may be called from any thread, from callbacks too.
 */
#ifndef SNAKEPIT_PROGRAM_H
#define SNAKEPIT_PROGRAM_H

#include "base.h"
#include "call.h"
#include "error.h"
#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_program {
    const char *id;
    const char *data; /* JSON, as it was stored */
    size_t data_size;
    uint64_t created_unix_ms;
    uint64_t updated_unix_ms;
    uint64_t remaining_ms; /* of a global one; else SP_UNLIMITED */
    void *memory;          /* of the texts: owned, see sp_program_clear() */
} sp_program;

/* Release the texts. A zeroed struct and NULL are fine. Since: 0.1 */
SP_API void sp_program_clear(sp_program *program);

/*
 * Store a program, in place of one by that id.
 *
 * id      1 to 255 bytes of UTF-8
 * data    JSON
 * ttl_ms  of a global one, default 3 600 000, SP_UNLIMITED: for ever; in a session: 0
 *
 * Errors: SP_ERR_INVAL, SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG, SP_ERR_QUOTA,
 * SP_ERR_NOT_FOUND (session), SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_program_store(sp_sessions *sessions, const char *session, const char *id,
                            const char *data, uint64_t ttl_ms, sp_error *err);

/* Store it only if there is one by that id; of a global one the time to live goes on.
 * Errors: as sp_program_store(); SP_ERR_NOT_FOUND. Since: 0.1 */
SP_API int sp_program_update(sp_sessions *sessions, const char *session, const char *id,
                             const char *data, sp_error *err);

/* Read one. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND, SP_ERR_NOMEM. Since: 0.1 */
SP_API int sp_program_get(sp_sessions *sessions, const char *session, const char *id,
                          sp_program *ret_program, sp_error *err);

/* Delete one. Errors: SP_ERR_INVAL, SP_ERR_NOT_FOUND. Since: 0.1 */
SP_API int sp_program_delete(sp_sessions *sessions, const char *session, const char *id,
                             sp_error *err);

typedef void (*sp_program_cb)(const sp_program *program, void *user_data);

/*
 * List programs in the order of their ids, through a callback that runs before this
 * returns, on this thread. Returns how many there are. Errors: SP_ERR_INVAL,
 * SP_ERR_NOT_FOUND (session), SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_programs_list(sp_sessions *sessions, const char *session,
                            sp_program_cb cb, void *user_data, sp_error *err);

/* ---- calls that carry their session, and programs that workers make ---- */

/*
 * Call a tool in a session, and tell it which: its arguments get a member "session_id".
 *
 * session  1 to 255 bytes of UTF-8; NULL: "anonymous". It need not exist
 *
 * Errors: as sp_execute_in_session(); SP_ERR_BAD_ARGS (the arguments are no object).
 * Thread: as sp_execute(). Since: 0.1
 */
SP_API int sp_execute_in_context(sp_pit *pit, const char *session, const char *tool,
                                 sp_bytes args_json, const sp_call_options *options,
                                 sp_result *ret_result, sp_error *err);

/*
 * The same, with programs kept in sp_pit_sessions(), so that each may run in another
 * worker than the one that made it.
 *
 *   create_program   what it answers is stored as a program of the session, which is
 *                    created when there is none, under the answer's "program_id"; an
 *                    answer without one is not. The program has all members of the
 *                    answer, and created_at (seconds), execution_count 0,
 *                    last_executed null; where the answer has none, program_type
 *                    "predict", signature and signature_def, signature_class,
 *                    field_mapping and fallback_used
 *   execute_program  the program stored under the argument "program_id", if there is
 *                    one, goes along as the argument "program_data"
 *   any other        as sp_execute_in_context()
 *
 * Errors: as sp_execute_in_context(); when the answer cannot be stored those of
 * sp_program_store(), with `executed` SP_EXECUTED_YES. Thread: as sp_execute().
 * Since: 0.1
 */
SP_API int sp_execute_program_command(sp_pit *pit, const char *session,
                                      const char *command, sp_bytes args_json,
                                      const sp_call_options *options,
                                      sp_result *ret_result, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
