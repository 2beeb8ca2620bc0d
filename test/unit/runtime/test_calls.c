/* SPDX-License-Identifier: MIT */
/* Calls: answers, failures, refusals, the page, announcing and stopping. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "leak.h"
#include "processor.h"
#include "rig.h"
#include "runtime/runtime.h"

static void a_call_is_answered(void **state)
{
    struct rig *rig = rig_open(NULL);
    char text[64];
    struct peer_call *call = peer_execute(rig->peer, "add", "[2,3]");
    peer_finish(rig->peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), "5");
    call_free(call);
    rig_close(rig);
}

static void a_thousand_calls_in_one_batch_are_answered_in_order(void **state)
{
    enum { CALLS = 1000 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *calls[CALLS];
    for (int i = 0; i < CALLS; i++) {
        char args[64];
        (void)snprintf(args, sizeof args, "[%d,1]", i);
        calls[i] = peer_execute(rig->peer, "add", args);
    }
    for (int i = 0; i < CALLS; i++) {
        char text[64];
        char want[64];
        peer_finish(rig->peer, calls[i]);
        (void)snprintf(want, sizeof want, "%d", i + 1);
        assert_string_equal(peer_result(calls[i], text, sizeof text), want);
        call_free(calls[i]);
    }
    assert_int_equal(atomic_load(&rig->ran), CALLS);
    rig_close(rig);
}

static void a_large_argument_comes_back_whole(void **state)
{
    enum { SIZE = 8 << 20 };
    struct rig *rig = rig_open(NULL);
    char *args = malloc(SIZE + 1);
    memset(args, 'x', SIZE);
    memcpy(args, "[\"", 2);
    memcpy(args + SIZE - 2, "\"]", 3);
    struct peer_call *call = peer_execute(rig->peer, "echo", args);
    peer_finish(rig->peer, call);
    char *text = malloc(SIZE + 1);
    assert_string_equal(peer_result(call, text, SIZE + 1), args);
    free(text);
    free(args);
    call_free(call);
    rig_close(rig);
}

static void a_job_knows_its_request(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct proto_pair binary = {sp_text("blob"), {"\0\1\2", 3}};
    struct proto_pair metadata = {sp_text("key"), sp_text("value")};
    struct proto_request request = {.session_id = sp_text("me"),
                                    .tool_name = sp_text("inspect"),
                                    .binary = &binary,
                                    .binary_count = 1,
                                    .metadata = &metadata,
                                    .metadata_count = 1};
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    assert_int_equal(sp__proto_put_request(&out, &request, 0, NULL), 0);
    struct peer_call *call = call_new();
    assert_int_equal(sp__h2_open(rig->peer->h2, SP__PATH_EXECUTE, 60000, NULL, 0,
                                 (sp_bytes){out.data, out.size}, 1, call, &call->stream,
                                 NULL),
                     0);
    sp__buf_fini(&out);
    peer_finish(rig->peer, call);
    struct proto_response response;
    char text[128];
    assert_string_equal(peer_result(call, text, sizeof text),
                        "\"me blob 3 key=value 1\"");
    assert_int_equal(
        sp__proto_get_response(call->last.data, call->last.size, &response, NULL), 0);
    assert_int_equal(response.binary_result.size, 3);
    assert_int_equal(response.result_type.size, strlen("string")); /* as the JSON is */
    assert_memory_equal(response.result_type.data, "string", strlen("string"));
    call_free(call);
    rig_close(rig);
}

static void a_result_is_called_what_its_json_is(void **state)
{
    static const struct {
        const char *tool;
        const char *args;
        const char *type;
    } rows[] = {
        {"add", "[1,2]", "integer"},
        {"echo", "[1.5]", "list"},
        {"echo", "{\"__tensor__\":1}", "map"}, /* without its bytes it is none */
        {"array", "{}", "tensor"}};
    struct rig *rig = rig_open(NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct peer_call *call = peer_execute(rig->peer, rows[i].tool, rows[i].args);
        struct proto_response response;
        peer_finish(rig->peer, call);
        assert_int_equal(
            sp__proto_get_response(call->last.data, call->last.size, &response, NULL),
            0);
        assert_int_equal(response.result_type.size, strlen(rows[i].type));
        assert_memory_equal(response.result_type.data, rows[i].type,
                            strlen(rows[i].type));
        call_free(call);
    }
    rig_close(rig);
}

