/* SPDX-License-Identifier: MIT */
/*
 * Answers about many variables at once: GetVariables, SetVariables, ExportVariables,
 * ImportVariables.
 *
 * A batch that is refused in part is no failed call: its reply says for each name what
 * became of it. An atomic one then sets nothing, and says success = false.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "serve/state.h"
#include "session/variable.h"

/* More names than a session can have variables are no honest question. */
static int check_count(const struct asking *asking, size_t count, sp_error *err)
{
    uint64_t max = asking->sessions->options.variables_max;
    return count <= max ? SP_OK
                        : sp__fail(err, SP_ERR_TOO_BIG,
                                   "%zu variables are more than a session may have, "
                                   "which is %llu",
                                   count, (unsigned long long)max);
}

/* ---- getting ---- */

static int put_found(struct sp_buffer *reply, const char *key,
                     const sp_variable *variable,
                     const struct proto_variable_get_many *request, sp_error *err)
{
    struct variable_message message;
    int rc = sp__variable_message(variable, &message, err);
    if (!request->include_metadata) {
        message.variable.metadata = (struct proto_run){0};
        message.variable.metadata_json = NULL;
    }
    if (rc == SP_OK && request->accept_binary) {
        rc = sp__variable_message_pack(&message, err);
    }
    if (rc == SP_OK) {
        const struct proto_variable_entry entry = {key, &message.variable};
        rc = sp__table_put_item(reply, 1, &sp__proto_variable_entry_table, &entry, err);
    }
    sp__variable_message_fini(&message);
    return rc;
}

/* By the identifier that was asked for, found or missing. */
static int put_all(struct sp_buffer *reply,
                   const struct proto_variable_get_many *request,
                   const sp_variable *variables, sp_error *err)
{
    const char *const *names = request->names.items;
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && i < request->names.count; i++) {
        if (variables[i].name != NULL) {
            rc = put_found(reply, names[i], &variables[i], request, err);
        } else {
            const struct proto_variable_get_many_reply missing = {
                .missing = {&names[i], 1}};
            rc = sp__proto_put_variable_get_many_reply(reply, &missing, err);
        }
    }
    return rc;
}

int sp__answer_variable_get_many(const struct asking *asking, sp_bytes bytes,
                                 struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_get_many request;
    sp_variable *variables = NULL;
    size_t count = 0;
    int rc = sp__question_read(&question, asking, &sp__proto_variable_get_many_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = check_count(asking, request.names.count, err);
    }
    if (rc == SP_OK) {
        count = request.names.count;
        variables = sp__calloc(count + 1, sizeof *variables);
        rc = variables != NULL
                 ? SP_OK
                 : sp__fail(err, SP_ERR_NOMEM, "no memory for %zu variables", count);
    }
    if (rc == SP_OK) {
        rc = sp__variables_get(asking->sessions, question.session, request.names.items,
                               count, variables, err);
    }
    if (rc >= 0) {
        rc = put_all(reply, &request, variables, err);
    }
    for (size_t i = 0; variables != NULL && i < count; i++) {
        sp__free(variables[i].memory);
    }
    sp__free(variables);
    sp__question_fini(&question);
    return rc;
}

/* ---- setting ---- */

static int put_update(struct sp_buffer *reply, const sp_variable_update *update,
                      int all_set, sp_error *err)
{
    struct proto_variable_set_many_reply part = {0};
    const struct proto_text_entry error = {update->name, update->message};
    const struct proto_text_entry reason = {update->name, sp_error_name(update->code)};
    const struct proto_number_entry version = {update->name,
                                               sp__proto_i32(update->version)};
    if (update->code != SP_OK) {
        part.errors = (struct proto_run){&error, 1};
        part.error_reasons = (struct proto_run){&reason, 1};
    } else if (all_set) {
        part.new_versions = (struct proto_run){&version, 1};
    }
    return sp__proto_put_variable_set_many_reply(reply, &part, err);
}

/* `rc` is what setting returned. A failure that is of no single variable (the session,
 * the store) stays one. */
static int put_updates(struct sp_buffer *reply, const sp_variable_update *updates,
                       size_t count, int rc, sp_error *err)
{
    struct proto_variable_set_many_reply head = {0};
    size_t refused = 0;
    for (size_t i = 0; i < count; i++) {
        refused += updates[i].code != SP_OK;
    }
    if (rc < 0 && refused == 0) {
        return rc;
    }
    int all_set = rc >= 0;
    sp_error_clear(err);
    head.success = refused == 0;
    rc = sp__proto_put_variable_set_many_reply(reply, &head, err);
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        rc = put_update(reply, &updates[i], all_set, err);
    }
    return rc;
}

