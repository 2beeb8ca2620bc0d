/* SPDX-License-Identifier: MIT */
/*
 * The end of a worker: what is said of it, and to whom.
 *
 * Normal course: the guard has reaped the process. What is left in its output is read,
 * the cause becomes an sp_error and a certificate (death.h), every call on it is told,
 * and on_dead is the last the owner hears.
 *
 * The cause is put together from two sides: why the host wanted it dead, if it did, and
 * how the kernel says it ended. Nothing is guessed: without a reason of ours and without
 * a counter of the kernel a SIGKILL stays unexplained.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "worker/internal.h"

enum {
    EXIT_CONFIG = 78, /* EX_CONFIG: starting it again is useless */
    TAIL_LINES = 12   /* of its output, in errors and certificates */
};

/* ---- the cause ---- */

/* A signal that people and programs send, as opposed to one that a fault raises. */
static int is_sent_signal(int number)
{
    return number == SIGKILL || number == SIGTERM || number == SIGINT ||
           number == SIGHUP || number == SIGQUIT;
}

static int cause_of_itself(const struct worker *worker, const struct guard_exit *exit)
{
    if (exit->oom_killed > 0 && exit->exit_signal == SIGKILL) {
        return SP_DEATH_OUT_OF_MEMORY;
    }
    if (worker->killed && exit->exit_signal == SIGKILL) {
        return SP_DEATH_LOST; /* we did, because its connection was gone */
    }
    return is_sent_signal(exit->exit_signal) ? SP_DEATH_KILLED : SP_DEATH_CRASHED;
}

static int cause_of(const struct worker *worker, const struct guard_exit *exit)
{
    switch (worker->why) {
    case WHY_NONE:
    case WHY_LOST:
        return cause_of_itself(worker, exit);
    case WHY_ASKED:
        return SP_DEATH_STOPPED;
    case WHY_RECYCLED:
    case WHY_SPENT:
        return SP_DEATH_RECYCLED;
    case WHY_REFUSED:
        return SP_DEATH_REFUSED;
    case WHY_TOO_SLOW:
        return SP_DEATH_TOO_SLOW;
    case WHY_PROTOCOL:
        return SP_DEATH_PROTOCOL;
    case WHY_HUNG:
        return SP_DEATH_HUNG;
    case WHY_STUCK:
        return SP_DEATH_STUCK;
    case WHY_CANCELLED:
        return SP_DEATH_CANCELLED;
    case WHY_OPERATOR:
        return SP_DEATH_OPERATOR;
    case WHY_GUARD:
        return SP_DEATH_GUARD;
    }
    return SP_DEATH_CRASHED;
}

static void say_how(const struct worker *worker, const struct guard_exit *exit,
                    sp_error *out)
{
    char how[80];
    const char *more = "";
    int cause = cause_of(worker, exit);
    (void)sp__guard_describe_exit(exit, how, sizeof how);
    if (cause == SP_DEATH_KILLED) {
        more = ", cause unknown";
    } else if (cause == SP_DEATH_LOST) {
        more = " after its connection broke";
    }
    sp__fail(out, worker->was_ready ? SP_ERR_WORKER_DIED : SP_ERR_START_FAILED,
             "worker %s (pid %d) %s%s%s", worker->name, worker->pid, how,
             worker->was_ready ? "" : " before it was ready", more);
}

