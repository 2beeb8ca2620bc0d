/* SPDX-License-Identifier: MIT */
/*
 * The benchmark programs' common part: see measure.h.
 *
 * A program that cannot go on says why on standard error and exits with status 1; run.py
 * then fails too, because a table with holes would be read as a result.
 */
#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    exit(1);
}

const char *option_text(int argc, char **argv, const char *name, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0) {
            return argv[i + 1];
        }
    }
    return otherwise;
}

long option_number(int argc, char **argv, const char *name, long otherwise)
{
    const char *text = option_text(argc, argv, name, NULL);
    if (text == NULL) {
        return otherwise;
    }
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0) {
        give_up("--%s: not a number: %s", name, text);
    }
    return value;
}

size_t option_numbers(int argc, char **argv, const char *name, const char *otherwise,
                      long *ret_numbers, size_t max)
{
    const char *at = option_text(argc, argv, name, otherwise);
    size_t count = 0;
    do {
        char *end;
        errno = 0;
        long value = strtol(at, &end, 10);
        if (errno != 0 || end == at || value < 1 || (*end != ',' && *end != '\0')) {
            give_up("--%s: not numbers from 1: %s", name, at);
        }
        if (count == max) {
            give_up("--%s: more than %zu numbers", name, max);
        }
        ret_numbers[count++] = value;
        at = *end == ',' ? end + 1 : end;
    } while (*at != '\0');
    return count;
}

/* ---- the closed loop ---- */

void load_begin(struct load *load, uint32_t in_flight, long warm_ms, long measure_ms)
{
    memset(load, 0, sizeof *load);
    load->in_flight = in_flight;
    load->begin_ns = now_ns() + (uint64_t)warm_ms * 1000000u;
    load->end_ns = load->begin_ns + (uint64_t)measure_ms * 1000000u;
}

int load_ended(struct load *load, uint64_t started_ns, uint64_t ended_ns, int is_right)
{
    load->wrong += !is_right;
    load->ended++;
    if (ended_ns >= load->end_ns) {
        return 0;
    }
    if (ended_ns >= load->begin_ns) {
        latency_add(&load->latencies, ended_ns - started_ns);
    }
    return 1;
}

void load_join(struct load *into, const struct load *from)
{
    latency_join(&into->latencies, &from->latencies);
    into->ended += from->ended;
    into->wrong += from->wrong;
}

void load_print(const struct load *load, const char *what, const char *extra)
{
    const struct latencies *latencies = &load->latencies;
    double seconds = (double)(load->end_ns - load->begin_ns) / 1e9;
    printf("{\"what\":\"%s\",\"in_flight\":%u,\"rate\":%.0f,\"p50_us\":%.2f,"
           "\"p90_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f,\"max_us\":%.2f,"
           "\"counted\":%llu,\"wrong\":%llu%s%s}\n",
           what, load->in_flight, (double)latencies->total / seconds,
           latency_us(latencies, 0.50), latency_us(latencies, 0.90),
           latency_us(latencies, 0.99), latency_us(latencies, 0.999),
           (double)latencies->max_ns / 1000.0, (unsigned long long)latencies->total,
           (unsigned long long)load->wrong, extra[0] != '\0' ? "," : "", extra);
    (void)fflush(stdout);
}

/* ---- numbers ---- */

static char *put_number(char *text, uint32_t value)
{
    char digits[10];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (n > 0) {
        *text++ = digits[--n];
    }
    return text;
}

size_t put_arguments(char *text, uint32_t a, uint32_t b)
{
    char *at = text;
    memcpy(at, "{\"a\":", 5);
    at = put_number(at + 5, a);
    memcpy(at, ",\"b\":", 5);
    at = put_number(at + 5, b);
    *at++ = '}';
    return (size_t)(at - text);
}

int64_t get_result(const char *text, size_t size)
{
    const char *end = text + size;
    const char *at = size == 0 ? NULL : memchr(text, ':', size);
    if (at == NULL) {
        return -1;
    }
    at++;
    while (at < end && *at == ' ') {
        at++;
    }
    int64_t value = at < end && *at >= '0' && *at <= '9' ? 0 : -1;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (*at - '0');
    }
    return value;
}

/* ---- processes ---- */

pid_t fork_with_socket(int flags, int *ret_end)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0, ends) < 0) {
        give_up("socketpair: %s", strerrordesc_np(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        give_up("fork: %s", strerrordesc_np(errno));
    }
    int own = child == 0;
    (void)close(ends[1 - own]);
    *ret_end = ends[own];
    return child;
}

/* ---- /proc ---- */

double processor_us(pid_t pid)
{
    char path[64];
    char line[1024];
    unsigned long user = 0;
    unsigned long system = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        give_up("%s: %s", path, strerrordesc_np(errno));
    }
    line[fread(line, 1, sizeof line - 1, file)] = '\0';
    (void)fclose(file);
    const char *end = strrchr(line, ')'); /* of the name, which may hold anything */
    if (end == NULL ||
        sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2) {
        give_up("%s is not as expected", path);
    }
    return (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

double stolen_us(void)
{
    unsigned long ticks = 0;
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) {
        give_up("/proc/stat: %s", strerrordesc_np(errno));
    }
    if (fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %lu", &ticks) != 1) {
        give_up("/proc/stat is not as expected");
    }
    (void)fclose(file);
    return (double)ticks * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

uint64_t resident_bytes(pid_t pid)
{
    char path[64];
    unsigned long long pages = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %llu", &pages) != 1) {
        pages = 0;
    }
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t shared_out_bytes(pid_t pid)
{
    char path[64];
    char line[256];
    unsigned long long kib = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Pss: %llu kB", &kib) == 1) {
            break;
        }
    }
    (void)fclose(file);
    return kib * 1024;
}

static int has_entry(const char *pid, const char *entry)
{
    static char environment[256 * 1024];
    char path[300];
    (void)snprintf(path, sizeof path, "/proc/%s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    size_t size = 0;
    ssize_t n;
    while (size < sizeof environment - 1 &&
           (n = read(fd, environment + size, sizeof environment - 1 - size)) > 0) {
        size += (size_t)n;
    }
    (void)close(fd);
    environment[size] = '\0';
    for (size_t at = 0; at < size; at += strlen(environment + at) + 1) {
        if (strcmp(environment + at, entry) == 0) {
            return 1;
        }
    }
    return 0;
}

int processes_with(const char *entry)
{
    int count = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        give_up("/proc cannot be read: %s", strerrordesc_np(errno));
    }
    struct dirent *item;
    while ((item = readdir(proc)) != NULL) {
        if (item->d_name[0] >= '1' && item->d_name[0] <= '9' &&
            strtol(item->d_name, NULL, 10) != getpid()) {
            count += has_entry(item->d_name, entry);
        }
    }
    (void)closedir(proc);
    return count;
}
