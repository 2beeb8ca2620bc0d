/* SPDX-License-Identifier: MIT */
/*
 * Workers that give no sign of life, or go on with work that nobody wants any more.
 *
 * Health: every answer of a worker is a beat of its heart. One that had nothing to answer
 * since the last check is sent a PING, which its helper thread answers also while user
 * code runs; health_misses PINGs without an answer, and it hangs.
 *
 * Cancelled calls: nothing on the wire says that one has left user code; the page does,
 * and is looked at again and again until the grace is over. Then the worker is stuck.
 *
 * The ladder: what hangs is asked for its stack, then to end, then its whole group, then
 * it is killed, each step noted with its time. A process that cannot hear (stopped, or
 * deep in the kernel) is killed at once. One that even SIGKILL does not end, because the
 * kernel does not let go of it, is given up after UNKILLABLE_MS: its seat takes another
 * process, and nobody waits for it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "worker/internal.h"
#include "worker/vitals.h"

enum {
    STUCK_PAUSE_MAX_MS = 50, /* between two looks at a cancelled call's user code */
    STACK_LOOK_MS = 5,       /* between two looks whether the stack is written */
    STACK_MAX_MS = 500,      /* a process too busy to write it is not waited for */
    KILL_AGAIN_MS = 500,     /* the first may be lost with a guard that was replaced */
    UNKILLABLE_MS = 3000     /* after SIGKILL, in a state that does not end */
};

/* ---- the ladder ---- */

static void note_step(struct worker *worker, const char *what)
{
    uint64_t now_ms = sp__loop_now_ms(worker->shop->loop);
    if (worker->steps_count < WORKER_STEPS_MAX) {
        worker->steps[worker->steps_count++] =
            (sp_death_step){.what = what, .after_ms = now_ms - worker->decided_ms};
    }
}

static void climb_at(struct worker *worker, enum worker_rung rung, uint64_t pause_ms)
{
    struct loop *loop = worker->shop->loop;
    worker->rung = rung;
    sp__timer_set(loop, &worker->deadline, sp__loop_now_ms(loop) + pause_ms);
}

/* 1 while it is still being written, or expected. */
static int awaits_stack(struct worker *worker)
{
    uint64_t now_ms = sp__loop_now_ms(worker->shop->loop);
    size_t bytes = sp__worker_stack_bytes(worker);
    int settled = bytes > 0 && bytes == worker->stack_seen;
    worker->stack_seen = bytes;
    return !settled && now_ms - worker->decided_ms < STACK_MAX_MS;
}

/* It cannot be killed: what is known of it is told now, and its end by nobody. */
static int is_unkillable(struct worker *worker)
{
    struct vitals vitals;
    uint64_t now_ms = sp__loop_now_ms(worker->shop->loop);
    return now_ms - worker->killed_ms >= UNKILLABLE_MS &&
           sp__vitals_read(worker->pid, &vitals) && vitals.state == 'D';
}

void sp__worker_climb(struct worker *worker)
{
    uint64_t pause_ms = worker->spec->hang_grace_ms / 2;
    switch (worker->rung) {
    case RUNG_STACK:
        if (awaits_stack(worker)) {
            climb_at(worker, RUNG_STACK, STACK_LOOK_MS);
            return;
        }
        /* fall through */
    case RUNG_TERM:
        note_step(worker, "term");
        sp__worker_signal(worker, SIGTERM, 0);
        climb_at(worker, RUNG_TERM_GROUP, pause_ms);
        break;
    case RUNG_TERM_GROUP:
        note_step(worker, "term_group");
        sp__worker_signal(worker, SIGTERM, 1);
        climb_at(worker, RUNG_KILL, pause_ms);
        break;
    case RUNG_KILL:
        note_step(worker, "kill_group");
        sp__worker_signal(worker, SIGKILL, 1);
        climb_at(worker, RUNG_AGAIN, KILL_AGAIN_MS);
        break;
    case RUNG_AGAIN:
        if (is_unkillable(worker)) {
            worker->unkillable = 1;
            sp__worker_die(worker, &(struct guard_exit){.pid = worker->pid,
                                                        .exit_code = -1,
                                                        .oom_killed = -1});
            return;
        }
        sp__worker_signal(worker, SIGKILL, 1);
        climb_at(worker, RUNG_AGAIN, KILL_AGAIN_MS);
        break;
    }
}

