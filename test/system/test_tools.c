/* SPDX-License-Identifier: MIT */
/* Host tools: who may call them, on which thread they run, and how their calls end. The
 * peer is a client; workers as peers have test_asks.c. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "caller.h"
#include "pits.h"
#include "wire/proto.h"
#include "wire/proto_state.h"
#include "wire/proto_tool.h"

enum {
    OK = 0,
    CANCELLED = 1,
    UNKNOWN = 2,
    INVALID = 3,
    DEADLINE = 4,
    UNIMPLEMENTED = 12
};

static char path[400];
static sp_pit *pit;
static struct caller *caller;

/* What the tools below have seen. */
static atomic_int runs;
static atomic_int gone;
static pthread_t ran_on;
static _Atomic(sp_tool_call *) kept;

static void close_caller(void)
{
    caller_close(caller);
    caller = NULL;
}

static void serve(sp_pit *opened)
{
    char address[512];
    pit = opened;
    atomic_store(&runs, 0);
    atomic_store(&gone, 0);
    atomic_store(&kept, NULL);
    (void)snprintf(path, sizeof path, "%s", leak_path("tools/pit.sock"));
    (void)snprintf(address, sizeof address, "unix:%s", path);
    if (sp_pit_listen(pit, address, NULL, last_error()) != 0) {
        fail_msg("%s", last_error()->message);
    }
    caller = caller_open(path);
    assert_non_null(caller);
    leak_at_end(close_caller);
}

static void open_pit(void)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    serve(pit_open_ready(&pool, 1));
}

/* ---- tools ---- */

static void note_gone(void *user_data)
{
    atomic_fetch_add(&gone, 1);
}

static void add(sp_host_tool tool)
{
    tool.size = sizeof tool;
    tool.on_gone = note_gone;
    if (sp_tool_register(pit, &tool, last_error()) != 0) {
        fail_msg("%s", last_error()->message);
    }
}

static void give_back(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    ran_on = pthread_self();
    atomic_fetch_add(&runs, 1);
    assert_int_equal(sp_tool_call_reply(call, args_json, (sp_bytes){0}, NULL), 0);
}

static void give_bytes(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    static char bytes[1000];
    assert_int_equal(
        sp_tool_call_reply(call, args_json, (sp_bytes){bytes, sizeof bytes}, NULL), 0);
}

static void tell_session(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    char text[300];
    (void)snprintf(text, sizeof text, "\"%s of %s\"", sp_tool_call_tool(call),
                   sp_tool_call_session(call));
    (void)sp_tool_call_reply(call, sp_text(text), (sp_bytes){0}, NULL);
}

static void keep(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    atomic_fetch_add(&runs, 1);
    atomic_store(&kept, call);
}

static void refuse(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    sp_error failure = {0};
    sp_error_set(&failure, SP_ERR_CONFLICT, "somebody was faster");
    sp_tool_call_fail(call, &failure);
    sp_error_clear(&failure);
}

static void give_bad(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    sp_error err = {0};
    assert_int_equal(sp_tool_call_reply(call, sp_text("{"), (sp_bytes){0}, &err),
                     SP_ERR_BAD_JSON);
    sp_error_clear(&err);
}

static struct asked *ask(const char *tool, const char *session, const char *args)
{
    return caller_ask(caller,
                      &(struct wish){.tool = tool, .args = args, .session = session});
}

/* Dispatch here until it has ended. */
static struct asked *finish(struct asked *asked)
{
    while (!asked->ended && !caller_is_over(caller)) {
        (void)sp_pit_dispatch(pit, 1, NULL);
        (void)caller_turn(caller, 1);
    }
    assert_true(asked->ended);
    return asked;
}

static struct asked *done(const char *tool, const char *session, const char *args)
{
    return finish(ask(tool, session, args));
}

static void await_kept(void)
{
    while (atomic_load(&kept) == NULL) {
        (void)sp_pit_dispatch(pit, 1, NULL);
        (void)caller_turn(caller, 1);
    }
}

