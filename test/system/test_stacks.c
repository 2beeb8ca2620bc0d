/* SPDX-License-Identifier: MIT */
/*
 * The stacks of live workers: of every language that shows some, while a tool that is
 * known runs, again and again, and the call goes on as if nothing had been.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pits.h"

static char text[SP_STACK_MAX];

static const char *stack_of(sp_pit *pit, uint32_t slot)
{
    sp_error_clear(last_error());
    int length = sp_pool_stack_get(pit, NULL, slot, text, sizeof text, last_error());
    if (length < 0) {
        fail_msg("no stack: %s", last_error()->message);
    }
    assert_int_equal(length, strlen(text));
    return text;
}

static int stack_fails(sp_pit *pit, const char *pool, uint32_t slot)
{
    sp_error_clear(last_error());
    return sp_pool_stack_get(pit, pool, slot, text, sizeof text, last_error());
}

static sp_pool_options pool_of_spins(const char *runtime, const char *file)
{
    static char adapter[512];
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(adapter, sizeof adapter, "%s/test/system/workers/stacks/%s",
                   TEST_SOURCE, file);
    pool.runtime = runtime;
    pool.adapter = adapter;
    return pool;
}

static sp_id spin_start(sp_pit *pit, const char *tool, const char *name)
{
    char args[400];
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path(name));
    sp_id id = call_start(pit, tool, args, NULL);
    UNTIL(file_exists(leak_path(name)));
    return id;
}

static void spin_end(sp_pit *pit, sp_id id, const char *name)
{
    char end[64];
    (void)snprintf(end, sizeof end, "%s.end", name);
    file_write(leak_path(end), "");
    assert_string_equal(call_wait(pit, id)->json, "true");
}

/* More than the memory for one holds, were they one behind the other. */
enum { LOOKS = 12 };

static void is_shown(sp_pit *pit, const char *tool, const char *function,
                     const char *file)
{
    int pid = worker_at(pit, 0).pid;
    sp_id id = spin_start(pit, tool, tool);
    for (int i = 0; i < LOOKS; i++) {
        const char *stack = stack_of(pit, 0);
        assert_has(stack, function);
        assert_has(stack, file);
        assert_int_equal(stack[strlen(stack) - 1], '\n');
    }
    spin_end(pit, id, tool);
    assert_int_equal(worker_at(pit, 0).pid, pid);
    assert_int_equal(stats_of(pit).errors, 0);
}

static void python_shows_every_thread_whoever_has_the_lock(void **state)
{
    sp_pool_options pool = pool_of_spins("python", "spins.py");
    sp_pit *pit = pit_open_ready(&pool, 1);
    is_shown(pit, "spin", "in turn_round", "spins.py");
    is_shown(pit, "hold_lock", "in turn_round", "spins.py");
    is_shown(pit, "rest", "in turn_round", "spins.py");
    assert_has(stack_of(pit, 0), "(most recent call first)"); /* of one that is idle */
}

static void node_shows_javascript_and_that_it_waits(void **state)
{
    if (!HAS_NODE) {
        skip_because("the bridge for Node.js is not built");
    }
    sp_pool_options pool = pool_of_spins("node", "spins.js");
    sp_pit *pit = pit_open_ready(&pool, 1);
    is_shown(pit, "spin", "turnRound (", "spins.js:");
    sp_id id = spin_start(pit, "wait", "wait");
    /* The loop, or what its timer runs just now. */
    assert_true(strlen(stack_of(pit, 0)) > 0);
    spin_end(pit, id, "wait");
    /* Its answer is here before it is back in there. */
    UNTIL(strstr(stack_of(pit, 0), "the event loop waits") != NULL);
}

static void ruby_shows_its_methods(void **state)
{
    if (!HAS_RUBY) {
        skip_because("the bridge for Ruby is not built");
    }
    sp_pool_options pool = pool_of_spins("ruby", "spins.rb");
    sp_pit *pit = pit_open_ready(&pool, 1);
    is_shown(pit, "spin", "turn_round", "spins.rb:");
}

static void r_shows_its_calls(void **state)
{
    if (!HAS_R) {
        skip_because("the bridge for R is not built");
    }
    sp_pool_options pool = pool_of_spins("r", "spins.R");
    sp_pit *pit = pit_open_ready(&pool, 1);
    is_shown(pit, "spin", "turn_round(path)", "spins.R:");
    UNTIL(strstr(stack_of(pit, 0), "waits for a call") != NULL); /* as above */
}

/* ---- several who ask, and what has none ---- */

struct asker {
    pthread_t thread;
    sp_pit *pit;
    int rc;
    char text[SP_STACK_MAX];
};

static void *ask(void *user)
{
    struct asker *asker = user;
    asker->rc =
        sp_pool_stack_get(asker->pit, NULL, 0, asker->text, sizeof asker->text, NULL);
    return NULL;
}

static void several_who_ask_have_their_turns(void **state)
{
    enum { ASKERS = 4 };
    static struct asker askers[ASKERS];
    sp_pool_options pool = pool_of_spins("python", "spins.py");
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_id id = spin_start(pit, "spin", "p");
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.pit = pit};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_true(askers[i].rc > 0);
        assert_has(askers[i].text, "in turn_round");
    }
    spin_end(pit, id, "p");
}

static void what_has_no_stack_says_so(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(stack_fails(pit, NULL, 0), SP_ERR_UNSUPPORTED);
    assert_has(last_error()->message, "default/0 shows no stacks");
    assert_int_equal(stack_fails(pit, NULL, 7), SP_ERR_NOT_FOUND);
    assert_has(last_error()->message, "no worker 7, of 1");
    assert_int_equal(stack_fails(pit, "other", 0), SP_ERR_NO_POOL);
    assert_int_equal(stack_fails(NULL, NULL, 0), SP_ERR_INVAL);
}

static void a_process_that_is_stopped_is_not_waited_for_long(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    int pid = worker_at(pit, 0).pid;
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(stack_fails(pit, NULL, 0), SP_ERR_TIMEOUT);
    assert_int_equal(kill(pid, SIGCONT), 0);
    call_gives(pit, "echo", "[1]", "1");
    assert_has(stack_of(pit, 0), "(most recent call first)");
}

/* What was asked for is not in the certificate of a death that comes later. */
static void a_stack_leaves_no_trace(void **state)
{
    sp_pool_options pool = pool_of_probes(1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)stack_of(pit, 0);
    const sp_error *err =
        call_fails(pit, "end", "{\"status\":3}", NULL, SP_ERR_WORKER_DIED);
    assert_null(err->worker_stack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(python_shows_every_thread_whoever_has_the_lock),
        TEST(node_shows_javascript_and_that_it_waits),
        TEST(ruby_shows_its_methods),
        TEST(r_shows_its_calls),
        TEST(several_who_ask_have_their_turns),
        TEST(what_has_no_stack_says_so),
        TEST(a_process_that_is_stopped_is_not_waited_for_long),
        TEST(a_stack_leaves_no_trace),
    };
    return RUN_SYSTEM_TESTS("stacks", tests);
}
