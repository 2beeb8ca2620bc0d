/* SPDX-License-Identifier: MIT */
/* Processes for tests of the registry and the sweep: what a run may leave behind. */
#ifndef SP_TEST_GUARD_LEFT_H
#define SP_TEST_GUARD_LEFT_H

#include <sys/types.h>

#include "guard/identity.h"

/* A child that waits to be killed, with the mark in its environment; NULL: without. */
pid_t left_start(const struct mark *mark);

/* The same as another program, or with another environment altogether. */
pid_t left_start_as(const struct mark *mark, const char *program);
pid_t left_start_with(char *const env[], const char *program);

/* Kill it when it still lives, and reap it. */
void left_end(pid_t pid);

/* 1 when a child has ended (it is reaped then), else 0. */
int left_has_ended(pid_t pid);

/* Sixteen bytes that are like no others, for each `n`. */
void left_id(uint8_t id[RUN_ID_BYTES], unsigned n);

struct process_id left_identify(pid_t pid);

#endif
