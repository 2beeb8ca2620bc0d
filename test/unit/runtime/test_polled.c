/* SPDX-License-Identifier: MIT */
/* A worker whose thread waits in an event loop of its own, with jobs set aside. */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "leak.h"
#include "rig.h"
#include "runtime/runtime.h"

enum { ASIDE_MAX = 64, CHUNKS = 1000 };

/* The event loop, and what its tools have left unfinished: `add` is answered at once,
 * `wait` is set aside until the gate opens, `count` is while its reader is slow. */
struct loop {
    struct rig *rig;
    pthread_t thread;
    sp_job *aside[ASIDE_MAX];
    int count;
    atomic_int aside_most;
    atomic_int told; /* turns of cancelled jobs */
    atomic_int turns;
    atomic_int end; /* what sp_worker_try_next() said at the end */
    int keeps;      /* a cancelled job is not ended when it is told, but by the gate */
    int blocks;     /* eventfd: the next round is a callback that waits for the gate */
    int hears_stop; /* ended by sp_worker_stop() */
};

static void bad_unless(struct rig *rig, int ok)
{
    if (!ok) {
        atomic_fetch_add(&rig->bad, 1);
    }
}

static int take(int fd)
{
    uint64_t one;
    return read(fd, &one, sizeof one) == sizeof one;
}

static void set_aside(struct loop *loop, sp_job *job)
{
    bad_unless(loop->rig, sp_job_set_aside(job, NULL) == 0);
    bad_unless(loop->rig, sp_job_set_aside(job, NULL) == SP_ERR_INVAL);
    loop->aside[loop->count++] = job;
    if (loop->count > atomic_load(&loop->aside_most)) {
        atomic_store(&loop->aside_most, loop->count);
    }
}

static sp_job *take_aside(struct loop *loop, int i)
{
    sp_job *job = loop->aside[i];
    loop->aside[i] = loop->aside[--loop->count];
    return job;
}

static int find(struct loop *loop, const sp_job *job)
{
    int i = 0;
    while (i < loop->count && loop->aside[i] != job) {
        i++;
    }
    return i;
}

/* Chunks until the peer must read first. */
static void go_on_counting(struct loop *loop, sp_job *job)
{
    static const char bytes[4096];
    int rc = 1;
    set_aside(loop, job);
    while (rc == 1 && atomic_load(&loop->rig->produced) < CHUNKS) {
        rc = sp_job_chunk(job, (sp_bytes){bytes, sizeof bytes}, NULL);
        if (rc >= 0) {
            atomic_fetch_add(&loop->rig->produced, 1);
        }
    }
    (void)take_aside(loop, find(loop, job));
    if (rc != 0) { /* all was said, or nobody listens */
        bad_unless(loop->rig, sp_job_end(job, NULL) == 0);
    }
}

static void on_turn(struct loop *loop, sp_job *job)
{
    atomic_fetch_add(&loop->turns, 1);
    if (!sp_job_cancelled(job)) {
        go_on_counting(loop, job);
        return;
    }
    atomic_fetch_add(&loop->told, 1);
    int at = find(loop, job);
    if (at < loop->count) {
        (void)take_aside(loop, at);
    }
    if (loop->keeps) {
        set_aside(loop, job);
    } else {
        bad_unless(loop->rig, sp_job_end(job, NULL) == 0);
    }
}

static void run(struct loop *loop, sp_job *job)
{
    const char *tool = sp_job_tool(job);
    uint64_t one = 1;
    if (sp_job_is_turn(job)) {
        on_turn(loop, job);
    } else if (strcmp(tool, "add") == 0) {
        bad_unless(loop->rig,
                   sp_job_reply(job, sp_text("5"), NULL, (sp_bytes){0}, NULL) == 0);
    } else if (strcmp(tool, "count") == 0) {
        go_on_counting(loop, job);
    } else {
        set_aside(loop, job);
        (void)!write(loop->rig->begun, &one, sizeof one);
    }
}

