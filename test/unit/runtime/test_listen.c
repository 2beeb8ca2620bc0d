/* SPDX-License-Identifier: MIT */
/* A worker that listens: stock clients, what they may send, where they may come
 * from. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "leak.h"
#include "rig.h"

/* The test's socket, in its own folder. */
static const char *socket_path(void)
{
    return leak_path("w.sock");
}

static const char *socket_address(void)
{
    static char address[128];
    (void)snprintf(address, sizeof address, "unix:%s", socket_path());
    return address;
}

/* A worker takes its socket with it. */
static int no_socket_is_left(void **state)
{
    int is_left = access(socket_path(), F_OK) == 0;
    int rc = leak_teardown(state);
    return is_left ? -1 : rc;
}

static struct peer *connect_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return peer_new(fd, H2_CLIENT, 0);
}

static struct rig *open_listening(const char *address)
{
    return rig_open(&(sp_worker_options){.listen = address});
}

/* A request as a stock client sends it: one parameter. */
static struct peer_call *stock_call(struct peer *peer, const char *tool,
                                    const char *name, sp_bytes value)
{
    struct sp_buffer out;
    uint8_t any[1024];
    size_t n = 0;
    sp__buf_init(&out, SIZE_MAX);
    assert_true(value.size < 100 && strlen(name) < 50 && strlen(tool) < 100);
    any[n++] = 0x0a;
    any[n++] = (uint8_t)strlen(name);
    memcpy(any + n, name, strlen(name));
    n += strlen(name);
    any[n++] = 0x12;
    any[n++] = (uint8_t)(value.size + 2);
    any[n++] = 0x12;
    any[n++] = (uint8_t)value.size;
    memcpy(any + n, value.data, value.size);
    n += value.size;
    uint8_t head[] = {0x12, (uint8_t)strlen(tool)};
    uint8_t tag[] = {0x1a, (uint8_t)n};
    assert_int_equal(sp__buf_append(&out, head, 2, NULL), 0);
    assert_int_equal(sp__buf_append(&out, tool, strlen(tool), NULL), 0);
    assert_int_equal(sp__buf_append(&out, tag, 2, NULL), 0);
    assert_int_equal(sp__buf_append(&out, any, n, NULL), 0);
    struct peer_call *call =
        peer_open(peer, SP__PATH_EXECUTE, (sp_bytes){out.data, out.size}, 1);
    sp__buf_fini(&out);
    return call;
}

static void check_echo(struct peer *peer, sp_bytes value, const char *want)
{
    char text[256];
    struct peer_call *call = stock_call(peer, "echo", "k", value);
    peer_finish(peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), want);
    call_free(call);
}

static void check_refused(struct peer *peer, struct peer_call *call, int code)
{
    sp_error err = {0};
    peer_finish(peer, call);
    assert_int_equal(call->status, sp_error_grpc_status(code));
    assert_int_equal(
        sp__proto_get_failure(call->details.data, call->details.size, &err), 1);
    assert_int_equal(err.code, code);
    assert_int_equal(err.executed, SP_EXECUTED_NO);
    sp_error_clear(&err);
    call_free(call);
}

static void parameters_become_one_json_object(void **state)
{
    struct rig *rig = open_listening(socket_address());
    struct peer *peer = connect_unix(socket_path());
    check_echo(peer, sp_text("[1, 2]"), "{\"k\":[1, 2]}");
    check_echo(peer, sp_text("\"x\""), "{\"k\":\"x\"}");
    check_echo(peer,
               (sp_bytes){"\x0a\x03"
                          "a\"b",
                          5},
               "{\"k\":\"a\\\"b\"}");
    check_echo(peer, (sp_bytes){"", 0}, "{\"k\":\"\"}");
    check_echo(peer, sp_text("\n 7"), "{\"k\":\n 7}");
    struct peer_call *call = peer_open(peer, SP__PATH_EXECUTE,
                                       sp_text("\x12\x04"
                                               "echo"),
                                       1);
    char text[16];
    peer_finish(peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), "{}");
    call_free(call);
    peer_free(peer);
    rig_close(rig);
}

