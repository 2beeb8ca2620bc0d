/* SPDX-License-Identifier: MIT */
/*
 * The header fields of one block.
 *
 * nghttp2 hands over field by field; the bytes are only lent, so what is kept is copied
 * into the block's text. The fields of gRPC are parsed on the spot, "-bin" values are
 * decoded, everything else is kept as it is. Reserved names ("grpc-" and those of HTTP)
 * are left out of the rest.
 *
 * A block with too many or too large fields is marked and takes in nothing more: the
 * limit holds while the block arrives, not after it. Running out of memory likewise
 * leaves a mark.
 */
#include "wire/h2_block.h"

#include <string.h>

#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/grpc_meta.h"

enum { TEXT_MIN = 512, FIELD_OVERHEAD = 32, HEADERS_MIN = 8 };

struct h2_text {
    struct h2_text *next;
    size_t size;
    size_t capacity;
    char bytes[];
};

/* Bytes that stay where they are until the block is reset, or NULL. */
static char *text_room(struct h2_block *block, size_t size)
{
    struct h2_text *text = block->text;
    if (text == NULL || text->capacity - text->size < size) {
        size_t capacity = size < TEXT_MIN ? TEXT_MIN : size;
        text = sp__malloc(sizeof *text + capacity);
        if (text == NULL) {
            block->no_memory = 1;
            return NULL;
        }
        text->next = block->text;
        text->size = 0;
        text->capacity = capacity;
        block->text = text;
    }
    char *room = text->bytes + text->size;
    text->size += size;
    return room;
}

static void free_text(struct h2_text *text)
{
    while (text != NULL) {
        struct h2_text *next = text->next;
        sp__free(text);
        text = next;
    }
}

void sp__h2_block_reset(struct h2_block *block)
{
    struct h2_text *text = block->text;
    if (text != NULL) {
        /* The oldest piece is the usual one; larger ones were for a single block. */
        while (text->next != NULL) {
            struct h2_text *next = text->next;
            sp__free(text);
            text = next;
        }
        text->size = 0;
    }
    *block = (struct h2_block){.text = text,
                               .headers = block->headers,
                               .capacity = block->capacity,
                               .timeout_ms = SP_UNLIMITED,
                               .grpc_status = -1};
}

void sp__h2_block_fini(struct h2_block *block)
{
    free_text(block->text);
    sp__free(block->headers);
    *block = (struct h2_block){.timeout_ms = SP_UNLIMITED, .grpc_status = -1};
}

static int is(const char *name, size_t n, const char *what, size_t what_size)
{
    return n == what_size && memcmp(name, what, n) == 0;
}
#define IS(text, n, literal) is(text, n, literal, sizeof(literal) - 1)

static int starts_with(const char *text, size_t n, const char *prefix,
                       size_t prefix_size)
{
    return n >= prefix_size && memcmp(text, prefix, prefix_size) == 0;
}
#define STARTS(text, n, literal) starts_with(text, n, literal, sizeof(literal) - 1)

