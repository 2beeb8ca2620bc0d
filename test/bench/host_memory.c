/* SPDX-License-Identifier: MIT */
/*
 * What the host's own memory grows by: workers that are idle, calls that wait, and many
 * calls one after the other.
 *
 *     host-memory idle  --workers W
 *     host-memory queue --calls N    behind one that runs
 *     host-memory long  --calls N [--samples S]
 *
 * Heap is what the allocator has given out, of this program and every library in it;
 * resident is what the kernel says. Prints one line of JSON for run.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"
#include "pit.h"

enum { IN_FLIGHT = 64, SAMPLES_MAX = 100 };

struct weight {
    long long heap;
    long long resident;
};

static struct weight weigh(void)
{
    struct mallinfo2 info = mallinfo2();
    return (struct weight){(long long)(info.uordblks + info.hblkhd),
                           (long long)resident_bytes(getpid())};
}

static void print_growth(const char *what, long count, struct weight from,
                         struct weight to)
{
    printf(
        "{\"what\":\"%s\",\"count\":%ld,\"heap_each\":%.1f,\"resident_each\":%.1f}\n",
        what, count, (double)(to.heap - from.heap) / (double)count,
        (double)(to.resident - from.resident) / (double)count);
}

/* ---- idle workers: those of a large pit beyond the one of a small pit ---- */

static void idle(uint32_t workers)
{
    sp_pit *pit = pit_of(1);
    struct weight one = weigh();
    sp_pit_close(pit);
    pit = pit_of(workers + 1);
    struct weight many = weigh();
    sp_pit_close(pit);
    print_growth("idle", workers, one, many);
}

/* ---- calls that wait ---- */

static void on_reply(const sp_reply *reply, void *user_data)
{
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    --*(uint32_t *)user_data;
}

static void start(sp_pit *pit, const char *tool, const char *args, uint32_t *open)
{
    sp_error err = {0};
    check(sp_call_start(pit, tool, sp_text(args), NULL, on_reply, open, NULL, &err),
          &err, "call");
    ++*open;
}

static void end_all(sp_pit *pit, const uint32_t *open)
{
    sp_error err = {0};
    while (*open > 0) {
        check(sp_pit_dispatch(pit, SP_UNLIMITED, &err), &err, "dispatch");
    }
}

static void await_queued(sp_pit *pit, uint32_t least)
{
    sp_pool_stats stats = {0};
    sp_error err = {0};
    do {
        check(sp_pit_dispatch(pit, 1, &err), &err, "dispatch");
        check(sp_pool_stats_get(pit, NULL, &stats, &err), &err, "stats");
    } while (stats.queued < least);
}

static void queue(uint32_t calls)
{
    char folder[] = "/tmp/snakepit-bench-XXXXXX";
    char path[64];
    char args[96];
    uint32_t left = 0;
    if (mkdtemp(folder) == NULL) {
        give_up("host-memory: %s: %s", folder, strerrordesc_np(errno));
    }
    (void)snprintf(path, sizeof path, "%s/pipe", folder);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", path);
    if (mkfifo(path, 0600) < 0) {
        give_up("host-memory: %s: %s", path, strerrordesc_np(errno));
    }
    sp_pool_options pool = pool_of(1);
    pool.pipeline_max = 1;
    sp_pit *pit = pit_with(&pool);
    start(pit, "wait", args, &left);
    int pipe_fd = open(path, O_WRONLY | O_CLOEXEC); /* waits until the tool runs */
    start(pit, "add", "{\"a\":1,\"b\":2}", &left);
    await_queued(pit, 1);
    struct weight none = weigh();
    for (uint32_t i = 0; i < calls; i++) {
        start(pit, "add", "{\"a\":1,\"b\":2}", &left);
    }
    await_queued(pit, calls + 1);
    struct weight all = weigh();
    print_growth("queue", (long)calls, none, all);
    (void)close(pipe_fd);
    end_all(pit, &left);
    sp_pit_close(pit);
    (void)unlink(path);
    (void)rmdir(folder);
}

/* ---- many calls, one after the other ---- */

static struct {
    sp_pit *pit;
    uint64_t left; /* to be started */
    uint64_t ended;
    uint32_t open;
} line;

static void start_next(void);

static void on_next(const sp_reply *reply, void *user_data)
{
    (void)user_data;
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    line.open--;
    line.ended++;
    start_next();
}

static void start_next(void)
{
    char args[64];
    sp_error err = {0};
    if (line.left == 0) {
        return;
    }
    size_t size = put_arguments(args, (uint32_t)line.left, 3);
    line.left--;
    line.open++;
    check(sp_call_start(line.pit, "add", (sp_bytes){args, size}, NULL, on_next, NULL,
                        NULL, &err),
          &err, "call");
}

static void run_calls(uint64_t calls)
{
    sp_error err = {0};
    line.left = calls;
    for (int i = 0; i < IN_FLIGHT; i++) {
        start_next();
    }
    while (line.open > 0) {
        check(sp_pit_dispatch(line.pit, SP_UNLIMITED, &err), &err, "dispatch");
    }
}

static void print_list(const char *name, const long long *values, long count)
{
    printf(",\"%s\":[", name);
    for (long i = 0; i < count; i++) {
        printf("%s%lld", i > 0 ? "," : "", values[i]);
    }
    printf("]");
}

static void many(uint64_t calls, long samples)
{
    static long long heap[SAMPLES_MAX + 1];
    static long long resident[SAMPLES_MAX + 1];
    static long long worker[SAMPLES_MAX + 1];
    line.pit = pit_of(1);
    run_calls(calls / 100 + 1); /* buffers have grown */
    line.ended = 0;
    int pid = worker_pid(line.pit);
    uint64_t began_ns = now_ns();
    for (long i = 0; i <= samples; i++) {
        struct weight now = weigh();
        heap[i] = now.heap;
        resident[i] = now.resident;
        worker[i] = (long long)resident_bytes(pid);
        if (i < samples) {
            run_calls(calls / (uint64_t)samples);
        }
    }
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    printf("{\"what\":\"long\",\"calls\":%llu,\"rate\":%.0f,\"heap_growth\":%lld,"
           "\"resident_growth\":%lld,\"worker_growth\":%lld",
           (unsigned long long)line.ended, (double)line.ended / seconds,
           heap[samples] - heap[0], resident[samples] - resident[0],
           worker[samples] - worker[0]);
    print_list("heap", heap, samples + 1);
    print_list("resident", resident, samples + 1);
    print_list("worker", worker, samples + 1);
    printf("}\n");
    sp_pit_close(line.pit);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    long samples = option_number(argc, argv, "samples", 10);
    long calls = option_number(argc, argv, "calls", 50000);
    if (samples < 1 || samples > SAMPLES_MAX || calls < samples) {
        give_up("host-memory: samples or calls out of range");
    }
    if (strcmp(what, "idle") == 0) {
        idle((uint32_t)option_number(argc, argv, "workers", 100));
    } else if (strcmp(what, "queue") == 0 && calls < CALLS_MAX - 1) {
        queue((uint32_t)calls);
    } else if (strcmp(what, "long") == 0) {
        many((uint64_t)calls, samples);
    } else {
        give_up("usage: host-memory idle|queue|long [--OPTION VALUE]");
    }
    return 0;
}
