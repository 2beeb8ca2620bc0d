/* SPDX-License-Identifier: MIT */
/*
 * Calls of a daemon's tools: ExecuteTool and ExecuteStreamingTool, each a stream of one
 * message or of many. What sp_call_options say beside the arguments travels as metadata,
 * under the names that snakepitd(8) lists.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "serve/affinity.h"
#include "serve/remote_internal.h"
#include "wire/grpc_meta.h"
#include "wire/proto.h"

enum { HEADERS_MAX = 9 };

struct head {
    struct h2_header headers[HEADERS_MAX];
    size_t count;
    char queue_timeout[24];
};

static void add(struct head *head, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        head->headers[head->count++] = (struct h2_header){.name = name,
                                                          .name_size = strlen(name),
                                                          .value = value,
                                                          .value_size = strlen(value)};
    }
}

static void fill(struct head *head, const sp_call_options *options)
{
    head->count = 0;
    head->queue_timeout[0] = '\0';
    if (options->queue_timeout_ms != 0) {
        (void)snprintf(head->queue_timeout, sizeof head->queue_timeout, "%llu",
                       (unsigned long long)options->queue_timeout_ms);
    }
    add(head, "snakepit-pool", options->pool);
    add(head, "snakepit-request-id", options->request_id);
    add(head, "snakepit-dedupe-key", options->dedupe_key);
    add(head, "snakepit-queue-timeout-ms", head->queue_timeout);
    add(head, "snakepit-affinity", sp__affinity_word(options->affinity));
    add(head, "snakepit-idempotent",
        (options->flags & SP_CALL_IDEMPOTENT) != 0 ? "1" : NULL);
    add(head, "traceparent", options->traceparent);
    add(head, "tracestate", options->tracestate);
    add(head, "baggage", options->baggage);
}

/* In the words of a line, where none is the pool's own: no end is the longest time. */
static uint64_t told_timeout_ms(const sp_call_options *options)
{
    if (options->timeout_ms == 0) {
        return SP_UNLIMITED;
    }
    return options->timeout_ms == SP_UNLIMITED ? SP__GRPC_TIMEOUT_LONGEST_MS
                                               : options->timeout_ms;
}

int sp__remote_call_open(struct remote *remote, const struct remote_call *call,
                         struct remote_stream **ret_stream, sp_error *err)
{
    const sp_call_options *options = call->options;
    struct head head;
    struct sp_buffer message;
    const struct proto_request request = {.session_id = sp_text(options->session),
                                          .tool_name = sp_text(call->tool),
                                          .args_json = call->args,
                                          .stream = call->streams};
    if (options->affinity != SP_AFFINITY_DEFAULT &&
        sp__affinity_word(options->affinity) == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "an affinity of %d, allowed are the SP_AFFINITY_ constants",
                        options->affinity);
    }
    fill(&head, options);
    sp__buf_init(&message, SIZE_MAX / 2);
    int rc = sp__proto_put_request(&message, &request, 0, err);
    if (rc == SP_OK) {
        const struct line_request line = {.path = call->streams ? SP__PATH_STREAM
                                                                : SP__PATH_EXECUTE,
                                          .timeout_ms = told_timeout_ms(options),
                                          .headers = head.headers,
                                          .headers_count = head.count,
                                          .message = {message.data, message.size}};
        rc = sp__remote_stream_begin(remote, &line, ret_stream, err);
    }
    sp__buf_fini(&message);
    return rc;
}
