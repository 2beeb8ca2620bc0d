/* SPDX-License-Identifier: MIT */
/*
 * Answers about single variables: RegisterVariable, GetVariable, SetVariable,
 * DeleteVariable, ListVariables.
 *
 * What is refused is a status, as the original's host has it: NOT_FOUND,
 * INVALID_ARGUMENT, and ours for what it did not have; success and error_message only
 * ever say that it went well.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/state.h"
#include "session/variable.h"

/* Its start, or, when it began at begin_us, its end. */
static void note_registration(const struct asking *asking,
                              const struct question *question,
                              const struct proto_variable_register *request,
                              uint64_t begin_us, int rc)
{
    int kind = begin_us == 0 ? SP_EVENT_REGISTER_VARIABLE_START
                             : SP_EVENT_REGISTER_VARIABLE_STOP;
    if (!sp__herald_wants(asking->sessions->herald, kind)) {
        return;
    }
    double number = begin_us == 0 ? (double)sp__unix_ns()
                                  : (double)(sp__now_us() - begin_us) / 1000;
    const char *const texts[] = {request->name, request->type,
                                 rc == SP_OK ? "true" : "false"};
    sp__sessions_note(asking->sessions, question->session,
                      (struct tidings){.event = {.kind = kind},
                                       EVENT_NUMBERS(number),
                                       .texts = texts,
                                       .texts_count = begin_us == 0 ? 1 : 3});
}

int sp__answer_variable_register(const struct asking *asking, sp_bytes bytes,
                                 struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_register request;
    struct variable_message message = {0};
    sp_variable variable = {0};
    const char *value;
    sp_change_options options = {.size = sizeof options};
    uint64_t begin_us = sp__now_us();
    int rc = sp__question_read(&question, asking, &sp__proto_variable_register_table,
                               bytes, &request, err);
    int is_read = rc == SP_OK;
    if (is_read) {
        note_registration(asking, &question, &request, 0, rc);
    }
    if (rc == SP_OK) {
        const struct question_value came = {.name = request.name,
                                            .type = request.type,
                                            .any = &request.value,
                                            .binary = request.binary};
        rc = sp__question_value(&question, &came, &value, err);
    }
    if (rc == SP_OK) {
        options.constraints = sp__or_null(request.constraints_json);
        options.changed_by = request.changed_by;
        rc = sp__question_metadata(&question, &request.metadata, request.metadata_json,
                                   &options.metadata, err);
    }
    if (rc == SP_OK) {
        rc = sp__variable_register(asking->sessions, question.session, request.name,
                                   sp__or_null(request.type), value, &options,
                                   &variable, err);
    }
    if (rc == SP_OK) {
        rc = sp__variable_message(&variable, &message, err);
    }
    if (rc == SP_OK) {
        const struct proto_variable_register_reply made = {
            .success = 1, .variable_id = variable.id, .variable = &message.variable};
        rc = sp__proto_put_variable_register_reply(reply, &made, err);
    }
    sp__variable_message_fini(&message);
    sp__free(variable.memory);
    if (is_read) {
        note_registration(asking, &question, &request, begin_us, rc);
    }
    sp__question_fini(&question);
    return rc;
}

/* What is large is copied and perhaps converted: not here. */
static int takes_long(const struct question *question, const char *name)
{
    const char *type;
    size_t bytes;
    return question->asking->is_hurried &&
           sp__variable_peek(question->asking->sessions, question->session, name, &type,
                             &bytes, NULL) == SP_OK &&
           bytes > HURRIED_MAX_BYTES;
}

