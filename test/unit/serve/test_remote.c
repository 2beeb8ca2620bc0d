/* SPDX-License-Identifier: MIT */
/*
 * Asking a daemon, when the daemon is not what it should be: a thread that listens and
 * follows a script. What a real one answers is in the system tests.
 */
#include "serve/remote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "leak.h"
#include "wire/h2.h"

/* What the daemon does with a request. */
enum script {
    ANSWERS,       /* with an empty message, which is "no session" and "no variables" */
    HANGS_UP,      /* without a word */
    IS_SILENT,     /* for ever */
    TURNS_AWAY,    /* the first connection, having looked at nothing */
    FAILS,         /* with our details */
    REFUSES,       /* with a bare status */
    ANSWERS_TWICE, /* which is no answer */
    TALKS_NONSENSE,
    WATCHES /* three updates, then the session ends */
};

enum { CONNECTIONS_MAX = 16 };

struct connection {
    int fd;
    int number; /* from 1 */
    int must_close;
    struct h2 *h2;
};

static struct {
    pthread_t thread;
    int listener;
    int stop;
    int drop;
    atomic_int dropped;
    atomic_int script;
    atomic_int requests;
    atomic_int connections;
    struct connection open[CONNECTIONS_MAX];
} daemon_;

static char address[256];
static struct remote *remote;
static sp_error error;

/* ---- the daemon ---- */

/* Memory may be made to fail here as well: then the connection goes. */
static void send_update(struct connection *connection, struct h2_stream *stream,
                        int version)
{
    struct sp_buffer out;
    struct proto_variable variable = {
        .name = "v", .type = "integer", .version = version, .value = {.json = "7"}};
    struct proto_variable_update update = {
        .variable = &variable, .update_type = sp__proto_change_name(SP_CHANGE_VALUE)};
    sp__buf_init(&out, SIZE_MAX);
    if (sp__proto_put_variable_update(&out, &update, NULL) < 0 ||
        sp__h2_write(stream, (sp_bytes){(const char *)out.data, out.size}, NULL) < 0) {
        connection->must_close = 1;
    }
    sp__buf_fini(&out);
}

static void finish(struct connection *connection, struct h2_stream *stream, int status,
                   sp_bytes details)
{
    if (sp__h2_finish(stream, status, NULL, details, NULL, 0, NULL) < 0) {
        connection->must_close = 1;
    }
}

static void fail_with(struct connection *connection, struct h2_stream *stream, int code,
                      const char *message)
{
    sp_error failure = {0};
    struct sp_buffer details;
    sp__buf_init(&details, SIZE_MAX);
    (void)sp__fail(&failure, code, "%s", message);
    if (sp__proto_put_failure(&details, &failure, NULL) < 0) {
        connection->must_close = 1;
    }
    finish(connection, stream, failure.grpc_status,
           (sp_bytes){(const char *)details.data, details.size});
    sp__buf_fini(&details);
    sp_error_clear(&failure);
}

static void answer(struct connection *connection, struct h2_stream *stream, int times)
{
    for (int i = 0; i < times; i++) {
        if (sp__h2_write(stream, (sp_bytes){"", 0}, NULL) < 0) {
            connection->must_close = 1;
        }
    }
    finish(connection, stream, 0, (sp_bytes){NULL, 0});
}

