/* SPDX-License-Identifier: MIT */
/*
 * One worker process: its states and what moves it between them.
 *
 * Normal course: launched (launch.c), announced over its host connection, READY until
 * asked to stop, SIGTERM, gone. The process is over only when the guard says so: a broken
 * connection alone makes the worker STOPPING and sends the killer, and the calls on it
 * are told when its cause of death is known, a few milliseconds later.
 *
 * Whatever happens, it ends in DEAD exactly once and on_dead is the last event.
 */
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "worker/internal.h"
#include "worker/stock.h"

enum { LOST_GRACE_MS = 500 }; /* from a broken connection to SIGKILL */

#define TO(state) (1u << WORKER_##state)
static const struct {
    const char *name;
    unsigned next;
} worker_states[] = {
    [WORKER_STARTING] = {"starting", TO(READY) | TO(STOPPING) | TO(DEAD)},
    [WORKER_READY] = {"ready", TO(STOPPING) | TO(DEAD)},
    [WORKER_STOPPING] = {"stopping", TO(DEAD)},
    [WORKER_DEAD] = {"dead", 0},
};
#undef TO

/* The only writer of worker->state. */
void sp__worker_move(struct worker *worker, enum worker_state next)
{
    assert(worker_states[worker->state].next & (1u << next));
    worker->state = next;
}

/* ---- stopping ---- */

void sp__worker_signal(struct worker *worker, int signal_number, int group)
{
    if (worker->shop->guard == NULL || sp__guard_kill(worker->shop->guard, worker->id,
                                                      signal_number, group, NULL) < 0) {
        return; /* the guard is lost, and the worker is dying with it */
    }
    if (signal_number == SIGKILL && !worker->killed) {
        worker->killed = 1;
        worker->killed_ms = sp__loop_now_ms(worker->shop->loop);
    }
}

void sp__worker_begin_stopping(struct worker *worker, enum worker_why why,
                               uint64_t grace_ms)
{
    worker->why = why;
    worker->rung = RUNG_KILL;
    if (worker->state == WORKER_READY) {
        sp__worker_tell_watch_over(worker);
    }
    if (worker->decided_ms == 0) {
        worker->decided_ms = sp__loop_now_ms(worker->shop->loop);
    }
    sp__worker_move(worker, WORKER_STOPPING);
    if (worker->on_zygote.on != NULL) {
        grace_ms = 0; /* there is no process */
    }
    if (worker->page == NULL) {
        sp__worker_unlisten(worker); /* an open stream would hold its end up */
    }
    sp__timer_stop(worker->shop->loop, &worker->health);
    sp__timer_stop(worker->shop->loop, &worker->connect);
    sp__timer_set(worker->shop->loop, &worker->deadline,
                  sp__loop_now_ms(worker->shop->loop) + grace_ms);
    worker->events->on_stopping(worker);
}

void sp__worker_stop(struct worker *worker, enum worker_why why)
{
    switch (worker->state) {
    case WORKER_STARTING:
    case WORKER_READY:
        sp__worker_begin_stopping(worker, why, worker->spec->shutdown_grace_ms);
        sp__worker_signal(worker, SIGTERM, 0);
        break;
    case WORKER_STOPPING: /* the killer is on its way */
    case WORKER_DEAD:
        break;
    }
}

void sp__worker_kill(struct worker *worker, enum worker_why why)
{
    switch (worker->state) {
    case WORKER_STARTING:
    case WORKER_READY:
        sp__worker_begin_stopping(worker, why, LOST_GRACE_MS);
        sp__worker_signal(worker, SIGKILL, 1);
        break;
    case WORKER_STOPPING:
        sp__worker_signal(worker, SIGKILL, 1);
        break;
    case WORKER_DEAD:
        break;
    }
}

/* It has no process, and nobody will report one. */
static void end_unborn(struct worker *worker)
{
    sp__worker_die(worker, &(struct guard_exit){.exit_code = -1, .oom_killed = -1});
}

