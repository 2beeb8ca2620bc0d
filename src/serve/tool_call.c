/* SPDX-License-Identifier: MIT */
/*
 * Calls of host tools that peers ask for: ExecuteElixirTool, and ExecuteTool and
 * ExecuteStreamingTool when their name means a host tool.
 *
 * Normal course: the tool is found by the asking session and the name, its arguments are
 * checked, and the call waits for a thread of the program (pit/host_call.c). Its answer
 * becomes the message of the method that was used; chunks go to the peer's stream until
 * that is full, and on when it has drained, so that a slow reader slows the tool.
 *
 * Failure: workers, which know our details, get a status. For ExecuteElixirTool others
 * get what the original's host answers: success=false and a text. Whoever resets the
 * stream or is gone is not waited for any more, and the tool can find that out.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "pit/host_call.h"
#include "serve/rpc.h"
#include "wire/json.h"
#include "wire/proto_tool.h"

enum {
    PREFIX_BYTES = 5,        /* gRPC: not compressed, length */
    BATCH_BYTES = 64 * 1024, /* chunks that are handed over together */
    ARGS_MAX = 128 << 20
};

/* ---- answers ---- */

static int put_prefixed(struct rpc *rpc, struct sp_buffer *out, sp_error *err)
{
    uint8_t *data;
    size_t size;
    sp__buf_take(out, &data, &size);
    int rc = sp__h2_write_take(rpc->stream, &data, size - PREFIX_BYTES, err);
    sp__free(data); /* NULL once it was taken */
    return rc;
}

static int64_t run_ms(const struct sp_tool_call *call)
{
    return (int64_t)((sp__loop_now_us(call->lane->loop) - call->created_us) / 1000);
}

/* ExecuteElixirToolResponse. */
static int answer_elixir(struct rpc *rpc, const sp_result *result,
                         const sp_error *failure, int64_t took_ms, sp_error *err)
{
    struct proto_host_tool_reply reply = {
        .success = failure == NULL,
        .execution_time_ms = took_ms,
    };
    if (failure == NULL) {
        reply.result.type_url = "type.googleapis.com/google.protobuf.StringValue";
        reply.result.json = result->json;
        reply.binary_result = (sp_bytes){result->binary, result->binary_bytes};
    } else {
        reply.error_message = failure->message;
    }
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    int rc = sp__buf_append(&out, "\0\0\0\0", PREFIX_BYTES, err);
    if (rc == SP_OK) {
        rc = sp__proto_put_host_tool_reply(&out, &reply, err);
    }
    if (rc == SP_OK) {
        rc = put_prefixed(rpc, &out, err);
    }
    sp__buf_fini(&out);
    return rc;
}

static int is_elixir(const struct rpc *rpc)
{
    return rpc->method->on_message == sp__tool_message;
}

static void fail(struct rpc *rpc, const sp_error *failure)
{
    if (is_elixir(rpc) && rpc->peer->worker == NULL &&
        answer_elixir(rpc, NULL, failure, 0, NULL) == SP_OK) {
        sp__rpc_finish(rpc, GRPC_OK, NULL);
    } else {
        sp__rpc_fail(rpc, failure);
    }
}

/* A stream's end, and before it the result of a tool that has only one. */
static int end_stream(struct rpc *rpc, const struct sp_tool_call *call, sp_error *err)
{
    struct sp_buffer out;
    int rc = SP_OK;
    sp__buf_init(&out, SIZE_MAX / 2);
    if ((call->tool->facts.flags & SP_TOOL_STREAMING) == 0) {
        rc = sp__rpc_put_chunk(
            rpc, call->tool->facts.name, &out,
            (sp_bytes){call->result.json, call->result.json_bytes},
            (sp_bytes){call->result.binary, call->result.binary_bytes}, 0, err);
    }
    if (rc == SP_OK) {
        rc = sp__rpc_put_chunk(rpc, call->tool->facts.name, &out, (sp_bytes){0},
                               (sp_bytes){0}, 1, err);
    }
    if (rc == SP_OK) {
        rc = sp__h2_write_framed(rpc->stream, out.data, out.size, err);
    }
    sp__buf_fini(&out);
    return rc;
}

