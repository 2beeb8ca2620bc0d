/* SPDX-License-Identifier: MIT */
/*
 * The host as a listener to what a worker reports: the stream of its telemetry.
 *
 * Normal course: while handlers want events that workers make (interest.c), each worker
 * that is ready has a StreamTelemetry open, whose first message is the filter, followed by
 * a rate where the program wants one (controls.c). When what is wanted changes, living
 * workers get another filter on the same stream, and those that become ready later begin
 * with it. When nothing is wanted the stream is cancelled: a worker without a listener
 * makes no events. One that is to end is heard to its end, for it tells of its last call
 * behind the answer; a stock one would wait for the stream, and is heard no longer.
 *
 * A worker that reports more than can be told is held by its stream's window: what has come
 * is granted back a share at a time, at most once in an interval. What it cannot send
 * then it drops and counts itself (sp_worker_events_dropped()); its calls go on, for they
 * have windows of their own.
 *
 * Nothing here fails: a worker that cannot be listened to, for want of memory or because it
 * has no such method, reports nothing.
 */
#include "base/error.h"
#include "base/grpc_status.h"
#include "base/mem.h"
#include "wire/proto.h"
#include "worker/interest.h"
#include "worker/internal.h"

enum {
    GRANT_BYTES = 256 * 1024, /* a quarter of the window */
    GRANT_INTERVAL_MS = 100
};

/* ---- which call it is of ---- */

/* What a worker does at a call's end it tells behind the answer. Of more calls than these
 * that ended in one moment, the first ones' events do not say which they were. */
enum { ENDED = 64 };
struct ended_calls {
    struct {
        uint32_t stream_id;
        uint64_t number;
    } at[ENDED];
    uint32_t next;
};

void sp__worker_remember(struct worker *worker, const struct worker_call *call)
{
    struct ended_calls *ended = worker->ended;
    if (ended != NULL && worker->events->number_of != NULL) {
        uint32_t i = ended->next++ % ENDED;
        ended->at[i].stream_id = call->stream_id;
        ended->at[i].number = worker->events->number_of(call);
    }
}

uint64_t sp__worker_number_of(const struct worker *worker, uint32_t stream_id)
{
    for (struct link *link = worker->in_flight.first; link != NULL; link = link->next) {
        const struct worker_call *call = ITEM(link, struct worker_call, on_worker);
        if (call->stream_id == stream_id) {
            return worker->events->number_of != NULL ? worker->events->number_of(call)
                                                     : 0;
        }
    }
    for (size_t i = 0; worker->ended != NULL && i < ENDED; i++) {
        if (worker->ended->at[i].stream_id == stream_id) {
            return worker->ended->at[i].number;
        }
    }
    return 0;
}

/* ---- asking for it ---- */

/* What is said to a worker: each is a message, or empty. */
struct asking {
    struct sp_buffer filter;
    struct sp_buffer full_rate; /* in place of the one it was given before */
    struct sp_buffer rate;
};

static void free_asking(struct asking *asking)
{
    sp__buf_fini(&asking->filter);
    sp__buf_fini(&asking->full_rate);
    sp__buf_fini(&asking->rate);
}

/* 1 when something is wanted; 0: nothing; or NOMEM. */
static int make_asking(const struct worker *worker, struct asking *ret)
{
    struct controls *controls = worker->shop->controls;
    const struct control *control =
        controls != NULL ? sp__controls_enter(controls, worker->spec->pool) : NULL;
    struct interest interest;
    int rc = sp__interest_of(worker->shop->herald, control, &interest);
    int is_wanted = rc;
    sp__buf_init(&ret->filter, SIZE_MAX / 2);
    sp__buf_init(&ret->full_rate, SIZE_MAX / 2);
    sp__buf_init(&ret->rate, SIZE_MAX / 2);
    if (is_wanted) {
        rc = sp__interest_put_filter(&ret->filter, &interest, NULL);
    }
    if (is_wanted && rc == SP_OK && worker->is_sampled) {
        rc = sp__interest_put_full_rate(&ret->full_rate, NULL);
    }
    if (is_wanted && rc == SP_OK && sp__interest_is_sampled(&interest)) {
        rc = sp__interest_put_rate(&ret->rate, &interest, NULL);
    }
    if (controls != NULL) {
        sp__controls_leave(controls);
    }
    return rc < 0 ? rc : is_wanted;
}

