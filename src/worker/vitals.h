/* SPDX-License-Identifier: MIT */
/* What /proc says of a process: how it is, what it has used. Pids are the host's. */
#ifndef SP_WORKER_VITALS_H
#define SP_WORKER_VITALS_H

#include <stddef.h>
#include <stdint.h>

struct vitals {
    int pid;
    int parent;
    int group;
    int session;
    char state; /* R runs, S sleeps, D waits for a device, T stopped, Z dead; 0: gone */
    uint64_t cpu_ms; /* processor time so far, user and system */
    uint64_t start; /* when it began, in ticks since boot: tells two of one pid apart */
    uint64_t rss_bytes; /* resident, shared pages counted whole */
};

/* 1, or 0 with state 0 when there is no such process. Never waits for the process. */
int sp__vitals_read(int pid, struct vitals *ret);

/* One line of /proc/PID/stat. 1, or 0 when it is none. Pure, for the tests. */
int sp__vitals_parse(const char *line, struct vitals *ret);

/* "state D (waits for a device), 0.31 s of processor time". Returns its length, as
 * snprintf() does. */
int sp__vitals_describe(const struct vitals *vitals, char *text, size_t max);

#endif