/* ---- who may call what ---- */

static void a_client_calls_a_host_tool(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "back", .fn = give_back});
    struct asked *asked = done("back", NULL, "{\"x\":[1,2.5]}");
    assert_int_equal(asked->status, OK);
    assert_string_equal(asked->json, "{\"x\":[1,2.5]}");
    assert_true(pthread_equal(ran_on, pthread_self()));
    /* And the workers' tools are still there. */
    asked = done("echo", NULL, "{\"y\":1}");
    assert_string_equal(asked->json, "{\"y\":1}");
    assert_int_equal(atomic_load(&runs), 1);
}

static void find_callbacks(sp_bytes text, void *user_data)
{
    static const char *const lines[] = {
        "\nsnakepit_tool_callbacks_total{tool=\"back\",code=\"SP-OK\"} 2\n",
        "\nsnakepit_tool_callbacks_total{tool=\"no\",code=\"SP-CONFLICT\"} 1\n"};
    for (size_t i = 0; i < 2; i++) {
        const char *line = lines[i];
        *(int *)user_data += memmem(text.data, text.size, line, strlen(line)) != NULL;
    }
}

static void calls_of_host_tools_are_counted(void **state)
{
    int found = 0;
    open_pit();
    add((sp_host_tool){.name = "back", .fn = give_back});
    add((sp_host_tool){.name = "no", .fn = refuse});
    (void)done("back", NULL, "{}");
    (void)done("back", NULL, "{}");
    assert_int_equal(done("no", NULL, "{}")->code, SP_ERR_CONFLICT);
    assert_int_equal(
        sp_pit_report(pit, "metrics", NULL, find_callbacks, &found, last_error()), 0);
    assert_int_equal(found, 2);
}

static void a_session_has_tools_of_its_own(void **state)
{
    open_pit();
    sp_sessions *sessions = sp_pit_sessions(pit);
    assert_int_equal(sp_session_create(sessions, "a", NULL, NULL), 1);
    assert_int_equal(sp_session_create(sessions, "b", NULL, NULL), 1);
    add((sp_host_tool){.name = "own", .session = "a", .fn = tell_session});
    add((sp_host_tool){.name = "all", .fn = tell_session});
    assert_string_equal(done("own", "a", NULL)->json, "\"own of a\"");
    assert_string_equal(done("all", "b", NULL)->json, "\"all of b\"");
    assert_string_equal(done("all", NULL, NULL)->json, "\"all of \"");
    struct asked *other = done("own", "b", NULL);
    assert_int_equal(other->status, UNIMPLEMENTED);
    assert_int_equal(other->code, SP_ERR_NO_TOOL);
    assert_int_equal(sp_session_delete(sessions, "a", NULL), 0);
    assert_int_equal(done("own", "a", NULL)->code, SP_ERR_NO_TOOL);
    while (atomic_load(&gone) < 1) {
        (void)sp_pit_dispatch(pit, 1, NULL);
    }
}

static void arguments_are_checked_before_the_function(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "strict",
                       .fn = give_back,
                       .input_schema = "{\"type\":\"object\",\"properties\":{\"n\":"
                                       "{\"type\":\"integer\",\"minimum\":1}},"
                                       "\"required\":[\"n\"],"
                                       "\"additionalProperties\":false}"});
    struct asked *asked = done("strict", NULL, "{\"n\":0}");
    assert_int_equal(asked->status, INVALID);
    assert_int_equal(asked->code, SP_ERR_BAD_ARGS);
    assert_string_equal(asked->message,
                        "host tool strict: argument n must be at least 1, got 0");
    assert_string_equal(asked->executed, "no");
    assert_int_equal(done("strict", NULL, "{}")->code, SP_ERR_BAD_ARGS);
    assert_int_equal(done("strict", NULL, "{\"n\":1,\"m\":1}")->code, SP_ERR_BAD_ARGS);
    assert_int_equal(atomic_load(&runs), 0);
    assert_int_equal(done("strict", NULL, "{\"n\":1}")->status, OK);
    assert_int_equal(atomic_load(&runs), 1);
}

