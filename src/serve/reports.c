/* SPDX-License-Identifier: MIT */
/* Answers to those who look after a daemon: GetReport. */
#include "base/error.h"
#include "serve/state.h"
#include "telemetry/report.h"
#include "wire/proto_control.h"

int sp__answer_report(const struct asking *asking, sp_bytes question,
                      struct sp_buffer *reply, sp_error *err)
{
    struct proto_memory memory = {0};
    struct proto_report_get request;
    struct sp_buffer text;
    sp__buf_init(&text, SIZE_MAX / 2);
    int rc = sp__proto_get_report_get(question, &memory, &request, err);
    if (rc == SP_OK) {
        rc = sp__report(asking->pit, request.name, sp_text(request.options_json), &text,
                        err);
    }
    if (rc == SP_OK) {
        const struct proto_report_get_reply answer = {.text = {text.data, text.size}};
        rc = sp__table_put(reply, &sp__proto_report_get_reply_table, &answer, err);
    }
    sp__buf_fini(&text);
    sp__proto_memory_fini(&memory);
    return rc;
}
