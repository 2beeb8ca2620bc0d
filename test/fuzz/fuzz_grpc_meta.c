/* SPDX-License-Identifier: MIT */
/*
 * Header texts as an enemy writes them: each reader alone, and a whole block of fields,
 * "name:value" on lines. What is read can be written and read again to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/grpc_meta.h"
#include "wire/h2_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

static void *room(size_t size)
{
    void *memory = malloc(size == 0 ? 1 : size);
    CHECK(memory != NULL);
    return memory;
}

static void try_timeout(const char *text, size_t n)
{
    uint64_t ms;
    uint64_t again;
    char out[SP__GRPC_TIMEOUT_MAX];
    if (sp__grpc_get_timeout(text, n, &ms)) {
        size_t size = sp__grpc_put_timeout(ms, out);
        CHECK(out[size] == '\0' && sp__grpc_get_timeout(out, size, &again));
        CHECK(again >= ms && (ms == 0 || again - ms <= ms / 1000));
    }
}

static void try_percent(const char *text, size_t n)
{
    char *decoded = room(n);
    size_t size = sp__grpc_percent_decode(text, n, decoded);
    CHECK(size <= n);
    char *encoded = room(3 * size);
    size_t encoded_size = sp__grpc_percent_encode(decoded, size, encoded);
    char *again = room(encoded_size);
    CHECK(sp__grpc_percent_decode(encoded, encoded_size, again) == size);
    CHECK(memcmp(again, decoded, size) == 0);
    free(decoded);
    free(encoded);
    free(again);
}

static void try_base64(const char *text, size_t n)
{
    uint8_t *decoded = room(n / 4 * 3 + 2);
    size_t size;
    if (sp__base64_decode(text, n, decoded, &size)) {
        char *encoded = room(sp__base64_size(size));
        size_t encoded_size = sp__base64_encode(decoded, size, encoded);
        uint8_t *again = room(encoded_size / 4 * 3 + 2);
        size_t again_size;
        CHECK(sp__base64_decode(encoded, encoded_size, again, &again_size));
        CHECK(again_size == size && memcmp(again, decoded, size) == 0);
        free(encoded);
        free(again);
    }
    free(decoded);
}

static void try_block(const char *text, size_t n)
{
    const struct h2_block_limits limits = {.list_max = 2000, .count_max = 10};
    struct h2_block block = {0};
    sp__h2_block_reset(&block);
    const char *end = text + n;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        stop = stop != NULL ? stop : end;
        const char *colon =
            stop - text > 1 ? memchr(text + 1, ':', (size_t)(stop - text - 1)) : NULL;
        if (colon == NULL) {
            sp__h2_block_reset(&block);
        } else {
            sp__h2_block_add(&block, &limits, text, (size_t)(colon - text), colon + 1,
                             (size_t)(stop - colon - 1));
        }
        text = stop < end ? stop + 1 : end;
    }
    CHECK(block.count <= limits.count_max);
    CHECK(block.path == NULL || strlen(block.path) <= block.path_size);
    CHECK(block.message == NULL || strlen(block.message) < 2000);
    for (size_t i = 0; i < block.count; i++) {
        const struct h2_header *h = &block.headers[i];
        CHECK(h->name[h->name_size] == '\0' && h->value[h->value_size] == '\0');
    }
    sp__h2_block_fini(&block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t live = sp__mem_live();
    char *text = room(size);
    memcpy(text, data, size);
    try_timeout(text, size);
    try_percent(text, size);
    try_base64(text, size);
    try_block(text, size);
    free(text);
    CHECK(sp__mem_live() == live);
    return 0;
}