static struct asked *done_elixir(const char *tool, const char *args)
{
    struct proto_host_tool_call message = {
        .session_id = "", .tool_name = tool, .args_json = args};
    struct sp_buffer out;
    sp__buf_init(&out, 4096);
    assert_int_equal(sp__proto_put_host_tool_call(&out, &message, NULL), 0);
    struct asked *asked =
        caller_ask(caller, &(struct wish){.path = SP__PATH_EXECUTE_ELIXIR_TOOL,
                                          .raw = out.data,
                                          .raw_size = out.size});
    sp__buf_fini(&out);
    return finish(asked);
}

static void the_originals_call_answers_as_the_original(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "back", .fn = give_back});
    add((sp_host_tool){.name = "sad", .fn = refuse});
    struct asked *asked = done_elixir("back", "{\"x\":1}");
    assert_int_equal(asked->status, OK);
    assert_string_equal(asked->json, "{\"x\":1}");
    /* success=false is no failure of the rpc. */
    assert_int_equal(done_elixir("sad", "{}")->status, OK);
    assert_int_equal(done_elixir("nobody", "{}")->status, OK);
    /* The same by the other method is one, whole. */
    asked = done("sad", NULL, NULL);
    assert_int_equal(asked->code, SP_ERR_CONFLICT);
    assert_string_equal(asked->message, "somebody was faster");
    assert_string_equal(asked->executed, "yes");
}

static void a_result_that_is_no_json_is_told_to_both(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "bad", .fn = give_bad});
    struct asked *asked = done("bad", NULL, NULL);
    assert_int_equal(asked->code, SP_ERR_BAD_JSON);
    assert_has(asked->message, "the result of host tool bad");
}

/* ---- which thread ---- */

struct holder {
    sp_error error;
    int rc;
    pthread_t thread;
    char args[64];
};

static void *nap_in_a_worker(void *arg)
{
    struct holder *holder = arg;
    sp_result result = {0};
    holder->rc =
        sp_execute(pit, "nap", sp_text(holder->args), NULL, &result, &holder->error);
    sp_result_clear(&result);
    return NULL;
}

/* Nobody dispatches: a thread that waits for a call of its own is woken for it, and goes
 * on waiting. */
static void a_waiting_thread_runs_it(void **state)
{
    struct holder holder = {.args = "{\"ms\":600}"};
    open_pit();
    add((sp_host_tool){.name = "back", .fn = give_back});
    assert_int_equal(pthread_create(&holder.thread, NULL, nap_in_a_worker, &holder), 0);
    UNTIL(stats_of(pit).busy == 1);
    for (int i = 0; i < 3; i++) {
        struct asked *asked = ask("back", NULL, "{}");
        caller_await(caller, asked);
        assert_int_equal(asked->status, OK);
        assert_true(pthread_equal(ran_on, holder.thread));
    }
    assert_int_equal(pthread_join(holder.thread, NULL), 0);
    assert_int_equal(holder.rc, 0);
    assert_int_equal(atomic_load(&runs), 3);
    sp_error_clear(&holder.error);
}

/* ---- tools that come when threads wait already ---- */

enum { WAITERS = 3, ROUNDS = 60 };

static pthread_barrier_t all_here;

/* Runs on as many threads as there are waiters, at once, or not at all. */
static void meet(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    atomic_fetch_add(&runs, 1);
    (void)pthread_barrier_wait(&all_here);
    (void)sp_tool_call_reply(call, args_json, (sp_bytes){0}, NULL);
}

static void *wait_in_execute(void *arg)
{
    sp_result result = {0};
    int rc = sp_execute(pit, "echo", sp_text("{}"), NULL, &result, NULL);
    sp_result_clear(&result);
    return rc == 0 ? arg : NULL;
}

