/* SPDX-License-Identifier: MIT */
/*
 * A worker in C that asks its host: the tool `step` reads the variable "rate" of its
 * session, has the program measure something, and keeps a total. See variables.c.
 */
#include <snakepit/worker.h>
#include <snakepit/worker_host.h>
#include <snakepit/worker_state.h>

#include <stdio.h>
#include <stdlib.h>

/* A variable of the session as a number. */
static int read_number(sp_job *job, const char *name, double *ret, sp_error *err)
{
    sp_variable v;
    int rc = sp_job_variable_get(job, name, &v, err);
    if (rc == 0) {
        *ret = strtod(v.value, NULL);
        sp_variable_clear(&v);
    }
    return rc;
}

/* What the program's function says. */
static int measure(sp_job *job, double *ret, sp_error *err)
{
    sp_host_result result;
    int rc = sp_job_call_host(job, "measure", sp_text("{}"), NULL, &result, err);
    if (rc == 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "%.*s", (int)result.json.size,
                       (const char *)result.json.data);
        *ret = strtod(text, NULL);
        sp_host_result_clear(&result);
    }
    return rc;
}

static int step(sp_job *job, sp_error *err)
{
    sp_change_options by = {.size = sizeof by, .changed_by = "step"};
    double rate = 0;
    double total = 0;
    double measured = 0;
    char text[64];
    int rc = read_number(job, "rate", &rate, err);
    if (rc == 0) {
        rc = read_number(job, "total", &total, err);
    }
    if (rc == 0) {
        rc = measure(job, &measured, err);
    }
    if (rc == 0) {
        (void)snprintf(text, sizeof text, "%.17g", total + rate * measured);
        rc = sp_job_variable_set(job, "total", text, &by, NULL, err);
    }
    return rc == 0 ? sp_job_reply(job, sp_text(text), "float", (sp_bytes){0}, err) : rc;
}

int main(void)
{
    sp_tool tool = {.size = sizeof tool, .name = "step"};
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    if (sp_worker_open(NULL, &worker, &err) < 0) {
        (void)fprintf(stderr, "c_worker_state: %s\n", err.message);
        return 1;
    }
    int rc = sp_worker_add_tool(worker, &tool, &err);
    rc = rc == 0 ? sp_worker_announce(worker, &err) : rc;
    while (rc >= 0 && (rc = sp_worker_next(worker, &job, &err)) > 0) {
        if (step(job, &err) < 0) {
            (void)sp_job_fail(job, SP_ERR_REMOTE, sp_error_name(err.code), err.message,
                              NULL, NULL);
            sp_error_clear(&err);
        }
    }
    sp_worker_close(worker);
    return rc < 0;
}
