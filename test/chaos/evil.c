/* SPDX-License-Identifier: MIT */
/*
 * The evil worker: does its work, notes what it has begun and ended in a ledger of its
 * own, and misbehaves in between as the arguments of the call say.
 *
 *     evil FOLDER IDS_MAX
 *
 * Tools: `work` answers {"id":ID}, `stream` sends chunks 0, 1, 2 ... Arguments:
 *
 *     {"id":7,"us":300,"chunks":100,"bytes":0,"do":"segv","at":1,"amount":0,"times":1}
 *
 * `do` happens at the moment `at` (enum moment) of the first `times` attempts. Every
 * number may be left out. The side effect that must not be done twice is the pair of
 * lines "start" and "end".
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "misdeeds.h"

enum { CHUNK_BYTES_MAX = 65536, BUSY_US_MAX = 2000 };

static struct ledger ledger;
static _Atomic unsigned char *attempts;
static uint64_t ids_max;

/* ---- arguments ---- */

/* What follows "key": in a flat object; NULL when it is not there. The arguments are
 * checked JSON, so a number or a string always ends before the text does. */
static const char *find(const sp_job *job, const char *key)
{
    sp_bytes args = sp_job_args(job);
    char name[24];
    (void)snprintf(name, sizeof name, "\"%s\":", key);
    const char *at = memmem(args.data, args.size, name, strlen(name));
    return at == NULL ? NULL : at + strlen(name);
}

static uint64_t number(const sp_job *job, const char *key)
{
    const char *at = find(job, key);
    return at == NULL ? 0 : strtoull(at, NULL, 10);
}

static void read_deed(const sp_job *job, struct deed *deed)
{
    const char *what = find(job, "do");
    *deed = (struct deed){
        .id = number(job, "id"),
        .at = (enum moment)number(job, "at"),
        .amount = number(job, "amount"),
        .work_us = number(job, "us"),
        .chunks = number(job, "chunks"),
        .chunk_bytes = number(job, "bytes"),
    };
    if (deed->id < ids_max) {
        deed->attempt = 1u + atomic_fetch_add(&attempts[deed->id], 1);
    }
    uint64_t times = number(job, "times");
    if (what != NULL && (times == 0 || deed->attempt <= times)) {
        (void)snprintf(deed->what, sizeof deed->what, "%.*s",
                       (int)strcspn(what + 1, "\""), what + 1);
    }
}

/* ---- work ---- */

static void note(const struct deed *deed, const char *word)
{
    ledger_note(&ledger, word, "%" PRIu64 " %u", deed->id, deed->attempt);
}

/* Short work keeps the processor busy, long work waits and listens for its end. */
static void work_for(uint64_t work_us, const sp_job *job)
{
    uint64_t end_us = ledger_now_us() + work_us;
    while (ledger_now_us() < end_us && !sp_job_cancelled(job)) {
        if (work_us > BUSY_US_MAX) {
            (void)poll(NULL, 0, 1);
        }
    }
}

static int work(sp_job *job, sp_error *err)
{
    struct deed deed;
    char text[48];
    read_deed(job, &deed);
    misdeed(&deed, MOMENT_BEFORE, &ledger, job);
    note(&deed, "start");
    work_for(deed.work_us, job);
    misdeed(&deed, MOMENT_DURING, &ledger, job);
    note(&deed, "end");
    misdeed(&deed, MOMENT_AFTER, &ledger, job);
    (void)snprintf(text, sizeof text, "{\"id\":%" PRIu64 "}", deed.id);
    int rc = strcmp(deed.what, "fail") == 0
                 ? sp_job_fail(job, SP_ERR_REMOTE, "Evil", "as it was told", NULL, err)
                 : sp_job_reply(job, sp_text(text), "map", (sp_bytes){0}, err);
    misdeed(&deed, MOMENT_ANSWERED, &ledger, NULL);
    return rc;
}

static int send_chunk(sp_job *job, const struct deed *deed, sp_error *err)
{
    static char text[CHUNK_BYTES_MAX];
    int n = snprintf(text, sizeof text, "%" PRIu64, deed->next);
    size_t size = (size_t)n;
    if (deed->chunk_bytes > size && deed->chunk_bytes <= sizeof text) {
        memset(text + n, ' ', deed->chunk_bytes - size);
        size = deed->chunk_bytes;
    }
    return sp_job_chunk(job, (sp_bytes){text, size}, err);
}

static int stream_on(sp_job *job, sp_error *err)
{
    struct deed *deed = sp_job_data(job);
    int rc = sp_job_cancelled(job) ? SP_ERR_CANCELLED : 1;
    while (rc > 0 && deed->next < deed->chunks) {
        if (deed->next == deed->chunks / 2) {
            misdeed(deed, MOMENT_DURING, &ledger, job);
        }
        work_for(deed->work_us, job);
        rc = send_chunk(job, deed, err);
        deed->next++;
    }
    if (rc == 0) {
        return 0; /* no credit now: its turn comes again */
    }
    note(deed, "end");
    misdeed(deed, MOMENT_AFTER, &ledger, job);
    struct deed last = *deed;
    free(deed);
    rc = sp_job_end(job, err);
    misdeed(&last, MOMENT_ANSWERED, &ledger, NULL);
    return rc;
}

static int stream(sp_job *job, sp_error *err)
{
    struct deed *deed = malloc(sizeof *deed);
    if (deed == NULL) {
        return sp_job_fail(job, SP_ERR_NOMEM, NULL, "no memory", NULL, err);
    }
    read_deed(job, deed);
    misdeed(deed, MOMENT_BEFORE, &ledger, job);
    note(deed, "start");
    sp_job_set_data(job, deed);
    return stream_on(job, err);
}

/* ---- the worker ---- */

static int serve(sp_worker *worker, sp_error *err)
{
    static const sp_tool tools[] = {
        {.size = sizeof(sp_tool), .name = "work"},
        {.size = sizeof(sp_tool), .name = "stream", .streaming = 1},
    };
    sp_job *job;
    int rc = sp_worker_add_tool(worker, &tools[0], err);
    rc = rc == 0 ? sp_worker_add_tool(worker, &tools[1], err) : rc;
    rc = rc == 0 ? sp_worker_announce(worker, err) : rc;
    while (rc >= 0 && (rc = sp_worker_next(worker, &job, err)) > 0) {
        if (sp_job_is_turn(job)) {
            rc = stream_on(job, err);
        } else if (sp_job_is_stream(job)) {
            rc = stream(job, err);
        } else {
            rc = work(job, err);
        }
    }
    return rc;
}

int main(int argc, char **argv)
{
    char name[48];
    sp_worker *worker;
    sp_error err = {0};
    if (argc < 3) {
        (void)fprintf(stderr, "usage: evil FOLDER IDS_MAX\n");
        return 2;
    }
    ids_max = strtoull(argv[2], NULL, 10);
    (void)snprintf(name, sizeof name, "worker-%d.log", (int)getpid());
    attempts = (_Atomic unsigned char *)ledger_attempts(argv[1], ids_max);
    if (attempts == NULL || ledger_open(&ledger, argv[1], name) < 0) {
        (void)fprintf(stderr, "evil: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    int rc = sp_worker_open(NULL, &worker, &err);
    if (rc == 0) {
        rc = serve(worker, &err);
        sp_worker_close(worker);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "evil: %s\n", err.message);
    }
    sp_error_clear(&err);
    return rc < 0;
}
