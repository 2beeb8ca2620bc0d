/* SPDX-License-Identifier: MIT */
/* Every allocation may fail: opening says so and leaves nothing, a call ends
 * somehow. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "peer.h"
#include "snakepit/worker.h"
#include "snakepit/worker_host.h"
#include "snakepit/worker_state.h"
#include "wire/proto_state.h"

enum { SWEEP_MAX = 5000 };

static int open_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static int try_open(sp_worker_options *options)
{
    sp_worker *worker;
    sp_error err = {0};
    int rc = sp_worker_open(options, &worker, &err);
    if (rc < 0) {
        assert_int_equal(rc, SP_ERR_NOMEM);
        assert_true(strlen(err.message) > 0);
        sp_error_clear(&err);
        return rc;
    }
    sp_tool_param params[] = {{.name = "a", .default_json = "1"}};
    for (int i = 0; rc == 0 && i < 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "tool%d", i);
        sp_tool tool = {.size = sizeof tool,
                        .name = name,
                        .description = "d",
                        .params = params,
                        .params_count = 1};
        rc = sp_worker_add_tool(worker, &tool, &err);
    }
    if (rc == 0) {
        rc = sp_worker_announce(worker, &err);
    }
    if (rc < 0) {
        assert_int_equal(rc, SP_ERR_NOMEM);
    }
    sp_error_clear(&err);
    sp_worker_close(worker);
    return rc;
}

static void opening_survives_every_failed_allocation(void **state)
{
    int64_t live = sp__mem_live();
    uint64_t n = 1;
    for (;; n++) {
        int calls[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, calls), 0);
        sp_worker_options options = {
            .size = sizeof options, .call_fd = calls[1], .runtime = "r", .name = "n"};
        int before = open_fds();
        sp__mem_fail_at(n, 0);
        int rc = try_open(&options);
        sp__mem_fail_at(0, 0);
        assert_int_equal(sp__mem_live(), live);
        int after = open_fds();
        assert_true(after == before || after == before - 1); /* call_fd, when taken */
        if (after == before) {
            (void)close(calls[1]);
        }
        (void)close(calls[0]);
        if (rc == 0) {
            break;
        }
        assert_true(n < SWEEP_MAX);
    }
    assert_true(n > 10);
}

/* ---- calls ---- */

static sp_worker *the_worker;

static void stop(int signal_number)
{
    sp_worker_stop(the_worker);
}

/* A call, a stream and a variable of the host's: the first code that is not 0. */
static int ask(sp_job *job)
{
    static const double number = 1.5;
    sp_tensor tensor = {.dtype = SP_DTYPE_F64, .data = &number, .bytes = sizeof number};
    sp_binary binary = {.name = "t", .tensor = &tensor};
    sp_host_call_options options = {
        .size = sizeof options, .binaries = &binary, .binaries_count = 1};
    sp_host_result result = {0};
    sp_host_stream *stream = NULL;
    sp_variable v = {0};
    sp_bytes chunk;
    sp_error err = {0};
    int chunks = 0;
    int rc = sp_job_call_host(job, "look", sp_text("{}"), &options, &result, &err);
    sp_host_result_clear(&result);
    sp_error_clear(&err);
    if (rc == SP_OK) {
        rc =
            sp_job_host_stream_open(job, "numbers", sp_text("{}"), NULL, &stream, &err);
    }
    while (rc == SP_OK &&
           (rc = sp_host_stream_next(stream, SP_UNLIMITED, &chunk, NULL, &err)) > 0) {
        chunks++;
        rc = SP_OK;
    }
    sp_host_stream_close(stream);
    sp_error_clear(&err);
    if (rc == SP_OK && chunks != 3) {
        return SP_ERR_PROTOCOL; /* whole, or not OK */
    }
    if (rc == SP_OK) {
        rc = sp_job_variable_get(job, "v", &v, &err);
        sp_variable_clear(&v);
        sp_error_clear(&err);
    }
    return rc;
}

static void run(sp_job *job)
{
    if (strcmp(sp_job_tool(job), "ask") == 0) {
        int rc = ask(job);
        (void)sp_job_reply(job, sp_text(rc == SP_ERR_PROTOCOL ? "1" : "0"), NULL,
                           (sp_bytes){0}, NULL);
        return;
    }
    if (sp_job_is_stream(job)) {
        static char bytes[40000];
        intptr_t i = (intptr_t)sp_job_data(job);
        int more = 1;
        while (more > 0 && i < 60) {
            i++;
            more = sp_job_chunk(job, (sp_bytes){bytes, i % 20 == 0 ? sizeof bytes : 8},
                                NULL);
        }
        if (more == 0) {
            sp_job_set_data(job, (void *)i);
            return;
        }
        if (more < 0 && more != SP_ERR_CANCELLED) {
            (void)sp_job_fail(job, more, NULL, NULL, NULL, NULL);
            return;
        }
        (void)sp_job_end(job, NULL);
    } else if (strcmp(sp_job_tool(job), "raise") == 0) {
        (void)sp_job_fail(job, SP_ERR_REMOTE, "E", "m", "t", NULL);
    } else {
        (void)sp_job_reply(job, sp_job_args(job), NULL, (sp_bytes){0}, NULL);
    }
}

