/* SPDX-License-Identifier: MIT */
/*
 * A worker to which things happen that events tell of. Arguments as the tests write them,
 * without escapes:
 *
 *     echo     gives back its arguments
 *     nap      {"ms":N} takes so long
 *     hold     {"path":P} makes P.held and waits for P.go
 *     print    the same, and a line on stdout before
 *     count    {"count":N} streams so many numbers
 *     fail     fails
 *     exit     {"code":N} ends the process
 *     end_once {"path":P} ends the first worker that runs it, the next one answers
 *     freeze   stops the process
 *     hang_up  closes the connection that calls come on, and goes on
 *     stay     {"path":P} makes P.held, and neither returns nor ends when it is asked to
 *     register makes a variable "made" in its session
 *     leave    starts a process in a session of its own, and gives its number
 *
 * With "big" it has 4 MiB from the start, with "wide" it promises to run four calls at once and runs one; with a path it is not
 * ready before there is such a file.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "snakepit/worker.h"
#include "snakepit/worker_state.h"

enum { CALL_FD = 3, TEXT_MAX = 1000 };

static volatile char room[4 << 20];

static void touch(const char *path, const char *end)
{
    char file[TEXT_MAX];
    (void)snprintf(file, sizeof file, "%s%s", path, end);
    (void)close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void await(const char *path, const char *end)
{
    char file[TEXT_MAX];
    (void)snprintf(file, sizeof file, "%s%s", path, end);
    while (access(file, F_OK) != 0) {
        (void)poll(NULL, 0, 2);
    }
}

/* The text or the number that is the only argument. */
static const char *text_of(const char *args, char text[TEXT_MAX])
{
    text[0] = '\0';
    (void)sscanf(args, "{\"path\":\"%900[^\"]", text);
    return text;
}

static long number_of(const char *args)
{
    const char *at = strchr(args, ':');
    return at != NULL ? strtol(at + 1, NULL, 10) : 0;
}

static void hold(const char *path)
{
    touch(path, ".held");
    await(path, ".go");
}

static void end_once(const char *path)
{
    if (open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0) {
        _exit(5);
    }
}

static void stay(const char *path)
{
    (void)signal(SIGTERM, SIG_IGN);
    touch(path, ".held");
    for (;;) {
        (void)pause();
    }
}

static void hang_up(void)
{
    const char *out = getenv("SNAKEPIT_CALL_OUT_FD");
    (void)shutdown(CALL_FD, SHUT_RDWR);
    (void)close(out != NULL ? (int)strtol(out, NULL, 10) : -1);
    for (;;) {
        (void)pause();
    }
}

/* All at once: the tests ask for fewer than the window has room for. */
static int count(sp_job *job, long end, sp_error *err)
{
    int rc = 1;
    for (long i = 0; rc > 0 && i < end; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%ld", i);
        rc = sp_job_chunk(job, sp_text(text), err);
    }
    return rc < 0 ? rc : sp_job_end(job, err);
}

static int leave(sp_job *job, sp_error *err)
{
    char number[24];
    pid_t child = fork();
    if (child == 0) {
        (void)setsid();
        for (;;) {
            (void)pause();
        }
    }
    (void)snprintf(number, sizeof number, "%d", (int)child);
    return sp_job_reply(job, sp_text(number), NULL, (sp_bytes){0}, err);
}

static int register_variable(sp_job *job, sp_error *err)
{
    sp_variable variable = {0};
    sp_error failure = {0};
    int rc = sp_job_session_begin(job, &failure);
    if (rc >= 0) {
        rc = sp_job_variable_register(job, "made", "integer", "1", NULL, &variable,
                                      &failure);
    }
    sp_variable_clear(&variable);
    if (rc < 0) {
        rc = sp_job_fail(job, failure.code, NULL, failure.message, NULL, err);
    } else {
        rc = sp_job_reply(job, sp_text("true"), NULL, (sp_bytes){0}, err);
    }
    sp_error_clear(&failure);
    return rc;
}

static void misbehave(const char *tool, const char *args)
{
    char path[TEXT_MAX];
    if (strcmp(tool, "exit") == 0) {
        _exit((int)number_of(args));
    } else if (strcmp(tool, "end_once") == 0) {
        end_once(text_of(args, path));
    } else if (strcmp(tool, "freeze") == 0) {
        (void)raise(SIGSTOP);
    } else if (strcmp(tool, "hang_up") == 0) {
        hang_up();
    } else if (strcmp(tool, "stay") == 0) {
        stay(text_of(args, path));
    }
}

static int work(sp_job *job, sp_error *err)
{
    char args[TEXT_MAX];
    char path[TEXT_MAX];
    const char *tool = sp_job_tool(job);
    sp_bytes given = sp_job_args(job);
    (void)snprintf(args, sizeof args, "%.*s", (int)given.size,
                   (const char *)given.data);
    misbehave(tool, args);
    if (strcmp(tool, "count") == 0) {
        return count(job, number_of(args), err);
    }
    if (strcmp(tool, "register") == 0) {
        return register_variable(job, err);
    }
    if (strcmp(tool, "leave") == 0) {
        return leave(job, err);
    }
    if (strcmp(tool, "fail") == 0) {
        return sp_job_fail(job, SP_ERR_REMOTE, "Sadness", "it did not work", NULL, err);
    }
    if (strcmp(tool, "nap") == 0) {
        (void)poll(NULL, 0, (int)number_of(args));
    }
    if (strcmp(tool, "print") == 0) {
        (void)puts("a line from a call");
        (void)fflush(stdout);
    }
    if (strcmp(tool, "print") == 0 || strcmp(tool, "hold") == 0) {
        hold(text_of(args, path));
    }
    return sp_job_reply(job, given, NULL, (sp_bytes){0}, err);
}

static int serve(sp_worker *worker, sp_error *err)
{
    static const char *const names[] = {"echo", "nap",      "hold",     "print",
                                        "fail", "exit",     "end_once", "freeze",
                                        "stay", "register", "leave",    "hang_up"};
    sp_tool tool = {.size = sizeof tool, .name = "count", .streaming = 1};
    int rc = sp_worker_add_tool(worker, &tool, err);
    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++) {
        tool = (sp_tool){.size = sizeof tool, .name = names[i]};
        rc = sp_worker_add_tool(worker, &tool, err);
    }
    if (rc == 0) {
        rc = sp_worker_announce(worker, err);
    }
    sp_job *job;
    while (rc >= 0 && (rc = sp_worker_next(worker, &job, err)) > 0) {
        rc = work(job, err);
    }
    return rc;
}

int main(int argc, char **argv)
{
    sp_worker *worker;
    sp_error err = {0};
    const char *word = argc > 1 ? argv[1] : "";
    if (word[0] == '/') {
        await(word, "");
    }
    for (size_t i = 0; strcmp(word, "big") == 0 && i < sizeof room; i += 4096) {
        room[i] = 1;
    }
    sp_worker_options options = {.size = sizeof options,
                                 .threads = strcmp(word, "wide") == 0 ? 4 : 1};
    int rc = sp_worker_open(&options, &worker, &err);
    if (rc == 0) {
        sp_worker_catch_signals(worker);
        rc = serve(worker, &err);
        sp_worker_close(worker);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "eventful: %s\n", err.message);
    }
    sp_error_clear(&err);
    return rc < 0;
}
