/* SPDX-License-Identifier: MIT */
/*
 * The watcher: a thread that dispatches the pit's events and obeys Ctrl-C while the main
 * thread waits for a call.
 *
 * The signal handler writes to an eventfd and does nothing else. The first SIGINT or
 * SIGTERM cancels every call and stream that is registered, and any that is registered
 * later, so the main thread's waits end and it closes the pit in order; the second one
 * has its usual effect, and the guard ends the workers. SIGPIPE gets a handler that does
 * nothing, rather than being ignored, because an ignored signal would stay ignored in
 * every worker.
 */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct slot {
    sp_id call;
    sp_stream *stream;
};

static struct {
    int signal_fd; /* written by the handler */
    int stop_fd;
    atomic_int interrupted;
    int is_running;
    pthread_t thread;
    sp_pit *pit;
    pthread_mutex_t lock; /* over slots */
    struct slot slots[WATCH_SLOTS];
} watch = {.signal_fd = -1, .stop_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};

static void signal_cb(int number)
{
    int saved = errno;
    uint64_t one = 1;
    (void)number;
    /* The counter of an eventfd cannot fill up from here; nothing else can fail. */
    ssize_t n = write(watch.signal_fd, &one, sizeof one);
    (void)n;
    atomic_store(&watch.interrupted, 1);
    errno = saved;
}

static void pipe_cb(int number)
{
    (void)number; /* the write that raised it returns EPIPE */
}

void watch_init(void)
{
    struct sigaction action = {.sa_handler = signal_cb};
    watch.signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watch.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch.signal_fd < 0 || watch.stop_fd < 0) {
        return; /* without descriptors Ctrl-C keeps its usual effect */
    }
    /* No SA_RESTART: reading standard input must end too. After the first of each the
     * default stands again. */
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    action.sa_flags = 0;
    action.sa_handler = pipe_cb;
    (void)sigaction(SIGPIPE, &action, NULL);
}

int watch_interrupted(void)
{
    return atomic_load(&watch.interrupted);
}

static void cancel_slot(struct slot *slot)
{
    if (slot->stream != NULL) {
        sp_stream_cancel(slot->stream);
    } else if (slot->call != 0) {
        (void)sp_call_cancel(watch.pit, slot->call, NULL); /* ended already: fine */
    }
}

static void cancel_all(void)
{
    (void)pthread_mutex_lock(&watch.lock);
    for (size_t i = 0; i < WATCH_SLOTS; i++) {
        cancel_slot(&watch.slots[i]);
    }
    (void)pthread_mutex_unlock(&watch.lock);
}

static void *watch_main(void *unused)
{
    struct pollfd fds[3] = {{.fd = watch.signal_fd, .events = POLLIN},
                            {.fd = watch.stop_fd, .events = POLLIN},
                            {.fd = sp_pit_fd(watch.pit), .events = POLLIN}};
    (void)unused;
    for (;;) {
        if (poll(fds, 3, -1) < 0 && errno != EINTR) {
            return NULL;
        }
        if (fds[0].revents != 0) {
            fds[0].fd = -1; /* once is enough */
            cancel_all();
        }
        if (fds[2].revents != 0 && sp_pit_dispatch(watch.pit, 0, NULL) < 0) {
            fds[2].fd = -1;
        }
        if (fds[1].revents != 0) {
            (void)sp_pit_dispatch(watch.pit, 0, NULL); /* the last events, if any */
            return NULL;
        }
        fds[0].revents = fds[1].revents = fds[2].revents = 0;
    }
}

int watch_start(sp_pit *pit)
{
    uint64_t drained;
    ssize_t n = read(watch.stop_fd, &drained, sizeof drained);
    (void)n; /* empty unless a watcher ran before */
    watch.pit = pit;
    int rc = pthread_create(&watch.thread, NULL, watch_main, NULL);
    if (rc != 0) {
        return complain(CODE_UNREACHABLE, "no thread for the watcher: %s",
                        strerror(rc));
    }
    watch.is_running = 1;
    return CODE_OK;
}

void watch_stop(void)
{
    uint64_t one = 1;
    if (!watch.is_running) {
        return;
    }
    ssize_t n = write(watch.stop_fd, &one, sizeof one);
    (void)n; /* cannot fail: see signal_cb() */
    (void)pthread_join(watch.thread, NULL);
    watch.is_running = 0;
    watch.pit = NULL;
}

static void set_slot(int index, struct slot slot)
{
    (void)pthread_mutex_lock(&watch.lock);
    watch.slots[index] = slot;
    if (watch_interrupted()) {
        cancel_slot(&watch.slots[index]);
    }
    (void)pthread_mutex_unlock(&watch.lock);
}

void watch_call(int slot, sp_id call)
{
    set_slot(slot, (struct slot){.call = call});
}

void watch_stream(int slot, sp_stream *stream)
{
    set_slot(slot, (struct slot){.stream = stream});
}

void watch_clear(int slot)
{
    set_slot(slot, (struct slot){0});
}

void watch_cancel(int slot)
{
    (void)pthread_mutex_lock(&watch.lock);
    cancel_slot(&watch.slots[slot]);
    (void)pthread_mutex_unlock(&watch.lock);
}
