/* SPDX-License-Identifier: MIT */
/* The calls of those who look after a daemon, from the caller's side. */
#include <stdio.h>

#include "wire/proto_control.h"
#include "wire/stubs.h"

int sp__stub_report(const struct caller *caller, const char *name, const char *options,
                    sp_json_cb cb, void *user_data, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_report_get request = {.name = name, .options_json = options};
    struct proto_report_get_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_GET_REPORT,
                           &sp__proto_report_get_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_report_get_reply_table, &reply, err);
    }
    if (rc == SP_OK) {
        cb(reply.text, user_data);
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_worker(const struct caller *caller, const char *path, const char *worker,
                    sp_daemon_worker *ret, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_worker_wish request = {.worker = worker};
    struct proto_worker_wish_reply reply;
    int rc =
        sp__stub_call(caller, &call, path, &sp__proto_worker_wish_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_worker_wish_reply_table, &reply, err);
    }
    if (rc == SP_OK) {
        ret->pid = reply.pid;
        (void)snprintf(ret->name, sizeof ret->name, "%s", reply.worker);
    }
    sp__stub_call_fini(&call);
    return rc;
}