static void deadline_passed(struct timer *timer, uint64_t now_ms)
{
    struct worker *worker = ITEM(timer, struct worker, deadline);
    switch (worker->state) {
    case WORKER_STARTING:
        sp__worker_give_up(worker, WHY_TOO_SLOW);
        break;
    case WORKER_STOPPING:
        if (worker->on_zygote.on != NULL) {
            end_unborn(worker);
        } else {
            sp__worker_climb(worker);
        }
        break;
    case WORKER_READY:
    case WORKER_DEAD:
        break; /* set only in the two states above; a stale firing means nothing */
    }
}

/* ---- the end of a connection's numbers ---- */

int sp__worker_is_spent(const struct worker *worker)
{
    return sp__channel_is_open(&worker->calls) &&
           sp__h2_ids_left(worker->calls.h2) == 0;
}

void sp__worker_rest(struct worker *worker)
{
    if (worker->state == WORKER_READY && worker->in_flight.length == 0 &&
        sp__worker_is_spent(worker)) {
        sp__worker_stop(worker, WHY_SPENT);
    }
}

int sp__worker_cancel(struct worker_call *call)
{
    struct worker *worker = call->worker;
    int started =
        worker->page == NULL ||
        !sp__page_revoke(worker->page, &worker->revoked_next, call->stream_id);
    if (call->stream != NULL) {
        sp__h2_stream_set_user(call->stream, NULL);
        sp__h2_reset(call->stream, RST_CANCEL);
        sp__channel_touch(&worker->calls);
    }
    if (started && !call->replied) {
        sp__worker_abandon(worker, call);
    }
    sp__list_remove(&call->on_worker);
    if (worker->telemetry != NULL) {
        sp__worker_remember(worker, call);
    }
    sp__worker_end_asks(worker, call->stream_id);
    sp__worker_unshare_call(worker, call);
    sp__worker_sweep_memory(worker);
    worker->estimate_us -= call->estimate_us;
    worker->calls_total++;
    call->worker = NULL;
    call->stream = NULL;
    sp__worker_rest(worker);
    return started ? SP_EXECUTED_UNKNOWN : SP_EXECUTED_NO;
}

/* ---- ready ---- */

static void become_ready(struct worker *worker, struct proto_announce *announce)
{
    struct loop *loop = worker->shop->loop;
    sp__worker_move(worker, WORKER_READY);
    worker->was_ready = 1;
    worker->ready_ms = sp__loop_now_ms(loop);
    sp__timer_stop(loop, &worker->deadline);
    sp__worker_watch_health(worker, worker->ready_ms);
    sp__worker_tell_connected(worker);
    sp__worker_listen(worker); /* before its first call */
    worker->events->on_ready(worker, announce);
}

void sp__worker_on_announced(struct worker *worker, struct proto_announce *announce)
{
    if (worker->state != WORKER_STARTING) {
        return; /* it announced itself just when it was told to stop */
    }
    /* A refusal needs no process number, and its sender may be gone before the guard's
     * word has come. */
    if (!worker->is_spawned && !announce->failed) {
        worker->early = EARLY_ANNOUNCED;
        sp__proto_announce_fini(&worker->early_announce);
        worker->early_announce = *announce;
        *announce = (struct proto_announce){0};
        return;
    }
    if (announce->failed) {
        worker->refused_for_good = announce->permanent;
        sp__fail(&worker->refusal, SP_ERR_START_FAILED, "%s: %s",
                 announce->error_type != NULL ? announce->error_type : "failed",
                 announce->error_message != NULL ? announce->error_message : "");
        worker->refusal.remote_type = sp__strdup(announce->error_type);
        worker->refusal.remote_message = sp__strdup(announce->error_message);
        worker->refusal.remote_trace = sp__strdup(announce->error_trace);
        sp__worker_stop(worker, WHY_REFUSED);
        return;
    }
    (void)snprintf(worker->runtime, sizeof worker->runtime, "%s",
                   announce->runtime != NULL ? announce->runtime : "");
    worker->capacity = announce->capacity == 0 ? 1 : announce->capacity;
    become_ready(worker, announce);
}

