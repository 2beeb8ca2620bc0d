/* SPDX-License-Identifier: MIT */
/*
 * A worker whose tool asks its host: `greet` passes its arguments on to the host's tool
 * `customer_name` and makes a sentence of what comes back. See tools.c.
 */
#include <snakepit/worker_host.h>

#include <stdio.h>

static int greet(sp_job *job, sp_error *err)
{
    char text[128];
    sp_host_result name = {0};
    sp_error failure = {0};
    int rc =
        sp_job_call_host(job, "customer_name", sp_job_args(job), NULL, &name, &failure);
    if (rc == 0) {
        (void)snprintf(text, sizeof text, "\"Hello, %.*s!\"", (int)name.json.size - 2,
                       (const char *)name.json.data + 1);
        rc = sp_job_reply(job, sp_text(text), NULL, (sp_bytes){0}, err);
    } else {
        rc = sp_job_fail(job, failure.code, NULL, failure.message, NULL, err);
    }
    sp_host_result_clear(&name);
    sp_error_clear(&failure);
    return rc;
}

int main(void)
{
    static const sp_tool_param params[] = {{.name = "number", .type = "int"}};
    static const sp_tool tool = {.size = sizeof tool,
                                 .name = "greet",
                                 .description = "greet a customer by number",
                                 .params = params,
                                 .params_count = 1};
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    int rc = sp_worker_open(NULL, &worker, &err);
    if (rc == 0) {
        rc = sp_worker_add_tool(worker, &tool, &err);
        if (rc == 0) {
            rc = sp_worker_announce(worker, &err);
        }
        while (rc >= 0 && (rc = sp_worker_next(worker, &job, &err)) > 0) {
            rc = greet(job, &err);
        }
        sp_worker_close(worker);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "asking_worker: %s\n", err.message);
    }
    sp_error_clear(&err);
    return rc < 0;
}
