/* SPDX-License-Identifier: MIT */
/*
 * What all benchmark programs share: a clock, a closed loop's book-keeping, numbers to
 * and from text, and a look into /proc.
 *
 * A closed loop keeps so many calls in flight: each answer starts the next call. What
 * ends before `begin_ns` warms up and is not counted.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "latencies.h"

struct load {
    uint32_t in_flight;
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t ended; /* all calls, those of the warm-up too */
    uint64_t wrong; /* answers that were errors, or not the right ones */
    struct latencies latencies;
};

uint64_t now_ns(void);

/* The value behind --NAME, or what is given for its absence. Exits on nonsense. */
long option_number(int argc, char **argv, const char *name, long otherwise);
const char *option_text(int argc, char **argv, const char *name, const char *otherwise);
/* "1,16,64" behind --NAME; returns how many, from 1 up to max. */
size_t option_numbers(int argc, char **argv, const char *name, const char *otherwise,
                      long *ret_numbers, size_t max);

/* Say why and exit with status 1. */
void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

void load_begin(struct load *load, uint32_t in_flight, long warm_ms, long measure_ms);
/* A call has ended. Returns 1 when another shall begin. */
int load_ended(struct load *load, uint64_t started_ns, uint64_t ended_ns, int is_right);
void load_join(struct load *into, const struct load *from);
/* One line of JSON. `extra` is JSON members that follow, or "". */
void load_print(const struct load *load, const char *what, const char *extra);

/* {"a":A,"b":B} into `text` (64 bytes are enough); returns how many bytes. */
size_t put_arguments(char *text, uint32_t a, uint32_t b);
/* The integer behind the first colon of `text`, or -1. */
int64_t get_result(const char *text, size_t size);

/* As fork(), with a unix socket between the two, made with `flags`: each has its end. */
pid_t fork_with_socket(int flags, int *ret_end);

/* Processor time of a process so far, user and system, as exact as its ticks are. */
double processor_us(pid_t pid);
/* Processor time that the machine under this one has given to others while something here
 * wanted to run, of all processors, in us: what /proc/stat calls steal. It is counted in
 * whole ticks (10 ms mostly); a machine with nothing under it has none. */
double stolen_us(void);
/* Resident bytes of a process, 0 when there is none. */
uint64_t resident_bytes(pid_t pid);
/* The same with shared pages split among their users, 0 when it is unknown. */
uint64_t shared_out_bytes(pid_t pid);
/* Processes, this one left out, whose environment at their start had `entry`. */
int processes_with(const char *entry);

#endif