static void an_answer_does_not_wait_for_the_job_behind_it(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    struct peer_call *quick = peer_execute(rig->peer, "add", "[1,1]");
    struct peer_call *slow = peer_execute(rig->peer, "wait", "{}");
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    peer_finish(rig->peer, quick); /* answered before, written while `slow` runs */
    assert_int_equal(slow->done, 0);
    rig_allow(rig, 1);
    peer_finish(rig->peer, slow);
    call_free(busy);
    call_free(quick);
    call_free(slow);
    rig_close(rig);
}

static void a_host_that_sleeps_gets_the_answers_in_parts(void **state)
{
    (void)state;
    assert_int_equal(sp__answers_to_gather(1, 32), 32 / FLUSH_PARTS);
    assert_int_equal(sp__answers_to_gather(1, 1), FLUSH_JOBS_MIN);
    assert_int_equal(sp__answers_to_gather(1, 1000), FLUSH_JOBS);
    assert_int_equal(sp__answers_to_gather(0, 1), FLUSH_JOBS); /* this one is busy */
    assert_int_equal(sp__answers_to_gather(0, 1000), FLUSH_JOBS);
}

/* So many calls in one write, so many times. */
static void call_together(struct rig *rig, int count, int times)
{
    enum { MAX = 64 };
    struct peer_call *calls[MAX];
    assert_true(count <= MAX);
    while (times-- > 0) {
        rig->peer->gathers = 1;
        for (int i = 0; i < count; i++) {
            calls[i] = peer_execute(rig->peer, "add", "[2,3]");
        }
        rig->peer->gathers = 0;
        for (int i = 0; i < count; i++) {
            peer_finish(rig->peer, calls[i]);
            call_free(calls[i]);
        }
    }
}

/* The worker may not go: what is seen is that it wants to. */
static void many_calls_from_the_same_processor_are_one_to_leave(void **state)
{
    enum { TIMES = 20 };
    struct rig *rig = rig_open(NULL);
    const struct apart *apart = &rig->worker->apart;
    uint32_t here = processor_bind(rig->thread[0]);
    atomic_store(&rig->page->host_cpu, here + 1);
    call_together(rig, APART_CALLS / 2, TIMES); /* few */
    assert_int_equal(apart->again_ms, 0);
    atomic_store(&rig->page->host_cpu, here + 2);
    call_together(rig, 2 * APART_CALLS, TIMES); /* from another one */
    assert_int_equal(apart->again_ms, 0);
    atomic_store(&rig->page->host_cpu, here + 1);
    call_together(rig, 2 * APART_CALLS, TIMES);
    assert_true(apart->again_ms > 0);
    rig_close(rig);
}

static void set_quick(struct rig *rig, uint32_t quick)
{
    sp__runtime_lock(rig->worker);
    rig->worker->quick = quick;
    sp__runtime_unlock(rig->worker);
}

static uint32_t quick_of(struct rig *rig)
{
    sp__runtime_lock(rig->worker);
    uint32_t quick = rig->worker->quick;
    sp__runtime_unlock(rig->worker);
    return quick;
}

/* After so many quick ones, a call that takes longer than they do: 1 when the host has been
 * told to wake up before it ends. */
static int rouses(struct rig *rig, uint32_t quick)
{
    struct pollfd polled = {.fd = rig->peer->duplex.fds.in, .events = POLLIN};
    peer_hear_out(rig->peer);
    set_quick(rig, quick);
    struct peer_call *call = peer_execute(rig->peer, "wait", "[]");
    rig_await_begun(rig, 1);
    uint64_t begun_us = sp__now_us();
    int has_news = poll(&polled, 1, 0);
    while (sp__now_us() <= begun_us + QUICK_US) {
    }
    rig_allow(rig, 1);
    peer_finish(rig->peer, call);
    call_free(call);
    return has_news;
}

