/* SPDX-License-Identifier: MIT */
/*
 * The product, as a program sees it: public headers and nothing else.
 *
 *     product calls   --in-flight K [--workers W]    sp_call_start, sp_pit_dispatch
 *     product execute --threads T [--workers W]      sp_execute on T threads
 *     product stream  --chunks N --adapter FILE      sp_stream_next to the end
 *     product start   --workers W                    open, all ready, all answer, closed
 *
 * The first two take --warm-ms and --measure-ms. Each prints one line of JSON for
 * run.py. Any call that fails, and any wrong answer, ends the program with status 1.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "snakepit/snakepit.h"

enum { CALLS_MAX = 65536, THREADS_MAX = 1024 };

static void check(int rc, const sp_error *err, const char *what)
{
    if (rc < 0) {
        give_up("product: %s: %s: %s%s%s", what, sp_error_name(rc), err->message,
                err->worker_stderr != NULL ? "\n" : "",
                err->worker_stderr != NULL ? err->worker_stderr : "");
    }
}

static sp_pit *open_pit(uint32_t workers, const char *adapter)
{
    sp_pit *pit = NULL;
    sp_error err = {0};
    sp_pool_options pool = {
        .size = sizeof pool,
        .name = "bench",
        .runtime = "python",
        .adapter = adapter,
        .python = getenv("BENCH_PYTHON"),
        .workers = workers,
        .queue_max = CALLS_MAX,
        .startup_timeout_ms = 120000,
        .init_timeout_ms = 120000,
    };
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    check(sp_pit_open(&options, &pit, &err), &err, "open");
    check(sp_pit_await_ready(pit, 0, &err), &err, "await ready");
    return pit;
}

/* ---- calls: one thread, many in flight ---- */

struct call {
    struct loop *loop;
    uint64_t started_ns;
    uint32_t a;
};

struct loop {
    sp_pit *pit;
    struct load load;
    uint32_t next;
    uint32_t open;
};

static void on_reply(const sp_reply *reply, void *user_data);

static void start_call(struct call *call)
{
    struct loop *loop = call->loop;
    sp_error err = {0};
    char args[64];
    call->a = loop->next++;
    size_t size = put_arguments(args, call->a, 3);
    check(sp_call_start(loop->pit, "add", (sp_bytes){args, size}, NULL, on_reply, call,
                        NULL, &err),
          &err, "call");
    loop->open++;
}

static void on_reply(const sp_reply *reply, void *user_data)
{
    struct call *call = user_data;
    struct loop *loop = call->loop;
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    int is_right = get_result(reply->result->json, reply->result->json_bytes) ==
                   (int64_t)call->a + 3;
    uint64_t ended_ns = now_ns();
    loop->open--;
    if (load_ended(&loop->load, call->started_ns, ended_ns, is_right)) {
        call->started_ns = ended_ns;
        start_call(call);
    }
}

static double all_workers_us(sp_pit *pit)
{
    static sp_worker_info workers[1000];
    sp_error err = {0};
    double sum_us = 0;
    int count = sp_pool_workers_get(pit, NULL, workers, 1000, &err);
    check(count, &err, "workers");
    for (int i = 0; i < count && i < 1000; i++) {
        sum_us += workers[i].pid > 0 ? processor_us(workers[i].pid) : 0;
    }
    return sum_us;
}

static void calls(sp_pit *pit, uint32_t in_flight, long warm_ms, long measure_ms)
{
    static struct call all[CALLS_MAX];
    static struct loop loop;
    char extra[128];
    sp_error err = {0};
    double host_us = processor_us(getpid());
    double workers_us = all_workers_us(pit);
    loop.pit = pit;
    load_begin(&loop.load, in_flight, warm_ms, measure_ms);
    for (uint32_t i = 0; i < in_flight; i++) {
        all[i] = (struct call){.loop = &loop, .started_ns = now_ns()};
        start_call(&all[i]);
    }
    while (loop.open > 0) {
        check(sp_pit_dispatch(pit, SP_UNLIMITED, &err), &err, "dispatch");
    }
    double ended = (double)loop.load.ended;
    (void)snprintf(extra, sizeof extra, "\"host_cpu_us\":%.3f,\"worker_cpu_us\":%.3f",
                   (processor_us(getpid()) - host_us) / ended,
                   (all_workers_us(pit) - workers_us) / ended);
    load_print(&loop.load, "calls", extra);
    if (loop.load.wrong > 0) {
        give_up("product: %llu wrong answers", (unsigned long long)loop.load.wrong);
    }
}

/* ---- execute: many threads, one call each ---- */

