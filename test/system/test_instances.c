/* SPDX-License-Identifier: MIT */
/* Pits with an instance: one at a time, and nothing of a dead one beside a new one. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pits.h"
#include "processes.h"

static sp_error *error_of(void)
{
    sp_error_clear(last_error());
    return last_error();
}

static int try_open(const char *instance, sp_pit **ret_pit)
{
    sp_pool_options pool = pool_of_probes(1);
    pool.queue_timeout_ms = patience_ms(20000);
    sp_pit_options options = {.size = sizeof options,
                              .instance = instance,
                              .runtime_dir = leak_path("run"),
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record};
    return sp_pit_open(&options, ret_pit, error_of());
}

static sp_pit *open_ready(const char *instance)
{
    sp_pit *pit = NULL;
    if (try_open(instance, &pit) < 0) {
        fail_msg("%s", last_error()->message);
    }
    pit_adopt(pit);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(30000), error_of()), 0);
    return pit;
}

static size_t marked(pid_t *found, size_t max)
{
    return processes_with("SNAKEPIT_TEST_MARK", leak_mark(), found, max);
}

static pid_t pid_in(const sp_result *result)
{
    return (pid_t)strtol(result->json, NULL, 10);
}

/* ---- where an instance has its folders ---- */

static const char *folder_of(int kind, const char *base, const char *name)
{
    static char path[600];
    int rc = sp_instance_folder(kind, base, name, path, sizeof path, error_of());
    return rc == 0 ? path : sp_error_name(rc);
}

