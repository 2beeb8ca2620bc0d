/* SPDX-License-Identifier: MIT */
/*
 * A worker whose tools call tools. Arguments as the tests write them, without escapes:
 *
 *     pass   {"tool":T,"pool":P,"args":{...}} calls T, of the host when P is "host", and
 *            gives what it gave, or fails as it failed
 *     down   {"n":N} calls itself with N - 1, in the first pool that has it, and gives 0
 *            at the bottom
 *     hold   {"path":P} makes P.held and waits until it is cancelled
 *     echo   gives back its arguments
 *
 * With the argument "wide" it runs two calls at once.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snakepit/worker_host.h"

static int fail_as(sp_job *job, sp_error *failure, sp_error *err)
{
    return sp_job_fail(job, failure->code, failure->remote_type, failure->message, NULL,
                       err);
}

static int relay(sp_job *job, const char *tool, const char *pool, const char *args,
                 sp_error *err)
{
    sp_host_call_options options = {.size = sizeof options, .pool = pool};
    sp_host_result result = {0};
    sp_error failure = {0};
    int rc = sp_job_call_host(job, tool, sp_text(args), &options, &result, &failure);
    if (rc < 0) {
        rc = fail_as(job, &failure, err);
    } else {
        rc = sp_job_reply(job, result.json, NULL, result.binary, err);
    }
    sp_host_result_clear(&result);
    sp_error_clear(&failure);
    return rc;
}

static int pass(sp_job *job, const char *text, sp_error *err)
{
    char tool[100];
    char pool[100];
    char args[1000];
    if (sscanf(text, "{\"tool\":\"%99[^\"]\",\"pool\":\"%99[^\"]\",\"args\":%999[^\n]",
               tool, pool, args) != 3) {
        return sp_job_fail(job, SP_ERR_BAD_ARGS, NULL, "pass", NULL, err);
    }
    args[strlen(args) - 1] = '\0'; /* the outer object's end */
    return relay(job, tool, strcmp(pool, "host") == 0 ? NULL : pool, args, err);
}

static int down(sp_job *job, const char *text, sp_error *err)
{
    int n = 0;
    char args[40];
    (void)sscanf(text, "{\"n\":%d", &n);
    if (n == 0) {
        return sp_job_reply(job, sp_text("0"), NULL, (sp_bytes){0}, err);
    }
    (void)snprintf(args, sizeof args, "{\"n\":%d}", n - 1);
    return relay(job, "down", "", args, err);
}

static int hold(sp_job *job, const char *text, sp_error *err)
{
    char path[400] = "";
    char file[410];
    (void)sscanf(text, "{\"path\":\"%399[^\"]", path);
    (void)snprintf(file, sizeof file, "%s.held", path);
    (void)close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (!sp_job_cancelled(job)) {
        (void)poll(NULL, 0, 2);
    }
    (void)snprintf(file, sizeof file, "%s.gone", path);
    (void)close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    return sp_job_fail(job, SP_ERR_CANCELLED, NULL, "cancelled", NULL, err);
}

static int work(sp_job *job, sp_error *err)
{
    char text[2000];
    const char *tool = sp_job_tool(job);
    sp_bytes args = sp_job_args(job);
    (void)snprintf(text, sizeof text, "%.*s", (int)args.size, (const char *)args.data);
    if (strcmp(tool, "pass") == 0) {
        return pass(job, text, err);
    }
    if (strcmp(tool, "down") == 0) {
        return down(job, text, err);
    }
    if (strcmp(tool, "hold") == 0) {
        return hold(job, text, err);
    }
    return sp_job_reply(job, args, NULL, (sp_bytes){0}, err);
}

static int take_jobs(sp_worker *worker, sp_error *err)
{
    sp_job *job;
    int rc;
    while ((rc = sp_worker_next(worker, &job, err)) > 0) {
        rc = work(job, err);
        if (rc < 0) {
            break;
        }
    }
    return rc;
}

static void *take_jobs_too(void *worker)
{
    sp_error err = {0};
    (void)take_jobs(worker, &err);
    sp_error_clear(&err);
    return NULL;
}

static int serve(sp_worker *worker, int wide, sp_error *err)
{
    pthread_t second;
    static const sp_tool tools[] = {
        {.size = sizeof(sp_tool), .name = "pass"},
        {.size = sizeof(sp_tool), .name = "down"},
        {.size = sizeof(sp_tool), .name = "hold"},
        {.size = sizeof(sp_tool), .name = "echo"},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof tools / sizeof tools[0]; i++) {
        rc = sp_worker_add_tool(worker, &tools[i], err);
    }
    if (rc == 0) {
        rc = sp_worker_announce(worker, err);
    }
    if (rc < 0) {
        return rc;
    }
    wide = wide && pthread_create(&second, NULL, take_jobs_too, worker) == 0;
    rc = take_jobs(worker, err);
    if (wide) {
        (void)pthread_join(second, NULL);
    }
    return rc;
}

int main(int argc, char **argv)
{
    sp_worker *worker;
    sp_error err = {0};
    int wide = argc > 1 && strcmp(argv[1], "wide") == 0;
    sp_worker_options options = {.size = sizeof options, .threads = wide ? 2 : 1};
    int rc = sp_worker_open(&options, &worker, &err);
    if (rc == 0) {
        rc = serve(worker, wide, &err);
        sp_worker_close(worker);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "nests: %s\n", err.message);
    }
    sp_error_clear(&err);
    return rc < 0;
}