struct caller {
    pthread_t thread;
    sp_pit *pit;
    struct load load;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    char args[64];
    int go_on = 1;
    for (uint32_t a = 0; go_on; a++) {
        sp_result result = {0};
        sp_error err = {0};
        uint64_t started_ns = now_ns();
        size_t size = put_arguments(args, a, 3);
        check(
            sp_execute(caller->pit, "add", (sp_bytes){args, size}, NULL, &result, &err),
            &err, "execute");
        int is_right = get_result(result.json, result.json_bytes) == (int64_t)a + 3;
        go_on = load_ended(&caller->load, started_ns, now_ns(), is_right);
        sp_result_clear(&result);
    }
    return NULL;
}

static void execute(sp_pit *pit, uint32_t threads, long warm_ms, long measure_ms)
{
    struct caller *callers = calloc(threads, sizeof *callers);
    struct load *sum = calloc(1, sizeof *sum);
    if (callers == NULL || sum == NULL) {
        give_up("product: no memory for %u threads", threads);
    }
    load_begin(sum, threads, warm_ms, measure_ms);
    for (uint32_t i = 0; i < threads; i++) {
        callers[i].pit = pit;
        callers[i].load.begin_ns = sum->begin_ns;
        callers[i].load.end_ns = sum->end_ns;
        int rc = pthread_create(&callers[i].thread, NULL, call_on, &callers[i]);
        if (rc != 0) {
            give_up("product: thread: %s", strerrordesc_np(rc));
        }
    }
    for (uint32_t i = 0; i < threads; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        load_join(sum, &callers[i].load);
    }
    load_print(sum, "execute", "");
    if (sum->wrong > 0) {
        give_up("product: %llu wrong answers", (unsigned long long)sum->wrong);
    }
    free(callers);
    free(sum);
}

/* ---- map: one thread gives arguments and takes results, in order ---- */

static void map(sp_pit *pit, long measure_ms)
{
    sp_map *map = NULL;
    sp_error err = {0};
    uint64_t given = 0;
    uint64_t taken = 0;
    uint64_t began_ns = now_ns();
    uint64_t end_ns = began_ns + (uint64_t)measure_ms * 1000000;
    int rc = 1;
    check(sp_map_open(pit, "add", NULL, &map, &err), &err, "map");
    while (rc > 0) {
        char args[64];
        sp_reply reply;
        uint64_t index;
        size_t size = put_arguments(args, (uint32_t)given, 3);
        while (now_ns() < end_ns &&
               (rc = sp_map_put(map, (sp_bytes){args, size}, 0, &err)) > 0) {
            size = put_arguments(args, (uint32_t)++given, 3);
        }
        check(rc, &err, "put");
        if (now_ns() >= end_ns) {
            sp_map_finish(map);
        }
        rc = sp_map_next(map, SP_UNLIMITED, &reply, &index, &err);
        check(rc, &err, "next");
        if (rc > 0) {
            if (reply.error != NULL || index != taken ||
                get_result(reply.result->json, reply.result->json_bytes) !=
                    (int64_t)taken + 3) {
                give_up("product: wrong reply %llu", (unsigned long long)taken);
            }
            taken++;
        }
    }
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    sp_map_close(map);
    printf("{\"what\":\"map\",\"calls\":%llu,\"rate\":%.0f}\n",
           (unsigned long long)taken, (double)taken / seconds);
}

/* ---- stream ---- */

static int worker_pid(sp_pit *pit)
{
    sp_worker_info worker = {0};
    sp_error err = {0};
    check(sp_pool_workers_get(pit, NULL, &worker, 1, &err), &err, "workers");
    return worker.pid;
}

/* Returns the time it took; checks that every chunk is there and in order. */
static double run_stream(sp_pit *pit, long chunks)
{
    char args[64];
    sp_stream *stream = NULL;
    sp_error err = {0};
    sp_chunk chunk;
    uint64_t sum = 0;
    uint64_t count = 0;
    int rc;
    sp_call_options options = {.size = sizeof options, .timeout_ms = SP_UNLIMITED};
    (void)snprintf(args, sizeof args, "{\"count\":%ld}", chunks);
    uint64_t began_ns = now_ns();
    check(sp_stream_open(pit, "numbers", sp_text(args), &options, &stream, &err), &err,
          "stream");
    while ((rc = sp_stream_next(stream, &chunk, &err)) > 0) {
        sum += (uint64_t)get_result(chunk.data, chunk.size);
        count++;
    }
    check(rc, &err, "chunk");
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    sp_stream_close(stream);
    uint64_t n = (uint64_t)chunks;
    if (count != n || sum != n * (n - 1) / 2) {
        give_up("product: %llu chunks with the sum %llu instead of %ld",
                (unsigned long long)count, (unsigned long long)sum, chunks);
    }
    return seconds;
}