static void *wait_for_a_call(void *arg)
{
    sp_result result = {0};
    int rc = sp_call_wait(pit, *(sp_id *)arg, &result, NULL);
    sp_result_clear(&result);
    return rc == 0 ? arg : NULL;
}

static void *wait_for_a_chunk(void *arg)
{
    sp_stream *stream;
    sp_chunk chunk;
    int chunks = 0;
    if (sp_stream_open(pit, "count", sp_text("{\"n\":2}"), NULL, &stream, NULL) != 0) {
        return NULL;
    }
    while (sp_stream_next(stream, &chunk, NULL) == 1) {
        chunks++;
    }
    sp_stream_close(stream);
    return chunks == 2 ? arg : NULL;
}

/* The only worker is held: whatever else is asked of it waits. */
static sp_id occupy(void)
{
    char args[400];
    open_pit();
    sp_id held = call_start(pit, "end", hold_args("h", args, sizeof args), NULL);
    hold_await("h");
    return held;
}

static void release(sp_id held)
{
    hold_release("h");
    (void)call_wait_fails(pit, held, SP_ERR_WORKER_DIED);
}

/* Each of three threads waits for something else of the pit's, and none of them has heard
 * of a tool. */
static void a_later_tool_finds_all_who_wait(void **state)
{
    struct asked *asked[WAITERS];
    pthread_t threads[WAITERS];
    void *(*const ways[WAITERS])(void *arg) = {wait_in_execute, wait_for_a_call,
                                               wait_for_a_chunk};
    sp_id held = occupy();
    sp_id id = call_start(pit, "echo", "{}", NULL);
    for (int i = 0; i < WAITERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ways[i], &id), 0);
    }
    UNTIL(stats_of(pit).queued == WAITERS);
    assert_int_equal(pthread_barrier_init(&all_here, NULL, WAITERS), 0);
    add((sp_host_tool){.name = "meet", .fn = meet});
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < WAITERS; i++) {
            asked[i] = ask("meet", NULL, "{}");
        }
        for (int i = 0; i < WAITERS; i++) {
            caller_await(caller, asked[i]);
            assert_int_equal(asked[i]->status, OK);
        }
    }
    assert_int_equal(atomic_load(&runs), 10 * WAITERS);
    release(held);
    for (int i = 0; i < WAITERS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, &id);
    }
    (void)pthread_barrier_destroy(&all_here);
}

struct newcomer {
    pthread_t thread;
    atomic_ullong id;
};

static void *start_and_wait(void *arg)
{
    struct newcomer *newcomer = arg;
    sp_result result = {0};
    sp_id id = 0;
    if (sp_call_start(pit, "echo", sp_text("{}"), NULL, NULL, NULL, &id, NULL) == 0) {
        atomic_store(&newcomer->id, id);
        (void)sp_call_wait(pit, id, &result, NULL);
    }
    sp_result_clear(&result);
    return NULL;
}

/* Asked at the very moment at which a thread begins to wait, before or after the pit has
 * heard of its call: that thread is the only one there is. */
static void work_and_a_waiter_that_come_together_meet(void **state)
{
    sp_id held = occupy();
    add((sp_host_tool){.name = "back", .fn = give_back});
    for (int round = 0; round < ROUNDS; round++) {
        struct newcomer newcomer = {.id = 0};
        struct asked *asked = NULL;
        if (round % 2 == 0) {
            asked = ask("back", NULL, "{}");
            (void)caller_turn(caller, 0);
        }
        assert_int_equal(
            pthread_create(&newcomer.thread, NULL, start_and_wait, &newcomer), 0);
        if (asked == NULL) {
            asked = ask("back", NULL, "{}");
        }
        caller_await(caller, asked);
        assert_int_equal(asked->status, OK);
        assert_true(pthread_equal(ran_on, newcomer.thread));
        UNTIL(atomic_load(&newcomer.id) != 0);
        assert_int_equal(sp_call_cancel(pit, atomic_load(&newcomer.id), NULL), 0);
        assert_int_equal(pthread_join(newcomer.thread, NULL), 0);
    }
    assert_int_equal(atomic_load(&runs), ROUNDS);
    release(held);
}

