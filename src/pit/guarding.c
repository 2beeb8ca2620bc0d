/* SPDX-License-Identifier: MIT */
/*
 * The pit's dealings with its guard: open it, hand its reports on, replace it.
 *
 * A guard that dies takes every worker along (the kernel sees to that); the loop opens a
 * new one and the pools start again. One that cannot be opened is tried again each
 * second, with a warning each time.
 */
#include "pit/guarding.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "guard/protocol.h"

_Static_assert((int)SP_SAFETY_LIFELINE == (int)GUARD_LEVEL_LIFELINE &&
                   (int)SP_SAFETY_SUBREAPER == (int)GUARD_LEVEL_SUBREAPER &&
                   (int)SP_SAFETY_NAMESPACE == (int)GUARD_LEVEL_NAMESPACE,
               "the levels of the guard are those of the interface");

enum { GUARD_RETRY_MS = 1000 };

static void guard_spawned(void *user, uint64_t id, int pid, int pidfd,
                          const sp_error *failure)
{
    struct sp_pit *pit = user;
    if (pidfd >= 0) {
        (void)close(pidfd); /* the guard reports the end; nobody here signals by pid */
    }
    sp__workshop_on_spawned(&pit->shop, id, pid, failure);
}

static void guard_exited(void *user, uint64_t id, const struct guard_exit *exit)
{
    struct sp_pit *pit = user;
    sp__workshop_on_exited(&pit->shop, id, exit);
}

static void guard_lost(void *user, const sp_error *err);

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
    .on_lost = guard_lost,
};

static void guard_ready(void *user, int events)
{
    struct sp_pit *pit = user;
    if ((events & WATCH_WRITE) && pit->shop.guard != NULL) {
        sp__guard_on_writable(pit->shop.guard);
    }
    if ((events & WATCH_READ) && pit->shop.guard != NULL) {
        sp__guard_on_readable(pit->shop.guard);
    }
}

static int watch_guard(struct sp_pit *pit, sp_error *err)
{
    return sp__watch_open(pit->loop, sp__guard_fd(pit->shop.guard), guard_ready, pit,
                          &pit->guard_watch, err);
}

void sp__pit_describe_safety(const struct sp_pit *pit, sp_safety *ret_safety)
{
    const struct guard *guard = pit->shop.guard;
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

int sp__pit_open_guard(struct sp_pit *pit, sp_error *err)
{
    struct guard_options options = {
        .path = pit->guard_path,
        .level = pit->guard_level,
        .require = pit->guard_require,
    };
    int rc = sp__guard_open(&options, &guard_events, pit, &pit->shop.guard, err);
    if (rc == SP_OK) {
        rc = watch_guard(pit, err);
        if (rc < 0) {
            sp__guard_close(pit->shop.guard);
            pit->shop.guard = NULL;
        }
    }
    if (rc == SP_OK) {
        tell_safety(pit);
    }
    return rc;
}

/* Pools go on trying to start workers meanwhile, and find out when there is a guard. */
void sp__pit_reopen_guard(struct timer *timer, uint64_t now_ms)
{
    struct sp_pit *pit = ITEM(timer, struct sp_pit, guard_retry);
    sp_error failure = {0};
    if (pit->closing) {
        return;
    }
    if (sp__pit_open_guard(pit, &failure) < 0) {
        sp__pit_warn(pit, failure.message);
        sp__timer_set(pit->loop, timer, now_ms + GUARD_RETRY_MS);
    }
    sp_error_clear(&failure);
}

/* Runs inside sp__guard_on_readable(), so the old client is only let go of here; it is
 * closed on the next errand. */
struct guard_funeral {
    struct command command;
    struct guard *dead;
};

static void bury_guard(struct command *command, void *user)
{
    struct guard_funeral *funeral = (struct guard_funeral *)(void *)command;
    struct sp_pit *pit = user;
    sp__guard_close(funeral->dead);
    sp__free(funeral);
    sp__pit_reopen_guard(&pit->guard_retry, sp__loop_now_ms(pit->loop));
}

static void guard_lost(void *user, const sp_error *err)
{
    struct sp_pit *pit = user;
    struct guard_funeral *funeral = sp__malloc(sizeof *funeral);
    sp__pit_warn(pit, err->message);
    sp__watch_close(pit->guard_watch);
    pit->guard_watch = NULL;
    if (funeral != NULL) {
        *funeral = (struct guard_funeral){.command = {.run = bury_guard},
                                          .dead = pit->shop.guard};
        sp__loop_post(pit->loop, &funeral->command);
    }
    pit->shop.guard = NULL;
    sp__workshop_on_guard_lost(&pit->shop);
}
