/* SPDX-License-Identifier: MIT */
/*
 * A worker under test. See rig.h.
 */
#include "rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/pipe.h"

/* What on_cancel writes to; the job's data begins with it. */
struct wake {
    int fd;
};

struct generator {
    struct wake wake;
    uint64_t at;
    uint64_t count;
    size_t size;
    uint8_t *bytes;
};

static void tick(int fd)
{
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);
}

static int take(int fd)
{
    uint64_t one;
    return read(fd, &one, sizeof one) == sizeof one;
}

/* Wait for the gate; 0 when interrupted. */
static int wait_gate(struct rig *rig, const struct wake *wake)
{
    for (;;) {
        struct pollfd polled[2] = {{.fd = rig->gate, .events = POLLIN},
                                   {.fd = wake->fd, .events = POLLIN}};
        if (poll(polled, 2, 30000) == 0) {
            atomic_fetch_add(&rig->bad, 1);
            return 0;
        }
        if (polled[1].revents && take(wake->fd)) {
            return 0;
        }
        if (polled[0].revents && take(rig->gate)) {
            return 1;
        }
    }
}

void rig_wait_gate(struct rig *rig)
{
    struct wake never = {.fd = -1};
    (void)wait_gate(rig, &never);
}

static _Thread_local int is_idle;

static void on_idle(void *user_data)
{
    is_idle = 1;
    atomic_fetch_add(&((struct rig *)user_data)->idles, 1);
}

static void on_busy(void *user_data)
{
    is_idle = 0;
    atomic_fetch_sub(&((struct rig *)user_data)->idles, 1);
    atomic_fetch_add(&((struct rig *)user_data)->wakes, 1);
}

static void on_cancel(void *user_data, sp_job *job)
{
    struct rig *rig = user_data;
    atomic_fetch_add(&rig->cancels, 1);
    struct wake *wake = sp_job_data(job);
    if (rig->take_interrupts && wake != NULL) {
        sp_job_interrupted(job);
        tick(wake->fd);
    }
}

/* ---- calls ---- */

static void reply(struct rig *rig, sp_job *job, const char *text)
{
    if (sp_job_reply(job, sp_text(text), NULL, (sp_bytes){0}, NULL) < 0) {
        atomic_fetch_add(&rig->bad, 1);
    }
}

static void run_add(struct rig *rig, sp_job *job)
{
    sp_bytes args = sp_job_args(job);
    char text[128];
    long long a;
    long long b;
    (void)snprintf(text, sizeof text, "%.*s", (int)args.size, (const char *)args.data);
    if (sscanf(text, "[%lld,%lld]", &a, &b) != 2) {
        (void)sp_job_fail(job, SP_ERR_BAD_ARGS, NULL, "add takes [a,b]", NULL, NULL);
        return;
    }
    (void)snprintf(text, sizeof text, "%lld", a + b);
    if (sp_job_reply(job, sp_text(text), NULL, (sp_bytes){0}, NULL) < 0) {
        atomic_fetch_add(&rig->bad, 1);
    }
}

/* Everything a job says of itself, as one JSON string. */
static void run_inspect(struct rig *rig, sp_job *job)
{
    char text[256];
    const char *name = "";
    const char *key = "";
    const char *value = "";
    sp_bytes binary = {0};
    if (!sp_job_binary(job, 0, &name, &binary) ||
        sp_job_binary(job, 1, &name, &binary) ||
        !sp_job_metadata(job, 0, &key, &value) ||
        sp_job_metadata(job, 1, &key, &value) || sp_job_is_stream(job) ||
        sp_job_is_turn(job) || sp_job_data(job) != NULL) {
        atomic_fetch_add(&rig->bad, 1);
    }
    uint64_t left_ms = sp_job_time_left_ms(job);
    (void)snprintf(text, sizeof text, "\"%s %s %zu %s=%s %d\"", sp_job_session(job),
                   name, binary.size, key, value, left_ms > 0 && left_ms < 90000);
    if (sp_job_reply(job, sp_text(text), NULL, (sp_bytes){"raw", 3}, NULL) < 0) {
        atomic_fetch_add(&rig->bad, 1);
    }
}

