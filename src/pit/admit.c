/* SPDX-License-Identifier: MIT */
/*
 * Admission: check and copy what a caller gave, before anything is queued.
 *
 * Everything that can be refused is refused here: the pool's name, the tool's, the size,
 * depth and form of the arguments, what the adapter says. The message for the wire is
 * made here too, so that what comes after only forwards bytes. It runs on the caller's
 * thread, or on the loop for calls that came over the wire.
 */
#include "pit/admit.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "pit/host_call.h"
#include "pit/rules.h"
#include "pool/options.h"
#include "wire/binaries.h"
#include "wire/json.h"

enum { NAME_MAX_BYTES = 255, PAIRS_FEW = 16 };

static int check_name(const char *what, const char *name, size_t min, sp_error *err)
{
    size_t n = name == NULL ? 0 : strlen(name);
    if (n < min || n > NAME_MAX_BYTES) {
        return sp__fail(err, SP_ERR_INVAL, "%s of %zu bytes, allowed are %zu to %d",
                        what, n, min, NAME_MAX_BYTES);
    }
    return SP_OK;
}

static int check_size(const struct pool *pool, size_t bytes, sp_error *err)
{
    if (bytes > pool->options.request_max_bytes) {
        return sp__fail(err, SP_ERR_TOO_BIG,
                        "the arguments have %zu bytes, pool %s takes at most %llu "
                        "(request_max)",
                        bytes, pool->name,
                        (unsigned long long)pool->options.request_max_bytes);
    }
    return SP_OK;
}

