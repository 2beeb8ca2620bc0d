/* SPDX-License-Identifier: MIT */
/*
 * What stands for a tensor, as an enemy writes it: a pointer up to the first zero byte,
 * then JSON. What is accepted lies inside its part, has as many bytes as its shape, and is
 * read the same again after it was written.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static void write_again(const struct part_ref *ref)
{
    struct sp_buffer out;
    struct part_ref again;
    sp__buf_init(&out, 1 << 16);
    int rc = ref->is_tensor
                 ? sp__tensor_put(&out, &ref->tensor, ref->part, ref->at, NULL)
                 : sp__bytes_put(&out, ref->size, ref->part, ref->at, NULL);
    CHECK(rc == SP_OK);
    CHECK(sp__part_read((sp_bytes){out.data, out.size}, "", &again, NULL) == 1);
    CHECK(again.is_tensor == ref->is_tensor && again.size == ref->size);
    CHECK(again.at == ref->at);
    CHECK(again.tensor.dtype == ref->tensor.dtype);
    CHECK(again.tensor.dims == ref->tensor.dims);
    CHECK(memcmp(again.tensor.shape, ref->tensor.shape, sizeof ref->tensor.shape) == 0);
    sp__buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = memchr(data, 0, size);
    struct part_ref ref;
    sp_tensor tensor;
    if (zero == NULL) {
        return 0;
    }
    size_t json_size = size - (size_t)(zero - data) - 1;
    /* Copies of their own, so that reading past their ends is seen. */
    char *json = malloc(json_size + 1);
    char *part = malloc(64);
    CHECK(json != NULL && part != NULL);
    memcpy(json, zero + 1, json_size);
    memset(part, 1, 64);
    const sp_bytes text = {json, json_size};
    const sp_binary parts[] = {{.name = "x", .value = {part, 64}},
                               {.name = "", .value = {part, 16}}};
    if (sp__part_read(text, (const char *)data, &ref, NULL) == 1) {
        write_again(&ref);
    }
    if (sp_tensor_find(text, (const char *)data, parts, 2, &tensor, NULL) == SP_OK) {
        const char *from = tensor.data;
        CHECK(sp_tensor_check(&tensor, NULL) == SP_OK);
        CHECK(from >= part && from + tensor.bytes <= part + 64);
    }
    free(json);
    free(part);
    return 0;
}