void sp__worker_on_foreign(struct worker *worker, const sp_error *why)
{
    if (worker->state == WORKER_STARTING) {
        worker->refused_for_good = 1;
        sp__error_copy(&worker->refusal, why);
        sp__worker_stop(worker, WHY_REFUSED);
    }
}

void sp__worker_on_connected(struct worker *worker)
{
    if (!worker->is_spawned) {
        worker->early = EARLY_CONNECTED;
    } else if (worker->state == WORKER_STARTING) {
        (void)snprintf(worker->runtime, sizeof worker->runtime, "grpc");
        become_ready(worker, NULL);
    }
}

/* ---- death ---- */

void sp__worker_on_broken(void *user, const sp_error *why)
{
    struct worker *worker = user;
    /* The process is usually dying: the guard's word with the cause is on its way. */
    switch (worker->state) {
    case WORKER_STARTING:
        if (worker->spec->transport != SP_TRANSPORT_INHERITED) {
            sp__stock_try_later(worker);
            break;
        }
        /* fall through */
    case WORKER_READY:
        if (worker->state == WORKER_READY) {
            sp__worker_tell_lost(worker, why->message);
        }
        sp__worker_begin_stopping(
            worker, why->code == SP_ERR_PROTOCOL ? WHY_PROTOCOL : WHY_LOST,
            why->code == SP_ERR_PROTOCOL ? 0 : LOST_GRACE_MS);
        break;
    case WORKER_STOPPING:
    case WORKER_DEAD:
        break;
    }
}

void sp__worker_on_goaway(struct worker *worker)
{
    /* It was told to end by somebody else and finishes what it has. */
    if (worker->state == WORKER_READY) {
        sp__worker_begin_stopping(worker, WHY_LOST, worker->spec->shutdown_grace_ms);
    }
}

void sp__worker_on_host_broken(void *user, const sp_error *why)
{
    struct worker *worker = user;
    if (worker->state == WORKER_STARTING) {
        sp__worker_on_broken(worker, why);
    }
    /* Later it is only the way back to the host; its end is told by the other one. */
}

static void unmap_page(struct worker *worker)
{
    if (worker->page != NULL) {
        (void)munmap(worker->page, WORKER_SHARED_BYTES);
        worker->page = NULL;
    }
}

void sp__worker_free(struct worker *worker)
{
    struct loop *loop = worker->shop->loop;
    assert(worker->in_flight.length == 0);
    sp__list_remove(&worker->on_state);
    sp__list_remove(&worker->on_zygote);
    sp__timer_fini(loop, &worker->deadline);
    sp__timer_fini(loop, &worker->health);
    sp__timer_fini(loop, &worker->stuck);
    sp__timer_fini(loop, &worker->connect);
    sp__timer_fini(loop, &worker->grant);
    sp__channel_close(&worker->calls);
    sp__worker_close_host(worker);
    sp__output_close(&worker->output);
    unmap_page(worker);
    sp__worker_memory_close(worker);
    for (size_t i = 0; i < worker->abandoned_count; i++) {
        sp__free(worker->abandoned[i].names);
    }
    sp__stock_forget(worker);
    sp__proto_announce_fini(&worker->early_announce);
    sp_error_clear(&worker->refusal);
    sp__free(worker->ended);
    sp__free(worker);
}

/* ---- start ---- */

static void connect_due(struct timer *timer, uint64_t now_ms)
{
    struct worker *worker = ITEM(timer, struct worker, connect);
    if (worker->state == WORKER_STARTING) {
        sp__stock_connect(worker);
    }
}

static int init_timers(struct worker *worker)
{
    struct loop *loop = worker->shop->loop;
    int rc = sp__timer_init(loop, &worker->deadline, deadline_passed);
    if (rc == SP_OK) {
        rc = sp__timer_init(loop, &worker->health, sp__worker_health_due);
    }
    if (rc == SP_OK) {
        rc = sp__timer_init(loop, &worker->stuck, sp__worker_stuck_due);
    }
    if (rc == SP_OK) {
        rc = sp__timer_init(loop, &worker->connect, connect_due);
    }
    if (rc == SP_OK) {
        rc = sp__timer_init(loop, &worker->grant, sp__worker_grant_due);
    }
    return rc;
}