static void end_rpc(struct rpc *rpc)
{
    struct sp_tool_call *call = rpc->tool_call;
    sp_error failure = {0};
    int rc = call->error.code;
    if (rc != SP_OK) {
        fail(rpc, &call->error);
    } else {
        call->result.run_us = (uint64_t)run_ms(call) * 1000;
        if (rpc->method->is_stream) {
            rc = end_stream(rpc, call, &failure);
        } else if (is_elixir(rpc)) {
            rc = answer_elixir(rpc, &call->result, NULL, run_ms(call), &failure);
        } else {
            rc = sp__rpc_put_result(rpc, &call->result, &failure);
        }
        if (rc < 0) {
            failure.executed = SP_EXECUTED_YES;
            sp__rpc_fail(rpc, &failure);
        } else {
            sp__rpc_finish(rpc, GRPC_OK, NULL);
        }
    }
    sp_error_clear(&failure);
    rpc->tool_call = NULL;
    sp__host_call_leave(call);
}

/* ---- chunks ---- */

/* Fill `out`. 1: more may be there; 0: nothing now; -1: nothing ever, or a failure. */
static int gather(struct rpc *rpc, struct sp_buffer *out, sp_error *err)
{
    struct mailbox_chunk chunk;
    while (out->size < BATCH_BYTES) {
        int rc = sp__host_call_take(rpc->tool_call, &chunk);
        if (rc <= 0) {
            return rc;
        }
        if (sp__rpc_put_chunk(rpc, rpc->tool_call->tool->facts.name, out,
                              (sp_bytes){chunk.data, chunk.size},
                              (sp_bytes){chunk.binary, chunk.binary_size}, 0,
                              err) < 0) {
            return -1;
        }
    }
    return 1;
}

/* Move what there is, as long as the peer's stream takes it. */
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
        if (out.size > 0 && failure.code == 0) {
            (void)!sp__h2_write_framed(rpc->stream, out.data, out.size, &failure);
        }
    }
    sp__buf_fini(&out);
    sp__channel_touch(rpc->peer->channel);
    if (failure.code != 0) {
        failure.executed = SP_EXECUTED_UNKNOWN;
        sp__rpc_fail(rpc, &failure);
        sp__tool_gone(rpc);
    } else if (rpc->ended && (more < 0 || rpc->tool_call->error.code != 0)) {
        end_rpc(rpc);
    }
    sp_error_clear(&failure);
}

static void on_news(struct sp_tool_call *call, int ended)
{
    struct rpc *rpc = call->user;
    rpc->ended = rpc->ended || ended;
    if (rpc->method->is_stream) {
        pump(rpc);
    } else if (ended) {
        end_rpc(rpc);
    }
    /* Nothing else need happen in this turn. */
    if (rpc->tool_call == NULL) {
        sp__channel_touch(rpc->peer->channel);
    }
}

void sp__tool_drained(struct rpc *rpc)
{
    if (rpc->tool_call != NULL && !rpc->finished) {
        pump(rpc);
    }
}

void sp__tool_gone(struct rpc *rpc)
{
    struct sp_tool_call *call = rpc->tool_call;
    sp__rpc_head_free(rpc);
    if (call != NULL) {
        rpc->tool_call = NULL;
        sp__host_call_leave(call);
    }
}

/* ---- in ---- */

struct beside {
    const struct proto_pair *pairs;
    size_t count;
};

