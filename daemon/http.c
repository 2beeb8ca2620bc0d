/* SPDX-License-Identifier: MIT */
/*
 * The HTTP listener's connections, on libmicrohttpd with one thread.
 *
 * A request without a body is answered at once, from what http_answers.c says; while it
 * asks the pit's loops the others wait. Connections are bounded in number and in time. What
 * cannot be answered for want of memory is closed.
 */
#include "http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"

enum { CONNECTION_BYTES = 16 * 1024 };

struct http {
    sp_pit *pit;
    struct MHD_Daemon *daemon;
    char path[108]; /* of a unix socket, to be removed, or "" */
};

static enum MHD_Result queue(struct MHD_Connection *connection,
                             const struct http_answer *answer)
{
    if (answer->body == NULL) {
        return MHD_NO;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->size, answer->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(answer->body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (answer->status == HTTP_METHOD_NOT_ALLOWED) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    }
    enum MHD_Result queued = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result request_cb(void *user, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *data, size_t *size,
                                  void **state)
{
    static int begun;
    const struct http *http = user;
    struct http_answer answer;
    if (*state == NULL) {
        *state = &begun; /* there are headers, and not yet the body that nobody wants */
        return MHD_YES;
    }
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    http_answer(http->pit, method, url,
                MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                            MHD_HTTP_HEADER_ACCEPT),
                &answer);
    return queue(connection, &answer);
}

static int start(struct http *http, const sp_http_options *options, int fd,
                 sp_error *err)
{
    unsigned seconds = (unsigned)((options->timeout_ms + 999) / 1000);
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, request_cb, http,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, options->clients_max,
        MHD_OPTION_CONNECTION_TIMEOUT, seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (http->daemon == NULL) {
        (void)close(fd);
        return sp_error_set(err, SP_ERR_SYSTEM, "the HTTP listener did not start");
    }
    return 0;
}

/* The address, and whether it may be taken. */
static int read_address(const sp_http_options *options, struct http_address *ret,
                        sp_error *err)
{
    int rc = http_address_parse(options->listen, ret, err);
    if (rc == 0 && !ret->is_loopback) {
        log_line(SP_LOG_WARN, "config.warning",
                 "http.listen is %s: everybody who reaches this machine sees the "
                 "metrics",
                 options->listen);
    }
    return rc;
}

int http_check(const sp_http_options *options, sp_error *err)
{
    struct http_address address;
    return options->listen != NULL ? read_address(options, &address, err) : 0;
}

int http_open(sp_pit *pit, const sp_http_options *options, struct http **ret_http,
              sp_error *err)
{
    struct http_address address;
    char where[160];
    *ret_http = NULL;
    if (options->listen == NULL) {
        return 0;
    }
    int rc = read_address(options, &address, err);
    if (rc < 0) {
        return rc;
    }
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return sp_error_set(err, SP_ERR_NOMEM, "no memory for the HTTP listener");
    }
    http->pit = pit;
    rc = http_socket_open(&address, where, sizeof where, err);
    if (rc >= 0) {
        memcpy(http->path, address.path, sizeof http->path);
        rc = start(http, options, rc, err);
    }
    if (rc < 0) {
        http_close(http);
        return rc;
    }
    log_line(SP_LOG_INFO, "http.listening", "%s", where);
    *ret_http = http;
    return 0;
}

void http_close(struct http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->daemon != NULL) {
        MHD_stop_daemon(http->daemon);
    }
    if (http->path[0] != '\0' && http->daemon != NULL) {
        (void)unlink(http->path);
    }
    free(http);
}