/* What to say of a death, by why it came to it. */
static void say_why(struct worker *worker, const struct guard_exit *exit, sp_error *out)
{
    int code = worker->was_ready ? SP_ERR_WORKER_DIED : SP_ERR_START_FAILED;
    switch (worker->why) {
    case WHY_REFUSED:
        sp_error_move(out, &worker->refusal);
        break;
    case WHY_TOO_SLOW:
        sp__fail(out, SP_ERR_START_TIMEOUT,
                 "worker %s was not ready after %llu ms and was killed (%s)",
                 worker->name, (unsigned long long)worker->spec->init_timeout_ms,
                 worker->evidence);
        break;
    case WHY_PROTOCOL:
        sp__fail(out, SP_ERR_PROTOCOL, "worker %s broke the protocol and was killed",
                 worker->name);
        break;
    case WHY_HUNG:
        sp__fail(out, code,
                 "worker %s gave no sign of life for %llu ms and was killed (%s)",
                 worker->name,
                 (unsigned long long)worker->spec->health_interval_ms * worker->missed,
                 worker->evidence);
        break;
    case WHY_STUCK:
        sp__fail(out, code,
                 "worker %s went on with a cancelled call for %llu ms and was killed "
                 "(%s)",
                 worker->name, (unsigned long long)worker->spec->cancel_grace_ms,
                 worker->evidence);
        break;
    case WHY_CANCELLED:
        sp__fail(out, code,
                 "worker %s was killed with a cancelled call, which wanted it so",
                 worker->name);
        break;
    case WHY_OPERATOR:
        sp__fail(out, code, "worker %s was killed by whoever looks after it",
                 worker->name);
        break;
    case WHY_GUARD:
        sp__fail(out, SP_ERR_GUARD, "worker %s ended with the guard process",
                 worker->name);
        break;
    case WHY_SPENT:
        sp__fail(out, code,
                 "worker %s was replaced: its connection had carried all the "
                 "calls it can number",
                 worker->name);
        break;
    case WHY_RECYCLED:
        sp__fail(out, SP_ERR_CLOSED, "worker %s was replaced by a fresh one",
                 worker->name);
        break;
    case WHY_ASKED:
        sp__fail(out, SP_ERR_CLOSED, "worker %s was stopped", worker->name);
        break;
    case WHY_NONE:
    case WHY_LOST:
        say_how(worker, exit, out);
        break;
    }
}

static void describe(struct worker *worker, const struct guard_exit *exit,
                     sp_error *out)
{
    say_why(worker, exit, out);
    out->worker_pid = worker->pid;
    out->worker_why = cause_of(worker, exit);
    if (worker->why != WHY_REFUSED && worker->why != WHY_ASKED &&
        worker->why != WHY_RECYCLED) {
        /* Those end because they are told to, which explains nothing. */
        out->worker_exit = exit->exit_code;
        out->worker_signal = exit->exit_signal;
    }
    char *tail = sp__output_tail(&worker->output, TAIL_LINES);
    if (tail != NULL) { /* else it may be its zygote's */
        sp__free(out->worker_stderr);
        out->worker_stderr = tail;
    }
    out->worker_stack = sp__worker_copy_stack(worker);
    if (worker->unkillable) {
        size_t used = strlen(out->message);
        (void)snprintf(out->message + used, sizeof out->message - used,
                       "; it cannot be killed and is left to the kernel");
    }
}

/* ---- the calls ---- */

/* The greatest stream id whose user code may have begun. */
static uint32_t last_started(const struct worker *worker)
{
    if (worker->page == NULL) {
        return UINT32_MAX;
    }
    return atomic_load_explicit(&worker->page->started, memory_order_acquire);
}

/* Tell every call on the dead worker; those whose user code had not begun say so. */
static void end_calls(struct worker *worker, const sp_error *cause)
{
    uint32_t started = last_started(worker);
    /* The youngest first: who puts them back in front of a queue keeps their order. */
    struct link *link;
    while ((link = worker->in_flight.last) != NULL) {
        struct worker_call *call = ITEM(link, struct worker_call, on_worker);
        sp__list_remove(link);
        sp__worker_end_asks(worker, call->stream_id);
        sp__worker_unshare_call(worker, call);
        sp_error failure = {0};
        sp__error_copy(&failure, cause);
        if (failure.code == SP_ERR_START_FAILED) {
            failure.code = SP_ERR_WORKER_DIED;
        }
        failure.executed =
            call->stream_id <= started ? SP_EXECUTED_UNKNOWN : SP_EXECUTED_NO;
        if (call->stream != NULL) {
            sp__h2_stream_set_user(call->stream, NULL);
            sp__h2_reset(call->stream, RST_CANCEL); /* lets go of the message */
        }
        call->worker = NULL;
        call->stream = NULL;
        worker->estimate_us -= call->estimate_us;
        worker->events->on_end(call, &failure, worker);
        sp_error_clear(&failure);
    }
}

