/* SPDX-License-Identifier: MIT */
/*
 * A job uses the variables of its session: the calls about state (wire/stubs.h), carried
 * by questions to the host.
 */
#include "snakepit/worker_state.h"

#include "runtime/runtime.h"

SP_API int sp_job_variable_register(sp_job *job, const char *name, const char *type,
                                    const char *value, const sp_change_options *options,
                                    sp_variable *ret_variable, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc
                  : sp__stub_variable_register(&caller, NULL, name, type, value, &full,
                                               ret_variable, err);
}

SP_API int sp_job_variable_get(sp_job *job, const char *name, sp_variable *ret_variable,
                               sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_get(&caller, NULL, name, ret_variable, err);
}

SP_API int sp_job_variable_set(sp_job *job, const char *name, const char *value,
                               const sp_change_options *options, uint64_t *ret_version,
                               sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc
                  : sp__stub_variable_set(&caller, NULL, name, value, &full,
                                          ret_version, err);
}

SP_API int sp_job_variable_register_array(sp_job *job, const char *name,
                                          const char *type, const sp_tensor *array,
                                          const sp_change_options *options,
                                          sp_variable *ret_variable, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc
                  : sp__stub_variable_register_array(&caller, NULL, name, type, array,
                                                     &full, ret_variable, err);
}

SP_API int sp_job_variable_set_array(sp_job *job, const char *name,
                                     const sp_tensor *array,
                                     const sp_change_options *options,
                                     uint64_t *ret_version, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc
                  : sp__stub_variable_set_array(&caller, NULL, name, array, &full,
                                                ret_version, err);
}

SP_API int sp_job_variables_set_arrays(sp_job *job, sp_variable_update *updates,
                                       const sp_tensor *const *arrays, size_t count,
                                       int atomic, const sp_change_options *options,
                                       sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc
                  : sp__stub_variables_set_arrays(&caller, NULL, updates, arrays, count,
                                                  atomic, &full, err);
}

SP_API int sp_job_variable_get_array(sp_job *job, const char *name, sp_array_cb cb,
                                     void *user_data, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_get_array(&caller, NULL, name, cb, user_data, err);
}

SP_API int sp_job_variables_get_arrays(sp_job *job, const char *const *names,
                                       size_t count, sp_array_cb cb, void *user_data,
                                       sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variables_get_arrays(&caller, NULL, names, count, cb, user_data,
                                         err);
}

SP_API int sp_job_variable_delete(sp_job *job, const char *name,
                                  const sp_change_options *options, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc : sp__stub_variable_delete(&caller, NULL, name, &full, err);
}

SP_API int sp_job_variables_list(sp_job *job, const char *pattern, sp_variable_cb cb,
                                 void *user_data, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variables_list(&caller, NULL, pattern, cb, user_data, err);
}

SP_API int sp_job_variables_get(sp_job *job, const char *const *names, size_t count,
                                sp_variable *ret_variables, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variables_get(&caller, NULL, names, count, ret_variables, err);
}

SP_API int sp_job_variables_set(sp_job *job, sp_variable_update *updates, size_t count,
                                int atomic, const sp_change_options *options,
                                sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc
                  : sp__stub_variables_set(&caller, NULL, updates, count, atomic, &full,
                                           err);
}

SP_API int sp_job_variable_history(sp_job *job, const char *name, size_t limit,
                                   sp_variable_cb cb, void *user_data, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_history(&caller, NULL, name, limit, cb, user_data, err);
}

SP_API int sp_job_variable_rollback(sp_job *job, const char *name, uint64_t version,
                                    const sp_change_options *options,
                                    uint64_t *ret_version, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    sp_change_options full;
    int rc = sp__job_options(&full, sizeof full, options, err);
    return rc < 0 ? rc
                  : sp__stub_variable_rollback(&caller, NULL, name, version, &full,
                                               ret_version, err);
}

SP_API int sp_job_variable_lock(sp_job *job, const char *name, const char *owner,
                                sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_lock(&caller, NULL, name, owner, err);
}

SP_API int sp_job_variable_unlock(sp_job *job, const char *name, const char *owner,
                                  sp_variable *ret_variable, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_unlock(&caller, NULL, name, owner, ret_variable, err);
}

SP_API int sp_job_variable_depend(sp_job *job, const char *from, const char *to,
                                  const char *kind, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_depend(&caller, NULL, from, to, kind, err);
}

SP_API int sp_job_variable_undepend(sp_job *job, const char *from, const char *to,
                                    sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_undepend(&caller, NULL, from, to, err);
}

SP_API int sp_job_variable_dependencies(sp_job *job, const char *name,
                                        sp_dependency_cb cb, void *user_data,
                                        sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variable_dependencies(&caller, NULL, name, cb, user_data, err);
}

SP_API int sp_job_variables_export(sp_job *job, sp_json_cb cb, void *user_data,
                                   sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variables_export(&caller, NULL, cb, user_data, err);
}

SP_API int sp_job_variables_import(sp_job *job, const char *json, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_variables_import(&caller, NULL, json, err);
}