static void a_host_that_sleeps_elsewhere_is_woken_before_a_quick_answer(void **state)
{
    enum { TIMES = 1000, SOME = 20 };
    struct rig *rig = rig_open(NULL);
    uint32_t here = processor_bind(rig->thread[0]);
    atomic_store(&rig->page->host_cpu, here + 2);
    for (int i = 0; i < SOME; i++) { /* its like may take long */
        assert_int_equal(rouses(rig, QUICK_JOBS - 1), 0);
    }
    int is_roused = 0;
    for (int i = 0; i < TIMES && !is_roused; i++) { /* the worker has to sleep, too */
        is_roused = rouses(rig, QUICK_JOBS);
    }
    assert_int_equal(is_roused, sp__duplex_is_piped(&rig->peer->duplex.fds));
    atomic_store(&rig->page->host_cpu, here + 1);
    for (int i = 0; i < SOME; i++) { /* it would only be in the way */
        assert_int_equal(rouses(rig, QUICK_JOBS), 0);
    }
    rig_close(rig);
}

static void one_that_takes_longer_ends_the_quick_ones(void **state)
{
    struct rig *rig = rig_open(NULL);
    (void)rouses(rig, QUICK_JOBS);
    assert_int_equal(quick_of(rig), 0);
    rig_close(rig);
}

static void an_exception_is_an_answer_with_its_text(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "raise", "{}");
    struct proto_response response;
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 0);
    assert_int_equal(
        sp__proto_get_response(call->last.data, call->last.size, &response, NULL), 0);
    assert_int_equal(response.success, 0);
    sp_error err = {0};
    sp__proto_get_error_text(response.error_message, &err);
    assert_int_equal(err.code, SP_ERR_REMOTE);
    assert_string_equal(err.remote_type, "ValueError");
    assert_string_equal(err.remote_message, "no \"good\"");
    assert_non_null(strstr(err.remote_trace, "line 1"));
    sp_error_clear(&err);
    call_free(call);
    rig_close(rig);
}

static void a_failure_that_is_no_exception_is_a_status(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "add", "[\"x\"]");
    sp_error err = {0};
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 3);
    assert_int_equal(
        sp__proto_get_failure(call->details.data, call->details.size, &err), 1);
    assert_int_equal(err.code, SP_ERR_BAD_ARGS);
    assert_int_equal(err.executed, SP_EXECUTED_NO);
    sp_error_clear(&err);
    call_free(call);

    call = peer_execute(rig->peer, "mute", "{}");
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 0);
    call_free(call);
    rig_close(rig);
}

static void an_unknown_tool_is_refused_with_near_names(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ecko", "{}");
    sp_error err = {0};
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 12);
    assert_non_null(strstr(call->message, "no tool 'ecko'"));
    assert_non_null(strstr(call->message, "'echo'"));
    assert_int_equal(
        sp__proto_get_failure(call->details.data, call->details.size, &err), 1);
    assert_int_equal(err.code, SP_ERR_NO_TOOL);
    assert_int_equal(err.executed, SP_EXECUTED_NO);
    assert_int_equal(atomic_load(&rig->ran), 0);
    sp_error_clear(&err);
    call_free(call);
    rig_close(rig);
}

static void accept_any_hands_unknown_tools_to_the_binding(void **state)
{
    struct rig *rig = rig_new(NULL);
    sp_worker_accept_any(rig->worker);
    rig_start(rig);
    assert_int_equal(rig->host->announce.accepts_any, 1);
    struct peer_call *call = peer_stream(rig->peer, "statistics.fmean", "[2]", 0);
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 0);
    call_free(call);
    rig_close(rig);
}

static void the_page_shows_what_has_begun(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *first = peer_execute(rig->peer, "wait", "{}");
    struct peer_call *second = peer_execute(rig->peer, "add", "[1,1]");
    rig_await_begun(rig, 1);
    assert_int_equal(atomic_load(&rig->page->started), first->id);
    assert_int_equal(atomic_load(&rig->page->running[0]), first->id);
    assert_true(second->id > first->id);
    rig_allow(rig, 1);
    peer_finish(rig->peer, second);
    assert_int_equal(atomic_load(&rig->page->started), second->id);
    peer_finish(rig->peer, first);
    call_free(first);
    call_free(second);
    rig_close(rig);
}

