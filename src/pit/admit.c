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

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "pit/arguments.h"
#include "pit/host_call.h"
#include "pool/options.h"

enum { NAME_MAX_BYTES = 255, PAIRS_FEW = 16 };

/* A call on its way to a request. */
struct admission {
    struct sp_pit *pit;
    const struct call_wish *wish;
    const sp_call_options *options;
    struct request_names names;
    struct pool *pool;
    struct tool *tool;             /* what is known of it, or NULL */
    const struct lineage *lineage; /* who asks for it, or NULL */

    sp_bytes parent;         /* the span that asks, or nothing */
    char trace[TRACE_BYTES]; /* its own; "": it is in no trace */
    struct carried *carried; /* what goes along, or NULL */
};

static int check_name(const char *what, const char *name, sp_bytes *ret, sp_error *err)
{
    *ret = sp_text(name);
    if (ret->size < 1 || ret->size > NAME_MAX_BYTES) {
        return sp__fail(err, SP_ERR_INVAL, "%s of %zu bytes, allowed are 1 to %d", what,
                        ret->size, NAME_MAX_BYTES);
    }
    return SP_OK;
}

static int check_optional(const char *what, const char *name, sp_bytes *ret,
                          sp_error *err)
{
    *ret = (sp_bytes){0};
    return name == NULL ? SP_OK : check_name(what, name, ret, err);
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
static sp_bytes find_parent(const struct admission *admission)
{
    sp_bytes parent = sp_text(admission->options->traceparent);
    if (!sp__trace_is_valid(parent)) {
        parent = find_pair(admission->wish, "traceparent");
    }
    if (!sp__trace_is_valid(parent) && admission->lineage != NULL) {
        parent = sp_text(admission->lineage->trace);
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

/* What goes along, from its options, from the wire, or from who asks for it. */
static int find_carried(struct admission *admission, sp_error *err)
{
    const sp_call_options *options = admission->options;
    const struct lineage *lineage = admission->lineage;
    const struct carried *carried = lineage != NULL ? lineage->carried : NULL;
    int is_inside = admission->parent.size > 0;
    sp_bytes baggage = first_of(options->baggage, find_pair(admission->wish, "baggage"),
                                carried != NULL ? carried->baggage : NULL);
    sp_bytes state = {0};
    if (is_inside) { /* it is about the trace */
        state = first_of(options->tracestate, find_pair(admission->wish, "tracestate"),
                         carried != NULL ? carried->tracestate : NULL);
    }
    if (state.size + baggage.size == 0) {
        return SP_OK;
    }
    return sp__carried_new(state, baggage, &admission->carried, err);
}

/* Its span in the trace of who asks, or, if this one is picked, in one of its own. Most
 * calls of most pits are in no trace, and nothing goes along with them. */
static int begin_trace(struct admission *admission, sp_error *err)
{
    const sp_call_options *options = admission->options;
    struct spans *spans = admission->pit->spans;
    admission->parent = admission->names.trace = (sp_bytes){0};
    admission->trace[0] = '\0';
    if (options->traceparent == NULL && options->baggage == NULL &&
        admission->wish->metadata_count == 0 && admission->lineage == NULL &&
        spans->threshold == 0) {
        return SP_OK;
    }
    admission->parent = find_parent(admission);
    if (admission->parent.size > 0) {
        sp__trace_begin_span(admission->trace, admission->parent);
    } else if (admission->lineage == NULL && sp__spans_picks(spans)) {
        sp__trace_begin(admission->trace);
    }
    admission->names.trace = sp_text(admission->trace);
    return find_carried(admission, err);
}

/* What the request keeps of it. */
static void set_trace(struct request *request, struct admission *admission)
{
    request->carried = admission->carried;
    admission->carried = NULL;
    if (admission->parent.size > 0) {
        uint8_t trace[TRACE_ID_BYTES];
        sp__trace_ids(admission->parent.data, trace, request->parent_span);
    }
    request->is_recorded = admission->names.trace.size > 0 &&
                           admission->pit->spans->records_calls &&
                           sp__trace_is_sampled(request->trace);
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
static size_t put_trace(const struct admission *admission, struct proto_pair *pairs)
{
    const struct call_wish *wish = admission->wish;
    size_t count = 0;
    for (size_t i = 0; i < wish->metadata_count; i++) {
        if (!is_of_trace(&wish->metadata[i])) {
            pairs[count++] = wish->metadata[i];
        }
    }
    add_pair(pairs, &count, "traceparent", admission->trace);
    if (admission->carried != NULL) {
        add_pair(pairs, &count, "tracestate", admission->carried->tracestate);
        add_pair(pairs, &count, "baggage", admission->carried->baggage);
    }
    return count;
}

/* ---- the message ---- */

/* Of a stock worker, whose message takes arguments apart, in memory of its own. */
static int put_split(struct request *request, const struct proto_request *message,
                     sp_error *err)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX / 2);
    int rc = sp__proto_put_request(&out, message, 1, err);
    if (rc == SP_OK) {
        sp__buf_take(&out, &request->message, &request->message_bytes);
        request->has_own_message = 1;
    }
    sp__buf_fini(&out);
    return rc;
}

static int make_request(const struct admission *admission,
                        const struct proto_request *message,
                        struct request **ret_request, sp_error *err)
{
    int streaming = admission->wish->streaming;
    if (admission->pool->spec.transport == SP_TRANSPORT_INHERITED) {
        size_t size = sp__proto_request_size(message);
        int rc = sp__request_new(&admission->names, streaming, size, ret_request, err);
        if (rc == SP_OK) {
            uint8_t *to = (*ret_request)->message;
            const uint8_t *end = sp__proto_write_request(to, message);
            assert(end == to + size);
        }
        return rc;
    }
    struct request *request;
    int rc = sp__request_new(&admission->names, streaming, 0, &request, err);
    if (rc < 0) {
        return rc;
    }
    rc = put_split(request, message, err);
    if (rc < 0) {
        sp__request_drop(request);
        sp__request_drop(request);
        return rc;
    }
    *ret_request = request;
    return SP_OK;
}

static int encode(const struct admission *admission, const struct arguments *arguments,
                  struct request **ret_request, sp_error *err)
{
    const struct call_wish *wish = admission->wish;
    struct proto_request message = {
        .session_id = admission->names.session,
        .tool_name = admission->names.tool,
        .args_json = arguments->json,
        .stream = wish->streaming,
        .binary = arguments->binaries.pairs,
        .binary_count = arguments->binaries.count,
        .metadata = wish->metadata,
        .metadata_count = wish->metadata_count,
    };
    if (admission->trace[0] == '\0' && admission->carried == NULL) {
        return make_request(admission, &message, ret_request, err);
    }
    struct proto_pair few[PAIRS_FEW];
    struct proto_pair *pairs = few;
    size_t room = wish->metadata_count + 3;
    if (room > PAIRS_FEW && (pairs = sp__malloc(room * sizeof *pairs)) == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a call");
    }
    message.metadata = pairs;
    message.metadata_count = put_trace(admission, pairs);
    int rc = make_request(admission, &message, ret_request, err);
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

/* Within the time of who asks for it, and not for the millionth time. */
static int set_lineage(const struct admission *admission, struct request *request,
                       sp_error *err)
{
    const struct lineage *lineage = admission->lineage;
    if (lineage == NULL || lineage->depth == 0) {
        return SP_OK;
    }
    int rc = sp__lineage_check(lineage, admission->wish->tool,
                               admission->pit->nesting_max, err);
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

static void fill_request(struct request *request, struct admission *admission,
                         uint64_t timeout_ms)
{
    const struct call_wish *wish = admission->wish;
    const sp_call_options *options = admission->options;
    const struct pool *pool = admission->pool;
    request->pool = admission->pool;
    request->tool = admission->tool;
    request->taker = (uint8_t)wish->taker;
    request->flags = options->flags;
    request->affinity =
        (uint8_t)(options->affinity != SP_AFFINITY_DEFAULT ? options->affinity
                                                           : pool->options.affinity);
    request->adapter = pool->options.custom;
    request->is_asked = (uint8_t)wish->is_asked;
    if (wish->taker == TAKER_WAITER) {
        request->interrupt = options->interrupt;
        request->interrupt_data = options->interrupt_data;
    }
    set_trace(request, admission);
    set_deadlines(request, options, timeout_ms);
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

static int check_names(struct admission *admission, sp_error *err)
{
    const struct call_wish *wish = admission->wish;
    const sp_call_options *options = admission->options;
    struct request_names *names = &admission->names;
    const char *session = wish->session != NULL ? wish->session : options->session;
    int rc = check_name("a tool's name", wish->tool, &names->tool, err);
    if (rc == SP_OK) {
        rc = check_optional("a session's name", session, &names->session, err);
    }
    if (rc == SP_OK) {
        rc = check_optional("a request_id", options->request_id, &names->request_id,
                            err);
    }
    if (rc == SP_OK) {
        rc = check_optional("a dedupe_key", options->dedupe_key, &names->dedupe_key,
                            err);
    }
    if (rc == SP_OK && wish->streaming && options->dedupe_key != NULL) {
        rc = sp__fail(err, SP_ERR_INVAL, "a dedupe_key is not for streams");
    }
    return rc == SP_OK ? check_affinity(options->affinity, err) : rc;
}

static int find_tool(struct admission *admission, sp_error *err)
{
    const struct call_wish *wish = admission->wish;
    const char *name = admission->options->pool;
    if (name == NULL) {
        admission->pool = sp__pit_pool_of_tool(admission->pit, wish->tool);
    } else {
        int rc = sp__pit_pool(admission->pit, name, &admission->pool, err);
        if (rc < 0) {
            return rc;
        }
    }
    struct pool *pool = admission->pool;
    if (wish->is_asked && sp__adapter_has_functions(pool->options.custom)) {
        return sp__fail(
            err, SP_ERR_UNSUPPORTED,
            "the adapter of pool %s has functions of the program, which run "
            "for calls of the program alone",
            pool->name);
    }
    return sp__tools_check(&pool->tools, wish->tool, wish->streaming, pool->name,
                           &admission->tool, err);
}

/* Everything is known to be right but the arguments. */
static int admit(struct admission *admission, struct request **ret_request,
                 sp_error *err)
{
    const struct call_wish *wish = admission->wish;
    struct arguments arguments;
    struct request *request = NULL;
    arguments.timeout_ms =
        sp__pool_command_timeout(admission->pool, wish->tool, wish->streaming);
    int rc = sp__arguments_read(&arguments, admission->pool, admission->tool, wish,
                                admission->options, err);
    if (rc == SP_OK) {
        rc = begin_trace(admission, err);
    }
    if (rc == SP_OK) {
        rc = encode(admission, &arguments, &request, err);
    }
    if (rc == SP_OK) {
        fill_request(request, admission, arguments.timeout_ms);
        rc = set_lineage(admission, request, err);
    }
    sp__arguments_fini(&arguments);
    sp__free(admission->carried);
    if (rc < 0) {
        if (request != NULL) {
            sp__request_drop(request);
            sp__request_drop(request);
        }
        return rc;
    }
    *ret_request = request;
    return SP_OK;
}

int sp__admit(struct sp_pit *pit, const struct call_wish *wish,
              struct request **ret_request, sp_error *err)
{
    static const sp_call_options none = {.size = sizeof none};
    sp_call_options given;
    struct admission admission; /* whoever checks something of it also sets it */
    int rc = SP_OK;
    admission.pit = pit;
    admission.wish = wish;
    admission.options = &none;
    admission.carried = NULL;
    if (wish->options != NULL) {
        given = none;
        admission.options = &given;
        rc = sp__take_options("sp_call_options", wish->options, &given, sizeof given,
                              err);
    }
    if (rc == SP_OK) {
        rc = check_names(&admission, err);
    }
    if (rc == SP_OK) {
        rc = find_tool(&admission, err);
    }
    if (rc == SP_OK) {
        admission.lineage =
            wish->lineage != NULL ? wish->lineage : sp__host_call_lineage(pit);
        rc = admit(&admission, ret_request, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct request *request = *ret_request;
    if (request->session[0] != '\0' &&
        atomic_load_explicit(&pit->sessions->count, memory_order_relaxed) > 0) {
        (void)sp__session_get(pit->sessions, request->session, NULL,
                              NULL); /* it is used */
    }
    request->id = atomic_fetch_add_explicit(&pit->next_call, 1, memory_order_relaxed);
    sp__latch_init_of_many(&request->done, request->id);
    return SP_OK;
}
