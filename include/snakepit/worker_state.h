/* SPDX-License-Identifier: MIT */
/*
 * What a job may keep with its host: variables and programs of its session.
 *
 *     sp_variable v;
 *     if (sp_job_variable_get(job, "rate", &v, &err) == 0) {
 *         ... v.value ...
 *         sp_variable_clear(&v);
 *     }
 *
 * Each function does what the one of its name in variable.h, program.h and session.h
 * does, for the session the job was called in; there it says what a value may be, and
 * which errors there are. Their options, structs and sp_variable_clear() and its kin are
 * the same. What can end any question to the host ends these too, and threads may use
 * them as it says there: worker_host.h. A job that was called without a session can only
 * use global programs: SP_ERR_INVAL.
 *
 * When the answer to a change does not come (SP_ERR_CANCELLED, SP_ERR_TIMEOUT,
 * SP_ERR_CLOSED) the change may have been made all the same.
 */
#ifndef SNAKEPIT_WORKER_STATE_H
#define SNAKEPIT_WORKER_STATE_H

#include "program.h"
#include "session.h"
#include "variable.h"
#include "worker.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the session ---- */

/* As sp_session_get(), in the job's session. Since: 0.1 */
SP_API int sp_job_session_get(sp_job *job, sp_session_info *ret_info, sp_error *err);

/* Begin the job's session, with the host's defaults, unless there is one: 1 when it was
 * begun, 0 when it was there. Since: 0.1 */
SP_API int sp_job_session_begin(sp_job *job, sp_error *err);

/* As sp_session_update(), but SP_ERR_CONFLICT when somebody else changed it while `fn`
 * ran. Since: 0.1 */
SP_API int sp_job_session_update(sp_job *job, sp_session_edit_fn fn, void *user_data,
                                 sp_error *err);

/* ---- variables ---- */

/* As sp_variable_register(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_register(sp_job *job, const char *name, const char *type,
                                    const char *value, const sp_change_options *options,
                                    sp_variable *ret_variable, sp_error *err);
/* As sp_variable_get(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_get(sp_job *job, const char *name, sp_variable *ret_variable,
                               sp_error *err);
/* As sp_variable_set(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_set(sp_job *job, const char *name, const char *value,
                               const sp_change_options *options, uint64_t *ret_version,
                               sp_error *err);

/*
 * The same with an array of numbers, whose bytes travel as they are: nothing is written
 * as text here. The host keeps numbers, no dtype: what a 32-bit float or an integer was
 * comes back as a double.
 *
 * array   at least one element, real numbers; borrowed until this returns
 * arrays  count of them: those that are not NULL go in the place of the update's value,
 *         which is not looked at
 *
 * Errors beyond those of the functions without an array: as sp_tensor_check();
 * SP_ERR_BAD_VALUE: no elements, complex ones, or more than one dimension for what is
 * no tensor. In a batch these refuse it as a whole. Since: 0.1
 */
SP_API int sp_job_variable_register_array(sp_job *job, const char *name,
                                          const char *type, const sp_tensor *array,
                                          const sp_change_options *options,
                                          sp_variable *ret_variable, sp_error *err);
/* As sp_job_variable_set(), with an array. Since: 0.1 */
SP_API int sp_job_variable_set_array(sp_job *job, const char *name,
                                     const sp_tensor *array,
                                     const sp_change_options *options,
                                     uint64_t *ret_version, sp_error *err);
/* As sp_job_variables_set(), with arrays. Since: 0.1 */
SP_API int sp_job_variables_set_arrays(sp_job *job, sp_variable_update *updates,
                                       const sp_tensor *const *arrays, size_t count,
                                       int atomic, const sp_change_options *options,
                                       sp_error *err);

/* A variable that was found; everything is borrowed until the callback returns.
 * index  which of the names
 * array  the value of a tensor or embedding of more than SP_BINARY_MIN_BYTES of JSON, as
 *        doubles; variable->value then only describes it, see tensor.h. NULL: the value
 *        is JSON */
typedef void (*sp_array_cb)(size_t index, const sp_variable *variable,
                            const sp_tensor *array, void *user_data);

/* Read one, through a callback that runs before this returns, on this thread. Errors: as
 * sp_variable_get(). Since: 0.1 */
SP_API int sp_job_variable_get_array(sp_job *job, const char *name, sp_array_cb cb,
                                     void *user_data, sp_error *err);
/* Read several at one moment; the callback gets those that are found. Returns how many.
 * Errors: as sp_variables_get(). Since: 0.1 */
