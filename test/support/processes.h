/* SPDX-License-Identifier: MIT */
/* Looking at processes from outside. */
#ifndef TEST_SUPPORT_PROCESSES_H
#define TEST_SUPPORT_PROCESSES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes whose parent is this one, or another, zombies included. Fills at most max. */
size_t processes_children(pid_t *ret, size_t max);
size_t processes_children_of(pid_t parent, pid_t *ret, size_t max);

/* Living processes whose environment has NAME=value, wherever they hang in the tree. */
size_t processes_with(const char *name, const char *value, pid_t *ret, size_t max);

/* What a process is called, for messages; into text. */
const char *processes_name(pid_t pid, char *text, size_t max);

/* A pidfd; fails the test when there is no such process. */
int processes_watch(pid_t pid);
/* 1 when the process of a pidfd ended within timeout_ms, 0 when not. */
int processes_ended(int pidfd, uint64_t timeout_ms);

int processes_exists(pid_t pid); /* and is no zombie */

/* 1 when this thread of the process sleeps on descriptors, as who drives a loop does. */
int processes_thread_polls(int tid);

/* Resident memory of this process. */
size_t processes_resident_bytes(void);

#endif