static struct wake wake_new(void)
{
    return (struct wake){eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK)};
}

static void run_wait(struct rig *rig, sp_job *job)
{
    struct wake wake = wake_new();
    sp_job_set_data(job, &wake);
    tick(rig->begun);
    int allowed = wait_gate(rig, &wake);
    if (sp_job_cancelled(job)) {
        atomic_fetch_add(&rig->cancelled, 1);
    }
    if (allowed) {
        reply(rig, job, "true");
    } else {
        (void)sp_job_fail(job, SP_ERR_REMOTE, "Cancelled", "interrupted", NULL, NULL);
    }
    close(wake.fd); /* the job is over: on_cancel comes no more */
}

/* ---- streams ---- */

static void generator_close(struct rig *rig, sp_job *job, struct generator *g,
                            int early)
{
    if (early) {
        atomic_fetch_add(&rig->closed, 1);
    }
    if (sp_job_end(job, NULL) < 0) {
        atomic_fetch_add(&rig->bad, 1);
    }
    close(g->wake.fd);
    free(g->bytes);
    free(g);
}

static void run_generator(struct rig *rig, sp_job *job, int slow)
{
    struct generator *g = sp_job_data(job);
    if (g == NULL) {
        sp_bytes args = sp_job_args(job);
        char text[128];
        unsigned long long n = 0;
        unsigned long long size = 8;
        (void)snprintf(text, sizeof text, "%.*s", (int)args.size,
                       (const char *)args.data);
        (void)sscanf(text, "[%llu,%llu]", &n, &size);
        g = calloc(1, sizeof *g);
        *g = (struct generator){
            .wake = wake_new(), .count = n, .size = size < 8 ? 8 : size};
        g->bytes = calloc(1, g->size);
        sp_job_set_data(job, g);
    }
    if (sp_job_cancelled(job)) {
        generator_close(rig, job, g, 1);
        return;
    }
    while (g->at < g->count) {
        memcpy(g->bytes, &g->at, sizeof g->at);
        g->at++;
        int rc = sp_job_chunk(job, (sp_bytes){g->bytes, g->size}, NULL);
        if (rc < 0) {
            generator_close(rig, job, g, 1);
            return;
        }
        atomic_fetch_add_explicit(&rig->produced, 1, memory_order_relaxed);
        if (slow) {
            tick(rig->begun);
        }
        if (rc == 0) {
            return;
        }
        if (slow && !wait_gate(rig, &g->wake)) {
            generator_close(rig, job, g, 1);
            return;
        }
    }
    generator_close(rig, job, g, 0);
}

/* Chunks in one go, then something long without a chunk. */
static void run_burst(struct rig *rig, sp_job *job)
{
    for (int i = 0; i < 20; i++) {
        if (sp_job_chunk(job, sp_text("12345678"), NULL) != 1) {
            atomic_fetch_add(&rig->bad, 1);
        }
    }
    struct wake wake = wake_new();
    tick(rig->begun);
    (void)wait_gate(rig, &wake);
    (void)sp_job_end(job, NULL);
    close(wake.fd);
}

static void run_break(struct rig *rig, sp_job *job)
{
    if (sp_job_chunk(job, sp_text("1"), NULL) < 0) {
        atomic_fetch_add(&rig->bad, 1);
    }
    (void)sp_job_fail(job, SP_ERR_REMOTE, "ValueError", "in the middle", "a trace",
                      NULL);
}

static void run_report(struct rig *rig, sp_job *job)
{
    const sp_emission event = {.size = sizeof event,
                               .name = "work.one",
                               .metadata = sp_text("{\"span_id\":\"mine\"}"),
                               .job = job};
    if (sp_worker_emit(rig->worker, &event, NULL) < 0) {
        atomic_fetch_add(&rig->bad, 1);
    }
    reply(rig, job, "null");
}

/* ---- serving ---- */

