/* SPDX-License-Identifier: MIT */
/* A job asks its host: what travels, every ending, and what goes on meanwhile. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "leak.h"
#include "rig.h"

static void check_result(struct rig *rig, struct peer_call *call, const char *want)
{
    char text[256];
    peer_finish(rig->peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), want);
    call_free(call);
}

static void check_answered(struct rig *rig)
{
    check_result(rig, peer_execute(rig->peer, "add", "[20,22]"), "42");
}

static void read_request(const struct peer_ask *ask, struct proto_scratch *scratch,
                         struct proto_request *ret)
{
    assert_int_equal(
        sp__proto_get_request(ask->message.data, ask->message.size, scratch, ret, NULL),
        0);
}

static void check_text(sp_bytes bytes, const char *want)
{
    assert_int_equal(bytes.size, strlen(want));
    assert_memory_equal(bytes.data, want, bytes.size);
}

/* ---- what travels ---- */

static void a_question_names_the_call_that_asks(void **state)
{
    struct rig *rig = rig_open(NULL);
    check_answered(rig);
    struct peer_call *call = peer_execute_for(rig->peer, "ask", "{\"a\":1}", 50000);
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    struct proto_scratch scratch = {0};
    struct proto_request request;
    char parent[24];
    (void)snprintf(parent, sizeof parent, "%u", call->id);
    assert_string_equal(ask->path, SP__PATH_HOST_TOOL);
    assert_string_equal(ask->parent, parent);
    assert_true(ask->timeout_ms > 0 && ask->timeout_ms <= 51000);
    read_request(ask, &scratch, &request);
    check_text(request.session_id, "s1");
    check_text(request.tool_name, "look");
    check_text(request.args_json, "{\"a\":1}");
    assert_string_equal(ask->pool, "");
    sp__proto_scratch_fini(&scratch);
    peer_answer(ask, "{\"seen\":true}");
    check_result(rig, call, "{\"seen\":true}");
    assert_int_equal(atomic_load(&rig->ask_rc), 0);
    rig_close(rig);
}

static void a_tool_of_another_worker_is_asked_for_with_its_pool(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask_worker", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    struct proto_scratch scratch = {0};
    struct proto_request request;
    assert_string_equal(ask->path, SP__PATH_EXECUTE);
    assert_int_equal(ask->timeout_ms, SP_UNLIMITED);
    read_request(ask, &scratch, &request);
    assert_string_equal(ask->pool, "others");
    assert_int_equal(request.binary_count, 1);
    check_text(request.binary[0].key, "blob");
    assert_int_equal(request.binary[0].value.size, 3);
    assert_memory_equal(request.binary[0].value.data, "\0\1\2", 3);
    sp__proto_scratch_fini(&scratch);
    peer_answer(ask, "7");
    check_result(rig, call, "7");
    rig_close(rig);
}

static void a_large_answer_comes_whole(void **state)
{
    enum { SIZE = 8 << 20 };
    struct rig *rig = rig_open(NULL);
    char *text = malloc(SIZE + 1);
    char *back = malloc(SIZE + 1);
    memset(text, '1', SIZE);
    text[SIZE] = '\0';
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    peer_answer(ask, text);
    /* Its last part may wait for room in the socket when the stream has ended. */
    PEER_UNTIL(rig->host,
               ask->stream == NULL && sp__duplex_waiting(&rig->host->duplex) == 0);
    peer_finish(rig->peer, call);
    assert_string_equal(peer_result(call, back, SIZE + 1), text);
    call_free(call);
    free(text);
    free(back);
    rig_close(rig);
}

/* ---- failures the host tells ---- */

static void an_exception_of_the_tool_is_an_error_with_its_text(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    struct proto_response response = {
        .error_message =
            sp_text("{\"type\":\"KeyError\",\"message\":\"no such key\"}")};
    assert_int_equal(sp__proto_put_response(&out, &response, NULL), 0);
    peer_say(ask, (sp_bytes){out.data, out.size});
    peer_end(ask, 0, NULL, NULL);
    sp__buf_fini(&out);
    check_result(rig, call, "\"SP-REMOTE\"");
    assert_string_equal(rig->ask_type, "KeyError");
    assert_non_null(strstr(rig->ask_error, "no such key"));
    rig_close(rig);
}

static void a_code_of_the_host_arrives_whole(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    sp_error details = {0};
    (void)sp__fail(&details, SP_ERR_CONFLICT, "'x' is at version 7, not 3");
    peer_end(ask, 10, "x", &details);
    check_result(rig, call, "\"SP-CONFLICT\"");
    assert_string_equal(rig->ask_error, "'x' is at version 7, not 3");
    rig_close(rig);
}

