/* SPDX-License-Identifier: MIT */
/*
 * Answers about programs: StoreProgram, GetProgram, DeleteProgram, ListPrograms.
 *
 * Global ones are meant by `global`, and by whoever names no session and has none of
 * its own.
 */
#include "session/programs.h"
#include "base/error.h"
#include "base/mem.h"
#include "serve/state.h"

static const char *session_of(const struct question *question, int global)
{
    return global ? NULL : sp__or_null(question->session);
}

int sp__answer_program_store(const struct asking *asking, sp_bytes bytes,
                             struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_program_store request;
    int rc = sp__question_read(&question, asking, &sp__proto_program_store_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        const char *session = session_of(&question, request.global);
        rc = request.must_exist
                 ? sp__program_update(asking->sessions, session, request.program_id,
                                      request.data_json, err)
                 : sp__program_store(asking->sessions, session, request.program_id,
                                     request.data_json, sp__proto_to_ms(request.ttl_ms),
                                     err);
    }
    sp__question_fini(&question);
    return rc;
}

int sp__answer_program_get(const struct asking *asking, sp_bytes bytes,
                           struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_program_get request;
    sp_program program = {0};
    int rc = sp__question_read(&question, asking, &sp__proto_program_get_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        rc = sp__program_get(asking->sessions, session_of(&question, request.global),
                             request.program_id, &program, err);
    }
    if (rc == SP_OK) {
        struct proto_program message;
        sp__proto_from_program(&program, &message);
        rc = sp__proto_put_program(reply, &message, err);
    }
    sp__free(program.memory);
    sp__question_fini(&question);
    return rc;
}

int sp__answer_program_delete(const struct asking *asking, sp_bytes bytes,
                              struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_program_delete request;
    int rc = sp__question_read(&question, asking, &sp__proto_program_delete_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = sp__program_delete(asking->sessions, session_of(&question, request.global),
                                request.program_id, err);
    }
    sp__question_fini(&question);
    return rc;
}

struct listing {
    struct sp_buffer *reply;
    sp_error *err;
    int rc;
};

static void put_listed(const sp_program *program, void *user_data)
{
    struct listing *listing = user_data;
    struct proto_program message;
    if (listing->rc == SP_OK) {
        sp__proto_from_program(program, &message);
        listing->rc = sp__table_put_item(listing->reply, 1, &sp__proto_program_table,
                                         &message, listing->err);
    }
}

int sp__answer_program_list(const struct asking *asking, sp_bytes bytes,
                            struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_program_list request;
    struct listing listing = {.reply = reply, .err = err};
    int rc = sp__question_read(&question, asking, &sp__proto_program_list_table, bytes,
                               &request, err);
    if (rc == SP_OK) {
        rc = sp__programs_list(asking->sessions, session_of(&question, request.global),
                               put_listed, &listing, err);
    }
    sp__question_fini(&question);
    return rc < 0 ? rc : listing.rc;
}