/* Values that came as bytes. Like the metadata they are of the batch as a whole: when one
 * cannot be read, the batch is refused. */
static int read_binaries(struct question *question,
                         const struct proto_variable_set_many *request,
                         sp_variable_update *updates, sp_error *err)
{
    const struct proto_any_entry *entries = request->updates.items;
    const struct proto_blob_entry *blobs = request->binary.items;
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && i < request->binary.count; i++) {
        size_t at = 0;
        while (at < request->updates.count &&
               strcmp(entries[at].key, blobs[i].key) != 0) {
            at++;
        }
        if (at == request->updates.count) {
            return sp__fail(err, SP_ERR_INVAL,
                            "bytes for \"%.64s\", which has no value", blobs[i].key);
        }
        const struct question_value came = {
            .name = blobs[i].key, .any = &entries[at].any, .binary = blobs[i].blob};
        rc = sp__question_value(question, &came, &updates[at].value, err);
    }
    return rc;
}

static int set_all(struct question *question,
                   const struct proto_variable_set_many *request,
                   sp_variable_update *updates, struct sp_buffer *reply, sp_error *err)
{
    const struct proto_any_entry *entries = request->updates.items;
    size_t count = request->updates.count;
    sp_change_options options = {.size = sizeof options,
                                 .changed_by = request->changed_by,
                                 .owner = request->owner,
                                 .check_version = request->check_version,
                                 .expected_version =
                                     (uint64_t)(int64_t)request->expected_version};
    for (size_t i = 0; i < count; i++) {
        updates[i].name = entries[i].key;
        updates[i].value = entries[i].any.json;
    }
    int rc = read_binaries(question, request, updates, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__question_metadata(question, &request->metadata, request->metadata_json,
                               &options.metadata, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variables_set(question->asking->sessions, question->session, updates,
                           count, request->atomic, &options, err);
    return put_updates(reply, updates, count, rc, err);
}

int sp__answer_variable_set_many(const struct asking *asking, sp_bytes bytes,
                                 struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_set_many request;
    sp_variable_update *updates = NULL;
    int rc = sp__question_read(&question, asking, &sp__proto_variable_set_many_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = check_count(asking, request.updates.count, err);
    }
    if (rc == SP_OK && request.binary.count > request.updates.count) {
        rc = sp__fail(err, SP_ERR_INVAL, "%zu values as bytes for %zu updates",
                      request.binary.count, request.updates.count);
    }
    if (rc == SP_OK) {
        updates = sp__calloc(request.updates.count + 1, sizeof *updates);
        rc = updates != NULL ? SP_OK
                             : sp__fail(err, SP_ERR_NOMEM, "no memory for %zu updates",
                                        request.updates.count);
    }
    if (rc == SP_OK) {
        rc = set_all(&question, &request, updates, reply, err);
    }
    sp__free(updates);
    sp__question_fini(&question);
    return rc;
}

/* ---- export and import ---- */

struct export
{
    struct sp_buffer json;
    sp_error *err;
    int rc;
};

static void keep_json(sp_bytes json, void *user_data)
{
    struct export *export = user_data;
    export->rc = sp__buf_append(&export->json, json.data, json.size, export->err);
}

int sp__answer_variable_export(const struct asking *asking, sp_bytes bytes,
                               struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_export request;
    struct export export = {.err = err};
    sp__buf_init(&export.json, SIZE_MAX / 2);
    int rc = sp__question_read(&question, asking, &sp__proto_variable_export_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = sp__variables_export(asking->sessions, question.session, keep_json,
                                  &export, err);
    }
    if (rc >= 0 && export.rc == SP_OK) {
        const struct proto_variable_export_reply made = {
            .json = {export.json.data, export.json.size}, .count = (uint64_t)rc};
        rc = sp__proto_put_variable_export_reply(reply, &made, err);
    }
    sp__buf_fini(&export.json);
    sp__question_fini(&question);
    return rc < 0 ? rc : export.rc;
}

int sp__answer_variable_import(const struct asking *asking, sp_bytes bytes,
                               struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_import request;
    int rc = sp__question_read(&question, asking, &sp__proto_variable_import_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = sp__variables_import(asking->sessions, question.session, request.json,
                                  strlen(request.json), err);
    }
    if (rc >= 0) {
        const struct proto_variable_import_reply made = {.count = (uint64_t)rc};
        rc = sp__proto_put_variable_import_reply(reply, &made, err);
    }
    sp__question_fini(&question);
    return rc;
}