static void *serve(void *arg)
{
    struct loop *loop = arg;
    struct rig *rig = loop->rig;
    sp_job *job;
    int rc = 0;
    bad_unless(rig, sp_worker_try_next(rig->worker, &job, NULL) == SP_ERR_INVAL);
    int fd = sp_worker_poll_fd(rig->worker, NULL);
    bad_unless(rig, fd >= 0 && sp_worker_poll_fd(rig->worker, NULL) == fd);
    bad_unless(rig, sp_worker_announce(rig->worker, NULL) == 0);
    atomic_store(&rig->ready, 1);
    for (;;) {
        struct pollfd polled[3] = {{.fd = fd, .events = POLLIN},
                                   {.fd = rig->gate, .events = POLLIN},
                                   {.fd = loop->blocks, .events = POLLIN}};
        while ((rc = sp_worker_try_next(rig->worker, &job, NULL)) > 0) {
            run(loop, job);
        }
        if (rc < 0) {
            atomic_store(&loop->end, rc);
            return NULL;
        }
        (void)poll(polled, 3, -1);
        if (take(loop->blocks)) {
            rig_wait_gate(rig); /* no job of ours, but it takes the thread */
        } else if (loop->count > 0 && take(rig->gate)) {
            job = take_aside(loop, 0);
            bad_unless(rig, sp_job_reply(job, sp_text("true"), NULL, (sp_bytes){0},
                                         NULL) == 0);
        }
    }
}

static struct loop *loop_open(uint32_t jobs_max)
{
    sp_worker_options options = {.jobs_max = jobs_max};
    struct loop *loop = calloc(1, sizeof *loop);
    assert_non_null(loop);
    loop->rig = rig_new(&options);
    loop->blocks = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(pthread_create(&loop->thread, NULL, serve, loop), 0);
    PEER_UNTIL(loop->rig->host, atomic_load(&loop->rig->ready));
    return loop;
}

static void loop_close(struct loop *loop)
{
    sp_worker_stop(loop->rig->worker);
    assert_int_equal(pthread_join(loop->thread, NULL), 0);
    assert_int_equal(atomic_load(&loop->end), SP_ERR_CLOSED);
    close(loop->blocks);
    rig_close(loop->rig);
    free(loop);
}

static void block(struct loop *loop)
{
    uint64_t one = 1;
    (void)!write(loop->blocks, &one, sizeof one);
}

static void expect(struct peer *peer, struct peer_call *call, const char *want)
{
    char text[64];
    peer_finish(peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), want);
    call_free(call);
}

static void calls_are_answered_and_the_capacity_is_announced(void **state)
{
    struct loop *loop = loop_open(8);
    assert_int_equal(loop->rig->host->announce.capacity, 8);
    for (int i = 0; i < 100; i++) {
        expect(loop->rig->peer, peer_execute(loop->rig->peer, "add", "[2,3]"), "5");
    }
    loop_close(loop);
}

static void jobs_overlap_and_end_in_any_order(void **state)
{
    struct loop *loop = loop_open(8);
    struct peer *peer = loop->rig->peer;
    struct peer_call *waits[8];
    for (int i = 0; i < 8; i++) {
        waits[i] = peer_execute(peer, "wait", "{}");
    }
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 8);
    rig_allow(loop->rig, 8);
    for (int i = 0; i < 8; i++) {
        expect(peer, waits[7 - i], "true");
    }
    loop_close(loop);
}

static void no_more_begin_than_may_be_aside(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *waits[4];
    for (int i = 0; i < 4; i++) {
        waits[i] = peer_execute(peer, "wait", "{}");
    }
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 2);
    rig_allow(loop->rig, 4);
    for (int i = 0; i < 4; i++) {
        expect(peer, waits[i], "true");
    }
    assert_int_equal(atomic_load(&loop->aside_most), 2);
    loop_close(loop);
}

