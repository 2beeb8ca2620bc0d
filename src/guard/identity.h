/* SPDX-License-Identifier: MIT */
/* Who a process is, beyond its number; see identity.c. Any thread. */
#ifndef SP_GUARD_IDENTITY_H
#define SP_GUARD_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/base.h"
#include "snakepit/error.h"

enum { RUN_ID_BYTES = 16, MARK_NAME_MAX = 64 };

/* In the environment of every process of a run: "SNAKEPIT_RUN=NAME:INSTANCE:RUN", the
 * two ids as 32 hexadecimal digits each. */
#define MARK_VARIABLE "SNAKEPIT_RUN"
enum {
    MARK_MAX = sizeof MARK_VARIABLE + 1 + MARK_NAME_MAX + 2 * (1 + 2 * RUN_ID_BYTES)
};

/* An instance is one folder as long as it exists; a run is one host in it. */
struct mark {
    uint8_t instance[RUN_ID_BYTES];
    uint8_t run[RUN_ID_BYTES];
};

/* Numbers are given again; the three together never are while the machine runs. */
struct process_id {
    int32_t pid;
    uint64_t start_ticks; /* field 22 of /proc/PID/stat: since the machine started */
    uint64_t serial;      /* the inode of its pidfd, where the kernel counts processes
                             with it (Linux 6.9); else 0 */
};

/* One look at a process. */
struct process {
    struct process_id id;
    int32_t parent;
    uint32_t uid; /* its effective user */
    char state;   /* as in /proc/PID/stat: 'Z' and 'X' are dead */
    char name[16];
    int marked; /* 1: *mark is set; 0: no mark; -1: its environment cannot be read */
    struct mark mark;
};

/* A pidfd, or -1: no such process, or (errno ENOSYS) no such kernel. */
int sp__process_open(int pid);

/* Look at a process. 0, or -1 when there is none. With `pidfd` (-1: without) the
 * serial number is read too, and the look is certainly at that process. */
int sp__process_look(int pid, int pidfd, struct process *ret);

/* The same, with the mark. */
int sp__process_look_closely(int pid, int pidfd, struct process *ret);

/* Whether both are the same process: 1 yes, 0 no, -1 when the number and the start time
 * fit and no serial number says more. */
int sp__process_compare(const struct process_id *a, const struct process_id *b);

/* SIGKILL to exactly this process: 1 sent, 0 it is not there any more, -1 with errno. */
int sp__process_kill(const struct process_id *id);

/* Every process there is, looked at closely. The caller frees *ret. SP_ERR_NOMEM,
 * SP_ERR_SYSTEM (no /proc). */
int sp__process_list(struct process **ret, size_t *ret_count,
                     sp_error *err) SP_MUST_CHECK;

/* Which start of the machine, and which space of process numbers this is. */
int sp__boot_id(uint8_t ret[RUN_ID_BYTES], sp_error *err) SP_MUST_CHECK;
uint64_t sp__pid_space(void); /* 0 when it cannot be told */

/* "SNAKEPIT_RUN=..." into text, and back: 1 when `text` is a mark's value. */
void sp__mark_format(const char *name, const struct mark *mark, char text[MARK_MAX]);
int sp__mark_parse(const char *text, size_t size, struct mark *ret);

/* 32 hexadecimal digits and their end. */
void sp__id_format(const uint8_t id[RUN_ID_BYTES], char text[2 * RUN_ID_BYTES + 1]);

#endif
