/* SPDX-License-Identifier: MIT */
/*
 * The memory of results.
 *
 * JSON is in a spare block, as is the call that brings it. A binary is often large, and
 * in the message it came with: it is in memory of its own.
 */
#include "pool/result.h"

#include <string.h>

#include "base/mem.h"
#include "base/spare.h"

int sp__result_copy_json(sp_result *result, sp_bytes json)
{
    char *copy = sp__spare_take(json.size + 1);
    if (copy == NULL) {
        return SP_ERR_NOMEM;
    }
    if (json.size > 0) {
        memcpy(copy, json.data, json.size);
    }
    copy[json.size] = '\0';
    sp__spare_give(result->json);
    result->json = copy;
    result->json_bytes = json.size;
    return SP_OK;
}

int sp__result_copy_binary(sp_result *result, sp_bytes binary)
{
    if (binary.size == 0) {
        return SP_OK;
    }
    result->memory = sp__malloc(binary.size);
    if (result->memory == NULL) {
        return SP_ERR_NOMEM;
    }
    result->binary = memcpy(result->memory, binary.data, binary.size);
    result->binary_bytes = binary.size;
    return SP_OK;
}

void sp__result_drop_data(sp_result *result)
{
    sp__spare_give(result->json);
    sp__free(result->memory);
    result->json = NULL;
    result->json_bytes = 0;
    result->binary = result->memory = NULL;
    result->binary_bytes = 0;
}

SP_API void sp_result_clear(sp_result *result)
{
    if (result != NULL) {
        sp__result_drop_data(result);
        *result = (sp_result){0};
    }
}
