/* SPDX-License-Identifier: MIT */
/* The calls about programs, from the caller's side. */
#include "wire/stubs.h"

static int store(const struct caller *caller, const char *session, const char *id,
                 const char *data, uint64_t ttl_ms, int must_exist, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_program_store request = {
        .session_id = session,
        .program_id = id,
        .data_json = data,
        .ttl_ms = sp__proto_from_ms(ttl_ms),
        .must_exist = must_exist,
        .global = session == NULL,
    };
    int rc = sp__stub_call(caller, &call, SP__PATH_STORE_PROGRAM,
                           &sp__proto_program_store_table, &request, err);
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_program_store(const struct caller *caller, const char *session,
                           const char *id, const char *data, uint64_t ttl_ms,
                           sp_error *err)
{
    return store(caller, session, id, data, ttl_ms, 0, err);
}

int sp__stub_program_update(const struct caller *caller, const char *session,
                            const char *id, const char *data, sp_error *err)
{
    return store(caller, session, id, data, 0, 1, err);
}

int sp__stub_program_get(const struct caller *caller, const char *session,
                         const char *id, sp_program *ret_program, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_program_get request = {
        .session_id = session, .program_id = id, .global = session == NULL};
    struct proto_program reply;
    sp_program program;
    int rc = sp__stub_call(caller, &call, SP__PATH_GET_PROGRAM,
                           &sp__proto_program_get_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_program_table, &reply, err);
    }
    if (rc == SP_OK) {
        sp__proto_to_program(&reply, &program);
        rc = sp__own_program(&program, ret_program, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_program_delete(const struct caller *caller, const char *session,
                            const char *id, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_program_delete request = {
        .session_id = session, .program_id = id, .global = session == NULL};
    int rc = sp__stub_call(caller, &call, SP__PATH_DELETE_PROGRAM,
                           &sp__proto_program_delete_table, &request, err);
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_programs_list(const struct caller *caller, const char *session,
                           sp_program_cb cb, void *user_data, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_program_list request = {.session_id = session,
                                               .global = session == NULL};
    struct proto_program item;
    size_t at = 0;
    int count = 0;
    int rc = sp__stub_call(caller, &call, SP__PATH_LIST_PROGRAMS,
                           &sp__proto_program_list_table, &request, err);
    while (rc == SP_OK && (rc = sp__stub_next(&call, 1, &at, &sp__proto_program_table,
                                              &item, err)) > 0) {
        sp_program program;
        sp__proto_to_program(&item, &program);
        cb(&program, user_data);
        count++;
        rc = SP_OK;
    }
    sp__stub_call_fini(&call);
    return rc < 0 ? rc : count;
}
