/* SPDX-License-Identifier: MIT */
/*
 * The texts that gRPC puts into HTTP/2 headers: deadlines, percent-encoded status
 * messages, base64 of "-bin" values.
 *
 * Follows: "gRPC over HTTP2" (the protocol document), RFC 4648.
 */
#ifndef SP_WIRE_GRPC_META_H
#define SP_WIRE_GRPC_META_H

#include <stddef.h>
#include <stdint.h>

#define SP__GRPC_PUSHBACK "grpc-retry-pushback-ms"

enum { SP__GRPC_TIMEOUT_MAX = 10 }; /* 8 digits, a unit, NUL */

/* What 8 digits hold at most: 11 000 years. */
#define SP__GRPC_TIMEOUT_LONGEST_MS (UINT64_C(99999999) * 3600000)

/* Write a grpc-timeout and return its length. Rounds up where 8 digits do not hold the
 * milliseconds; 0 becomes the shortest deadline there is. */
size_t sp__grpc_put_timeout(uint64_t timeout_ms, char out[SP__GRPC_TIMEOUT_MAX]);

/* 1 and the milliseconds (rounded up), or 0 when the text is not a timeout. */
int sp__grpc_get_timeout(const char *text, size_t n, uint64_t *ret_ms);

/* grpc-message: writes at most 3 * n (encode) or n (decode) bytes, returns how many.
 * Decoding leaves malformed escapes as they stand. */
size_t sp__grpc_percent_encode(const char *text, size_t n, char *out);
size_t sp__grpc_percent_decode(const char *text, size_t n, char *out);

/* Bytes that sp__base64_encode() writes: no padding, as gRPC asks. */
size_t sp__base64_size(size_t n);
size_t sp__base64_encode(const uint8_t *data, size_t n, char *out);

/* Takes padded and bare text. Writes at most n / 4 * 3 + 2 bytes; returns 1 with their
 * count, 0 when the text is malformed. */
int sp__base64_decode(const char *text, size_t n, uint8_t *out, size_t *ret_size);

/* The gRPC status that stands for an HTTP status when a peer sent no grpc-status. */
int sp__grpc_of_http(int http_status);

#endif
