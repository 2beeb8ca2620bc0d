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
#include <string.h>

#include "serve/rpc.h"
#include "wire/grpc_meta.h"

static struct h2_header header(const char *name, const char *value)
{
    return (struct h2_header){.name = name,
                              .name_size = strlen(name),
                              .value = value,
                              .value_size = strlen(value)};
}

void sp__failure_trailers(const sp_error *failure, struct failure_trailers *ret)
{
    static const char *const executed[] = {"no", "unknown", "yes"};
    int at = failure->executed;
    if (at < SP_EXECUTED_NO || at > SP_EXECUTED_YES) {
        at = SP_EXECUTED_UNKNOWN;
    }
    (void)snprintf(ret->pushback, sizeof ret->pushback, "%lld",
                   (long long)sp_error_pushback_ms(failure));
    ret->headers[0] = header("snakepit-executed", executed[at]);
    ret->headers[1] = header("snakepit-reason", sp_error_name(failure->code));
    ret->headers[2] = header(SP__GRPC_PUSHBACK, ret->pushback);
    ret->count = 3;
}