SP_API int sp_job_variables_get_arrays(sp_job *job, const char *const *names,
                                       size_t count, sp_array_cb cb, void *user_data,
                                       sp_error *err);

/* As sp_variable_delete(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_delete(sp_job *job, const char *name,
                                  const sp_change_options *options, sp_error *err);
/* As sp_variables_list(), in the job's session. Since: 0.1 */
SP_API int sp_job_variables_list(sp_job *job, const char *pattern, sp_variable_cb cb,
                                 void *user_data, sp_error *err);
/* As sp_variables_get(), in the job's session. Since: 0.1 */
SP_API int sp_job_variables_get(sp_job *job, const char *const *names, size_t count,
                                sp_variable *ret_variables, sp_error *err);
/* As sp_variables_set(), in the job's session. Since: 0.1 */
SP_API int sp_job_variables_set(sp_job *job, sp_variable_update *updates, size_t count,
                                int atomic, const sp_change_options *options,
                                sp_error *err);
/* As sp_variable_history(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_history(sp_job *job, const char *name, size_t limit,
                                   sp_variable_cb cb, void *user_data, sp_error *err);
/* As sp_variable_rollback(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_rollback(sp_job *job, const char *name, uint64_t version,
                                    const sp_change_options *options,
                                    uint64_t *ret_version, sp_error *err);
/* As sp_variable_lock(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_lock(sp_job *job, const char *name, const char *owner,
                                sp_error *err);
/* As sp_variable_unlock(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_unlock(sp_job *job, const char *name, const char *owner,
                                  sp_variable *ret_variable, sp_error *err);
/* As sp_variable_depend(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_depend(sp_job *job, const char *from, const char *to,
                                  const char *kind, sp_error *err);
/* As sp_variable_undepend(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_undepend(sp_job *job, const char *from, const char *to,
                                    sp_error *err);
/* As sp_variable_dependencies(), in the job's session. Since: 0.1 */
SP_API int sp_job_variable_dependencies(sp_job *job, const char *name,
                                        sp_dependency_cb cb, void *user_data,
                                        sp_error *err);
/* As sp_variables_export(), in the job's session. Since: 0.1 */
SP_API int sp_job_variables_export(sp_job *job, sp_json_cb cb, void *user_data,
                                   sp_error *err);
/* As sp_variables_import(), in the job's session. Since: 0.1 */
SP_API int sp_job_variables_import(sp_job *job, const char *json, sp_error *err);

/* ---- watching ---- */

typedef struct sp_job_watch sp_job_watch;

/*
 * Watch variables. Waits until the host watches: a change made after this has returned is
 * seen, whoever makes it. That there is no such variable is what sp_job_watch_next() says.
 *
 * ret_watch  end it with sp_job_watch_close(), before sp_worker_close()
 * Since: 0.1
 */
SP_API int sp_job_watch_open(sp_job *job, const sp_watch_options *options,
                             sp_job_watch **ret_watch, sp_error *err);

/* Take the next change, as sp_watch_next() does: 1 with a change, 0 when timeout_ms has
 * passed. The job's deadline is SP_ERR_TIMEOUT. Since: 0.1 */
SP_API int sp_job_watch_next(sp_job_watch *watch, uint64_t timeout_ms,
                             sp_change *ret_change, sp_error *err);

/* Stop watching. NULL is fine. Since: 0.1 */
SP_API void sp_job_watch_close(sp_job_watch *watch);

/* ---- programs. is_global 1: those that all sessions share ---- */

/* As sp_program_store(), in the job's session or outside of all. Since: 0.1 */
SP_API int sp_job_program_store(sp_job *job, int is_global, const char *id,
                                const char *data, uint64_t ttl_ms, sp_error *err);
/* As sp_program_update(), in the job's session or outside of all. Since: 0.1 */
SP_API int sp_job_program_update(sp_job *job, int is_global, const char *id,
                                 const char *data, sp_error *err);
/* As sp_program_get(), in the job's session or outside of all. Since: 0.1 */
SP_API int sp_job_program_get(sp_job *job, int is_global, const char *id,
                              sp_program *ret_program, sp_error *err);
/* As sp_program_delete(), in the job's session or outside of all. Since: 0.1 */
SP_API int sp_job_program_delete(sp_job *job, int is_global, const char *id,
                                 sp_error *err);
/* As sp_programs_list(), in the job's session or outside of all. Since: 0.1 */
SP_API int sp_job_programs_list(sp_job *job, int is_global, sp_program_cb cb,
                                void *user_data, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
