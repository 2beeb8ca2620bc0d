/* SPDX-License-Identifier: MIT */
/*
 * Calls of peers: from a message on a stream to a request in a pool, and back.
 *
 * Normal course: the message is read, its arguments are put together, the request is
 * admitted as one of the program itself would be and submitted at once, on the loop. Its
 * ending becomes the answer; the chunks of a stream go from the request's mailbox to the
 * client's stream until that is full, and on when it has drained, so that a slow client
 * slows the tool.
 *
 * Failure: what cannot be admitted, and what fails later, ends the rpc with the status,
 * details and trailers of its error. A client that resets the stream or is gone cancels
 * the call: the request then has no rpc any more and ends unheard.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "pit/admit.h"
#include "serve/affinity.h"
#include "serve/rpc.h"
#include "wire/grpc_meta.h"
#include "wire/json.h"

enum {
    PREFIX_BYTES = 5,     /* gRPC: not compressed, length */
    NAME_MAX_BYTES = 255, /* of a tool, a session */
    HEAD_VALUE_MAX = 1024,
    BATCH_BYTES = 64 * 1024 /* chunks that are handed over together */
};

/* ---- what the metadata says ---- */

static int keep_some(char **place, const struct h2_header *header, size_t max)
{
    sp__free(*place);
    *place = header->value_size > max ? NULL
                                      : sp__strndup(header->value, header->value_size);
    return *place != NULL && strlen(*place) == header->value_size ? SP_OK
                                                                  : SP_ERR_INVAL;
}

static int keep(char **place, const struct h2_header *header)
{
    return keep_some(place, header, HEAD_VALUE_MAX);
}

static int is_true(const struct h2_header *header)
{
    return (header->value_size == 1 && header->value[0] == '1') ||
           (header->value_size == 4 && memcmp(header->value, "true", 4) == 0);
}

int sp__rpc_read_number(const struct h2_header *header, uint64_t *ret_number)
{
    char text[21];
    char *end;
    if (header->value_size == 0 || header->value_size >= sizeof text ||
        header->value[0] < '0' || header->value[0] > '9') {
        return SP_ERR_INVAL;
    }
    memcpy(text, header->value, header->value_size);
    text[header->value_size] = '\0';
    *ret_number = strtoull(text, &end, 10);
    return *end == '\0' ? SP_OK : SP_ERR_INVAL;
}

static int has_name(const struct h2_header *header, const char *name)
{
    return header->name_size == strlen(name) &&
           memcmp(header->name, name, header->name_size) == 0;
}

static int affinity_of(const struct h2_header *header)
{
    for (int i = SP_AFFINITY_HINT; i <= SP_AFFINITY_STRICT_FAIL_FAST; i++) {
        const char *word = sp__affinity_word(i);
        if (header->value_size == strlen(word) &&
            memcmp(header->value, word, header->value_size) == 0) {
            return i;
        }
    }
    return SP_AFFINITY_DEFAULT;
}

int sp__rpc_head_read(struct rpc *rpc, const struct h2_request *request)
{
    struct rpc_head *head = &rpc->head;
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && i < request->headers_count; i++) {
        const struct h2_header *header = &request->headers[i];
        if (has_name(header, "snakepit-pool")) {
            rc = keep(&head->pool, header);
        } else if (has_name(header, "snakepit-request-id")) {
            rc = keep(&head->request_id, header);
        } else if (has_name(header, "snakepit-dedupe-key")) {
            rc = keep(&head->dedupe_key, header);
        } else if (has_name(header, "traceparent") && head->trace == NULL) {
            (void)keep(&head->trace, header); /* one that is none is passed over */
        } else if (has_name(header, "tracestate")) {
            (void)keep_some(&head->tracestate, header, TRACESTATE_MAX); /* likewise */
        } else if (has_name(header, "baggage")) {
            (void)keep_some(&head->baggage, header, BAGGAGE_MAX);
        } else if (has_name(header, "snakepit-queue-timeout-ms")) {
            rc = sp__rpc_read_number(header, &head->queue_timeout_ms);
        } else if (has_name(header, "snakepit-affinity")) {
            head->affinity = affinity_of(header);
            rc = head->affinity != SP_AFFINITY_DEFAULT ? SP_OK : SP_ERR_INVAL;
        } else if (has_name(header, "snakepit-idempotent")) {
            head->flags = is_true(header) ? SP_CALL_IDEMPOTENT : 0;
        }
    }
    return rc;
}