static void a_bare_status_has_a_code(void **state)
{
    static const struct {
        int status;
        const char *name;
    } rows[] = {{1, "\"SP-CANCELLED\""},  {3, "\"SP-INVAL\""},
                {4, "\"SP-TIMEOUT\""},    {5, "\"SP-NOT-FOUND\""},
                {8, "\"SP-QUEUE-FULL\""}, {12, "\"SP-UNSUPPORTED\""},
                {13, "\"SP-PROTOCOL\""}};
    struct rig *rig = rig_open(NULL);
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
        peer_end(peer_await_ask(rig->host, i), rows[i].status, "for a reason", NULL);
        check_result(rig, call, rows[i].name);
        assert_string_equal(rig->ask_error, "for a reason");
    }
    rig_close(rig);
}

static void an_answer_that_is_none_is_a_broken_protocol(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    peer_end(peer_await_ask(rig->host, 0), 0, NULL, NULL); /* OK without a message */
    check_result(rig, call, "\"SP-PROTOCOL\"");

    call = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 1);
    peer_say(ask, sp_text("\xff\xff")); /* no protobuf */
    peer_end(ask, 0, NULL, NULL);
    check_result(rig, call, "\"SP-PROTOCOL\"");

    call = peer_execute(rig->peer, "ask", "{}");
    ask = peer_await_ask(rig->host, 2);
    peer_say(ask, sp_text("")); /* two messages */
    peer_say(ask, sp_text(""));
    check_result(rig, call, "\"SP-PROTOCOL\"");

    call = peer_execute(rig->peer, "ask", "{}");
    ask = peer_await_ask(rig->host, 3);
    sp__h2_reset(ask->stream, 7); /* REFUSED_STREAM */
    PEER_UNTIL(rig->host, ask->stream == NULL);
    check_result(rig, call, "\"SP-QUEUE-FULL\"");
    check_answered(rig);
    rig_close(rig);
}

/* ---- endings that are not the host's answer ---- */

/* The host learns that nobody wants its answer. */
static void check_given_up(struct rig *rig, const struct peer_ask *ask)
{
    PEER_UNTIL(rig->host, ask->stream == NULL);
    assert_int_equal(ask->rst_code, 8);
}

static void a_cancelled_call_stops_asking(void **state)
{
    struct rig *rig = rig_open(NULL);
    for (uint32_t i = 0; i < 3; i++) {
        struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
        struct peer_ask *ask = peer_await_ask(rig->host, i);
        sp__h2_reset(call->stream, 8);
        PEER_UNTIL(rig->peer, call->done);
        check_given_up(rig, ask);
        check_answered(rig);
        assert_int_equal(atomic_load(&rig->ask_rc), SP_ERR_CANCELLED);
        call_free(call);
    }
    assert_int_equal(atomic_load(&rig->cancels), 0); /* the result tells it */
    rig_close(rig);
}

static void an_answer_does_not_hide_that_the_call_was_cancelled(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    struct peer_call *other = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    /* Both wait in the sockets before the worker looks: the cancellation first. */
    sp__h2_reset(call->stream, 8);
    peer_turn(rig->peer, 0);
    peer_answer(ask, "1");
    peer_answer(peer_await_ask(rig->host, 1), "2");
    check_result(rig, other, "2");
    PEER_UNTIL(rig->peer, call->done);
    call_free(call);
    rig_close(rig);
}

static void the_deadline_of_a_call_ends_its_question(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute_for(rig->peer, "ask", "{}", 60);
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    assert_true(ask->timeout_ms <= 61);
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 4);
    check_given_up(rig, ask);
    check_answered(rig);
    assert_int_equal(atomic_load(&rig->ask_rc), SP_ERR_TIMEOUT);
    call_free(call);
    rig_close(rig);
}

static void a_question_has_a_time_of_its_own(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask_for", "[40]");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    assert_true(ask->timeout_ms <= 41);
    check_result(rig, call, "\"SP-TIMEOUT\"");
    check_given_up(rig, ask);
    check_answered(rig);
    rig_close(rig);
}

static void a_host_that_hangs_up_ends_the_question(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    (void)peer_await_ask(rig->host, 0);
    (void)shutdown(rig->host->duplex.fds.socket, SHUT_RDWR);
    check_result(rig, call, "\"SP-CLOSED\"");
    check_result(rig, peer_execute(rig->peer, "ask", "{}"), "\"SP-CLOSED\"");
    check_answered(rig);
    rig_close(rig);
}

static void the_hosts_death_ends_the_question(void **state)
{
    sp_worker_options options = {.exit_grace_ms = 60000};
    struct rig *rig = rig_open(&options);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    (void)peer_await_ask(rig->host, 0);
    peer_hang_up(rig->peer);
    rig_join(rig);
    assert_int_equal(atomic_load(&rig->next_rc), 0);
    assert_int_equal(atomic_load(&rig->ask_rc), SP_ERR_CLOSED);
    call_free(call);
    rig_close(rig);
}

