/* SPDX-License-Identifier: MIT */
/* Descriptors that the loop hears: libuv tells the kernel of them, and the loop finds
 * those that are ready by their numbers (by_fd). */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "io/loop_internal.h"

static void poll_cb(uv_poll_t *handle, int status, int events)
{
    struct watch *watch = handle->data;
    sp__loop_touch(watch->loop);
    if (status < 0 && watch->wanted != 0) {
        /* libuv stops watching then, but what came before the error may be read in
         * several turns: the owner would never get to its end. */
        (void)uv_poll_start(&watch->poll, watch->wanted, poll_cb);
    }
    /* A failed poll is told as readable: the read then finds the error itself. */
    int ready = status < 0
                    ? WATCH_READ
                    : ((events & (UV_READABLE | UV_DISCONNECT)) ? WATCH_READ : 0) |
                          ((events & UV_WRITABLE) ? WATCH_WRITE : 0);
    watch->on_ready(watch->user, ready);
}

/* Room for one more descriptor. */
static int reserve_fd(struct loop *loop, int fd)
{
    if (fd < loop->by_fd_max) {
        return SP_OK;
    }
    int max = fd < 32 ? 64 : 2 * fd;
    struct watch **grown = sp__realloc(loop->by_fd, (size_t)max * sizeof(*grown));
    if (grown == NULL) {
        return SP_ERR_NOMEM;
    }
    memset(grown + loop->by_fd_max, 0,
           (size_t)(max - loop->by_fd_max) * sizeof(*grown));
    loop->by_fd = grown;
    loop->by_fd_max = max;
    return SP_OK;
}

int sp__watch_open(struct loop *loop, int fd, void (*on_ready)(void *user, int events),
                   void *user, struct watch **ret_watch, sp_error *err)
{
    struct watch *watch = sp__calloc(1, sizeof *watch);
    if (watch == NULL || reserve_fd(loop, fd) < 0) {
        sp__free(watch);
        return sp__fail(err, SP_ERR_NOMEM, "no memory to watch a descriptor");
    }
    watch->loop = loop;
    watch->fd = fd;
    watch->on_ready = on_ready;
    watch->user = user;
    int rc = uv_poll_init(&loop->uv, &watch->poll, fd);
    if (rc < 0) {
        sp__free(watch);
        return sp__fail_errno(err, -rc, "watch descriptor %d", fd);
    }
    watch->poll.data = watch;
    loop->by_fd[fd] = watch;
    sp__watch_set(watch, WATCH_READ);
    *ret_watch = watch;
    return SP_OK;
}

void sp__watch_set(struct watch *watch, int events)
{
    int wanted = ((events & WATCH_READ) ? UV_READABLE : 0) |
                 ((events & WATCH_WRITE) ? UV_WRITABLE : 0);
    if (wanted == watch->wanted) {
        return;
    }
    watch->wanted = wanted;
    watch->loop->unsettled = 1;
    if (wanted == 0) {
        (void)uv_poll_stop(&watch->poll);
    } else {
        (void)uv_poll_start(&watch->poll, wanted, poll_cb);
    }
}

static void watch_closed_cb(uv_handle_t *handle)
{
    sp__free(handle->data);
}

void sp__watch_close(struct watch *watch)
{
    if (watch != NULL) {
        watch->loop->unsettled = 1;
        watch->loop->by_fd[watch->fd] = NULL;
        (void)uv_poll_stop(&watch->poll);
        uv_close((uv_handle_t *)&watch->poll, watch_closed_cb);
    }
}