static int say(struct worker *worker, const struct sp_buffer *message)
{
    return message->size == 0
               ? SP_OK
               : sp__h2_write(worker->telemetry,
                              (sp_bytes){message->data, message->size}, NULL);
}

static int open_stream(struct worker *worker, const struct sp_buffer *filter)
{
    /* Its place in the worker stands for the stream, as the worker does for the Ping. */
    int rc = sp__h2_open(worker->calls.h2, SP__PATH_TELEMETRY, SP_UNLIMITED, NULL, 0,
                         (sp_bytes){filter->data, filter->size}, 0, &worker->telemetry,
                         &worker->telemetry, NULL);
    if (rc < 0) {
        worker->telemetry = NULL;
        return rc;
    }
    sp__h2_hold(worker->telemetry);
    worker->telemetry_owed = 0;
    if (worker->ended == NULL) {
        worker->ended = sp__calloc(1, sizeof *worker->ended);
    }
    return SP_OK;
}

static int ask(struct worker *worker, const struct asking *asking)
{
    int rc = worker->telemetry == NULL ? open_stream(worker, &asking->filter)
                                       : say(worker, &asking->filter);
    if (rc == SP_OK) {
        rc = say(worker, &asking->full_rate);
    }
    if (rc == SP_OK) {
        rc = say(worker, &asking->rate);
        worker->is_sampled = asking->rate.size > 0;
    }
    return rc;
}

void sp__worker_listen(struct worker *worker)
{
    struct asking asking;
    if (worker->state != WORKER_READY || worker->calls.broken || worker->is_mute) {
        return;
    }
    int rc = make_asking(worker, &asking);
    if (rc <= 0 || ask(worker, &asking) < 0) {
        sp__worker_unlisten(worker); /* rather than hear what nobody wants */
    } else {
        sp__channel_touch(&worker->calls);
    }
    free_asking(&asking);
}

void sp__worker_unlisten(struct worker *worker)
{
    struct h2_stream *stream = worker->telemetry;
    worker->telemetry = NULL;
    worker->is_sampled = 0;
    sp__timer_stop(worker->shop->loop, &worker->grant);
    if (stream != NULL && !worker->calls.broken) {
        sp__h2_stream_set_user(stream, NULL);
        sp__h2_reset(stream, RST_CANCEL);
        sp__channel_touch(&worker->calls);
    }
}

void sp__workshop_listen(struct workshop *shop)
{
    size_t at = 0;
    struct worker *worker;
    while ((worker = sp__map_next(&shop->by_id, &at)) != NULL) {
        sp__worker_listen(worker);
    }
}

/* ---- what comes ---- */

int sp__worker_is_telemetry(const struct worker *worker, const void *stream_user)
{
    return stream_user == (const void *)&worker->telemetry;
}

void sp__worker_heard(struct worker *worker, const uint8_t *data, size_t size)
{
    struct loop *loop = worker->shop->loop;
    struct proto_telemetry_event reported;
    if (worker->state != WORKER_DEAD &&
        sp__proto_get_telemetry_event(data, size, &reported, NULL) == SP_OK) {
        sp__worker_tell_own(worker, &reported);
    }
    size_t before = worker->telemetry_owed;
    worker->telemetry_owed += size + 5;
    if (before < GRANT_BYTES && worker->telemetry_owed >= GRANT_BYTES) {
        sp__timer_set(loop, &worker->grant, sp__loop_now_ms(loop) + GRANT_INTERVAL_MS);
    }
}

void sp__worker_grant_due(struct timer *timer, uint64_t now_ms)
{
    struct worker *worker = ITEM(timer, struct worker, grant);
    if (worker->telemetry != NULL && !worker->calls.broken) {
        sp__h2_grant(worker->telemetry, worker->telemetry_owed);
        sp__channel_touch(&worker->calls);
    }
    worker->telemetry_owed = 0;
}

void sp__worker_unheard(struct worker *worker, const struct h2_status *status)
{
    worker->telemetry = NULL;
    worker->is_sampled = 0;
    worker->telemetry_owed = 0;
    worker->is_mute = status->grpc_status == GRPC_UNIMPLEMENTED;
}
