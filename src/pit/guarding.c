/* SPDX-License-Identifier: MIT */
/*
 * The pit's dealings with its guard: open it, hand its reports on, replace it. And with
 * its instance, when it has one: which processes there are is written into its registry
 * here, as the guard reports them.
 *
 * A guard that dies takes every worker along (the kernel sees to that); the loop opens a
 * new one and the pools start again. One that cannot be opened is tried again each
 * second, with a warning each time. What workers of a lost guard had moved out of their
 * groups may live on; with an instance it bears a mark, and is ended before the new guard
 * is opened.
 *
 * There is one guard, whatever the number of lanes: what it is asked comes from each of
 * their loops, what it says is heard by the first one's and brought to the others
 * (reports.c). A lost guard is let go of by all of them before it is buried.
 */
#include "pit/guarding.h"

#include <stdio.h>
#include <unistd.h>

#include "guard/protocol.h"
#include "pit/reports.h"

_Static_assert((int)SP_SAFETY_LIFELINE == (int)GUARD_LEVEL_LIFELINE &&
                   (int)SP_SAFETY_SUBREAPER == (int)GUARD_LEVEL_SUBREAPER &&
                   (int)SP_SAFETY_CGROUP == (int)GUARD_LEVEL_CGROUP &&
                   (int)SP_SAFETY_NAMESPACE == (int)GUARD_LEVEL_NAMESPACE,
               "the levels of the guard are those of the interface");

enum {
    GUARD_RETRY_MS = 1000,
    SWEEP_LIMIT_MS = 1000 /* the loop waits for it; it takes milliseconds, really */
};

/* ---- the instance ---- */

static const char *kind_word(const struct left *left)
{
    return left->kind == ROW_GUARD ? "guard" : "process";
}

static void left_found(const struct left *left, void *user)
{
    struct sp_pit *pit = user;
    char message[320];
    int ended = left->verdict == LEFT_OURS;
    (void)snprintf(message, sizeof message,
                   ended
                       ? "%s %d (%s) of a run that is dead was ended: %s"
                       : "%s %d (%s) may be of a run that is dead and was left alone: "
                         "%s",
                   kind_word(left), (int)left->process.pid, left->name, left->why);
    if (ended) {
        atomic_fetch_add(
            pit->loop == NULL ? &pit->orphans_at_start : &pit->orphans_later, 1);
    }
    sp_event event = {.kind = ended ? SP_EVENT_ORPHAN_KILLED : SP_EVENT_WARNING,
                      .pool = "",
                      .pid = left->process.pid,
                      .message = message};
    sp__herald_tell(&pit->herald, &(struct tidings){.event = event});
}

static void tell_orphans(struct sp_pit *pit, uint64_t count)
{
    if (count > 0) {
        sp__pit_tell_end(pit, SP_EVENT_CLEANUP_ORPHANS, (double)count, 0, NULL);
    }
}

int sp__pit_take_instance(struct sp_pit *pit, const sp_pit_options *options,
                          sp_error *err)
{
    if (options->instance == NULL) {
        return SP_OK;
    }
    struct instance_options wanted = {.name = options->instance,
                                      .runtime_dir = options->runtime_dir,
                                      .on_left = left_found,
                                      .user = pit};
    int rc = sp__instance_open(&wanted, &pit->instance, err);
    tell_orphans(pit, atomic_load(&pit->orphans_at_start));
    return rc;
}

/* A row that cannot be written leaves the mark to find the process by. */
static void note_process(struct sp_pit *pit, enum row_kind kind, uint64_t number,
                         int pid, int pidfd)
{
    sp_error failure = {0};
    if (pit->instance != NULL &&
        sp__instance_activate(pit->instance, kind, number, pid, pidfd, &failure) < 0) {
        sp__pit_warn(pit, failure.message);
    }
    sp_error_clear(&failure);
}

static void forget_process(struct sp_pit *pit, enum row_kind kind, uint64_t number)
{
    if (pit->instance != NULL) {
        sp__instance_free(pit->instance, kind, number);
    }
}

/* ---- reports ---- */

static void guard_spawned(void *user, uint64_t id, int pid, int pidfd,
                          const sp_error *failure)
{
    struct sp_pit *pit = user;
    if (failure == NULL) {
        note_process(pit, ROW_WORKER, id, pid, pidfd);
    } else {
        forget_process(pit, ROW_WORKER, id);
    }
    if (pidfd >= 0) {
        (void)close(pidfd); /* the guard reports the end; nobody here signals by pid */
    }
    struct lane *lane = sp__pit_lane_of(pit->lanes, id);
    if (lane->number == 0) {
        sp__workshop_on_spawned(&lane->shop, id, pid, failure);
    } else {
        sp__reports_spawned(lane, id, pid, failure);
    }
}