/* Without what it waited for, in its worker and on its way. */
static void the_page_says_what_a_call_took(void **state)
{
    uint64_t first_us;
    uint64_t second_us;
    struct rig *rig = rig_open(NULL);
    struct peer_call *first = peer_execute(rig->peer, "wait", "{}");
    struct peer_call *second = peer_execute(rig->peer, "add", "[1,1]");
    rig_await_begun(rig, 1);
    uint64_t runs_us = sp__now_us();
    uint64_t goes_on_us;
    do {
        goes_on_us = sp__now_us();
    } while (goes_on_us - runs_us < 2000);
    rig_allow(rig, 1);
    peer_finish(rig->peer, first);
    peer_finish(rig->peer, second);
    uint64_t over_us = sp__now_us();
    assert_int_equal(sp__page_get_time(rig->page, first->id, &first_us), 1);
    assert_int_equal(sp__page_get_time(rig->page, second->id, &second_us), 1);
    assert_true(first_us >= goes_on_us - runs_us);
    assert_true(second_us <= over_us - goes_on_us);
    call_free(first);
    call_free(second);
    rig_close(rig);
}

/* The word of the host's giving it up comes through the page, before the reset does. */
static void what_the_host_gave_up_is_not_begun(void **state)
{
    uint32_t place = 0;
    struct rig *rig = rig_open(NULL);
    struct peer_call *first = peer_execute(rig->peer, "wait", "{}");
    struct peer_call *second = peer_execute(rig->peer, "wait", "{}");
    struct peer_call *third = peer_execute(rig->peer, "add", "[1,1]");
    rig_await_begun(rig, 1);
    assert_int_equal(sp__page_revoke(rig->page, &place, first->id), 0);
    assert_int_equal(sp__page_revoke(rig->page, &place, second->id), 1);
    rig_allow(rig, 1);
    peer_finish(rig->peer, third);
    assert_int_equal(third->status, 0);
    peer_finish(rig->peer, second);
    assert_int_equal(second->messages, 0);
    peer_finish(rig->peer, first);
    struct pollfd begun = {.fd = rig->begun, .events = POLLIN};
    assert_int_equal(poll(&begun, 1, 0), 0); /* no other tool ran */
    call_free(first);
    call_free(second);
    call_free(third);
    rig_close(rig);
}

static void the_announcement_lists_the_tools(void **state)
{
    struct rig *rig = rig_open(&(sp_worker_options){.runtime = "test 1", .name = "w7"});
    const struct proto_announce *a = &rig->host->announce;
    assert_int_equal(a->protocol_version, SP__PROTOCOL_VERSION);
    assert_string_equal(a->worker_id, "w7");
    assert_string_equal(a->runtime, "test 1");
    assert_int_equal(a->pid, getpid());
    assert_int_equal(a->capacity, 1);
    assert_int_equal(a->failed, 0);
    assert_int_equal(a->tools_count, 23);
    assert_string_equal(a->tools[0].name, "add");
    assert_int_equal(a->tools[0].params_count, 2);
    assert_string_equal(a->tools[0].params[0].type, "int");
    assert_null(a->tools[0].params[0].default_json);
    assert_string_equal(a->tools[0].params[1].type, "any");
    assert_string_equal(a->tools[0].params[1].default_json, "1");
    assert_int_equal(a->tools[5].streaming, 1);
    rig_close(rig);
}

static void *announce_alone(void *arg)
{
    struct rig *rig = arg;
    sp_error err = {0};
    int rc = sp_worker_announce(rig->worker, &err);
    atomic_store(&rig->next_rc, rc);
    if (rc == SP_ERR_PROTOCOL && strstr(err.message, "no room") == NULL) {
        atomic_fetch_add(&rig->bad, 1);
    }
    sp_error_clear(&err);
    return NULL;
}

static void a_refused_announcement_says_why(void **state)
{
    struct rig *rig = rig_new(NULL);
    rig->host->refuse = 1;
    assert_int_equal(pthread_create(&rig->thread[0], NULL, announce_alone, rig), 0);
    PEER_UNTIL(rig->host, atomic_load(&rig->next_rc) != 99);
    assert_int_equal(atomic_load(&rig->next_rc), SP_ERR_PROTOCOL);
    rig_close(rig);
}

