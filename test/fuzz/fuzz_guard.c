/* SPDX-License-Identifier: MIT */
/*
 * Spawn requests as the guard reads them: the first bytes are argc, envc, the number of
 * descriptors and what the message says of the block's size; the rest is the block.
 * Whatever is accepted must be whole: every string inside the block, every list ended.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../guard/request.h"

enum { HEAD = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(char **list, uint32_t count, const char *block, size_t size)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] < block || list[i] + strlen(list[i]) >= block + size) {
            abort();
        }
    }
    if (list[count] != NULL) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spawn_request request;
    if (size < HEAD) {
        return 0;
    }
    size_t block_size = size - HEAD;
    struct guard_message message = {
        .id = 1,
        .argc = data[0] | (uint32_t)data[1] << 24, /* small, or far too large */
        .envc = data[2],
        .fds = data[3],
        .block_bytes = (uint32_t)(block_size + (data[4] & 1)),
    };
    /* An allocation of its own, so that reading past its end is seen. */
    char *block = malloc(block_size == 0 ? 1 : block_size);
    if (block == NULL) {
        return 0;
    }
    memcpy(block, data + HEAD, block_size);
    if (sp__request_parse(&message, block, block_size, &request) == 0) {
        if (message.argc == 0 || message.fds > GUARD_FDS_MAX ||
            request.argv[0][0] != '/') {
            abort();
        }
        check_list(request.argv, message.argc, block, block_size);
        check_list(request.env, message.envc, block, block_size);
        check_list((char *[]){(char *)request.working_dir, NULL}, 1, block, block_size);
    }
    free(block);
    return 0;
}
