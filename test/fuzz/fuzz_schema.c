/* SPDX-License-Identifier: MIT */
/*
 * A schema and arguments as an enemy writes them, one behind the other with a zero byte
 * between. What is refused says why; a schema that was read gives the same answer twice,
 * and what is taken in one pass is what the longer way accepts.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "session/schema.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, 0, size);
    struct schema *schema = NULL;
    sp_error err = {0};
    if (end == NULL) {
        return 0;
    }
    size_t schema_size = (size_t)(end - data);
    size_t args_size = size - schema_size - 1;
    /* Copies of their own, so that reading past an end is seen. */
    char *schema_json = malloc(schema_size + 1);
    char *args = malloc(args_size + 1);
    CHECK(schema_json != NULL && args != NULL);
    memcpy(schema_json, data, schema_size);
    memcpy(args, end + 1, args_size);
    int rc = sp__schema_new(schema_json, schema_size, &schema, &err);
    CHECK(rc == err.code && (rc == SP_OK) == (schema != NULL));
    CHECK(rc == SP_OK || err.message[0] != '\0');
    int is_taken = rc == SP_OK && sp__schema_takes(schema, args, args_size);
    int is_json =
        sp__json_read(args, args_size, SP__JSON_DEPTH_MAX, NULL, NULL, NULL) == SP_OK;
    CHECK(is_json || !is_taken);
    if (rc == SP_OK && is_json) {
        rc = sp__schema_check(schema, args, args_size, NULL, &err);
        CHECK(rc == err.code && (rc == SP_OK || rc == SP_ERR_BAD_ARGS));
        CHECK(sp__schema_check(schema, args, args_size, NULL, NULL) == rc);
        CHECK(rc == SP_OK || !is_taken);
    }
    sp__schema_free(schema);
    sp_error_clear(&err);
    free(schema_json);
    free(args);
    return 0;
}
