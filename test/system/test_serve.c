/* SPDX-License-Identifier: MIT */
/* A pit served on a socket: calls, streams, failures, deadlines, cancelling, health, and
 * its end. The client is our own; grpcio's has test_serve_grpcio.py. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "pits.h"
#include "wire/proto.h"

enum {
    OK = 0,
    CANCELLED = 1,
    UNKNOWN = 2,
    INVALID = 3,
    DEADLINE = 4,
    NOT_FOUND = 5,
    EXHAUSTED = 8,
    ABORTED = 10,
    UNIMPLEMENTED = 12,
    UNAVAILABLE = 14
};
enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

/* Of this test; serve() sets it. */
static char path[400];

static const char *socket_path(void)
{
    return path;
}

static void serve(sp_pit *pit)
{
    char address[512];
    (void)snprintf(path, sizeof path, "%s", leak_path("serve/pit.sock"));
    (void)snprintf(address, sizeof address, "unix:%s", path);
    if (sp_pit_listen(pit, address, NULL, last_error()) != 0) {
        fail_msg("%s", last_error()->message);
    }
}

static sp_listen_stats served(sp_pit *pit)
{
    sp_listen_stats stats;
    assert_int_equal(sp_pit_listen_stats(pit, &stats, NULL), 0);
    return stats;
}

static struct asked ask(const char *tool, const char *args)
{
    return caller_once(socket_path(), &(struct wish){.tool = tool, .args = args});
}

/* ---- calls ---- */

static void a_client_calls_a_tool(void **state)
{
    serve(pit_of_probes(1));
    struct asked sum = ask("add", "{\"a\":2,\"b\":40}");
    assert_int_equal(sum.status, OK);
    assert_string_equal(sum.json, "42");
    struct asked text = ask("echo", "{\"value\":\"sn\\u00e5ke\"}");
    assert_int_equal(text.status, OK);
    assert_string_equal(text.json, "\"sn\xc3\xa5ke\"");
}

static void many_calls_share_a_connection(void **state)
{
    enum { CALLS = 300 };
    sp_pit *pit = pit_of_probes(2);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    struct asked *asked[CALLS];
    for (int i = 0; i < CALLS; i++) {
        char args[64];
        (void)snprintf(args, sizeof args, "{\"a\":%d,\"b\":1}", i);
        asked[i] = caller_ask(caller, &(struct wish){.tool = "add", .args = args});
    }
    for (int i = 0; i < CALLS; i++) {
        char json[16];
        caller_await(caller, asked[i]);
        (void)snprintf(json, sizeof json, "%d", i + 1);
        assert_int_equal(asked[i]->status, OK);
        assert_string_equal(asked[i]->json, json);
    }
    assert_int_equal(served(pit).calls_total, CALLS);
    caller_close(caller);
    UNTIL(served(pit).clients == 0);
}

static void a_large_answer_comes_whole(void **state)
{
    serve(pit_of_probes(1));
    struct asked text = ask("text", "{\"size\":5000000}");
    assert_int_equal(text.status, OK);
    assert_true(text.bytes > 5000000);
}

static void a_session_keeps_its_worker(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    serve(pit);
    struct wish wish = {.tool = "where", .session = "s1"};
    struct asked first = caller_once(socket_path(), &wish);
    long long pid = json_number(first.json, "pid");
    assert_has(first.json, "\"s1\"");
    for (int i = 0; i < 5; i++) {
        struct asked again = caller_once(socket_path(), &wish);
        assert_int_equal(json_number(again.json, "pid"), pid);
    }
}

static void metadata_names_the_pool(void **state)
{
    sp_pool_options pools[2] = {pool_of_probes(1), pool_of_program("plain", NULL, 1)};
    pools[1].name = "plain";
    serve(pit_open_ready(pools, 2));
    const char *const plain[] = {"snakepit-pool", "plain", NULL};
    struct asked echo = caller_once(
        socket_path(),
        &(struct wish){.tool = "echo", .args = "{\"x\":[1]}", .metadata = plain});
    assert_int_equal(echo.status, OK);
    assert_string_equal(echo.json, "{\"x\":[1]}");
    const char *const nobody[] = {"snakepit-pool", "plaim", NULL};
    struct asked lost =
        caller_once(socket_path(), &(struct wish){.tool = "echo", .metadata = nobody});
    assert_int_equal(lost.status, NOT_FOUND);
    assert_int_equal(lost.code, SP_ERR_NO_POOL);
    assert_has(lost.message, "plain");
}