void sp__rpc_head_free(struct rpc *rpc)
{
    struct rpc_head *head = &rpc->head;
    sp__free(head->pool);
    sp__free(head->request_id);
    sp__free(head->dedupe_key);
    sp__free(head->trace);
    sp__free(head->tracestate);
    sp__free(head->baggage);
    *head = (struct rpc_head){0};
}

/* ---- answers ---- */

int sp__rpc_put_result(struct rpc *rpc, const sp_result *result, sp_error *err)
{
    struct proto_response response = {
        .success = 1,
        .result_json = {result->json, result->json_bytes},
        .result_type = sp_text(sp__json_type(result->json, result->json_bytes)),
        .binary_result = {result->binary, result->binary_bytes},
        .execution_time_ms = (int64_t)(result->run_us / 1000),
    };
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    int rc = sp__buf_append(&out, "\0\0\0\0", PREFIX_BYTES, err);
    if (rc == SP_OK) {
        rc = sp__proto_put_response(&out, &response, err);
    }
    if (rc == SP_OK) {
        uint8_t *data;
        size_t size;
        sp__buf_take(&out, &data, &size);
        rc = sp__h2_write_take(rpc->stream, &data, size - PREFIX_BYTES, err);
        sp__free(data); /* NULL once it was taken */
    }
    sp__buf_fini(&out);
    return rc;
}

static void end_rpc(struct rpc *rpc)
{
    struct request *request = rpc->request;
    sp_error failure = {0};
    if (request->error != NULL) {
        sp__rpc_fail(rpc, request->error);
    } else if (!request->streaming &&
               sp__rpc_put_result(rpc, &request->result, &failure) < 0) {
        failure.executed = SP_EXECUTED_YES;
        sp__rpc_fail(rpc, &failure);
    } else {
        sp__rpc_finish_placed(rpc, request->result.placed);
    }
    sp_error_clear(&failure);
    rpc->request = NULL;
    sp__request_drop(request);
}

/* ---- chunks ---- */

static void put_prefix(uint8_t *to, size_t size)
{
    to[0] = 0;
    to[1] = (uint8_t)(size >> 24);
    to[2] = (uint8_t)(size >> 16);
    to[3] = (uint8_t)(size >> 8);
    to[4] = (uint8_t)size;
}

int sp__rpc_put_chunk(struct rpc *rpc, const char *tool, struct sp_buffer *out,
                      sp_bytes data, sp_bytes binary, int is_final, sp_error *err)
{
    char id[NAME_MAX_BYTES + 24];
    size_t start = out->size;
    int id_size =
        snprintf(id, sizeof id, "%s-%llu", tool, (unsigned long long)++rpc->chunks);
    int rc = sp__buf_append(out, "\0\0\0\0", PREFIX_BYTES, err);
    if (rc == SP_OK) {
        struct proto_chunk chunk = {.chunk_id = {id, (size_t)id_size},
                                    .data = data,
                                    .binary = binary,
                                    .is_final = is_final};
        rc = sp__proto_put_chunk(out, &chunk, err);
    }
    if (rc == SP_OK) {
        put_prefix(out->data + start, out->size - start - PREFIX_BYTES);
    }
    return rc;
}

