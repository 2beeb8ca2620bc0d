/* SPDX-License-Identifier: MIT */
/* The end of a worker process: its host dies, a signal comes, user code forks. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "peer.h"
#include "snakepit/worker.h"
#include "snakepit/worker_host.h"

enum { NEVER_STARTS = 12345 }; /* as exit_grace_ms */

/* A worker in a process of its own. It says on `said` what it does: 'b' a tool began,
 * 'i' it was interrupted, 's' a signal interrupted the wait, 'c' a question was closed,
 * 't' SIGTERM came to what handled it before the worker did. */
struct process {
    pid_t pid;
    int said;
    struct peer *peer;
    struct peer *host; /* whom it asks */
};

static int saying;
static sp_worker *the_worker;
static volatile sig_atomic_t interrupted;

static void say(char what)
{
    (void)!write(saying, &what, 1);
}

static void on_cancel(void *user_data, sp_job *job)
{
    (void)kill(getpid(), SIGURG);
    sp_job_interrupted(job);
}

static void on_signal(int signal_number)
{
    if (signal_number == SIGTERM) {
        say('t');
    } else if (signal_number == SIGURG) {
        interrupted = 1;
    }
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGURG, &action, NULL);
    (void)sigaction(SIGUSR1, &action, NULL);
}

/* "sleep" for ever, unless interrupted; "burn" for ever. */
static void run_long(sp_job *job, int deaf)
{
    interrupted = 0;
    say('b');
    while (deaf || !interrupted) {
        (void)poll(NULL, 0, 5);
    }
    say('i');
    (void)sp_job_fail(job, SP_ERR_REMOTE, "Cancelled", NULL, NULL, NULL);
}

static int ask(sp_job *job)
{
    sp_host_result result = {0};
    int rc = sp_job_call_host(job, "look", sp_text("{}"), NULL, &result, NULL);
    sp_host_result_clear(&result);
    return rc;
}

static void run_release(sp_job *job)
{
    sp_worker_release_signals(the_worker);
    (void)sp_job_reply(job, sp_text(sp_worker_was_signalled(the_worker) ? "1" : "0"),
                       NULL, (sp_bytes){0}, NULL);
}

static void run_ask(sp_job *job)
{
    if (ask(job) == SP_ERR_CLOSED) {
        say('c');
    }
    (void)sp_job_reply(job, sp_text("0"), NULL, (sp_bytes){0}, NULL);
}

/* User code forks, and its child goes on as if it were the worker. */
static void run_fork(sp_job *job)
{
    pid_t child = fork();
    if (child == 0) {
        if (ask(job) != SP_ERR_CLOSED) {
            _exit(2);
        }
        int rc = sp_job_reply(job, sp_text("0"), NULL, (sp_bytes){0}, NULL);
        sp_job *other;
        rc |= sp_worker_next(the_worker, &other, NULL);
        sp_worker_close(the_worker);
        _exit(rc == 0 ? 7 : 1);
    }
    int status;
    char text[32];
    (void)waitpid(child, &status, 0);
    (void)snprintf(text, sizeof text, "%d",
                   WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    (void)sp_job_reply(job, sp_text(text), NULL, (sp_bytes){0}, NULL);
}

static void serve(int fd, int host_fd, uint64_t grace_ms)
{
    sp_worker_options options = {.size = sizeof options,
                                 .call_fd = fd,
                                 .host_fd = host_fd,
                                 .exit_grace_ms = grace_ms,
                                 .on_cancel = on_cancel};
    if (sp_worker_open(&options, &the_worker, NULL) < 0) {
        _exit(99);
    }
    catch_signals();
    sp_worker_catch_signals(the_worker);
    sp_worker_accept_any(the_worker);
    if (grace_ms == NEVER_STARTS) {
        say('b'); /* a start-up that never ends */
        for (;;) {
            (void)poll(NULL, 0, 1000);
        }
    }
    (void)sp_worker_announce(the_worker, NULL);
    for (;;) {
        sp_job *job;
        int rc = sp_worker_next(the_worker, &job, NULL);
        if (rc == SP_ERR_STOPPED_BY_CALLBACK) {
            say('s');
            continue;
        }
        if (rc <= 0) {
            break;
        }
        const char *tool = sp_job_tool(job);
        if (strcmp(tool, "fork") == 0) {
            run_fork(job);
        } else if (strcmp(tool, "ask") == 0) {
            run_ask(job);
        } else if (strcmp(tool, "release") == 0) {
            run_release(job);
        } else if (strcmp(tool, "add") == 0) {
            (void)sp_job_reply(job, sp_text("2"), NULL, (sp_bytes){0}, NULL);
        } else {
            run_long(job, strcmp(tool, "burn") == 0);
        }
    }
    sp_worker_close(the_worker);
    _exit(0);
}

static struct process start(uint64_t grace_ms)
{
    int calls[2];
    int host[2];
    int said[2];
    struct process process;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, calls), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, host), 0);
    assert_int_equal(pipe(said), 0);
    process.pid = fork();
    assert_true(process.pid >= 0);
    if (process.pid == 0) {
        (void)close(calls[0]);
        (void)close(host[0]);
        (void)close(said[0]);
        saying = said[1];
        serve(calls[1], host[1], grace_ms);
    }
    (void)close(calls[1]);
    (void)close(host[1]);
    (void)close(said[1]);
    process.said = said[0];
    process.peer = peer_new(calls[0], H2_CLIENT, 1);
    process.host = peer_new(host[0], H2_SERVER, 1);
    if (grace_ms != NEVER_STARTS) {
        PEER_UNTIL(process.host, process.host->announced);
    }
    return process;
}