/* Where the ladder begins for a process in this state. */
static enum worker_rung first_rung(struct worker *worker, char state)
{
    if (state != 'R' && state != 'S') {
        return RUNG_KILL;
    }
    if (!sp__worker_ask_stack(worker)) {
        return RUNG_TERM;
    }
    note_step(worker, "stack");
    return RUNG_STACK;
}

void sp__worker_give_up(struct worker *worker, enum worker_why why)
{
    struct vitals vitals;
    if (worker->state != WORKER_STARTING && worker->state != WORKER_READY) {
        return; /* it is on its way already */
    }
    (void)sp__vitals_read(worker->pid, &vitals);
    int n = sp__vitals_describe(&vitals, worker->evidence, sizeof worker->evidence);
    if (n > 0 && (size_t)n < sizeof worker->evidence && vitals.state != 0 &&
        worker->cpu_known) {
        (void)snprintf(worker->evidence + n, sizeof worker->evidence - (size_t)n,
                       ", %llu ms of it meanwhile",
                       (unsigned long long)(vitals.cpu_ms > worker->cpu_ms
                                                ? vitals.cpu_ms - worker->cpu_ms
                                                : 0));
    }
    if (why == WHY_HUNG) {
        worker->events->on_hung(worker);
    }
    worker->decided_ms = sp__loop_now_ms(worker->shop->loop);
    enum worker_rung rung = first_rung(worker, vitals.state);
    sp__worker_begin_stopping(worker, why, 0);
    if (rung == RUNG_STACK) {
        climb_at(worker, rung, STACK_LOOK_MS);
    } else {
        worker->rung = rung;
        sp__worker_climb(worker);
    }
}

/* ---- health ---- */

/* Against which a later look shows whether it does anything. */
static void remember_cpu(struct worker *worker)
{
    struct vitals vitals;
    worker->cpu_known = sp__vitals_read(worker->pid, &vitals);
    worker->cpu_ms = vitals.cpu_ms;
}

static void tell_pong(const struct worker *worker)
{
    double latency_ms = (double)(sp__now_us() - worker->ping_us) / 1000;
    sp__worker_tell(worker, (struct tidings){.event = {.kind = SP_EVENT_HEARTBEAT_PONG},
                                             EVENT_NUMBERS(latency_ms, 1)});
}

static void tell_missed(const struct worker *worker)
{
    sp__worker_tell(worker,
                    (struct tidings){.event = {.kind = SP_EVENT_HEARTBEAT_TIMEOUT},
                                     EVENT_NUMBERS(worker->missed)});
    if (worker->missed >= worker->spec->health_misses) {
        sp__worker_tell(worker,
                        (struct tidings){.event = {.kind = SP_EVENT_HEARTBEAT_FAILURE},
                                         EVENT_NUMBERS(worker->missed),
                                         EVENT_TEXTS("no answer to a ping")});
    }
}

void sp__worker_beat(struct worker *worker)
{
    if (worker->ping_out) {
        tell_pong(worker);
    }
    worker->has_beaten = 1;
    worker->beaten_ms = sp__loop_now_ms(worker->shop->loop);
    worker->ping_out = 0;
    worker->missed = 0;
}

static void send_ping(struct worker *worker, uint64_t now_ms)
{
    worker->ping_out = 1;
    worker->ping_us = sp__now_us();
    worker->pings++;
    sp__worker_tell(worker, (struct tidings){.event = {.kind = SP_EVENT_HEARTBEAT_PING},
                                             EVENT_NUMBERS(1)});
    if (sp__h2_ping(worker->calls.h2, now_ms, NULL) == SP_OK) {
        sp__channel_touch(&worker->calls);
    }
}