/* Fill `out` from the mailbox. 1: more may be there; 0: nothing now; -1: nothing ever. */
static int gather(struct rpc *rpc, struct sp_buffer *out, sp_error *err)
{
    struct request *request = rpc->request;
    while (out->size < BATCH_BYTES) {
        struct mailbox_chunk chunk;
        size_t credit;
        int rc = sp__mailbox_take(&request->mailbox, &chunk, &credit);
        if (credit > 0) {
            sp__pit_grant_here(rpc->peer->lane, request, credit);
        }
        if (rc <= 0) {
            return rc;
        }
        if (sp__rpc_put_chunk(
                rpc, request->tool_name, out, (sp_bytes){chunk.data, chunk.size},
                (sp_bytes){chunk.binary, chunk.binary_size}, 0, err) < 0) {
            return -1;
        }
    }
    return 1;
}

static void give_up_stream(struct rpc *rpc, const sp_error *failure)
{
    sp__rpc_fail(rpc, failure);
    sp__execute_gone(rpc);
}

/* Move what there is, as long as the client's stream takes it. */
static void pump(struct rpc *rpc)
{
    struct sp_buffer out;
    sp_error failure = {0};
    int more = 1;
    sp__buf_init(&out, SIZE_MAX / 2);
    while (more > 0 && failure.code == 0 &&
           sp__h2_queued(rpc->stream) <= HIGH_WATER_BYTES) {
        out.size = 0;
        more = gather(rpc, &out, &failure);
        if (more < 0 && failure.code == 0 && rpc->ended &&
            rpc->request->error == NULL) {
            /* The original's clients look for a final chunk. */
            (void)!sp__rpc_put_chunk(rpc, rpc->request->tool_name, &out, (sp_bytes){0},
                                     (sp_bytes){0}, 1, &failure);
        }
        if (out.size > 0 && failure.code == 0 &&
            sp__h2_write_framed(rpc->stream, out.data, out.size, &failure) < 0) {
            break;
        }
    }
    sp__buf_fini(&out);
    sp__channel_touch(rpc->peer->channel);
    if (failure.code != 0) {
        failure.executed = SP_EXECUTED_UNKNOWN;
        give_up_stream(rpc, &failure);
    } else if (more < 0 && rpc->ended) {
        end_rpc(rpc);
    }
    sp_error_clear(&failure);
}

void sp__execute_drained(struct rpc *rpc)
{
    sp__tool_drained(rpc);
    if (rpc->request != NULL && !rpc->finished) {
        pump(rpc);
    }
}

/* ---- the request's events ---- */

static void on_loop(struct request *request, int ended)
{
    struct rpc *rpc = request->user_data;
    if (rpc == NULL) {
        if (ended) {
            sp__request_drop(request); /* nobody is left to hear of it */
        }
        return;
    }
    if (ended) {
        rpc->ended = 1;
    }
    if (request->streaming) {
        pump(rpc);
    } else if (ended) {
        end_rpc(rpc);
    }
}

void sp__execute_gone(struct rpc *rpc)
{
    struct request *request = rpc->request;
    sp__tool_gone(rpc);
    if (request == NULL) {
        return;
    }
    rpc->request = NULL;
    if (rpc->ended) {
        sp__request_drop(request);
        return;
    }
    request->user_data = NULL;
    if (rpc->peer->stats != NULL) {
        rpc->peer->stats->calls_cancelled++;
    }
    if (rpc->peer->worker == NULL) {
        sp__pit_cancel_here(rpc->peer->lane, request);
    } else {
        /* A pool may be at it just now to end the call that asks, or the worker. */
        sp__pit_cancel_request(request);
    }
}

/* ---- in ---- */

static int copy_name(sp_bytes name, const char *what, char text[NAME_MAX_BYTES + 1],
                     sp_error *err)
{
    if (name.size > NAME_MAX_BYTES ||
        (name.size > 0 && memchr(name.data, 0, name.size) != NULL)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "%s of %zu bytes, allowed are at most %d without a zero byte",
                        what, name.size, NAME_MAX_BYTES);
    }
    if (name.size > 0) {
        memcpy(text, name.data, name.size);
    }
    text[name.size] = '\0';
    return SP_OK;
}

/* In the words of sp_call_options, where 0 is the pool's own. A peer that wants no end can
 * only say the longest time. */