static void await_said(struct process *process, char what)
{
    struct pollfd polled = {.fd = process->said, .events = POLLIN};
    char got = 0;
    assert_int_equal(poll(&polled, 1, (int)patience_ms(20000)), 1);
    assert_int_equal(read(process->said, &got, 1), 1);
    assert_int_equal(got, what);
}

static void host_dies(struct process *process)
{
    peer_free(process->peer);
    peer_free(process->host);
    process->peer = process->host = NULL;
}

static void check_exit(struct process *process, int want)
{
    int status;
    assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), want);
    (void)close(process->said);
    peer_free(process->peer);
    peer_free(process->host);
}

static void begin(struct process *process, const char *tool)
{
    call_free(peer_execute(process->peer, tool, "{}"));
    peer_turn(process->peer, 0);
    await_said(process, 'b');
}

static void a_worker_whose_host_dies_while_a_tool_runs_ends(void **state)
{
    struct process process = start(0);
    begin(&process, "burn");
    host_dies(&process);
    check_exit(&process, 75);
}

static void a_worker_whose_host_dies_while_it_starts_ends(void **state)
{
    struct process process = start(NEVER_STARTS);
    await_said(&process, 'b');
    host_dies(&process);
    (void)kill(process.pid, SIGCONT);
    check_exit(&process, 75);
}

static void within_the_grace_a_tool_may_end_in_peace(void **state)
{
    struct process process = start(60000);
    begin(&process, "sleep");
    host_dies(&process);
    await_said(&process, 'i');
    check_exit(&process, 0);
}

static void past_the_grace_the_worker_ends_all_the_same(void **state)
{
    struct process process = start(50);
    begin(&process, "burn");
    host_dies(&process);
    check_exit(&process, 75);
}

static void begin_asking(struct process *process)
{
    call_free(peer_execute(process->peer, "ask", "{}"));
    (void)peer_await_ask(process->host, 0);
}

static void a_worker_that_asks_when_its_host_dies_ends(void **state)
{
    struct process process = start(0);
    begin_asking(&process);
    host_dies(&process);
    check_exit(&process, 75);
}

static void within_the_grace_a_question_is_closed(void **state)
{
    struct process process = start(60000);
    begin_asking(&process);
    host_dies(&process);
    await_said(&process, 'c');
    check_exit(&process, 0);
}

static void an_idle_worker_whose_host_dies_leaves_in_its_own_manner(void **state)
{
    struct process process = start(0);
    struct peer_call *call = peer_execute(process.peer, "add", "{}");
    peer_finish(process.peer, call);
    call_free(call);
    host_dies(&process);
    int status;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    /* 75 when the death was seen before the worker was idle again. */
    assert_true(WIFEXITED(status) &&
                (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 75));
    (void)close(process.said);
}

static void a_caught_signal_stops_the_worker(void **state)
{
    struct process process = start(0);
    struct peer_call *call = peer_execute(process.peer, "add", "{}");
    peer_finish(process.peer, call);
    call_free(call);
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    PEER_UNTIL(process.peer, process.peer->goaway);
    char got;
    (void)!read(process.said, &got, 1); /* 's' or the end: both are fine */
    check_exit(&process, 0);
}

static void the_second_signal_has_its_own_effect(void **state)
{
    struct process process = start(0);
    int status;
    begin(&process, "burn");
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    PEER_UNTIL(process.peer, process.peer->goaway);
    assert_int_equal(kill(process.pid, SIGINT), 0);
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    (void)close(process.said);
    host_dies(&process);
}

static void who_handled_the_signals_before_has_them_back(void **state)
{
    struct process process = start(0);
    char text[32];
    struct peer_call *call = peer_execute(process.peer, "release", "{}");
    peer_finish(process.peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), "0");
    call_free(call);
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    await_said(&process, 't');
    host_dies(&process);
    int status;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    assert_true(WIFEXITED(status)); /* 0 or 75, as an idle worker whose host dies */
    (void)close(process.said);
}

static void a_signal_interrupts_the_wait(void **state)
{
    struct process process = start(0);
    struct peer_call *call = peer_execute(process.peer, "add", "{}");
    peer_finish(process.peer, call);
    call_free(call);
    struct pollfd polled = {.fd = process.said, .events = POLLIN};
    int told = 0;
    for (int i = 0; i < 2000 && !told; i++) { /* it may not be waiting yet */
        assert_int_equal(kill(process.pid, SIGUSR1), 0);
        told = poll(&polled, 1, 10) == 1;
    }
    await_said(&process, 's');
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    PEER_UNTIL(process.peer, process.peer->goaway);
    check_exit(&process, 0);
}

static void a_child_of_user_code_is_no_worker(void **state)
{
    struct process process = start(0);
    char text[32];
    for (int i = 0; i < 3; i++) {
        struct peer_call *call = peer_execute(process.peer, "fork", "{}");
        peer_finish(process.peer, call);
        assert_string_equal(peer_result(call, text, sizeof text), "7");
        call_free(call);
    }
    assert_int_equal(kill(process.pid, SIGTERM), 0);
    PEER_UNTIL(process.peer, process.peer->goaway);
    check_exit(&process, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_whose_host_dies_while_a_tool_runs_ends),
        TEST(a_worker_whose_host_dies_while_it_starts_ends),
        TEST(within_the_grace_a_tool_may_end_in_peace),
        TEST(past_the_grace_the_worker_ends_all_the_same),
        TEST(a_worker_that_asks_when_its_host_dies_ends),
        TEST(within_the_grace_a_question_is_closed),
        TEST(an_idle_worker_whose_host_dies_leaves_in_its_own_manner),
        TEST(a_caught_signal_stops_the_worker),
        TEST(the_second_signal_has_its_own_effect),
        TEST(who_handled_the_signals_before_has_them_back),
        TEST(a_signal_interrupts_the_wait),
        TEST(a_child_of_user_code_is_no_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