/* Those it was to stop and may be running still. */
static size_t list_abandoned(const struct worker *worker, sp_death_call *ret)
{
    uint64_t now_us = sp__loop_now_us(worker->shop->loop);
    for (size_t i = 0; i < worker->abandoned_count; i++) {
        const struct abandoned *entry = &worker->abandoned[i];
        ret[i] = (sp_death_call){
            .tool = entry->names != NULL ? entry->names->tool : "",
            .request_id = entry->names != NULL ? entry->names->request_id : "",
            .stage = SP_STAGE_STARTED,
            .abandoned = 1,
            .run_ms = now_us > entry->sent_us ? (now_us - entry->sent_us) / 1000 : 0,
        };
    }
    return worker->abandoned_count;
}

/* The calls it has, the oldest first, into ret[0..DEATH_CALLS_MAX). Their number. */
static size_t list_calls(const struct worker *worker, sp_death_call *ret)
{
    size_t count = list_abandoned(worker, ret);
    uint32_t started = last_started(worker);
    uint64_t now_us = sp__loop_now_us(worker->shop->loop);
    struct link *link = worker->in_flight.first;
    for (; link != NULL && count < DEATH_CALLS_MAX; link = link->next) {
        const struct worker_call *call = ITEM(link, struct worker_call, on_worker);
        ret[count] = (sp_death_call){
            .stage = call->stream_id <= started ? SP_STAGE_STARTED : SP_STAGE_SENT,
            .run_ms = now_us > call->sent_us ? (now_us - call->sent_us) / 1000 : 0,
        };
        worker->events->on_describe(call, &ret[count++]);
    }
    return count;
}

/* ---- the certificate ---- */

static struct death *certify(const struct worker *worker, const struct guard_exit *exit,
                             const sp_error *cause)
{
    sp_death_call calls[DEATH_CALLS_MAX];
    size_t count = list_calls(worker, calls);
    uint64_t now_ms = sp__loop_now_ms(worker->shop->loop);
    const sp_death facts = {
        .time_unix_ms = sp__unix_ns() / 1000000u,
        .pool = worker->spec->pool,
        .slot = worker->public_slot,
        .generation = worker->generation,
        .worker = worker->id,
        .pid = worker->pid,
        .why = cause_of(worker, exit),
        .was_ready = worker->was_ready,
        .exit_status = exit->exit_code,
        .signal = exit->exit_signal,
        .core_dumped = exit->core_dumped,
        .oom_killed = exit->oom_killed,
        .user_ms = exit->user_us / 1000,
        .system_ms = exit->system_us / 1000,
        .rss_peak_bytes = exit->rss_max_kib * 1024,
        .rss_bytes = worker->sample.rss_bytes,
        .pss_bytes = worker->sample.pss_bytes,
        .tree_bytes = worker->sample.tree_bytes,
        .sample_age_ms = worker->sample.at_ms > 0 ? now_ms - worker->sample.at_ms : 0,
        .age_ms = now_ms - worker->spawned_ms,
        .ready_ms = worker->was_ready ? worker->ready_ms - worker->spawned_ms : 0,
        .calls_total = worker->calls_total,
        .calls_count = count,
        .calls = calls,
        .calls_more = worker->abandoned_count + worker->in_flight.length - count,
        .evidence = worker->evidence,
        .stack = cause->worker_stack,
        .steps_count = worker->steps_count,
        .steps = worker->steps,
        .unkillable = worker->unkillable,
        .message = cause->message,
        .last_lines = cause->worker_stderr,
    };
    return sp__death_new(&facts);
}

void sp__worker_die(struct worker *worker, const struct guard_exit *exit)
{
    sp__output_drain(&worker->output);
    struct worker_death death = {
        .why = worker->why,
        .was_ready = worker->was_ready,
        .permanent = worker->refused_for_good ||
                     (!worker->was_ready && exit->exit_code == EXIT_CONFIG),
    };
    describe(worker, exit, &death.error);
    death.certificate = certify(worker, exit, &death.error);
    if (worker->state == WORKER_READY) { /* the guard was faster than the connection */
        sp__worker_tell_lost(worker, death.error.message);
        sp__worker_tell_watch_over(worker);
    }

    sp__worker_move(worker, WORKER_DEAD);
    sp__list_remove(&worker->on_state);
    sp__list_remove(&worker->on_zygote);
    (void)sp__map_take(&worker->shop->by_id, worker->id);
    end_calls(worker, &death.error);
    worker->events->on_dead(worker, &death);
    sp__death_drop(death.certificate);
    sp_error_clear(&death.error);
}
