/* SPDX-License-Identifier: MIT */
/* The guard in a PID namespace: guard/nest.c, and what happens where there is none. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rig.h"

static struct guard_options nested;

/* As open_guard(), at the highest level there is. */
static int open_nested(void **state)
{
    int rc = remember(state);
    nested = guard_options;
    nested.level = GUARD_LEVEL_NAMESPACE;
    if (rc == 0) {
        rc = sp__guard_open(&nested, &events, &host, &host.guard, NULL);
    }
    *state = &host;
    return rc;
}

#define NESTED(test) cmocka_unit_test_setup_teardown(test, open_nested, close_guard)

static int has_namespace(void)
{
    return sp__guard_level(host.guard) == GUARD_LEVEL_NAMESPACE;
}

static void level_and_what_was_missed_are_told(void **state)
{
    (void)state;
    char text[256];
    (void)sp__guard_describe_level(host.guard, text, sizeof text);
    if (has_namespace()) {
        assert_string_equal(text, "namespace");
    } else {
        assert_non_null(strstr(text, " (no namespace: "));
    }
}

/* The same guard under a requirement: all or nothing. */
static void requirement_that_is_not_met_fails(void **state)
{
    (void)state;
    int has = has_namespace();
    struct guard *other = NULL;
    sp_error err = {0};
    nested.require = GUARD_LEVEL_NAMESPACE;
    int rc = sp__guard_open(&nested, &events, &host, &other, &err);
    assert_int_equal(rc, has ? SP_OK : SP_ERR_GUARD);
    assert_true(has || strstr(err.message, "namespace is required") != NULL);
    sp__guard_close(other);
    /* Lower than what was wished is met by it. */
    nested.level = GUARD_LEVEL_SUBREAPER;
    other = NULL;
    assert_int_equal(sp__guard_open(&nested, &events, &host, &other, &err),
                     SP_ERR_GUARD);
    assert_null(other);
}

static void unknown_level_by_force_is_an_error(void **state)
{
    (void)state;
    struct guard *other = NULL;
    sp_error err = {0};
    (void)setenv("SNAKEPIT_GUARD_FORCE", "luck", 1);
    int rc = sp__guard_open(&nested, &events, &host, &other, &err);
    (void)unsetenv("SNAKEPIT_GUARD_FORCE");
    assert_int_equal(rc, SP_ERR_CONFIG);
    assert_non_null(strstr(err.message, "\"luck\""));
    assert_null(other);
}

static void host_learns_numbers_of_its_own_namespace(void **state)
{
    (void)state;
    int out = misbehaving(1, "family", NULL);
    int grandchild = watch_next(out);
    char path[64];
    char name[64] = "";
    assert_true(pump(&host.answered, 1));
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", host.records[1].pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(name, 1, sizeof name - 1, file) > 0);
    (void)fclose(file);
    assert_int_equal(strncmp(name, misbehave, sizeof name - 1), 0);
    assert_int_equal(sp__guard_kill(host.guard, 1, SIGKILL, 0, NULL), SP_OK);
    assert_true(pump(&host.exited, 1));
    assert_int_equal(host.records[1].exit.pid, host.records[1].pid);
    assert_true(is_gone(grandchild, GONE_MS));
    (void)close(out);
}

/* What it reads in /proc/self is its own, and the host is not to be seen. */
static void worker_sees_a_world_of_its_own(void **state)
{
    (void)state;
    char me[16];
    char text[256];
    char wanted[64];
    (void)snprintf(me, sizeof me, "%d", (int)getpid());
    int out = misbehaving(1, "world", me);
    read_lines(out, text, sizeof text, 1);
    (void)snprintf(wanted, sizeof wanted, "self 1 parent %d host %d\n", has_namespace(),
                   !has_namespace());
    assert_string_equal(text, wanted);
    (void)close(out);
    assert_true(pump(&host.exited, 1));
}

/* Every process it may signal, then each guard by number: one survives. */
static void worker_cannot_kill_its_init(void **state)
{
    (void)state;
    if (!has_namespace()) {
        return; /* nothing hides the guard from others of its user */
    }
    int out = misbehaving(1, "regicide", NULL);
    assert_true(pump(&host.exited, 1));
    (void)close(out);
    const char *const argv[] = {"/bin/true", NULL};
    spawn(2, argv, NULL, 0);
    assert_true(pump(&host.exited, 2));
    assert_int_equal(host.lost, 0);
}

static void inner_guard_takes_everything_along(void **state)
{
    (void)state;
    int out = misbehaving(1, "hostile", NULL);
    int watched[2] = {watch_next(out), watch_next(out)};
    assert_true(pump(&host.answered, 1));
    int inner = sp__guard_inner_pid(host.guard);
    (void)kill(inner != 0 ? inner : sp__guard_pid(host.guard), SIGKILL);
    assert_false(pump(&host.exited, 1)); /* ends because the guard is lost */
    assert_int_equal(host.lost, 1);
    assert_non_null(strstr(host.lost_text, "killed by SIGKILL"));
    if (inner != 0) {
        assert_true(is_gone(watched[0], GONE_MS));
        assert_true(is_gone(watched[1], GONE_MS));
    } else { /* they are nobody's now */
        for (int i = 0; i < 2; i++) {
            end_watched(watched[i]);
        }
    }
    reap_orphans();
    (void)close(out);
}

static void outer_guard_takes_everything_along(void **state)
{
    (void)state;
    if (!has_namespace()) {
        return;
    }
    int out = misbehaving(1, "hostile", NULL);
    int watched[2] = {watch_next(out), watch_next(out)};
    (void)kill(sp__guard_inner_pid(host.guard), SIGSTOP);
    (void)kill(sp__guard_pid(host.guard), SIGKILL);
    assert_true(is_gone(watched[0], GONE_MS));
    assert_true(is_gone(watched[1], GONE_MS));
    reap_orphans();
    (void)close(out);
}

static void close_ends_stopped_guards(void **state)
{
    (void)state;
    int out = misbehaving(1, "hostile", NULL);
    int watched[2] = {watch_next(out), watch_next(out)};
    signal_guards(SIGSTOP);
    sp__guard_close(host.guard);
    host.guard = NULL;
    assert_true(is_gone(watched[0], 0));
    assert_true(is_gone(watched[1], 0));
    (void)close(out);
}

int main(int argc, char **argv)
{
    int unfit = prepare(argc, argv);
    if (unfit != 0) {
        return unfit;
    }
    const struct CMUnitTest tests[] = {
        NESTED(level_and_what_was_missed_are_told),
        NESTED(requirement_that_is_not_met_fails),
        NESTED(unknown_level_by_force_is_an_error),
        NESTED(host_learns_numbers_of_its_own_namespace),
        NESTED(worker_sees_a_world_of_its_own),
        NESTED(worker_cannot_kill_its_init),
        NESTED(inner_guard_takes_everything_along),
        NESTED(outer_guard_takes_everything_along),
        NESTED(close_ends_stopped_guards),
    };
    return cmocka_run_group_tests_name("guard-nest", tests, NULL, NULL);
}