static void a_tool_for_any_thread_needs_none_of_the_programs(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "back", .fn = give_back, .flags = SP_TOOL_ANY_THREAD});
    struct asked *asked = ask("back", NULL, "{}");
    caller_await(caller, asked);
    assert_int_equal(asked->status, OK);
    assert_false(pthread_equal(ran_on, pthread_self()));
    /* Who dispatches may run it as well. */
    assert_int_equal(done("back", NULL, "{}")->status, OK);
    assert_int_equal(atomic_load(&runs), 2);
}

/* It occupies its thread and nothing else. */
static void a_slow_tool_holds_up_nobody(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "slow", .fn = keep});
    struct asked *slow = ask("slow", NULL, NULL);
    await_kept();
    for (int i = 0; i < 20; i++) {
        struct asked *asked = ask("echo", NULL, "{\"y\":1}");
        caller_await(caller, asked);
        assert_int_equal(asked->status, OK);
        assert_false(slow->ended);
    }
    assert_int_equal(
        sp_tool_call_reply(atomic_load(&kept), (sp_bytes){0}, (sp_bytes){0}, NULL), 0);
    assert_string_equal(finish(slow)->json, "null");
}

static void *answer_later(void *arg)
{
    sp_error err = {0};
    int rc = sp_tool_call_reply(atomic_load(&kept), sp_text("\"late\""), (sp_bytes){0},
                                &err);
    sp_error_clear(&err);
    return rc == 0 ? arg : NULL;
}

static void another_thread_may_answer(void **state)
{
    pthread_t thread;
    void *result;
    open_pit();
    add((sp_host_tool){.name = "later", .fn = keep});
    struct asked *asked = ask("later", NULL, NULL);
    await_kept();
    assert_int_equal(pthread_create(&thread, NULL, answer_later, &runs), 0);
    assert_string_equal(finish(asked)->json, "\"late\"");
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &runs);
}

/* ---- how it ends ---- */

static void what_is_never_answered_ends_with_its_time(void **state)
{
    sp_error err = {0};
    open_pit();
    add((sp_host_tool){.name = "later", .fn = keep});
    struct asked *asked =
        caller_ask(caller, &(struct wish){.tool = "later", .timeout_ms = 150});
    await_kept();
    sp_tool_call *call = atomic_load(&kept);
    assert_true(sp_tool_call_remaining_ms(call) <= 150);
    finish(asked);
    assert_int_equal(asked->status, DEADLINE);
    UNTIL(sp_tool_call_is_over(call));
    assert_int_equal(sp_tool_call_reply(call, sp_text("1"), (sp_bytes){0}, &err),
                     SP_ERR_CANCELLED);
    assert_string_equal(err.message, "nobody waits for the answer of later any more");
    sp_error_clear(&err);
}

static void a_caller_that_goes_is_noticed(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "later", .fn = keep});
    struct asked *asked = ask("later", NULL, NULL);
    await_kept();
    sp_tool_call *call = atomic_load(&kept);
    assert_false(sp_tool_call_is_over(call));
    caller_reset(caller, asked);
    while (!sp_tool_call_is_over(call)) {
        (void)caller_turn(caller, 1);
    }
    sp_tool_call_fail(call, NULL);
}

static void what_has_not_begun_never_does(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "back", .fn = give_back});
    struct asked *asked =
        caller_ask(caller, &(struct wish){.tool = "back", .timeout_ms = 60});
    caller_await(caller, asked); /* nobody dispatches */
    assert_int_equal(asked->status, DEADLINE);
    (void)sp_pit_dispatch(pit, 0, NULL);
    assert_int_equal(atomic_load(&runs), 0);
}

