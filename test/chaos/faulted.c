/* SPD"faulted: %s left %d descriptors (%d), %d threads (%d), %lld pieces "
-License-Identifier: MIT */
/*
 * faulted CONTROL SITE ERROR MODE [STEP]
 *
 * With libspfault.so preloaded: lives through the whole life of a pit once to count the
 * calls of a kind, and then again with the first of them failing, the second, the third
 * ... (every STEP-th); MODE `once`, or `sticky`: that one and all after it. Any step may
 * fail with an error. None may crash, hang or leave anything behind, and after each the
 * same life without a fault goes well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"
#include "snakepit/snakepit.h"

enum { LIFE_SECONDS = 60, HURRY_MS = 300, PATIENT_MS = 30000 };

static const struct {
    const char *name;
    int site;
} sites[] = {
    {"memory", FAULT_MEMORY},     {"files", FAULT_FILES},
    {"receive", FAULT_RECEIVE},   {"send", FAULT_SEND},
    {"threads", FAULT_THREADS},   {"spawn", FAULT_SPAWN},
    {"truncate", FAULT_TRUNCATE}, {"map", FAULT_MAP},
};

static const struct {
    const char *name;
    int number;
} errors[] = {
    {"short", 0},       {"ENOMEM", ENOMEM},         {"EMFILE", EMFILE},
    {"ENFILE", ENFILE}, {"EINTR", EINTR},           {"EAGAIN", EAGAIN},
    {"EPIPE", EPIPE},   {"ECONNRESET", ECONNRESET}, {"ENOSPC", ENOSPC},
};

static struct fault_control *control;
static _Atomic int64_t live; /* allocations of the library */
static char what[128];       /* for the message of a hang */

static void *counted_malloc(size_t size)
{
    void *memory = malloc(size);
    atomic_fetch_add(&live, memory != NULL);
    return memory;
}

static void *counted_realloc(void *memory, size_t size)
{
    void *moved = realloc(memory, size);
    atomic_fetch_add(&live, memory == NULL && moved != NULL);
    return moved;
}

static void counted_free(void *memory)
{
    atomic_fetch_sub(&live, memory != NULL);
    free(memory);
}

static void too_long(int number)
{
    (void)!write(STDERR_FILENO, "faulted: hangs at ", 18);
    (void)!write(STDERR_FILENO, what, strlen(what));
    (void)!write(STDERR_FILENO, "\n", 1);
    abort();
}

static int count_entries(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    while (dir != NULL && readdir(dir) != NULL) {
        n++;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return n;
}

/* Descriptors, but for epoll's: libuv 1.44 does not close its own when the rest of
 * uv_loop_init() fails. Nothing else here opens one. */
static int count_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[300];
        char target[64] = "";
        (void)snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        (void)!readlink(path, target, sizeof target - 1);
        n += strcmp(target, "anon_inode:[eventpoll]") != 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return n;
}

/* ---- a life ---- */

static int run_stream(sp_pit *pit, uint64_t timeout_ms, int cancel)
{
    sp_call_options options = {.size = sizeof options, .timeout_ms = timeout_ms};
    sp_stream *stream;
    sp_chunk chunk;
    uint64_t came = 0;
    int rc =
        sp_stream_open(pit, "count", sp_text("{\"to\":200}"), &options, &stream, NULL);
    if (rc < 0) {
        return rc;
    }
    while ((rc = sp_stream_next(stream, &chunk, NULL)) > 0) {
        if (chunk.index != came++) {
            (void)fprintf(stderr, "faulted: a chunk is missing at %s\n", what);
            exit(1);
        }
        if (cancel) {
            sp_stream_cancel(stream);
        }
    }
    sp_stream_close(stream);
    if (rc == 0 && came != 200) {
        (void)fprintf(stderr, "faulted: a stream ended early at %s\n", what);
        exit(1);
    }
    return cancel ? 0 : rc;
}

static int run_calls(sp_pit *pit, uint64_t timeout_ms)
{
    sp_call_options options = {.size = sizeof options, .timeout_ms = timeout_ms};
    sp_call_options in = {
        .size = sizeof in, .timeout_ms = timeout_ms, .session = "s", .request_id = "r"};
    sp_result result = {0};
    sp_error err = {0};
    int worst = sp_execute(pit, "echo", sp_text("[1]"), &options, &result, &err);
    sp_result_clear(&result);
    int rc = sp_execute(pit, "echo", sp_text("{\"a\":2}"), &in, &result, &err);
    worst = rc < worst ? rc : worst;
    sp_result_clear(&result);
    rc = sp_execute(pit, "fail", sp_text("[]"), &options, &result, &err);
    worst = rc != SP_ERR_REMOTE && rc < worst ? rc : worst;
    sp_result_clear(&result);
    sp_error_clear(&err);
    rc = run_stream(pit, timeout_ms, 0);
    worst = rc < worst ? rc : worst;
    rc = run_stream(pit, timeout_ms, 1);
    return rc < worst ? rc : worst;
}

