/* SPDX-License-Identifier: MIT */
/*
 * A job uses its session itself, and programs: the calls about state (wire/stubs.h),
 * carried by questions to the host.
 */
#include "snakepit/worker_state.h"

#include <string.h>

#include "base/error.h"
#include "runtime/runtime.h"

/* ---- what the other files about state share ---- */

static int carry(void *user, const char *path, sp_bytes request,
                 struct sp_buffer *reply, sp_error *err)
{
    return sp__ask(user, &(struct question){.path = path, .request = request}, reply,
                   err);
}

struct caller sp__job_caller(sp_job *job)
{
    return (struct caller){carry, job};
}

int sp__job_options(void *ret, size_t ret_size, const void *given, sp_error *err)
{
    size_t size = 0; /* every options struct begins with it */
    memset(ret, 0, ret_size);
    if (given == NULL) {
        return SP_OK;
    }
    memcpy(&size, given, sizeof size);
    if (size < sizeof size) {
        return sp__fail(err, SP_ERR_INVAL, "options.size is not set");
    }
    memcpy(ret, given, size < ret_size ? size : ret_size);
    return SP_OK;
}

/* ---- the session ---- */

SP_API int sp_job_session_get(sp_job *job, sp_session_info *ret_info, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_session_get(&caller, sp_job_session(job), ret_info, err);
}

SP_API int sp_job_session_begin(sp_job *job, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    const sp_session_options options = {.size = sizeof options, .or_get = 1};
    return sp__stub_session_create(&caller, sp_job_session(job), &options, err);
}

SP_API int sp_job_session_update(sp_job *job, sp_session_edit_fn fn, void *user_data,
                                 sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_session_update(&caller, sp_job_session(job), fn, user_data, err);
}

/* ---- programs ---- */

/* As the stubs have it: NULL names the programs that all share. */
static const char *place(int is_global)
{
    return is_global ? NULL : "";
}

SP_API int sp_job_program_store(sp_job *job, int is_global, const char *id,
                                const char *data, uint64_t ttl_ms, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_program_store(&caller, place(is_global), id, data, ttl_ms, err);
}

SP_API int sp_job_program_update(sp_job *job, int is_global, const char *id,
                                 const char *data, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_program_update(&caller, place(is_global), id, data, err);
}

SP_API int sp_job_program_get(sp_job *job, int is_global, const char *id,
                              sp_program *ret_program, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_program_get(&caller, place(is_global), id, ret_program, err);
}

SP_API int sp_job_program_delete(sp_job *job, int is_global, const char *id,
                                 sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_program_delete(&caller, place(is_global), id, err);
}

SP_API int sp_job_programs_list(sp_job *job, int is_global, sp_program_cb cb,
                                void *user_data, sp_error *err)
{
    struct caller caller = sp__job_caller(job);
    return sp__stub_programs_list(&caller, place(is_global), cb, user_data, err);
}
