/* SPDX-License-Identifier: MIT */
/*
 * Who a process is.
 *
 * A number read from a file may be another process's by now. What cannot repeat while
 * the machine runs is the number together with the time its process started, and, where
 * the kernel has it, the serial number behind a pidfd. The start time has a resolution of
 * ten milliseconds, so that somebody who gives out numbers on purpose can forge it; then
 * the mark in the environment decides. A name never does.
 *
 * Everything is read from /proc and nothing is kept. A process may end at any moment:
 * what is read while its pidfd is open and says that it lives is certainly its own, and
 * a signal through the pidfd reaches it or nobody. Without pidfds (before Linux 5.3) the
 * time between look and signal is a few microseconds, and the number would have to be
 * used up and given again within them.
 */
#include "guard/identity.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

enum {
    STAT_MAX = 1024,
    ENVIRON_PART = 8192,
    ENVIRON_MAX = 4 << 20, /* more than the kernel lets a program start with */
    SETTLE_TURN_MS = 1,
    SETTLE_MAX_MS = 500, /* for a program to be loaded; it takes microseconds, really */
    FLAG_EXITING =
        0x4, /* PF_EXITING and PF_KTHREAD: no environment any more, or ever */
    FLAG_KERNEL = 0x200000
};

#define PIDFS_MAGIC 0x50494446

/* ---- hexadecimal ---- */

void sp__id_format(const uint8_t id[RUN_ID_BYTES], char text[2 * RUN_ID_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < RUN_ID_BYTES; i++) {
        text[2 * i] = digits[id[i] >> 4];
        text[2 * i + 1] = digits[id[i] & 15];
    }
    text[2 * RUN_ID_BYTES] = '\0';
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 digits -> 16 bytes. 1 when they are that. */
static int parse_id(const char *text, uint8_t id[RUN_ID_BYTES])
{
    for (size_t i = 0; i < RUN_ID_BYTES; i++) {
        int high = digit_of(text[2 * i]);
        int low = high < 0 ? -1 : digit_of(text[2 * i + 1]);
        if (low < 0) {
            return 0;
        }
        id[i] = (uint8_t)(high << 4 | low);
    }
    return 1;
}

/* ---- marks ---- */

void sp__mark_format(const char *name, const struct mark *mark, char text[MARK_MAX])
{
    char instance[2 * RUN_ID_BYTES + 1];
    char run[2 * RUN_ID_BYTES + 1];
    sp__id_format(mark->instance, instance);
    sp__id_format(mark->run, run);
    (void)snprintf(text, MARK_MAX, MARK_VARIABLE "=%.*s:%s:%s", MARK_NAME_MAX, name,
                   instance, run);
}

int sp__mark_parse(const char *text, size_t size, struct mark *ret)
{
    enum { IDS = 2 * (1 + 2 * RUN_ID_BYTES) };
    if (size < IDS || size > MARK_NAME_MAX + IDS) {
        return 0;
    }
    const char *ids = text + size - IDS;
    return ids[0] == ':' && ids[IDS / 2] == ':' && parse_id(ids + 1, ret->instance) &&
           parse_id(ids + IDS / 2 + 1, ret->run);
}

/* Looks for the mark in an environment that comes in parts. */
struct mark_search {
    char entry[MARK_MAX + 1]; /* the beginning of the variable that is being read */
    size_t size;              /* of all of it, though only the beginning is kept */
};

/* 1 when the variable that has ended here was the mark. */
static int end_entry(struct mark_search *search, struct mark *ret)
{
    static const char prefix[] = MARK_VARIABLE "=";
    size_t skip = sizeof prefix - 1;
    int found = search->size > skip && search->size < sizeof search->entry &&
                memcmp(search->entry, prefix, skip) == 0 &&
                sp__mark_parse(search->entry + skip, search->size - skip, ret);
    search->size = 0;
    return found;
}

static int search_part(struct mark_search *search, const char *part, size_t size,
                       struct mark *ret)
{
    for (size_t i = 0; i < size; i++) {
        if (part[i] == '\0') {
            if (end_entry(search, ret)) {
                return 1;
            }
            continue;
        }
        if (search->size < sizeof search->entry) {
            search->entry[search->size] = part[i];
        }
        search->size++;
    }
    return 0;
}

static int open_of(int pid, const char *name, int flags)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return open(path, flags | O_CLOEXEC);
}