/* A worker whose n-th allocation after the announcement fails. */
static void serve(int fd, int host_fd, uint64_t n)
{
    sp_worker_options options = {
        .size = sizeof options, .call_fd = fd, .host_fd = host_fd};
    sp_job *job;
    int64_t live = sp__mem_live();
    if (sp_worker_open(&options, &the_worker, NULL) < 0) {
        _exit(99);
    }
    (void)signal(SIGTERM, stop);
    sp_worker_accept_any(the_worker);
    if (sp_worker_announce(the_worker, NULL) < 0) {
        _exit(98);
    }
    uint64_t before = sp__mem_calls();
    sp__mem_fail_at(n, 0);
    int rc;
    while ((rc = sp_worker_next(the_worker, &job, NULL)) != 0) {
        if (rc > 0) {
            run(job);
        }
    }
    uint64_t made = sp__mem_calls() - before;
    sp__mem_fail_at(0, 0);
    sp_worker_close(the_worker);
    _exit(sp__mem_live() != live ? 97 : made < n ? 1 : 0);
}

/* 1 when the sweep is past the last allocation. */
static int try_calls(uint64_t n)
{
    static const char *const tools[] = {"echo", "raise", "echo"};
    int calls[2];
    int status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, calls), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(calls[0]);
        serve(calls[1], 0, n);
    }
    (void)close(calls[1]);
    struct peer *peer = peer_new(calls[0], H2_CLIENT, 1);
    for (int i = 0; i < 3 && !peer->eof; i++) {
        struct peer_call *call = peer_execute(peer, tools[i], "{\"a\":[1,2,3]}");
        PEER_UNTIL(peer, call->done || peer->eof);
        call_free(call);
    }
    if (!peer->eof) {
        struct peer_call *call = peer_stream(peer, "count", "{}", 0);
        PEER_UNTIL(peer, call->done || peer->eof);
        if (call->done && call->status == 0) {
            assert_int_equal(call->messages, 61); /* whole, or not OK */
        }
        call_free(call);
    }
    if (!peer->eof) {
        (void)kill(pid, SIGTERM);
        PEER_UNTIL(peer, peer->eof);
    }
    peer_free(peer);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    int code = WEXITSTATUS(status);
    assert_true(code == 0 || code == 1 || code == 75);
    return code == 1;
}

/* ---- questions ---- */

static void answer(struct peer_ask *ask)
{
    if (strcmp(ask->path, SP__PATH_HOST_TOOL) == 0) {
        peer_answer(ask, "{\"x\":1}");
    } else if (strcmp(ask->path, SP__PATH_STREAM) == 0) {
        for (int i = 0; i < 3; i++) {
            peer_chunk(ask, sp_text("[1,2,3]"));
        }
        peer_end(ask, 0, NULL, NULL);
    } else {
        const struct proto_variable_get_reply reply = {
            .variable = &(const struct proto_variable){
                .name = "v", .type = "integer", .value = {"", "1"}}};
        struct sp_buffer out;
        sp__buf_init(&out, SIZE_MAX);
        assert_int_equal(sp__proto_put_variable_get_reply(&out, &reply, NULL), 0);
        peer_say(ask, (sp_bytes){out.data, out.size});
        peer_end(ask, 0, NULL, NULL);
        sp__buf_fini(&out);
    }
}

/* Turn both ends, answering what is asked, until the call is over or the worker gone. */
static void host(struct peer *peer, struct peer *host, struct peer_call *call)
{
    uint64_t until_ms = test_now_ms() + patience_ms(20000);
    struct link *done = host->asks.last;
    while (!peer->eof && (call == NULL || !call->done)) {
        assert_true(test_now_ms() < until_ms);
        peer_turn(host, 1);
        peer_turn(peer, 1);
        struct link *next = done == NULL ? host->asks.first : done->next;
        struct peer_ask *ask =
            next != NULL ? ITEM(next, struct peer_ask, on_asks) : NULL;
        if (ask != NULL && (ask->came || ask->stream == NULL)) {
            done = next;
            if (ask->stream != NULL) {
                answer(ask);
            }
        }
    }
}

static int try_questions(uint64_t n)
{
    int calls[2];
    int hosts[2];
    int status;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, calls), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, hosts), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(calls[0]);
        (void)close(hosts[0]);
        serve(calls[1], hosts[1], n);
    }
    (void)close(calls[1]);
    (void)close(hosts[1]);
    struct peer *peer = peer_new(calls[0], H2_CLIENT, 1);
    struct peer *asked = peer_new(hosts[0], H2_SERVER, 1);
    for (int i = 0; i < 2 && !peer->eof; i++) {
        struct peer_call *call = peer_execute(peer, "ask", "{}");
        host(peer, asked, call);
        if (call->done && call->status == 0) {
            char text[16];
            assert_string_equal(peer_result(call, text, sizeof text), "0");
        }
        call_free(call);
    }
    if (!peer->eof) {
        (void)kill(pid, SIGTERM);
        host(peer, asked, NULL);
    }
    peer_free(peer);
    peer_free(asked);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    int code = WEXITSTATUS(status);
    assert_true(code == 0 || code == 1 || code == 75);
    return code == 1;
}

static void questions_survive_every_failed_allocation(void **state)
{
    uint64_t n = 1;
    while (!try_questions(n)) {
        n++;
        assert_true(n < SWEEP_MAX);
    }
    assert_true(n > 20);
    printf("%d allocations failed in turn\n", (int)n);
}

static void calls_survive_every_failed_allocation(void **state)
{
    uint64_t n = 1;
    while (!try_calls(n)) {
        n++;
        assert_true(n < SWEEP_MAX);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opening_survives_every_failed_allocation),
        TEST(calls_survive_every_failed_allocation),
        TEST(questions_survive_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
