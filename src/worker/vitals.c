/* SPDX-License-Identifier: MIT */
/*
 * Reading /proc/PID/stat, which the kernel answers from what it has: it takes no lock
 * that a hanging process could hold, so this never waits.
 *
 * A process that is gone, or a line that is none, gives state 0 and no numbers.
 */
#include "worker/vitals.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STAT_BYTES = 1024,
    /* Fields of proc_pid_stat(5), counted from the state, which is its third. */
    FIELD_PARENT = 1,
    FIELD_GROUP = 2,
    FIELD_SESSION = 3,
    FIELD_USER = 11,
    FIELD_SYSTEM = 12,
    FIELD_START = 19,
    FIELD_RSS = 21,
    FIELDS = 22
};

int sp__vitals_parse(const char *line, struct vitals *ret)
{
    *ret = (struct vitals){0};
    /* The name stands in parentheses and may hold anything, parentheses too. */
    const char *at = strrchr(line, ')');
    if (at == NULL || at[1] != ' ' || at[2] < 'A' || at[2] > 'z') {
        return 0;
    }
    uint64_t fields[FIELDS] = {0};
    const char *field = at + 3;
    for (int i = 1; i < FIELDS; i++) {
        char *end;
        fields[i] = strtoull(field, &end, 10);
        if (end == field) {
            return 0;
        }
        field = end;
    }
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
    *ret = (struct vitals){
        .pid = (int)strtol(line, NULL, 10),
        .parent = (int)fields[FIELD_PARENT],
        .group = (int)fields[FIELD_GROUP],
        .session = (int)fields[FIELD_SESSION],
        .state = at[2],
        .cpu_ms = (fields[FIELD_USER] + fields[FIELD_SYSTEM]) * 1000 / ticks,
        .start = fields[FIELD_START],
        .rss_bytes = fields[FIELD_RSS] * (uint64_t)sysconf(_SC_PAGESIZE),
    };
    return 1;
}

int sp__vitals_read(int pid, struct vitals *ret)
{
    char path[40];
    char line[STAT_BYTES];
    *ret = (struct vitals){0};
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t n = read(fd, line, sizeof line - 1);
    (void)close(fd);
    if (n <= 0) {
        return 0;
    }
    line[n] = '\0';
    return sp__vitals_parse(line, ret);
}

static const char *state_text(char state)
{
    switch (state) {
    case 'R':
        return "runs";
    case 'S':
        return "sleeps";
    case 'D':
        return "waits in the kernel, deaf to signals";
    case 'T':
    case 't':
        return "stopped";
    case 'Z':
    case 'X':
        return "dead";
    default:
        return "unknown";
    }
}

int sp__vitals_describe(const struct vitals *vitals, char *text, size_t max)
{
    if (vitals->state == 0) {
        return snprintf(text, max, "no such process");
    }
    return snprintf(text, max, "state %c (%s), %llu.%02llu s of processor time",
                    vitals->state, state_text(vitals->state),
                    (unsigned long long)(vitals->cpu_ms / 1000),
                    (unsigned long long)(vitals->cpu_ms % 1000 / 10));
}