/* 1 while the program that it executes is being loaded: its old environment is gone, the
 * new one is not there yet, and whoever waited for the exec may have gone on already. */
static int is_between_programs(int pid)
{
    char text[STAT_MAX];
    unsigned flags;
    unsigned long long env_end;
    int fd = open_of(pid, "stat", O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    const char *behind = strrchr(text, ')');
    /* Fields 9 and 51. */
    return behind != NULL &&
           sscanf(behind + 1,
                  " %*s %*s %*s %*s %*s %*s %u %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                  "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                  "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                  &flags, &env_end) == 2 &&
           (flags & (FLAG_EXITING | FLAG_KERNEL)) == 0 && env_end == 0;
}

/* As struct process.marked; *ret_empty: it may be read, and there is nothing. */
static int read_mark(int pid, struct mark *ret, int *ret_empty)
{
    struct mark_search search = {.size = 0};
    char part[ENVIRON_PART];
    size_t total = 0;
    int fd = open_of(pid, "environ", O_RDONLY);
    *ret_empty = 0;
    if (fd < 0) {
        return -1;
    }
    int found = 0;
    ssize_t n;
    while (!found && total < ENVIRON_MAX && (n = read(fd, part, sizeof part)) > 0) {
        found = search_part(&search, part, (size_t)n, ret);
        total += (size_t)n;
    }
    if (!found) {
        found = end_entry(&search, ret); /* a last one without its end */
    }
    (void)close(fd);
    *ret_empty = total == 0;
    return total == 0 ? -1 : found;
}

/* ---- one process ---- */

int sp__process_open(int pid)
{
    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

static uint64_t serial_of(int pidfd)
{
    struct stat file;
    struct statfs system;
    if (pidfd < 0 || fstatfs(pidfd, &system) != 0 ||
        (uint64_t)system.f_type != PIDFS_MAGIC || fstat(pidfd, &file) != 0) {
        return 0;
    }
    return file.st_ino;
}

/* Fields 2, 3, 4 and 22. The name may hold anything, parentheses and spaces too. */
static int parse_stat(char *text, struct process *ret)
{
    char *name = strchr(text, '(');
    char *behind = strrchr(text, ')');
    unsigned long long start;
    if (name == NULL || behind == NULL || behind < name) {
        return -1;
    }
    *behind++ = '\0';
    (void)snprintf(ret->name, sizeof ret->name, "%s", name + 1);
    if (sscanf(behind,
               " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
               "%*s %*s %llu",
               &ret->state, &ret->parent, &start) != 3) {
        return -1;
    }
    ret->id.start_ticks = start;
    return 0;
}

/* A first thread that has ended makes a process that lives on look like a dead one, so
 * the state counts only where there is no pidfd to ask. */
static int has_ended(int pidfd, char state)
{
    struct pollfd process = {.fd = pidfd, .events = POLLIN};
    return pidfd >= 0 ? poll(&process, 1, 0) > 0 : state == 'Z' || state == 'X';
}

int sp__process_look(int pid, int pidfd, struct process *ret)
{
    char text[STAT_MAX];
    struct stat owner;
    *ret = (struct process){.id = {.pid = pid}, .marked = -1};
    int fd = open_of(pid, "stat", O_RDONLY);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    int known = fstat(fd, &owner) == 0;
    (void)close(fd);
    if (n <= 0 || !known) {
        return -1;
    }
    text[n] = '\0';
    ret->uid = owner.st_uid;
    ret->id.serial = serial_of(pidfd);
    /* Had it ended before, what was read might be of the next one with its number. */
    return parse_stat(text, ret) != 0 || has_ended(pidfd, ret->state) ? -1 : 0;
}

int sp__process_look_closely(int pid, int pidfd, struct process *ret)
{
    if (sp__process_look(pid, pidfd, ret) != 0) {
        return -1;
    }
    int is_empty;
    ret->marked = read_mark(pid, &ret->mark, &is_empty);
    for (int waited_ms = 0; is_empty && waited_ms < SETTLE_MAX_MS &&
                            !has_ended(pidfd, ret->state) && is_between_programs(pid);
         waited_ms += SETTLE_TURN_MS) {
        (void)poll(NULL, 0, SETTLE_TURN_MS);
        ret->marked = read_mark(pid, &ret->mark, &is_empty);
    }
    return has_ended(pidfd, ret->state) ? -1 : 0;
}

int sp__process_compare(const struct process_id *a, const struct process_id *b)
{
    if (a->pid != b->pid || a->start_ticks != b->start_ticks) {
        return 0;
    }
    if (a->serial == 0 || b->serial == 0) {
        return -1;
    }
    return a->serial == b->serial;
}

int sp__process_kill(const struct process_id *id)
{
    struct process now;
    int pidfd = sp__process_open(id->pid);
    if (pidfd < 0 && errno == ESRCH) {
        return 0;
    }
    int there = sp__process_look(id->pid, pidfd, &now) == 0 &&
                sp__process_compare(id, &now.id) != 0;
    int sent = 0;
    if (there) {
        long rc = pidfd >= 0 ? syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0)
                             : kill(id->pid, SIGKILL);
        sent = rc == 0 ? 1 : errno == ESRCH ? 0 : -1;
    }
    int why = errno;
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    errno = why;
    return sent;
}

/* ---- all of them ---- */

static int is_number(const char *name)
{
    return isdigit((unsigned char)name[0]);
}

/* Look at one and put it behind the others. */
static int add(int pid, struct process **list, size_t *count, size_t *room,
               sp_error *err)
{
    if (*count == *room) {
        size_t more = *room == 0 ? 256 : *room * 2;
        struct process *grown = sp__realloc(*list, more * sizeof *grown);
        if (grown == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a list of processes");
        }
        *list = grown;
        *room = more;
    }
    int pidfd = sp__process_open(pid);
    *count += sp__process_look_closely(pid, pidfd, *list + *count) == 0;
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    return SP_OK;
}

int sp__process_list(struct process **ret, size_t *ret_count, sp_error *err)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return sp__fail_errno(err, errno, "list the processes in /proc");
    }
    struct process *list = NULL;
    size_t count = 0;
    size_t room = 0;
    int rc = SP_OK;
    const struct dirent *entry;
    while (rc == SP_OK && (entry = readdir(proc)) != NULL) {
        if (is_number(entry->d_name)) {
            rc = add((int)strtol(entry->d_name, NULL, 10), &list, &count, &room, err);
        }
    }
    (void)closedir(proc);
    if (rc < 0) {
        sp__free(list);
        return rc;
    }
    *ret = list;
    *ret_count = count;
    return SP_OK;
}

/* ---- this machine ---- */

int sp__boot_id(uint8_t ret[RUN_ID_BYTES], sp_error *err)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[64] = "";
    char digits[2 * RUN_ID_BYTES + 1] = "";
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return sp__fail_errno(err, errno, "read %s", path);
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    for (ssize_t i = 0; i < n && used < 2 * RUN_ID_BYTES; i++) {
        if (digit_of(text[i]) >= 0) {
            digits[used++] = text[i];
        }
    }
    if (used != 2 * RUN_ID_BYTES || !parse_id(digits, ret)) {
        return sp__fail(err, SP_ERR_SYSTEM, "%s does not hold a boot id", path);
    }
    return SP_OK;
}

uint64_t sp__pid_space(void)
{
    struct stat file;
    return stat("/proc/self/ns/pid", &file) == 0 ? file.st_ino : 0;
}
