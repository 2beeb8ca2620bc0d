/* SPDX-License-Identifier: MIT */
/*
 * A worker in C, as libsnakepit-worker's own header describes one: echo gives back its
 * arguments, count streams numbers, bad_answer answers with something that is no JSON,
 * nap takes {"ms":N,"late":"PATH"} and makes that file when its deadline had passed
 * before it began, end says that it runs (PATH.held), waits to be let go (PATH.go) and ends the process.
 * With the argument "wide" it promises to run four calls at once and runs one.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snakepit/worker.h"
#include "snakepit/zygote.h"

struct counting {
    unsigned long next;
    unsigned long end;
};

static int count_on(sp_job *job, sp_error *err)
{
    struct counting *counting = sp_job_data(job);
    int rc = 1;
    while (rc > 0 && counting->next < counting->end) {
        char text[32];
        (void)snprintf(text, sizeof text, "%lu", counting->next++);
        rc = sp_job_chunk(job, sp_text(text), err);
    }
    if (rc == 0) {
        return 0; /* no credit now: our turn comes again */
    }
    free(counting);
    return sp_job_end(job, err);
}

static int count(sp_job *job, sp_error *err)
{
    struct counting *counting = calloc(1, sizeof *counting);
    char text[64];
    sp_bytes args = sp_job_args(job);
    if (counting == NULL) {
        return sp_job_fail(job, SP_ERR_NOMEM, NULL, "no memory", NULL, err);
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)(args.size > 60 ? 60 : args.size),
                   (const char *)args.data);
    const char *number = strchr(text, ':');
    counting->end = number != NULL ? strtoul(number + 1, NULL, 10) : 0;
    sp_job_set_data(job, counting);
    return count_on(job, err);
}

/* {"path":"..."} without escapes, as the tests write it. */
static void end_when_released(sp_bytes args)
{
    char path[300];
    char file[310];
    const char *begin = memchr(args.data, ':', args.size);
    size_t n = args.size - (size_t)(begin - (const char *)args.data);
    (void)snprintf(path, sizeof path, "%.*s", (int)n - 4, begin + 2);
    (void)snprintf(file, sizeof file, "%s.held", path);
    (void)close(open(file, O_CREAT | O_WRONLY, 0600));
    (void)snprintf(file, sizeof file, "%s.go", path);
    while (access(file, F_OK) != 0) {
        (void)poll(NULL, 0, 2);
    }
    _exit(6);
}

/* {"ms":3,"late":"..."}, the second or not. */
static int nap(sp_job *job, sp_error *err)
{
    char text[400];
    char file[300] = "";
    int ms = 0;
    sp_bytes args = sp_job_args(job);
    (void)snprintf(text, sizeof text, "%.*s", (int)args.size, (const char *)args.data);
    if (sscanf(text, "{\"ms\":%d,\"late\":\"%299[^\"]", &ms, file) == 2 &&
        sp_job_time_left_ms(job) == 0) {
        (void)close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    (void)poll(NULL, 0, ms);
    return sp_job_reply(job, sp_text("true"), NULL, (sp_bytes){0}, err);
}

static int work(sp_job *job, sp_error *err)
{
    const char *tool = sp_job_tool(job);
    if (sp_job_is_turn(job)) {
        return count_on(job, err);
    }
    if (strcmp(tool, "count") == 0) {
        return count(job, err);
    }
    if (strcmp(tool, "nap") == 0) {
        return nap(job, err);
    }
    if (strcmp(tool, "end") == 0) {
        end_when_released(sp_job_args(job));
    }
    if (strcmp(tool, "bad_answer") == 0) {
        return sp_job_reply(job, sp_text("{not json"), NULL, (sp_bytes){0}, err);
    }
    if (strcmp(tool, "fail") == 0) {
        return sp_job_fail(job, SP_ERR_REMOTE, "Sadness", "it did not work", NULL, err);
    }
    return sp_job_reply(job, sp_job_args(job), "map", (sp_bytes){0}, err);
}

static int add_tools(sp_worker *worker, sp_error *err)
{
    static const sp_tool tools[] = {
        {.size = sizeof(sp_tool), .name = "echo", .description = "gives back"},
        {.size = sizeof(sp_tool), .name = "count", .streaming = 1},
        {.size = sizeof(sp_tool), .name = "nap"},
        {.size = sizeof(sp_tool), .name = "end"},
        {.size = sizeof(sp_tool), .name = "bad_answer"},
        {.size = sizeof(sp_tool), .name = "fail"},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof tools / sizeof tools[0]; i++) {
        rc = sp_worker_add_tool(worker, &tools[i], err);
    }
    return rc;
}

static int serve(sp_worker *worker, sp_error *err)
{
    int rc = sp_worker_announce(worker, err);
    sp_job *job;
    while (rc >= 0 && (rc = sp_worker_next(worker, &job, err)) > 0) {
        rc = work(job, err);
    }
    return rc;
}

/* As a zygote: 1 in each worker, else what it ends with. */
static int hatch(sp_zygote *zygote, sp_error *err)
{
    int rc = sp_zygote_announce(zygote, err);
    rc = rc < 0 ? rc : sp_zygote_next(zygote, err);
    sp_zygote_close(zygote);
    return rc;
}

/* Tools are added where there is but one process yet. 1: `worker` is to serve. */
static int begin(const sp_worker_options *options, sp_worker **worker, sp_error *err)
{
    sp_zygote *zygote = NULL;
    int rc = options->unconnected ? sp_zygote_open(NULL, &zygote, err) : 0;
    rc = rc < 0 ? rc : sp_worker_open(options, worker, err);
    rc = rc < 0 ? rc : add_tools(*worker, err);
    if (rc < 0 || !options->unconnected) {
        return rc < 0 ? rc : 1;
    }
    rc = hatch(zygote, err);
    if (rc == 1 && sp_worker_connect(*worker, err) < 0) {
        rc = err->code;
    }
    return rc;
}

int main(int argc, char **argv)
{
    sp_worker *worker = NULL;
    sp_error err = {0};
    int wide = argc > 1 && strcmp(argv[1], "wide") == 0;
    sp_worker_options options = {.size = sizeof options,
                                 .threads = wide ? 4 : 1,
                                 .unconnected = sp_zygote_is_wanted()};
    int rc = begin(&options, &worker, &err);
    if (rc == 1) {
        rc = serve(worker, &err);
    }
    sp_worker_close(worker);
    if (rc < 0) {
        (void)fprintf(stderr, "plain: %s\n", err.message);
    }
    sp_error_clear(&err);
    return rc < 0;
}
