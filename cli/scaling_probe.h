/* SPDX-License-Identifier: MIT */
/* What this machine gives until it refuses: found by taking it. */
#ifndef SNAKEPIT_CLI_SCALING_PROBE_H
#define SNAKEPIT_CLI_SCALING_PROBE_H

#include "cli.h"

enum { PROBES_MAX = 8, PROBE_TIME_MS = 3000, PROBE_TEXT_MAX = 160 };

/* One thing that was taken again and again. */
struct probe {
    const char *name;
    const char *unit; /* "" for plain numbers, "MiB" */
    uint64_t bound;   /* no more were tried */
    uint64_t reached;
    int is_refused; /* else by the bound, or the time */
    char stopped_by[PROBE_TEXT_MAX];
    /* A key or command, with the value, for more; "": it was not refused. */
    char set[PROBE_TEXT_MAX];
};

struct probes {
    struct probe list[PROBES_MAX];
    size_t count;
};

/* The most of each that is tried, for all to be told before. */
enum {
    PROBE_DESCRIPTORS = 100000,
    PROBE_CONNECTIONS = 10000,
    PROBE_PORTS = 70000,
    PROBE_CLIENTS = 5000,
    PROBE_MEMORY_MIB = 1024
};

/* Descriptors, connections over a unix socket and TCP, those that wait, ports, clients of a
 * daemon of our own, memory; each is given back before the next, and when it is
 * interrupted. 0 or an exit code. */
int probe_all(const struct cli *cli, struct probes *ret);

#endif
