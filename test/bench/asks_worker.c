/* SPDX-License-Identifier: MIT */
/*
 * The worker of bench-asks: each of its tools asks the host N times, one question after
 * the other ({"n":N}, 100 000 at
 * most), and answers with the times that took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "snakepit/worker.h"
#include "snakepit/worker_host.h"
#include "snakepit/worker_state.h"

static int read_variable(sp_job *job, sp_error *err)
{
    sp_variable v;
    int rc = sp_job_variable_get(job, "x", &v, err);
    if (rc == 0) {
        sp_variable_clear(&v);
    }
    return rc;
}

static int write_variable(sp_job *job, sp_error *err)
{
    return sp_job_variable_set(job, "x", "2.5", NULL, NULL, err);
}

static int call(sp_job *job, const char *tool, sp_error *err)
{
    sp_host_result result;
    int rc = sp_job_call_host(job, tool, sp_text("{}"), NULL, &result, err);
    if (rc == 0) {
        sp_host_result_clear(&result);
    }
    return rc;
}

static int call_waiting(sp_job *job, sp_error *err)
{
    return call(job, "waiting", err);
}

static int call_any(sp_job *job, sp_error *err)
{
    return call(job, "any", err);
}

static const struct {
    const char *tool;
    int (*ask)(sp_job *job, sp_error *err);
} tools[] = {
    {"variable_get", read_variable},
    {"variable_set", write_variable},
    {"host_tool", call_waiting},
    {"host_tool_any_thread", call_any},
};
enum { TOOLS = sizeof tools / sizeof tools[0], MOST = 100000 };

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void reply(sp_job *job, uint64_t *taken, int64_t n)
{
    char text[128];
    qsort(taken, (size_t)n, sizeof taken[0], compare);
    (void)snprintf(text, sizeof text, "{\"p50_us\": %.1f, \"p99_us\": %.1f}",
                   (double)taken[n / 2] / 1000, (double)taken[n * 99 / 100] / 1000);
    (void)sp_job_reply(job, sp_text(text), NULL, (sp_bytes){0}, NULL);
}

static void run(sp_job *job)
{
    static uint64_t taken[MOST];
    sp_bytes args = sp_job_args(job);
    sp_error err = {0};
    int which = 0;
    int rc = 0;
    while (which + 1 < TOOLS && strcmp(tools[which].tool, sp_job_tool(job)) != 0) {
        which++;
    }
    int64_t n = get_result(args.data, args.size);
    n = n < 1 ? 1 : n > MOST ? MOST : n;
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        uint64_t before = now_ns();
        rc = tools[which].ask(job, &err);
        taken[i] = now_ns() - before;
    }
    if (rc < 0) {
        (void)sp_job_fail(job, SP_ERR_REMOTE, "Failed", err.message, NULL, NULL);
        sp_error_clear(&err);
        return;
    }
    reply(job, taken, n);
}

int main(void)
{
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    int rc = sp_worker_open(NULL, &worker, &err);
    for (int i = 0; rc == 0 && i < TOOLS; i++) {
        sp_tool tool = {.size = sizeof tool, .name = tools[i].tool};
        rc = sp_worker_add_tool(worker, &tool, &err);
    }
    if (rc < 0 || sp_worker_announce(worker, &err) < 0) {
        give_up("%s", err.message);
    }
    while ((rc = sp_worker_next(worker, &job, NULL)) != 0) {
        if (rc > 0) {
            run(job);
        }
    }
    sp_worker_close(worker);
    return 0;
}