static int has_binary(void *user, const char *name, size_t size)
{
    const struct beside *beside = user;
    for (size_t i = 0; i < beside->count; i++) {
        if (beside->pairs[i].key.size == size &&
            memcmp(beside->pairs[i].key.data, name, size) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The earlier of what the rpc says and when the call that asks is over. */
static uint64_t deadline_of(const struct rpc *rpc, const struct asking *asking)
{
    uint64_t now_ms = sp__loop_now_ms(rpc->peer->lane->loop);
    uint64_t own_ms = rpc->timeout_ms >= SP_UNLIMITED - now_ms
                          ? SP_UNLIMITED
                          : now_ms + rpc->timeout_ms;
    return own_ms < asking->deadline_ms ? own_ms : asking->deadline_ms;
}

static int check(const struct rpc *rpc, const struct host_tool *tool,
                 const struct tool_wish *wish, sp_error *err)
{
    struct beside beside = {wish->binary, wish->binary_count};
    struct schema_beside asked = {.has = has_binary, .user = &beside};
    if ((tool->facts.flags & SP_TOOL_STREAMING) != 0 && !rpc->method->is_stream) {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "host tool \"%s\" answers a stream: open it as one",
                        tool->facts.name);
    }
    int rc = sp__json_read(wish->args_json.data, wish->args_json.size,
                           SP__JSON_DEPTH_MAX, NULL, NULL, err);
    if (rc == SP_OK &&
        sp__json_kind(wish->args_json.data, wish->args_json.size) != '{') {
        rc = sp__fail(err, SP_ERR_BAD_ARGS,
                      "the arguments of host tool \"%s\" are no JSON object",
                      tool->facts.name);
    }
    if (rc == SP_OK) {
        rc = sp__schema_check(tool->schema, wish->args_json.data, wish->args_json.size,
                              &asked, err);
    }
    return rc < 0 ? sp__wrap(err, rc, "host tool %s", tool->facts.name) : SP_OK;
}

int sp__tool_start(struct rpc *rpc, const struct tool_wish *wish, sp_error *err)
{
    struct asking asking = sp__asking_of(rpc);
    struct host_tool *tool =
        sp__host_tool_find(asking.sessions, wish->session, wish->tool);
    if (tool == NULL || tool->worker != 0) {
        sp__host_tool_unref(tool);
        return 0;
    }
    int rc = check(rpc, tool, wish, err);
    if (rc == SP_OK) {
        struct host_call_wish call = {
            .tool = tool,
            .session = wish->session,
            .args_json = wish->args_json,
            .binary = wish->binary,
            .binary_count = wish->binary_count,
            .deadline_ms = deadline_of(rpc, &asking),
            .worker = asking.worker,
            .lineage = wish->lineage,
            .trace = rpc->head.trace,
            .tracestate = sp_text(rpc->head.tracestate),
            .baggage = sp_text(rpc->head.baggage),
            .on_news = on_news,
            .user = rpc,
        };
        rc = sp__host_call_start(rpc->peer->lane, &call, &rpc->tool_call, err);
    }
    if (rc < 0) {
        sp__host_tool_unref(tool);
        return rc;
    }
    return 1;
}

/* ---- ExecuteElixirTool ---- */

/* The parameters as one object: what their clients pack is told apart there. */
static int put_args(struct sp_buffer *out, const struct proto_host_tool_call *message,
                    sp_error *err)
{
    const struct proto_host_tool_parameter *items = message->parameters.items;
    size_t count = message->parameters.count;
    struct proto_pair *pairs = sp__calloc(count + 1, sizeof *pairs);
    if (pairs == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the arguments");
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i].key = sp_text(items[i].key);
        pairs[i].value = items[i].any != NULL ? items[i].any->value : sp_text("null");
    }
    int rc = sp__proto_put_args(out, pairs, count, 1, err);
    sp__free(pairs);
    return rc;
}

static int start_elixir(struct rpc *rpc, const struct proto_host_tool_call *message,
                        sp_bytes args, sp_error *err)
{
    struct asking asking = sp__asking_of(rpc);
    struct lineage lineage;
    struct tool_wish wish = {.tool = message->tool_name, .args_json = args};
    if (rpc->parent != NULL) {
        sp__lineage_after(&lineage, rpc->parent);
        wish.lineage = &lineage;
    }
    const struct proto_blob_entry *blobs = message->binary.items;
    struct proto_pair *pairs = sp__calloc(message->binary.count + 1, sizeof *pairs);
    if (pairs == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the arguments");
    }
    for (size_t i = 0; i < message->binary.count; i++) {
        pairs[i] = (struct proto_pair){sp_text(blobs[i].key), blobs[i].blob};
    }
    wish.binary = pairs;
    wish.binary_count = message->binary.count;
    int rc = sp__asking_session(&asking, message->session_id, &wish.session, err);
    if (rc == SP_OK) {
        rc = sp__tool_start(rpc, &wish, err);
    }
    if (rc == 0) {
        rc = sp__host_tool_refuse(asking.sessions, wish.session, wish.tool, err);
    }
    sp__free(pairs);
    return rc < 0 ? rc : SP_OK;
}

void sp__tool_message(struct rpc *rpc, const uint8_t *data, size_t size)
{
    struct proto_memory memory = {0};
    struct proto_host_tool_call message;
    struct sp_buffer args;
    sp_error failure = {0};
    sp__buf_init(&args, ARGS_MAX);
    int rc = sp__proto_get_host_tool_call((sp_bytes){data, size}, &memory, &message,
                                          &failure);
    if (rc == SP_OK && message.args_json != NULL && message.args_json[0] != '\0') {
        rc = start_elixir(rpc, &message, sp_text(message.args_json), &failure);
    } else if (rc == SP_OK) {
        rc = put_args(&args, &message, &failure);
        if (rc == SP_OK) {
            rc =
                start_elixir(rpc, &message, (sp_bytes){args.data, args.size}, &failure);
        }
    }
    if (rc < 0) {
        fail(rpc, &failure);
    }
    sp_error_clear(&failure);
    sp__buf_fini(&args);
    sp__proto_memory_fini(&memory);
}
