/* SPDX-License-Identifier: MIT */
/*
 * The memory of a call.
 *
 * Made on the caller's thread with everything the loop needs, so that posting it costs
 * one pointer. Two references: the loop's, dropped when the call has ended and is off
 * its worker, and the taker's, dropped when its ending has been taken. Whoever drops the
 * last frees, on whatever thread that is.
 */
#include "pool/request.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/spare.h"
#include "pool/pool.h"
#include "pool/result.h"

static size_t room_of(sp_bytes text)
{
    return text.size == 0 ? 0 : text.size + 1;
}

/* Put a text behind the others; the NUL is there. */
static const char *put_text(char **at, sp_bytes text)
{
    char *begin = *at;
    if (text.size == 0) {
        return "";
    }
    memcpy(begin, text.data, text.size);
    *at = begin + text.size + 1;
    return begin;
}

int sp__request_new(const struct request_names *names, int streaming,
                    size_t message_bytes, struct request **ret_request, sp_error *err)
{
    /* Thousands of calls may wait: what a call does not use is not there. */
    size_t size =
        streaming ? sizeof(struct request) : offsetof(struct request, mailbox);
    size_t texts = room_of(names->tool) + room_of(names->session) +
                   room_of(names->request_id) + room_of(names->dedupe_key) +
                   room_of(names->trace);
    struct request *request = sp__spare_take(size + texts + message_bytes);
    if (request == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a call");
    }
    memset(request, 0, size + texts);
    atomic_init(&request->references, 2);
    if (streaming) {
        request->streaming = 1;
        sp__mailbox_init(&request->mailbox);
    }
    char *at = (char *)request + size;
    request->tool_name = put_text(&at, names->tool);
    request->session = put_text(&at, names->session);
    request->request_id = put_text(&at, names->request_id);
    request->dedupe_key = put_text(&at, names->dedupe_key);
    request->trace = put_text(&at, names->trace);
    request->message = (uint8_t *)at;
    request->message_bytes = message_bytes;
    if (names->session.size > 0) {
        request->session_hash = sp__hash(request->session, names->session.size);
    }
    sp__latch_init(&request->done);
    *ret_request = request;
    return SP_OK;
}

/* ---- errors ---- */

#define SHARED(how)                                                    \
    {                                                                  \
        .code = SP_ERR_NOMEM, .executed = (how), .worker_exit = -1,    \
        .message = "a call failed, and there was no memory to say how" \
    }

/* Of calls without memory for one of their own. */
static const sp_error shared[] = {[SP_EXECUTED_NO] = SHARED(SP_EXECUTED_NO),
                                  [SP_EXECUTED_UNKNOWN] = SHARED(SP_EXECUTED_UNKNOWN),
                                  [SP_EXECUTED_YES] = SHARED(SP_EXECUTED_YES)};
enum { SHARED_COUNT = sizeof shared / sizeof shared[0] };

/* The one that may be written. */
static sp_error *own_error(const struct request *request)
{
    for (size_t i = 0; i < SHARED_COUNT; i++) {
        if (request->error == &shared[i]) {
            return NULL;
        }
    }
    return (sp_error *)(uintptr_t)request->error;
}

static void forget_error(struct request *request)
{
    sp_error *error = request->error != NULL ? own_error(request) : NULL;
    sp_error_clear(error);
    sp__free(error);
    request->error = NULL;
}

sp_error *sp__request_error(struct request *request, int executed)
{
    if (request->error != NULL) {
        return own_error(request); /* what all share stays: an empty one says nothing */
    }
    sp_error *error = sp__calloc(1, sizeof *error);
    assert(executed >= 0 && executed < SHARED_COUNT);
    request->error = error != NULL ? error : &shared[executed];
    return error;
}

sp_error *sp__request_fail(struct request *request, int code, int executed,
                           const char *message)
{
    sp_error *error = sp__request_error(request, executed);
    sp__fail(error, code, "%s", message);
    if (error != NULL) {
        error->executed = executed;
    }
    return error;
}

void sp__request_take_error(struct request *request, sp_error *ret)
{
    sp_error *error = own_error(request);
    if (error != NULL) {
        sp_error_move(ret, error);
    } else if (ret != NULL && request->error != NULL) {
        sp__error_copy(ret, request->error);
    }
    forget_error(request);
}

void sp__request_drop(struct request *request)
{
    if (atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    if (request->has_own_message) {
        sp__free(request->message);
    }
    sp_result_clear(&request->result);
    forget_error(request);
    sp__free(request->lineage);
    sp__free(request->carried);
    if (request->streaming) {
        sp__mailbox_fini(&request->mailbox);
    }
    sp__spare_give(request);
}

int sp__request_process(struct request *request)
{
    const sp_adapter *adapter = request->adapter;
    if (adapter == NULL || adapter->process == NULL || request->error != NULL) {
        return sp__request_code(request);
    }
    struct sp_buffer rewritten;
    sp_error refusal = {0};
    sp__buf_init(&rewritten, request->pool->options.response_max_bytes);
    int rc =
        adapter->process(adapter->user_data, request->tool_name,
                         (sp_bytes){request->result.json, request->result.json_bytes},
                         &rewritten, &refusal);
    if (rc == 0 && rewritten.size > 0) {
        rc = sp__result_copy_json(&request->result,
                                  (sp_bytes){rewritten.data, rewritten.size});
        if (rc < 0) {
            sp__fail(&refusal, rc, "no memory for the result");
        }
    }
    if (rc != 0) {
        (void)sp__request_fail(request, SP_ERR_REFUSED, SP_EXECUTED_YES,
                               refusal.message[0] != '\0'
                                   ? refusal.message
                                   : "the adapter refused the result");
    }
    sp_error_clear(&refusal);
    sp__buf_fini(&rewritten);
    return sp__request_code(request);
}