static void set(const char *name, const char *value)
{
    assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void folders_are_where_the_environment_says(void **state)
{
    const char *home = getenv("HOME");
    char path[8];
    char *before = home != NULL ? strdup(home) : NULL;
    set("XDG_RUNTIME_DIR", "/r");
    set("XDG_STATE_HOME", "/s");
    assert_string_equal(folder_of(SP_FOLDER_RUNTIME, NULL, NULL),
                        "/r/snakepit/default");
    assert_string_equal(folder_of(SP_FOLDER_STATE, NULL, "a"), "/s/snakepit/a");
    assert_string_equal(folder_of(SP_FOLDER_STATE, "/base", "a"), "/base/a");
    assert_string_equal(folder_of(SP_FOLDER_RUNTIME, "/base", NULL), "/base/default");
    set("XDG_STATE_HOME", "relative"); /* counts as nothing */
    set("HOME", "/h");
    assert_string_equal(folder_of(SP_FOLDER_STATE, NULL, NULL),
                        geteuid() == 0 ? "/var/lib/snakepit/default"
                                       : "/h/.local/state/snakepit/default");
    set("HOME", NULL);
    assert_string_equal(folder_of(SP_FOLDER_STATE, NULL, "a"),
                        geteuid() == 0 ? "/var/lib/snakepit/a" : "SP-SYSTEM");
    assert_string_equal(folder_of(7, NULL, NULL), "SP-INVAL");
    assert_int_equal(
        sp_instance_folder(SP_FOLDER_STATE, "/base", "a", path, 7, error_of()),
        SP_ERR_TOO_BIG);
    set("HOME", before);
    set("XDG_RUNTIME_DIR", NULL);
    set("XDG_STATE_HOME", NULL);
    free(before);
}

/* ---- hosts that are killed ---- */

struct host {
    pid_t pid;
    pid_t guard;
    pid_t grandchild; /* in a session of its own */
};

static void be_a_host(int say)
{
    sp_pit *pit = open_ready("a");
    pid_t grandchild = pid_in(call(pit, "grandchild", "[true]", NULL));
    (void)!write(say, &grandchild, sizeof grandchild);
    for (;;) {
        (void)pause();
    }
}

static struct host start_host(void)
{
    struct host host = {0};
    pid_t found[4];
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    host.pid = fork();
    if (host.pid == 0) {
        (void)close(ends[0]);
        be_a_host(ends[1]);
    }
    (void)close(ends[1]);
    ssize_t n = read(ends[0], &host.grandchild, sizeof host.grandchild);
    (void)close(ends[0]);
    assert_int_equal(n, sizeof host.grandchild);
    assert_int_equal(processes_children_of(host.pid, found, 4), 1);
    host.guard = found[0];
    return host;
}

static void kill_host(struct host *host)
{
    assert_int_equal(kill(host->pid, SIGKILL), 0);
    assert_int_equal(waitpid(host->pid, NULL, 0), host->pid);
}

/* ---- tests ---- */

static void a_second_pit_of_an_instance_is_told_who_has_it(void **state)
{
    sp_pit *second = NULL;
    char who[64];
    sp_pit *pit = open_ready("a");
    assert_int_equal(try_open("a", &second), SP_ERR_IN_USE);
    (void)snprintf(who, sizeof who, "(pid %d, snakepit 0.1.0)", (int)getpid());
    assert_has(last_error()->message, "instance a is in use by");
    assert_has(last_error()->message, who);
    assert_null(second);
    sp_pit *other = open_ready("b"); /* another name, beside it */
    call_gives(pit, "echo", "[1]", "1");
    call_gives(other, "echo", "[2]", "2");
    pit_close(pit);
    pit = open_ready("a");
    pit_close(pit);
    pit_close(other);
    assert_false(file_exists(leak_path("run/a")));
}

static void a_name_or_folder_that_will_not_do_is_refused(void **state)
{
    sp_pit *pit = NULL;
    assert_int_equal(try_open("a/b", &pit), SP_ERR_INVAL);
    file_write(leak_path("run"), "no folder");
    assert_int_equal(try_open("a", &pit), SP_ERR_SYSTEM);
    assert_has(last_error()->message, "a link or a file");
    assert_null(pit);
}

static void workers_bear_the_mark_and_not_the_name(void **state)
{
    (void)setenv("SNAKEPIT_INSTANCE", "a", 1);
    (void)setenv("SNAKEPIT_RUN", "another", 1);
    sp_pit *pit = open_ready("a");
    (void)unsetenv("SNAKEPIT_INSTANCE");
    (void)unsetenv("SNAKEPIT_RUN");
    assert_has(call(pit, "variable", "[\"SNAKEPIT_RUN\"]", NULL)->json, "\"a:");
    call_gives(pit, "variable", "[\"SNAKEPIT_INSTANCE\"]", "null");
}

/* Host and guard are killed at once: what had a session of its own lives on, until the
 * next start. */
static void the_next_start_ends_what_a_killed_host_and_guard_left(void **state)
{
    struct host host = start_host();
    int grandchild = processes_watch(host.grandchild);
    assert_int_equal(kill(host.guard, SIGSTOP), 0); /* so that it cannot react */
    int status;
    assert_int_equal(kill(host.pid, SIGSTOP), 0);
    /* All of its threads: one that goes on would sweep when the guard is lost. */
    assert_int_equal(waitpid(host.pid, &status, WUNTRACED), host.pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(host.guard, SIGKILL), 0);
    kill_host(&host);
    assert_int_equal(processes_ended(grandchild, 0), 0);
    sp_pit *pit = open_ready("a");
    assert_int_equal(processes_ended(grandchild, 0), 1);
    (void)close(grandchild);
    assert_has(event_await(pit, SP_EVENT_ORPHAN_KILLED, 1)->message,
               "of a run that is");
    call_gives(pit, "echo", "[3]", "3");
}

/* The guard of a killed host has the lock until it has ended everything, and the next
 * start waits for it. */
static void the_next_start_does_not_overlap_the_end_of_the_last(void **state)
{
    for (int round = 0; round < 3; round++) {
        struct host host = start_host();
        int guard = processes_watch(host.guard);
        int grandchild = processes_watch(host.grandchild);
        kill_host(&host);
        (void)unlink(leak_path("run/a/host.json")); /* informs people only */
        sp_pit *pit = open_ready("a");
        assert_int_equal(processes_ended(guard, 0), 1);
        assert_int_equal(processes_ended(grandchild, 0), 1);
        (void)close(guard);
        (void)close(grandchild);
        call_gives(pit, "echo", "[4]", "4");
        pit_close(pit);
    }
}

/* A running host ends what its killed guard could not. */
static void what_a_killed_guard_left_is_ended_before_the_next_guard(void **state)
{
    (void)setenv("SNAKEPIT_GUARD_FORCE", "subreaper",
                 1); /* the next level leaves none */
    sp_pit *pit = open_ready("a");
    (void)unsetenv("SNAKEPIT_GUARD_FORCE");
    pid_t found[8];
    int grandchild = processes_watch(pid_in(call(pit, "grandchild", "[true]", NULL)));
    assert_int_equal(processes_children(found, 8), 1);
    assert_int_equal(kill(found[0], SIGKILL), 0);
    (void)event_await(pit, SP_EVENT_ORPHAN_KILLED, 1); /* it, or a worker just dying */
    assert_int_equal(processes_ended(grandchild, patience_ms(10000)), 1);
    (void)close(grandchild);
    (void)event_await(pit, SP_EVENT_WORKER_READY, 2);
    call_gives(pit, "echo", "[5]", "5"); /* by a new worker of a new guard */
}

static void closing_leaves_nothing_on_disk(void **state)
{
    sp_pit *pit = open_ready("a");
    pid_t found[8];
    assert_true(file_exists(leak_path("run/a/registry")));
    assert_true(file_exists(leak_path("run/a/host.json")));
    pit_close(pit);
    assert_false(file_exists(leak_path("run/a")));
    assert_int_equal(marked(found, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(folders_are_where_the_environment_says),
        TEST(a_second_pit_of_an_instance_is_told_who_has_it),
        TEST(a_name_or_folder_that_will_not_do_is_refused),
        TEST(workers_bear_the_mark_and_not_the_name),
        TEST(the_next_start_ends_what_a_killed_host_and_guard_left),
        TEST(the_next_start_does_not_overlap_the_end_of_the_last),
        TEST(what_a_killed_guard_left_is_ended_before_the_next_guard),
        TEST(closing_leaves_nothing_on_disk),
    };
    return RUN_SYSTEM_TESTS("instances", tests);
}
