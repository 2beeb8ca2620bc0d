/* SPDX-License-Identifier: MIT */
/*
 * Takers that wait: as guests of the loop where they can, else at the request's latch.
 *
 * Normal course: the loop is borrowed before anything is posted, so that nobody is woken
 * for it, and driven until the latch is open. When another one drives, the taker rests at
 * the latch. It is nudged there when it may drive after all (turn.c), or when a function
 * of the program is to be run (host_work.c), perhaps the one that its request waits for.
 *
 * While a taker rests the loop is never left alone. A call's does so from its start to its
 * end, for all that the loop knows. A stream's comes and goes: when it has driven and goes
 * off with a chunk it is away, and the loop may rest till it is back. If it finds another
 * one at the loop then, it has to say that it sleeps now.
 */
#include "pit/taker.h"

#include "base/clock.h"
#include "pit/pit_internal.h"

struct waiting {
    struct lane *lane; /* whose loop is driven */
    struct request *request;
};

/* There are news, or it has gone elsewhere, or a host tool is to be run, perhaps the one
 * it waits for. */
static int is_over_or_busy(void *arg)
{
    struct waiting *waiting = arg;
    return sp__latch_is_open(sp__request_latch(waiting->request)) ||
           sp__work_is_due(&waiting->lane->pit->dispatch.work) ||
           sp__pit_where(waiting->request) != waiting->lane;
}

static void leave(struct lane *lane, struct request *request)
{
    if (request->streaming) {
        sp__calls_leave(lane, request);
        request->is_away = 1;
    }
    sp__loop_leave(lane->loop, REST_AFTER_CALL);
}

/* Drive the borrowed loop until there are news, or something else to do. */
static void drive(struct lane *lane, struct request *request)
{
    struct waiting waiting = {.lane = lane, .request = request};
    uint64_t end_ms =
        request->interrupt != NULL ? sp__now_ms() + SP__INTERRUPT_MS : UINT64_MAX;
    while (!sp__loop_drive(lane->loop, is_over_or_busy, &waiting, end_ms,
                           SLEEP_ANYWHERE) &&
           request->interrupt == NULL) {
        /* Only a signal ends it early, and the call goes on. */
    }
    leave(lane, request);
}

/* Somebody else drives, or there is work: sleep, or do it. */
static void rest(struct host_work *work, struct request *request)
{
    if (request->is_away) {
        request->is_away = 0;
        sp__pit_await(request);
    }
    (void)sp__work_rest(work, sp__request_latch(request),
                        request->interrupt != NULL ? SP__INTERRUPT_MS : SP_UNLIMITED);
}

static void ask_program(struct request *request)
{
    if (request->interrupt != NULL &&
        request->interrupt(request->interrupt_data) != 0) {
        request->interrupt = NULL; /* once is enough */
        sp__pit_cancel_request(request);
    }
}

/* On a lane, whose loop it has borrowed or not. */
static void wait_on(struct lane *lane, struct request *request, int is_borrowed)
{
    struct host_work *work = &lane->pit->dispatch.work;
    for (;;) {
        if (is_borrowed) {
            drive(lane, request);
        } else {
            rest(work, request);
        }
        if (sp__latch_is_open(sp__request_latch(request))) {
            break;
        }
        ask_program(request);
        lane = sp__pit_where(request);
        is_borrowed = !sp__work_is_due(work) && sp__loop_borrow(lane->loop);
    }
    sp__work_pass_on(work);
}

/* On its way: at once when the loop can be borrowed, 1; else another one sees to it. */
static int submit(struct lane *lane, struct request *request)
{
    int is_borrowed = sp__loop_borrow(lane->loop);
    if (is_borrowed) {
        sp__pit_run(lane, request);
    } else {
        sp__pit_send(lane, request);
    }
    return is_borrowed;
}

void sp__taker_run(struct sp_pit *pit, struct request *request)
{
    struct lane *lane = sp__pit_route(pit, request);
    wait_on(lane, request, submit(lane, request));
}

static int after_one_turn(void *arg)
{
    return 1;
}

void sp__taker_start(struct sp_pit *pit, struct request *request)
{
    struct lane *lane = sp__pit_route(pit, request);
    if (submit(lane, request)) {
        (void)sp__loop_drive(lane->loop, after_one_turn, NULL, UINT64_MAX,
                             SLEEP_ANYWHERE);
        leave(lane, request);
    }
}

void sp__taker_wait(struct request *request, size_t credit)
{
    struct lane *lane = sp__pit_where(request);
    int is_borrowed = sp__loop_borrow(lane->loop);
    if (credit > 0) {
        sp__pit_grant(request, credit);
    }
    wait_on(lane, request, is_borrowed);
}
