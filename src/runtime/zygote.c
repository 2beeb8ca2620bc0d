/* SPDX-License-Identifier: MIT */
/*
 * A zygote: what it says to its host, and the workers it forks at the guard's wish.
 *
 * The normal course: opened before anything else is loaded, so that the numbers of the
 * workers' descriptors are free and stay so; announced when everything is loaded; then
 * one request of the guard after the other (wire/zygote.h), each of which becomes a worker
 * (newborn.c). It waits for nothing but its two sockets. The end of either means that it
 * is wanted no more.
 *
 * How it fails: what it cannot do for one worker is said on that one's status pipe, and
 * it goes on. It has one thread; fork() copies no other, and locks that another one holds
 * would stay held for ever.
 */
#include "runtime/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"
#include "wire/proto.h"
#include "wire/stubs.h"

#define HOST_VARIABLE "SNAKEPIT_ZYGOTE_HOST_FD"
#define GUARD_VARIABLE "SNAKEPIT_ZYGOTE_FD"

enum {
    TRACE_MAX = 32 * 1024,   /* bytes of a traceback that are told */
    THREADS_TRIES = 200,     /* a thread that was joined may take a moment to be gone */
    THREADS_PAUSE_US = 1000, /* between two looks */
    LINKS_OF_A_FOLDER = 2
};

/* ---- opening ---- */

static int read_number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long fd = text != NULL ? strtol(text, &end, 10) : -1;
    return text != NULL && *text != '\0' && *end == '\0' && fd > 2 && fd <= INT32_MAX
               ? (int)fd
               : -1;
}

SP_API int sp_zygote_is_wanted(void)
{
    return getenv(GUARD_VARIABLE) != NULL;
}

static int take_socket(const char *name, int *ret_fd, sp_error *err)
{
    int fd = read_number(name);
    int type = 0;
    socklen_t size = sizeof type;
    if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_SEQPACKET) {
        const char *text = getenv(name);
        return sp__fail(err, SP_ERR_INVAL,
                        "%s='%.40s' is no socket of packets: a zygote is started by a "
                        "pit",
                        name, text != NULL ? text : "");
    }
    (void)unsetenv(name);
    *ret_fd = fd;
    return SP_OK;
}

/* Nothing that is loaded from now on gets a number that is a worker's. */
static int reserve_numbers(struct sp_zygote *z, sp_error *err)
{
    for (int fd = 3; fd < NEWBORN_FDS; fd++) {
        if (fd == z->host_fd || fd == z->guard_fd) {
            continue;
        }
        if (fcntl(fd, F_GETFD) >= 0) {
            return sp__fail(err, SP_ERR_INVAL,
                            "descriptor %d is open already: a zygote is opened before "
                            "anything else",
                            fd);
        }
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        int rc = null < 0 ? -1 : null == fd ? fd : dup3(null, fd, O_CLOEXEC);
        int wrong = errno;
        if (null >= 0 && null != fd) {
            (void)close(null);
        }
        if (rc < 0) {
            return sp__fail_errno(err, wrong, "keep descriptor %d for workers", fd);
        }
        z->kept[z->kept_count++] = fd;
    }
    return SP_OK;
}

static int take_options(struct sp_zygote *z, const sp_zygote_options *options,
                        sp_error *err)
{
    sp_zygote_options *o = &z->options;
    int rc = sp__take_options("sp_zygote_options", options, o, sizeof *o, err);
    if (rc < 0) {
        return rc;
    }
    if ((o->on_fork == NULL) != (o->on_forked == NULL)) {
        return sp__fail(err, SP_ERR_INVAL, "on_fork and on_forked belong together");
    }
    z->runtime = sp__strdup(o->runtime != NULL ? o->runtime : "c");
    o->runtime = NULL;
    return z->runtime != NULL ? SP_OK
                              : sp__fail(err, SP_ERR_NOMEM, "no memory for a zygote");
}

