/* SPDX-License-Identifier: MIT */
/*
 * Answers about the versions of a variable and its lock: GetVariableHistory,
 * RollbackVariable, StartOptimization, StopOptimization.
 *
 * An optimisation of the original is a lock here. Who holds it is the optimizer's id; to
 * stop one it has to say that id, or use force.
 */
#include "base/error.h"
#include "base/mem.h"
#include "serve/state.h"
#include "session/variable.h"

/* ---- history ---- */

struct history {
    struct sp_buffer *reply;
    sp_error *err;
    int rc;
    int begun;
};

static int put_version(struct history *history, const sp_variable *variable)
{
    struct variable_message message;
    int rc = sp__variable_message(variable, &message, history->err);
    if (rc == SP_OK) {
        const struct proto_variable_version version = {
            .version = message.variable.version,
            .value = message.variable.value,
            .unix_ms = variable->updated_unix_ms,
            .changed_by = variable->changed_by,
            .metadata = message.variable.metadata,
            .metadata_json = variable->metadata,
        };
        rc = sp__table_put_item(history->reply, 1, &sp__proto_variable_version_table,
                                &version, history->err);
    }
    sp__variable_message_fini(&message);
    return rc;
}

/* The newest comes first: it is the variable as it is, which stands before the list. */
static void put_entry(const sp_variable *variable, void *user_data)
{
    struct history *history = user_data;
    if (history->rc == SP_OK && !history->begun) {
        history->begun = 1;
        struct variable_message message;
        history->rc = sp__variable_message(variable, &message, history->err);
        if (history->rc == SP_OK) {
            history->rc =
                sp__table_put_item(history->reply, 16, &sp__proto_variable_table,
                                   &message.variable, history->err);
        }
        sp__variable_message_fini(&message);
    }
    if (history->rc == SP_OK) {
        history->rc = put_version(history, variable);
    }
}

int sp__answer_variable_history(const struct asking *asking, sp_bytes bytes,
                                struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_history request;
    struct history history = {.reply = reply, .err = err};
    int rc = sp__question_read(&question, asking, &sp__proto_variable_history_table,
                               bytes, &request, err);
    if (rc == SP_OK && request.limit < 0) {
        rc = sp__fail(err, SP_ERR_INVAL, "a limit of %d versions is below 0",
                      request.limit);
    }
    if (rc == SP_OK) {
        rc = sp__variable_history(asking->sessions, question.session, request.name,
                                  (size_t)request.limit, put_entry, &history, err);
        rc = rc < 0 ? rc : history.rc;
    }
    sp__question_fini(&question);
    return rc;
}

/* ---- rollback ---- */

/* The variable may have been changed again, or be gone, before it is read: what the
 * rollback made is told by its version. */
static int put_rolled_back(const struct question *question, const char *name,
                           uint64_t version, struct sp_buffer *reply, sp_error *err)
{
    struct variable_message message = {0};
    sp_variable variable = {0};
    struct proto_variable_rollback_reply made = {.success = 1,
                                                 .new_version = sp__proto_i32(version)};
    int rc = sp__variable_get(question->asking->sessions, question->session, name,
                              &variable, NULL);
    if (rc == SP_OK && sp__variable_message(&variable, &message, NULL) == SP_OK) {
        made.variable = &message.variable;
    }
    rc = sp__proto_put_variable_rollback_reply(reply, &made, err);
    sp__variable_message_fini(&message);
    sp__free(variable.memory);
    return rc;
}

int sp__answer_variable_rollback(const struct asking *asking, sp_bytes bytes,
                                 struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_rollback request;
    sp_change_options options = {.size = sizeof options};
    uint64_t version = 0;
    int rc = sp__question_read(&question, asking, &sp__proto_variable_rollback_table,
                               bytes, &request, err);
    if (rc == SP_OK && request.target_version < 0) {
        rc = sp__fail(err, SP_ERR_INVAL, "there is no version %d",
                      request.target_version);
    }
    if (rc == SP_OK) {
        options.changed_by = request.changed_by;
        options.metadata = sp__or_null(request.metadata_json);
        options.owner = request.owner;
        options.check_version = request.check_version;
        options.expected_version = (uint64_t)(int64_t)request.expected_version;
        rc = sp__variable_rollback(asking->sessions, question.session, request.name,
                                   (uint64_t)request.target_version, &options, &version,
                                   err);
    }
    if (rc == SP_OK) {
        rc = put_rolled_back(&question, request.name, version, reply, err);
    }
    sp__question_fini(&question);
    return rc;
}

/* ---- the lock ---- */

int sp__answer_variable_lock(const struct asking *asking, sp_bytes bytes,
                             struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_lock request;
    int rc = sp__question_read(&question, asking, &sp__proto_variable_lock_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        rc = sp__variable_lock(asking->sessions, question.session, request.name,
                               request.optimizer_id, err);
    }
    if (rc == SP_OK) {
        const struct proto_variable_lock_reply made = {
            .success = 1, .optimization_id = request.optimizer_id};
        rc = sp__proto_put_variable_lock_reply(reply, &made, err);
    }
    sp__question_fini(&question);
    return rc;
}

int sp__answer_variable_unlock(const struct asking *asking, sp_bytes bytes,
                               struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_unlock request;
    struct variable_message message = {0};
    sp_variable variable = {0};
    int rc = sp__question_read(&question, asking, &sp__proto_variable_unlock_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = sp__variable_unlock(asking->sessions, question.session, request.name,
                                 request.force ? NULL : request.optimizer_id, &variable,
                                 err);
    }
    if (rc == SP_OK) {
        rc = sp__variable_message(&variable, &message, err);
    }
    if (rc == SP_OK) {
        const struct proto_variable_unlock_reply made = {
            .success = 1,
            .final_value = message.variable.value,
            .variable = &message.variable,
        };
        rc = sp__proto_put_variable_unlock_reply(reply, &made, err);
    }
    sp__variable_message_fini(&message);
    sp__free(variable.memory);
    sp__question_fini(&question);
    return rc;
}