static void run(struct rig *rig, sp_job *job)
{
    const char *tool = sp_job_tool(job);
    if (is_idle) {
        atomic_fetch_add(&rig->bad, 1); /* user code without on_busy */
    }
    if (!sp_job_is_turn(job)) {
        atomic_fetch_add(&rig->ran, 1);
    }
    if (strcmp(tool, "add") == 0) {
        run_add(rig, job);
    } else if (strcmp(tool, "echo") == 0) {
        if (sp_job_reply(job, sp_job_args(job), NULL, (sp_bytes){0}, NULL) < 0) {
            atomic_fetch_add(&rig->bad, 1);
        }
    } else if (strcmp(tool, "inspect") == 0) {
        run_inspect(rig, job);
    } else if (strcmp(tool, "wait") == 0) {
        run_wait(rig, job);
    } else if (strcmp(tool, "raise") == 0) {
        (void)sp_job_fail(job, SP_ERR_REMOTE, "ValueError", "no \"good\"",
                          "Traceback:\n  line 1", NULL);
    } else if (strcmp(tool, "report") == 0) {
        run_report(rig, job);
    } else if (strcmp(tool, "array") == 0) {
        (void)sp_job_reply(job, sp_text("{\"__tensor__\":{}}"), NULL,
                           (sp_bytes){"raw", 3}, NULL);
    } else if (strcmp(tool, "mute") == 0) {
        (void)sp_job_end(job, NULL);
    } else if (strcmp(tool, "single") == 0) {
        reply(rig, job, "\"one\"");
    } else if (strcmp(tool, "burst") == 0) {
        run_burst(rig, job);
    } else if (strcmp(tool, "break") == 0) {
        run_break(rig, job);
    } else if (!asker_run(rig, job)) {
        run_generator(rig, job, strcmp(tool, "slow") == 0);
    }
}

void rig_loop(struct rig *rig)
{
    for (;;) {
        sp_job *job;
        int rc = sp_worker_next(rig->worker, &job, NULL);
        if (rc == SP_ERR_STOPPED_BY_CALLBACK) {
            continue;
        }
        if (rc <= 0) {
            atomic_store(&rig->next_rc, rc);
            return;
        }
        run(rig, job);
    }
}

static void *serve(void *arg)
{
    rig_loop(arg);
    return NULL;
}

static void *announce_and_serve(void *arg)
{
    struct rig *rig = arg;
    sp_error err = {0};
    if (sp_worker_announce(rig->worker, &err) < 0) {
        (void)fprintf(stderr, "announce: %s\n", err.message);
        sp_error_clear(&err);
        atomic_fetch_add(&rig->bad, 1);
    }
    atomic_store(&rig->ready, 1);
    rig_loop(rig);
    return NULL;
}

/* ---- life ---- */

static void add_tools(struct rig *rig)
{
    static const char *const names[] = {
        "add",   "echo", "wait",    "raise",      "mute",  "report",
        "count", "slow", "single",  "break",      "burst", "inspect",
        "ask",   "told", "ask_for", "ask_worker", "crowd", "leave",
        "pull",  "peek", "hold",    "array",      "watch"};
    sp_tool_param params[] = {{.name = "a", .type = "int"},
                              {.name = "b", .default_json = "1"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        sp_tool tool = {.size = sizeof tool,
                        .name = names[i],
                        .description = "a tool",
                        .streaming = (i >= 5 && i < 10) || i == 12,
                        .params = i == 0 ? params : NULL,
                        .params_count = i == 0 ? 2 : 0};
        assert_int_equal(sp_worker_add_tool(rig->worker, &tool, NULL), 0);
    }
}

/* ThreadSanitizer knows that what is read was written before, but takes the two ends of a pipe
 * that was opened once more for different things. */
static int has_pipes(void)
{
#ifdef __SANITIZE_THREAD__
    return 0;
#else
    return getenv("RIG_SOCKET") == NULL;
#endif
}

static void connect_calls(struct rig *rig)
{
    int calls[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, calls), 0);
    struct duplex_fds ours = sp__duplex_socket(calls[0]);
    rig->options.call_fd = calls[1];
    if (has_pipes()) {
        assert_true(sp__pipe_open(&rig->options.call_in_fd, &ours.out) > 0);
        assert_true(sp__pipe_open(&ours.in, &rig->options.call_out_fd) > 0);
    }
    rig->peer = peer_new_over(&ours, H2_CLIENT, 1);
}

