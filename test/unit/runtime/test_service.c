/* SPDX-License-Identifier: MIT */
/* What a worker answers besides tool calls: health, sessions. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "leak.h"
#include "rig.h"
#include "runtime/runtime.h"

#define BRIDGE "/snakepit.bridge.BridgeService/"

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

/* ---- health ---- */

static int health_of(const struct peer_call *call)
{
    int status = -1;
    assert_int_equal(
        sp__proto_get_health(call->last.data, call->last.size, &status, NULL), 0);
    return status;
}

static void check_health(struct rig *rig, sp_bytes request, int grpc_status, int status)
{
    struct peer_call *call = peer_open(rig->peer, SP__PATH_HEALTH_CHECK, request, 1);
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, grpc_status);
    if (grpc_status == 0) {
        assert_int_equal(health_of(call), status);
    }
    call_free(call);
}

#define NO_SERVICE ((sp_bytes){"", 0})

static void health_check_follows_the_announcement(void **state)
{
    struct rig *rig = rig_new(NULL);
    check_health(rig, NO_SERVICE, 0, NOT_SERVING);
    rig_start(rig);
    check_health(rig, NO_SERVICE, 0, SERVING);
    check_health(rig, BYTES("\x0a\x1dsnakepit.bridge.BridgeService"), 0, SERVING);
    check_health(rig, BYTES("\x0a\x05other"), 5, 0);
    check_health(rig, BYTES("\x0a\x7f"), 3, 0);
    rig_close(rig);
}

static void health_watch_tells_every_change(void **state)
{
    struct rig *rig = rig_new(NULL);
    struct peer_call *watch =
        peer_open(rig->peer, SP__PATH_HEALTH_WATCH, NO_SERVICE, 1);
    struct peer_call *other =
        peer_open(rig->peer, SP__PATH_HEALTH_WATCH, BYTES("\x0a\x05other"), 1);
    PEER_UNTIL(rig->peer, watch->messages == 1 && other->messages == 1);
    assert_int_equal(health_of(watch), NOT_SERVING);
    assert_int_equal(health_of(other), SERVICE_UNKNOWN);
    rig_start(rig);
    PEER_UNTIL(rig->peer, watch->messages == 2);
    assert_int_equal(health_of(watch), SERVING);

    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    sp_worker_stop(rig->worker);
    PEER_UNTIL(rig->peer, watch->messages == 3);
    assert_int_equal(health_of(watch), NOT_SERVING);
    assert_int_equal(other->messages, 1);
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    assert_int_equal(busy->status, 0);
    call_free(busy);
    call_free(watch);
    call_free(other);
    rig_close(rig);
}

static void a_watcher_may_leave(void **state)
{
    struct rig *rig = rig_open(NULL);
    struct peer_call *watch =
        peer_open(rig->peer, SP__PATH_HEALTH_WATCH, NO_SERVICE, 1);
    PEER_UNTIL(rig->peer, watch->messages == 1);
    sp__h2_reset(watch->stream, 8);
    rig_call(rig);
    call_free(watch);
    rig_close(rig);
}

/* ---- sessions ---- */

static struct peer_call *session_call(struct rig *rig, const char *path,
                                      sp_bytes request)
{
    struct peer_call *call = peer_open(rig->peer, path, request, 1);
    peer_finish(rig->peer, call);
    return call;
}

static void check_heartbeat(struct rig *rig, sp_bytes request, int valid)
{
    struct peer_call *call = session_call(rig, BRIDGE "Heartbeat", request);
    assert_int_equal(call->status, 0);
    assert_int_equal(call_last_has(call, "\x10\x01"), valid);
    call_free(call);
}

static void check_status(struct rig *rig, const char *path, sp_bytes request,
                         int status)
{
    struct peer_call *call = session_call(rig, path, request);
    assert_int_equal(call->status, status);
    call_free(call);
}

#define SESSION_ABC  \
    BYTES("\x0a\x03" \
          "abc")
#define SESSION_ABC_META \
    BYTES("\x0a\x03"     \
          "abc\x12\x0a\x0a\x03key\x12\x03val")

