/* SPDX-License-Identifier: MIT */
/*
 * A line to a daemon: a socket with HTTP/2 on it, and a thread that waits in poll().
 *
 * Normal course: connect, begin an rpc, take turns until it has ended, begin the next.
 * Nothing is done between turns, so a line that lies idle hears only when it is looked
 * at that the daemon has closed it.
 *
 * Failure: end of file, a failed system call and a broken protocol end the line; its
 * rpcs end with SP_ERR_CLOSED, and whether the daemon did what they asked is not known
 * unless it said so before.
 */
#include "serve/line.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/proto.h"

enum { READ_BYTES = 64 * 1024, WRITE_BYTES = 256 * 1024 };

/* Of one answer: a whole export may come in one. */
#define MESSAGE_MAX ((size_t)1 << 30)

/* ---- rpcs ---- */

/* What a status without our details stands for. */
static int code_of_status(const struct h2_status *status)
{
    switch (status->grpc_status) {
    case -1: /* cut off */
    case GRPC_UNAVAILABLE:
        return SP_ERR_CLOSED;
    case GRPC_CANCELLED:
        return SP_ERR_CANCELLED;
    case GRPC_INVALID_ARGUMENT:
        return SP_ERR_INVAL;
    case GRPC_DEADLINE_EXCEEDED:
        return SP_ERR_TIMEOUT;
    case GRPC_NOT_FOUND:
        return SP_ERR_NOT_FOUND;
    case GRPC_RESOURCE_EXHAUSTED:
        return SP_ERR_TOO_BIG;
    case GRPC_UNIMPLEMENTED:
        return SP_ERR_UNSUPPORTED;
    default:
        return SP_ERR_PROTOCOL;
    }
}

static void on_headers(void *user, struct h2_stream *stream)
{
    struct line_rpc *rpc = sp__h2_stream_user(stream);
    (void)user;
    if (rpc != NULL) {
        rpc->accepted = 1;
    }
}

static void on_message(void *user, struct h2_stream *stream, const uint8_t *data,
                       size_t size)
{
    struct line_rpc *rpc = sp__h2_stream_user(stream);
    sp_bytes message = {(const char *)data, size};
    (void)user;
    if (rpc == NULL) {
        return;
    }
    rpc->accepted = 1;
    if (rpc->on_message(rpc, message, &rpc->failure) < 0) {
        sp__line_forget(rpc);
    }
}

static void on_end(void *user, struct h2_stream *stream, const struct h2_status *status)
{
    struct line_rpc *rpc = sp__h2_stream_user(stream);
    (void)user;
    if (rpc == NULL) {
        return;
    }
    rpc->stream = NULL;
    rpc->refused = status->refused;
    if (status->grpc_status == GRPC_OK ||
        (status->details_size > 0 &&
         sp__proto_get_failure(status->details, status->details_size, &rpc->failure) ==
             1)) {
        return;
    }
    (void)sp__fail(&rpc->failure, code_of_status(status), "%s",
                   status->message[0] != '\0' ? status->message
                   : status->grpc_status < 0
                       ? "the daemon went away before it had answered"
                       : "the daemon gave no reason");
}

static void on_goaway(void *user, uint32_t error_code)
{
    struct line *line = user;
    (void)error_code; /* what it means for an rpc is told with the rpc's end */
    line->leaving = 1;
}

/* A daemon that calls us has mistaken the roles. */
static int on_request(void *user, struct h2_stream *stream,
                      const struct h2_request *request)
{
    (void)user;
    (void)stream;
    (void)request;
    return GRPC_UNIMPLEMENTED;
}

static const struct h2_events events = {
    .on_request = on_request,
    .on_headers = on_headers,
    .on_message = on_message,
    .on_end = on_end,
    .on_goaway = on_goaway,
};

int sp__line_begin(struct line *line, struct line_rpc *rpc,
                   const struct line_request *request, sp_error *err)
{
    sp_bytes message = request->message;
    if (message.data == NULL) {
        message.data = ""; /* a message of no bytes is one */
    }
    return sp__h2_open(line->h2, request->path, request->timeout_ms, request->headers,
                       request->headers_count, message, 1, rpc, &rpc->stream, err);
}

void sp__line_forget(struct line_rpc *rpc)
{
    if (rpc->stream != NULL) {
        sp__h2_stream_set_user(rpc->stream, NULL);
        sp__h2_reset(rpc->stream, RST_CANCEL);
        rpc->stream = NULL;
    }
}

/* ---- the socket ---- */

