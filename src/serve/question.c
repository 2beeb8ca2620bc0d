/* SPDX-License-Identifier: MIT */
/*
 * What answers about state share: reading a question, and a variable as a message.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "serve/state.h"
#include "session/variable.h"
#include "wire/tensor_json.h"

int sp__question_read(struct question *question, const struct asking *asking,
                      const struct proto_table *table, sp_bytes bytes, void *ret,
                      sp_error *err)
{
    assert(table->slots[0].offset == 0 && table->slots[0].kind == PROTO_TEXT);
    *question = (struct question){.asking = asking};
    sp__buf_init(&question->metadata, SIZE_MAX / 2);
    int rc = sp__table_get(table, bytes, &question->memory, ret, err);
    if (rc == SP_ERR_PROTOCOL) {
        rc = sp__wrap(err, rc, "the question cannot be read");
    }
    return rc < 0 ? rc
                  : sp__asking_session(asking, *(const char *const *)ret,
                                       &question->session, err);
}

void sp__question_fini(struct question *question)
{
    sp__proto_memory_fini(&question->memory);
    sp__buf_fini(&question->metadata);
}

int sp__question_metadata(struct question *question, const struct proto_run *map,
                          const char *json, const char **ret_metadata, sp_error *err)
{
    int rc = SP_OK;
    *ret_metadata = sp__or_null(json);
    if (*ret_metadata == NULL && map->count > 0) {
        rc = sp__proto_put_metadata(&question->metadata, map, err);
        *ret_metadata = (const char *)question->metadata.data;
    }
    return rc;
}

/* One dimension is what an embedding has, unless something else is asked for. */
static int is_list(struct question *question, const struct question_value *value,
                   const sp_tensor *tensor, int *ret_is_list, sp_error *err)
{
    const char *type = value->type;
    size_t bytes;
    int rc = SP_OK;
    if (type == NULL) {
        rc = sp__variable_peek(question->asking->sessions, question->session,
                               value->name, &type, &bytes, err);
    }
    if (rc == SP_OK) {
        *ret_is_list =
            type[0] == '\0' ? tensor->dims == 1 : strcmp(type, "tensor") != 0;
    }
    return rc;
}

/* The JSON in the question's memory. */
static int put_array(struct question *question, const struct question_value *value,
                     const sp_tensor *tensor, const char **ret_value, sp_error *err)
{
    struct sp_buffer json;
    int as_list = 0;
    sp__buf_init(&json, SIZE_MAX / 2);
    int rc = is_list(question, value, tensor, &as_list, err);
    if (rc == SP_OK) {
        rc = sp__tensor_to_json(&json, tensor, as_list, err);
    }
    if (rc == SP_OK) {
        char *text = sp__proto_memory_take(&question->memory, json.size + 1, err);
        rc = text != NULL ? SP_OK : SP_ERR_NOMEM;
        if (text != NULL) {
            memcpy(text, json.data, json.size);
            text[json.size] = '\0';
            *ret_value = text;
        }
    }
    sp__buf_fini(&json);
    return rc;
}

int sp__question_value(struct question *question, const struct question_value *value,
                       const char **ret_value, sp_error *err)
{
    const char *json = value->any->json;
    const sp_binary part = {.name = "", .value = value->binary};
    sp_tensor tensor;
    if (json == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a value is needed");
    }
    if (value->binary.size == 0) {
        *ret_value = json;
        return SP_OK;
    }
    int rc = sp_tensor_find((sp_bytes){json, strlen(json)}, "", &part, 1, &tensor, err);
    if (rc < 0) {
        return sp__wrap(err, rc, "a value of %zu bytes beside its JSON",
                        value->binary.size);
    }
    return put_array(question, value, &tensor, ret_value, err);
}

/* The original tells who made a variable by this member of its metadata. */
static int32_t source_of(const struct proto_run *metadata)
{
    const struct proto_text_entry *entries = metadata->items;
    for (size_t i = 0; i < metadata->count; i++) {
        if (strcmp(entries[i].key, "source") == 0 &&
            strcmp(entries[i].text, "python") == 0) {
            return PROTO_PYTHON;
        }
    }
    return PROTO_ELIXIR;
}

int sp__variable_message(const sp_variable *variable, struct variable_message *ret,
                         sp_error *err)
{
    *ret = (struct variable_message){0};
    sp__buf_init(&ret->data, SIZE_MAX / 2);
    sp__proto_from_variable(variable, &ret->optimization, &ret->variable);
    int rc = sp__proto_get_metadata(variable->metadata, &ret->memory,
                                    &ret->variable.metadata, err);
    ret->variable.source = source_of(&ret->variable.metadata);
    return rc;
}

int sp__variable_message_pack(struct variable_message *message, sp_error *err)
{
    struct proto_variable *variable = &message->variable;
    const sp_bytes json = {variable->value.json, strlen(variable->value.json)};
    sp_tensor tensor;
    size_t size;
    int is_array = strcmp(variable->type, "tensor") == 0 ||
                   strcmp(variable->type, "embedding") == 0;
    if (!is_array || json.size <= SP_BINARY_MIN_BYTES) {
        return SP_OK;
    }
    int rc = sp__tensor_from_json(json, &message->data, &tensor, err);
    if (rc == 1) {
        rc = sp_tensor_text(&tensor, NULL, 0, message->text, sizeof message->text,
                            &size, err);
        variable->value.json = message->text;
        variable->binary = (sp_bytes){tensor.data, tensor.bytes};
    }
    return rc;
}

void sp__variable_message_fini(struct variable_message *message)
{
    sp__buf_fini(&message->data);
    sp__proto_memory_fini(&message->memory);
}
