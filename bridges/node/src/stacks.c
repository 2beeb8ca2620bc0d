/* SPDX-License-Identifier: MIT */
/*
 * The JavaScript stack of a worker, written when its host asks by a signal, while a tool
 * runs and without stopping it.
 *
 * The signal's handler may do next to nothing: it wakes a thread, and that one asks V8 for
 * an interrupt, which JavaScript meets at its next call or turn of a loop, there walking
 * its own stack. When no JavaScript runs, the event loop is woken and says so. Code in C
 * that does not come back answers neither; the host waits only so long.
 *
 * Node-API has no function for this. V8's own are called by their linker names, as node
 * exports them; of an interpreter without one of them no stacks are offered. All that is
 * passed is pointers and numbers, and a handle of V8 is what Node-API calls a napi_value.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge.h"

enum {
    FRAMES_MAX = 64,
    NAME_BYTES = 200,
    OVERVIEW = 0x0f, /* of v8::StackTrace: place, script and function */
    THREAD_STACK = 64 * 1024
};

struct location {
    int line, column;
};

static struct {
    void *(*current_isolate)(void);
    void (*request_interrupt)(void *isolate, void (*run)(void *isolate, void *user),
                              void *user);
    void *(*current_trace)(void *isolate, int frames_max, int what);
    int (*frame_count)(const void *trace);
    void *(*frame_at)(const void *trace, void *isolate, uint32_t index);
    struct location (*location)(const void *frame); /* or these two */
    int (*line)(const void *frame);
    int (*column)(const void *frame);
    void *(*script)(const void *frame);
    void *(*function)(const void *frame);
} v8;

static struct {
    void *isolate;
    int fd;
    sem_t asked;
    atomic_int is_wanted; /* a signal came, and nothing is written yet */
    atomic_int is_ending;
    pthread_t thread;
    uv_async_t wake;
    int is_started;
} shown;

/* dlsym() gives a pointer to data; POSIX says that it may be one to a function. */
static int find(const char *name, void *ret_function)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    memcpy(ret_function, &found, sizeof found);
    return found != NULL;
}

static int find_all(void)
{
    int has_location = find("_ZNK2v810StackFrame11GetLocationEv", &v8.location) ||
                       (find("_ZNK2v810StackFrame13GetLineNumberEv", &v8.line) &&
                        find("_ZNK2v810StackFrame9GetColumnEv", &v8.column));
    return has_location && find("_ZN2v87Isolate10GetCurrentEv", &v8.current_isolate) &&
           find("_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_",
                &v8.request_interrupt) &&
           find("_ZN2v810StackTrace17CurrentStackTraceEPNS_7IsolateEiNS0_"
                "17StackTraceOptionsE",
                &v8.current_trace) &&
           find("_ZNK2v810StackTrace13GetFrameCountEv", &v8.frame_count) &&
           find("_ZNK2v810StackTrace8GetFrameEPNS_7IsolateEj", &v8.frame_at) &&
           find("_ZNK2v810StackFrame13GetScriptNameEv", &v8.script) &&
           find("_ZNK2v810StackFrame15GetFunctionNameEv", &v8.function);
}

static void put(const char *text)
{
    ssize_t ignored = write(shown.fd, text, strlen(text));
    (void)ignored; /* the descriptor takes what it takes */
}

/* "" for what is no text. */
static void name_of(void *value, char *name, size_t max)
{
    size_t length = 0;
    if (value == NULL || napi_get_value_string_utf8(sp__node.env, (napi_value)value,
                                                    name, max, &length) != napi_ok) {
        name[0] = '\0';
    }
}

static void put_frame(const void *frame)
{
    char line[2 * NAME_BYTES + 64];
    char function[NAME_BYTES];
    char script[NAME_BYTES];
    struct location at;
    if (v8.location != NULL) {
        at = v8.location(frame);
    } else {
        at = (struct location){v8.line(frame), v8.column(frame)};
    }
    name_of(v8.function(frame), function, sizeof function);
    name_of(v8.script(frame), script, sizeof script);
    (void)snprintf(line, sizeof line, "  at %s (%s:%d:%d)\n",
                   function[0] != '\0' ? function : "<anonymous>", script, at.line,
                   at.column);
    put(line);
}

/* On JavaScript's thread, inside whatever it runs; no JavaScript may run from here. */
static void on_interrupt(void *isolate, void *user)
{
    (void)user;
    napi_handle_scope handles;
    if (!atomic_exchange(&shown.is_wanted, 0) || atomic_load(&shown.is_ending) ||
        napi_open_handle_scope(sp__node.env, &handles) != napi_ok) {
        return;
    }
    void *trace = v8.current_trace(isolate, FRAMES_MAX, OVERVIEW);
    int count = trace != NULL ? v8.frame_count(trace) : 0;
    put("JavaScript's stack (most recent call first):\n");
    for (int i = 0; i < count; i++) {
        put_frame(v8.frame_at(trace, isolate, (uint32_t)i));
    }
    (void)napi_close_handle_scope(sp__node.env, handles);
}

static void on_wake(uv_async_t *wake)
{
    (void)wake;
    if (atomic_exchange(&shown.is_wanted, 0)) {
        put("no JavaScript runs: the event loop waits\n");
    }
}

static void *run_thread(void *unused)
{
    (void)unused;
    while (sem_wait(&shown.asked) < 0 || !atomic_load(&shown.is_ending)) {
        if (atomic_load(&shown.is_wanted)) {
            v8.request_interrupt(shown.isolate, on_interrupt, NULL);
            (void)uv_async_send(&shown.wake);
        }
    }
    return NULL;
}

static void on_stack_signal(int number)
{
    (void)number;
    if (atomic_load(&shown.is_ending)) {
        return;
    }
    atomic_store(&shown.is_wanted, 1);
    (void)sem_post(&shown.asked);
}

static int start_thread(void)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&shown.thread, &attributes, run_thread, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return rc == 0;
}

/* Everything but the offer itself. */
static int prepare(uv_loop_t *loop, int number)
{
    struct sigaction action = {.sa_handler = on_stack_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    shown.isolate = v8.current_isolate();
    (void)sem_init(&shown.asked, 0, 0);
    if (shown.isolate == NULL || uv_async_init(loop, &shown.wake, on_wake) < 0) {
        return 0;
    }
    uv_unref((uv_handle_t *)&shown.wake);
    if (!start_thread()) {
        uv_close((uv_handle_t *)&shown.wake, NULL);
        return 0;
    }
    shown.is_started = 1;
    if (sigaction(number, &action, NULL) < 0) {
        sp__stacks_stop();
        return 0;
    }
    return 1;
}

void sp__stacks_start(napi_env env, int signal_number)
{
    uv_loop_t *loop = NULL;
    sp_error err = {0};
    if (signal_number <= 0 || shown.is_started || !find_all() ||
        napi_get_uv_event_loop(env, &loop) != napi_ok ||
        !prepare(loop, signal_number)) {
        return;
    }
    int fd = sp_worker_offer_stacks(sp__node.worker, signal_number, &err);
    shown.fd = fd;
    if (fd < 0 || sp_worker_repeat_stacks(sp__node.worker, &err) < 0) {
        sp__stacks_stop(); /* a worker that listens, or a host that takes none */
    }
    sp_error_clear(&err);
}

void sp__stacks_stop(void)
{
    if (shown.is_started) {
        atomic_store(&shown.is_ending, 1);
        (void)sem_post(&shown.asked);
        (void)pthread_join(shown.thread, NULL);
        uv_close((uv_handle_t *)&shown.wake, NULL);
        shown.is_started = 0;
    }
}