int sp__answer_variable_get(const struct asking *asking, sp_bytes bytes,
                            struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_get request;
    struct variable_message message = {0};
    sp_variable variable = {0};
    int rc = sp__question_read(&question, asking, &sp__proto_variable_get_table, bytes,
                               &request, err);
    if (rc == SP_OK && takes_long(&question, request.name)) {
        rc = ANSWER_LATER;
    }
    if (rc == SP_OK) {
        rc = sp__variable_get(asking->sessions, question.session, request.name,
                              &variable, err);
    }
    if (rc == SP_OK) {
        rc = sp__variable_message(&variable, &message, err);
    }
    if (rc == SP_OK && request.accept_binary) {
        rc = sp__variable_message_pack(&message, err);
    }
    if (rc == SP_OK) {
        const struct proto_variable_get_reply found = {.variable = &message.variable};
        rc = sp__proto_put_variable_get_reply(reply, &found, err);
    }
    sp__variable_message_fini(&message);
    sp__free(variable.memory);
    sp__question_fini(&question);
    return rc;
}

/* The original's field has no "none": a version of 0 counts only when a native peer
 * says so. */
static void expect_version(sp_change_options *options, int32_t version, int check)
{
    options->check_version = check || version != 0;
    options->expected_version = (uint64_t)(int64_t)version;
}

int sp__answer_variable_set(const struct asking *asking, sp_bytes bytes,
                            struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_set request;
    sp_change_options options = {.size = sizeof options};
    const char *value;
    uint64_t version = 0;
    int rc = sp__question_read(&question, asking, &sp__proto_variable_set_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        const struct question_value came = {
            .name = request.name, .any = &request.value, .binary = request.binary};
        rc = sp__question_value(&question, &came, &value, err);
    }
    if (rc == SP_OK) {
        options.changed_by = request.changed_by;
        options.owner = request.owner;
        expect_version(&options, request.expected_version, request.check_version);
        rc = sp__question_metadata(&question, &request.metadata, request.metadata_json,
                                   &options.metadata, err);
    }
    if (rc == SP_OK) {
        rc = sp__variable_set(asking->sessions, question.session, request.name, value,
                              &options, &version, err);
    }
    if (rc == SP_OK) {
        const struct proto_variable_set_reply made = {
            .success = 1, .new_version = sp__proto_i32(version)};
        rc = sp__proto_put_variable_set_reply(reply, &made, err);
    }
    sp__question_fini(&question);
    return rc;
}

int sp__answer_variable_delete(const struct asking *asking, sp_bytes bytes,
                               struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_delete request;
    sp_change_options options = {.size = sizeof options};
    int rc = sp__question_read(&question, asking, &sp__proto_variable_delete_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        options.owner = request.owner;
        expect_version(&options, request.expected_version, request.check_version);
        rc = sp__variable_delete(asking->sessions, question.session, request.name,
                                 &options, err);
    }
    if (rc == SP_OK) {
        const struct proto_done_reply made = {.success = 1};
        rc = sp__proto_put_done_reply(reply, &made, err);
    }
    sp__question_fini(&question);
    return rc;
}

/* ---- a list: each variable goes into the reply as it comes ---- */

struct listing {
    struct sp_buffer *reply;
    sp_error *err;
    int rc;
};

static void put_listed(const sp_variable *variable, void *user_data)
{
    struct listing *listing = user_data;
    struct variable_message message;
    if (listing->rc < 0) {
        return;
    }
    listing->rc = sp__variable_message(variable, &message, listing->err);
    if (listing->rc == SP_OK) {
        listing->rc = sp__table_put_item(listing->reply, 1, &sp__proto_variable_table,
                                         &message.variable, listing->err);
    }
    sp__variable_message_fini(&message);
}

int sp__answer_variable_list(const struct asking *asking, sp_bytes bytes,
                             struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_variable_list request;
    struct listing listing = {.reply = reply, .err = err};
    int rc = sp__question_read(&question, asking, &sp__proto_variable_list_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        rc =
            sp__variables_list(asking->sessions, question.session,
                               sp__or_null(request.pattern), put_listed, &listing, err);
    }
    sp__question_fini(&question);
    return rc < 0 ? rc : listing.rc;
}
