/* SPDX-License-Identifier: MIT */
/* The status codes of gRPC: X(name, number), in order and without a gap. */
#ifndef SNAKEPIT_BASE_GRPC_STATUS_H
#define SNAKEPIT_BASE_GRPC_STATUS_H

#define SP__GRPC_STATUS_TABLE(X) \
    X(OK, 0)                     \
    X(CANCELLED, 1)              \
    X(UNKNOWN, 2)                \
    X(INVALID_ARGUMENT, 3)       \
    X(DEADLINE_EXCEEDED, 4)      \
    X(NOT_FOUND, 5)              \
    X(ALREADY_EXISTS, 6)         \
    X(PERMISSION_DENIED, 7)      \
    X(RESOURCE_EXHAUSTED, 8)     \
    X(FAILED_PRECONDITION, 9)    \
    X(ABORTED, 10)               \
    X(OUT_OF_RANGE, 11)          \
    X(UNIMPLEMENTED, 12)         \
    X(INTERNAL, 13)              \
    X(UNAVAILABLE, 14)           \
    X(DATA_LOSS, 15)             \
    X(UNAUTHENTICATED, 16)

enum grpc_status {
#define X(name, number) GRPC_##name = number,
    SP__GRPC_STATUS_TABLE(X)
#undef X
};

/* "OK", "CANCELLED" and so on; "UNKNOWN" for a number that is none. */
static inline const char *sp__grpc_status_name(int status)
{
    static const char *const names[] = {
#define X(name, number) [number] = #name,
        SP__GRPC_STATUS_TABLE(X)
#undef X
    };
    return status >= 0 && status < (int)(sizeof names / sizeof names[0])
               ? names[status]
               : names[GRPC_UNKNOWN];
}

#endif
