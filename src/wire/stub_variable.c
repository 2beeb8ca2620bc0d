/* SPDX-License-Identifier: MIT */
/*
 * The calls about one variable, from the caller's side: registering, reading, changing,
 * its versions and its lock.
 */
#include "base/error.h"
#include "base/mem.h"
#include "wire/stubs.h"

static const sp_change_options no_options = {.size = sizeof no_options};

static int own(const struct proto_variable *message, sp_variable *ret, sp_error *err)
{
    sp_variable variable;
    if (message == NULL) {
        return sp__fail(err, SP_ERR_PROTOCOL, "the reply has no variable");
    }
    if (ret == NULL) {
        return SP_OK;
    }
    sp__proto_to_variable(message, &variable);
    return sp__own_variable(&variable, ret, err);
}

static int make(const struct caller *caller, const char *session, const char *name,
                const char *type, const char *value, sp_bytes binary,
                const sp_change_options *options, sp_variable *ret_variable,
                sp_error *err)
{
    struct stub_call call = {0};
    options = options != NULL ? options : &no_options;
    const struct proto_variable_register request = {
        .session_id = session,
        .name = name,
        .type = type,
        .value = {sp__proto_type_url(type != NULL ? type : ""), value},
        .binary = binary,
        .constraints_json = options->constraints,
        .metadata_json = options->metadata,
        .changed_by = options->changed_by,
    };
    struct proto_variable_register_reply reply;
    int rc = sp__stub_check(type, "a type", err);
    if (rc == SP_OK) {
        rc = sp__stub_call(caller, &call, SP__PATH_REGISTER_VARIABLE,
                           &sp__proto_variable_register_table, &request, err);
    }
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_register_reply_table, &reply,
                            err);
    }
    if (rc == SP_OK) {
        rc = own(reply.variable, ret_variable, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variable_register(const struct caller *caller, const char *session,
                               const char *name, const char *type, const char *value,
                               const sp_change_options *options,
                               sp_variable *ret_variable, sp_error *err)
{
    return make(caller, session, name, type, value, (sp_bytes){0}, options,
                ret_variable, err);
}

int sp__stub_variable_register_array(const struct caller *caller, const char *session,
                                     const char *name, const char *type,
                                     const sp_tensor *array,
                                     const sp_change_options *options,
                                     sp_variable *ret_variable, sp_error *err)
{
    struct stub_array value;
    int rc = sp__stub_array(array, &value, err);
    return rc < 0 ? rc
                  : make(caller, session, name, type, value.text, value.binary, options,
                         ret_variable, err);
}

int sp__stub_variable_get_array(const struct caller *caller, const char *session,
                                const char *name, sp_array_cb cb, void *user_data,
                                sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_get request = {
        .session_id = session, .name = name, .accept_binary = 1};
    struct proto_variable_get_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_GET_VARIABLE,
                           &sp__proto_variable_get_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_get_reply_table, &reply, err);
    }
    if (rc == SP_OK) {
        rc = sp__stub_show_array(reply.variable, 0, cb, user_data, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variable_get(const struct caller *caller, const char *session,
                          const char *name, sp_variable *ret_variable, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_get request = {.session_id = session, .name = name};
    struct proto_variable_get_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_GET_VARIABLE,
                           &sp__proto_variable_get_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_get_reply_table, &reply, err);
    }
    if (rc == SP_OK) {
        rc = own(reply.variable, ret_variable, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}

static int change(const struct caller *caller, const char *session, const char *name,
                  const char *value, sp_bytes binary, const sp_change_options *options,
                  uint64_t *ret_version, sp_error *err)
{
    struct stub_call call = {0};
    options = options != NULL ? options : &no_options;
    const struct proto_variable_set request = {
        .session_id = session,
        .name = name,
        .value = {sp__proto_type_url(""), value},
        .binary = binary,
        .metadata_json = options->metadata,
        .changed_by = options->changed_by,
        .owner = options->owner,
        .check_version = options->check_version,
        .expected_version = sp__stub_expected(options),
    };
    struct proto_variable_set_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_SET_VARIABLE,
                           &sp__proto_variable_set_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_set_reply_table, &reply, err);
    }
    if (rc == SP_OK && ret_version != NULL) {
        *ret_version = (uint64_t)(uint32_t)reply.new_version;
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variable_set(const struct caller *caller, const char *session,
                          const char *name, const char *value,
                          const sp_change_options *options, uint64_t *ret_version,
                          sp_error *err)
{
    return change(caller, session, name, value, (sp_bytes){0}, options, ret_version,
                  err);
}

int sp__stub_variable_set_array(const struct caller *caller, const char *session,
                                const char *name, const sp_tensor *array,
                                const sp_change_options *options, uint64_t *ret_version,
                                sp_error *err)
{
    struct stub_array value;
    int rc = sp__stub_array(array, &value, err);
    return rc < 0 ? rc
                  : change(caller, session, name, value.text, value.binary, options,
                           ret_version, err);
}

int sp__stub_variable_delete(const struct caller *caller, const char *session,
                             const char *name, const sp_change_options *options,
                             sp_error *err)
{
    struct stub_call call = {0};
    options = options != NULL ? options : &no_options;
    const struct proto_variable_delete request = {
        .session_id = session,
        .name = name,
        .owner = options->owner,
        .check_version = options->check_version,
        .expected_version = sp__stub_expected(options),
    };
    int rc = sp__stub_call(caller, &call, SP__PATH_DELETE_VARIABLE,
                           &sp__proto_variable_delete_table, &request, err);
    sp__stub_call_fini(&call);
    return rc;
}

/* ---- versions ---- */

/* The version as it was, in a variable as it is. */
static void at_version(const sp_variable *variable,
                       const struct proto_variable_version *version, sp_variable *ret)
{
    const struct proto_variable then = {
        .type = variable->type,
        .value = version->value,
        .metadata_json = version->metadata_json,
        .constraints_json = "",
        .changed_by = version->changed_by,
        .version = version->version,
        .updated_unix_ms = version->unix_ms,
    };
    sp__proto_to_variable(&then, ret);
    ret->id = variable->id;
    ret->name = variable->name;
    ret->type = variable->type;
    ret->constraints = variable->constraints;
    ret->locked_by = variable->locked_by;
    ret->locked_unix_ms = variable->locked_unix_ms;
    ret->created_unix_ms = variable->created_unix_ms;
}

static int walk_versions(struct stub_call *call, const sp_variable *variable,
                         sp_variable_cb cb, void *user_data, sp_error *err)
{
    struct proto_variable_version item;
    size_t at = 0;
    int count = 0;
    int rc;
    while ((rc = sp__stub_next(call, 1, &at, &sp__proto_variable_version_table, &item,
                               err)) > 0) {
        sp_variable then;
        at_version(variable, &item, &then);
        cb(&then, user_data);
        count++;
    }
    return rc < 0 ? rc : count;
}

int sp__stub_variable_history(const struct caller *caller, const char *session,
                              const char *name, size_t limit, sp_variable_cb cb,
                              void *user_data, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_history request = {
        .session_id = session, .name = name, .limit = sp__proto_i32(limit)};
    struct proto_variable now;
    sp_variable variable = {0};
    size_t at = 0;
    int rc = sp__stub_call(caller, &call, SP__PATH_GET_VARIABLE_HISTORY,
                           &sp__proto_variable_history_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_next(&call, 16, &at, &sp__proto_variable_table, &now, err);
        rc = rc < 0 ? rc : own(rc == 1 ? &now : NULL, &variable, err);
    }
    if (rc == SP_OK) {
        rc = walk_versions(&call, &variable, cb, user_data, err);
    }
    sp__free(variable.memory);
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variable_rollback(const struct caller *caller, const char *session,
                               const char *name, uint64_t version,
                               const sp_change_options *options, uint64_t *ret_version,
                               sp_error *err)
{
    struct stub_call call = {0};
    options = options != NULL ? options : &no_options;
    const struct proto_variable_rollback request = {
        .session_id = session,
        .name = name,
        .target_version = sp__proto_i32(version),
        .metadata_json = options->metadata,
        .changed_by = options->changed_by,
        .owner = options->owner,
        .check_version = options->check_version,
        .expected_version = sp__stub_expected(options),
    };
    struct proto_variable_rollback_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_ROLLBACK_VARIABLE,
                           &sp__proto_variable_rollback_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_rollback_reply_table, &reply,
                            err);
    }
    if (rc == SP_OK && ret_version != NULL) {
        *ret_version = (uint64_t)(uint32_t)reply.new_version;
    }
    sp__stub_call_fini(&call);
    return rc;
}

/* ---- the lock ---- */

int sp__stub_variable_lock(const struct caller *caller, const char *session,
                           const char *name, const char *owner, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_lock request = {
        .session_id = session, .name = name, .optimizer_id = owner};
    int rc = sp__stub_call(caller, &call, SP__PATH_START_OPTIMIZATION,
                           &sp__proto_variable_lock_table, &request, err);
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variable_unlock(const struct caller *caller, const char *session,
                             const char *name, const char *owner,
                             sp_variable *ret_variable, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_unlock request = {
        .session_id = session,
        .name = name,
        .optimizer_id = owner,
        .force = owner == NULL,
    };
    struct proto_variable_unlock_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_STOP_OPTIMIZATION,
                           &sp__proto_variable_unlock_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_unlock_reply_table, &reply, err);
    }
    if (rc == SP_OK) {
        rc = own(reply.variable, ret_variable, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}