/* 1, or 0 when the time has come. */
static int wait_for(int fd, short wanted, uint64_t until_ms)
{
    struct pollfd polled = {.fd = fd, .events = wanted};
    for (;;) {
        uint64_t now = sp__now_ms();
        uint64_t left = until_ms > now ? until_ms - now : 0;
        int timeout = until_ms == UINT64_MAX ? -1
                      : left > INT_MAX       ? INT_MAX
                                             : (int)left;
        int n = poll(&polled, 1, timeout);
        if (n > 0) {
            return 1;
        }
        if (n == 0 && left <= INT_MAX) {
            return 0;
        }
        /* EINTR and the like: a signal is no reason to stop waiting. */
    }
}

/* The kernel is done at once with a unix socket, unless the daemon's queue is full. */
static int connect_to(int fd, const char *path, uint64_t until_ms, sp_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        if (errno == EAGAIN) {
            uint64_t now = sp__now_ms();
            if (now >= until_ms) {
                return sp__fail(err, SP_ERR_TIMEOUT,
                                "the daemon at %s accepts nobody in time", path);
            }
            (void)poll(NULL, 0, 10); /* nothing tells when the queue has room */
        } else if (errno != EINTR) {
            return sp__fail(err, SP_ERR_SYSTEM, "no daemon at unix:%s: %s", path,
                            strerror(errno));
        }
    }
    return SP_OK;
}

int sp__line_open(const char *path, uint64_t until_ms, struct line **ret_line,
                  sp_error *err)
{
    struct h2_options options = {.message_max = MESSAGE_MAX};
    struct line *line = sp__calloc(1, sizeof *line);
    if (line == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a connection");
    }
    sp__buf_init(&line->out, SIZE_MAX);
    line->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc = SP_OK;
    if (line->fd < 0) {
        rc = sp__fail(err, SP_ERR_SYSTEM, "no socket: %s", strerror(errno));
    }
    if (rc == SP_OK) {
        rc = connect_to(line->fd, path, until_ms, err);
    }
    if (rc == SP_OK) {
        rc = sp__h2_new(H2_CLIENT, &options, &events, line, &line->h2, err);
    }
    if (rc < 0) {
        sp__line_close(line);
        return rc;
    }
    *ret_line = line;
    return SP_OK;
}

void sp__line_close(struct line *line)
{
    if (line == NULL) {
        return;
    }
    if (line->h2 != NULL) {
        sp__h2_free(line->h2);
    }
    if (line->fd >= 0) {
        (void)close(line->fd); /* nothing is left to be written */
    }
    sp__buf_fini(&line->out);
    sp__free(line);
}

/* ---- turns ---- */

static int closed(sp_error *err, const char *why)
{
    return sp__fail(err, SP_ERR_CLOSED, "the connection to the daemon ended: %s", why);
}

/* Write until all is out or the socket takes no more. */
static int write_out(struct line *line, sp_error *err)
{
    for (;;) {
        if (line->out_at == line->out.size) {
            line->out.size = line->out_at = 0;
            if (!sp__h2_wants_send(line->h2)) {
                return SP_OK;
            }
            int rc = sp__h2_send(line->h2, &line->out, WRITE_BYTES, err);
            if (rc < 0) {
                return rc;
            }
            if (line->out.size == 0) {
                return SP_OK;
            }
        }
        ssize_t n = send(line->fd, line->out.data + line->out_at,
                         line->out.size - line->out_at, MSG_NOSIGNAL);
        if (n >= 0) {
            line->out_at += (size_t)n;
        } else if (errno == EAGAIN) {
            return SP_OK;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            /* What it said before it left may still be there to be read. */
            line->out_at = line->out.size;
            return SP_OK;
        } else if (errno != EINTR) {
            return closed(err, strerror(errno));
        }
    }
}

/* Take what is there: 1 when there was something, 0 when not. */
static int read_in(struct line *line, sp_error *err)
{
    uint8_t data[READ_BYTES];
    ssize_t n = recv(line->fd, data, sizeof data, 0);
    if (n > 0) {
        int rc = sp__h2_receive(line->h2, data, (size_t)n, err);
        return rc < 0 ? rc : 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return 0;
    }
    return closed(err, n == 0 ? "it has hung up" : strerror(errno));
}

int sp__line_turn(struct line *line, uint64_t until_ms, sp_error *err)
{
    for (;;) {
        int rc = write_out(line, err);
        if (rc < 0) {
            return rc;
        }
        short wanted = line->out_at < line->out.size ? POLLIN | POLLOUT : POLLIN;
        if (!wait_for(line->fd, wanted, until_ms)) {
            return 0;
        }
        rc = read_in(line, err);
        if (rc != 0) {
            return rc;
        }
    }
}

int sp__line_is_usable(struct line *line)
{
    int rc;
    do {
        rc = read_in(line, NULL);
    } while (rc > 0);
    return rc == 0 && !line->leaving && sp__h2_ids_left(line->h2) > 0 &&
           write_out(line, NULL) == SP_OK;
}