static int check_args(const struct pool *pool, sp_bytes args, sp_error *err)
{
    int rc = check_size(pool, args.size, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__json_read(args.data, args.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    if (rc < 0) {
        return rc;
    }
    char kind = sp__json_kind(args.data, args.size);
    if (kind != '{' && kind != '[') {
        return sp__fail(err, SP_ERR_BAD_ARGS,
                        "the arguments are neither a JSON object nor an array");
    }
    return SP_OK;
}

/* What the pool's own adapter says: let it check, rewrite, and set the time. */
static int ask_adapter(const sp_adapter *adapter, const char *tool, sp_bytes *args,
                       struct sp_buffer *rewritten, uint64_t *timeout_ms, sp_error *err)
{
    sp_error refusal = {0};
    int rc = 0;
    if (adapter->validate != NULL) {
        rc = adapter->validate(adapter->user_data, tool, *args, &refusal);
    }
    if (rc == 0 && adapter->prepare != NULL) {
        rc = adapter->prepare(adapter->user_data, tool, *args, rewritten, &refusal);
        if (rc == 0 && rewritten->size > 0) {
            *args = (sp_bytes){rewritten->data, rewritten->size};
        }
    }
    if (rc != 0) {
        rc = sp__fail(err, SP_ERR_REFUSED, "%s",
                      refusal.message[0] != '\0' ? refusal.message
                                                 : "the adapter gave no reason");
        sp_error_clear(&refusal);
        return rc;
    }
    if (adapter->size >= sizeof *adapter && adapter->timeout_ms != NULL) {
        uint64_t wanted_ms = adapter->timeout_ms(adapter->user_data, tool, *args);
        *timeout_ms = wanted_ms != 0 ? wanted_ms : *timeout_ms;
    }
    sp_error_clear(&refusal);
    return SP_OK;
}

/* ---- the trace ---- */

static int is_named(const struct proto_pair *pair, const char *name)
{
    return pair->key.size == strlen(name) &&
           memcmp(pair->key.data, name, pair->key.size) == 0;
}

/* What the metadata say under a name, or nothing. */
static sp_bytes find_pair(const struct call_wish *wish, const char *name)
{
    for (size_t i = 0; i < wish->metadata_count; i++) {
        if (is_named(&wish->metadata[i], name)) {
            return wish->metadata[i].value;
        }
    }
    return (sp_bytes){0};
}

/* The span that asks for a call: the one it came with, or that of another call which asks
 * for it. A text that is none is passed over. */
static sp_bytes find_parent(const struct call_wish *wish,
                            const sp_call_options *options,
                            const struct lineage *lineage)
{
    sp_bytes parent = {0};
    if (options->traceparent != NULL) {
        parent = sp_text(options->traceparent);
    }
    if (!sp__trace_is_valid(parent)) {
        parent = find_pair(wish, "traceparent");
    }
    if (!sp__trace_is_valid(parent) && lineage != NULL) {
        parent = sp_text(lineage->trace);
    }
    return sp__trace_is_valid(parent) ? parent : (sp_bytes){0};
}

static sp_bytes first_of(const char *option, sp_bytes pair, const char *inherited)
{
    if (option != NULL) {
        return sp_text(option);
    }
    return pair.size == 0 && inherited != NULL ? sp_text(inherited) : pair;
}

/* Most calls of most pits are in no trace, and nothing goes along with them. */
static int may_be_traced(const struct sp_pit *pit, const struct call_wish *wish,
                         const sp_call_options *options, const struct lineage *lineage)
{
    return options->traceparent != NULL || options->baggage != NULL ||
           wish->metadata_count > 0 || lineage != NULL || pit->spans->threshold != 0;
}

/* Its span in the trace of who asks, or, if this one is picked, in one of its own; "":
 * neither. The span that asks, if there is one. */
static sp_bytes begin_trace(struct sp_pit *pit, const struct call_wish *wish,
                            const sp_call_options *options,
                            const struct lineage *lineage, char trace[TRACE_BYTES])
{
    trace[0] = '\0';
    if (!may_be_traced(pit, wish, options, lineage)) {
        return (sp_bytes){0};
    }
    sp_bytes parent = find_parent(wish, options, lineage);
    if (parent.size > 0) {
        sp__trace_begin_span(trace, parent);
    } else if (lineage == NULL && sp__spans_picks(pit->spans)) {
        sp__trace_begin(trace);
    }
    return parent;
}

/* Who asked for it, and what goes along. */
static int set_trace(struct sp_pit *pit, struct request *request,
                     const struct call_wish *wish, const sp_call_options *options,
                     const struct lineage *lineage, sp_bytes parent, sp_error *err)
{
    request->is_asked = wish->is_asked;
    if (!may_be_traced(pit, wish, options, lineage)) {
        return SP_OK;
    }
    if (parent.size > 0) {
        uint8_t trace[TRACE_ID_BYTES];
        sp__trace_ids(parent.data, trace, request->parent_span);
    }
    request->is_recorded =
        pit->spans->records_calls && sp__trace_is_sampled(request->trace);
    const struct carried *carried = lineage != NULL ? lineage->carried : NULL;
    sp_bytes state =
        first_of(options->tracestate, find_pair(wish, "tracestate"),
                 carried != NULL && parent.size > 0 ? carried->tracestate : NULL);
    sp_bytes baggage = first_of(options->baggage, find_pair(wish, "baggage"),
                                carried != NULL ? carried->baggage : NULL);
    state.size = parent.size > 0 ? state.size : 0; /* it is about the trace */
    if (state.size + baggage.size == 0) {
        return SP_OK;
    }
    return sp__carried_new(state, baggage, &request->carried, err);
}

static int is_of_trace(const struct proto_pair *pair)
{
    return is_named(pair, "traceparent") || is_named(pair, "tracestate") ||
           is_named(pair, "baggage");
}

static void add_pair(struct proto_pair *pairs, size_t *count, const char *name,
                     const char *value)
{
    if (value[0] != '\0') {
        pairs[(*count)++] = (struct proto_pair){sp_text(name), sp_text(value)};
    }
}

/* The pairs with what the call itself says of its trace: their number. There is room for
 * three more than the wish has. */
static size_t put_trace(const struct request *request, const struct call_wish *wish,
                        struct proto_pair *pairs)
{
    size_t count = 0;
    for (size_t i = 0; i < wish->metadata_count; i++) {
        if (!is_of_trace(&wish->metadata[i])) {
            pairs[count++] = wish->metadata[i];
        }
    }
    add_pair(pairs, &count, "traceparent", request->trace);
    if (request->carried != NULL) {
        add_pair(pairs, &count, "tracestate", request->carried->tracestate);
        add_pair(pairs, &count, "baggage", request->carried->baggage);
    }
    return count;
}

/* ---- the message ---- */

static int put_message(struct request *request, const struct proto_request *message,
                       sp_error *err)
{
    int split = request->pool->spec.transport != SP_TRANSPORT_INHERITED;
    int rc = SP_OK;
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    if (!split) {
        rc = sp__buf_fit(&out, sp__proto_request_size(message), err);
    }
    if (rc == SP_OK) {
        rc = sp__proto_put_request(&out, message, split, err);
    }
    if (rc == SP_OK) {
        sp__buf_take(&out, &request->message, &request->message_bytes);
    }
    sp__buf_fini(&out);
    return rc;
}

static int encode(struct request *request, const struct call_wish *wish, sp_bytes args,
                  const struct binaries *binaries, sp_error *err)
{
    struct proto_request message = {
        .session_id = sp_text(request->session),
        .tool_name = sp_text(request->tool_name),
        .args_json = args,
        .stream = request->streaming,
        .binary = binaries->pairs,
        .binary_count = binaries->count,
        .metadata = wish->metadata,
        .metadata_count = wish->metadata_count,
    };
    if (request->trace[0] == '\0' && request->carried == NULL) {
        return put_message(request, &message, err);
    }
    struct proto_pair few[PAIRS_FEW];
    struct proto_pair *pairs = few;
    size_t room = wish->metadata_count + 3;
    if (room > PAIRS_FEW && (pairs = sp__malloc(room * sizeof *pairs)) == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a call");
    }
    message.metadata = pairs;
    message.metadata_count = put_trace(request, wish, pairs);
    int rc = put_message(request, &message, err);
    if (pairs != few) {
        sp__free(pairs);
    }
    return rc;
}

static void set_deadlines(struct request *request, const sp_call_options *options,
                          uint64_t timeout_ms)
{
    const struct pool *pool = request->pool;
    uint64_t queue_ms = options->queue_timeout_ms != 0 ? options->queue_timeout_ms
                                                       : pool->options.queue_timeout_ms;
    timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : timeout_ms;
    request->created_us = sp__now_us();
    uint64_t now_ms = request->created_us / 1000;
    request->deadline_ms =
        timeout_ms >= SP_UNLIMITED - now_ms ? SP_UNLIMITED : now_ms + timeout_ms;
    request->queue_deadline_ms =
        queue_ms >= SP_UNLIMITED - now_ms ? SP_UNLIMITED : now_ms + queue_ms;
    if (request->queue_deadline_ms > request->deadline_ms) {
        request->queue_deadline_ms = request->deadline_ms;
    }
}

/* The arguments of a call, and what is needed while they are checked. */
struct arguments {
    sp_bytes json;
    struct binaries binaries;
    struct sp_buffer rewritten; /* by the adapter */
    uint64_t timeout_ms;
};

/* The longer way: binaries that become arguments, an adapter that is asked, arguments that
 * are wrong or that only a closer look can tell. */
static int check_closely(struct arguments *arguments, const struct request *request,
                         const struct call_wish *wish, const sp_call_options *options,
                         sp_error *err)
{
    const struct pool *pool = request->pool;
    int rc = check_args(pool, arguments->json, err);
    if (rc == SP_OK) {
        rc = sp__binaries_read(&arguments->binaries, options->binaries,
                               options->binaries_count, err);
        arguments->json = arguments->binaries.args;
    }
    if (rc == SP_OK && request->adapter != NULL) {
        rc = ask_adapter(request->adapter, wish->tool, &arguments->json,
                         &arguments->rewritten, &arguments->timeout_ms, err);
        if (rc == SP_OK && arguments->rewritten.size > 0) {
            rc = check_args(pool, arguments->json, err);
        }
    }
    if (rc == SP_OK && request->tool != NULL) {
        rc = sp__rules_check(request->tool, &arguments->binaries, arguments->json, err);
    }
    if (rc == SP_OK) {
        rc = check_size(pool, arguments->json.size + arguments->binaries.bytes, err);
    }
    return rc;
}

/* The arguments and what travels beside them: checked, seen by the pool's adapter, and
 * made the message for the worker. */
static int encode_arguments(struct request *request, const struct call_wish *wish,
                            const sp_call_options *options, uint64_t *timeout_ms,
                            sp_error *err)
{
    const struct pool *pool = request->pool;
    sp_bytes json = wish->args_json.size == 0 ? sp_text("{}") : wish->args_json;
    struct arguments arguments = {
        .json = json,
        .binaries = {.args = json, .pairs = wish->binary, .count = wish->binary_count},
        .timeout_ms = *timeout_ms};
    sp__buf_init(&arguments.rewritten, pool->options.request_max_bytes);

    int rc = check_size(pool, json.size, err);
    int is_plain = request->adapter == NULL && request->tool != NULL &&
                   options->binaries_count == 0 && wish->binary_count == 0;
    if (rc == SP_OK && !(is_plain && sp__rules_take(request->tool, json))) {
        rc = check_closely(&arguments, request, wish, options, err);
    }
    if (rc == SP_OK) {
        rc = encode(request, wish, arguments.json, &arguments.binaries, err);
    }
    *timeout_ms = arguments.timeout_ms;
    sp__binaries_fini(&arguments.binaries);
    sp__buf_fini(&arguments.rewritten);
    return rc;
}

/* Within the time of who asks for it, and not for the millionth time. */
static int set_lineage(struct sp_pit *pit, struct request *request,
                       const struct call_wish *wish, const struct lineage *lineage,
                       sp_error *err)
{
    if (lineage == NULL || lineage->depth == 0) {
        return SP_OK;
    }
    int rc = sp__lineage_check(lineage, wish->tool, pit->nesting_max, err);
    if (rc < 0) {
        return rc;
    }
    request->lineage = sp__malloc(sizeof *request->lineage);
    if (request->lineage == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a call");
    }
    *request->lineage = *lineage;
    request->lineage->carried = NULL; /* it has its own */
    if (request->deadline_ms > lineage->deadline_ms) {
        request->deadline_ms = lineage->deadline_ms;
    }
    if (request->queue_deadline_ms > request->deadline_ms) {
        request->queue_deadline_ms = request->deadline_ms;
    }
    return SP_OK;
}

static int fill_request(struct request *request, const struct call_wish *wish,
                        const sp_call_options *options, sp_error *err)
{
    const struct pool *pool = request->pool;
    uint64_t timeout_ms = sp__pool_command_timeout(pool, wish->tool, wish->streaming);

    request->taker = (uint8_t)wish->taker;
    request->flags = options->flags;
    request->affinity =
        (uint8_t)(options->affinity != SP_AFFINITY_DEFAULT ? options->affinity
                                                           : pool->options.affinity);
    request->adapter = pool->options.custom;
    if (wish->taker == TAKER_WAITER) {
        request->interrupt = options->interrupt;
        request->interrupt_data = options->interrupt_data;
    }
    int rc = encode_arguments(request, wish, options, &timeout_ms, err);
    set_deadlines(request, options, timeout_ms);
    return rc;
}

static int check_affinity(int affinity, sp_error *err)
{
    if (affinity < SP_AFFINITY_DEFAULT || affinity > SP_AFFINITY_STRICT_FAIL_FAST) {
        return sp__fail(err, SP_ERR_INVAL,
                        "an affinity of %d, allowed are the SP_AFFINITY_ constants, %d "
                        "to %d",
                        affinity, SP_AFFINITY_DEFAULT, SP_AFFINITY_STRICT_FAIL_FAST);
    }
    return SP_OK;
}

static int check_identity(const struct call_wish *wish, const sp_call_options *options,
                          sp_error *err)
{
    int rc = SP_OK;
    if (options->request_id != NULL) {
        rc = check_name("a request_id", options->request_id, 1, err);
    }
    if (rc == SP_OK && options->dedupe_key != NULL) {
        rc = check_name("a dedupe_key", options->dedupe_key, 1, err);
        if (rc == SP_OK && wish->streaming) {
            rc = sp__fail(err, SP_ERR_INVAL, "a dedupe_key is not for streams");
        }
    }
    return rc;
}

int sp__admit(struct sp_pit *pit, const struct call_wish *wish,
              struct request **ret_request, sp_error *err)
{
    sp_call_options options = {0};
    struct pool *pool;
    struct tool *tool;
    struct request *request;
    int rc = sp__take_options("sp_call_options", wish->options, &options,
                              sizeof options, err);
    if (rc < 0) {
        return rc;
    }
    const char *session = wish->session != NULL ? wish->session : options.session;
    rc = check_name("a tool's name", wish->tool, 1, err);
    if (rc == SP_OK && session != NULL) {
        rc = check_name("a session's name", session, 1, err);
    }
    if (rc == SP_OK) {
        rc = check_identity(wish, &options, err);
    }
    if (rc == SP_OK) {
        rc = check_affinity(options.affinity, err);
    }
    if (rc == SP_OK && options.pool == NULL) {
        pool = sp__pit_pool_of_tool(pit, wish->tool);
    } else if (rc == SP_OK) {
        rc = sp__pit_pool(pit, options.pool, &pool, err);
    }
    if (rc == SP_OK && wish->is_asked &&
        sp__adapter_has_functions(pool->options.custom)) {
        rc = sp__fail(err, SP_ERR_UNSUPPORTED,
                      "the adapter of pool %s has functions of the program, which run "
                      "for calls of the program alone",
                      pool->name);
    }
    if (rc == SP_OK) {
        rc = sp__tools_check(&pool->tools, wish->tool, wish->streaming, pool->name,
                             &tool, err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct lineage *lineage =
        wish->lineage != NULL ? wish->lineage : sp__host_call_lineage(pit);
    char trace[TRACE_BYTES];
    sp_bytes parent = begin_trace(pit, wish, &options, lineage, trace);
    struct request_names names = {.streaming = wish->streaming,
                                  .tool = wish->tool,
                                  .session = session,
                                  .request_id = options.request_id,
                                  .dedupe_key = options.dedupe_key,
                                  .trace = trace};
    rc = sp__request_new(&names, &request, err);
    if (rc < 0) {
        return rc;
    }
    rc = set_trace(pit, request, wish, &options, lineage, parent, err);
    if (rc == SP_OK) {
        request->pool = pool;
        request->tool = tool;
        rc = fill_request(request, wish, &options, err);
    }
    if (rc == SP_OK) {
        rc = set_lineage(pit, request, wish, lineage, err);
    }
    if (rc < 0) {
        sp__request_drop(request);
        sp__request_drop(request);
        return rc;
    }
    if (session != NULL &&
        atomic_load_explicit(&pit->sessions->count, memory_order_relaxed) > 0) {
        (void)sp__session_get(pit->sessions, session, NULL, NULL); /* it is used */
    }
    request->id = atomic_fetch_add_explicit(&pit->next_call, 1, memory_order_relaxed);
    *ret_request = request;
    return SP_OK;
}
