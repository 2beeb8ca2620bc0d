/* SPDX-License-Identifier: MIT */
/*
 * What answers about state share: reading a question, and a variable as a message.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "serve/state.h"

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

int sp__question_value(const struct proto_any *any, sp_bytes binary,
                       const char **ret_value, sp_error *err)
{
    if (binary.size > 0) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "a value as %zu bytes beside its JSON is not taken",
                        binary.size);
    }
    if (any->json == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a value is needed");
    }
    *ret_value = any->json;
    return SP_OK;
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
    sp__proto_from_variable(variable, &ret->optimization, &ret->variable);
    int rc = sp__proto_get_metadata(variable->metadata, &ret->memory,
                                    &ret->variable.metadata, err);
    ret->variable.source = source_of(&ret->variable.metadata);
    return rc;
}

void sp__variable_message_fini(struct variable_message *message)
{
    sp__proto_memory_fini(&message->memory);
}
