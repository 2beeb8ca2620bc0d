/* SPDX-License-Identifier: MIT */
/*
 * snakepit-stdio: makes a worker of any program that reads and writes lines of JSON.
 *
 *     snakepit-stdio [--tools NAME,NAME...] [--] PROGRAM [ARGUMENT...]
 *
 * One call is one line to the program's standard input, and one line from its standard
 * output answers it; README.md is the whole of it. The program works on one line after
 * the other. While it works we wait for its output; when it has nothing to do, for the
 * next call; and while a stream's caller does not read, its output is left lying, so that
 * the program is held up by its pipe. Calls that come meanwhile are in its input already,
 * each with its id.
 *
 * The library's helper thread answers the host all the time. A call that was cancelled is
 * told to a program that said it wants to know; from others the host takes the worker
 * away when they go on for too long.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "child.h"
#include "message.h"

enum { OPEN_MAX = 64 };

struct open_call {
    uint64_t id; /* 0: free */
    sp_job *job;
    int parked;   /* its caller must read first */
    int deaf;     /* nobody reads its chunks any more */
    int informed; /* the program knows that it was cancelled */
};

struct bridge {
    sp_worker *worker;
    struct child child;
    struct open_call calls[OPEN_MAX]; /* in the order in which they were sent */
    size_t calls_count;
    uint64_t last_id;
    int cancels; /* the program understands "cancel" */
    int wake_fd; /* some job was cancelled */
    struct sp_buffer out;
};

static int complain(const sp_error *err)
{
    (void)fprintf(stderr, "snakepit-stdio: %s\n", err->message);
    return 1;
}

/* ---- calls ---- */

/* A thread of the library: wake the main thread, which looks who it was. */
static void on_cancel(void *user_data, sp_job *job)
{
    const struct bridge *bridge = user_data;
    uint64_t one = 1;
    ssize_t n =
        write(bridge->wake_fd, &one, sizeof one); /* fails only when it is full */
    (void)n;
    sp_job_interrupted(job);
}

static struct open_call *find_call(struct bridge *bridge, uint64_t id)
{
    for (size_t i = 0; i < bridge->calls_count; i++) {
        if (bridge->calls[i].id == id || id == 0) {
            return &bridge->calls[i];
        }
    }
    return NULL;
}

static void forget(struct bridge *bridge, struct open_call *call)
{
    size_t at = (size_t)(call - bridge->calls);
    bridge->calls_count--;
    memmove(call, call + 1, (bridge->calls_count - at) * sizeof *call);
}

static int has_parked(const struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->calls_count; i++) {
        if (bridge->calls[i].parked) {
            return 1;
        }
    }
    return 0;
}

static int send_call(struct bridge *bridge, sp_job *job, sp_error *err)
{
    const char *name;
    sp_bytes bytes;
    if (bridge->calls_count == OPEN_MAX) {
        return sp_job_fail(job, SP_ERR_QUEUE_FULL, NULL,
                           "calls wait behind a stream that nobody reads", NULL, err);
    }
    if (sp_job_binary(job, 0, &name, &bytes)) {
        return sp_job_fail(job, SP_ERR_BAD_ARGS, NULL,
                           "this worker takes JSON only, and an argument is binary",
                           NULL, err);
    }
    bridge->out.size = 0;
    int rc = message_put_call(&bridge->out, ++bridge->last_id, job, err);
    if (rc < 0) {
        return sp_job_fail(job, rc, NULL, err->message, NULL, err);
    }
    bridge->calls[bridge->calls_count++] =
        (struct open_call){.id = bridge->last_id, .job = job};
    return child_send(&bridge->child, (sp_bytes){bridge->out.data, bridge->out.size},
                      err);
}

/* Tell the program of what was cancelled, once each. */
static int send_cancels(struct bridge *bridge, sp_error *err)
{
    uint64_t count;
    ssize_t n = read(bridge->wake_fd, &count, sizeof count); /* empty is fine */
    (void)n;
    int rc = SP_OK;
    for (size_t i = 0; i < bridge->calls_count && rc == SP_OK; i++) {
        struct open_call *call = &bridge->calls[i];
        if (!sp_job_cancelled(call->job) || call->informed || !bridge->cancels) {
            continue;
        }
        call->informed = 1;
        char line[64];
        int size = snprintf(line, sizeof line, "{\"cancel\":%llu}\n",
                            (unsigned long long)call->id);
        rc = child_send(&bridge->child, (sp_bytes){line, (size_t)size}, err);
    }
    return rc;
}

