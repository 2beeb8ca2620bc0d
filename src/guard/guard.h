/* SPDX-License-Identifier: MIT */
/*
 * The host's side of snakepit-guard: start it, ask it to spawn and kill, hear what
 * became of the workers.
 *
 * The guard is a descriptor to poll and a few calls that never wait, so it fits any
 * loop: call sp__guard_on_readable() when sp__guard_fd() is readable, and
 * sp__guard_on_writable() when it is writable and sp__guard_wants_write() says so.
 *
 * Thread: one at a time owns a struct guard, and hears it; any may spawn and kill, and ask
 * whether it wants to write, as long as it is not closed. Events are called from
 * sp__guard_on_readable() only; they may spawn and kill, but not close.
 */
#ifndef SP_GUARD_GUARD_H
#define SP_GUARD_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include "guard/protocol.h"
#include "snakepit/base.h"
#include "snakepit/error.h"

struct guard;

/* How a worker ended. */
struct guard_exit {
    int pid;
    int exit_code;   /* its exit status, or -1 when a signal killed it */
    int exit_signal; /* that signal, or 0 */
    int core_dumped;
    int oom_killed;   /* 1: by the kernel, for memory; 0: not so; -1: nobody counted */
    uint64_t user_us; /* processor time, children it waited for included */
    uint64_t system_us;
    uint64_t rss_max_kib; /* largest resident set */
};

struct guard_events {
    /* Answers every successful sp__guard_spawn() exactly once, unless the guard is lost
     * first. pidfd is the callee's from now on; -1 where the kernel has none or the
     * host had no descriptor free. failure != NULL: there is no worker, pid is 0, and
     * no on_exited follows. */
    void (*on_spawned)(void *user, uint64_t id, int pid, int pidfd,
                       const sp_error *failure);
    /* A worker that was spawned has ended; its process group is gone with it. */
    void (*on_exited)(void *user, uint64_t id, const struct guard_exit *exit);
    /* Limits of a worker do not hold as they should, for the reasons of the GUARD_WEAK_
     * bits. Told once for each. May be NULL. */
    void (*on_weak)(void *user, uint32_t weak);
    /* The socket is full: sp__guard_wants_write() says so from now on. On the thread that
     * asked the guard for something, under its lock: to be passed on. May be NULL. */
    void (*on_blocked)(void *user);
    /* The guard died. Its workers die with it, by the kernel, and nothing more is
     * reported about them; every later spawn and kill fails. Called once. */
    void (*on_lost)(void *user, const sp_error *err);
};

struct guard_command {
    const char *const *argv; /* NULL-terminated; argv[0] is an absolute path */
    const char *const *env;  /* NULL-terminated; NULL: the host's environment */
    const char *working_dir; /* NULL: where the host was when the guard was opened */
    const int *fds;          /* become 0, 1, 2 ... of the worker; borrowed */
    size_t fds_count;        /* at most GUARD_FDS_MAX; the worker has no others */
    uint64_t zygote; /* the worker that forks it, a zygote; argv and working_dir are not
                        looked at, and env is added to the zygote's. 0: it is executed */
    int is_zygote;   /* it may be asked for workers, and has a descriptor more for it:
                        number fds_count */
    struct guard_limits limits;
};

struct guard_options {
    const char *path; /* of the program */
    int level;        /* GUARD_LEVEL_ to reach if it can be reached; 0: CGROUP */
    int require;      /* the least that will do; 0: anything */
    int lock_fd; /* what the guard keeps open as long as it lives: borrowed, above 2;
                         0 for nothing */
    const char *mark; /* "NAME=value", the guard's whole environment; or NULL */
};

/* Find the program: $SNAKEPIT_GUARD, beside the library or the executable, or where it
 * was installed. SP_ERR_GUARD names the places. */
int sp__guard_find(char *path, size_t max, sp_error *err) SP_MUST_CHECK;
/* The same for snakepit-stdio; SP_ERR_NOT_FOUND. */
int sp__stdio_find(char *path, size_t max, sp_error *err) SP_MUST_CHECK;

/* Start a guard and wait, five seconds at most, until it is ready. `events` and `user`
 * must outlive it. $SNAKEPIT_GUARD_FORCE, for tests, names a level that is both the wish
 * and the requirement. SP_ERR_GUARD (also: the level reached is less than required),
 * SP_ERR_CONFIG (the variable is no level), SP_ERR_NOMEM, SP_ERR_SYSTEM. */
int sp__guard_open(const struct guard_options *options,
                   const struct guard_events *events, void *user, struct guard **ret,
                   sp_error *err) SP_MUST_CHECK;

/* Kill and reap every worker and the guard, and release everything. Takes the few
 * milliseconds the kernel needs; up to six seconds when a process cannot die. No event
 * is called any more. NULL is fine. */
void sp__guard_close(struct guard *guard);

int sp__guard_fd(const struct guard *guard);
int sp__guard_pid(const struct guard *guard);
int sp__guard_level(const struct guard *guard); /* GUARD_LEVEL_ */
int sp__guard_wished(const struct guard *guard);

/* The guard inside the PID namespace; 0 when there is none. */
int sp__guard_inner_pid(const struct guard *guard);

/* "namespace", or "subreaper (no namespace: a PID namespace was refused: Operation not
 * permitted)". Returns its length, as snprintf() does. */
int sp__guard_describe_level(const struct guard *guard, char *text, size_t max);

void sp__guard_on_readable(struct guard *guard);
int sp__guard_wants_write(const struct guard *guard);
void sp__guard_on_writable(struct guard *guard);

/* Ask for a worker. `id` is not 0 and no living worker's. Everything is copied,
 * descriptors duplicated: the caller closes its own when this returns. SP_ERR_INVAL,
 * SP_ERR_TOO_BIG (GUARD_BLOCK_MAX, GUARD_STRINGS_MAX), SP_ERR_NOMEM, SP_ERR_SYSTEM,
 * SP_ERR_GUARD (the guard is lost, or GUARD_WORKERS_MAX requests wait for it). */
int sp__guard_spawn(struct guard *guard, uint64_t id,
                    const struct guard_command *command, sp_error *err) SP_MUST_CHECK;

/* How many workers of this zygote were asked for and still wait to be sent. */
uint32_t sp__guard_unsent(struct guard *guard, uint64_t zygote);

/* Send a signal to worker `id`, or to its whole process group. Nothing happens when it
 * has ended. SP_ERR_GUARD, SP_ERR_NOMEM. */
int sp__guard_kill(struct guard *guard, uint64_t id, int signal, int group,
                   sp_error *err) SP_MUST_CHECK;

/* "exited with status 3", "killed by SIGSEGV (core dumped)". Returns its length, as
 * snprintf() does. */
int sp__guard_describe_exit(const struct guard_exit *exit, char *text, size_t max);

#endif
