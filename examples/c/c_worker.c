/* SPDX-License-Identifier: MIT */
/*
 * A whole worker in C: the tools `add` and `echo`, and a stream, `count`.
 *
 * Started by a pit it finds its sockets in the environment. Given an address, it serves
 * stock gRPC clients there: c_worker unix:/tmp/w.sock
 */
#include <snakepit/worker.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The integer after `key`, quotes included. The arguments are one JSON value, checked
 * already, so a number in an object always ends before the text does. */
static long long number(const sp_job *job, const char *key)
{
    sp_bytes args = sp_job_args(job);
    const char *at = memmem(args.data, args.size, key, strlen(key));
    return at == NULL
               ? 0
               : strtoll(at + strlen(key) + strspn(at + strlen(key), ": "), NULL, 10);
}

static void add(sp_job *job)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld",
                   number(job, "\"a\"") + number(job, "\"b\""));
    (void)sp_job_reply(job, sp_text(text), "integer", (sp_bytes){0}, NULL);
}

/* Called again where it stopped whenever the caller can take more. */
static void count(sp_job *job)
{
    long long n = number(job, "\"n\"");
    intptr_t i = (intptr_t)sp_job_data(job);
    int more = 1;
    while (more > 0 && i < n) {
        char text[32];
        (void)snprintf(text, sizeof text, "%" PRIdPTR, ++i);
        more = sp_job_chunk(job, sp_text(text), NULL);
    }
    if (more == 0) {
        sp_job_set_data(job, (void *)i); /* sp_worker_next() brings the job back */
    } else {
        (void)sp_job_end(job, NULL);
    }
}

int main(int argc, char **argv)
{
    static const char *const tools[] = {"add", "echo", "count"};
    sp_worker_options options = {.size = sizeof options,
                                 .listen = argc > 1 ? argv[1] : NULL};
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    if (sp_worker_open(&options, &worker, &err) < 0) {
        (void)fprintf(stderr, "c_worker: %s\n", err.message);
        return 1;
    }
    for (int i = 0; i < 3; i++) {
        sp_tool tool = {.size = sizeof tool, .name = tools[i], .streaming = i == 2};
        (void)sp_worker_add_tool(worker, &tool, NULL);
    }
    int rc = sp_worker_announce(worker, &err);
    while (rc >= 0 && (rc = sp_worker_next(worker, &job, &err)) > 0) {
        if (strcmp(sp_job_tool(job), "add") == 0) {
            add(job);
        } else if (strcmp(sp_job_tool(job), "echo") == 0) {
            (void)sp_job_reply(job, sp_job_args(job), "map", (sp_bytes){0}, NULL);
        } else {
            count(job);
        }
    }
    sp_worker_close(worker);
    return rc < 0;
}
