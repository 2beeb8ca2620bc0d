/* SPDX-License-Identifier: MIT */
/*
 * The registry: which processes a run has, for whoever comes after it.
 *
 * A file of rows of 256 bytes beside the lock, in memory as long as the machine runs. A
 * row is written with one pwrite() and carries all it takes to be understood alone: the
 * instance, the run, the start of the machine, its own place, a checksum. So a row that
 * is bad is one row less, and never a reason to throw the others away while the processes
 * they name may live; who looks for processes has a second source (sweep.c).
 *
 * The memory holds the same rows; places are found by walking. A row that cannot be
 * reserved keeps its process from being started. What cannot be written later does no
 * harm: an active row of a process that has ended names nobody.
 */
#include "guard/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/mem.h"

enum { ROW_MAGIC = 0x77726b73 }; /* "skrw" */

_Static_assert(sizeof(struct row) == ROW_BYTES, "rows have one size for ever");

/* ---- rows as bytes ---- */

static uint32_t sum_of(const struct row *row)
{
    return sp__crc32c(row, offsetof(struct row, sum));
}

void sp__row_seal(struct row *row)
{
    row->magic = ROW_MAGIC;
    row->sum = sum_of(row);
}

enum row_sight sp__row_check(const struct row *row, uint32_t place)
{
    static const struct row unwritten;
    if (memcmp(row, &unwritten, sizeof *row) == 0) {
        return ROW_UNWRITTEN;
    }
    int good = row->magic == ROW_MAGIC && row->sum == sum_of(row) &&
               row->place == place && row->kind >= ROW_HOST &&
               row->kind <= ROW_WORKER && row->state <= ROW_ACTIVE &&
               (row->kind == ROW_HOST) == (place == 0) &&
               memchr(row->name, '\0', sizeof row->name) != NULL &&
               memchr(row->version, '\0', sizeof row->version) != NULL &&
               (row->state != ROW_ACTIVE || row->process.pid > 0);
    return good ? ROW_GOOD : ROW_BAD;
}

/* ---- the file ---- */

int sp__registry_read(int fd, struct row **ret_rows, size_t *ret_count, sp_error *err)
{
    struct stat file;
    if (fstat(fd, &file) != 0) {
        return sp__fail_errno(err, errno, "look at the registry");
    }
    size_t count = (size_t)file.st_size / ROW_BYTES;
    count = count > ROWS_MAX ? ROWS_MAX : count;
    struct row *rows = sp__calloc(count + 1, sizeof *rows);
    if (rows == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu rows of a registry",
                        count);
    }
    size_t used = 0;
    while (used < count * ROW_BYTES) {
        ssize_t n =
            pread(fd, (char *)rows + used, count * ROW_BYTES - used, (off_t)used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            int wrong = errno;
            sp__free(rows);
            return sp__fail_errno(err, wrong, "read the registry");
        }
        if (n == 0) {
            break; /* it became shorter meanwhile */
        }
        used += (size_t)n;
    }
    *ret_rows = rows;
    *ret_count = used / ROW_BYTES;
    return SP_OK;
}

