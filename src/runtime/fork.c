/* SPDX-License-Identifier: MIT */
/*
 * Forks inside user code.
 *
 * The child of a fork has no helper, perhaps a locked smu, and copies of the sockets:
 * as long as it lives, the host would not see the worker's end. So a handler that runs
 * in every child closes the copies and marks the worker as forgotten, after which its
 * functions do nothing and sp_worker_next() says that it is over.
 */
#include "runtime/runtime.h"

#include <unistd.h>

static pthread_mutex_t workers_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list workers;
static pthread_once_t once = PTHREAD_ONCE_INIT;

SP_API void sp_worker_forget(sp_worker *w)
{
    if (atomic_exchange(&w->forgotten, 1)) {
        return;
    }
    sp_worker_release_signals(w);
    /* smu may be held by a thread that does not exist here; nobody else runs, so what
     * it guards can be read, but the connections may be half changed: only their
     * descriptors are touched. */
    for (size_t i = 0; i < w->conns_count; i++) {
        sp__duplex_close_fds(&w->conns[i]->duplex.fds);
    }
    if (w->listen_fd >= 0) {
        (void)close(w->listen_fd);
    }
    (void)close(w->stop_fd);
    (void)close(w->kick_fd);
    (void)close(w->helper_kick_fd);
    sp__poll_close(w);
}

static void before(void)
{
    (void)pthread_mutex_lock(&workers_lock);
}

static void after_in_parent(void)
{
    (void)pthread_mutex_unlock(&workers_lock);
}

static void after_in_child(void)
{
    for (struct link *link = workers.first; link != NULL; link = link->next) {
        sp_worker_forget(ITEM(link, struct sp_worker, on_workers));
    }
    (void)pthread_mutex_unlock(&workers_lock);
}

static void install(void)
{
    (void)pthread_atfork(before, after_in_parent, after_in_child);
}

void sp__fork_register(struct sp_worker *w)
{
    (void)pthread_once(&once, install);
    (void)pthread_mutex_lock(&workers_lock);
    sp__list_append(&workers, &w->on_workers);
    (void)pthread_mutex_unlock(&workers_lock);
}

void sp__fork_unregister(struct sp_worker *w)
{
    (void)pthread_mutex_lock(&workers_lock);
    sp__list_remove(&w->on_workers);
    (void)pthread_mutex_unlock(&workers_lock);
}
