/* SPDX-License-Identifier: MIT */
/*
 * The product, as a program sees it: public headers and nothing else.
 *
 *     product calls   --in-flight K,K [--workers W]  sp_call_start, sp_pit_dispatch
 *     product execute --threads T,T [--workers W]    sp_execute on T threads
 *     product map                                    sp_map_put, sp_map_next
 *
 * The first two take --warm-ms and --measure-ms, and print a line of JSON for each
 * number they are given; whatever calls has a session of its own. Any call that fails, and any wrong answer, ends the program
 * with status 1.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "pit.h"

enum { THREADS_MAX = 1024, LEVELS_MAX = 16, SESSION_BYTES = 24 };

/* ---- calls: one thread, many in flight ---- */

struct call {
    struct loop *loop;
    char session[SESSION_BYTES];
    uint64_t started_ns;
    uint32_t a;
};

struct loop {
    sp_pit *pit;
    struct load load;
    uint32_t next;
    uint32_t open;
};

static void name_session(char session[SESSION_BYTES], uint32_t number)
{
    (void)snprintf(session, SESSION_BYTES, "bench-%u", number);
}

static void on_reply(const sp_reply *reply, void *user_data);

static void start_call(struct call *call)
{
    struct loop *loop = call->loop;
    sp_error err = {0};
    char args[64];
    call->a = loop->next++;
    size_t size = put_arguments(args, call->a, 3);
    sp_call_options options = {.size = sizeof options, .session = call->session};
    check(sp_call_start(loop->pit, "add", (sp_bytes){args, size}, &options, on_reply,
                        call, NULL, &err),
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
    loop.next = 0;
    load_begin(&loop.load, in_flight, warm_ms, measure_ms);
    for (uint32_t i = 0; i < in_flight; i++) {
        all[i] = (struct call){.loop = &loop, .started_ns = now_ns()};
        name_session(all[i].session, i);
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
    char session[SESSION_BYTES];
    sp_pit *pit;
    struct load load;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    char args[64];
    sp_call_options options = {.size = sizeof options, .session = caller->session};
    int go_on = 1;
    for (uint32_t a = 0; go_on; a++) {
        sp_result result = {0};
        sp_error err = {0};
        uint64_t started_ns = now_ns();
        size_t size = put_arguments(args, a, 3);
        check(sp_execute(caller->pit, "add", (sp_bytes){args, size}, &options, &result,
                         &err),
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
    double host_us = processor_us(getpid()), workers_us = all_workers_us(pit);
    load_begin(sum, threads, warm_ms, measure_ms);
    for (uint32_t i = 0; i < threads; i++) {
        callers[i].pit = pit;
        name_session(callers[i].session, i);
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
    double ended = (double)sum->ended;
    char extra[128];
    (void)snprintf(extra, sizeof extra, "\"host_cpu_us\":%.3f,\"worker_cpu_us\":%.3f",
                   (processor_us(getpid()) - host_us) / ended,
                   (all_workers_us(pit) - workers_us) / ended);
    load_print(sum, "execute", extra);
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

/* ---- the program ---- */

static void run(sp_pit *pit, const char *what, long level, long warm_ms,
                long measure_ms)
{
    if (strcmp(what, "calls") == 0) {
        calls(pit, (uint32_t)level, warm_ms, measure_ms);
    } else {
        execute(pit, (uint32_t)level, warm_ms, measure_ms);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    int is_calls = strcmp(what, "calls") == 0;
    int is_map = strcmp(what, "map") == 0;
    if (!is_calls && !is_map && strcmp(what, "execute") != 0) {
        give_up("usage: product calls|execute|map [--OPTION VALUE]");
    }
    long levels[LEVELS_MAX];
    size_t count = option_numbers(argc, argv, is_calls ? "in-flight" : "threads", "64",
                                  levels, LEVELS_MAX);
    long warm_ms = option_number(argc, argv, "warm-ms", 200);
    long measure_ms = option_number(argc, argv, "measure-ms", 1000);
    sp_pit *pit = pit_of((uint32_t)option_number(argc, argv, "workers", 1));
    for (size_t i = 0; i < count && !is_map; i++) {
        if (levels[i] > (is_calls ? CALLS_MAX : THREADS_MAX)) {
            give_up("product: %ld is too many", levels[i]);
        }
        run(pit, what, levels[i], warm_ms, measure_ms);
    }
    if (is_map) {
        map(pit, measure_ms);
    }
    sp_pit_close(pit);
    return 0;
}