/* The host may send what waited for this worker before its answer is read. */
static void a_call_before_the_hosts_answer_does_not_hold_it_up(void **state)
{
    char text[64];
    struct rig *rig = rig_new(NULL);
    struct peer_call *call = peer_execute(rig->peer, "add", "[2,3]");
    peer_turn(rig->peer, 0);
    rig_start(rig);
    peer_finish(rig->peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), "5");
    call_free(call);
    rig_close(rig);
}

static void an_announcement_ends_when_the_host_goes(void **state)
{
    struct rig *rig = rig_new(NULL);
    rig->host->mute = 1;
    assert_int_equal(pthread_create(&rig->thread[0], NULL, announce_alone, rig), 0);
    PEER_UNTIL(rig->host, rig->host->announced);
    assert_int_equal(shutdown(rig->host->duplex.fds.socket, SHUT_RDWR), 0);
    rig_join(rig);
    assert_int_equal(atomic_load(&rig->next_rc), SP_ERR_CLOSED);
    rig_close(rig);
}

static void *refuse_alone(void *arg)
{
    struct rig *rig = arg;
    sp_worker_refuse(rig->worker, 1, "ImportError", "no module named x", "a trace");
    atomic_store(&rig->next_rc, 0);
    return NULL;
}

static void a_worker_that_cannot_start_says_so(void **state)
{
    struct rig *rig = rig_new(NULL);
    assert_int_equal(pthread_create(&rig->thread[0], NULL, refuse_alone, rig), 0);
    PEER_UNTIL(rig->host, atomic_load(&rig->next_rc) != 99);
    const struct proto_announce *a = &rig->host->announce;
    assert_int_equal(a->failed, 1);
    assert_int_equal(a->permanent, 1);
    assert_string_equal(a->error_type, "ImportError");
    assert_string_equal(a->error_message, "no module named x");
    assert_string_equal(a->error_trace, "a trace");
    rig_close(rig);
}

static void a_starting_worker_answers_pings(void **state)
{
    struct rig *rig = rig_new(NULL);
    assert_int_equal(sp__h2_ping(rig->peer->h2, 7, NULL), 0);
    PEER_UNTIL(rig->peer, rig->peer->pongs == 1);
    rig_close(rig);
}

static void pings_and_ping_calls_are_answered_while_a_tool_runs(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(sp__h2_ping(rig->peer->h2, 7, NULL), 0);
        PEER_UNTIL(rig->peer, rig->peer->pongs == (uint64_t)i);
    }
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    assert_int_equal(sp__proto_put_ping(&out, "hello", NULL), 0);
    struct peer_call *ping =
        peer_open(rig->peer, SP__PATH_PING, (sp_bytes){out.data, out.size}, 1);
    sp__buf_fini(&out);
    peer_finish(rig->peer, ping);
    assert_int_equal(ping->status, 0);
    sp_bytes said;
    assert_int_equal(sp__proto_get_ping(ping->last.data, ping->last.size, &said, NULL),
                     0);
    assert_int_equal(said.size, strlen("Pong from c: hello"));
    assert_memory_equal(said.data, "Pong from c: hello", said.size);
    assert_int_equal(busy->done, 0);
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    call_free(ping);
    call_free(busy);
    rig_close(rig);
}

static void an_idle_worker_answers_pings_without_waking_its_binding(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "add", "[1,1]");
    peer_finish(rig->peer, call);
    call_free(call);
    while (atomic_load(&rig->idles) == 0) {
        peer_turn(rig->peer, 1);
    }
    int wakes = atomic_load(&rig->wakes);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(sp__h2_ping(rig->peer->h2, 7, NULL), 0);
        PEER_UNTIL(rig->peer, rig->peer->pongs == (uint64_t)i);
    }
    assert_int_equal(atomic_load(&rig->wakes), wakes);
    rig_close(rig);
}

static void an_unknown_method_is_unimplemented(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_open(
        rig->peer, "/snakepit.bridge.BridgeService/RegisterTools", (sp_bytes){0}, 1);
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 12);
    call_free(call);
    rig_close(rig);
}

static void a_call_without_a_message_is_an_error(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_open(rig->peer, SP__PATH_EXECUTE, (sp_bytes){0}, 0);
    assert_int_equal(sp__h2_half_close(call->stream, NULL), 0);
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 3);
    call_free(call);
    rig_close(rig);
}