static void a_worker_that_stops_still_gets_its_answer(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    sp_worker_stop(rig->worker);
    PEER_UNTIL(rig->peer, rig->peer->goaway);
    peer_answer(ask, "\"late\"");
    check_result(rig, call, "\"late\"");
    rig_join(rig);
    assert_int_equal(atomic_load(&rig->next_rc), 0);
    rig_close(rig);
}

/* ---- signals ---- */

static void nothing(int signal_number)
{
}

static atomic_int heeded;
static atomic_int answer_to_signal;

static int on_signal(void *user_data)
{
    atomic_fetch_add(&heeded, 1);
    return atomic_load(&answer_to_signal);
}

/* A signal may come just before the wait: again until it was seen. */
static void disturb(struct rig *rig, int times)
{
    uint64_t until_ms = test_now_ms() + patience_ms(20000);
    int before = atomic_load(&heeded);
    while (atomic_load(&heeded) < before + times) {
        assert_true(test_now_ms() < until_ms);
        assert_int_equal(pthread_kill(rig->thread[0], SIGUSR1), 0);
        peer_turn(rig->host, 1);
    }
}

static void a_signal_is_the_bindings_to_judge(void **state)
{
    struct sigaction action = {.sa_handler = nothing};
    struct sigaction before;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    sp_worker_options options = {.on_signal = on_signal};
    struct rig *rig = rig_open(&options);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    atomic_store(&answer_to_signal, 0);
    disturb(rig, 2);
    peer_answer(ask, "1");
    check_result(rig, call, "1");

    call = peer_execute(rig->peer, "ask", "{}");
    ask = peer_await_ask(rig->host, 1);
    atomic_store(&answer_to_signal, 1);
    disturb(rig, 1);
    check_result(rig, call, "\"SP-STOPPED-BY-CALLBACK\"");
    check_given_up(rig, ask);
    check_answered(rig);
    rig_close(rig);
    (void)sigaction(SIGUSR1, &before, NULL);
}

/* ---- what goes on meanwhile ---- */

static void a_worker_that_asks_answers_pings_and_keeps_calls(void **state)
{
    sp_worker_options options = {.queue_max = 2};
    struct rig *rig = rig_open(&options);
    struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    struct peer_call *waiting[3];
    for (int i = 0; i < 3; i++) {
        waiting[i] = peer_execute(rig->peer, "add", "[1,1]");
    }
    peer_finish(rig->peer, waiting[2]); /* one too many */
    assert_int_equal(waiting[2]->refused, 1);
    assert_int_equal(sp__h2_ping(rig->peer->h2, 1, NULL), 0);
    PEER_UNTIL(rig->peer, rig->peer->pongs == 1);
    struct peer_call *health =
        peer_open(rig->peer, SP__PATH_HEALTH_CHECK, (sp_bytes){"", 0}, 1);
    peer_finish(rig->peer, health);
    assert_int_equal(health->status, 0);
    sp__h2_reset(waiting[1]->stream, 8); /* cancelled while it waits: it never runs */
    PEER_UNTIL(rig->peer, waiting[1]->done);
    assert_int_equal(waiting[0]->done, 0);
    assert_int_equal(atomic_load(&rig->ran), 1);
    peer_answer(ask, "3");
    check_result(rig, call, "3");
    check_result(rig, waiting[0], "2");
    assert_int_equal(atomic_load(&rig->ran), 2);
    call_free(waiting[1]);
    call_free(waiting[2]);
    call_free(health);
    rig_close(rig);
}

static void two_threads_ask_and_are_answered_in_the_other_order(void **state)
{
    sp_worker_options options = {.threads = 2};
    struct rig *rig = rig_open(&options);
    for (uint32_t i = 0; i < 20; i += 2) {
        struct peer_call *one = peer_execute(rig->peer, "ask", "[1]");
        struct peer_ask *first = peer_await_ask(rig->host, i);
        struct peer_call *two = peer_execute(rig->peer, "ask", "[2]");
        struct peer_ask *second = peer_await_ask(rig->host, i + 1);
        peer_answer(second, "2");
        check_result(rig, two, "2");
        assert_int_equal(one->done, 0);
        peer_answer(first, "1");
        check_result(rig, one, "1");
    }
    rig_close(rig);
}

static void a_thread_that_asks_leaves_the_calls_to_the_other(void **state)
{
    sp_worker_options options = {.threads = 2};
    struct rig *rig = rig_open(&options);
    for (uint32_t i = 0; i < 20; i++) {
        struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
        struct peer_ask *ask = peer_await_ask(rig->host, i);
        check_answered(rig);
        check_answered(rig);
        peer_answer(ask, "5");
        check_result(rig, call, "5");
    }
    rig_close(rig);
}

