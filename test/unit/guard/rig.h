/* SPDX-License-Identifier: MIT */
/* A host for the guard's tests; see rig.c. Every test has this one. */
#ifndef SP_TEST_GUARD_RIG_H
#define SP_TEST_GUARD_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "guard/guard.h"
#include "guard/protocol.h"

enum { GONE_MS = 1000, RECORDS = 1024 };

/* What the guard told about worker `id`, at index `id`. Nothing is told about 0. */
struct record {
    int answered;
    int pid;
    int pidfd;
    int os_errno; /* of a failure */
    char failure[SP_ERROR_MESSAGE_MAX];
    int exited;
    struct guard_exit exit;
};

struct host {
    struct guard *guard;
    struct record records[RECORDS];
    uint32_t answered;
    uint32_t exited;
    int blocked; /* how often it was told of a full socket */
    int lost;
    char lost_text[SP_ERROR_MESSAGE_MAX];
    int fds_before;
    int64_t mem_before;
};

extern struct host host;
extern char guard_path[4096];
extern const struct guard_options guard_options; /* with the path; subreaper */
extern char misbehave[4096];                     /* the worker with bad manners */
extern const struct guard_events events; /* record into the struct host they get */

/* First in main(): the two paths, from $SNAKEPIT_GUARD and the first argument. 0, or the
 * status to exit with. */
int prepare(int argc, char **argv);

/* Set-up and teardown, with an open guard or without. */
int open_guard(void **state);
int close_guard(void **state);
int remember(void **state);
int check_left(void **state);

#define WITH_GUARD(test) cmocka_unit_test_setup_teardown(test, open_guard, close_guard)
#define WITHOUT(test) cmocka_unit_test_setup_teardown(test, remember, check_left)

/* Serve the guard's descriptor until *counter reaches `wanted`; 1 when it does, 0 when
 * the guard is lost or the deadline passes. */
int pump(const uint32_t *counter, uint32_t wanted);

/* Spawn, and assert that it was accepted. */
void spawn(uint64_t id, const char *const *argv, const int *fds, size_t count);

/* Send a signal to the guard, and to the inner one where there is one: it has the socket. */
void signal_guards(int signal);

/* As pipe2(), for output that watch_next() reads. */
void make_pipe(int ends[2]);

/* Spawn a misbehaving worker whose output comes from the descriptor returned. */
int misbehaving(uint64_t id, const char *how, const char *more);

/* Read lines until `lines` have come or the other end closes. */
void read_lines(int fd, char *text, size_t max, int lines);

/* Watch a process that is alive; watch_next() one that says so, or the one it names. */
int watch(int pid);
int watch_next(int fd);
int is_alive(int watched);

/* Whether a watched process ends in time. Ends the watching. */
int is_gone(int watched, int limit_ms);

/* Kill it, whosever it is. Ends the watching. */
void end_watched(int watched);

/* What was orphaned came to this process, a subreaper, and is dead: wait for it. */
void reap_orphans(void);

#endif
