/* SPDX-License-Identifier: MIT */
/* Who descends from this process, and who of them is still there. */
#ifndef DEMO_PROCESSES_H
#define DEMO_PROCESSES_H

enum { DEMO_PROCESSES_MAX = 256 };

struct processes {
    int count;
    struct {
        int pid;
        unsigned long long started; /* in ticks since the boot: tells a reused pid */
        char name[32];
    } all[DEMO_PROCESSES_MAX];
};

/* Every descendant of this process, however deep. Returns how many. */
int processes_list(struct processes *ret);

/* How many of them exist, in whatever state. */
int processes_left(const struct processes *seen);

#endif
