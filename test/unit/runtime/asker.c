/* SPDX-License-Identifier: MIT */
/*
 * Tools of the worker under test that ask the host. See rig.h.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "rig.h"
#include "snakepit/worker_state.h"

enum { CROWD_MAX = 16, STREAMS_MAX = 8 };

static void bad(struct rig *rig)
{
    atomic_fetch_add(&rig->bad, 1);
}

static void reply(struct rig *rig, sp_job *job, sp_bytes json)
{
    if (sp_job_reply(job, json, NULL, (sp_bytes){0}, NULL) < 0) {
        bad(rig);
    }
}

/* Keep how a question ended; its code. */
static int keep(struct rig *rig, int rc, sp_error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(rig->ask_error, sizeof rig->ask_error, "%s", err->message);
    (void)snprintf(rig->ask_type, sizeof rig->ask_type, "%s",
                   err->remote_type != NULL ? err->remote_type : "");
    (void)pthread_mutex_unlock(&lock);
    if (rc < 0 && rc != err->code) {
        bad(rig);
    }
    sp_error_clear(err);
    atomic_store(&rig->ask_rc, rc);
    return rc;
}

/* End the job with the result, or with the name of what failed. */
static void pass_on(struct rig *rig, sp_job *job, int rc, sp_host_result *result)
{
    if (rc < 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "\"%s\"", sp_error_name(rc));
        reply(rig, job, sp_text(text));
        return;
    }
    if (sp_job_reply(job, result->json, NULL, result->binary, NULL) < 0) {
        bad(rig);
    }
    sp_host_result_clear(result);
}

static unsigned read_number(sp_job *job)
{
    char text[64];
    unsigned n = 0;
    sp_bytes args = sp_job_args(job);
    (void)snprintf(text, sizeof text, "%.*s", (int)args.size, (const char *)args.data);
    (void)sscanf(text, "[%u", &n);
    return n;
}

static void run_ask(struct rig *rig, sp_job *job, const sp_host_call_options *options)
{
    sp_host_result result = {0};
    sp_error err = {0};
    int rc = sp_job_call_host(job, "look", sp_job_args(job), options, &result, &err);
    pass_on(rig, job, keep(rig, rc, &err), &result);
}

static void run_ask_worker(struct rig *rig, sp_job *job)
{
    sp_binary binary = {.name = "blob", .value = {"\0\1\2", 3}};
    sp_host_call_options options = {.size = sizeof options,
                                    .pool = "others",
                                    .binaries = &binary,
                                    .binaries_count = 1};
    run_ask(rig, job, &options);
}

/* ---- threads of the tool's own ---- */

struct member {
    struct rig *rig;
    sp_job *job;
    pthread_t thread;
    int number;
    int answered;
};

static void *ask_in_crowd(void *arg)
{
    struct member *me = arg;
    char args[32];
    char want[32];
    sp_host_result result;
    (void)snprintf(args, sizeof args, "[%d]", me->number);
    (void)snprintf(want, sizeof want, "%d", me->number);
    if (sp_job_call_host(me->job, "look", sp_text(args), NULL, &result, NULL) < 0) {
        return NULL;
    }
    me->answered = result.json.size == strlen(want) &&
                   memcmp(result.json.data, want, strlen(want)) == 0;
    if (!me->answered) {
        bad(me->rig);
    }
    sp_host_result_clear(&result);
    return NULL;
}