static void guard_exited(void *user, uint64_t id, const struct guard_exit *exit)
{
    struct sp_pit *pit = user;
    forget_process(pit, ROW_WORKER, id);
    struct lane *lane = sp__pit_lane_of(pit->lanes, id);
    if (lane->number == 0) {
        sp__workshop_on_exited(&lane->shop, id, exit);
    } else {
        sp__reports_exited(lane, id, exit);
    }
}

static void guard_lost(void *user, const sp_error *err);

/* First loop: hear when there is room again, as long as something waits for it. */
static void watch_writes(struct sp_pit *pit)
{
    if (pit->guard_watch != NULL) {
        int waits = sp__guard_wants_write(pit->guard);
        sp__watch_set(pit->guard_watch, WATCH_READ | (waits ? WATCH_WRITE : 0));
    }
}

static void run_blocked(struct command *command, void *user)
{
    struct sp_pit *pit = ((struct lane *)user)->pit;
    atomic_store(&pit->blocked_posted, 0);
    watch_writes(pit);
}

/* Any loop may have been the one to fill it. */
static void guard_blocked(void *user)
{
    struct sp_pit *pit = user;
    if (atomic_exchange(&pit->blocked_posted, 1) == 0) {
        pit->guard_blocked.run = run_blocked;
        sp__loop_post(pit->loop, &pit->guard_blocked);
    }
}

/* Once each, however many workers it concerns. */
static void guard_weak(void *user, uint32_t weak)
{
    if ((weak & GUARD_WEAK_MEMORY) != 0) {
        sp__pit_warn(user, "limits.memory: no control group can be made here, so that "
                           "it bounds each process's data and not a worker with its "
                           "children (RLIMIT_DATA)");
    }
    if ((weak & GUARD_WEAK_NOTHING) != 0) {
        sp__pit_warn(user, "limits.processes: no control group can be made here, and "
                           "nothing else bounds root: workers have no such limit");
    } else if ((weak & GUARD_WEAK_PROCESSES) != 0) {
        sp__pit_warn(user, "limits.processes: no control group can be made here, so "
                           "that it counts all processes of this user (RLIMIT_NPROC)");
    }
}

static const struct guard_events guard_events = {
    .on_spawned = guard_spawned,
    .on_exited = guard_exited,
    .on_weak = guard_weak,
    .on_blocked = guard_blocked,
    .on_lost = guard_lost,
};

static void guard_ready(void *user, int events)
{
    struct sp_pit *pit = user;
    if ((events & WATCH_WRITE) && pit->guard != NULL) {
        sp__guard_on_writable(pit->guard);
        watch_writes(pit);
    }
    if ((events & WATCH_READ) && pit->guard != NULL) {
        sp__guard_on_readable(pit->guard);
    }
}

static int watch_guard(struct sp_pit *pit, sp_error *err)
{
    return sp__watch_open(pit->loop, sp__guard_fd(pit->guard), guard_ready, pit,
                          &pit->guard_watch, err);
}

/* Every lane may ask it for workers from now on. */
static void hand_out_guard(struct sp_pit *pit)
{
    pit->guard_found = pit->guard;
    pit->lanes[0].shop.guard = pit->guard;
    for (uint32_t i = 1; i < pit->lanes_count; i++) {
        sp__reports_found(&pit->lanes[i]);
    }
}

void sp__pit_describe_safety(const struct sp_pit *pit, sp_safety *ret_safety)
{
    const struct guard *guard = pit->guard;
    sp_safety safety = {0};
    if (guard != NULL) {
        safety.level = sp__guard_level(guard);
        safety.wished = sp__guard_wished(guard);
        safety.guard_pid = sp__guard_pid(guard);
        safety.inner_pid = sp__guard_inner_pid(guard);
        (void)sp__guard_describe_level(guard, safety.text, sizeof safety.text);
    } else {
        (void)snprintf(safety.text, sizeof safety.text, "none (no guard runs)");
    }
    *ret_safety = safety;
}

static void tell_safety(struct sp_pit *pit)
{
    sp_safety safety;
    char message[sizeof safety.text + 32];
    sp__pit_describe_safety(pit, &safety);
    (void)snprintf(message, sizeof message, "orphan-safety: %s", safety.text);
    sp__pit_tell(pit, SP_EVENT_GUARD_READY, message);
}

/* The rows of the n-th guard and of the one inside its namespace. */
static uint64_t row_of_guard(const struct sp_pit *pit, int inner)
{
    return pit->guards_total * 2 + (inner != 0);
}

static int reserve_guard(struct sp_pit *pit, sp_error *err)
{
    pit->guards_total++;
    return pit->instance == NULL
               ? SP_OK
               : sp__instance_reserve(pit->instance, ROW_GUARD, row_of_guard(pit, 0),
                                      "guard", err);
}