/* ---- replies ---- */

static int chunk_came(struct open_call *call, sp_bytes value, sp_error *err)
{
    int rc = call->deaf ? SP_ERR_CANCELLED : sp_job_chunk(call->job, value, err);
    if (rc == SP_ERR_CANCELLED) {
        call->deaf = 1; /* the job goes on until the program has ended it */
        rc = SP_OK;
    } else if (rc >= 0) {
        call->parked = rc == 0;
        rc = SP_OK;
    }
    return rc;
}

static int error_came(struct bridge *bridge, struct open_call *call, sp_bytes value,
                      sp_error *err)
{
    struct failure failure;
    sp_job *job = call->job;
    forget(bridge, call);
    message_failure(value, &failure);
    const sp_failure told = {.size = sizeof told,
                             .code = SP_ERR_REMOTE,
                             .type = failure.type,
                             .message = failure.message,
                             .trace = failure.trace,
                             .details = sp_text(failure.details)};
    int rc = sp_job_fail_with(job, &told, err);
    sp__free(failure.type);
    sp__free(failure.message);
    sp__free(failure.trace);
    free(failure.details);
    return rc;
}

static int result_came(struct bridge *bridge, struct open_call *call, sp_bytes value,
                       sp_error *err)
{
    sp_job *job = call->job;
    if (sp_job_is_stream(job)) { /* a stream of one */
        int rc = chunk_came(call, value, err);
        forget(bridge, call);
        return rc < 0 ? rc : sp_job_end(job, err);
    }
    forget(bridge, call);
    return sp_job_reply(job, value, NULL, (sp_bytes){0}, err);
}

static int line_came(struct bridge *bridge, sp_bytes line, sp_error *err)
{
    struct reply reply = message_read(line);
    struct open_call *call =
        reply.kind != REPLY_NONE ? find_call(bridge, reply.id) : NULL;
    if (call == NULL) { /* what a program prints is not always meant for us */
        (void)fprintf(stderr, "%.*s\n", (int)line.size, (const char *)line.data);
        return SP_OK;
    }
    sp_job *job = call->job;
    switch (reply.kind) {
    case REPLY_RESULT:
        return result_came(bridge, call, reply.value, err);
    case REPLY_ERROR:
        return error_came(bridge, call, reply.value, err);
    case REPLY_CHUNK:
        if (sp_job_is_stream(job)) {
            return chunk_came(call, reply.value, err);
        }
        forget(bridge, call);
        return sp_job_fail(job, SP_ERR_PROTOCOL, NULL,
                           "the program answered a plain call with a chunk", NULL, err);
    case REPLY_END:
        forget(bridge, call);
        return sp_job_is_stream(job)
                   ? sp_job_end(job, err)
                   : sp_job_fail(job, SP_ERR_PROTOCOL, NULL,
                                 "the program ended a plain call without a result",
                                 NULL, err);
    case REPLY_TOOLS:
    case REPLY_NONE:
        break;
    }
    forget(bridge, call);
    return sp_job_fail(job, SP_ERR_PROTOCOL, NULL,
                       "the program answered a call with its list of tools", NULL, err);
}

/* ---- the loop ---- */

/* Wait for a call, or for the turn of a stream. 0 when the worker shall end. */
static int take_job(struct bridge *bridge, sp_error *err)
{
    sp_job *job;
    int rc = sp_worker_next(bridge->worker, &job, err);
    if (rc == SP_ERR_STOPPED_BY_CALLBACK) {
        return 1;
    }
    if (rc <= 0) {
        return rc;
    }
    if (!sp_job_is_turn(job)) {
        rc = send_call(bridge, job, err);
        return rc < 0 ? rc : 1;
    }
    for (size_t i = 0; i < bridge->calls_count; i++) {
        if (bridge->calls[i].job == job) {
            bridge->calls[i].parked = 0;
            bridge->calls[i].deaf = sp_job_cancelled(job);
        }
    }
    return 1;
}

