/* SPDX-License-Identifier: MIT */
/*
 * The sender of StatsD lines: a thread that gathers every interval, and once more at the end.
 *
 * Datagrams are filled up to what fits a frame. What the socket does not take at once is
 * lost, as is what nobody listens to: that is StatsD's bargain, and nothing here waits. A
 * round without memory is left out; the next one has its differences too.
 */
#include "telemetry/statsd.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/latch.h"
#include "base/mem.h"
#include "base/thread.h"
#include "pit/pit.h"

enum { PREFIX_MAX = 100 };

struct statsd {
    sp_pit *pit;
    uint64_t interval_ms;
    int fd;
    pthread_t thread;
    struct latch stopped;

    /* Its thread. */
    struct metrics before;
    int has_before;
    char datagram[STATSD_DATAGRAM_MAX];
    size_t filled;

    char prefix[PREFIX_MAX + 1];
};

/* ---- sending ---- */

static void flush(struct statsd *statsd)
{
    if (statsd->filled > 0) {
        /* Without the last line end. Who does not listen is no failure, but a figure. */
        if (send(statsd->fd, statsd->datagram, statsd->filled - 1,
                 MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            atomic_fetch_add(
                &statsd->pit->exports_lost[EXPORT_STATSD][EXPORT_UNREACHED], 1);
        }
        statsd->filled = 0;
    }
}

static void add_line(void *user, const char *line, size_t size)
{
    struct statsd *statsd = user;
    if (statsd->filled + size > sizeof statsd->datagram) {
        flush(statsd);
    }
    memcpy(statsd->datagram + statsd->filled, line, size);
    statsd->filled += size;
}

static void send_round(struct statsd *statsd)
{
    struct metrics now;
    sp_error failure = {0};
    if (sp__metrics_gather(statsd->pit, &now, &failure) < 0) {
        sp_error_clear(&failure);
        return;
    }
    sp__statsd_lines(statsd->has_before ? &statsd->before : NULL, &now, statsd->prefix,
                     add_line, statsd);
    flush(statsd);
    if (statsd->has_before) {
        sp__metrics_fini(&statsd->before);
    }
    statsd->before = now;
    statsd->has_before = 1;
}

static void *run(void *arg)
{
    struct statsd *statsd = arg;
    while (!sp__latch_wait(&statsd->stopped, statsd->interval_ms)) {
        send_round(statsd);
    }
    send_round(statsd);
    return NULL;
}

/* ---- life ---- */

/* Names are not looked up: that may take long, and change. */
static int connect_to(const char *address, int *ret_fd, sp_error *err)
{
    char host[64];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    size_t length = colon != NULL ? (size_t)(colon - address) : 0;
    int is_bracketed = length > 2 && address[0] == '[' && colon[-1] == ']';
    (void)snprintf(host, sizeof host, "%.*s", (int)(is_bracketed ? length - 2 : length),
                   address + is_bracketed);
    if (length == 0 || length >= sizeof host ||
        getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        return sp__fail(
            err, SP_ERR_CONFIG,
            "telemetry.statsd is \"%.100s\": an address and a port, such as "
            "127.0.0.1:8125",
            address);
    }
    int rc = SP_OK;
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0) {
        rc = sp__fail_errno(err, errno, "a socket for StatsD");
    }
    freeaddrinfo(found);
    if (rc < 0 && fd >= 0) {
        (void)close(fd);
        fd = -1;
    }
    *ret_fd = fd;
    return rc;
}

int sp__statsd_open(sp_pit *pit, const char *address, const char *prefix,
                    uint64_t interval_ms, struct statsd **ret_statsd, sp_error *err)
{
    if (strlen(prefix) > PREFIX_MAX) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "telemetry.statsd_prefix has %zu bytes: at most %d",
                        strlen(prefix), PREFIX_MAX);
    }
    struct statsd *statsd = sp__calloc(1, sizeof *statsd);
    if (statsd == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for StatsD");
    }
    statsd->pit = pit;
    statsd->interval_ms = interval_ms;
    memcpy(statsd->prefix, prefix, strlen(prefix));
    sp__latch_init(&statsd->stopped);
    int rc = connect_to(address, &statsd->fd, err);
    if (rc == SP_OK) {
        int failed = sp__thread_start(&statsd->thread, NULL, run, statsd);
        if (failed != 0) {
            rc = sp__fail_errno(err, failed, "start the thread of StatsD");
            (void)close(statsd->fd);
        }
    }
    if (rc < 0) {
        sp__free(statsd);
        return rc;
    }
    *ret_statsd = statsd;
    return SP_OK;
}

void sp__statsd_close(struct statsd *statsd)
{
    if (statsd == NULL) {
        return;
    }
    sp__latch_open(&statsd->stopped);
    (void)pthread_join(statsd->thread, NULL);
    (void)close(statsd->fd);
    if (statsd->has_before) {
        sp__metrics_fini(&statsd->before);
    }
    sp__free(statsd);
}
