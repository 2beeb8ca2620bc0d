/* SPDX-License-Identifier: MIT */
/*
 * The header fields of one HTTP/2 header block, taken apart as gRPC means them.
 *
 * Text lives in stable pieces that are reused from block to block, so that a connection
 * that carries no metadata allocates one piece in its whole life.
 */
#ifndef SP_WIRE_H2_BLOCK_H
#define SP_WIRE_H2_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "wire/h2.h"

struct h2_text; /* a piece of text memory */

struct h2_block {
    /* What gRPC itself uses. Pointers stand in the text. */
    const char *path; /* NULL: none came */
    size_t path_size;
    uint64_t timeout_ms;
    const char *message; /* grpc-message, decoded, NUL-terminated; NULL: none */
    const uint8_t *details;
    size_t details_size;
    int http_status; /* 0: none */
    int grpc_status; /* -1: none */
    uint8_t is_post;
    uint8_t is_grpc;  /* content-type begins with application/grpc */
    uint8_t has_type; /* any content-type */
    uint8_t bad_timeout;
    uint8_t overflow; /* a limit was hit, the rest was dropped */
    uint8_t no_memory;
    /* The rest. */
    struct h2_header *headers;
    size_t count;
    size_t capacity;
    size_t list_size; /* as RFC 9113 section 6.5.2 counts it */
    struct h2_text *text;
};

struct h2_block_limits {
    size_t list_max;  /* sum of names and values and 32 for each */
    size_t count_max; /* fields that are kept */
};

void sp__h2_block_reset(struct h2_block *block);
void sp__h2_block_fini(struct h2_block *block);

/* Take in one field. Never fails: what went wrong stands in the block. */
void sp__h2_block_add(struct h2_block *block, const struct h2_block_limits *limits,
                      const char *name, size_t name_size, const char *value,
                      size_t value_size);
/* The same for one that is decoded, of the user's, and stays where it is. */
void sp__h2_block_keep(struct h2_block *block, const struct h2_block_limits *limits,
                       const struct h2_header *header);

#endif
