/* SPDX-License-Identifier: MIT */
/*
 * A worker from open to close.
 *
 * sp_worker_open() takes what the guard handed down (numbers of descriptors in the
 * environment), or listens, and starts the helper, which serves PINGs and watches the
 * host while the binding is still starting up. A zygote's worker does that in two steps:
 * what takes memory in the zygote, what makes it this process's own in each fork
 * (sp_worker_connect()). sp_worker_close() writes what is left, for a bounded time, and
 * gives everything back. What open cannot do it undoes.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/options.h"

enum { QUEUE_DEFAULT = 1024 };
static const uint64_t REQUEST_DEFAULT = 128u << 20;

static _Atomic uint64_t serials;

/* ---- what was handed down ---- */

static int read_env_fd(const char *name, int *ret_fd, sp_error *err)
{
    const char *text = getenv(name);
    *ret_fd = -1;
    if (text == NULL || *text == '\0') {
        return SP_OK;
    }
    char *end;
    errno = 0;
    long fd = strtol(text, &end, 10);
    if (errno != 0 || *end != '\0' || fd < 0 || fd > INT32_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "%s='%.40s' is no descriptor", name, text);
    }
    *ret_fd = (int)fd;
    return SP_OK;
}

/* For so long an idle worker looks for news before it sleeps; 0: not at all. */
static uint64_t read_env_spin(void)
{
    const char *text = getenv("SNAKEPIT_WORKER_SPIN_US");
    unsigned long long us = text != NULL ? strtoull(text, NULL, 10) : 0;
    return us < SPIN_MAX_US ? us : SPIN_MAX_US;
}

/* An inherited descriptor that is open. It must not reach the programs that user code
 * starts. */
static int check_fd(const char *name, int fd, sp_error *err)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0
               ? SP_OK
               : sp__fail(err, SP_ERR_INVAL, "%s: descriptor %d is not open", name, fd);
}

static int check_socket(const char *name, int fd, sp_error *err)
{
    int type;
    socklen_t size = sizeof type;
    int rc = check_fd(name, fd, err);
    if (rc == SP_OK && (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
                        type != SOCK_STREAM)) {
        rc = sp__fail(err, SP_ERR_INVAL, "%s: descriptor %d is no stream socket", name,
                      fd);
    }
    return rc;
}

static int check_pipe(const char *name, int fd, sp_error *err)
{
    struct stat st;
    int rc = check_fd(name, fd, err);
    if (rc == SP_OK && (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))) {
        return sp__fail(err, SP_ERR_INVAL, "%s: descriptor %d is no pipe", name, fd);
    }
    if (rc == SP_OK && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
        rc = sp__fail_errno(err, errno, "%s: descriptor %d", name, fd);
    }
    return rc;
}

static int map_page(struct sp_worker *w, int fd, sp_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size < WORKER_PAGE_BYTES) {
        return sp__fail(err, SP_ERR_INVAL,
                        "SNAKEPIT_PAGE_FD: descriptor %d has fewer than %d bytes", fd,
                        (int)WORKER_PAGE_BYTES);
    }
    void *page =
        mmap(NULL, WORKER_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        return sp__fail_errno(err, errno, "cannot map the page shared with the host");
    }
    w->page = page;
    w->page_mapped = 1;
    atomic_store(&w->page->heeds_revoked, 1);
    return SP_OK;
}

static int has_stack_room(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size >= WORKER_SHARED_BYTES;
}

static int add_socket(struct sp_worker *w, const char *name, enum conn_role role,
                      int fd, sp_error *err)
{
    struct duplex_fds fds = sp__duplex_socket(fd);
    int rc = check_socket(name, fd, err);
    return rc < 0 ? rc : sp__conn_add(w, role, &fds, err);
}

static int add_calls(struct sp_worker *w, sp_error *err)
{
    const sp_worker_options *o = &w->options;
    struct duplex_fds fds = {o->call_fd, o->call_in_fd, o->call_out_fd};
    if (fds.in < 0 && fds.out < 0) {
        return add_socket(w, "SNAKEPIT_CALL_FD", CONN_CALLS, o->call_fd, err);
    }
    int rc = check_socket("SNAKEPIT_CALL_FD", fds.socket, err);
    if (rc == SP_OK) {
        rc = check_pipe("SNAKEPIT_CALL_IN_FD", fds.in, err);
    }
    if (rc == SP_OK) {
        rc = check_pipe("SNAKEPIT_CALL_OUT_FD", fds.out, err);
    }
    return rc < 0 ? rc : sp__conn_add(w, CONN_CALLS, &fds, err);
}

