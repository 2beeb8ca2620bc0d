/* SPDX-License-Identifier: MIT */
/*
 * The table of workers.
 *
 * Static, because the guard allocates nothing after its start: it must be able to kill
 * when no memory is left. Rows are found by walking. A few hundred rows are walked in
 * less than a microsecond, the maximum in a few; an index would have to be right at the
 * moment when everything else goes wrong.
 */
#include "table.h"

#include <errno.h>
#include <unistd.h>

static struct worker rows[GUARD_WORKERS_MAX];
static size_t end; /* no row in use at or above */

void sp__close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

struct worker *sp__table_by_id(uint64_t id)
{
    for (size_t i = 0; i < end; i++) {
        if (rows[i].id == id && rows[i].state != WORKER_FREE) {
            return &rows[i];
        }
    }
    return NULL;
}

struct worker *sp__table_by_pid(pid_t pid)
{
    for (size_t i = 0; i < end; i++) {
        if (rows[i].pid == pid && rows[i].state != WORKER_FREE &&
            rows[i].state != WORKER_ENDED) {
            return &rows[i];
        }
    }
    return NULL;
}

struct worker *sp__table_take(uint64_t id)
{
    if (sp__table_by_id(id) != NULL) {
        errno = EEXIST;
        return NULL;
    }
    size_t i = 0;
    while (i < end && rows[i].state != WORKER_FREE) {
        i++;
    }
    if (i == GUARD_WORKERS_MAX) {
        errno = EAGAIN;
        return NULL;
    }
    if (i == end) {
        end++;
    }
    rows[i] = (struct worker){
        .id = id,
        .state = WORKER_SPAWNING,
        .status_fd = -1,
        .lifeline_fd = -1,
        .pidfd = -1,
        .zygote_fd = -1,
    };
    return &rows[i];
}

void sp__table_release(struct worker *worker)
{
    sp__close(&worker->status_fd);
    sp__close(&worker->lifeline_fd);
    sp__close(&worker->pidfd);
    sp__close(&worker->zygote_fd);
    *worker = (struct worker){.state = WORKER_FREE,
                              .status_fd = -1,
                              .lifeline_fd = -1,
                              .pidfd = -1,
                              .zygote_fd = -1};
    while (end > 0 && rows[end - 1].state == WORKER_FREE) {
        end--;
    }
}

int sp__table_awaits_birth(void)
{
    for (size_t i = 0; i < end; i++) {
        if (rows[i].state == WORKER_ASKED) {
            return 1;
        }
    }
    return 0;
}

size_t sp__table_end(void)
{
    return end;
}

struct worker *sp__table_at(size_t index)
{
    return &rows[index];
}
