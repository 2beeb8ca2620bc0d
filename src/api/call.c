/* SPDX-License-Identifier: MIT */
/*
 * Calls: have them admitted (pit/admit.h), post, and wait where asked.
 */
#include "snakepit/call.h"

#include <stddef.h>

#include "base/error.h"
#include "pit/admit.h"
#include "pit/taker.h"

/* Take the ending of a request whose latch is open, and let go of it. */
static int take_ending(struct request *request, sp_result *ret_result, sp_error *err)
{
    int rc = sp__request_process(request);
    if (rc < 0) {
        sp__request_take_error(request, err);
    } else {
        *ret_result = request->result;
        request->result = (sp_result){0};
        sp_error_clear(err);
    }
    sp__request_drop(request);
    return rc;
}

static int execute(struct sp_pit *pit, const char *session, const char *tool,
                   sp_bytes args_json, const sp_call_options *options,
                   sp_result *ret_result, sp_error *err)
{
    if (pit == NULL || ret_result == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the result are needed");
    }
    struct request *request;
    struct call_wish wish = {.tool = tool,
                             .args_json = args_json,
                             .options = options,
                             .session = session,
                             .taker = TAKER_WAITER};
    int rc = sp__admit(pit, &wish, &request, err);
    if (rc < 0) {
        return rc;
    }
    sp__taker_run(pit, request);
    return take_ending(request, ret_result, err);
}

SP_API int sp_result_tensor(const sp_result *result, const char *pointer,
                            sp_tensor *ret_tensor, sp_error *err)
{
    if (result == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a result is needed");
    }
    sp_binary part = {.name = "", .value = {result->binary, result->binary_bytes}};
    return sp_tensor_find((sp_bytes){result->json, result->json_bytes}, pointer, &part,
                          1, ret_tensor, err);
}

SP_API int sp_execute(sp_pit *pit, const char *tool, sp_bytes args_json,
                      const sp_call_options *options, sp_result *ret_result,
                      sp_error *err)
{
    return execute(pit, NULL, tool, args_json, options, ret_result, err);
}

SP_API int sp_execute_in_session(sp_pit *pit, const char *session, const char *tool,
                                 sp_bytes args_json, const sp_call_options *options,
                                 sp_result *ret_result, sp_error *err)
{
    if (session == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a session is needed");
    }
    return execute(pit, session, tool, args_json, options, ret_result, err);
}

SP_API int sp_call_start(sp_pit *pit, const char *tool, sp_bytes args_json,
                         const sp_call_options *options, sp_reply_cb cb,
                         void *user_data, sp_id *ret_call, sp_error *err)
{
    if (pit == NULL || (cb == NULL && ret_call == NULL)) {
        return sp__fail(
            err, SP_ERR_INVAL,
            "a pit, and a callback or a place for the call's id, are needed");
    }
    struct request *request;
    struct call_wish wish = {.tool = tool,
                             .args_json = args_json,
                             .options = options,
                             .taker = cb != NULL ? TAKER_DISPATCH : TAKER_WAITER};
    int rc = sp__admit(pit, &wish, &request, err);
    if (rc < 0) {
        return rc;
    }
    if (cb != NULL) {
        request->reply_cb = cb;
        request->user_data = user_data;
    } else {
        rc = sp__dispatch_keep(&pit->dispatch, request, err);
        if (rc < 0) {
            sp__request_drop(request);
            sp__request_drop(request);
            return rc;
        }
    }
    if (ret_call != NULL) {
        *ret_call = request->id;
    }
    sp__pit_submit(pit, request);
    return SP_OK;
}

SP_API int sp_call_wait(sp_pit *pit, sp_id call, sp_result *ret_result, sp_error *err)
{
    if (pit == NULL || ret_result == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the result are needed");
    }
    struct request *request = sp__dispatch_take(&pit->dispatch, call);
    if (request == NULL) {
        return sp__fail(
            err, SP_ERR_NOT_FOUND,
            "no call %llu to wait for: it has a callback, or was waited for",
            (unsigned long long)call);
    }
    sp__taker_wait(request, 0);
    return take_ending(request, ret_result, err);
}

struct outcome_question {
    const char *request_id;
    sp_outcome *outcome;
    sp_result *result;
    sp_error *failure;
    int is_answered;
};

static void answer_outcome(void *user, void *arg)
{
    struct lane *lane = user;
    struct outcome_question *question = arg;
    question->is_answered = sp__outcomes_find(
        &lane->pit->outcomes, question->request_id, lane, sp__loop_now_ms(lane->loop),
        question->outcome, question->result, question->failure);
}

SP_API int sp_call_outcome(sp_pit *pit, const char *request_id, sp_outcome *ret_outcome,
                           sp_result *ret_result, sp_error *err)
{
    sp_error failure = {0};
    sp_result result = {0};
    if (pit == NULL || request_id == NULL || ret_outcome == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit, a request_id and a place for the outcome are needed");
    }
    struct outcome_question question = {.request_id = request_id,
                                        .outcome = ret_outcome,
                                        .result = ret_result != NULL ? &result : NULL,
                                        .failure = &failure};
    /* Only where a call runs it is known how far it is. */
    for (uint32_t i = 0; !question.is_answered; i++) {
        sp__loop_call(pit->lanes[i % pit->lanes_count].loop, answer_outcome, &question);
    }
    if (ret_result != NULL) {
        *ret_result = result;
    }
    sp_error_clear(err);
    if (err != NULL) {
        sp_error_move(err, &failure);
    } else {
        sp_error_clear(&failure);
    }
    return SP_OK;
}

SP_API int sp_call_cancel(sp_pit *pit, sp_id call, sp_error *err)
{
    if (pit == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a pit is needed");
    }
    return sp__pit_cancel(pit, call, err);
}