static void what_strangers_send_is_checked(void **state)
{
    struct rig *rig = open_listening(socket_address());
    struct peer *peer = connect_unix(socket_path());
    char deep[2000];
    check_refused(peer, stock_call(peer, "echo", "k", sp_text("[1,")), SP_ERR_BAD_JSON);
    check_refused(peer, stock_call(peer, "echo", "k", sp_text("\"\xff\"")),
                  SP_ERR_BAD_JSON);
    check_refused(peer, peer_execute(peer, "echo", "{]"), SP_ERR_BAD_JSON);
    check_refused(peer, peer_execute(peer, "echo", "7"), SP_ERR_BAD_ARGS);
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 999);
    deep[1999] = '\0';
    check_refused(peer, peer_execute(peer, "echo", deep), SP_ERR_TOO_DEEP);
    check_refused(peer, peer_execute(peer, "eco", "{}"), SP_ERR_NO_TOOL);
    check_refused(peer, peer_execute(peer, "", "{}"), SP_ERR_NO_TOOL);
    struct peer_call *call = peer_open(peer, SP__PATH_EXECUTE, sp_text("\x12\x7f"), 1);
    peer_finish(peer, call);
    assert_int_equal(call->status, 13);
    call_free(call);
    assert_int_equal(atomic_load(&rig->ran), 0);
    peer_free(peer);
    rig_close(rig);
}

static void several_clients_are_served_and_may_leave(void **state)
{
    struct rig *rig = open_listening(socket_address());
    struct peer *one = connect_unix(socket_path());
    struct peer *two = connect_unix(socket_path());
    struct peer_call *busy = peer_execute(one, "wait", "{}");
    rig_await_begun(rig, 1);
    struct peer_call *waiting = peer_execute(one, "add", "[1,1]");
    struct peer_call *call = peer_execute(two, "add", "[1,1]");
    assert_int_equal(sp__h2_ping(one->h2, 1, NULL), 0);
    PEER_UNTIL(one, one->pongs == 1);
    call_free(busy);
    call_free(waiting);
    peer_free(one); /* its running call is cancelled, its waiting one forgotten */
    assert_int_equal(sp__h2_ping(two->h2, 1, NULL), 0);
    PEER_UNTIL(two, two->pongs == 1 && atomic_load(&rig->cancels) >= 1);
    rig_allow(rig, 1);
    peer_finish(two, call);
    assert_int_equal(call->status, 0);
    assert_int_equal(atomic_load(&rig->ran), 2);
    assert_int_equal(atomic_load(&rig->cancelled), 1);
    call_free(call);
    peer_free(two);
    rig_close(rig);
}

static void a_job_of_a_stranger_has_no_host_to_ask(void **state)
{
    struct rig *rig = open_listening(socket_address());
    struct peer *peer = connect_unix(socket_path());
    char text[64];
    struct peer_call *call = stock_call(peer, "ask", "k", sp_text("1"));
    peer_finish(peer, call);
    assert_string_equal(peer_result(call, text, sizeof text), "\"SP-UNSUPPORTED\"");
    call_free(call);
    peer_free(peer);
    rig_close(rig);
}

static void garbage_ends_its_connection_alone(void **state)
{
    struct rig *rig = open_listening(socket_address());
    struct peer *bad = connect_unix(socket_path());
    struct peer *good = connect_unix(socket_path());
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_int_equal(
        send(bad->duplex.fds.socket, garbage, sizeof garbage - 1, MSG_NOSIGNAL),
        sizeof garbage - 1);
    PEER_UNTIL(bad, bad->eof);
    check_echo(good, sp_text("1"), "{\"k\":1}");
    peer_free(bad);
    peer_free(good);
    rig_close(rig);
}

