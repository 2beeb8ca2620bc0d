/* SPDX-License-Identifier: MIT */
/*
 * A number of calls in one function each, to be counted by callgrind: `make counts`.
 *
 *   bench-counted one CALLS       sp_execute, one call at a time; in counted_one()
 *   bench-counted many CALLS      started with callbacks, 64 in flight; counted_many()
 *   bench-counted stream CHUNKS   one stream; counted_stream()
 *   bench-counted first STREAMS   streams of two chunks, one at a time; counted_first()
 *   bench-counted session CALLS   reads and writes of a variable; counted_session()
 *
 * What comes before, and a warm-up of the same kind, stays outside of the functions that
 * are counted. Every answer is checked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "snakepit/snakepit.h"

enum { WARM = 300, IN_FLIGHT = 64 };

static sp_pit *pit;
static sp_sessions *sessions;

static void check(int rc, const sp_error *err, const char *what)
{
    if (rc < 0) {
        give_up("counted: %s: %s", what, err->message);
    }
}

static void check_sum(const sp_result *result, uint32_t a)
{
    if (get_result(result->json, result->json_bytes) != (int64_t)a + 3) {
        give_up("counted: a wrong answer");
    }
}

static void run_one(uint32_t calls)
{
    for (uint32_t a = 0; a < calls; a++) {
        char args[64];
        sp_result result = {0};
        sp_error err = {0};
        size_t size = put_arguments(args, a, 3);
        check(sp_execute(pit, "add", (sp_bytes){args, size}, NULL, &result, &err), &err,
              "execute");
        check_sum(&result, a);
        sp_result_clear(&result);
    }
}

static uint32_t open_calls;
static uint32_t started;
static uint32_t to_start;

static void on_reply(const sp_reply *reply, void *user_data);

static void start_next(void)
{
    char args[64];
    sp_error err = {0};
    uint32_t a = started++;
    size_t size = put_arguments(args, a, 3);
    open_calls++;
    check(sp_call_start(pit, "add", (sp_bytes){args, size}, NULL, on_reply,
                        (void *)(uintptr_t)a, NULL, &err),
          &err, "start");
}

static void on_reply(const sp_reply *reply, void *user_data)
{
    open_calls--;
    if (reply->error != NULL) {
        give_up("counted: %s", reply->error->message);
    }
    check_sum(reply->result, (uint32_t)(uintptr_t)user_data);
    if (started < to_start) {
        start_next();
    }
}

static void run_many(uint32_t calls)
{
    sp_error err = {0};
    started = 0;
    to_start = calls;
    while (started < calls && open_calls < IN_FLIGHT) {
        start_next();
    }
    while (open_calls > 0) {
        check(sp_pit_dispatch(pit, SP_UNLIMITED, &err), &err, "dispatch");
    }
}

static void run_stream(uint32_t chunks)
{
    char args[64];
    sp_error err = {0};
    sp_stream *stream;
    sp_chunk chunk;
    uint32_t count = 0;
    int rc;
    size_t size = (size_t)snprintf(args, sizeof args, "{\"count\":%u}", chunks);
    check(sp_stream_open(pit, "numbers", (sp_bytes){args, size}, NULL, &stream, &err),
          &err, "stream");
    while ((rc = sp_stream_next(stream, &chunk, &err)) > 0) {
        count++;
    }
    check(rc, &err, "chunk");
    sp_stream_close(stream);
    if (count != chunks) {
        give_up("counted: %u of %u chunks", count, chunks);
    }
}

static void run_first(uint32_t streams)
{
    for (uint32_t i = 0; i < streams; i++) {
        run_stream(2);
    }
}

static void run_session(uint32_t calls)
{
    for (uint32_t i = 0; i < calls; i++) {
        sp_error err = {0};
        sp_variable variable = {0};
        check(sp_variable_set(sessions, "s", "x", "0.5", NULL, NULL, &err), &err,
              "set");
        check(sp_variable_get(sessions, "s", "x", &variable, &err), &err, "get");
        sp_variable_clear(&variable);
    }
}

/* Not inlined and not static: callgrind finds them by their names. */
void counted_one(uint32_t calls);
void counted_many(uint32_t calls);
void counted_stream(uint32_t chunks);
void counted_first(uint32_t streams);
void counted_session(uint32_t calls);

__attribute__((noinline)) void counted_one(uint32_t calls)
{
    run_one(calls);
}

__attribute__((noinline)) void counted_many(uint32_t calls)
{
    run_many(calls);
}

__attribute__((noinline)) void counted_stream(uint32_t chunks)
{
    run_stream(chunks);
}

__attribute__((noinline)) void counted_first(uint32_t streams)
{
    run_first(streams);
}

__attribute__((noinline)) void counted_session(uint32_t calls)
{
    run_session(calls);
}

static void open_pit(void)
{
    sp_error err = {0};
    sp_pool_options pool = {.size = sizeof pool,
                            .workers = 1,
                            .runtime = "python",
                            .adapter = getenv("BENCH_ADAPTER")};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    check(sp_pit_open(&options, &pit, &err), &err, "open");
    check(sp_pit_await_ready(pit, 0, &err), &err, "ready");
}

static void open_sessions(void)
{
    sp_error err = {0};
    check(sp_sessions_open(NULL, &sessions, &err), &err, "sessions");
    check(sp_session_create(sessions, "s", NULL, &err), &err, "session");
    check(sp_variable_register(sessions, "s", "x", "float", "0", NULL, NULL, &err),
          &err, "variable");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*warm)(uint32_t);
        void (*counted)(uint32_t);
    } kinds[] = {{"one", run_one, counted_one},
                 {"many", run_many, counted_many},
                 {"stream", run_stream, counted_stream},
                 {"first", run_first, counted_first},
                 {"session", run_session, counted_session}};
    uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] && count > 0; i++) {
        if (strcmp(kinds[i].name, argv[1]) == 0) {
            if (kinds[i].warm == run_session) {
                open_sessions();
            } else {
                open_pit();
            }
            kinds[i].warm(WARM);
            kinds[i].counted(count);
            sp_pit_close(pit);
            sp_sessions_close(sessions);
            return 0;
        }
    }
    give_up("usage: bench-counted one|many|stream|first|session COUNT");
}