static void on_half_close(void *user, struct h2_stream *stream)
{
    struct connection *connection = user;
    (void)atomic_fetch_add(&daemon_.requests, 1);
    switch ((enum script)atomic_load(&daemon_.script)) {
    case ANSWERS:
        answer(connection, stream, 1);
        break;
    case ANSWERS_TWICE:
        answer(connection, stream, 2);
        break;
    case HANGS_UP:
        connection->must_close = 1;
        break;
    case IS_SILENT:
        break;
    case TURNS_AWAY:
        if (connection->number == 1) {
            sp__h2_reset(stream, 7); /* REFUSED_STREAM */
            connection->must_close |= sp__h2_goaway(connection->h2, 0, NULL) < 0;
        } else {
            answer(connection, stream, 1);
        }
        break;
    case FAILS:
        fail_with(connection, stream, SP_ERR_CONFLICT, "version 3 expected, it is 4");
        break;
    case REFUSES:
        finish(connection, stream, 12, (sp_bytes){NULL, 0});
        break;
    case TALKS_NONSENSE:
        (void)!write(connection->fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        connection->must_close = 1;
        break;
    case WATCHES:
        for (int version = 1; version <= 3; version++) {
            send_update(connection, stream, version);
        }
        fail_with(connection, stream, SP_ERR_NOT_FOUND,
                  "the watched session has ended");
        break;
    }
}

static int on_request(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    return 0;
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
}

static const struct h2_events events = {.on_request = on_request,
                                        .on_message = on_message,
                                        .on_half_close = on_half_close,
                                        .on_end = on_end};

static void hang_up(struct connection *connection)
{
    sp__h2_free(connection->h2);
    (void)close(connection->fd);
    *connection = (struct connection){.fd = -1};
}

static void take_connection(void)
{
    int fd = accept4(daemon_.listener, NULL, NULL, SOCK_CLOEXEC);
    struct connection *connection = daemon_.open;
    while (connection->h2 != NULL) {
        connection++;
    }
    *connection = (struct connection){
        .fd = fd, .number = 1 + atomic_fetch_add(&daemon_.connections, 1)};
    if (sp__h2_new(H2_SERVER, &(struct h2_options){0}, &events, connection,
                   &connection->h2, NULL) < 0) {
        (void)close(fd);
        *connection = (struct connection){.fd = -1};
    }
}

static void serve(struct connection *connection)
{
    uint8_t data[4096];
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    ssize_t n = recv(connection->fd, data, sizeof data, MSG_DONTWAIT);
    if (n == 0 ||
        (n > 0 && sp__h2_receive(connection->h2, data, (size_t)n, NULL) < 0)) {
        connection->must_close = 1;
    }
    if (!connection->must_close &&
        sp__h2_send(connection->h2, &out, SIZE_MAX, NULL) >= 0 && out.size > 0) {
        (void)!send(connection->fd, out.data, out.size, MSG_NOSIGNAL);
    }
    sp__buf_fini(&out);
    if (connection->must_close) {
        hang_up(connection);
    }
}

static void hang_up_on_all(void)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (daemon_.open[i].h2 != NULL) {
            hang_up(&daemon_.open[i]);
        }
    }
}

static void *daemon_main(void *unused)
{
    for (;;) {
        struct pollfd polled[CONNECTIONS_MAX + 3] = {
            {.fd = daemon_.stop, .events = POLLIN},
            {.fd = daemon_.drop, .events = POLLIN},
            {.fd = daemon_.listener, .events = POLLIN}};
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            polled[i + 3] = (struct pollfd){.fd = daemon_.open[i].fd, .events = POLLIN};
        }
        (void)poll(polled, COUNT_OF(polled), -1);
        if (polled[0].revents != 0) {
            break;
        }
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
            if (daemon_.open[i].h2 != NULL && polled[i + 3].revents != 0) {
                serve(&daemon_.open[i]);
            }
        }
        if (polled[1].revents != 0) {
            uint64_t count;
            (void)!read(daemon_.drop, &count, sizeof count);
            hang_up_on_all();
            atomic_store(&daemon_.dropped, 1);
        }
        if (polled[2].revents != 0) {
            take_connection();
        }
    }
    hang_up_on_all();
    return NULL;
}

static void drop_connections(void)
{
    uint64_t one = 1;
    (void)!write(daemon_.drop, &one, sizeof one);
    UNTIL(atomic_load(&daemon_.dropped));
}

static void stop_daemon(void)
{
    uint64_t one = 1;
    (void)!write(daemon_.stop, &one, sizeof one);
    (void)pthread_join(daemon_.thread, NULL);
    (void)close(daemon_.stop);
    (void)close(daemon_.drop);
    (void)close(daemon_.listener);
}

