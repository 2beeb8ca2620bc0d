/* SPDX-License-Identifier: MIT */
/*
 * What it costs to be watched: calls/s at 64 in flight, by how much is told of them.
 *
 *     watched [--only NAME] [--rounds N] [--window-ms MS]
 *     watched --only NAME --calls N      so many calls once, for counting instructions
 *
 *   off      nobody listens; metrics are counted all the same
 *   on       a log, StatsD, and spans and metrics to a collector, with the default sample
 *   traced   the same, with every call traced
 *   told     as off, and a handler takes every event, up to ten of each call
 *
 * Each has a pit of its own, with one worker. A round gives each of them a window, forwards
 * and backwards in turn, and is a ratio to its own "off": what the machine does meanwhile
 * touches all alike. The collector is a process of its own that answers 200 and throws away
 * what it gets: it is not the product's, but takes its time of the same processors.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"
#include "pit.h"

enum { IN_FLIGHT = 64, WARM_MS = 300, ROUNDS_MAX = 1000, ALL_TRACED = 1000 };

struct watched {
    const char *name;
    int is_on; /* log, StatsD, collector */
    uint32_t sample;
    int is_told;
    sp_pit *pit;
    sp_log *log;
    uint64_t told; /* the handler's */
    double rates[ROUNDS_MAX];
    double cpu_us;             /* of program and worker, in all windows */
    uint64_t calls;            /* likewise */
    double ratios[ROUNDS_MAX]; /* to "off" of the same round */
};

/* ---- who listens ---- */

static int listen_on(int type, struct sockaddr_in *ret_address)
{
    socklen_t size = sizeof *ret_address;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)ret_address, size) < 0 ||
        (type == SOCK_STREAM && listen(fd, 8) < 0) ||
        getsockname(fd, (struct sockaddr *)ret_address, &size) < 0) {
        give_up("watched: no socket to listen on: %s", strerrordesc_np(errno));
    }
    return fd;
}

/* One request: its head, then as much as it says. 0: the connection has ended. */
static int take_request(int fd)
{
    static char buffer[1 << 20];
    size_t size = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t n = recv(fd, buffer + size, sizeof buffer - 1 - size, 0);
        if (n <= 0) {
            return 0;
        }
        size += (size_t)n;
        buffer[size] = '\0';
        end = strstr(buffer, "\r\n\r\n");
    }
    const char *length = strcasestr(buffer, "\r\nContent-Length:");
    size_t due = length != NULL && length < end
                     ? strtoul(strchr(length + 2, ':') + 1, NULL, 10)
                     : 0;
    size_t here = size - (size_t)(end + 4 - buffer);
    while (here < due) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) {
            return 0;
        }
        here += (size_t)n;
    }
    return 1;
}

static void collect(int listener)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        while (fd >= 0 && take_request(fd) &&
               send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) > 0) {
        }
        (void)close(fd);
    }
}

/* A process for each pit's connection, so that none waits for another's. */
static void start_collector(char *ret_url, size_t max)
{
    struct sockaddr_in address;
    int listener = listen_on(SOCK_STREAM, &address);
    for (int i = 0; i < 4; i++) {
        pid_t parent = getpid();
        pid_t pid = fork();
        if (pid < 0) {
            give_up("watched: no process: %s", strerrordesc_np(errno));
        }
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent) {
                collect(listener);
            }
            _exit(1);
        }
    }
    (void)close(listener);
    (void)snprintf(ret_url, max, "http://127.0.0.1:%u", ntohs(address.sin_port));
}

static void on_any(const sp_event *event, void *user_data)
{
    (void)event;
    ((struct watched *)user_data)->told++;
}

/* ---- what is watched ---- */

static void open_watched(struct watched *watched, const char *collector,
                         const char *statsd)
{
    sp_pool_options pool = pool_of(1);
    sp_pit_options options = {
        .size = sizeof options, .pools = &pool, .pools_count = 1, .otlp_endpoint = ""};
    sp_error err = {0};
    if (watched->is_on) {
        sp_log_options log = {.size = sizeof log, .fd = open("/dev/null", O_WRONLY)};
        check(sp_log_open(&log, &watched->log, &err), &err, "log");
        options.log = watched->log;
        options.on_event = sp_log_event;
        options.event_data = watched->log;
        options.otlp_endpoint = collector;
        options.trace_sample_permille = watched->sample;
        options.statsd = statsd;
    }
    check(sp_pit_open(&options, &watched->pit, &err), &err, "open");
    check(sp_pit_await_ready(watched->pit, 0, &err), &err, "await ready");
    if (watched->is_told) {
        check(sp_events_attach(watched->pit, "", on_any, watched, NULL, &err), &err,
              "attach");
    }
}

