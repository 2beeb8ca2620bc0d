/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/task, thread by thread. Which files may be read depends on who asks: `wchan`
 * and `syscall` want what a debugger wants, `stack` wants root. What cannot be read is
 * left out, and a thread that ends meanwhile as well.
 */
#include "telemetry/threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "telemetry/json_report.h"

enum { THREADS_MAX = 256, FACT_BYTES = 4096 };

/* Those that a thread which waits is usually in. */
static const struct {
    long number;
    const char *name;
} syscalls[] = {
    {SYS_read, "read"},
    {SYS_write, "write"},
    {SYS_futex, "futex"},
    {SYS_ppoll, "ppoll"},
    {SYS_pselect6, "pselect6"},
    {SYS_epoll_pwait, "epoll_pwait"},
    {SYS_nanosleep, "nanosleep"},
    {SYS_clock_nanosleep, "clock_nanosleep"},
    {SYS_recvfrom, "recvfrom"},
    {SYS_recvmsg, "recvmsg"},
    {SYS_sendto, "sendto"},
    {SYS_sendmsg, "sendmsg"},
    {SYS_connect, "connect"},
    {SYS_accept4, "accept4"},
    {SYS_wait4, "wait4"},
    {SYS_waitid, "waitid"},
    {SYS_fsync, "fsync"},
    {SYS_flock, "flock"},
    {SYS_rt_sigtimedwait, "rt_sigtimedwait"},
#ifdef SYS_poll /* not every machine has the older ones */
    {SYS_poll, "poll"},
    {SYS_select, "select"},
    {SYS_epoll_wait, "epoll_wait"},
    {SYS_pause, "pause"},
#endif
};

const char *sp__thread_state(char letter)
{
    switch (letter) {
    case 'R':
        return "running";
    case 'S':
        return "sleeping";
    case 'D':
        return "waiting for a device";
    case 'T':
        return "stopped";
    case 't':
        return "traced";
    case 'Z':
        return "ended";
    case 'I':
        return "idle";
    default:
        return "";
    }
}

/* Without the line end; "" when it cannot be read. */
static const char *read_fact(int task, const char *tid, const char *what, char *text)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", tid, what);
    int fd = openat(task, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, FACT_BYTES - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    n = n > 0 && text[n - 1] == '\n' ? n - 1 : n;
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void set_text(json_t *thread, const char *key, const char *text)
{
    if (text[0] != '\0') {
        sp__report_set_words(thread, key, text);
    }
}

static void set_stat(json_t *thread, int task, const char *tid)
{
    char text[FACT_BYTES];
    /* The name before it may hold anything, parentheses too. */
    const char *rest = strrchr(read_fact(task, tid, "stat", text), ')');
    unsigned long long user = 0;
    unsigned long long system = 0;
    char letter = 0;
    if (rest != NULL &&
        sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &letter,
               &user, &system) == 3) {
        long ticks = sysconf(_SC_CLK_TCK);
        set_text(thread, "state", sp__thread_state(letter));
        (void)json_object_set_new(
            thread, "cpu_ms",
            json_integer((json_int_t)((user + system) * 1000 /
                                      (ticks > 0 ? (unsigned)ticks : 100))));
    }
}

/* "202 0x7f..", "running", or "-1 ..": in none. */
static void set_syscall(json_t *thread, int task, const char *tid)
{
    char text[FACT_BYTES];
    char *end = NULL;
    long number = strtol(read_fact(task, tid, "syscall", text), &end, 10);
    if (end == text || number < 0) {
        return;
    }
    for (size_t i = 0; i < sizeof syscalls / sizeof syscalls[0]; i++) {
        if (syscalls[i].number == number) {
            set_text(thread, "syscall", syscalls[i].name);
            return;
        }
    }
    *end = '\0';
    set_text(thread, "syscall", text);
}

static json_t *thread_json(int task, const char *tid)
{
    char text[FACT_BYTES];
    json_t *thread = json_object();
    (void)json_object_set_new(thread, "tid", json_integer(strtol(tid, NULL, 10)));
    set_text(thread, "name", read_fact(task, tid, "comm", text));
    set_stat(thread, task, tid);
    if (strcmp(read_fact(task, tid, "wchan", text), "0") != 0) {
        set_text(thread, "waits_in", text);
    }
    set_syscall(thread, task, tid);
    set_text(thread, "kernel_stack", read_fact(task, tid, "stack", text));
    return thread;
}

json_t *sp__threads_json(int pid)
{
    char path[64];
    json_t *list = json_array();
    (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *task = pid > 0 ? opendir(path) : NULL;
    struct dirent *entry;
    while (task != NULL && (entry = readdir(task)) != NULL &&
           json_array_size(list) < THREADS_MAX) {
        if (entry->d_name[0] != '.') {
            sp__report_add(&list, thread_json(dirfd(task), entry->d_name));
        }
    }
    if (task != NULL) {
        (void)closedir(task);
    }
    return list;
}