static void a_job_aside_is_told_of_its_cancellation_once(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    loop->keeps = 1;
    struct peer_call *wait = peer_execute(peer, "wait", "{}");
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 1);
    assert_int_equal(loop->rig->page->running[1], wait->id);
    sp__h2_reset(wait->stream, RST_CANCEL);
    PEER_UNTIL(peer, atomic_load(&loop->told) == 1);
    expect(peer, peer_execute(peer, "add", "[2,3]"), "5");
    assert_int_equal(atomic_load(&loop->told), 1);
    assert_int_equal(loop->rig->page->running[0], 0);
    assert_int_equal(loop->rig->page->running[1], 0); /* it has been told */
    rig_allow(loop->rig, 1);                          /* its late answer goes nowhere */
    expect(peer, peer_execute(peer, "add", "[2,3]"), "5");
    call_free(wait);
    loop_close(loop);
}

static void a_deadline_ends_a_job_that_is_aside(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *wait = peer_execute_for(peer, "wait", "{}", 30);
    peer_finish(peer, wait);
    assert_int_equal(wait->status, GRPC_DEADLINE_EXCEEDED);
    PEER_UNTIL(peer, atomic_load(&loop->told) == 1);
    call_free(wait);
    loop_close(loop);
}

/* Until the stream has said what its reader has room for; calls go on meanwhile. */
static void await_still(struct loop *loop)
{
    unsigned long long before;
    do {
        before = atomic_load(&loop->rig->produced);
        for (int i = 0; i < 2; i++) {
            struct peer *peer = loop->rig->peer;
            expect(peer, peer_execute(peer, "add", "[2,3]"), "5");
        }
    } while (before == 0 || atomic_load(&loop->rig->produced) != before);
}

static void a_stream_aside_waits_for_its_reader(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *call = peer_stream(peer, "count", "[]", 1);
    uint64_t granted = 0;
    await_still(loop);
    assert_true(atomic_load(&loop->rig->produced) < CHUNKS);
    while (!call->done) {
        sp__h2_grant(call->stream, call->bytes - granted);
        granted = call->bytes;
        uint64_t messages = call->messages;
        PEER_UNTIL(peer, call->done || call->messages > messages);
    }
    assert_int_equal(call->status, 0);
    assert_int_equal(call->messages, CHUNKS + 1); /* and the final one */
    assert_true(atomic_load(&loop->turns) > 0);
    call_free(call);
    loop_close(loop);
}

static void a_stream_that_nobody_reads_any_more_is_told(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *call = peer_stream(peer, "count", "[]", 1);
    await_still(loop);
    sp__h2_reset(call->stream, RST_CANCEL);
    PEER_UNTIL(peer, atomic_load(&loop->told) == 1);
    call_free(call);
    loop_close(loop);
}

static void a_blocked_event_loop_is_stood_in_for(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *wait = peer_execute(peer, "wait", "{}");
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 1);
    block(loop);
    struct peer_call *ping = peer_open(peer, SP__PATH_PING, (sp_bytes){0}, 1);
    PEER_UNTIL(peer, ping->done); /* the thread waits for the gate all the while */
    struct peer_call *add = peer_execute(peer, "add", "[2,3]");
    rig_allow(loop->rig, 1); /* for the callback; what was read meanwhile is found */
    expect(peer, add, "5");
    rig_allow(loop->rig, 1);
    expect(peer, wait, "true");
    call_free(ping);
    loop_close(loop);
}

static void an_idle_worker_with_a_blocked_loop_answers_too(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    block(loop);
    for (int i = 0; i < 3; i++) {
        struct peer_call *ping = peer_open(peer, SP__PATH_PING, (sp_bytes){0}, 1);
        PEER_UNTIL(peer, ping->done);
        call_free(ping);
    }
    rig_allow(loop->rig, 1);
    expect(peer, peer_execute(peer, "add", "[2,3]"), "5");
    loop_close(loop);
}

/* ---- questions of other threads, while this one is in its loop ---- */

struct asking {
    struct rig *rig;
    sp_job *job;
    int rc;
};

static void *ask(void *arg)
{
    struct asking *asking = arg;
    sp_host_result result;
    asking->rc =
        sp_job_call_host(asking->job, "look", sp_text("{}"), NULL, &result, NULL);
    if (asking->rc == 0) {
        sp_host_result_clear(&result);
    }
    return NULL;
}

