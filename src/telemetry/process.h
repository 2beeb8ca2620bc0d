/* SPDX-License-Identifier: MIT */
/* What the kernel says of the process that the library is in. Any thread. */
#ifndef SP_TELEMETRY_PROCESS_H
#define SP_TELEMETRY_PROCESS_H

#include <stdint.h>

struct process_facts {
    double cpu_s;   /* user and system */
    double start_s; /* Unix time */
    uint64_t rss_bytes;
    uint64_t virtual_bytes;
    uint64_t fds;
    uint64_t fds_max;
};

/* What cannot be found out is 0. */
void sp__process_facts_read(struct process_facts *ret);

/* Descriptors a process has open; -1 when that cannot be seen. */
int64_t sp__process_fds(int pid);

#endif