static void start_daemon(enum script script)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", leak_path("sock"));
    (void)snprintf(address, sizeof address, "unix:%s", at.sun_path);
    (void)unlink(at.sun_path);
    memset(&daemon_, 0, sizeof daemon_);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        daemon_.open[i].fd = -1;
    }
    atomic_store(&daemon_.script, script);
    daemon_.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    daemon_.stop = eventfd(0, EFD_CLOEXEC);
    daemon_.drop = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(bind(daemon_.listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(daemon_.listener, 16), 0);
    assert_int_equal(pthread_create(&daemon_.thread, NULL, daemon_main, NULL), 0);
    leak_at_end(stop_daemon);
}

/* ---- the other side ---- */

static void close_remote(void)
{
    sp__remote_close(remote);
    remote = NULL;
    sp_error_clear(&error);
}

static void open_remote(enum script script, uint64_t timeout_ms)
{
    start_daemon(script);
    assert_int_equal(sp__remote_open(address, timeout_ms, &remote, &error), 0);
    leak_at_end(close_remote);
}

static int ask(void)
{
    return sp__stub_variables_list(sp__remote_caller(remote), "s", NULL, NULL, NULL,
                                   &error);
}

static void an_answer_comes_and_the_connection_serves_again(void **state)
{
    open_remote(ANSWERS, 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask(), 0);
    }
    assert_int_equal(atomic_load(&daemon_.requests), 100);
    assert_int_equal(atomic_load(&daemon_.connections), 1);
}

static void nobody_listens(void **state)
{
    (void)snprintf(address, sizeof address, "unix:%s", leak_path("nobody"));
    assert_int_equal(sp__remote_open(address, 0, &remote, &error), SP_ERR_SYSTEM);
    assert_non_null(strstr(error.message, "no daemon at unix:"));
    assert_int_equal(sp__remote_open("unix:here", 0, &remote, &error), SP_ERR_CONFIG);
    assert_int_equal(sp__remote_open("tcp:1", 0, &remote, &error), SP_ERR_UNSUPPORTED);
    sp_error_clear(&error);
}

static void a_daemon_that_hangs_up_is_told(void **state)
{
    open_remote(HANGS_UP, 0);
    assert_int_equal(ask(), SP_ERR_CLOSED);
    assert_int_equal(atomic_load(&daemon_.requests), 1); /* it may have been done */
    atomic_store(&daemon_.script, ANSWERS);
    assert_int_equal(ask(), 0);
    assert_int_equal(atomic_load(&daemon_.connections), 2);
}

static void a_silent_daemon_ends_with_the_time(void **state)
{
    open_remote(IS_SILENT, 100);
    assert_int_equal(ask(), SP_ERR_TIMEOUT);
    atomic_store(&daemon_.script, ANSWERS);
    assert_int_equal(ask(), 0);
}

static void what_nobody_has_looked_at_is_asked_again(void **state)
{
    open_remote(TURNS_AWAY, 0);
    assert_int_equal(ask(), 0);
    assert_int_equal(atomic_load(&daemon_.requests), 2);
    assert_int_equal(atomic_load(&daemon_.connections), 2);
}

static void an_idle_connection_that_was_closed_is_replaced(void **state)
{
    open_remote(ANSWERS, 0);
    assert_int_equal(ask(), 0);
    drop_connections();
    assert_int_equal(ask(), 0);
    assert_int_equal(atomic_load(&daemon_.requests), 2);
    assert_int_equal(atomic_load(&daemon_.connections), 2);
}

