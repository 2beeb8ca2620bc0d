/* SPDX-License-Identifier: MIT */
/*
 * What clients are told of a failure beyond its details: the status, and trailers that a
 * client without our messages can read.
 *
 *     snakepit-executed          no | unknown | yes
 *     snakepit-reason            the stable name, SP-QUEUE-FULL
 *     grpc-retry-pushback-ms     milliseconds to wait before a repetition, or -1: none
 *
 * The last one is what gRPC's own retries obey, so it is -1 for whatever may have run.
 */
#include <stdio.h>

#include "serve/server.h"
#include "wire/grpc_meta.h"

enum { PUSHBACK_MS = 100 }; /* a full queue, when nothing better is known */

int sp__failure_status(const sp_error *failure)
{
    if (failure->code == SP_ERR_WORKER_DIED && failure->executed == SP_EXECUTED_NO) {
        return GRPC_UNAVAILABLE;
    }
    return sp_error_grpc_status(failure->code);
}

static struct h2_header header(const char *name, const char *value)
{
    return (struct h2_header){.name = name,
                              .name_size = strlen(name),
                              .value = value,
                              .value_size = strlen(value)};
}

/* Negative: not at all. */
static long long pushback_ms(const sp_error *failure)
{
    if (failure->executed != SP_EXECUTED_NO && !failure->retryable) {
        return -1;
    }
    if (failure->retry_after_ms > 0) {
        return failure->retry_after_ms > INT32_MAX ? INT32_MAX
                                                   : (long long)failure->retry_after_ms;
    }
    return sp_error_is_retryable(failure->code) ? PUSHBACK_MS : -1;
}

void sp__failure_trailers(const sp_error *failure, struct failure_trailers *ret)
{
    static const char *const executed[] = {"no", "unknown", "yes"};
    int at = failure->executed;
    if (at < SP_EXECUTED_NO || at > SP_EXECUTED_YES) {
        at = SP_EXECUTED_UNKNOWN;
    }
    (void)snprintf(ret->pushback, sizeof ret->pushback, "%lld", pushback_ms(failure));
    ret->headers[0] = header("snakepit-executed", executed[at]);
    ret->headers[1] = header("snakepit-reason", sp_error_name(failure->code));
    ret->headers[2] = header(SP__GRPC_PUSHBACK, ret->pushback);
    ret->count = 3;
}