static void a_tool_that_is_gone_is_told_when_its_last_call_ends(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "later", .fn = keep});
    struct asked *asked = ask("later", NULL, NULL);
    await_kept();
    assert_int_equal(sp_tool_unregister(pit, NULL, "later", NULL), 0);
    assert_int_equal(sp_tool_unregister(pit, NULL, "later", NULL), SP_ERR_NOT_FOUND);
    assert_int_equal(done("later", NULL, NULL)->code, SP_ERR_NO_TOOL);
    (void)sp_pit_dispatch(pit, 0, NULL);
    assert_int_equal(atomic_load(&gone), 0);
    (void)sp_tool_call_reply(atomic_load(&kept), sp_text("1"), (sp_bytes){0}, NULL);
    assert_string_equal(finish(asked)->json, "1");
    while (atomic_load(&gone) < 1) {
        (void)sp_pit_dispatch(pit, 1, NULL);
    }
}

static void an_answer_after_the_pit_meets_nobody(void **state)
{
    sp_error err = {0};
    open_pit();
    add((sp_host_tool){.name = "later", .fn = keep});
    (void)ask("later", NULL, NULL);
    await_kept();
    (void)ask("later", NULL, NULL); /* and one that nobody will run */
    (void)caller_turn(caller, 1);
    sp_tool_call *call = atomic_load(&kept);
    pit_close(pit);
    assert_true(sp_tool_call_is_over(call));
    assert_int_equal(atomic_load(&gone), 0);
    assert_int_equal(sp_tool_call_reply(call, sp_text("1"), (sp_bytes){0}, &err),
                     SP_ERR_CANCELLED);
    assert_int_equal(atomic_load(&gone), 1);
    sp_error_clear(&err);
}

/* What it keeps of them is released: the teardown counts. */
static void a_tool_may_answer_bytes(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "bytes", .fn = give_bytes});
    struct asked *asked = done("bytes", NULL, "{\"x\":1}");
    assert_int_equal(asked->status, OK);
    assert_string_equal(asked->json, "{\"x\":1}");
    assert_true(asked->bytes > 1000);
}

/* ---- streams ---- */

static void count_to_three(sp_tool_call *call, sp_bytes args_json, void *user_data)
{
    char text[8];
    for (int i = 1; i <= 3; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        assert_int_equal(
            sp_tool_call_chunk(call, sp_text(text), (sp_bytes){0}, SP_UNLIMITED, NULL),
            0);
    }
    assert_int_equal(sp_tool_call_reply(call, (sp_bytes){0}, (sp_bytes){0}, NULL), 0);
}

static struct asked *open_stream(const char *tool, int hold)
{
    return caller_ask(
        caller, &(struct wish){.path = SP__PATH_STREAM, .tool = tool, .hold = hold});
}

static void a_streaming_tool_answers_chunks(void **state)
{
    open_pit();
    add((sp_host_tool){
        .name = "count3", .fn = count_to_three, .flags = SP_TOOL_STREAMING});
    add((sp_host_tool){.name = "back", .fn = give_back});
    struct asked *asked = finish(open_stream("count3", 0));
    assert_int_equal(asked->status, OK);
    assert_int_equal(asked->messages, 4);
    assert_true(asked->has_final);
    assert_string_equal(asked->last, "3");
    asked = done("count3", NULL, NULL);
    assert_int_equal(asked->code, SP_ERR_BAD_ARGS);
    assert_string_equal(asked->message,
                        "host tool \"count3\" answers a stream: open it as one");
    asked = finish(open_stream("back", 0)); /* one chunk, for who asks for a stream */
    assert_int_equal(asked->messages, 2);
    assert_string_equal(asked->last, "{}");
    assert_true(asked->has_final);
}

static int chunk(const char *fill, uint64_t timeout_ms)
{
    return sp_tool_call_chunk(atomic_load(&kept), sp_text(fill), (sp_bytes){0},
                              timeout_ms, NULL);
}