/* ---- calls ---- */

static struct {
    struct watched *watched;
    uint64_t end_ns;
    uint64_t calls_max;
    uint64_t started;
    uint64_t ended;
} window;

static void on_reply(const sp_reply *reply, void *user_data);

static void start_call(void)
{
    sp_error err = {0};
    char args[64];
    uint32_t a = (uint32_t)window.started++;
    size_t size = put_arguments(args, a, 3);
    check(sp_call_start(window.watched->pit, "add", (sp_bytes){args, size}, NULL,
                        on_reply, (void *)(uintptr_t)a, NULL, &err),
          &err, "call");
}

static void on_reply(const sp_reply *reply, void *user_data)
{
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    if (get_result(reply->result->json, reply->result->json_bytes) !=
        (int64_t)(uintptr_t)user_data + 3) {
        give_up("watched: a wrong answer");
    }
    window.ended++;
    if (window.started < window.calls_max && now_ns() < window.end_ns) {
        start_call();
    }
}

/* Calls/s. */
static double run(struct watched *watched, long ms, uint64_t calls_max)
{
    sp_error err = {0};
    uint64_t began_ns = now_ns();
    window.watched = watched;
    window.started = 0;
    window.ended = 0;
    window.calls_max = calls_max;
    window.end_ns = began_ns + (uint64_t)ms * 1000000;
    while (window.started < IN_FLIGHT && window.started < calls_max) {
        start_call();
    }
    while (window.ended < window.started) {
        check(sp_pit_dispatch(watched->pit, SP_UNLIMITED, &err), &err, "dispatch");
    }
    return (double)window.ended * 1e9 / (double)(now_ns() - began_ns);
}

/* ---- the program ---- */

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(double *values, long count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return count % 2 ? values[count / 2]
                     : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* What program and worker have used. */
static double used_us(sp_pit *pit)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) +
           processor_us(worker_pid(pit));
}

static void measure(struct watched *all, size_t count, long rounds, long window_ms)
{
    for (size_t i = 0; i < count; i++) {
        (void)run(&all[i], WARM_MS, UINT64_MAX);
    }
    for (long round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            struct watched *watched = &all[round % 2 ? count - 1 - i : i];
            double began_us = used_us(watched->pit);
            watched->rates[round] = run(watched, window_ms, UINT64_MAX);
            watched->cpu_us += used_us(watched->pit) - began_us;
            watched->calls += window.ended;
        }
        for (size_t i = 0; i < count; i++) {
            all[i].ratios[round] = all[i].rates[round] / all[0].rates[round];
        }
    }
    for (size_t i = 0; i < count; i++) {
        printf("{\"what\":\"%s\",\"rate\":%.0f,\"of_off\":%.4f,\"cpu_us\":%.3f,"
               "\"told\":%llu}\n",
               all[i].name, median(all[i].rates, rounds), median(all[i].ratios, rounds),
               all[i].cpu_us / (double)all[i].calls, (unsigned long long)all[i].told);
    }
}

int main(int argc, char **argv)
{
    static struct watched all[] = {{.name = "off"},
                                   {.name = "on", .is_on = 1},
                                   {.name = "traced", .is_on = 1, .sample = ALL_TRACED},
                                   {.name = "told", .is_told = 1}};
    struct watched *first = all;
    size_t count = sizeof all / sizeof all[0];
    const char *only = option_text(argc, argv, "only", "");
    long rounds = option_number(argc, argv, "rounds", 20);
    long window_ms = option_number(argc, argv, "window-ms", 100);
    long calls = option_number(argc, argv, "calls", 0);
    char collector[64];
    char statsd[64];
    struct sockaddr_in address;
    if (rounds < 1 || rounds > ROUNDS_MAX) {
        give_up("watched: --rounds is 1 to %d", ROUNDS_MAX);
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(only, all[i].name) == 0) {
            first = &all[i];
            count = 1;
        }
    }
    start_collector(collector, sizeof collector);
    int statsd_fd = listen_on(SOCK_DGRAM, &address);
    (void)snprintf(statsd, sizeof statsd, "127.0.0.1:%u", ntohs(address.sin_port));
    for (size_t i = 0; i < count; i++) {
        open_watched(&first[i], collector, statsd);
    }
    if (calls > 0) {
        (void)run(first, WARM_MS * 1000L, (uint64_t)calls);
    } else {
        measure(first, count, rounds, window_ms);
    }
    for (size_t i = 0; i < count; i++) {
        sp_pit_close(first[i].pit);
        sp_log_close(first[i].log);
    }
    (void)close(statsd_fd);
    return 0;
}