static int begin(struct worker *worker, sp_error *err)
{
    int rc = sp__worker_launch(worker, err);
    if (rc == SP_OK) {
        sp__timer_set(worker->shop->loop, &worker->deadline,
                      sp__loop_now_ms(worker->shop->loop) +
                          worker->spec->init_timeout_ms);
    }
    return rc;
}

/* Begin, or wait for the zygote that shall fork it; that one has a deadline then. */
static int begin_or_park(struct worker *worker, sp_error *err)
{
    struct zygote *zygote = worker->spec->zygote;
    switch (zygote != NULL ? sp__zygote_ask(zygote) : ZYGOTE_EXECUTE) {
    case ZYGOTE_PARK:
        sp__zygote_park(zygote, worker);
        return SP_OK;
    case ZYGOTE_FORK:
        worker->forked_by = zygote->id;
        break;
    case ZYGOTE_EXECUTE:
        worker->forked_by = 0;
        break;
    }
    return begin(worker, err);
}

void sp__worker_fail_start(struct worker *worker, const sp_error *why, int permanent)
{
    if (worker->state == WORKER_STARTING) { /* else it has a reason to end already */
        sp__error_copy(&worker->refusal, why);
        worker->refused_for_good = permanent;
        worker->why = WHY_REFUSED;
    }
    end_unborn(worker);
}

void sp__worker_unpark(struct worker *worker)
{
    sp_error failure = {0};
    if (worker->state != WORKER_STARTING) {
        end_unborn(worker);
    } else if (begin_or_park(worker, &failure) < 0) {
        sp__worker_fail_start(worker, &failure, 0);
    }
    sp_error_clear(&failure);
}

/* Its zygote did not make it: give back what it was to have, and execute it. */
static void execute_instead(struct worker *worker)
{
    sp_error failure = {0};
    sp__channel_close(&worker->calls);
    sp__worker_close_host(worker);
    sp__output_close(&worker->output);
    unmap_page(worker);
    sp__worker_memory_close(worker);
    worker->forked_by = 0;
    if (begin(worker, &failure) < 0) {
        sp__worker_fail_start(worker, &failure, 0);
    }
    sp_error_clear(&failure);
}

int sp__worker_start(struct workshop *shop, const struct worker_spec *spec,
                     const struct worker_events *events, void *owner, const char *name,
                     uint32_t slot, struct worker **ret_worker, sp_error *err)
{
    SP__ON_LOOP(shop->loop);
    struct worker *worker = sp__calloc(1, sizeof *worker);
    if (worker == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for worker %s", name);
    }
    worker->shop = shop;
    worker->spec = spec;
    worker->events = events;
    worker->owner = owner;
    worker->slot = slot;
    worker->id = sp__workshop_next_id(shop);
    worker->capacity = 1;
    (void)snprintf(worker->name, sizeof worker->name, "%s", name);
    worker->spawned_ms = sp__loop_now_ms(shop->loop);
    worker->asked_us = sp__now_us();

    int rc = init_timers(worker);
    if (rc < 0) {
        sp__fail(err, rc, "no memory for the timers of worker %s", name);
        goto free_worker;
    }
    rc = sp__map_put(&shop->by_id, worker->id, worker);
    if (rc < 0) {
        sp__fail(err, rc, "no memory to register worker %s", name);
        goto free_worker;
    }
    rc = begin_or_park(worker, err);
    if (rc < 0) {
        (void)sp__map_take(&shop->by_id, worker->id);
        goto free_worker;
    }
    *ret_worker = worker;
    return SP_OK;

free_worker:
    sp__worker_free(worker);
    return rc;
}

/* ---- what the guard says ---- */