static void a_dedupe_key_runs_the_work_once(void **state)
{
    serve(pit_of_probes(1));
    const char *const key[] = {"snakepit-dedupe-key", "k1", NULL};
    struct wish wish = {.tool = "where", .metadata = key};
    struct asked first = caller_once(socket_path(), &wish);
    struct asked second = caller_once(socket_path(), &wish);
    assert_int_equal(second.status, OK);
    assert_string_equal(first.json, second.json);
    assert_int_equal(json_number(second.json, "calls"), 1);
}

/* ---- failures ---- */

static void an_exception_is_unknown_and_ran(void **state)
{
    serve(pit_of_probes(1));
    struct asked failed = ask("fail", "{\"message\":\"no more\"}");
    assert_int_equal(failed.status, UNKNOWN);
    assert_int_equal(failed.code, SP_ERR_REMOTE);
    assert_has(failed.message, "ValueError: no more");
    assert_string_equal(failed.executed, "yes");
    assert_string_equal(failed.reason, "SP-REMOTE");
    assert_string_equal(failed.pushback, "-1");
}

static void an_unknown_tool_is_unimplemented_and_did_not_run(void **state)
{
    serve(pit_of_probes(1));
    struct asked failed = ask("ecko", NULL);
    assert_int_equal(failed.status, UNIMPLEMENTED);
    assert_int_equal(failed.code, SP_ERR_NO_TOOL);
    assert_string_equal(failed.executed, "no");
    assert_string_equal(failed.reason, "SP-NO-TOOL");
    assert_has(failed.message, "echo");
}

static void a_death_in_the_call_is_aborted_and_not_to_be_repeated(void **state)
{
    serve(pit_of_probes(1));
    struct asked failed = ask("crash", NULL);
    assert_int_equal(failed.status, ABORTED);
    assert_int_equal(failed.code, SP_ERR_WORKER_DIED);
    assert_string_equal(failed.executed, "unknown");
    assert_string_equal(failed.reason, "SP-WORKER-DIED");
    assert_string_equal(failed.pushback, "-1");
}

static void a_full_queue_says_when_to_come_again(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_max = 1;
    pool.pipeline_max = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    serve(pit);
    sp_id held = hold_start(pit, "held", NULL);
    sp_id queued = call_start(pit, "echo", "[1]", NULL);
    UNTIL(stats_of(pit).queued == 1);
    struct asked failed = ask("echo", NULL);
    assert_int_equal(failed.status, EXHAUSTED);
    assert_int_equal(failed.code, SP_ERR_QUEUE_FULL);
    assert_string_equal(failed.executed, "no");
    assert_true(failed.pushback[0] >= '0' && failed.pushback[0] <= '9');
    hold_release("held");
    (void)call_wait(pit, held);
    (void)call_wait(pit, queued);
}

static void what_cannot_be_read_is_invalid(void **state)
{
    serve(pit_of_probes(1));
    struct asked garbage = caller_once(
        socket_path(), &(struct wish){.raw = "\xff\xff\xff", .raw_size = 3});
    assert_int_equal(garbage.status, INVALID);
    struct asked nothing = caller_once(socket_path(), &(struct wish){.no_message = 1});
    assert_int_equal(nothing.status, INVALID);
    assert_has(nothing.message, "no message");
    /* {"value": 1.2.3} in the parameters map. */
    static const char bad[] = "\x12\x04"
                              "echo"
                              "\x1a\x10\n\x05value\x12\x07\x12\x05"
                              "1.2.3";
    struct asked json = caller_once(
        socket_path(), &(struct wish){.raw = bad, .raw_size = sizeof bad - 1});
    assert_int_equal(json.status, INVALID);
    assert_has(json.message, "parameter 'value'");
    const char *const when[] = {"snakepit-queue-timeout-ms", "soon", NULL};
    struct asked head =
        caller_once(socket_path(), &(struct wish){.tool = "echo", .metadata = when});
    assert_int_equal(head.status, INVALID);
    struct asked method =
        caller_once(socket_path(), &(struct wish){.path = "/a.B/C", .tool = "echo"});
    assert_int_equal(method.status, UNIMPLEMENTED);
}

/* ---- deadlines, cancelling ---- */

static void the_clients_deadline_is_the_calls(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct asked late = caller_once(
        socket_path(), &(struct wish){.tool = "hold",
                                      .args = hold_args("late", args, sizeof args),
                                      .timeout_ms = 50});
    assert_int_equal(late.status, DEADLINE);
    assert_int_equal(late.code, SP_ERR_TIMEOUT);
    assert_int_equal(stats_of(pit).call_timeouts, 1);
}