static void a_slow_reader_slows_the_tool(void **state)
{
    enum { CHUNK = 64 * 1024 };
    static char fill[CHUNK + 3];
    memset(fill, 'x', CHUNK + 2);
    fill[0] = '"';
    fill[CHUNK + 1] = '"';
    size_t sent = 0;
    open_pit();
    add((sp_host_tool){.name = "much", .fn = keep, .flags = SP_TOOL_STREAMING});
    struct asked *asked = open_stream("much", 1);
    await_kept();
    int rc;
    while ((rc = chunk(fill, 50)) == 0) {
        sent++;
        (void)caller_turn(caller, 0);
        assert_true(sent < 100);
    }
    assert_int_equal(rc, SP_ERR_TIMEOUT);
    size_t stalled = sent;
    for (; sent < 4 * stalled; sent += rc == 0) {
        rc = chunk(fill, 0);
        assert_true(rc == 0 || rc == SP_ERR_TIMEOUT);
        (void)caller_turn(caller, rc == 0 ? 0 : 1);
        caller_take(caller, asked, CHUNK);
    }
    (void)sp_tool_call_reply(atomic_load(&kept), (sp_bytes){0}, (sp_bytes){0}, NULL);
    while (!asked->ended) {
        (void)caller_turn(caller, 1);
        caller_take(caller, asked, CHUNK);
    }
    assert_int_equal(asked->status, OK);
    assert_int_equal(asked->messages, sent + 1);
}

static void a_reader_that_goes_ends_a_blocked_tool(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "much", .fn = keep, .flags = SP_TOOL_STREAMING});
    struct asked *asked = open_stream("much", 1);
    await_kept();
    assert_int_equal(chunk("1", 0), 0);
    caller_reset(caller, asked);
    while (!sp_tool_call_is_over(atomic_load(&kept))) {
        (void)caller_turn(caller, 1);
    }
    assert_int_equal(chunk("2", SP_UNLIMITED), SP_ERR_CANCELLED);
    sp_tool_call_fail(atomic_load(&kept), NULL);
}

static void a_stream_may_fail_behind_its_chunks(void **state)
{
    open_pit();
    add((sp_host_tool){.name = "much", .fn = keep, .flags = SP_TOOL_STREAMING});
    struct asked *asked = open_stream("much", 0);
    await_kept();
    assert_int_equal(chunk("1", 0), 0);
    sp_error failure = {0};
    sp_error_set(&failure, SP_ERR_QUOTA, "no more");
    sp_tool_call_fail(atomic_load(&kept), &failure);
    sp_error_clear(&failure);
    finish(asked);
    assert_int_equal(asked->code, SP_ERR_QUOTA);
    assert_string_equal(asked->last, "1");
    assert_false(asked->has_final);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_calls_a_host_tool),
        TEST(calls_of_host_tools_are_counted),
        TEST(a_session_has_tools_of_its_own),
        TEST(arguments_are_checked_before_the_function),
        TEST(the_originals_call_answers_as_the_original),
        TEST(a_result_that_is_no_json_is_told_to_both),
        TEST(a_waiting_thread_runs_it),
        TEST(a_later_tool_finds_all_who_wait),
        TEST(work_and_a_waiter_that_come_together_meet),
        TEST(a_tool_for_any_thread_needs_none_of_the_programs),
        TEST(a_slow_tool_holds_up_nobody),
        TEST(another_thread_may_answer),
        TEST(what_is_never_answered_ends_with_its_time),
        TEST(a_caller_that_goes_is_noticed),
        TEST(what_has_not_begun_never_does),
        TEST(a_tool_that_is_gone_is_told_when_its_last_call_ends),
        TEST(an_answer_after_the_pit_meets_nobody),
        TEST(a_tool_may_answer_bytes),
        TEST(a_streaming_tool_answers_chunks),
        TEST(a_slow_reader_slows_the_tool),
        TEST(a_reader_that_goes_ends_a_blocked_tool),
        TEST(a_stream_may_fail_behind_its_chunks),
    };
    return RUN_SYSTEM_TESTS("tools", tests);
}