static void run_crowd(struct rig *rig, sp_job *job)
{
    struct member members[CROWD_MAX];
    unsigned n = read_number(job);
    int answered = 0;
    char text[32];
    for (unsigned i = 0; i < n; i++) {
        members[i] = (struct member){.rig = rig, .job = job, .number = (int)i};
        if (pthread_create(&members[i].thread, NULL, ask_in_crowd, &members[i]) != 0) {
            bad(rig);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        (void)pthread_join(members[i].thread, NULL);
        answered += members[i].answered;
    }
    (void)snprintf(text, sizeof text, "%d", answered);
    reply(rig, job, sp_text(text));
}

static void *ask_and_stay(void *arg)
{
    struct rig *rig = arg;
    sp_host_result result = {0};
    atomic_store(&rig->left_rc, sp_job_call_host(rig->left_job, "look", sp_text("{}"),
                                                 NULL, &result, NULL));
    sp_host_result_clear(&result);
    return NULL;
}

static void run_leave(struct rig *rig, sp_job *job)
{
    rig->left_job = job;
    if (pthread_create(&rig->left, NULL, ask_and_stay, rig) != 0) {
        bad(rig);
    }
    rig_wait_gate(rig); /* until the host has the question */
    reply(rig, job, sp_text("true"));
}

void asker_join(struct rig *rig)
{
    if (rig->left != 0) {
        (void)pthread_join(rig->left, NULL);
        rig->left = 0;
    }
}

/* ---- streams ---- */

static int open_stream(struct rig *rig, sp_job *job, sp_host_stream **ret)
{
    sp_error err = {0};
    int rc = sp_job_host_stream_open(job, "numbers", sp_job_args(job), NULL, ret, &err);
    return keep(rig, rc, &err);
}

static void run_pull(struct rig *rig, sp_job *job, unsigned n, int hold)
{
    sp_host_stream *streams[STREAMS_MAX] = {0};
    unsigned open = 0;
    unsigned long long chunks = 0;
    unsigned long long bytes = 0;
    int rc = SP_OK;
    while (rc == SP_OK && open < n) {
        rc = open_stream(rig, job, &streams[open]);
        open += rc == SP_OK;
    }
    if (hold) {
        rig_wait_gate(rig);
    }
    for (unsigned left = open, i = 0; rc >= 0 && left > 0; i = (i + 1) % open) {
        sp_bytes chunk;
        sp_error err = {0};
        if (streams[i] == NULL) {
            continue;
        }
        rc = sp_host_stream_next(streams[i], SP_UNLIMITED, &chunk, NULL, &err);
        (void)keep(rig, rc, &err);
        if (rc > 0) {
            chunks++;
            bytes += chunk.size;
        } else {
            sp_host_stream_close(streams[i]);
            streams[i] = NULL;
            left--;
        }
    }
    for (unsigned i = 0; i < open; i++) {
        sp_host_stream_close(streams[i]);
    }
    char text[64];
    (void)snprintf(text, sizeof text, "[%llu,%llu]", chunks, bytes);
    reply(rig, job, sp_text(text));
}

static void run_peek(struct rig *rig, sp_job *job)
{
    sp_host_stream *stream = NULL;
    sp_bytes chunk = {0};
    sp_error err = {0};
    if (open_stream(rig, job, &stream) < 0) {
        reply(rig, job, sp_text("null"));
        return;
    }
    /* Not there yet, most likely; and asking for no time at all is no end. */
    int rc = sp_host_stream_next(stream, 0, &chunk, NULL, NULL);
    if (rc == SP_ERR_TIMEOUT) {
        rc = sp_host_stream_next(stream, 1, &chunk, NULL, NULL);
    }
    if (rc == SP_ERR_TIMEOUT) {
        rc = sp_host_stream_next(stream, SP_UNLIMITED, &chunk, NULL, &err);
    }
    (void)keep(rig, rc, &err);
    reply(rig, job, chunk); /* ends the job, and with it the question */
    if (sp_host_stream_next(stream, SP_UNLIMITED, &chunk, NULL, NULL) !=
        SP_ERR_CANCELLED) {
        bad(rig);
    }
    sp_host_stream_close(stream);
}

/* Watches; answers how that ended. */
static void run_watch(struct rig *rig, sp_job *job)
{
    sp_job_watch *watch = NULL;
    sp_change change;
    sp_error err = {0};
    int rc = keep(rig, sp_job_watch_open(job, NULL, &watch, &err), &err);
    if (rc == SP_OK) {
        rc = keep(rig, sp_job_watch_next(watch, SP_UNLIMITED, &change, &err), &err);
        sp_job_watch_close(watch);
    }
    char text[64];
    (void)snprintf(text, sizeof text, "\"%s\"", sp_error_name(rc));
    reply(rig, job, sp_text(text));
}

/* One of its three chunks; what sp_job_chunk() says. */
static int tell(struct rig *rig, sp_job *job, intptr_t step)
{
    sp_host_result result = {0};
    sp_error err = {0};
    if (step != 1) {
        return sp_job_chunk(job, sp_text(step == 0 ? "\"before\"" : "\"after\""), NULL);
    }
    int rc = sp_job_call_host(job, "look", sp_text("{}"), NULL, &result, &err);
    (void)keep(rig, rc, &err);
    rc = rc < 0 ? rc : sp_job_chunk(job, result.json, NULL);
    sp_host_result_clear(&result);
    return rc;
}

static void run_told(struct rig *rig, sp_job *job)
{
    intptr_t step = (intptr_t)sp_job_data(job);
    int rc = sp_job_cancelled(job) ? SP_ERR_CANCELLED : 1;
    while (rc > 0 && step < 3) {
        rc = tell(rig, job, step++);
        sp_job_set_data(job, (void *)step);
    }
    if (rc != 0) { /* 0: its turn comes again */
        (void)sp_job_end(job, NULL);
    }
}

int asker_run(struct rig *rig, sp_job *job)
{
    const char *tool = sp_job_tool(job);
    if (strcmp(tool, "ask") == 0) {
        run_ask(rig, job, NULL);
    } else if (strcmp(tool, "ask_for") == 0) {
        sp_host_call_options options = {.size = sizeof options,
                                        .timeout_ms = read_number(job)};
        run_ask(rig, job, &options);
    } else if (strcmp(tool, "ask_worker") == 0) {
        run_ask_worker(rig, job);
    } else if (strcmp(tool, "crowd") == 0) {
        run_crowd(rig, job);
    } else if (strcmp(tool, "leave") == 0) {
        run_leave(rig, job);
    } else if (strcmp(tool, "pull") == 0) {
        run_pull(rig, job, read_number(job), 0);
    } else if (strcmp(tool, "hold") == 0) {
        run_pull(rig, job, 1, 1);
    } else if (strcmp(tool, "peek") == 0) {
        run_peek(rig, job);
    } else if (strcmp(tool, "watch") == 0) {
        run_watch(rig, job);
    } else if (strcmp(tool, "told") == 0) {
        run_told(rig, job);
    } else {
        return 0;
    }
    return 1;
}