static void a_reset_cancels_the_call(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    struct asked *held = caller_ask(
        caller,
        &(struct wish){.tool = "hold", .args = hold_args("held", args, sizeof args)});
    hold_await("held");
    caller_reset(caller, held);
    UNTIL(stats_of(pit).cancelled == 1);
    assert_int_equal(served(pit).calls_cancelled, 1);
    /* The connection and the worker go on. */
    struct asked *next = caller_ask(caller, &(struct wish){.tool = "echo"});
    caller_await(caller, next);
    assert_int_equal(next->status, OK);
    caller_close(caller);
}

static void a_client_that_goes_cancels_queued_and_running_calls(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    (void)caller_ask(
        caller,
        &(struct wish){.tool = "hold", .args = hold_args("held", args, sizeof args)});
    hold_await("held");
    for (int i = 0; i < 10; i++) {
        (void)caller_ask(caller, &(struct wish){.tool = "echo"});
    }
    (void)caller_turn(caller, 0);
    UNTIL(served(pit).calls == 11);
    caller_close(caller);
    UNTIL(stats_of(pit).cancelled == 11);
    UNTIL(served(pit).clients == 0);
    assert_int_equal(served(pit).calls, 0);
    call_gives(pit, "echo", "[7]", "7");
}

/* ---- streams ---- */

static void a_stream_comes_in_order_with_its_end(void **state)
{
    serve(pit_of_probes(1));
    struct asked stream =
        caller_once(socket_path(), &(struct wish){.path = SP__PATH_STREAM,
                                                  .tool = "numbers",
                                                  .args = "{\"count\":5000}"});
    assert_int_equal(stream.status, OK);
    assert_int_equal(stream.messages, 5001);
    assert_true(stream.has_final);
    assert_string_equal(stream.last, "4999");
}

static void a_broken_stream_ends_with_its_error(void **state)
{
    serve(pit_of_probes(1));
    struct wish wish = {
        .path = SP__PATH_STREAM, .tool = "breaking", .args = "{\"count\":3}"};
    struct asked broken = caller_once(socket_path(), &wish);
    assert_int_equal(broken.messages, 3);
    assert_false(broken.has_final);
    assert_int_equal(broken.status, UNKNOWN);
    assert_has(broken.message, "the stream broke");
    wish.tool = "dying";
    struct asked dying = caller_once(socket_path(), &wish);
    assert_true(dying.messages <= 3);
    assert_int_equal(dying.status, ABORTED);
}

static uint64_t count_in(const char *counter)
{
    uint64_t made = 0;
    FILE *file = fopen(counter, "rb");
    if (file != NULL) {
        if (fread(&made, sizeof made, 1, file) != 1) {
            made = 0;
        }
        (void)fclose(file);
    }
    return made;
}

static void a_client_that_does_not_read_slows_the_tool(void **state)
{
    enum { CHUNK = 10000, CHUNKS = 20000 };
    char args[500];
    const char *made = leak_path("made");
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\",\"count\":%d,\"size\":%d}",
                   made, CHUNKS, CHUNK);
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    struct asked *stream = caller_ask(caller, &(struct wish){.path = SP__PATH_STREAM,
                                                             .tool = "counted",
                                                             .args = args,
                                                             .hold = 1});
    caller_await_messages(caller, stream, 50);
    /* What is under way is a few windows; the tool stands still then. */
    uint64_t before;
    do {
        before = count_in(made);
        (void)caller_turn(caller, 200);
    } while (count_in(made) != before);
    assert_true(count_in(made) * CHUNK < 16u << 20);
    while (!stream->ended) {
        caller_take(caller, stream, 1u << 20);
        if (!caller_turn(caller, 20)) {
            break;
        }
    }
    assert_int_equal(stream->status, OK);
    assert_int_equal(stream->messages, CHUNKS + 1);
    caller_close(caller);
}

static void a_reset_closes_the_generator(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    struct asked *stream =
        caller_ask(caller, &(struct wish){.path = SP__PATH_STREAM,
                                          .tool = "blocking",
                                          .args = hold_args("b", args, sizeof args)});
    caller_await_messages(caller, stream, 1);
    hold_await("b");
    caller_close(caller);
    const char *closed = leak_path("b.closed");
    UNTIL(file_exists(closed));
    UNTIL(served(pit).calls == 0);
}

/* ---- health ---- */

static int health(const char *service)
{
    struct asked asked =
        caller_once(socket_path(),
                    &(struct wish){.path = SP__PATH_HEALTH_CHECK, .service = service});
    return asked.status == OK ? asked.health : -asked.status;
}