static int serve(struct bridge *bridge, sp_error *err)
{
    int rc = 1;
    while (rc > 0) {
        if (bridge->calls_count == 0 || has_parked(bridge)) {
            rc = take_job(bridge, err);
            continue;
        }
        sp_bytes line;
        rc = send_cancels(bridge, err);
        rc = rc < 0 ? rc : child_line(&bridge->child, bridge->wake_fd, &line, err);
        if (rc == 1) {
            rc = line_came(bridge, line, err);
        }
        rc = rc < 0 ? rc : 1;
    }
    if (rc == SP_ERR_CLOSED) {
        child_follow(&bridge->child);
    }
    return rc;
}

/* ---- the start ---- */

/* The tools: named on the command line, or as the program describes itself. One that
 * answers something else takes any name. */
static int learn_tools(struct bridge *bridge, char *names, sp_error *err)
{
    static const char question[] = "{\"describe\":true}\n";
    sp_bytes line;
    char *rest = names;
    int rc = SP_OK;
    for (char *name; rc == SP_OK && (name = strsep(&rest, ",")) != NULL;) {
        sp_tool tool = {.size = sizeof tool, .name = name};
        rc = sp_worker_add_tool(bridge->worker, &tool, err);
    }
    if (names != NULL) {
        return rc;
    }
    rc = child_send(&bridge->child, (sp_bytes){question, sizeof question - 1}, err);
    while (rc == SP_OK) {
        rc = child_line(&bridge->child, -1, &line, err);
        struct reply reply = rc == 1 ? message_read(line) : (struct reply){0};
        if (reply.kind == REPLY_TOOLS) {
            return message_add_tools(bridge->worker, line, &bridge->cancels, err);
        }
        if (rc == 1 && reply.kind == REPLY_NONE) {
            (void)fprintf(stderr, "%.*s\n", (int)line.size, (const char *)line.data);
            rc = SP_OK;
        }
    }
    if (rc == 1) {
        sp_worker_accept_any(bridge->worker);
        rc = SP_OK;
    }
    return rc;
}

static int run(struct bridge *bridge, char *const *argv, char *names, sp_error *err)
{
    int rc = child_start(&bridge->child, argv, err);
    if (rc < 0) {
        sp_worker_refuse(bridge->worker, 1, NULL, err->message, NULL);
        return rc;
    }
    rc = learn_tools(bridge, names, err);
    if (rc == SP_ERR_CLOSED) {
        child_follow(&bridge->child);
    }
    if (rc < 0) {
        sp_worker_refuse(bridge->worker, 1, NULL, err->message, NULL);
        return rc;
    }
    rc = sp_worker_announce(bridge->worker, err);
    if (rc == SP_ERR_CLOSED) { /* told to stop before it was ready: no failure */
        return SP_OK;
    }
    return rc < 0 ? rc : serve(bridge, err);
}

static int usage(FILE *to, int status)
{
    (void)fputs(
        "usage: snakepit-stdio [--tools NAME,NAME...] [--] PROGRAM [ARGUMENT...]\n"
        "\n"
        "Makes a worker of a program that reads and writes lines of JSON.\n"
        "  --tools NAMES   its tools; default: as it answers {\"describe\":true}\n",
        to);
    return status;
}

int main(int argc, char **argv)
{
    struct bridge bridge = {.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    sp_error err = {0};
    char *names = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--help") == 0) {
            return usage(stdout, 0);
        }
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "--tools") != 0 || at + 1 == argc) {
            return usage(stderr, 2);
        }
        names = argv[++at];
    }
    if (at == argc) {
        return usage(stderr, 2);
    }
    char runtime[128];
    (void)snprintf(runtime, sizeof runtime, "stdio %.100s", argv[at]);
    sp_worker_options options = {.size = sizeof options,
                                 .runtime = runtime,
                                 .on_cancel = on_cancel,
                                 .user_data = &bridge};
    (void)signal(SIGPIPE, SIG_IGN);
    if (bridge.wake_fd < 0 || sp_worker_open(&options, &bridge.worker, &err) < 0) {
        return complain(&err);
    }
    sp_worker_catch_signals(bridge.worker);
    sp__buf_init(&bridge.out, SIZE_MAX / 2);
    int rc = run(&bridge, argv + at, names, &err);
    if (rc < 0) {
        (void)complain(&err);
    }
    child_close(&bridge.child);
    sp_worker_close(bridge.worker);
    sp__buf_fini(&bridge.out);
    sp_error_clear(&err);
    return rc < 0;
}