static int take_inherited(struct sp_worker *w, sp_error *err)
{
    sp_worker_options *o = &w->options;
    int rc = SP_OK;
    if (o->call_fd == 0 && o->host_fd == 0 && o->page_fd == 0) {
        rc = read_env_fd("SNAKEPIT_CALL_FD", &o->call_fd, err);
        if (rc == SP_OK) {
            rc = read_env_fd("SNAKEPIT_HOST_FD", &o->host_fd, err);
        }
        if (rc == SP_OK) {
            rc = read_env_fd("SNAKEPIT_PAGE_FD", &o->page_fd, err);
        }
        if (rc == SP_OK) {
            rc = read_env_fd("SNAKEPIT_MEMORY_FD", &o->memory_fd, err);
        }
        if (rc == SP_OK) {
            rc = read_env_fd("SNAKEPIT_CALL_IN_FD", &o->call_in_fd, err);
        }
        if (rc == SP_OK) {
            rc = read_env_fd("SNAKEPIT_CALL_OUT_FD", &o->call_out_fd, err);
        }
        sp__spin_init(&w->spin, read_env_spin());
    } else { /* descriptor 0 is never handed down */
        o->call_fd = o->call_fd > 0 ? o->call_fd : -1;
        o->host_fd = o->host_fd > 0 ? o->host_fd : -1;
        o->page_fd = o->page_fd > 0 ? o->page_fd : -1;
        o->memory_fd = o->memory_fd > 0 ? o->memory_fd : -1;
        o->call_in_fd = o->call_in_fd > 0 ? o->call_in_fd : -1;
        o->call_out_fd = o->call_out_fd > 0 ? o->call_out_fd : -1;
    }
    if (rc == SP_OK && o->call_fd < 0) {
        return sp__fail(
            err, SP_ERR_INVAL,
            "no SNAKEPIT_CALL_FD: a worker is started by a pit, or listens");
    }
    if (rc == SP_OK && o->page_fd >= 0) {
        rc = check_fd("SNAKEPIT_PAGE_FD", o->page_fd, err);
        if (rc == SP_OK) {
            rc = map_page(w, o->page_fd, err);
        }
    }
    if (rc == SP_OK && o->memory_fd >= 0) {
        rc = check_fd("SNAKEPIT_MEMORY_FD", o->memory_fd, err);
        if (rc == SP_OK) {
            rc = sp__memory_open(o->memory_fd, &w->memory, err);
        }
    }
    if (rc == SP_OK) {
        rc = add_calls(w, err);
    }
    if (rc == SP_OK && o->host_fd >= 0) {
        rc = add_socket(w, "SNAKEPIT_HOST_FD", CONN_HOST, o->host_fd, err);
    }
    return rc;
}

/* ---- open ---- */

static int take_options(struct sp_worker *w, const sp_worker_options *options,
                        sp_error *err)
{
    sp_worker_options *o = &w->options;
    int rc = sp__take_options("sp_worker_options", options, o, sizeof *o, err);
    if (rc < 0) {
        return rc;
    }
    if ((o->on_idle == NULL) != (o->on_busy == NULL)) {
        return sp__fail(err, SP_ERR_INVAL, "on_idle and on_busy belong together");
    }
    o->threads = o->threads == 0 ? 1 : o->threads;
    o->spread_us = o->spread_us == 0 ? SPREAD_US : o->spread_us;
    if (o->threads > THREADS_MAX) {
        return sp__fail(err, SP_ERR_INVAL, "%u threads are more than %d", o->threads,
                        (int)THREADS_MAX);
    }
    if (o->jobs_max > 0 && o->threads > 1) {
        return sp__fail(err, SP_ERR_INVAL, "jobs_max %u needs one thread, there are %u",
                        o->jobs_max, o->threads);
    }
    o->queue_max = o->queue_max == 0 ? QUEUE_DEFAULT : o->queue_max;
    o->request_max_bytes =
        o->request_max_bytes == 0 ? REQUEST_DEFAULT : o->request_max_bytes;
    if (o->unconnected && (o->listen != NULL || o->name != NULL || o->call_fd != 0 ||
                           o->host_fd != 0 || o->page_fd != 0 || o->memory_fd != 0 ||
                           o->call_in_fd != 0 || o->call_out_fd != 0)) {
        return sp__fail(err, SP_ERR_INVAL,
                        "unconnected: what a worker is called and connected to comes "
                        "later, from the environment");
    }
    w->runtime = sp__strdup(o->runtime != NULL ? o->runtime : "c");
    o->runtime = NULL;
    return w->runtime != NULL ? SP_OK
                              : sp__fail(err, SP_ERR_NOMEM, "no memory for a worker");
}