static void a_session_lives_from_initialize_to_cleanup(void **state)
{
    struct rig *rig = rig_open(NULL);
    check_heartbeat(rig, SESSION_ABC, 0);
    check_status(rig, BRIDGE "GetSession", SESSION_ABC, 5);
    for (int i = 0; i < 2; i++) { /* begun twice is begun */
        struct peer_call *call =
            session_call(rig, BRIDGE "InitializeSession", SESSION_ABC_META);
        assert_int_equal(call->status, 0);
        assert_memory_equal(call->last.data, "\x08\x01", 2);
        call_free(call);
    }
    check_heartbeat(rig, SESSION_ABC, 1);
    struct peer_call *call = session_call(rig, BRIDGE "GetSession", SESSION_ABC);
    assert_int_equal(call->status, 0);
    assert_true(call_last_has(call, "abc") && call_last_has(call, "key") &&
                call_last_has(call, "val"));
    call_free(call);
    check_status(rig, BRIDGE "CleanupSession", SESSION_ABC, 0);
    check_status(rig, BRIDGE "GetSession", SESSION_ABC, 5);
    check_heartbeat(rig, SESSION_ABC, 0);
    check_status(rig, BRIDGE "InitializeSession", SESSION_ABC, 0); /* close frees it */
    rig_close(rig);
}

/* What the binding was told of sessions that ended. */
static struct {
    atomic_int count;
    int ran; /* tools that had begun by then */
    char session[64];
} ends;

static void on_session_end(void *user_data, const char *session)
{
    struct rig *rig = user_data;
    ends.ran = atomic_load(&rig->ran);
    (void)snprintf(ends.session, sizeof ends.session, "%s", session);
    atomic_fetch_add(&ends.count, 1);
}

static struct rig *rig_that_hears_of_ends(void)
{
    sp_worker_options options = {.on_session_end = on_session_end};
    atomic_store(&ends.count, 0);
    return rig_open(&options);
}

static void the_end_of_a_session_is_told_behind_the_calls_before_it(void **state)
{
    struct rig *rig = rig_that_hears_of_ends();
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    struct peer_call *next = peer_execute(rig->peer, "echo", "[]");
    check_status(rig, BRIDGE "CleanupSession", SESSION_ABC, 0); /* answered at once */
    assert_int_equal(atomic_load(&ends.count), 0);
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    peer_finish(rig->peer, next);
    PEER_UNTIL(rig->peer, atomic_load(&ends.count) == 1);
    assert_string_equal(ends.session, "abc");
    assert_int_equal(ends.ran, 2);
    call_free(busy);
    call_free(next);
    /* And a worker that is idle is woken for it. */
    check_status(rig, BRIDGE "CleanupSession", SESSION_ABC, 0);
    PEER_UNTIL(rig->peer, atomic_load(&ends.count) == 2);
    rig_close(rig);
}

static void a_worker_that_stops_hears_of_ends_first(void **state)
{
    struct rig *rig = rig_that_hears_of_ends();
    struct peer_call *busy = peer_execute(rig->peer, "wait", "{}");
    rig_await_begun(rig, 1);
    check_status(rig, BRIDGE "CleanupSession", SESSION_ABC, 0);
    sp_worker_stop(rig->worker);
    rig_allow(rig, 1);
    peer_finish(rig->peer, busy);
    call_free(busy);
    rig_join(rig);
    assert_int_equal(atomic_load(&ends.count), 1);
    rig_close(rig);
}

static void ends_nobody_wants_to_hear_of_are_only_answered(void **state)
{
    struct rig *rig = rig_open(NULL);
    check_status(rig, BRIDGE "CleanupSession", SESSION_ABC, 0);
    rig_close(rig);
}

static void bad_session_requests_are_refused(void **state)
{
    struct rig *rig = rig_open(NULL);
    check_status(rig, BRIDGE "InitializeSession", NO_SERVICE, 3);
    check_status(rig, BRIDGE "InitializeSession", BYTES("\x0a\x7f"), 13);
    check_status(rig, BRIDGE "GetSession", BYTES("\x0a\x7f"), 13);
    rig_close(rig);
}