int sp__workshop_init(struct workshop *shop, struct loop *loop, uint32_t number,
                      uint32_t count, sp_error *err)
{
    *shop = (struct workshop){.loop = loop, .next_id = number + 1, .id_step = count};
    return sp__channels_init(&shop->channels, loop, err);
}

void sp__workshop_fini(struct workshop *shop)
{
    sp__channels_fini(&shop->channels);
    sp__proto_scratch_fini(&shop->scratch);
    sp__map_fini(&shop->by_id);
    sp__socket_folder_remove(&shop->sockets);
}

int sp__worker_is_hopeless(int os_errno)
{
    return os_errno == ENOENT || os_errno == EACCES || os_errno == ENOEXEC ||
           os_errno == ENOTDIR;
}

static void zygote_spawned(struct workshop *shop, uint64_t id, int pid,
                           const sp_error *failure)
{
    struct link *link = shop->zygotes.first;
    while (link != NULL && !sp__zygote_on_spawned(ITEM(link, struct zygote, on_shop),
                                                  id, pid, failure)) {
        link = link->next;
    }
}

void sp__workshop_on_spawned(struct workshop *shop, uint64_t id, int pid,
                             const sp_error *failure)
{
    struct worker *worker = sp__map_find(&shop->by_id, id);
    if (worker == NULL) { /* a zygote, or it was given up before the guard got to it */
        zygote_spawned(shop, id, pid, failure);
        return;
    }
    if (worker->forked_by != 0) {
        sp__zygote_answered(worker->spec->zygote, worker->forked_by, failure == NULL);
    }
    if (failure != NULL && worker->forked_by != 0 && worker->state == WORKER_STARTING) {
        execute_instead(worker);
        return;
    }
    worker->pid = pid;
    worker->is_spawned = 1;
    worker->spawned_us = sp__now_us();
    if (failure != NULL) {
        sp__error_copy(&worker->refusal, failure);
        worker->refusal.code = SP_ERR_START_FAILED;
        worker->refused_for_good = sp__worker_is_hopeless(failure->os_errno);
        if (worker->spec->working_dir != NULL) {
            size_t used = strlen(worker->refusal.message);
            (void)snprintf(worker->refusal.message + used,
                           sizeof worker->refusal.message - used, " (in %.300s)",
                           worker->spec->working_dir);
        }
        worker->why = WHY_REFUSED;
        sp__worker_die(worker, &(struct guard_exit){.exit_code = -1, .oom_killed = -1});
        return;
    }
    worker->events->on_spawned(worker);
    switch (worker->early) {
    case EARLY_NOT:
        break;
    case EARLY_ANNOUNCED:
        sp__worker_on_announced(worker, &worker->early_announce);
        break;
    case EARLY_CONNECTED:
        sp__worker_on_connected(worker);
        break;
    }
}

void sp__workshop_on_exited(struct workshop *shop, uint64_t id,
                            const struct guard_exit *exit)
{
    struct worker *worker = sp__map_find(&shop->by_id, id);
    if (worker != NULL) {
        sp__worker_die(worker, exit);
        return;
    }
    struct link *link = shop->zygotes.first;
    while (link != NULL &&
           !sp__zygote_on_exited(ITEM(link, struct zygote, on_shop), id, exit)) {
        link = link->next;
    }
}

void sp__workshop_on_guard_lost(struct workshop *shop)
{
    struct guard_exit exit = {
        .exit_code = -1, .exit_signal = SIGKILL, .oom_killed = -1};
    for (struct link *l = shop->zygotes.first; l != NULL; l = l->next) {
        sp__zygote_on_guard_lost(ITEM(l, struct zygote, on_shop));
    }
    for (;;) {
        size_t at = 0;
        struct worker *worker = sp__map_next(&shop->by_id, &at);
        if (worker == NULL) {
            break;
        }
        if (worker->why == WHY_NONE || worker->why == WHY_LOST) {
            worker->why = WHY_GUARD; /* one that was told to end has its own reason */
        }
        sp__worker_die(worker, &exit);
    }
}