/* A decimal number of up to five digits, or -1. */
static int small_number(const char *text, size_t n)
{
    int value = 0;
    if (n == 0 || n > 5) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* "application/grpc", alone or with "+proto" or parameters behind it. */
static int is_grpc_type(const char *value, size_t n)
{
    static const char type[] = "application/grpc";
    enum { TYPE = sizeof type - 1 };
    return starts_with(value, n, type, TYPE) &&
           (n == TYPE || value[TYPE] == '+' || value[TYPE] == ';');
}

static void take_path(struct h2_block *block, const char *value, size_t n)
{
    char *room = text_room(block, n + 1);
    if (room != NULL) {
        memcpy(room, value, n);
        room[n] = '\0';
        block->path = room;
        block->path_size = n;
    }
}

static void take_message(struct h2_block *block, const char *value, size_t n)
{
    char *room = text_room(block, n + 1);
    if (room != NULL) {
        room[sp__grpc_percent_decode(value, n, room)] = '\0';
        block->message = room;
    }
}

static void take_details(struct h2_block *block, const char *value, size_t n)
{
    char *room = text_room(block, n / 4 * 3 + 3);
    size_t size;
    if (room != NULL && sp__base64_decode(value, n, (uint8_t *)room, &size)) {
        block->details = (const uint8_t *)room;
        block->details_size = size;
    }
}

static int grow_headers(struct h2_block *block)
{
    if (block->count < block->capacity) {
        return 1;
    }
    size_t capacity = block->capacity == 0 ? HEADERS_MIN : block->capacity * 2;
    struct h2_header *headers =
        sp__realloc(block->headers, capacity * sizeof headers[0]);
    if (headers == NULL) {
        block->no_memory = 1;
        return 0;
    }
    block->headers = headers;
    block->capacity = capacity;
    return 1;
}

static void take_other(struct h2_block *block, const char *name, size_t name_size,
                       const char *value, size_t value_size)
{
    int binary = name_size > 4 && memcmp(name + name_size - 4, "-bin", 4) == 0;
    if (!grow_headers(block)) {
        return;
    }
    char *room = text_room(block, name_size + value_size + 3);
    if (room == NULL) {
        return;
    }
    memcpy(room, name, name_size);
    room[name_size] = '\0';
    char *copy = room + name_size + 1;
    size_t size = value_size;
    if (binary) {
        if (!sp__base64_decode(value, value_size, (uint8_t *)copy, &size)) {
            return; /* not what its name promises: nobody could use it */
        }
    } else {
        memcpy(copy, value, value_size);
    }
    copy[size] = '\0';
    block->headers[block->count++] = (struct h2_header){
        .name = room, .name_size = name_size, .value = copy, .value_size = size};
}

static void take_pseudo(struct h2_block *block, const char *name, size_t name_size,
                        const char *value, size_t value_size)
{
    if (IS(name, name_size, ":path")) {
        take_path(block, value, value_size);
    } else if (IS(name, name_size, ":method")) {
        block->is_post = (uint8_t)IS(value, value_size, "POST");
    } else if (IS(name, name_size, ":status")) {
        block->http_status = small_number(value, value_size);
    }
    /* :scheme and :authority mean nothing here. */
}

static void take_grpc(struct h2_block *block, const char *name, size_t name_size,
                      const char *value, size_t value_size)
{
    if (IS(name, name_size, "grpc-status")) {
        int status = small_number(value, value_size);
        block->grpc_status = status < 0 ? GRPC_UNKNOWN : status;
    } else if (IS(name, name_size, "grpc-timeout")) {
        if (!sp__grpc_get_timeout(value, value_size, &block->timeout_ms)) {
            block->bad_timeout = 1;
        }
    } else if (IS(name, name_size, "grpc-message")) {
        take_message(block, value, value_size);
    } else if (IS(name, name_size, "grpc-status-details-bin")) {
        take_details(block, value, value_size);
    }
    /* The other names of gRPC (encodings, tags, traces) are not for the user. */
}

/* 1 when the block takes one more field. */
static int has_room(struct h2_block *block, const struct h2_block_limits *limits,
                    size_t size)
{
    block->list_size += size + FIELD_OVERHEAD;
    if (block->list_size > limits->list_max || block->count >= limits->count_max) {
        block->overflow = 1;
    }
    return !block->overflow && !block->no_memory;
}

void sp__h2_block_keep(struct h2_block *block, const struct h2_block_limits *limits,
                       const struct h2_header *header)
{
    if (has_room(block, limits, header->name_size + header->value_size) &&
        grow_headers(block)) {
        block->headers[block->count++] = *header;
    }
}

void sp__h2_block_add(struct h2_block *block, const struct h2_block_limits *limits,
                      const char *name, size_t name_size, const char *value,
                      size_t value_size)
{
    if (!has_room(block, limits, name_size + value_size)) {
        return;
    }
    if (name_size > 0 && name[0] == ':') {
        take_pseudo(block, name, name_size, value, value_size);
    } else if (STARTS(name, name_size, "grpc-") &&
               !IS(name, name_size, SP__GRPC_PUSHBACK)) {
        take_grpc(block, name, name_size, value, value_size);
    } else if (IS(name, name_size, "content-type")) {
        block->has_type = 1;
        block->is_grpc = (uint8_t)is_grpc_type(value, value_size);
    } else if (!IS(name, name_size, "te") && !IS(name, name_size, "user-agent") &&
               !IS(name, name_size, "host")) {
        take_other(block, name, name_size, value, value_size);
    }
}