static int take_name(struct sp_worker *w, sp_error *err)
{
    const char *id = getenv("SNAKEPIT_WORKER_ID");
    id = w->options.name != NULL ? w->options.name : id != NULL ? id : "worker";
    w->name = sp__strdup(id);
    return w->name != NULL ? SP_OK
                           : sp__fail(err, SP_ERR_NOMEM, "no memory for a worker");
}

static int make_slots(struct sp_worker *w, sp_error *err)
{
    uint32_t count = w->options.threads + 1;
    /* Each slot's seq has a cache line to itself, or threads would share. */
    w->slots_memory = sp__calloc(count + 1, sizeof *w->slots);
    if (w->slots_memory == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %u threads", count);
    }
    size_t line = _Alignof(struct slot);
    uintptr_t start = ((uintptr_t)w->slots_memory + line - 1) & ~(uintptr_t)(line - 1);
    w->slots = (struct slot *)start;
    w->slots_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = &w->slots[i];
        slot->index = i;
        sp__buf_init(&slot->out, UINT32_MAX);
        slot->polled = sp__calloc(POLLED_MAX, sizeof *slot->polled);
        if (slot->polled == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for %u threads", count);
        }
    }
    /* The start-up counts as user code until sp_worker_next(): long,
     * uninterruptible. */
    struct slot *front = &w->slots[count - 1];
    atomic_store(&front->seq, 1);
    front->active = 1;
    atomic_store(&w->active, 1);
    return SP_OK;
}

static int make_kicks(struct sp_worker *w, sp_error *err)
{
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->helper_kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->stop_fd < 0 || w->kick_fd < 0 || w->helper_kick_fd < 0
               ? sp__fail_errno(err, errno, "cannot make an eventfd")
               : SP_OK;
}

static int make_rest(struct sp_worker *w, sp_error *err)
{
    w->read_buffer = sp__malloc(READ_BYTES);
    if (w->read_buffer == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a worker");
    }
    return make_slots(w, err);
}

static int connect_up(struct sp_worker *w, sp_error *err)
{
    int rc;
    if (w->options.listen != NULL) {
        rc = sp__listen_open(w->options.listen, &w->listen_fd, &w->address,
                             &w->unlink_path, err);
    } else {
        rc = take_inherited(w, err);
    }
    if (rc == SP_OK && w->page == NULL) {
        w->page = sp__calloc(1, sizeof *w->page);
        rc = w->page != NULL ? SP_OK
                             : sp__fail(err, SP_ERR_NOMEM, "no memory for a worker");
    }
    return rc;
}

static void release(struct sp_worker *w)
{
    sp__conns_close(w);
    sp__jobs_free(w);
    sp__sessions_free(w);
    if (w->listen_fd >= 0) {
        (void)close(w->listen_fd);
    }
    if (w->unlink_path != NULL) {
        (void)unlink(w->unlink_path);
    }
    if (w->stop_fd >= 0) {
        (void)close(w->stop_fd);
    }
    if (w->kick_fd >= 0) {
        (void)close(w->kick_fd);
    }
    if (w->helper_kick_fd >= 0) {
        (void)close(w->helper_kick_fd);
    }
    sp__poll_close(w);
    for (uint32_t i = 0; i < w->slots_count; i++) {
        sp__buf_fini(&w->slots[i].out);
        sp__free(w->slots[i].polled);
    }
    sp__memory_drop(w->memory);
    if (w->is_open && w->options.memory_fd >= 0) {
        (void)close(w->options.memory_fd);
    }
    if (w->page_mapped) {
        (void)munmap(w->page, WORKER_PAGE_BYTES);
        if (w->is_open && w->options.page_fd >= 0) {
            sp__stacks_end(w);
            (void)close(w->options.page_fd);
        }
    } else {
        sp__free(w->page);
    }
    sp__tools_free(w);
    sp__free(w->slots_memory);
    sp__free(w->read_buffer);
    sp__buf_fini(&w->report);
    sp__free(w->address);
    sp__free(w->unlink_path);
    sp__free(w->name);
    sp__free(w->runtime);
    (void)pthread_mutex_destroy(&w->answers.lock);
    (void)pthread_mutex_destroy(&w->smu);
    sp__free(w);
}

