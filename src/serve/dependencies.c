/* SPDX-License-Identifier: MIT */
/* Answers about what depends on what: AddDependency, RemoveDependency,
 * ListDependencies. */
#include "base/error.h"
#include "serve/state.h"
#include "session/variable.h"

int sp__answer_dependency_add(const struct asking *asking, sp_bytes bytes,
                              struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_dependency_add request;
    int rc = sp__question_read(&question, asking, &sp__proto_dependency_add_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        const char *kind = sp__or_null(request.dependency_type);
        rc = sp__variable_depend(asking->sessions, question.session,
                                 request.from_variable, request.to_variable,
                                 kind != NULL ? kind : "data", err);
    }
    if (rc == SP_OK) {
        const struct proto_done_reply made = {.success = 1};
        rc = sp__proto_put_done_reply(reply, &made, err);
    }
    sp__question_fini(&question);
    return rc;
}

int sp__answer_dependency_remove(const struct asking *asking, sp_bytes bytes,
                                 struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_dependency_remove request;
    int rc = sp__question_read(&question, asking, &sp__proto_dependency_remove_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = sp__variable_undepend(asking->sessions, question.session,
                                   request.from_variable, request.to_variable, err);
    }
    sp__question_fini(&question);
    return rc;
}

struct listing {
    struct sp_buffer *reply;
    sp_error *err;
    int rc;
};

static void put_listed(const char *from, const char *to, const char *kind,
                       void *user_data)
{
    struct listing *listing = user_data;
    const struct proto_dependency item = {from, to, kind};
    if (listing->rc == SP_OK) {
        listing->rc = sp__table_put_item(listing->reply, 1, &sp__proto_dependency_table,
                                         &item, listing->err);
    }
}

int sp__answer_dependency_list(const struct asking *asking, sp_bytes bytes,
                               struct sp_buffer *reply, sp_error *err)
{
    struct question question;
    struct proto_dependency_list request;
    struct listing listing = {.reply = reply, .err = err};
    int rc = sp__question_read(&question, asking, &sp__proto_dependency_list_table,
                               bytes, &request, err);
    if (rc == SP_OK) {
        rc = sp__variable_dependencies(asking->sessions, question.session,
                                       sp__or_null(request.name), put_listed, &listing,
                                       err);
    }
    sp__question_fini(&question);
    return rc < 0 ? rc : listing.rc;
}
