/* SPDX-License-Identifier: MIT */
/*
 * What the stubs share: one call, from the request's struct to the reply's.
 */
#include "wire/stubs.h"

#include "base/error.h"

enum { REPLY_MAX = 1 << 30 }; /* the carrier has a lower limit */

int sp__stub_call(const struct caller *caller, struct stub_call *call, const char *path,
                  const struct proto_table *table, const void *request, sp_error *err)
{
    int rc = SP_OK;
    if (request != NULL) {
        sp__buf_init(&call->request, REPLY_MAX);
        rc = sp__table_put(&call->request, table, request, err);
    }
    sp__buf_init(&call->reply, REPLY_MAX);
    if (rc == SP_OK) {
        rc = caller->call(caller->user, path,
                          (sp_bytes){call->request.data, call->request.size},
                          &call->reply, err);
    }
    return rc;
}

int sp__stub_reply(struct stub_call *call, const struct proto_table *table, void *ret,
                   sp_error *err)
{
    return sp__table_get(table, (sp_bytes){call->reply.data, call->reply.size},
                         &call->memory, ret, err);
}

int sp__stub_next(struct stub_call *call, uint32_t number, size_t *pos,
                  const struct proto_table *table, void *ret, sp_error *err)
{
    sp_bytes item;
    int rc = sp__table_next_item((sp_bytes){call->reply.data, call->reply.size}, number,
                                 pos, &item, err);
    if (rc <= 0) {
        return rc;
    }
    sp__proto_memory_fini(&call->memory);
    rc = sp__table_get(table, item, &call->memory, ret, err);
    return rc < 0 ? rc : 1;
}

int sp__stub_array(const sp_tensor *array, struct stub_array *ret, sp_error *err)
{
    size_t size;
    int rc = sp_tensor_check(array, err);
    if (rc == SP_OK && array->bytes == 0) {
        rc = sp__fail(err, SP_ERR_BAD_VALUE, "an array of no elements has no bytes");
    }
    if (rc == SP_OK) {
        ret->binary = (sp_bytes){array->data, array->bytes};
        rc = sp_tensor_text(array, NULL, 0, ret->text, sizeof ret->text, &size, err);
    }
    return rc;
}

int sp__stub_show_array(const struct proto_variable *message, size_t index,
                        sp_array_cb cb, void *user_data, sp_error *err)
{
    sp_variable variable;
    sp_tensor array;
    int rc = SP_OK;
    if (message == NULL) {
        return sp__fail(err, SP_ERR_PROTOCOL, "the reply has no variable");
    }
    sp__proto_to_variable(message, &variable);
    if (message->binary.size > 0) {
        const sp_binary part = {.name = "", .value = message->binary};
        rc = sp_tensor_find((sp_bytes){variable.value, variable.value_size}, "", &part,
                            1, &array, err);
        rc = rc < 0 ? sp__wrap(err, SP_ERR_PROTOCOL, "the reply's array") : rc;
    }
    if (rc == SP_OK) {
        cb(index, &variable, message->binary.size > 0 ? &array : NULL, user_data);
    }
    return rc;
}

int32_t sp__stub_expected(const sp_change_options *options)
{
    return options->check_version ? sp__proto_i32(options->expected_version) : 0;
}

int sp__stub_check(const char *text, const char *what, sp_error *err)
{
    return text == NULL || text[0] != '\0'
               ? SP_OK
               : sp__fail(err, SP_ERR_INVAL, "%s is needed", what);
}

void sp__stub_call_fini(struct stub_call *call)
{
    sp__buf_fini(&call->request);
    sp__buf_fini(&call->reply);
    sp__proto_memory_fini(&call->memory);
}
