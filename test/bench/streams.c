/* SPDX-License-Identifier: MIT */
/*
 * Streams of a Python generator, read by a program.
 *
 *     streams many   --chunks N               small chunks as fast as they can be made
 *     streams first  [--times N]              the first chunk beside an answer of a call
 *     streams sparse --chunks N --pause-us P  chunks with a pause between them: each has
 *                                             to leave at once
 *
 * Each prints one line of JSON for run.py; chunks that are missing or out of order end the
 * program with status 1.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"
#include "pit.h"

enum { WARM_CHUNKS = 100000, WARM_TIMES = 200 };

static sp_stream *open_stream(sp_pit *pit, const char *tool, const char *args)
{
    sp_stream *stream = NULL;
    sp_error err = {0};
    sp_call_options options = {.size = sizeof options, .timeout_ms = SP_UNLIMITED};
    check(sp_stream_open(pit, tool, sp_text(args), &options, &stream, &err), &err,
          "stream");
    return stream;
}

/* ---- many ---- */

/* Returns the time it took; checks that every chunk is there and in order. */
static double take_numbers(sp_pit *pit, long chunks)
{
    char args[64];
    sp_error err = {0};
    sp_chunk chunk;
    long count = 0;
    int rc;
    (void)snprintf(args, sizeof args, "{\"count\":%ld}", chunks);
    uint64_t began_ns = now_ns();
    sp_stream *stream = open_stream(pit, "numbers", args);
    while ((rc = sp_stream_next(stream, &chunk, &err)) > 0) {
        if (get_result(chunk.data, chunk.size) != count) {
            give_up("streams: chunk %ld is %.*s", count, (int)chunk.size, chunk.data);
        }
        count++;
    }
    check(rc, &err, "chunk");
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    sp_stream_close(stream);
    if (count != chunks) {
        give_up("streams: %ld chunks instead of %ld", count, chunks);
    }
    return seconds;
}

static void many(sp_pit *pit, long chunks)
{
    int pid = worker_pid(pit);
    (void)take_numbers(pit, chunks < WARM_CHUNKS ? chunks : WARM_CHUNKS);
    uint64_t host_before = resident_bytes(getpid());
    uint64_t worker_before = resident_bytes(pid);
    double seconds = take_numbers(pit, chunks);
    printf("{\"what\":\"many\",\"chunks\":%ld,\"rate\":%.0f,"
           "\"host_rss_before\":%llu,\"host_rss_after\":%llu,"
           "\"worker_rss_before\":%llu,\"worker_rss_after\":%llu}\n",
           chunks, (double)chunks / seconds, (unsigned long long)host_before,
           (unsigned long long)resident_bytes(getpid()),
           (unsigned long long)worker_before, (unsigned long long)resident_bytes(pid));
}

/* ---- first ---- */

static void expect_first(const char *data, size_t size)
{
    if (get_result(data, size) != 0) {
        give_up("streams: the first number is %.*s", (int)size, data);
    }
}

static uint64_t time_call(sp_pit *pit)
{
    sp_result result = {0};
    sp_error err = {0};
    uint64_t began_ns = now_ns();
    check(sp_execute(pit, "number", sp_text("{\"i\":0}"), NULL, &result, &err), &err,
          "call");
    uint64_t ns = now_ns() - began_ns;
    expect_first(result.json, result.json_bytes);
    sp_result_clear(&result);
    return ns;
}

/* The stream has a second chunk, so that the first one is not its end as well. */
static uint64_t time_first(sp_pit *pit)
{
    sp_chunk chunk;
    sp_error err = {0};
    uint64_t began_ns = now_ns();
    sp_stream *stream = open_stream(pit, "numbers", "{\"count\":2}");
    check(sp_stream_next(stream, &chunk, &err), &err, "chunk");
    uint64_t ns = now_ns() - began_ns;
    expect_first(chunk.data, chunk.size);
    while (sp_stream_next(stream, &chunk, &err) > 0) {
    }
    sp_stream_close(stream);
    return ns;
}

static void first(sp_pit *pit, long times)
{
    static struct latencies call;
    static struct latencies chunk;
    for (long i = 0; i < times + WARM_TIMES; i++) {
        uint64_t call_ns = time_call(pit);
        uint64_t chunk_ns = time_first(pit);
        if (i >= WARM_TIMES) {
            latency_add(&call, call_ns);
            latency_add(&chunk, chunk_ns);
        }
    }
    printf("{\"what\":\"first\",\"call_p50_us\":%.2f,\"call_p99_us\":%.2f,"
           "\"chunk_p50_us\":%.2f,\"chunk_p99_us\":%.2f,\"times\":%ld}\n",
           latency_us(&call, 0.5), latency_us(&call, 0.99), latency_us(&chunk, 0.5),
           latency_us(&chunk, 0.99), times);
}

/* ---- sparse ---- */

static void sparse(sp_pit *pit, long chunks, long pause_us)
{
    static struct latencies delays;
    char args[64];
    sp_error err = {0};
    sp_chunk chunk;
    int rc;
    (void)snprintf(args, sizeof args, "{\"count\":%ld,\"pause_us\":%ld}", chunks,
                   pause_us);
    uint64_t began_ns = now_ns();
    sp_stream *stream = open_stream(pit, "moments", args);
    while ((rc = sp_stream_next(stream, &chunk, &err)) > 0) {
        /* Both processes read the same clock of the machine. */
        int64_t sent_ns = get_result(chunk.data, chunk.size);
        latency_add(&delays, now_ns() - (uint64_t)sent_ns);
    }
    check(rc, &err, "chunk");
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    sp_stream_close(stream);
    if (delays.total != (uint64_t)chunks) {
        give_up("streams: %llu chunks instead of %ld", (unsigned long long)delays.total,
                chunks);
    }
    printf("{\"what\":\"sparse\",\"chunks\":%ld,\"rate\":%.0f,\"p50_us\":%.2f,"
           "\"p99_us\":%.2f}\n",
           chunks, (double)chunks / seconds, latency_us(&delays, 0.5),
           latency_us(&delays, 0.99));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    sp_pit *pit = pit_of(1);
    if (strcmp(what, "many") == 0) {
        many(pit, option_number(argc, argv, "chunks", 1000000));
    } else if (strcmp(what, "first") == 0) {
        first(pit, option_number(argc, argv, "times", 3000));
    } else if (strcmp(what, "sparse") == 0) {
        sparse(pit, option_number(argc, argv, "chunks", 3000),
               option_number(argc, argv, "pause-us", 100));
    } else {
        give_up("streams: many, first or sparse, not %s", what);
    }
    sp_pit_close(pit);
    return 0;
}