void sp__worker_health_due(struct timer *timer, uint64_t now_ms)
{
    struct worker *worker = ITEM(timer, struct worker, health);
    if (worker->state != WORKER_READY) {
        return;
    }
    if (worker->ping_out) {
        worker->missed++;
        tell_missed(worker);
        if (worker->missed >= worker->spec->health_misses) {
            sp__worker_give_up(worker, WHY_HUNG);
            return;
        }
    }
    if (worker->missed == 1) {
        remember_cpu(worker);
    }
    if (!worker->has_beaten) {
        send_ping(worker, now_ms);
    }
    worker->has_beaten = 0;
    sp__timer_set(worker->shop->loop, timer, now_ms + worker->spec->health_interval_ms);
}

void sp__worker_watch_health(struct worker *worker, uint64_t now_ms)
{
    worker->beaten_ms = now_ms;
    if (worker->spec->health_interval_ms != SP_UNLIMITED) {
        sp__timer_set(worker->shop->loop, &worker->health,
                      now_ms + worker->spec->health_interval_ms);
    }
}

/* ---- cancelled calls that may go on in user code ---- */

static int is_running(const struct worker *worker, uint32_t stream_id)
{
    for (size_t i = 0; i < WORKER_PAGE_SLOTS; i++) {
        if (atomic_load_explicit(&worker->page->running[i], memory_order_acquire) ==
            stream_id) {
            return 1;
        }
    }
    return 0;
}

int sp__worker_is_stuck(struct worker *worker)
{
    if (worker->page == NULL) {
        return 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < worker->abandoned_count; i++) {
        if (is_running(worker, worker->abandoned[i].stream_id)) {
            worker->abandoned[kept++] = worker->abandoned[i];
        } else {
            sp__free(worker->abandoned[i].names);
        }
    }
    worker->abandoned_count = kept;
    return kept > 0;
}

/* Nothing on the wire says that a cancelled call has left user code; the page does, and
 * is looked at again and again meanwhile. */
void sp__worker_stuck_due(struct timer *timer, uint64_t now_ms)
{
    struct worker *worker = ITEM(timer, struct worker, stuck);
    if (worker->state != WORKER_READY) {
        return;
    }
    if (!sp__worker_is_stuck(worker)) {
        worker->events->on_free(worker);
        return;
    }
    if (now_ms >= worker->stuck_until_ms) {
        sp__worker_give_up(worker, WHY_STUCK);
        return;
    }
    if (worker->stuck_pause_ms == 1) {
        remember_cpu(worker);
    }
    uint64_t next_ms = now_ms + worker->stuck_pause_ms;
    worker->stuck_pause_ms = worker->stuck_pause_ms * 2 < STUCK_PAUSE_MAX_MS
                                 ? worker->stuck_pause_ms * 2
                                 : STUCK_PAUSE_MAX_MS;
    sp__timer_set(worker->shop->loop, timer,
                  next_ms < worker->stuck_until_ms ? next_ms : worker->stuck_until_ms);
}

static void note_abandoned(struct worker *worker, const struct worker_call *call)
{
    struct abandoned *entry = &worker->abandoned[worker->abandoned_count++];
    sp_death_call known = {.tool = "", .request_id = ""};
    worker->events->on_describe(call, &known);
    *entry = (struct abandoned){.stream_id = call->stream_id,
                                .sent_us = call->sent_us,
                                .names = sp__malloc(sizeof *entry->names)};
    if (entry->names != NULL) {
        (void)snprintf(entry->names->tool, sizeof entry->names->tool, "%s", known.tool);
        (void)snprintf(entry->names->request_id, sizeof entry->names->request_id, "%s",
                       known.request_id);
    }
}

void sp__worker_abandon(struct worker *worker, const struct worker_call *call)
{
    uint64_t grace_ms = worker->spec->cancel_grace_ms;
    uint64_t now_ms = sp__loop_now_ms(worker->shop->loop);
    if (worker->page == NULL || worker->state != WORKER_READY ||
        worker->abandoned_count == WORKER_ABANDONED_MAX) {
        return;
    }
    note_abandoned(worker, call);
    if (worker->stuck.node.at == 0) {
        worker->stuck_until_ms =
            grace_ms == SP_UNLIMITED ? SP_UNLIMITED : now_ms + grace_ms;
        worker->stuck_pause_ms = 1;
        sp__timer_set(worker->shop->loop, &worker->stuck, now_ms + 1);
    }
}