struct rig *rig_new(const sp_worker_options *options)
{
    struct rig *rig = calloc(1, sizeof *rig);
    int host[2];
    sp_error err = {0};
    assert_non_null(rig);
    if (options != NULL) {
        rig->options = *options;
    }
    rig->options.size = sizeof rig->options;
    rig->gate = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);
    rig->begun = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);
    atomic_store(&rig->next_rc, 99);
    atomic_store(&rig->ask_rc, 99);
    atomic_store(&rig->left_rc, 99);
    rig->threads = rig->options.threads == 0 ? 1 : rig->options.threads;
    if (rig->options.listen == NULL) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, host), 0);
        rig->page_fd = memfd_create("page", MFD_CLOEXEC);
        assert_int_equal(ftruncate(rig->page_fd, WORKER_SHARED_BYTES), 0);
        rig->page = mmap(NULL, WORKER_SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                         rig->page_fd, 0);
        assert_ptr_not_equal(rig->page, MAP_FAILED);
        connect_calls(rig);
        rig->options.host_fd = host[1];
        rig->options.page_fd = rig->page_fd;
        rig->host = peer_new(host[0], H2_SERVER, 1);
    }
    rig->options.on_cancel = on_cancel;
    rig->options.on_idle = on_idle;
    rig->options.on_busy = on_busy;
    rig->options.user_data = rig;
    if (sp_worker_open(&rig->options, &rig->worker, &err) < 0) {
        fail_msg("open: %s", err.message);
    }
    add_tools(rig);
    return rig;
}

void rig_serve(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->threads; i++) {
        assert_int_equal(pthread_create(&rig->thread[i], NULL, serve, rig), 0);
    }
}

void rig_start(struct rig *rig)
{
    assert_int_equal(pthread_create(&rig->thread[0], NULL, announce_and_serve, rig), 0);
    if (rig->host != NULL) {
        PEER_UNTIL(rig->host, atomic_load(&rig->ready));
    }
    for (uint32_t i = 1; i < rig->threads; i++) {
        assert_int_equal(pthread_create(&rig->thread[i], NULL, serve, rig), 0);
    }
}

struct rig *rig_open(const sp_worker_options *options)
{
    struct rig *rig = rig_new(options);
    rig_start(rig);
    return rig;
}

void rig_join(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->threads; i++) {
        if (rig->thread[i] != 0) {
            assert_int_equal(pthread_join(rig->thread[i], NULL), 0);
            rig->thread[i] = 0;
        }
    }
}

void rig_close(struct rig *rig)
{
    sp_worker_stop(rig->worker);
    rig_join(rig);
    asker_join(rig);
    assert_int_equal(atomic_load(&rig->bad), 0);
    assert_int_equal(atomic_load(&rig->idles), 0);
    sp_worker_close(rig->worker);
    peer_free(rig->peer);
    peer_free(rig->host);
    if (rig->page != NULL) {
        munmap(rig->page, WORKER_SHARED_BYTES);
    }
    close(rig->gate);
    close(rig->begun);
    free(rig);
}

void rig_allow(struct rig *rig, int n)
{
    while (n-- > 0) {
        tick(rig->gate);
    }
}

void rig_await_begun(struct rig *rig, int n)
{
    while (n > 0) {
        struct pollfd polled = {.fd = rig->begun, .events = POLLIN};
        if (poll(&polled, 1, (int)patience_ms(20000)) != 1) {
            fail_msg("no tool has begun");
        }
        n -= take(rig->begun);
    }
}

void rig_call(struct rig *rig)
{
    struct peer_call *call = peer_execute(rig->peer, "add", "[1,1]");
    peer_finish(rig->peer, call);
    assert_int_equal(call->status, 0);
    call_free(call);
}