static void stream(sp_pit *pit, long chunks)
{
    int pid = worker_pid(pit);
    (void)run_stream(pit, chunks < 100000 ? chunks : 100000); /* buffers have grown */
    uint64_t host_before = resident_bytes(getpid());
    uint64_t worker_before = resident_bytes(pid);
    double seconds = run_stream(pit, chunks);
    printf("{\"what\":\"stream\",\"chunks\":%ld,\"rate\":%.0f,"
           "\"host_rss_before\":%llu,\"host_rss_after\":%llu,"
           "\"worker_rss_before\":%llu,\"worker_rss_after\":%llu}\n",
           chunks, (double)chunks / seconds, (unsigned long long)host_before,
           (unsigned long long)resident_bytes(getpid()),
           (unsigned long long)worker_before, (unsigned long long)resident_bytes(pid));
}

/* ---- start ---- */

static void count_reply(const sp_reply *reply, void *user_data)
{
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    --*(uint32_t *)user_data;
}

/* One call for each worker, at the same time. */
static void ask_all(sp_pit *pit, uint32_t workers)
{
    sp_error err = {0};
    uint32_t open = workers;
    for (uint32_t i = 0; i < workers; i++) {
        check(sp_call_start(pit, "add", sp_text("{\"a\":1,\"b\":2}"), NULL, count_reply,
                            &open, NULL, &err),
              &err, "call");
    }
    while (open > 0) {
        check(sp_pit_dispatch(pit, SP_UNLIMITED, &err), &err, "dispatch");
    }
}

static void start(uint32_t workers)
{
    char value[64];
    char entry[128];
    (void)snprintf(value, sizeof value, "%d", (int)getpid());
    (void)snprintf(entry, sizeof entry, "SNAKEPIT_BENCH_RUN=%s", value);
    if (setenv("SNAKEPIT_BENCH_RUN", value, 1) != 0) {
        give_up("product: setenv: %s", strerrordesc_np(errno));
    }
    uint64_t began_ns = now_ns();
    sp_pit *pit = open_pit(workers, "showcase");
    uint64_t ready_ns = now_ns();
    ask_all(pit, workers);
    uint64_t answered_ns = now_ns();
    int running = processes_with(entry);
    uint64_t closing_ns = now_ns();
    sp_pit_close(pit);
    uint64_t closed_ns = now_ns();
    printf("{\"what\":\"start\",\"workers\":%u,\"ready_ms\":%.2f,\"answered_ms\":%.2f,"
           "\"close_ms\":%.2f,\"processes_running\":%d,\"processes_left\":%d}\n",
           workers, (double)(ready_ns - began_ns) / 1e6,
           (double)(answered_ns - began_ns) / 1e6,
           (double)(closed_ns - closing_ns) / 1e6, running, processes_with(entry));
}

static const char usage[] =
    "usage: product calls|execute|map|stream|start [--OPTION VALUE]";

int main(int argc, char **argv)
{
    if (argc < 2) {
        give_up("%s", usage);
    }
    const char *what = argv[1];
    uint32_t workers = (uint32_t)option_number(argc, argv, "workers", 1);
    long warm_ms = option_number(argc, argv, "warm-ms", 200);
    long measure_ms = option_number(argc, argv, "measure-ms", 1000);
    long in_flight = option_number(argc, argv, "in-flight", 64);
    long threads = option_number(argc, argv, "threads", 64);
    if (in_flight < 1 || in_flight > CALLS_MAX || threads < 1 ||
        threads > THREADS_MAX) {
        give_up("product: in-flight or threads out of range");
    }
    if (strcmp(what, "start") == 0) {
        start(workers);
        return 0;
    }
    sp_pit *pit = open_pit(workers, option_text(argc, argv, "adapter", "showcase"));
    if (strcmp(what, "calls") == 0) {
        calls(pit, (uint32_t)in_flight, warm_ms, measure_ms);
    } else if (strcmp(what, "execute") == 0) {
        execute(pit, (uint32_t)threads, warm_ms, measure_ms);
    } else if (strcmp(what, "map") == 0) {
        map(pit, measure_ms);
    } else if (strcmp(what, "stream") == 0) {
        stream(pit, option_number(argc, argv, "chunks", 1000000));
    } else {
        give_up("%s", usage);
    }
    sp_pit_close(pit);
    return 0;
}