static void health_answers_each_question(void **state)
{
    sp_pool_options pool = pool_of_program("never_ready", NULL, 1);
    sp_pit *pit = pit_open(&pool, 1);
    serve(pit);
    assert_int_equal(health("live"), SERVING);
    assert_int_equal(health("ready"), NOT_SERVING);
    assert_int_equal(health(""), NOT_SERVING);
    assert_int_equal(health("startup"), NOT_SERVING);
    assert_int_equal(health("other"), -NOT_FOUND);
    pit_close(pit);
}

static void health_of_a_ready_pit(void **state)
{
    serve(pit_of_probes(1));
    assert_int_equal(health(""), SERVING);
    assert_int_equal(health("snakepit.bridge.BridgeService"), SERVING);
    assert_int_equal(health("ready"), SERVING);
    assert_int_equal(health("startup"), SERVING);
}

static void watch_tells_changes(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    struct asked *watch = caller_ask(
        caller, &(struct wish){.path = SP__PATH_HEALTH_WATCH, .service = "ready"});
    struct asked *unknown = caller_ask(
        caller, &(struct wish){.path = SP__PATH_HEALTH_WATCH, .service = "other"});
    caller_await_messages(caller, watch, 1);
    assert_int_equal(watch->health, SERVING);
    caller_await_messages(caller, unknown, 1);
    assert_int_equal(unknown->health, SERVICE_UNKNOWN);
    (void)call_fails(pit, "crash", "{}", NULL, SP_ERR_WORKER_DIED);
    caller_await_messages(caller, watch, 3);
    assert_int_equal(watch->health, SERVING);
    assert_int_equal(watch->messages, 3);
    assert_int_equal(sp_pit_drain(pit, SP_UNLIMITED, last_error()), 0);
    caller_await_messages(caller, watch, 4);
    assert_int_equal(watch->health, NOT_SERVING);
    caller_close(caller);
}

/* ---- the end ---- */

static void draining_lets_calls_of_clients_end(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    struct asked *held = caller_ask(
        caller,
        &(struct wish){.tool = "hold", .args = hold_args("held", args, sizeof args)});
    hold_await("held");
    assert_int_equal(sp_pit_drain(pit, 10, last_error()), SP_ERR_TIMEOUT);
    assert_null(caller_open(socket_path()));
    assert_false(file_exists(socket_path()));
    hold_release("held");
    assert_int_equal(sp_pit_drain(pit, SP_UNLIMITED, last_error()), 0);
    caller_await(caller, held);
    assert_int_equal(held->status, OK);
    caller_await_close(caller);
    assert_true(caller_got_goaway(caller));
    caller_close(caller);
}

static void closing_tells_clients(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    serve(pit);
    struct caller *caller = caller_open(socket_path());
    struct asked *held = caller_ask(
        caller,
        &(struct wish){.tool = "hold", .args = hold_args("held", args, sizeof args)});
    struct asked *queued = caller_ask(caller, &(struct wish){.tool = "echo"});
    hold_await("held");
    UNTIL(served(pit).calls == 2);
    pit_close(pit);
    caller_await(caller, held);
    caller_await(caller, queued);
    assert_int_equal(held->status, ABORTED);
    assert_string_equal(held->reason, "SP-CLOSED");
    assert_string_equal(held->executed, "unknown");
    assert_int_equal(queued->status, UNAVAILABLE);
    assert_string_equal(queued->executed, "no");
    caller_close(caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_calls_a_tool),
        TEST(many_calls_share_a_connection),
        TEST(a_large_answer_comes_whole),
        TEST(a_session_keeps_its_worker),
        TEST(metadata_names_the_pool),
        TEST(a_dedupe_key_runs_the_work_once),
        TEST(an_exception_is_unknown_and_ran),
        TEST(an_unknown_tool_is_unimplemented_and_did_not_run),
        TEST(a_death_in_the_call_is_aborted_and_not_to_be_repeated),
        TEST(a_full_queue_says_when_to_come_again),
        TEST(what_cannot_be_read_is_invalid),
        TEST(the_clients_deadline_is_the_calls),
        TEST(a_reset_cancels_the_call),
        TEST(a_client_that_goes_cancels_queued_and_running_calls),
        TEST(a_stream_comes_in_order_with_its_end),
        TEST(a_broken_stream_ends_with_its_error),
        TEST(a_client_that_does_not_read_slows_the_tool),
        TEST(a_reset_closes_the_generator),
        TEST(health_answers_each_question),
        TEST(health_of_a_ready_pit),
        TEST(watch_tells_changes),
        TEST(draining_lets_calls_of_clients_end),
        TEST(closing_tells_clients),
    };
    return RUN_SYSTEM_TESTS("serve", tests);
}