static void an_answer_comes_while_the_other_thread_works_long(void **state)
{
    sp_worker_options options = {.threads = 2};
    struct rig *rig = rig_open(&options);
    for (uint32_t i = 0; i < 20; i++) {
        struct peer_call *call = peer_execute(rig->peer, "ask", "{}");
        struct peer_ask *ask = peer_await_ask(rig->host, i);
        struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
        rig_await_begun(rig, 1);
        peer_answer(ask, "5");
        check_result(rig, call, "5");
        assert_int_equal(busy->done, 0);
        rig_allow(rig, 1);
        check_result(rig, busy, "true");
    }
    rig_close(rig);
}

static void a_generator_asks_between_its_chunks(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_stream(rig->peer, "told", "{}", 0);
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    PEER_UNTIL(rig->peer, call->messages == 1); /* said before the question */
    peer_answer(ask, "\"answer\"");
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 0);
    assert_int_equal(call->messages, 4); /* with the one that ends it */
    call_free(call);

    call = peer_stream(rig->peer, "told", "{}", 0);
    ask = peer_await_ask(rig->host, 1);
    sp__h2_reset(call->stream, 8);
    PEER_UNTIL(rig->peer, call->done);
    check_given_up(rig, ask);
    check_answered(rig);
    assert_int_equal(atomic_load(&rig->ask_rc), SP_ERR_CANCELLED);
    call_free(call);
    rig_close(rig);
}

/* ---- threads that run no job ---- */

static void threads_of_a_tools_own_ask_too(void **state)
{
    enum { CROWD = 12 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "crowd", "[12]");
    for (uint32_t i = 0; i < CROWD; i++) {
        (void)peer_await_ask(rig->host, i);
    }
    for (uint32_t i = CROWD; i-- > 0;) { /* the last that asked first */
        struct peer_ask *ask = peer_await_ask(rig->host, i);
        struct proto_scratch scratch = {0};
        struct proto_request request;
        char number[16] = {0};
        read_request(ask, &scratch, &request);
        assert_true(request.args_json.size < sizeof number);
        memcpy(number, (const char *)request.args_json.data + 1,
               request.args_json.size - 2);
        peer_answer(ask, number);
        sp__proto_scratch_fini(&scratch);
    }
    check_result(rig, call, "12");
    rig_close(rig);
}

static void cancelling_reaches_every_thread_that_asks(void **state)
{
    enum { CROWD = 6 };
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "crowd", "[6]");
    for (uint32_t i = 0; i < CROWD; i++) {
        (void)peer_await_ask(rig->host, i);
    }
    sp__h2_reset(call->stream, 8);
    PEER_UNTIL(rig->peer, call->done);
    for (uint32_t i = 0; i < CROWD; i++) {
        check_given_up(rig, peer_await_ask(rig->host, i));
    }
    check_answered(rig);
    call_free(call);
    rig_close(rig);
}

static void the_end_of_a_job_ends_what_another_thread_asks_for_it(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *call = peer_execute(rig->peer, "leave", "{}");
    struct peer_ask *ask = peer_await_ask(rig->host, 0);
    rig_allow(rig, 1);
    check_result(rig, call, "true");
    check_given_up(rig, ask);
    asker_join(rig);
    assert_int_equal(atomic_load(&rig->left_rc), SP_ERR_CANCELLED);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_question_names_the_call_that_asks),
        TEST(a_tool_of_another_worker_is_asked_for_with_its_pool),
        TEST(a_large_answer_comes_whole),
        TEST(an_exception_of_the_tool_is_an_error_with_its_text),
        TEST(a_code_of_the_host_arrives_whole),
        TEST(a_bare_status_has_a_code),
        TEST(an_answer_that_is_none_is_a_broken_protocol),
        TEST(a_cancelled_call_stops_asking),
        TEST(an_answer_does_not_hide_that_the_call_was_cancelled),
        TEST(the_deadline_of_a_call_ends_its_question),
        TEST(a_question_has_a_time_of_its_own),
        TEST(a_host_that_hangs_up_ends_the_question),
        TEST(the_hosts_death_ends_the_question),
        TEST(a_worker_that_stops_still_gets_its_answer),
        TEST(a_signal_is_the_bindings_to_judge),
        TEST(a_worker_that_asks_answers_pings_and_keeps_calls),
        TEST(two_threads_ask_and_are_answered_in_the_other_order),
        TEST(a_thread_that_asks_leaves_the_calls_to_the_other),
        TEST(an_answer_comes_while_the_other_thread_works_long),
        TEST(a_generator_asks_between_its_chunks),
        TEST(threads_of_a_tools_own_ask_too),
        TEST(cancelling_reaches_every_thread_that_asks),
        TEST(the_end_of_a_job_ends_what_another_thread_asks_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
