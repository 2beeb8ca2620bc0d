/* SPDX-License-Identifier: MIT */
/*
 * Stock gRPC workers: where they are found, and how they are reached.
 *
 * An ordinary one is given the path of a unix socket in a folder that only this user may
 * enter. The original's own worker, and others after its contract, binds a port of its
 * choice and tells it, in a line of its output (GRPC_READY:4711) or in a file that
 * SNAKEPIT_READY_FILE names; what is told is believed only while the worker itself holds
 * that port (port.c). It is told where its host is by --elixir-address: a unix socket too.
 *
 * Either is tried every few milliseconds until it answers a Ping; the start deadline ends
 * that.
 */
#include "worker/stock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "worker/internal.h"

enum { CONNECT_RETRY_MS = 10, FLAGS_MAX = 9 };

static const char ready_mark[] = "GRPC_READY:";

static int has_port(const struct worker *worker)
{
    return worker->spec->transport == SP_TRANSPORT_PORT;
}

/* ---- places ---- */

int sp__stock_choose_address(struct worker *worker, sp_error *err)
{
    int rc = sp__socket_folder_make(&worker->shop->sockets, err);
    if (rc == SP_OK) {
        (void)snprintf(worker->address, sizeof worker->address,
                       has_port(worker) ? "%s/%llu.ready" : "%s/%llu",
                       worker->shop->sockets.path, (unsigned long long)worker->id);
    }
    return rc;
}

void sp__stock_forget(struct worker *worker)
{
    if (worker->address[0] != '\0') {
        (void)unlink(worker->address);
    }
}

/* ---- arguments ---- */

static int has_flag(char *const *argv, const char *flag)
{
    for (size_t i = 0; argv[i] != NULL; i++) {
        if (strstr(argv[i], flag) != NULL) {
            return 1;
        }
    }
    return 0;
}

static int add(char **argv, size_t *n, char *text)
{
    if (text == NULL) {
        return SP_ERR_NOMEM;
    }
    argv[(*n)++] = text;
    return SP_OK;
}

/* A flag and its value, which may be NULL, unless the command line has it. */
static int add_flag(const struct worker *worker, char **argv, size_t *n,
                    const char *flag, const char *value)
{
    if (has_flag(worker->spec->argv, flag)) {
        return SP_OK;
    }
    int rc = add(argv, n, sp__strdup(flag));
    return rc == SP_OK && value != NULL ? add(argv, n, sp__strdup(value)) : rc;
}

static int add_flags(const struct worker *worker, char **argv, size_t *n)
{
    char run[48];
    char threads[16];
    (void)snprintf(run, sizeof run, "%d-%llu", (int)getpid(),
                   (unsigned long long)worker->id);
    (void)snprintf(threads, sizeof threads, "%u", worker->spec->threads);
    int rc = add_flag(worker, argv, n, "--port", "0");
    if (rc == SP_OK) {
        rc = add_flag(worker, argv, n, "--elixir-address", worker->shop->host_address);
    }
    if (rc == SP_OK) {
        rc = add_flag(worker, argv, n, "--snakepit-run-id", run);
    }
    if (rc == SP_OK && worker->spec->threads > 1) {
        rc = add_flag(worker, argv, n, "--max-workers", threads);
        if (rc == SP_OK && worker->spec->thread_checks != SP_THREADS_TRUSTED) {
            rc = add_flag(worker, argv, n, "--thread-safety-check", NULL);
        }
    }
    return rc;
}

/* A copy with every "{address}" replaced; NULL without memory. */
static char *with_address(const struct worker *worker, const char *arg)
{
    static const char mark[] = "{address}";
    size_t marks = 0;
    for (const char *at = arg; (at = strstr(at, mark)) != NULL; at += sizeof mark - 1) {
        marks++;
    }
    size_t max = strlen(arg) + marks * (sizeof worker->address + sizeof "unix:") + 1;
    char *text = sp__malloc(max);
    size_t used = 0;
    while (text != NULL) {
        const char *at = worker->address[0] != '\0' ? strstr(arg, mark) : NULL;
        if (at == NULL) {
            (void)snprintf(text + used, max - used, "%s", arg);
            break;
        }
        used += (size_t)snprintf(text + used, max - used, "%.*sunix:%s",
                                 (int)(at - arg), arg, worker->address);
        arg = at + sizeof mark - 1;
    }
    return text;
}