static uint64_t timeout_of(const struct rpc *rpc)
{
    if (rpc->timeout_ms == SP_UNLIMITED) {
        return 0;
    }
    if (rpc->timeout_ms >= SP__GRPC_TIMEOUT_LONGEST_MS) {
        return SP_UNLIMITED;
    }
    return rpc->timeout_ms == 0 ? 1 : rpc->timeout_ms;
}

static int submit(struct rpc *rpc, const struct proto_request *message,
                  const struct tool_wish *wanted, sp_error *err)
{
    struct sp_pit *pit = rpc->peer->pit;
    struct request *request;
    sp_call_options options = {
        .size = sizeof options,
        .pool = rpc->head.pool,
        .timeout_ms = timeout_of(rpc),
        .queue_timeout_ms = rpc->head.queue_timeout_ms,
        .flags = rpc->head.flags,
        .request_id = rpc->head.request_id,
        .dedupe_key = rpc->head.dedupe_key,
        .affinity = rpc->head.affinity,
        .traceparent = rpc->head.trace,
        .tracestate = rpc->head.tracestate,
        .baggage = rpc->head.baggage,
    };
    struct call_wish wish = {
        .tool = wanted->tool,
        .args_json = wanted->args_json,
        .options = &options,
        .session = wanted->session[0] != '\0' ? wanted->session : NULL,
        .streaming = rpc->method->is_stream,
        .is_asked = 1,
        .taker = TAKER_LOOP,
        .binary = message->binary,
        .binary_count = message->binary_count,
        .metadata = message->metadata,
        .metadata_count = message->metadata_count,
        .lineage = wanted->lineage,
    };
    int rc = sp__admit(pit, &wish, &request, err);
    if (rc < 0) {
        return rc;
    }
    request->loop_cb = on_loop;
    request->user_data = rpc;
    rpc->request = request;
    sp__pit_submit_here(rpc->peer->lane, request);
    return SP_OK;
}

/* A host tool's name goes before a worker's, unless a pool is named. */
static int start(struct rpc *rpc, const struct proto_request *message, sp_bytes args,
                 sp_error *err)
{
    struct asking asking = sp__asking_of(rpc);
    char tool[NAME_MAX_BYTES + 1];
    char session[NAME_MAX_BYTES + 1];
    struct tool_wish wish = {.tool = tool,
                             .args_json = args,
                             .binary = message->binary,
                             .binary_count = message->binary_count};
    struct lineage lineage;
    if (rpc->parent != NULL) {
        sp__lineage_after(&lineage, rpc->parent);
        wish.lineage = &lineage;
    }
    int rc = copy_name(message->tool_name, "a tool's name", tool, err);
    if (rc == SP_OK) {
        rc = copy_name(message->session_id, "a session's name", session, err);
    }
    if (rc == SP_OK) {
        rc = sp__asking_session(&asking, session, &wish.session, err);
    }
    if (rc == SP_OK && rpc->head.pool == NULL) {
        rc = sp__tool_start(rpc, &wish, err);
    }
    return rc == 0 ? submit(rpc, message, &wish, err) : rc;
}

void sp__execute_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    struct proto_request message;
    struct sp_buffer args;
    sp_error failure = {0};
    sp__buf_init(&args, SIZE_MAX / 2);
    int rc = sp__proto_get_request(data, size, rpc->peer->scratch, &message, &failure);
    if (rc < 0) {
        sp__wrap(&failure, rc, "the request cannot be read");
        failure.code = SP_ERR_INVAL;
    } else if (message.args_json.size > 0) {
        rc = start(rpc, &message, message.args_json, &failure);
    } else {
        rc = sp__proto_put_args(&args, message.parameters, message.parameters_count, 1,
                                &failure);
        if (rc == SP_OK) {
            rc = start(rpc, &message, (sp_bytes){args.data, args.size}, &failure);
        }
    }
    if (rc < 0) {
        sp__rpc_fail(rpc, &failure);
    }
    sp_error_clear(&failure);
    sp__buf_fini(&args);
}
