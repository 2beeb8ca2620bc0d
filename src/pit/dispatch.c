/* SPDX-License-Identifier: MIT */
/*
 * The way back from the loop thread to the user's.
 *
 * During a turn the loop collects the requests that have something to say; at its end
 * they are published together: one lock, and one write to the descriptor if it was not
 * readable already. The user's thread takes everything in one swap and runs callbacks
 * without the lock.
 *
 * A stream may come round many times: with chunks, with more chunks, with its end. It is
 * on the list at most once.
 */
#include "pit/dispatch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "event/record.h"

struct event_node {
    struct link on_events;
    struct link on_sort;
    struct death *certificate;  /* or NULL */
    struct event_record record; /* the whole of it lies behind */
};

static void free_event(struct event_node *node)
{
    sp__death_drop(node->certificate);
    sp__free(node);
}

int sp__dispatch_init(struct dispatch *dispatch, sp_error *err)
{
    *dispatch = (struct dispatch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (dispatch->fd < 0) {
        return sp__fail_errno(err, errno, "make the dispatch descriptor");
    }
    (void)pthread_mutex_init(&dispatch->lock, NULL);
    sp__work_init(&dispatch->work);
    return SP_OK;
}

void sp__dispatch_fini(struct dispatch *dispatch)
{
    struct link *link;
    while ((link = sp__list_pop(&dispatch->events)) != NULL) {
        free_event(ITEM(link, struct event_node, on_events));
    }
    size_t at = 0;
    struct request *request;
    while ((request = sp__map_next(&dispatch->waitable, &at)) != NULL) {
        sp__request_drop(request); /* started, never waited for */
    }
    sp__map_fini(&dispatch->waitable);
    sp__work_fini(&dispatch->work);
    (void)close(dispatch->fd);
    (void)pthread_mutex_destroy(&dispatch->lock);
}

/* ---- the loop's side ---- */

static void poked(struct command *command, void *user)
{
    struct dispatch *dispatch = ITEM(command, struct dispatch, poke);
    (void)user;
    pthread_mutex_lock(&dispatch->lock);
    dispatch->is_poked = 0; /* that the loop turned was all */
    pthread_mutex_unlock(&dispatch->lock);
}

void sp__dispatch_drives(struct dispatch *dispatch, struct loop *loop)
{
    pthread_mutex_lock(&dispatch->lock);
    dispatch->driven = loop;
    pthread_mutex_unlock(&dispatch->lock);
}

/* Locked. Whoever dispatches and drives the loop meanwhile looks before it goes. */
static void signal_fd(struct dispatch *dispatch)
{
    if (dispatch->driven != NULL && sp__on_loop(dispatch->driven)) {
        return;
    }
    if (dispatch->driven != NULL && !dispatch->is_poked) {
        dispatch->is_poked = 1;
        dispatch->poke.run = poked;
        sp__loop_post(dispatch->driven, &dispatch->poke);
    }
    if (!dispatch->signalled) {
        uint64_t one = 1;
        dispatch->signalled = 1;
        (void)!write(dispatch->fd, &one, sizeof one); /* an eventfd at 0 takes it */
    }
}

void sp__dispatch_add(struct list *turn, struct request *request)
{
    if (request->on_wake.on == NULL) {
        sp__list_append(turn, &request->on_wake);
    }
}

void sp__dispatch_publish(struct dispatch *dispatch, struct list *turn)
{
    if (turn->length == 0) {
        return;
    }
    struct list drop = {0};
    struct link *link;
    pthread_mutex_lock(&dispatch->lock);
    while ((link = sp__list_pop(turn)) != NULL) {
        struct request *request = ITEM(link, struct request, on_wake);
        if (request->on_done.on == NULL) {
            sp__list_append(&dispatch->due, &request->on_done);
        }
        if (request->state == REQUEST_ENDED) {
            request->end_published = 1;
            sp__list_append(&drop, link);
        }
    }
    signal_fd(dispatch);
    pthread_mutex_unlock(&dispatch->lock);
    /* The taker has its own reference. */
    while ((link = sp__list_pop(&drop)) != NULL) {
        sp__request_drop(ITEM(link, struct request, on_wake));
    }
}

void sp__dispatch_event(struct dispatch *dispatch, const struct event_record *record,
                        struct death *certificate)
{
    struct event_node *node =
        sp__malloc(offsetof(struct event_node, record) + record->bytes);
    if (node == NULL) {
        return; /* an event is not worth failing for */
    }
    node->on_events = (struct link){0};
    node->on_sort = (struct link){0};
    node->certificate = sp__death_hold(certificate);
    memcpy(&node->record, record, record->bytes);

    enum event_sort sort =
        record->kind == SP_EVENT_WORKER_OUTPUT ? EVENT_PRINTED : EVENT_HAPPENED;
    struct event_node *oldest = NULL;
    pthread_mutex_lock(&dispatch->lock);
    sp__list_append(&dispatch->events, &node->on_events);
    sp__list_append(&dispatch->sorts[sort], &node->on_sort);
    if (dispatch->sorts[sort].length > EVENTS_MAX) {
        oldest = ITEM(dispatch->sorts[sort].first, struct event_node, on_sort);
        sp__list_remove(&oldest->on_sort);
        sp__list_remove(&oldest->on_events);
        dispatch->events_lost[sort]++;
    }
    signal_fd(dispatch);
    pthread_mutex_unlock(&dispatch->lock);
    if (oldest != NULL) {
        free_event(oldest);
    }
}

void sp__dispatch_work(struct dispatch *dispatch, struct sp_tool_call *call)
{
    sp__work_add(&dispatch->work, call);
    pthread_mutex_lock(&dispatch->lock);
    signal_fd(dispatch);
    pthread_mutex_unlock(&dispatch->lock);
}

void sp__dispatch_gone(struct dispatch *dispatch, struct host_tool *tool)
{
    sp__work_add_gone(&dispatch->work, tool);
    pthread_mutex_lock(&dispatch->lock);
    signal_fd(dispatch);
    pthread_mutex_unlock(&dispatch->lock);
}

/* ---- the user's side ---- */

/* Sleep until the descriptor says something. */
static int sleep_until_due(struct dispatch *dispatch, uint64_t timeout_ms)
{
    uint64_t end_ms =
        timeout_ms == SP_UNLIMITED ? UINT64_MAX : sp__now_ms() + timeout_ms;
    for (;;) {
        uint64_t now_ms = sp__now_ms();
        if (now_ms >= end_ms) {
            return 0;
        }
        uint64_t left_ms = end_ms - now_ms;
        struct pollfd ready = {.fd = dispatch->fd, .events = POLLIN};
        int n = poll(&ready, 1, left_ms > 1000000 ? 1000000 : (int)left_ms);
        if (n > 0) {
            return 1;
        }
        if (n < 0 && errno == EINTR) {
            return 0; /* a signal handler of the program may want to be heard */
        }
    }
}

int sp__dispatch_wait(struct dispatch *dispatch, uint64_t timeout_ms)
{
    pthread_mutex_lock(&dispatch->lock);
    int due = dispatch->due.length + dispatch->events.length > 0;
    pthread_mutex_unlock(&dispatch->lock);
    if (due || sp__work_is_due(&dispatch->work) || timeout_ms == 0) {
        return due || sp__work_is_due(&dispatch->work);
    }
    sp__work_sleep(&dispatch->work);
    due = sleep_until_due(dispatch, timeout_ms);
    sp__work_wake(&dispatch->work);
    return due;
}

static int ignore_chunk(const sp_chunk *chunk, void *user_data)
{
    return 0;
}

/* `ending`: its end has been published, so nothing more will touch it. Without that an
 * end seen early is left for the round in which it is published. */
static int run_stream(struct request *request, int ending,
                      void (*grant)(struct request *, size_t),
                      void (*cancel)(struct request *))
{
    int ran = 0;
    for (;;) {
        struct mailbox_chunk taken;
        size_t credit;
        int rc = sp__mailbox_take(&request->mailbox, &taken, &credit);
        if (credit > 0) {
            grant(request, credit);
        }
        if (rc == 0 || (rc < 0 && !ending)) {
            return ran;
        }
        ran++;
        if (rc < 0) {
            sp_reply reply = {.call = request->id, .error = request->error};
            request->reply_cb(&reply, request->user_data);
            sp__request_drop(request);
            return ran;
        }
        sp_chunk chunk = {.data = (const char *)taken.data,
                          .size = taken.size,
                          .index = request->mailbox.index - 1,
                          .binary = taken.binary,
                          .binary_bytes = taken.binary_size};
        if (request->chunk_cb(&chunk, request->user_data) != 0) {
            /* The rest is taken without telling; the end follows. */
            request->chunk_cb = ignore_chunk;
            cancel(request);
        }
    }
}

static void run_reply(struct request *request)
{
    sp_reply reply = {.call = request->id};
    if (sp__request_process(request) != 0) {
        reply.error = request->error;
    } else {
        reply.result = &request->result;
    }
    request->reply_cb(&reply, request->user_data);
    sp__request_drop(request);
}

static void run_event(const struct event_node *node, sp_event_cb on_event,
                      void *event_data)
{
    struct read_event read;
    sp__record_read(&node->record, &read);
    if (node->certificate != NULL) {
        read.event.death = sp__death_facts(node->certificate);
    }
    on_event(&read.event, event_data);
}

/* Before those that have come after them. Lines of no worker are told as by output.c. */
static void tell_lost(enum event_sort sort, uint64_t lost, sp_event_cb on_event,
                      void *event_data)
{
    static const struct {
        int kind;
        const char *before, *behind;
    } words[EVENT_SORTS] = {
        [EVENT_HAPPENED] = {SP_EVENT_WARNING, "", "events are lost"},
        [EVENT_PRINTED] = {SP_EVENT_WORKER_OUTPUT, "... ", "lines not shown"},
    };
    _Alignas(RECORD_ALIGN) uint8_t place[sizeof(struct event_record) + 128];
    char message[120];
    const struct tidings tidings = {.event = {.kind = words[sort].kind,
                                              .exit_status = -1,
                                              .message = message,
                                              .time_unix_ns = sp__unix_ns()}};
    struct record_plan plan;
    struct read_event read;
    (void)snprintf(
        message, sizeof message, "%s%llu %s: more than %d waited for sp_pit_dispatch()",
        words[sort].before, (unsigned long long)lost, words[sort].behind, EVENTS_MAX);
    sp__record_plan(&tidings, &plan);
    sp__record_read(sp__record_write(place, &tidings, &plan), &read);
    on_event(&read.event, event_data);
}

int sp__dispatch_run(struct dispatch *dispatch, sp_event_cb on_event, void *event_data,
                     void (*grant)(struct request *request, size_t wire_bytes),
                     void (*cancel)(struct request *request))
{
    pthread_mutex_lock(&dispatch->lock);
    if (dispatch->signalled) {
        uint64_t count;
        dispatch->signalled = 0;
        (void)!read(dispatch->fd, &count, sizeof count);
    }
    uint32_t left = dispatch->due.length;
    int work = (int)atomic_load(&dispatch->work.length);
    struct list events = dispatch->events;
    uint64_t lost[EVENT_SORTS];
    memcpy(lost, dispatch->events_lost, sizeof lost);
    dispatch->events = (struct list){0};
    memset(dispatch->sorts, 0, sizeof dispatch->sorts);
    memset(dispatch->events_lost, 0, sizeof dispatch->events_lost);
    pthread_mutex_unlock(&dispatch->lock);

    int ran = sp__work_run(&dispatch->work, work);
    for (int sort = 0; sort < EVENT_SORTS; sort++) {
        if (lost[sort] > 0 && on_event != NULL) {
            tell_lost(sort, lost[sort], on_event, event_data);
            ran++;
        }
    }
    while (events.first != NULL) {
        struct event_node *node = ITEM(events.first, struct event_node, on_events);
        events.first = node->on_events.next;
        if (on_event != NULL) {
            run_event(node, on_event, event_data);
            ran++;
        }
        free_event(node);
    }
    for (; left > 0; left--) {
        pthread_mutex_lock(&dispatch->lock);
        struct link *link = sp__list_pop(&dispatch->due);
        int ending = link != NULL && ITEM(link, struct request, on_done)->end_published;
        pthread_mutex_unlock(&dispatch->lock);
        if (link == NULL) {
            break;
        }
        struct request *request = ITEM(link, struct request, on_done);
        if (request->streaming) {
            ran += run_stream(request, ending, grant, cancel);
        } else {
            run_reply(request);
            ran++;
        }
    }
    return ran;
}

/* ---- calls to be waited for ---- */

int sp__dispatch_keep(struct dispatch *dispatch, struct request *request, sp_error *err)
{
    pthread_mutex_lock(&dispatch->lock);
    int rc = sp__map_put(&dispatch->waitable, request->id, request);
    pthread_mutex_unlock(&dispatch->lock);
    return rc < 0 ? sp__fail(err, rc, "no memory to keep a call") : SP_OK;
}

struct request *sp__dispatch_take(struct dispatch *dispatch, sp_id call)
{
    pthread_mutex_lock(&dispatch->lock);
    struct request *request = sp__map_take(&dispatch->waitable, call);
    pthread_mutex_unlock(&dispatch->lock);
    return request;
}