void sp__stock_argv_free(char **argv)
{
    for (size_t i = 0; argv != NULL && argv[i] != NULL; i++) {
        sp__free(argv[i]);
    }
    sp__free(argv);
}

int sp__stock_argv(const struct worker *worker, char ***ret_argv, sp_error *err)
{
    size_t count = 0;
    size_t n = 0;
    while (worker->spec->argv[count] != NULL) {
        count++;
    }
    char **argv = sp__calloc(count + FLAGS_MAX + 1, sizeof *argv);
    int rc = argv != NULL ? SP_OK : SP_ERR_NOMEM;
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        rc = add(argv, &n, with_address(worker, worker->spec->argv[i]));
    }
    if (rc == SP_OK && has_port(worker)) {
        rc = add_flags(worker, argv, &n);
    }
    if (rc < 0) {
        sp__stock_argv_free(argv);
        return sp__fail(err, rc, "no memory for the arguments");
    }
    *ret_argv = argv;
    return SP_OK;
}

/* ---- the port that a worker tells ---- */

static uint16_t port_of(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return end != text && port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

void sp__stock_printed(struct worker *worker, const char *line)
{
    const char *mark =
        has_port(worker) && worker->state == WORKER_STARTING && worker->port == 0
            ? strstr(line, ready_mark)
            : NULL;
    if (mark != NULL) {
        worker->port = port_of(mark + strlen(ready_mark));
    }
}

/* The file is moved to its name when it is whole. */
static void read_ready_file(struct worker *worker)
{
    char text[32];
    struct stat facts;
    /* What lies there is the worker's: never wait for a FIFO of it. */
    int fd = open(worker->address, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode)) {
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        worker->port = port_of(text);
    }
    (void)close(fd);
}

/* ---- connections ---- */

void sp__stock_try_later(struct worker *worker)
{
    sp__timer_set(worker->shop->loop, &worker->connect,
                  sp__loop_now_ms(worker->shop->loop) + CONNECT_RETRY_MS);
}

/* A connection under way, or -1: it does not listen yet. */
static int reach_path(const struct worker *worker)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", worker->address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static int reach_port(struct worker *worker)
{
    sp_error why = {0};
    if (worker->port == 0) {
        read_ready_file(worker);
    }
    /* Its number comes from the guard, and may be later than its word. */
    if (worker->port == 0 || worker->pid == 0) {
        return -1;
    }
    int rc = sp__port_owner_check(worker->port, worker->pid, &why);
    if (rc == SP_ERR_REFUSED) {
        sp__fail(&worker->refusal, SP_ERR_START_FAILED, "%s", why.message);
        sp__worker_stop(worker, WHY_REFUSED);
    }
    sp_error_clear(&why);
    if (rc <= 0) {
        return -1;
    }
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(worker->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0 &&
        errno != EINPROGRESS) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

void sp__stock_connect(struct worker *worker)
{
    sp__channel_close(&worker->calls);
    int fd = has_port(worker) ? reach_port(worker) : reach_path(worker);
    if (worker->state != WORKER_STARTING) {
        return; /* refused */
    }
    struct duplex_fds fds = sp__duplex_socket(fd);
    if (fd >= 0 && sp__worker_open_calls(worker, &fds, 0, NULL) < 0) {
        (void)close(fd);
        fd = -1;
    }
    if (fd >= 0 && sp__worker_send_ping(worker, NULL) < 0) {
        sp__channel_close(&worker->calls);
        fd = -1;
    }
    if (fd < 0) {
        sp__stock_try_later(worker);
    }
}