/* What needs nobody else yet. */
static int make(const sp_worker_options *options, struct sp_worker **ret_worker,
                sp_error *err)
{
    struct sp_worker *w = sp__calloc(1, sizeof *w);
    if (w == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a worker");
    }
    sp__buf_init(&w->report, SIZE_MAX);
    sp__buf_init(&w->tools_message, SIZE_MAX);
    (void)pthread_mutex_init(&w->smu, NULL);
    (void)pthread_mutex_init(&w->answers.lock, NULL);
    w->listen_fd = w->stop_fd = w->kick_fd = w->helper_kick_fd = -1;
    w->poller.fd = w->poller.timer_fd = -1;
    w->leader = LEADER_NONE;
    w->next_deadline_ms = SP_UNLIMITED;
    w->gone = 1; /* nobody is there yet */
    w->serial = atomic_fetch_add(&serials, 1) + 1;
    int rc = take_options(w, options, err);
    if (rc == SP_OK) {
        rc = make_rest(w, err);
    }
    if (rc < 0) {
        release(w);
        return rc;
    }
    *ret_worker = w;
    return SP_OK;
}

SP_API int sp_worker_connect(sp_worker *w, sp_error *err)
{
    if (w->is_open) {
        return sp__fail(err, SP_ERR_INVAL, "the worker is connected already");
    }
    w->opened_us = sp__now_us();
    w->gone = 0;
    int rc = take_name(w, err);
    if (rc == SP_OK) {
        rc = make_kicks(w, err);
    }
    if (rc == SP_OK) {
        rc = connect_up(w, err);
    }
    if (rc == SP_OK) {
        rc = sp__helper_start(w, err);
    }
    if (rc < 0) {
        for (size_t i = 0; i < w->conns_count; i++) {
            w->conns[i]->duplex.fds = sp__duplex_socket(-1); /* still the caller's */
        }
        return rc;
    }
    /* The page stays mapped; its descriptor is one less for user code to find, unless
     * stacks are to be written to it. */
    if (w->page_mapped && !has_stack_room(w->options.page_fd)) {
        (void)close(w->options.page_fd);
        w->options.page_fd = -1;
    }
    w->options.listen = w->options.name = NULL;
    sp__fork_register(w);
    w->is_open = 1;
    return SP_OK;
}

SP_API int sp_worker_open(const sp_worker_options *options, sp_worker **ret_worker,
                          sp_error *err)
{
    struct sp_worker *w = NULL;
    int rc = make(options, &w, err);
    if (rc == SP_OK && !w->options.unconnected) {
        rc = sp_worker_connect(w, err);
        if (rc < 0) {
            release(w);
        }
    }
    if (rc == SP_OK) {
        *ret_worker = w;
    }
    return rc;
}

/* ---- the end ---- */

SP_API const char *sp_worker_address(const sp_worker *w)
{
    return w->address;
}

SP_API void sp_worker_stop(sp_worker *w)
{
    if (atomic_load_explicit(&w->forgotten, memory_order_relaxed)) {
        return; /* a child that inherited the handler: the number names another file */
    }
    uint64_t one = 1;
    int kept = errno; /* this may run in a signal handler */
    (void)!write(w->stop_fd, &one, sizeof one);
    errno = kept;
}

SP_API void sp_worker_close(sp_worker *w)
{
    if (w == NULL || atomic_load(&w->forgotten)) {
        return; /* in a forked child nothing here can be trusted, and it ends soon */
    }
    if (!w->is_open) {
        release(w); /* it was never connected */
        return;
    }
    sp_worker_release_signals(w);
    sp__fork_unregister(w);
    sp__helper_stop(w);
    sp__runtime_lock(w);
    sp__service_end(w);
    sp__conns_linger(w);
    w->options.on_cancel = NULL;
    sp__runtime_unlock(w);
    release(w);
}
