/* SPDX-License-Identifier: MIT */
/*
 * Starting a worker process: descriptors, environment, and the guard's errand.
 *
 * A native worker gets two connections and a shared page; it listens nowhere and the end of
 * a connection is death notice. The one for calls has pipes beside its socket: base/duplex.h.
 * A stock gRPC worker is told where to listen, or tells where it does: stock.c.
 *
 * Everything is made close-on-exec and handed to the guard, which alone forks; our copies
 * of the worker's ends are closed at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/pipe.h"
#include "worker/internal.h"
#include "worker/stock.h"

enum {
    SOCKET_BYTES = 1 << 20,  /* on the way in a call connection, each way */
    PIPE_BYTES = 64 * 1024,  /* the same of pipes, at least */
    WORKER_STDIO = 3,        /* 0, 1, 2 */
    WORKER_FDS_MAX = 9,      /* and three for calls, one to ask, the page, the memory */
    ENV_OWN_MAX = 8,         /* variables put on top of the spec's */
    ASKS_MAX = 1024,         /* questions of one worker at a time */
    ASK_BYTES_MAX = 16 << 20 /* of one */
};

/* The descriptors of one launch: ours and the worker's. -1 where there is none. */
struct ends {
    int null;
    int output[2];             /* of what it prints: the ends that are read, */
    int printed[2];            /* and those that are written */
    struct duplex_fds call[2]; /* ours and the worker's */
    int host[2];               /* likewise */
    int page;
    int memory;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

static void close_duplex(struct duplex_fds *fds)
{
    if (fds->in != fds->socket) {
        close_fd(&fds->in);
    }
    if (fds->out != fds->socket) {
        close_fd(&fds->out);
    }
    close_fd(&fds->socket);
    *fds = sp__duplex_socket(-1);
}

static void close_ends(struct ends *ends)
{
    close_fd(&ends->null);
    close_fd(&ends->output[0]);
    close_fd(&ends->output[1]);
    close_fd(&ends->printed[0]);
    close_fd(&ends->printed[1]);
    close_duplex(&ends->call[0]);
    close_duplex(&ends->call[1]);
    close_fd(&ends->host[0]);
    close_fd(&ends->host[1]);
    close_fd(&ends->page);
    close_fd(&ends->memory);
}

static int make_page(struct worker *worker, struct ends *ends, sp_error *err)
{
    ends->page = memfd_create("snakepit-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ends->page < 0 || ftruncate(ends->page, WORKER_SHARED_BYTES) < 0) {
        return sp__fail_errno(err, errno, "make the page of worker %s", worker->name);
    }
    /* A worker that shrank it would kill the host by SIGBUS. */
    (void)fcntl(ends->page, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    void *page = mmap(NULL, WORKER_SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                      ends->page, 0);
    if (page == MAP_FAILED) {
        return sp__fail_errno(err, errno, "map the page of worker %s", worker->name);
    }
    worker->page = page;
    return SP_OK;
}

/* Let a socket take more at once, as far as the system allows: each time one side has to
 * wait for the other costs two changes of process. Only what is under way uses memory. */
static void widen(int fd)
{
    int bytes = SOCKET_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static int make_socket_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0
               ? -1
               : fcntl(fds[0], F_SETFL, O_NONBLOCK);
}

/* Pipes beside the socket, where they are to be had: the system gives small ones to a user
 * who has very many. */
static void add_pipes(struct duplex_fds call[2])
{
    struct duplex_fds ours = sp__duplex_socket(-1);
    struct duplex_fds theirs = ours;
    if (sp__pipe_open(&theirs.in, &ours.out) >= PIPE_BYTES &&
        sp__pipe_open(&ours.in, &theirs.out) >= PIPE_BYTES) {
        ours.socket = call[0].socket;
        theirs.socket = call[1].socket;
        call[0] = ours;
        call[1] = theirs;
    } else {
        close_duplex(&ours);
        close_duplex(&theirs);
    }
}

static int make_call_ends(const struct worker *worker, struct ends *ends)
{
    int sockets[2] = {-1, -1};
    int rc = make_socket_pair(sockets);
    ends->call[0] = sp__duplex_socket(sockets[0]);
    ends->call[1] = sp__duplex_socket(sockets[1]);
    if (rc < 0) {
        return -1;
    }
    widen(sockets[0]);
    widen(sockets[1]);
    if (worker->spec->uses_pipes) {
        add_pipes(ends->call);
    }
    return 0;
}

static int make_ends(struct worker *worker, struct ends *ends, sp_error *err)
{
    int native = worker->spec->transport == SP_TRANSPORT_INHERITED;
    ends->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends->null < 0 || sp__output_pipes(ends->output, ends->printed) < 0) {
        return sp__fail_errno(err, errno, "make the pipes of worker %s", worker->name);
    }
    if (!native) {
        return SP_OK;
    }
    if (make_call_ends(worker, ends) < 0 || make_socket_pair(ends->host) < 0) {
        return sp__fail_errno(err, errno, "make the connections of worker %s",
                              worker->name);
    }
    ends->memory = sp__worker_memory_open(worker); /* without it sockets do */
    return make_page(worker, ends, err);
}

int sp__worker_open_calls(struct worker *worker, const struct duplex_fds *fds,
                          int trusted, sp_error *err)
{
    struct h2_options options = {
        .trusted = trusted,
        .message_max = worker->spec->response_max_bytes,
        .authority = "localhost",
        .first_stream_id = worker->shop->first_stream_id,
    };
    int rc =
        sp__channel_open(&worker->calls, &worker->shop->channels, fds, H2_CLIENT,
                         &options, &sp__call_events, worker, sp__worker_on_broken, err);
    if (rc == SP_OK) {
        worker->calls.page = worker->page;
    }
    return rc;
}

/* ---- the errand ---- */

/* Another run's mark, of a host that is itself a worker, and the name of an instance,
 * which a pit inside a worker would take for its own. */
static int is_hidden(const struct workshop *shop, const char *entry)
{
    return shop->instance != NULL &&
           (strncmp(entry, MARK_VARIABLE "=", sizeof MARK_VARIABLE) == 0 ||
            strncmp(entry, "SNAKEPIT_INSTANCE=", 18) == 0);
}

static size_t count_strings(const char *const *strings)
{
    size_t n = 0;
    while (strings[n] != NULL) {
        n++;
    }
    return n;
}

/* Our variables in front: execve takes the first of two equal names in most libcs, and
 * the spec's environment was composed without them. */
int sp__worker_compose_env(const struct workshop *shop, const struct worker_spec *spec,
                           const char *const *own, int inherits, const char ***ret_env,
                           sp_error *err)
{
    const char *const *others = (const char *const *)spec->env;
    size_t count = count_strings(own) + count_strings(others);
    const char **env = sp__calloc(count + 2, sizeof *env);
    if (env == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the environment");
    }
    size_t n = 0;
    if (shop->instance != NULL) {
        env[n++] = sp__instance_mark(shop->instance);
    }
    for (size_t i = 0; own[i] != NULL; i++) {
        env[n++] = own[i];
    }
    for (size_t i = 0; inherits && others[i] != NULL; i++) {
        if (!is_hidden(shop, others[i])) {
            env[n++] = others[i];
        }
    }
    *ret_env = env;
    return SP_OK;
}

/* What only this worker has. */
struct own_variables {
    char text[ENV_OWN_MAX][192];
    const char *list[ENV_OWN_MAX + 1];
    size_t count;
};

static void add_variable(struct own_variables *own, const char *name, const char *value)
{
    (void)snprintf(own->text[own->count], sizeof own->text[0], "%s=%s", name, value);
    own->list[own->count] = own->text[own->count];
    own->count++;
}

/* What the guard hands over: fds[i] becomes the worker's i. */
struct handed {
    int fds[WORKER_FDS_MAX];
    size_t count;
};

/* The next number is this descriptor's, and is told by that name. */
static void hand(struct handed *handed, struct own_variables *own, const char *name,
                 int fd)
{
    char number[16];
    if (fd >= 0) {
        (void)snprintf(number, sizeof number, "%zu", handed->count);
        add_variable(own, name, number);
        handed->fds[handed->count++] = fd;
    }
}

static void list_variables(const struct worker *worker, const struct ends *ends,
                           struct handed *handed, struct own_variables *own)
{
    char address[128];
    *own = (struct own_variables){0};
    *handed =
        (struct handed){{ends->null, ends->printed[0], ends->printed[1]}, WORKER_STDIO};
    add_variable(own, "SNAKEPIT_WORKER_ID", worker->name);
    if (worker->spec->transport == SP_TRANSPORT_INHERITED) {
        hand(handed, own, "SNAKEPIT_CALL_FD", ends->call[1].socket);
        hand(handed, own, "SNAKEPIT_HOST_FD", ends->host[1]);
        hand(handed, own, "SNAKEPIT_PAGE_FD", ends->page);
        hand(handed, own, "SNAKEPIT_MEMORY_FD", ends->memory);
        if (sp__duplex_is_piped(&ends->call[1])) {
            hand(handed, own, "SNAKEPIT_CALL_IN_FD", ends->call[1].in);
            hand(handed, own, "SNAKEPIT_CALL_OUT_FD", ends->call[1].out);
        }
        if (worker->shop->spin_us > 0) {
            char spin[16];
            (void)snprintf(spin, sizeof spin, "%u", worker->shop->spin_us);
            add_variable(own, "SNAKEPIT_WORKER_SPIN_US", spin);
        }
    } else if (worker->spec->transport == SP_TRANSPORT_ADDRESS) {
        (void)snprintf(address, sizeof address, "unix:%s", worker->address);
        add_variable(own, "SNAKEPIT_ADDRESS", address);
    } else {
        add_variable(own, "SNAKEPIT_READY_FILE", worker->address);
        add_variable(own, "SNAKEPIT_GRPC_ADDRESS", worker->shop->host_address);
    }
}

int sp__worker_spawn(struct workshop *shop, uint64_t id, const char *name,
                     const struct guard_command *command, sp_error *err)
{
    struct instance *instance = shop->instance;
    int rc = SP_OK;
    if (instance != NULL) {
        rc = sp__instance_reserve(instance, ROW_WORKER, id, name, err);
    }
    if (rc < 0) {
        return rc;
    }
    rc = sp__guard_spawn(shop->guard, id, command, err);
    if (rc < 0 && instance != NULL) {
        sp__instance_free(instance, ROW_WORKER, id);
    }
    return rc;
}

static int tell_guard(struct worker *worker, const struct ends *ends, sp_error *err)
{
    char **argv = NULL;
    const char **env = NULL;
    struct own_variables own;
    struct handed handed;
    int rc = sp__stock_argv(worker, &argv, err);
    if (rc < 0) {
        return rc;
    }
    list_variables(worker, ends, &handed, &own);
    rc = sp__worker_compose_env(worker->shop, worker->spec, own.list,
                                worker->forked_by == 0, &env, err);
    if (rc < 0) {
        goto free_argv;
    }
    struct guard_command command = {
        .argv = (const char *const *)argv,
        .env = env,
        .working_dir = worker->spec->working_dir,
        .limits = worker->spec->limits,
        .fds = handed.fds,
        .fds_count = handed.count,
        .zygote = worker->forked_by,
    };
    rc = sp__worker_spawn(worker->shop, worker->id, worker->name, &command, err);
    if (rc == SP_OK && worker->forked_by != 0) {
        sp__zygote_asked(worker->spec->zygote);
    }
    sp__free(env);
free_argv:
    sp__stock_argv_free(argv);
    return rc;
}

static void line_printed(void *user, int stream, const char *line)
{
    struct worker *worker = user;
    sp__stock_printed(worker, line);
    worker->events->on_line(worker, stream, line);
}

static int open_native_channels(struct worker *worker, struct ends *ends, sp_error *err)
{
    int rc = sp__worker_open_calls(worker, &ends->call[0], 1, err);
    if (rc < 0) {
        return rc;
    }
    ends->call[0] = sp__duplex_socket(-1);
    struct duplex_fds host = sp__duplex_socket(ends->host[0]);
    struct h2_options options = {
        .trusted = 1, .streams_max = ASKS_MAX, .message_max = ASK_BYTES_MAX};
    rc = sp__channel_open(&worker->host, &worker->shop->channels, &host, H2_SERVER,
                          &options, &sp__host_events, worker, sp__worker_on_host_broken,
                          err);
    if (rc == SP_OK) {
        ends->host[0] = -1;
    }
    return rc;
}

int sp__worker_launch(struct worker *worker, sp_error *err)
{
    struct duplex_fds none = sp__duplex_socket(-1);
    struct ends ends = {-1, {-1, -1}, {-1, -1}, {none, none}, {-1, -1}, -1, -1};
    if (worker->shop->guard == NULL) {
        return sp__fail(err, SP_ERR_GUARD, "the guard process is gone");
    }
    int rc = make_ends(worker, &ends, err);
    if (rc == SP_OK && worker->spec->transport != SP_TRANSPORT_INHERITED) {
        rc = sp__stock_choose_address(worker, err);
    }
    if (rc == SP_OK) {
        rc = sp__output_open(&worker->output, worker->shop->loop, ends.output,
                             line_printed, worker, err);
    }
    if (rc == SP_OK) {
        ends.output[0] = ends.output[1] = -1;
        if (worker->spec->transport == SP_TRANSPORT_INHERITED) {
            rc = open_native_channels(worker, &ends, err);
        }
    }
    if (rc == SP_OK) {
        rc = tell_guard(worker, &ends, err);
    }
    if (rc == SP_OK && worker->spec->transport != SP_TRANSPORT_INHERITED) {
        sp__stock_try_later(worker);
    }
    close_ends(&ends);
    return rc;
}