/* Write the row at a place as it is in memory; 0 or errno. */
static int write_row(struct registry *registry, uint32_t place)
{
    struct row *row = &registry->rows[place];
    row->place = place;
    row->sequence++;
    sp__row_seal(row);
    ssize_t n;
    do {
        n = pwrite(registry->fd, row, sizeof *row, (off_t)place * ROW_BYTES);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof *row ? 0 : n < 0 ? errno : ENOSPC;
}

/* A row of this run that says nothing yet. */
static struct row *begin_row(struct registry *registry, uint32_t place,
                             enum row_kind kind)
{
    struct row *row = &registry->rows[place];
    uint64_t sequence = row->sequence;
    memset(row, 0, sizeof *row);
    row->sequence = sequence;
    row->kind = (uint8_t)kind;
    memcpy(row->instance, registry->run.mark.instance, RUN_ID_BYTES);
    memcpy(row->run, registry->run.mark.run, RUN_ID_BYTES);
    memcpy(row->boot, registry->run.boot, RUN_ID_BYTES);
    row->pid_space = registry->run.pid_space;
    return row;
}

int sp__registry_take(struct registry *registry, int fd, const struct run *run,
                      struct row *rows, size_t count, sp_error *err)
{
    *registry = (struct registry){.fd = fd,
                                  .run = *run,
                                  .rows = rows,
                                  .rows_count = count == 0 ? 1 : (uint32_t)count};
    struct process self;
    int pidfd = sp__process_open(getpid());
    int there = sp__process_look(getpid(), pidfd, &self);
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    if (there != 0) {
        return sp__fail(err, SP_ERR_SYSTEM, "/proc does not show this process");
    }
    struct row *host = begin_row(registry, 0, ROW_HOST);
    host->state = ROW_ACTIVE;
    host->process = self.id;
    host->since_unix_ms = sp__unix_ns() / 1000000u;
    (void)snprintf(host->name, sizeof host->name, "%s", self.name);
    (void)snprintf(host->version, sizeof host->version, "%s", SP_VERSION_STRING);
    int wrong = write_row(registry, 0);
    return wrong == 0 ? SP_OK : sp__fail_errno(err, wrong, "write the registry");
}

void sp__registry_fini(struct registry *registry)
{
    sp__free(registry->rows);
    *registry = (struct registry){.fd = -1};
}

static int is_mine(const struct registry *registry, const struct row *row)
{
    return memcmp(row->run, registry->run.mark.run, RUN_ID_BYTES) == 0;
}

int sp__registry_clear(struct registry *registry, int mine_too, sp_error *err)
{
    for (uint32_t place = 1; place < registry->rows_count; place++) {
        const struct row *row = &registry->rows[place];
        enum row_sight sight = sp__row_check(row, place);
        if (sight == ROW_UNWRITTEN ||
            (sight == ROW_GOOD &&
             (row->state == ROW_FREE || (is_mine(registry, row) && !mine_too)))) {
            continue;
        }
        (void)begin_row(registry, place, ROW_WORKER);
        int wrong = write_row(registry, place);
        if (wrong != 0) {
            return sp__fail_errno(err, wrong, "write the registry");
        }
    }
    return SP_OK;
}

void sp__registry_leave(struct registry *registry)
{
    if (registry->rows != NULL) {
        (void)begin_row(registry, 0, ROW_HOST);
        (void)write_row(registry, 0);
    }
}

/* ---- rows in use ---- */

static struct row *find_row(struct registry *registry, enum row_kind kind,
                            uint64_t number)
{
    for (uint32_t place = 1; place < registry->rows_count; place++) {
        struct row *row = &registry->rows[place];
        if (row->state != ROW_FREE && row->kind == kind && row->number == number) {
            return row;
        }
    }
    return NULL;
}

/* A place that is free, at the end when there is no other. */
static int find_place(struct registry *registry, uint32_t *ret_place, sp_error *err)
{
    uint32_t place = 1;
    while (place < registry->rows_count && registry->rows[place].state != ROW_FREE) {
        place++;
    }
    if (place == ROWS_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "the registry is full: it has %d rows",
                        ROWS_MAX);
    }
    if (place == registry->rows_count) {
        struct row *grown =
            sp__realloc(registry->rows, (place + (size_t)1) * sizeof *grown);
        if (grown == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a row of the registry");
        }
        memset(&grown[place], 0, sizeof *grown);
        registry->rows = grown;
        registry->rows_count++;
    }
    *ret_place = place;
    return SP_OK;
}

int sp__registry_reserve(struct registry *registry, enum row_kind kind, uint64_t number,
                         const char *name, sp_error *err)
{
    uint32_t place = 0;
    int rc = find_place(registry, &place, err);
    if (rc < 0) {
        return rc;
    }
    struct row *row = begin_row(registry, place, kind);
    row->state = ROW_RESERVED;
    row->number = number;
    row->since_unix_ms = sp__unix_ns() / 1000000u;
    (void)snprintf(row->name, sizeof row->name, "%s", name);
    int wrong = write_row(registry, place);
    if (wrong != 0) {
        row->state = ROW_FREE;
        sp__row_seal(row);
        return sp__fail_errno(err, wrong, "reserve a row of the registry for %s", name);
    }
    return SP_OK;
}

int sp__registry_activate(struct registry *registry, enum row_kind kind,
                          uint64_t number, const struct process_id *process,
                          sp_error *err)
{
    struct row *row = find_row(registry, kind, number);
    if (row == NULL) {
        return SP_OK; /* it has ended meanwhile */
    }
    row->state = ROW_ACTIVE;
    row->process = *process;
    int wrong = write_row(registry, row->place);
    if (wrong != 0) {
        return sp__fail_errno(err, wrong, "write pid %d into the registry",
                              (int)process->pid);
    }
    return SP_OK;
}

void sp__registry_free(struct registry *registry, enum row_kind kind, uint64_t number)
{
    struct row *row = find_row(registry, kind, number);
    if (row != NULL) {
        uint32_t place = row->place;
        (void)begin_row(registry, place, kind);
        (void)write_row(registry, place);
    }
}

int sp__registry_is_empty(const struct registry *registry)
{
    for (uint32_t place = 1; place < registry->rows_count; place++) {
        const struct row *row = &registry->rows[place];
        enum row_sight sight = sp__row_check(row, place);
        if (sight == ROW_BAD || (sight == ROW_GOOD && row->state != ROW_FREE)) {
            return 0;
        }
    }
    return 1;
}