static void a_thread_asks_for_a_job_that_is_aside(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *wait = peer_execute(peer, "wait", "{}");
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 1);
    for (int i = 0; i < 20; i++) {
        struct asking asking = {.rig = loop->rig, .job = loop->aside[0], .rc = 99};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
        struct peer_ask *question = peer_await_ask(loop->rig->host, 0);
        if (i % 2 == 1) {
            block(loop); /* the helper reads the answer */
        }
        peer_answer(question, "true");
        PEER_UNTIL(loop->rig->host, question->stream == NULL);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(asking.rc, 0);
        peer_forget(question);
        if (i % 2 == 1) {
            rig_allow(loop->rig, 1);
            expect(peer, peer_execute(peer, "add", "[2,3]"), "5");
        }
    }
    rig_allow(loop->rig, 1);
    expect(peer, wait, "true");
    loop_close(loop);
}

/* Whoever comes to ask takes the lead from nobody that it could not take itself. */
static void threads_ask_on_while_the_loop_is_held_up(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *wait = peer_execute(peer, "wait", "{}");
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 1);
    block(loop);
    for (int i = 0; i < 20; i++) {
        struct asking asking = {.rig = loop->rig, .job = loop->aside[0], .rc = 99};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
        struct peer_ask *question = peer_await_ask(loop->rig->host, 0);
        peer_answer(question, "true");
        PEER_UNTIL(loop->rig->host, question->stream == NULL);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(asking.rc, 0);
        peer_forget(question);
    }
    rig_allow(loop->rig, 2);
    expect(peer, wait, "true");
    loop_close(loop);
}

/* ---- the end ---- */

static void stopping_waits_for_what_is_aside(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    struct peer_call *wait = peer_execute(peer, "wait", "{}");
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 1);
    sp_worker_stop(loop->rig->worker);
    PEER_UNTIL(peer, peer->goaway);
    assert_int_equal(atomic_load(&loop->end), 0);
    rig_allow(loop->rig, 1);
    expect(peer, wait, "true");
    loop_close(loop);
}

static void closing_forgets_what_is_aside(void **state)
{
    struct loop *loop = loop_open(2);
    struct peer *peer = loop->rig->peer;
    loop->keeps = 1;
    struct peer_call *wait = peer_execute(peer, "wait", "{}");
    PEER_UNTIL(peer, atomic_load(&loop->aside_most) == 1);
    sp__h2_reset(wait->stream, RST_CANCEL);
    PEER_UNTIL(peer, atomic_load(&loop->told) == 1);
    call_free(wait);
    /* Host gone, and the job still there: the leak check of the rig sees it freed. */
    peer_free(loop->rig->peer);
    loop->rig->peer = NULL;
    loop_close(loop);
}

static void what_does_not_go_together_is_refused(void **state)
{
    sp_worker_options several = {.threads = 2};
    struct rig *rig = rig_new(&several);
    sp_error err = {0};
    assert_int_equal(sp_worker_poll_fd(rig->worker, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "not 2"));
    sp_error_clear(&err);
    rig->options.jobs_max = 5;
    sp_worker *worker;
    assert_int_equal(sp_worker_open(&rig->options, &worker, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "jobs_max 5 needs one thread, there are 2"));
    sp_error_clear(&err);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_answered_and_the_capacity_is_announced),
        TEST(jobs_overlap_and_end_in_any_order),
        TEST(no_more_begin_than_may_be_aside),
        TEST(a_job_aside_is_told_of_its_cancellation_once),
        TEST(a_deadline_ends_a_job_that_is_aside),
        TEST(a_stream_aside_waits_for_its_reader),
        TEST(a_stream_that_nobody_reads_any_more_is_told),
        TEST(a_blocked_event_loop_is_stood_in_for),
        TEST(an_idle_worker_with_a_blocked_loop_answers_too),
        TEST(a_thread_asks_for_a_job_that_is_aside),
        TEST(threads_ask_on_while_the_loop_is_held_up),
        TEST(stopping_waits_for_what_is_aside),
        TEST(closing_forgets_what_is_aside),
        TEST(what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