SP_API int sp_zygote_open(const sp_zygote_options *options, sp_zygote **ret_zygote,
                          sp_error *err)
{
    struct sp_zygote *z = sp__calloc(1, sizeof *z);
    if (z == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a zygote");
    }
    z->host_fd = z->guard_fd = -1;
    int rc = take_options(z, options, err);
    if (rc == SP_OK) {
        rc = take_socket(HOST_VARIABLE, &z->host_fd, err);
    }
    if (rc == SP_OK) {
        rc = take_socket(GUARD_VARIABLE, &z->guard_fd, err);
    }
    if (rc == SP_OK) {
        rc = reserve_numbers(z, err);
    }
    if (rc < 0) {
        sp_zygote_close(z);
        return rc;
    }
    *ret_zygote = z;
    return SP_OK;
}

void sp__zygote_let_go(struct sp_zygote *z)
{
    for (int i = 0; i < z->kept_count; i++) {
        (void)close(z->kept[i]);
    }
    z->kept_count = 0;
    if (z->host_fd >= 0) {
        (void)close(z->host_fd);
    }
    if (z->guard_fd >= 0) {
        (void)close(z->guard_fd);
    }
    z->host_fd = z->guard_fd = -1;
}

SP_API void sp_zygote_close(sp_zygote *z)
{
    if (z == NULL) {
        return;
    }
    sp__zygote_let_go(z);
    sp__free(z->runtime);
    sp__free(z->variables);
    sp__free(z->block);
    sp__free(z);
}

SP_API const char *const *sp_zygote_variables(const sp_zygote *z)
{
    static const char *const none[] = {NULL};
    return z->variables != NULL ? z->variables : none;
}

/* ---- telling the host ---- */

SP_API int sp_zygote_threads(void)
{
    struct stat tasks; /* a folder has a link from each folder in it, and two more */
    return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > LINKS_OF_A_FOLDER
               ? (int)tasks.st_nlink - LINKS_OF_A_FOLDER
               : 1;
}

static int tell(struct sp_zygote *z, const struct proto_announce *head, sp_error *err)
{
    struct proto_announce announce = *head;
    announce.protocol_version = SP__PROTOCOL_VERSION;
    announce.worker_id = "zygote";
    announce.runtime = z->runtime;
    announce.pid = getpid();
    struct sp_buffer message;
    sp__buf_init(&message, SIZE_MAX);
    int rc = sp__proto_put_announce(&message, &announce, err);
    while (rc == SP_OK &&
           send(z->host_fd, message.data, message.size, MSG_NOSIGNAL) < 0) {
        if (errno != EINTR) {
            rc = sp__fail(err, SP_ERR_CLOSED, "the host is gone");
        }
    }
    sp__buf_fini(&message);
    return rc;
}

SP_API int sp_zygote_announce(sp_zygote *z, sp_error *err)
{
    int threads = sp_zygote_threads();
    for (int i = 0; threads > 1 && i < THREADS_TRIES; i++) {
        (void)usleep(THREADS_PAUSE_US);
        threads = sp_zygote_threads();
    }
    if (threads > 1) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "a zygote must have one thread, and this process has %d",
                        threads);
    }
    return tell(z, &(struct proto_announce){0}, err);
}

/* Its beginning, cut between two characters. */
static char *copy_trace(const char *trace)
{
    if (trace == NULL) {
        return NULL;
    }
    size_t n = strnlen(trace, TRACE_MAX);
    if (n == TRACE_MAX) {
        while (n > 0 && ((unsigned char)trace[n] & 0xC0) == 0x80) {
            n--;
        }
    }
    return sp__strndup(trace, n);
}

SP_API void sp_zygote_refuse(sp_zygote *z, int permanent, const char *type,
                             const char *message, const char *trace)
{
    struct proto_announce head = {.failed = 1,
                                  .permanent = permanent != 0,
                                  .error_type = sp__strdup(type),
                                  .error_message = sp__strdup(message),
                                  .error_trace = copy_trace(trace)};
    (void)tell(z, &head, NULL); /* nobody is left to tell */
    sp__free(head.error_type);
    sp__free(head.error_message);
    sp__free(head.error_trace);
}

/* ---- requests ---- */

static void close_fds(struct newborn *n)
{
    for (size_t i = 0; i < n->fds_count; i++) {
        (void)close(n->fds[i]);
    }
    n->fds_count = 0;
}