static void calls_beyond_the_queue_are_refused_while_busy(void **state)
{
    enum { CALLS = 10, QUEUE = 4 };
    struct rig *rig = rig_open(&(sp_worker_options){.queue_max = QUEUE});
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    struct peer_call *calls[CALLS];
    rig_await_begun(rig, 1);
    for (int i = 0; i < CALLS; i++) {
        calls[i] = peer_execute(rig->peer, "add", "[1,1]");
    }
    for (int i = QUEUE; i < CALLS; i++) {
        peer_finish(rig->peer, calls[i]);
        assert_int_equal(calls[i]->refused, 1);
    }
    assert_int_equal(busy->done, 0);
    rig_allow(rig, 1);
    for (int i = 0; i < QUEUE; i++) {
        peer_finish(rig->peer, calls[i]);
        assert_int_equal(calls[i]->status, 0);
    }
    peer_finish(rig->peer, busy);
    for (int i = 0; i < CALLS; i++) {
        call_free(calls[i]);
    }
    call_free(busy);
    rig_close(rig);
}

static void stopping_ends_what_runs_and_sends_back_what_waits(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    struct peer_call *waiting = peer_execute(rig->peer, "add", "[1,1]");
    rig_await_begun(rig, 1);
    sp_worker_stop(rig->worker);
    peer_finish(rig->peer, waiting);
    assert_int_equal(waiting->refused, 1);
    PEER_UNTIL(rig->peer, rig->peer->goaway);
    assert_int_equal(busy->done, 0);
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    assert_int_equal(busy->status, 0);
    rig_join(rig);
    assert_int_equal(atomic_load(&rig->next_rc), 0);
    call_free(busy);
    call_free(waiting);
    rig_close(rig);
}

static void an_idle_worker_stops_at_once(void **state)
{
    struct rig *rig = rig_open(NULL);
    sp_worker_stop(rig->worker);
    rig_join(rig);
    assert_int_equal(atomic_load(&rig->next_rc), 0);
    rig_close(rig);
}

static void an_idle_worker_ends_when_the_host_does(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "add", "[1,1]");
    peer_finish(rig->peer, call);
    call_free(call);
    peer_hang_up(rig->peer);
    rig_join(rig);
    assert_int_equal(atomic_load(&rig->next_rc), 0);
    rig_close(rig);
}

static void several_threads_answer_and_share_the_waiting(void **state)
{
    enum { CALLS = 400, LONG = 3 };
    struct rig *rig = rig_open(&(sp_worker_options){.threads = 4});
    struct peer_call *waits[LONG];
    struct peer_call *calls[CALLS];
    for (int i = 0; i < LONG; i++) {
        waits[i] = peer_execute(rig->peer, "wait", "{}");
    }
    rig_await_begun(rig, LONG); /* three at once: parked threads were promoted */
    for (int i = 0; i < CALLS; i++) {
        calls[i] = peer_execute(rig->peer, "add", "[1,1]");
    }
    for (int i = 0; i < CALLS; i++) {
        peer_finish(rig->peer, calls[i]);
        assert_int_equal(calls[i]->status, 0);
        call_free(calls[i]);
    }
    struct peer_call *fourth = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    assert_int_equal(sp__h2_ping(rig->peer->h2, 7, NULL), 0);
    PEER_UNTIL(rig->peer, rig->peer->pongs == 1); /* all threads busy: the helper */
    rig_allow(rig, LONG + 1);
    for (int i = 0; i < LONG; i++) {
        peer_finish(rig->peer, waits[i]);
        call_free(waits[i]);
    }
    peer_finish(rig->peer, fourth);
    call_free(fourth);
    rig_close(rig);
}

static void *announce_only(void *arg)
{
    return (void *)(intptr_t)sp_worker_announce(arg, NULL);
}