static void note_guard(struct sp_pit *pit, int pid, int inner)
{
    int pidfd = sp__process_open(pid);
    note_process(pit, ROW_GUARD, row_of_guard(pit, inner), pid, pidfd);
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
}

static void note_guards(struct sp_pit *pit)
{
    int inner = sp__guard_inner_pid(pit->guard);
    note_guard(pit, sp__guard_pid(pit->guard), 0);
    if (inner > 0 && pit->instance != NULL &&
        sp__instance_reserve(pit->instance, ROW_GUARD, row_of_guard(pit, 1),
                             "inner guard", NULL) == SP_OK) {
        note_guard(pit, inner, 1);
    }
}

static void forget_guards(struct sp_pit *pit)
{
    forget_process(pit, ROW_GUARD, row_of_guard(pit, 0));
    forget_process(pit, ROW_GUARD, row_of_guard(pit, 1));
}

void sp__pit_leave_instance(struct sp_pit *pit)
{
    if (pit->instance != NULL) {
        forget_guards(pit);
        sp__instance_close(pit->instance);
        pit->instance = NULL;
    }
}

int sp__pit_open_guard(struct sp_pit *pit, sp_error *err)
{
    struct guard_options options = {
        .path = pit->guard_path,
        .level = pit->guard_level,
        .require = pit->guard_require,
    };
    if (pit->instance != NULL) {
        options.lock_fd = sp__instance_lock(pit->instance);
        options.mark = sp__instance_mark(pit->instance);
    }
    int rc = reserve_guard(pit, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__guard_open(&options, &guard_events, pit, &pit->guard, err);
    if (rc == SP_OK) {
        note_guards(pit);
        rc = watch_guard(pit, err);
        if (rc < 0) {
            sp__guard_close(pit->guard);
            pit->guard = NULL;
        }
    }
    if (rc == SP_OK) {
        hand_out_guard(pit);
        tell_safety(pit);
    } else {
        forget_guards(pit);
    }
    return rc;
}

/* Pools go on trying to start workers meanwhile, and find out when there is a guard. */
void sp__pit_reopen_guard(struct timer *timer, uint64_t now_ms)
{
    struct sp_pit *pit = ITEM(timer, struct sp_pit, guard_retry);
    sp_error failure = {0};
    if (pit->lanes[0].closing) {
        return;
    }
    if (sp__pit_open_guard(pit, &failure) < 0) {
        sp__pit_warn(pit, failure.message);
        sp__timer_set(pit->loop, timer, now_ms + GUARD_RETRY_MS);
    }
    sp_error_clear(&failure);
}

static void sweep(struct sp_pit *pit)
{
    sp_error failure = {0};
    uint64_t before = atomic_load(&pit->orphans_later);
    if (pit->instance != NULL && sp__instance_sweep(pit->instance, SWEEP_LIMIT_MS,
                                                    left_found, pit, &failure) < 0) {
        sp__pit_warn(pit, failure.message);
    }
    tell_orphans(pit, atomic_load(&pit->orphans_later) - before);
    sp_error_clear(&failure);
}

static void bury_guard(struct command *command, void *user)
{
    struct sp_pit *pit = ((struct lane *)user)->pit;
    sp__guard_close(pit->dead_guard);
    pit->dead_guard = NULL;
    sweep(pit);
    sp__pit_reopen_guard(&pit->guard_retry, sp__loop_now_ms(pit->loop));
}

/* One lane less asks the old one; the last sees to the next. */
static void guard_mourned(struct sp_pit *pit)
{
    pit->mourners--;
    if (pit->mourners == 0) {
        pit->bury_guard.run = bury_guard;
        sp__loop_post(pit->loop, &pit->bury_guard);
    }
}

/* Runs inside sp__guard_on_readable(), so the old client is only let go of here; it is
 * closed on an errand, and there is no other one before that. */
static void guard_lost(void *user, const sp_error *err)
{
    struct sp_pit *pit = user;
    sp__pit_warn(pit, err->message);
    sp__pit_tell_end(pit, SP_EVENT_CLEANUP_EMERGENCY,
                     (double)pit->lanes[0].shop.by_id.length, 0, "the guard is lost");
    sp__watch_close(pit->guard_watch);
    pit->guard_watch = NULL;
    assert(pit->dead_guard == NULL);
    pit->dead_guard = pit->guard;
    pit->guard = NULL;
    pit->lanes[0].shop.guard = NULL;
    pit->mourners = pit->lanes_count;
    for (uint32_t i = 1; i < pit->lanes_count; i++) {
        sp__reports_lost(&pit->lanes[i], guard_mourned);
    }
    sp__workshop_on_guard_lost(&pit->lanes[0].shop);
    guard_mourned(pit);
}