static void a_socket_is_its_owners_alone_and_goes_with_the_worker(void **state)
{
    struct rig *rig = open_listening(socket_address());
    struct stat st;
    assert_string_equal(sp_worker_address(rig->worker), socket_address());
    assert_int_equal(stat(socket_path(), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    rig_close(rig);
    assert_int_equal(access(socket_path(), F_OK), -1);
}

static void open_fails(const char *address, const char *why)
{
    sp_worker *worker = NULL;
    sp_error err = {0};
    sp_worker_options options = {.size = sizeof options, .listen = address};
    assert_true(sp_worker_open(&options, &worker, &err) < 0);
    assert_non_null(strstr(err.message, why));
    assert_null(worker);
    sp_error_clear(&err);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path(), strlen(socket_path()));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    struct rig *rig = open_listening(socket_address());
    open_fails(socket_address(), "listens on");
    struct peer *peer = connect_unix(socket_path());
    check_echo(peer, sp_text("1"), "{\"k\":1}");
    peer_free(peer);
    rig_close(rig);

    FILE *file = fopen(socket_path(), "w");
    assert_non_null(file);
    (void)fclose(file);
    open_fails(socket_address(), "is no socket");
    assert_int_equal(unlink(socket_path()), 0);
}

static void only_the_loopback_is_listened_on(void **state)
{
    open_fails("0.0.0.0:0", "neither");
    open_fails("127.0.0.1:x", "no port");
    open_fails("127.0.0.1:70000", "no port");
    open_fails("unix:", "1 to 107 bytes");
    char address[200] = "unix:/tmp/";
    memset(address + strlen(address), 'x', 103);
    open_fails(address, "1 to 107 bytes");

    struct rig *rig = open_listening("127.0.0.1:0");
    unsigned port;
    assert_int_equal(sscanf(sp_worker_address(rig->worker), "127.0.0.1:%u", &port), 1);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct peer *peer = peer_new(fd, H2_CLIENT, 0);
    check_echo(peer, sp_text("1"), "{\"k\":1}");
    peer_free(peer);
    rig_close(rig);
}

static void a_worker_needs_a_host_or_an_address(void **state)
{
    sp_worker *worker;
    sp_error err = {0};
    assert_int_equal(sp_worker_open(NULL, &worker, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "SNAKEPIT_CALL_FD"));
    assert_int_equal(setenv("SNAKEPIT_CALL_FD", "x", 1), 0);
    assert_int_equal(sp_worker_open(NULL, &worker, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "no descriptor"));
    assert_int_equal(setenv("SNAKEPIT_CALL_FD", "999", 1), 0);
    assert_int_equal(sp_worker_open(NULL, &worker, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "not open"));
    assert_int_equal(unsetenv("SNAKEPIT_CALL_FD"), 0);
    sp_worker_options options = {
        .size = sizeof options, .listen = "127.0.0.1:0", .threads = 100000};
    assert_int_equal(sp_worker_open(&options, &worker, &err), SP_ERR_INVAL);
    sp_error_clear(&err);
}

static void set_call_fd(int fd)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", fd);
    assert_int_equal(setenv("SNAKEPIT_CALL_FD", text, 1), 0);
}

static void a_worker_may_be_connected_later(void **state)
{
    sp_worker *worker = NULL;
    sp_error err = {0};
    int pair[2];
    const sp_worker_options wrong[] = {
        {.listen = "127.0.0.1:0"},
        {.name = "one"},
        {.call_fd = 3},
        {.host_fd = 4},
        {.page_fd = 5},
        {.memory_fd = 6},
        {.call_in_fd = 7},
        {.call_out_fd = 8},
    };
    sp_worker_options options;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        options = wrong[i];
        options.size = sizeof options;
        options.unconnected = 1;
        assert_int_equal(sp_worker_open(&options, &worker, &err), SP_ERR_INVAL);
        assert_non_null(strstr(err.message, "unconnected"));
        assert_null(worker);
    }
    options = (sp_worker_options){.size = sizeof options, .unconnected = 1};
    const sp_tool tool = {.size = sizeof tool, .name = "add"};
    sp_job *job;
    assert_int_equal(sp_worker_open(&options, &worker, &err), SP_OK);
    assert_int_equal(sp_worker_add_tool(worker, &tool, &err), SP_OK);
    assert_int_equal(sp_worker_announce(worker, &err), SP_ERR_CLOSED);
    assert_int_equal(sp_worker_next(worker, &job, &err), 0); /* nobody is there */
    sp_worker_close(worker);

    assert_int_equal(sp_worker_open(&options, &worker, &err), SP_OK);
    assert_int_equal(sp_worker_connect(worker, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "SNAKEPIT_CALL_FD"));
    sp_worker_close(worker);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(sp_worker_open(&options, &worker, &err), SP_OK);
    set_call_fd(pair[1]);
    assert_int_equal(sp_worker_connect(worker, &err), SP_OK);
    assert_int_equal(sp_worker_connect(worker, &err), SP_ERR_INVAL);
    assert_non_null(strstr(err.message, "already"));
    sp_worker_close(worker);
    assert_int_equal(unsetenv("SNAKEPIT_CALL_FD"), 0);
    (void)close(pair[0]);
    sp_error_clear(&err);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, leak_setup, no_socket_is_left)
    const struct CMUnitTest tests[] = {
        CASE(parameters_become_one_json_object),
        CASE(what_strangers_send_is_checked),
        CASE(several_clients_are_served_and_may_leave),
        CASE(a_job_of_a_stranger_has_no_host_to_ask),
        CASE(garbage_ends_its_connection_alone),
        CASE(a_socket_is_its_owners_alone_and_goes_with_the_worker),
        CASE(a_stale_socket_is_replaced_and_a_live_one_is_not),
        CASE(only_the_loopback_is_listened_on),
        CASE(a_worker_needs_a_host_or_an_address),
        CASE(a_worker_may_be_connected_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