static void threads_that_wait_before_the_announcement_serve_after_it(void **state)
{
    sp_worker_options options = {.threads = 2};
    struct rig *rig = rig_new(&options);
    pthread_t announcer;
    void *announced;
    char text[64];
    assert_int_equal(pthread_create(&announcer, NULL, announce_only, rig->worker), 0);
    struct pollfd asked = {.fd = rig->host->duplex.fds.socket, .events = POLLIN};
    assert_int_equal(poll(&asked, 1, (int)patience_ms(20000)), 1);
    rig_serve(rig); /* the one that announces reads for all of them */
    PEER_UNTIL(rig->peer, atomic_load(&rig->idles) == 2);
    PEER_UNTIL(rig->host, rig->host->announced);
    assert_int_equal(pthread_join(announcer, &announced), 0);
    assert_null(announced);
    struct peer_call *call = peer_execute(rig->peer, "add", "[2,3]");
    peer_finish(rig->peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), "5");
    call_free(call);
    rig_close(rig);
}

static void more_threads_than_announced_are_an_error(void **state)
{
    struct rig *rig = rig_new(&(sp_worker_options){.threads = 2});
    rig_start(rig);
    struct peer_call *calls[2];
    for (int i = 0; i < 2; i++) {
        calls[i] = peer_execute(rig->peer, "wait", "{}");
    }
    rig_await_begun(rig, 2);
    sp_job *job;
    assert_int_equal(sp_worker_next(rig->worker, &job, NULL), SP_ERR_INVAL);
    rig_allow(rig, 2);
    for (int i = 0; i < 2; i++) {
        peer_finish(rig->peer, calls[i]);
        call_free(calls[i]);
    }
    rig_close(rig);
}

static void tools_are_checked_when_registered(void **state)
{
    struct rig *rig = rig_new(NULL);
    char name[300];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    sp_tool tool = {.size = sizeof tool, .name = "add"};
    assert_int_equal(sp_worker_add_tool(rig->worker, &tool, NULL), SP_ERR_INVAL);
    tool.name = "";
    assert_int_equal(sp_worker_add_tool(rig->worker, &tool, NULL), SP_ERR_INVAL);
    tool.name = name;
    assert_int_equal(sp_worker_add_tool(rig->worker, &tool, NULL), SP_ERR_INVAL);
    name[255] = '\0';
    assert_int_equal(sp_worker_add_tool(rig->worker, &tool, NULL), 0);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_answered),
        TEST(a_thousand_calls_in_one_batch_are_answered_in_order),
        TEST(a_large_argument_comes_back_whole),
        TEST(a_job_knows_its_request),
        TEST(a_result_is_called_what_its_json_is),
        TEST(an_answer_does_not_wait_for_the_job_behind_it),
        TEST(a_host_that_sleeps_gets_the_answers_in_parts),
        TEST(many_calls_from_the_same_processor_are_one_to_leave),
        TEST(a_host_that_sleeps_elsewhere_is_woken_before_a_quick_answer),
        TEST(one_that_takes_longer_ends_the_quick_ones),
        TEST(an_exception_is_an_answer_with_its_text),
        TEST(a_failure_that_is_no_exception_is_a_status),
        TEST(an_unknown_tool_is_refused_with_near_names),
        TEST(accept_any_hands_unknown_tools_to_the_binding),
        TEST(the_page_shows_what_has_begun),
        TEST(the_page_says_what_a_call_took),
        TEST(what_the_host_gave_up_is_not_begun),
        TEST(the_announcement_lists_the_tools),
        TEST(a_refused_announcement_says_why),
        TEST(a_call_before_the_hosts_answer_does_not_hold_it_up),
        TEST(an_announcement_ends_when_the_host_goes),
        TEST(a_worker_that_cannot_start_says_so),
        TEST(a_starting_worker_answers_pings),
        TEST(pings_and_ping_calls_are_answered_while_a_tool_runs),
        TEST(an_idle_worker_answers_pings_without_waking_its_binding),
        TEST(an_unknown_method_is_unimplemented),
        TEST(a_call_without_a_message_is_an_error),
        TEST(calls_beyond_the_queue_are_refused_while_busy),
        TEST(stopping_ends_what_runs_and_sends_back_what_waits),
        TEST(an_idle_worker_stops_at_once),
        TEST(an_idle_worker_ends_when_the_host_does),
        TEST(several_threads_answer_and_share_the_waiting),
        TEST(threads_that_wait_before_the_announcement_serve_after_it),
        TEST(more_threads_than_announced_are_an_error),
        TEST(tools_are_checked_when_registered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