/* From opening to closing. 0 when all of it went well. */
static int live_once(uint64_t patience_ms)
{
    const char *command[] = {TEST_BUILD "/test/system/plain", NULL};
    sp_pool_options pool = {.size = sizeof pool,
                            .runtime = "exec",
                            .command = command,
                            .workers = 2,
                            .shutdown_grace_ms = 300};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit;
    sp_error err = {0};
    int rc = sp_pit_open(&options, &pit, &err);
    if (rc == 0) {
        rc = sp_pit_await_ready(pit, patience_ms, &err);
        if (rc == 0) {
            rc = run_calls(pit, patience_ms);
            (void)sp_pool_recycle(pit, NULL, 0, NULL);
            (void)sp_pit_shutdown(pit, patience_ms, NULL);
        } else {
            sp_pit_close(pit);
        }
    }
    if (err.code != 0 && patience_ms == PATIENT_MS) {
        (void)fprintf(stderr, "faulted: %s\n", err.message);
    }
    sp_error_clear(&err);
    return rc;
}

/* ---- the sweep ---- */

static void arm(int site, int error, int sticky, uint64_t nth)
{
    atomic_store(&control->site, FAULT_NONE);
    atomic_store(&control->hits, 0);
    atomic_store(&control->injected, 0);
    atomic_store(&control->error, error);
    atomic_store(&control->sticky, sticky);
    atomic_store(&control->nth, nth);
    atomic_store(&control->pid, (int)getpid());
    atomic_store(&control->site, site);
}

static void disarm(void)
{
    atomic_store(&control->site, FAULT_NONE);
}

static void must_be_as_before(int descriptors, int threads)
{
    for (int i = 0; i < 500; i++) {
        if (count_descriptors() <= descriptors &&
            count_entries("/proc/self/task") <= threads && atomic_load(&live) == 0) {
            return;
        }
        (void)poll(NULL, 0, 10);
    }
    (void)fprintf(stderr,
                  "faulted: %s left %d descriptors (%d), %d threads (%d), %lld pieces "
                  "of memory\n",
                  what, count_descriptors(), descriptors,
                  count_entries("/proc/self/task"), threads,
                  (long long)atomic_load(&live));
    exit(1);
}

static void must_live(void)
{
    if (live_once(PATIENT_MS) != 0) {
        (void)fprintf(stderr, "faulted: no life after %s\n", what);
        exit(1);
    }
}

static void sweep(const char *name, int site, int error, int sticky, uint64_t step)
{
    uint64_t runs = 0;
    uint64_t well = 0;
    uint64_t injected = 0;
    must_live(); /* what libraries open once is open */
    int descriptors = count_descriptors();
    int threads = count_entries("/proc/self/task");
    arm(site, error, 0, 0);
    must_live();
    uint64_t hits = atomic_load(&control->hits);
    disarm();
    for (uint64_t n = 1; n <= hits + step; n += step) {
        (void)snprintf(what, sizeof what, "%s %s %llu", name,
                       sticky ? "sticky" : "once", (unsigned long long)n);
        (void)alarm(LIFE_SECONDS);
        arm(site, error, sticky, n);
        int rc = live_once(HURRY_MS);
        int disturbed = atomic_load(&control->injected) > 0;
        disarm();
        injected += (uint64_t)disturbed;
        well += disturbed && rc == 0;
        must_be_as_before(descriptors, threads);
        runs++;
    }
    (void)alarm(LIFE_SECONDS);
    must_live();
    must_be_as_before(descriptors, threads);
    (void)printf(
        "%-9s %s %4llu of them in a life, %llu lives with a fault, %llu went well "
        "all the same\n",
        name, sticky ? "sticky" : "once  ", (unsigned long long)hits,
        (unsigned long long)injected, (unsigned long long)well);
    if (hits == 0 || injected == 0) {
        (void)fprintf(stderr, "faulted: nothing was disturbed\n");
        exit(1);
    }
}

static int open_control(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *map =
        fd < 0 ? MAP_FAILED
               : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    control = map == MAP_FAILED ? NULL : map;
    return control != NULL;
}

int main(int argc, char **argv)
{
    int site = FAULT_NONE;
    int error = -1;
    if (argc < 5 || !open_control(argv[1])) {
        (void)fprintf(stderr, "usage: faulted CONTROL SITE ERROR once|sticky [STEP]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++) {
        site = strcmp(argv[2], sites[i].name) == 0 ? sites[i].site : site;
    }
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        error = strcmp(argv[3], errors[i].name) == 0 ? errors[i].number : error;
    }
    if (site == FAULT_NONE || error < 0) {
        (void)fprintf(stderr, "faulted: no such site or error\n");
        return 2;
    }
    (void)signal(SIGALRM, too_long);
    (void)setenv("SNAKEPIT_GUARD", TEST_BUILD "/guard/snakepit-guard", 0);
    (void)sp_set_allocator(counted_malloc, counted_realloc, counted_free);
    sweep(argv[2], site, error, strcmp(argv[4], "sticky") == 0,
          argc > 5 ? strtoull(argv[5], NULL, 10) : 1);
    return 0;
}