static void failures_arrive_whole(void **state)
{
    open_remote(FAILS, 0);
    assert_int_equal(ask(), SP_ERR_CONFLICT);
    assert_string_equal(error.message, "version 3 expected, it is 4");
    atomic_store(&daemon_.script, REFUSES);
    assert_int_equal(ask(), SP_ERR_UNSUPPORTED);
    atomic_store(&daemon_.script, ANSWERS_TWICE);
    assert_int_equal(ask(), SP_ERR_PROTOCOL);
    atomic_store(&daemon_.script, TALKS_NONSENSE);
    assert_int_not_equal(ask(), 0);
    atomic_store(&daemon_.script, ANSWERS);
    assert_int_equal(ask(), 0);
}

/* ---- threads ---- */

static void *ask_often(void *count)
{
    for (int i = 0; i < 200; i++) {
        if (sp__stub_variables_list(sp__remote_caller(remote), "s", NULL, NULL, NULL,
                                    NULL) == 0) {
            (void)atomic_fetch_add((atomic_int *)count, 1);
        }
    }
    return NULL;
}

static void threads_do_not_wait_for_each_other(void **state)
{
    pthread_t threads[6];
    atomic_int count = 0;
    open_remote(ANSWERS, 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &count), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&count), 1200);
    assert_true(atomic_load(&daemon_.connections) <= 6);
}

/* ---- watches ---- */

static int watch_open(struct remote_stream **ret_watch)
{
    sp_watch_options options = {.size = sizeof options};
    return sp__remote_watch_open(remote, "s", &options, ret_watch, &error);
}

static void changes_come_in_order_and_then_the_end(void **state)
{
    struct remote_stream *watch;
    sp_change change;
    open_remote(WATCHES, 0);
    assert_int_equal(watch_open(&watch), 0);
    for (uint64_t version = 1; version <= 3; version++) {
        assert_int_equal(sp__remote_watch_next(watch, SP_UNLIMITED, &change, &error),
                         1);
        assert_int_equal(change.kind, SP_CHANGE_VALUE);
        assert_string_equal(change.variable.value, "7");
        assert_int_equal(change.variable.version, version);
        sp__free(change.variable.memory);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sp__remote_watch_next(watch, SP_UNLIMITED, &change, &error),
                         SP_ERR_NOT_FOUND);
        assert_string_equal(error.message, "the watched session has ended");
    }
    sp__remote_stream_close(watch);
}

static void a_watch_that_is_refused_is_not_open(void **state)
{
    struct remote_stream *watch;
    open_remote(FAILS, 100);
    assert_int_equal(watch_open(&watch), SP_ERR_CONFLICT);
    atomic_store(&daemon_.script, HANGS_UP);
    assert_int_equal(watch_open(&watch), SP_ERR_CLOSED);
    atomic_store(&daemon_.script, IS_SILENT);
    assert_int_equal(watch_open(&watch), SP_ERR_TIMEOUT);
}

static void without_memory_nothing_is_left(void **state)
{
    struct remote_stream *watch = NULL;
    open_remote(ANSWERS, 0);
    for (uint64_t n = 1; n < 1000; n++) {
        sp__remote_close(remote);
        remote = NULL;
        atomic_store(&daemon_.script, ANSWERS);
        sp__mem_fail_at(n, 0);
        int opened = sp__remote_open(address, 0, &remote, &error);
        int asked = opened == 0 ? ask() : opened;
        sp__mem_fail_at(0, 0);
        assert_true(asked <= 0);
        if (asked == 0) {
            atomic_store(&daemon_.script, WATCHES);
            assert_int_equal(watch_open(&watch), 0);
            sp__remote_stream_close(watch);
            return;
        }
    }
    fail_msg("never worked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_and_the_connection_serves_again),
        TEST(nobody_listens),
        TEST(a_daemon_that_hangs_up_is_told),
        TEST(a_silent_daemon_ends_with_the_time),
        TEST(what_nobody_has_looked_at_is_asked_again),
        TEST(an_idle_connection_that_was_closed_is_replaced),
        TEST(failures_arrive_whole),
        TEST(threads_do_not_wait_for_each_other),
        TEST(changes_come_in_order_and_then_the_end),
        TEST(a_watch_that_is_refused_is_not_open),
        TEST(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