static void collect_fds(struct newborn *n, struct msghdr *header)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg != NULL;
         cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS) {
            n->fds_count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(n->fds, CMSG_DATA(cmsg), n->fds_count * sizeof(int));
        }
    }
    /* Out of the way of a worker's numbers, should user code have closed one of them. */
    for (size_t i = 0; i < n->fds_count; i++) {
        int fd = n->fds[i];
        if (fd < NEWBORN_FDS) {
            n->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, NEWBORN_FDS);
            (void)close(fd);
        }
    }
}

/* 1: a request; 0: the guard is gone; -1 with errno. */
static int receive(struct sp_zygote *z, struct newborn *n)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ZYGOTE_FDS_MAX)];
        struct cmsghdr align;
    } space;
    struct iovec part = {.iov_base = &n->request, .iov_len = sizeof n->request};
    struct msghdr header = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = space.bytes,
        .msg_controllen = sizeof space.bytes,
    };
    ssize_t got = recvmsg(z->guard_fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got <= 0) {
        return got == 0 || errno == ECONNRESET ? 0 : -1;
    }
    collect_fds(n, &header);
    const struct zygote_request *request = &n->request;
    size_t wanted = 2 + (size_t)(request->has_lifeline != 0) + request->groups +
                    (size_t)request->fds;
    if (got != (ssize_t)sizeof *request || request->fds > NEWBORN_FDS ||
        wanted != n->fds_count) {
        close_fds(n); /* its status pipe too: the guard takes that for a no */
        errno = EAGAIN;
        return -1;
    }
    return 1;
}

/* Wait for the process between to be gone, and the worker the guard's child by that; the
 * errno of its fork, or 0. */
static int await_middle(pid_t middle)
{
    int status = 0;
    pid_t ended;
    do {
        ended = waitpid(middle, &status, 0);
    } while (ended < 0 && errno == EINTR);
    return ended == middle && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/* Fork twice. The process between has the zygote's memory itself, not a copy, for it does
 * nothing with it; the zygote stands still meanwhile. 1 in the worker; in the zygote 0,
 * or a negated errno. */
static int fork_worker(const int gate[2])
{
    pid_t middle = vfork();
    if (middle == 0) {
        pid_t worker = fork();
        if (worker != 0) {
            _exit(worker < 0 ? errno : 0);
        }
        return 1;
    }
    int wrong = middle < 0 ? errno : await_middle(middle);
    if (wrong == 0) {
        (void)!write(gate[1], "", 1); /* the worker may go on */
    }
    return -wrong;
}

/* 1: this is the worker. */
static int make_worker(struct sp_zygote *z, struct newborn *n)
{
    int gate[2] = {-1, -1};
    if (z->options.on_fork != NULL) {
        z->options.on_fork(z->options.user_data);
    }
    int rc = pipe2(gate, O_CLOEXEC) == 0 ? fork_worker(gate) : -errno;
    if (rc > 0) {
        sp__newborn_tie(z, n, gate);
        return 1;
    }
    if (z->options.on_forked != NULL) {
        z->options.on_forked(z->options.user_data);
    }
    if (rc < 0) {
        sp__newborn_say(n, n->request.fork_stage, -rc);
    }
    if (gate[0] >= 0) {
        (void)close(gate[0]);
        (void)close(gate[1]);
    }
    close_fds(n);
    return 0;
}

SP_API int sp_zygote_next(sp_zygote *z, sp_error *err)
{
    for (;;) {
        struct pollfd polled[] = {{.fd = z->guard_fd, .events = POLLIN},
                                  {.fd = z->host_fd, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0) {
            if (errno == EINTR || errno == ENOMEM) {
                continue;
            }
            return sp__fail_errno(err, errno, "a zygote waits for requests");
        }
        if (polled[1].revents != 0) {
            return 0; /* it says nothing: it has closed its end */
        }
        struct newborn newborn = {0};
        int got = receive(z, &newborn);
        if (got == 0) {
            return 0;
        }
        if (got > 0 && make_worker(z, &newborn)) {
            return 1;
        }
    }
}
