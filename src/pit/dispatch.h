/* SPDX-License-Identifier: MIT */
/* What waits for the user's thread: endings, chunks and events, and the descriptor that
 * says so. */
#ifndef SP_PIT_DISPATCH_H
#define SP_PIT_DISPATCH_H

#include <pthread.h>

#include "base/map.h"
#include "event/record.h"
#include "pit/host_work.h"
#include "pool/request.h"
#include "snakepit/event.h"

enum { EVENTS_MAX = 1024 /* that wait, of a sort */ };

/* What workers print must not push out what has happened. */
enum event_sort { EVENT_HAPPENED, EVENT_PRINTED, EVENT_SORTS };

struct dispatch {
    int fd; /* an eventfd */

    /* Under lock. */
    pthread_mutex_t lock;
    struct list due; /* requests with something for the user, by on_done */
    struct list events;
    struct list sorts[EVENT_SORTS];    /* the same, each sort by itself */
    uint64_t events_lost[EVENT_SORTS]; /* since it was told */
    int signalled;                     /* fd is readable */
    struct loop *driven; /* by the dispatching thread, which then looks at no fd */
    int is_poked;        /* `poke` is on its way there */
    struct command poke;
    struct map waitable; /* calls started without a callback, by id */

    struct host_work work; /* has a lock of its own */
};

int sp__dispatch_init(struct dispatch *dispatch, sp_error *err) SP_MUST_CHECK;
void sp__dispatch_fini(struct dispatch *dispatch);

/* Loop thread: this request has chunks or has ended; at the end of the turn. */
void sp__dispatch_add(struct list *turn, struct request *request);
/* Loop thread: publish what its turn has collected. */
void sp__dispatch_publish(struct dispatch *dispatch, struct list *turn);
/* Any thread: one event; the oldest of its sort goes when there are too many.
 * certificate: of the death it tells, or NULL. */
void sp__dispatch_event(struct dispatch *dispatch, const struct event_record *record,
                        struct death *certificate);

/* Any thread: a call of a host tool waits to be run. */
void sp__dispatch_work(struct dispatch *dispatch, struct sp_tool_call *call);
/* Any thread: so does the end of a tool. */
void sp__dispatch_gone(struct dispatch *dispatch, struct host_tool *tool);

/* User thread: run what is due. The number of callbacks run. */
int sp__dispatch_run(struct dispatch *dispatch, sp_event_cb on_event, void *event_data,
                     void (*grant)(struct request *request, size_t wire_bytes),
                     void (*cancel)(struct request *request));
/* User thread: from here on it drives this loop (NULL: it does not) until something is due;
 * what others add makes the loop look. */
void sp__dispatch_drives(struct dispatch *dispatch, struct loop *loop);
/* User thread: wait until something is due. 1, or 0 after timeout_ms. */
int sp__dispatch_wait(struct dispatch *dispatch, uint64_t timeout_ms);

/* Any thread: keep a request to be waited for by id, and take it out again (NULL: no
 * such). */
int sp__dispatch_keep(struct dispatch *dispatch, struct request *request,
                      sp_error *err) SP_MUST_CHECK;
struct request *sp__dispatch_take(struct dispatch *dispatch, sp_id call);

#endif
