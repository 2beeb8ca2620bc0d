/* SPDX-License-Identifier: MIT */
/*
 * Misdeeds: crashes, hangs, floods, nonsense on the wire, too much memory, too many
 * processes, children that do not want to die.
 *
 * Each is noted before it is done, so that a death can be told from an accident.
 */
#include "misdeeds.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, LINE_BYTES = 1024, FORKS_MAX = 64 };

static void die_of(int number)
{
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void wait_ms(uint64_t ms)
{
    (void)poll(NULL, 0, (int)ms);
}

static void spin(void)
{
    for (volatile uint64_t turns = 0;; turns++) {
    }
}

/* Print `amount` bytes in lines, or in one line that never ends. */
static void flood(int fd, uint64_t amount, int lines)
{
    char text[LINE_BYTES];
    memset(text, 'x', sizeof text);
    if (lines) {
        text[sizeof text - 1] = '\n';
    }
    while (amount > 0) {
        ssize_t n = write(fd, text, amount < sizeof text ? amount : sizeof text);
        if (n <= 0) {
            return;
        }
        amount -= (uint64_t)n;
    }
}

/* Where the host reads first: the pipe, where there are pipes. */
static void write_to_host(const void *bytes, size_t size)
{
    const char *number = getenv("SNAKEPIT_CALL_OUT_FD");
    number = number != NULL ? number : getenv("SNAKEPIT_CALL_FD");
    if (number != NULL) {
        (void)!write((int)strtol(number, NULL, 10), bytes, size);
    }
}

/* A second answer on the stream that ended long ago: an ANSWER of wire/lean.h without a
 * message, behind what base/duplex.h puts before it in a pipe. */
static void answer_twice(void)
{
    enum { ANSWER = 12 };
    static const uint32_t words[] = {2 * sizeof(uint32_t), (uint32_t)ANSWER << 24, 1};
    int is_piped = getenv("SNAKEPIT_CALL_OUT_FD") != NULL;
    write_to_host(words + !is_piped, sizeof words - !is_piped * sizeof words[0]);
}

static void write_garbage(void)
{
    static const char text[] = "nobody understands this and nobody is meant to\r\n\r\n";
    for (int i = 0; i < 20; i++) {
        write_to_host(text, sizeof text - 1);
    }
}

/* Memory that is used and not given back. */
static void leak(uint64_t amount)
{
    volatile char *memory = malloc(amount);
    for (uint64_t at = 0; memory != NULL && at < amount; at += PAGE_BYTES) {
        memory[at] = 1;
    }
}

/* Where memory is short, until the kernel says that it is enough. */
static void eat_memory(void)
{
    char path[600];
    const char *folder = getenv("CHAOS_CGROUP");
    (void)snprintf(path, sizeof path, "%s/cgroup.procs", folder != NULL ? folder : "");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (folder == NULL || fd < 0 || write(fd, "0", 1) != 1) {
        (void)fprintf(stderr, "evil: no place where memory is short: %s\n", path);
        return;
    }
    (void)close(fd);
    for (;;) {
        leak(8u << 20);
    }
}

/* A child that has left group and session, and does not listen to SIGTERM. */
static void leave_grandchild(void)
{
    pid_t child = fork();
    if (child != 0) {
        (void)waitpid(child, NULL, 0);
        return;
    }
    (void)setsid();
    if (fork() != 0) {
        _exit(0);
    }
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    for (;;) {
        (void)pause();
    }
}

/* Processes that make processes, up to a bound: each level doubles them. */
static void fork_bomb(uint64_t amount)
{
    uint64_t levels = 0;
    while ((1ull << (levels + 1)) <= (amount < FORKS_MAX ? amount : FORKS_MAX)) {
        levels++;
    }
    pid_t first = getpid();
    for (uint64_t i = 0; i < levels; i++) {
        (void)fork();
    }
    if (getpid() != first) {
        for (;;) {
            (void)pause();
        }
    }
}

static void crash(const char *what)
{
    if (strcmp(what, "segv") == 0) {
        die_of(SIGSEGV);
    } else if (strcmp(what, "abort") == 0) {
        die_of(SIGABRT);
    } else if (strcmp(what, "kill") == 0) {
        die_of(SIGKILL);
    } else if (strcmp(what, "exit") == 0) {
        _exit(7);
    }
}

static void hang(const struct deed *deed, const sp_job *job)
{
    if (strcmp(deed->what, "stop") == 0) {
        (void)raise(SIGSTOP);
    } else if (strcmp(deed->what, "spin") == 0) {
        spin();
    } else if (strcmp(deed->what, "deaf") == 0) {
        wait_ms(deed->amount); /* as long, whoever cancels */
    } else if (strcmp(deed->what, "slow") == 0) {
        uint64_t end_us = ledger_now_us() + deed->amount * 1000u;
        while (ledger_now_us() < end_us && (job == NULL || !sp_job_cancelled(job))) {
            wait_ms(1);
        }
    }
}

static void overdo(const struct deed *deed)
{
    if (strcmp(deed->what, "out") == 0) {
        flood(STDOUT_FILENO, deed->amount, 1);
    } else if (strcmp(deed->what, "err") == 0) {
        flood(STDERR_FILENO, deed->amount, 0);
    } else if (strcmp(deed->what, "garbage") == 0) {
        write_garbage();
    } else if (strcmp(deed->what, "twice") == 0) {
        answer_twice();
    } else if (strcmp(deed->what, "leak") == 0) {
        leak(deed->amount);
    } else if (strcmp(deed->what, "eat") == 0) {
        eat_memory();
    } else if (strcmp(deed->what, "child") == 0) {
        leave_grandchild();
    } else if (strcmp(deed->what, "bomb") == 0) {
        fork_bomb(deed->amount);
    }
}

void misdeed(const struct deed *deed, enum moment now, const struct ledger *ledger,
             const sp_job *job)
{
    if (deed->what[0] == '\0' || deed->at != now) {
        return;
    }
    ledger_note(ledger, "misdeed", "%llu %s %d", (unsigned long long)deed->id,
                deed->what, (int)getpid());
    crash(deed->what);
    hang(deed, job);
    overdo(deed);
}
