/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/1.1 client for web servers on a unix socket: one connection for each request in
 * flight, kept as long as the server keeps it.
 *
 *     web_client --socket PATH --in-flight K [--warm-ms N] [--measure-ms N]
 *
 * Every request posts {"a":A,"b":3} and expects A + 3. A server that serves one
 * connection at a time would starve all others, so with more than one in flight each
 * request asks for the connection to be closed after it. Waits for the server to listen.
 * An answer that is not 200, or not right, ends the program with status 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

enum { CONNECTIONS_MAX = 256, ANSWER_BYTES = 4096, START_MS = 60000, PAUSE_MS = 20 };

struct connection {
    int fd;
    uint32_t a;
    uint64_t started_ns;
    size_t size;
    char answer[ANSWER_BYTES];
};

static struct {
    struct sockaddr_un address;
    int epoll;
    int keeps;
    uint32_t next;
    uint32_t open;
    struct load load;
    struct connection all[CONNECTIONS_MAX];
} web;

static int connect_one(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        give_up("web_client: socket: %s", strerrordesc_np(errno));
    }
    if (connect(fd, (struct sockaddr *)&web.address, sizeof web.address) < 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* Until somebody listens. */
static void await_server(void)
{
    struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    for (int waited_ms = 0; waited_ms < START_MS; waited_ms += PAUSE_MS) {
        int fd = connect_one();
        if (fd >= 0) {
            (void)close(fd);
            return;
        }
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    give_up("web_client: nobody listens on %s", web.address.sun_path);
}

static void open_connection(struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = connect_one();
    if (connection->fd < 0 ||
        epoll_ctl(web.epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0) {
        give_up("web_client: %s: %s", web.address.sun_path, strerrordesc_np(errno));
    }
}

static void start_request(struct connection *connection)
{
    char body[64];
    char request[320];
    connection->a = web.next++;
    connection->size = 0;
    if (connection->fd < 0) {
        open_connection(connection);
    }
    size_t size = put_arguments(body, connection->a, 3);
    int n =
        snprintf(request, sizeof request,
                 "POST /add HTTP/1.1\r\nHost: bench\r\nConnection: %s\r\n"
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
                 web.keeps ? "keep-alive" : "close", size, (int)size, body);
    if (send(connection->fd, request, (size_t)n, MSG_NOSIGNAL) != n) {
        give_up("web_client: send: %s", strerrordesc_np(errno));
    }
    web.open++;
}

/* The body of an answer that is whole, else NULL. `is_end`: the server has closed. */
static const char *body_of(const struct connection *connection, int is_end)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (end == NULL) {
        return NULL;
    }
    size_t have = connection->size - (size_t)(end + 4 - connection->answer);
    int is_whole =
        length != NULL && length < end
            ? have >= strtoul(length + strlen("\r\nContent-Length:"), NULL, 10)
            : is_end;
    return is_whole ? end + 4 : NULL;
}

static void on_answer(struct connection *connection, const char *body, int is_end)
{
    uint64_t ended_ns = now_ns();
    if (strncmp(connection->answer, "HTTP/1.", 7) != 0 ||
        strncmp(connection->answer + 8, " 200", 4) != 0) {
        give_up("web_client: %s", connection->answer);
    }
    size_t size = connection->size - (size_t)(body - connection->answer);
    int is_right = get_result(body, size) == (int64_t)connection->a + 3;
    int closes = is_end || !web.keeps ||
                 strcasestr(connection->answer, "\r\nConnection: close") != NULL;
    if (closes) {
        (void)close(connection->fd);
        connection->fd = -1;
    }
    web.open--;
    if (load_ended(&web.load, connection->started_ns, ended_ns, is_right)) {
        connection->started_ns = ended_ns;
        start_request(connection);
    }
}

static void on_readable(struct connection *connection)
{
    ssize_t n = recv(connection->fd, connection->answer + connection->size,
                     sizeof connection->answer - 1 - connection->size, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    connection->size += n > 0 ? (size_t)n : 0;
    connection->answer[connection->size] = '\0';
    const char *body = body_of(connection, n <= 0);
    if (body != NULL) {
        on_answer(connection, body, n <= 0);
    } else if (n <= 0 || connection->size == sizeof connection->answer - 1) {
        give_up("web_client: an answer without an end: %s", connection->answer);
    }
}

int main(int argc, char **argv)
{
    const char *path = option_text(argc, argv, "socket", NULL);
    long in_flight = option_number(argc, argv, "in-flight", 1);
    if (path == NULL || strlen(path) >= sizeof web.address.sun_path || in_flight < 1 ||
        in_flight > CONNECTIONS_MAX) {
        give_up("usage: web_client --socket PATH --in-flight K");
    }
    web.address.sun_family = AF_UNIX;
    memcpy(web.address.sun_path, path, strlen(path) + 1);
    web.epoll = epoll_create1(EPOLL_CLOEXEC);
    web.keeps = in_flight == 1;
    await_server();
    load_begin(&web.load, (uint32_t)in_flight,
               option_number(argc, argv, "warm-ms", 200),
               option_number(argc, argv, "measure-ms", 1000));
    for (long i = 0; i < in_flight; i++) {
        web.all[i].fd = -1;
        web.all[i].started_ns = now_ns();
        start_request(&web.all[i]);
    }
    while (web.open > 0) {
        struct epoll_event events[CONNECTIONS_MAX];
        int n = epoll_wait(web.epoll, events, CONNECTIONS_MAX, -1);
        for (int i = 0; i < n; i++) {
            on_readable(events[i].data.ptr);
        }
    }
    load_print(&web.load, "web", "");
    return web.load.wrong > 0;
}