static void the_table_of_sessions_is_bounded(void **state)
{
    struct rig *rig = rig_open(NULL);
    for (int i = 0; i <= SESSIONS_MAX; i++) {
        char request[32];
        (void)snprintf(request, sizeof request, "\x0a\x06s%05d", i);
        check_status(rig, BRIDGE "InitializeSession", sp_text(request),
                     i < SESSIONS_MAX ? 0 : 8);
    }
    rig_close(rig);
}

/* ---- stacks ---- */

static int stacks_fd;

static void write_one_stack(int number)
{
    (void)number;
    assert_int_equal(write(stacks_fd, "there", 5), 5);
    errno = 0; /* as Python's does */
}

/* Each time from the beginning, with what the handler was installed with. */
static void shows_again_and_again(struct rig *rig, int fd)
{
    struct sigaction before;
    struct sigaction ours = {.sa_handler = write_one_stack, .sa_flags = SA_RESTART};
    struct sigaction there;
    stacks_fd = fd;
    assert_int_equal(sigaction(SIGQUIT, &ours, &before), 0);
    assert_int_equal(sp_worker_repeat_stacks(rig->worker, NULL), 0);
    assert_int_equal(sp_worker_repeat_stacks(rig->worker, NULL), 0); /* no loop */
    for (int i = 0; i < 5000; i++) {
        errno = EAGAIN;
        assert_int_equal(raise(SIGQUIT), 0);
        assert_int_equal(errno, EAGAIN);
    }
    assert_string_equal((const char *)rig->page + WORKER_PAGE_BYTES, "there");
    assert_int_equal(sigaction(SIGQUIT, &before, &there), 0);
    assert_true((there.sa_flags & SA_RESTART) != 0);
}

static void stacks_are_written_behind_the_page(void **state)
{
    struct rig *rig = rig_new(NULL);
    sp_error err = {0};
    assert_int_equal(sp_worker_offer_stacks(rig->worker, 0, &err), SP_ERR_INVAL);
    assert_int_equal(sp_worker_offer_stacks(rig->worker, NSIG, &err), SP_ERR_INVAL);
    assert_int_equal(rig->page->stack_signal, 0);
    int fd = sp_worker_offer_stacks(rig->worker, SIGQUIT, &err);
    assert_true(fd >= 0);
    assert_int_equal(rig->page->stack_signal, SIGQUIT);
    assert_int_equal(write(fd, "here", 4), 4);
    assert_string_equal((const char *)rig->page + WORKER_PAGE_BYTES, "here");
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    sp_error_clear(&err);
    assert_int_equal(sp_worker_repeat_stacks(rig->worker, &err), SP_ERR_INVAL);
    sp_error_clear(&err);
    shows_again_and_again(rig, fd);
    rig_start(rig);
    rig_close(rig);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_listening_worker_shows_no_stacks(void **state)
{
    sp_worker_options options = {.listen = "127.0.0.1:0"};
    struct rig *rig = rig_new(&options);
    sp_error err = {0};
    assert_int_equal(sp_worker_offer_stacks(rig->worker, SIGQUIT, &err),
                     SP_ERR_UNSUPPORTED);
    sp_error_clear(&err);
    rig_start(rig);
    rig_close(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(health_check_follows_the_announcement),
        TEST(health_watch_tells_every_change),
        TEST(a_watcher_may_leave),
        TEST(a_session_lives_from_initialize_to_cleanup),
        TEST(the_end_of_a_session_is_told_behind_the_calls_before_it),
        TEST(a_worker_that_stops_hears_of_ends_first),
        TEST(ends_nobody_wants_to_hear_of_are_only_answered),
        TEST(bad_session_requests_are_refused),
        TEST(the_table_of_sessions_is_bounded),
        TEST(stacks_are_written_behind_the_page),
        TEST(a_listening_worker_shows_no_stacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
