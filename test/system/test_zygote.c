/* SPDX-License-Identifier: MIT */
/*
 * Python pools whose workers are forked: what workers share, what they must not, what
 * cannot be forked, and what becomes of a pool whose zygote dies.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "patience.h"
#include "pits.h"

enum { WORKERS = 3 };

/* ---- pools ---- */

static sp_pool_options pool_of_text(const char *text, int zygote)
{
    static char path[300];
    sp_pool_options pool = pool_of_probes(1);
    (void)snprintf(path, sizeof path, "%s", leak_path("adapter.py"));
    file_write(path, text);
    pool.adapter = path;
    pool.zygote = zygote;
    pool.backoff_min_ms = pool.backoff_max_ms = 1;
    pool.crashes_max = 1000;
    pool.probe_interval_ms = 10; /* failed starts in a row open the breaker too */
    return pool;
}

/* warm.py, which finds its files in this test's folder. */
static sp_pool_options pool_of_warm(uint32_t workers)
{
    static char path[512];
    static char place[320];
    static const char *set[16];
    size_t n = 0;
    sp_pool_options pool = pool_of_probes(workers);
    (void)snprintf(path, sizeof path, "%s", path_of_python("warm.py"));
    (void)snprintf(place, sizeof place, "WARM_PLACE=%s", leak_path(""));
    file_write(leak_path("lines"), "first\nsecond\nthird\n");
    for (; pool.env_set != NULL && pool.env_set[n] != NULL; n++) {
        set[n] = pool.env_set[n];
    }
    set[n++] = place;
    set[n] = NULL;
    pool.adapter = path;
    pool.env_set = set;
    pool.zygote = SP_ZYGOTE_ON;
    pool.backoff_min_ms = pool.backoff_max_ms = 1;
    pool.crashes_max = 1000;
    pool.probe_interval_ms = 10; /* failed starts in a row open the breaker too */
    return pool;
}

/* Until the pool's zygote forks, and was started so many times. */
static void await_zygote(sp_pit *pit, uint64_t starts)
{
    sp_pool_stats stats;
    UNTIL((stats = stats_of(pit), stats.zygote_state == SP_ZYGOTE_STATE_READY &&
                                      stats.zygotes_started >= starts));
}

static void await_workers(sp_pit *pit, uint64_t started)
{
    sp_pool_stats stats;
    UNTIL((stats = stats_of(pit),
           stats.workers_started >= started && stats.available == stats.workers));
}

/* ---- as they should be ---- */

static void workers_share_what_was_loaded(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_warm(WORKERS);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(stats.zygote, SP_ZYGOTE_ON);
    assert_int_equal(stats.zygote_state, SP_ZYGOTE_STATE_READY);
    assert_int_equal(stats.workers_forked, WORKERS);
    assert_int_equal(stats.zygotes_started, 1);
    for (uint32_t i = 0; i < WORKERS; i++) {
        sp_worker_info worker = worker_at(pit, i);
        assert_true(worker.is_forked);
        assert_true(worker.pid > 0 && worker.pid != stats.zygote_pid);
        assert_has(worker.runtime, "python");
    }
    const char *json = call(pit, "who", "{}", NULL)->json;
    assert_has(json, "\"shares\":true");
    assert_has(json, "\"steps\":\"after_fork,initialize\"");
    assert_has(json, "\"name\":\"default/");
    pit_close(pit);
}

/* What workers have written to a file: the lines that are there twice, and all. */
static size_t count_twice(const char *file, size_t *ret_lines)
{
    static char text[8192];
    char *lines[256];
    size_t count = 0;
    size_t twice = 0;
    (void)file_read(leak_path(file), text, sizeof text);
    char *next;
    for (char *at = text; *at != '\0'; at = next) {
        assert_true(count < sizeof lines / sizeof lines[0]);
        char *end = strchr(at, '\n');
        assert_non_null(end); /* whole lines only */
        *end = '\0';
        next = end + 1;
        for (size_t i = 0; i < count; i++) {
            twice += strcmp(lines[i], at) == 0;
        }
        lines[count++] = at;
    }
    *ret_lines = count;
    return twice;
}

static void each_has_random_numbers_of_its_own(void **state)
{
    (void)state;
    static const char *const preload[] = {"json", "random", NULL};
    sp_pool_options pool = pool_of_warm(WORKERS);
    size_t lines;
    pool.preload = preload;
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(count_twice("numbers", &lines), 0);
    assert_true(lines >= 6 * WORKERS); /* of so many kinds */
    pit_close(pit);
}

/* Not the usual one, whose state is written to directly. */
static void another_generator_for_numpy_is_seeded_anew_too(void **state)
{
    (void)state;
    sp_pool_options pool =
        pool_of_text("from snakepit_bridge import tool\n"
                     "try:\n"
                     "    import numpy\n"
                     "    numpy.random.set_bit_generator(numpy.random.PCG64(1))\n"
                     "except (ImportError, AttributeError):\n"
                     "    numpy = None\n"
                     "@tool\n"
                     "def is_another():\n"
                     "    return numpy is None or numpy.random.rand() != \\\n"
                     "        numpy.random.RandomState(numpy.random.PCG64(1)).rand()\n",
                     1);
    pool.zygote = SP_ZYGOTE_ON;
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "is_another", "{}", "true");
    assert_int_equal(stats_of(pit).workers_forked, 1);
    pit_close(pit);
}

static void files_are_each_workers_own(void **state)
{
    (void)state;
    char text[4096];
    size_t lines;
    sp_pool_options pool = pool_of_warm(2);
    sp_pit *pit = pit_open_ready(&pool, 1);
    /* With one position between them, only one would read this line. */
    assert_string_equal(file_read(leak_path("read"), text, sizeof text),
                        "second\nsecond\n");
    /* What the zygote had not written yet is there once, and all that came later. */
    assert_int_equal(count_twice("log", &lines), 0);
    assert_int_equal(lines, 1 + 2);
    assert_has(file_read(leak_path("log"), text, sizeof text), "loaded\n");
    pit_close(pit);
}

static void programs_in_c_are_forked_too(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_program("plain", NULL, WORKERS);
    pool.zygote = SP_ZYGOTE_ON;
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "echo", "[1,2]", "[1,2]");
    assert_int_equal(stats_of(pit).workers_forked, WORKERS);
    assert_true(worker_at(pit, WORKERS - 1).is_forked);
    pit_close(pit);
}

/* Threads begin in the worker. */
static void workers_of_several_threads_are_forked(void **state)
{
    (void)state;
    sp_pool_options pool =
        pool_of_text("import threading, time\n"
                     "from snakepit_bridge.base_adapter_threaded \\\n"
                     "    import ThreadSafeAdapter\n"
                     "from snakepit_bridge import tool\n"
                     "class Meets(ThreadSafeAdapter):\n"
                     "    def initialize(self):\n"
                     "        self.all = threading.Barrier(3)\n"
                     "    @tool\n"
                     "    def meet(self):\n"
                     "        return self.all.wait(60) >= 0\n",
                     SP_ZYGOTE_ON);
    sp_id calls[3];
    pool.profile = SP_PROFILE_THREAD;
    pool.threads = 3;
    sp_pit *pit = pit_open_ready(&pool, 1);
    for (int i = 0; i < 3; i++) {
        calls[i] = call_start(pit, "meet", "{}", NULL);
    }
    for (int i = 0; i < 3; i++) {
        assert_string_equal(call_wait(pit, calls[i])->json, "true");
    }
    assert_true(worker_at(pit, 0).is_forked);
    pit_close(pit);
}

static void executed_workers_preload_too(void **state)
{
    (void)state;
    static const char *const preload[] = {"no_such_module_at_all", NULL};
    sp_pool_options pool = pool_of_probes(1);
    pool.preload = preload;
    pool.crashes_max = 1000;
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "echo", "{}", NULL, SP_ERR_START_FAILED);
    assert_has(err->message, "no_such_module_at_all");
    pit_close(pit);
}

/* ---- what cannot be forked ---- */

static const char starts_a_thread[] = "import threading\n"
                                      "go = threading.Event()\n"
                                      "threading.Thread(target=go.wait, name='waits',\n"
                                      "                 daemon=True).start()\n";

static const char uses_it[] = "import starts_a_thread\n"
                              "def echo():\n"
                              "    return 'echo'\n";

static void write_module(const char *name, const char *text)
{
    char file[64];
    (void)snprintf(file, sizeof file, "%s.py", name);
    file_write(leak_path(file), text);
}

static void assert_refused(sp_pool_options pool, const char *says, const char *more)
{
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "echo", "{}", NULL, SP_ERR_START_FAILED);
    assert_has(err->message, "snakepit_bridge.CannotFork");
    assert_has(err->message, says);
    assert_has(err->message, more);
    assert_int_equal(stats_of(pit).zygotes_started, 1); /* another one would be as it */
    pit_close(pit);
}

static void threads_are_refused_with_who_started_them(void **state)
{
    (void)state;
    write_module("starts_a_thread", starts_a_thread);
    assert_refused(pool_of_text(uses_it, SP_ZYGOTE_ON), "one thread",
                   "'waits', started by the module starts_a_thread");
}

static void native_threads_are_refused_with_their_module(void **state)
{
    skip_where_a_thread_is_added();
    (void)state;
    write_module("starts_a_thread",
                 "import ctypes\n"
                 "libc = ctypes.CDLL(None)\n"
                 "thread = ctypes.c_ulong()\n"
                 "libc.pthread_create(ctypes.byref(thread), None, libc.pause, None)\n");
    assert_refused(pool_of_text(uses_it, SP_ZYGOTE_ON), "1 of native code",
                   "the import of starts_a_thread");
}

static void sockets_are_refused_with_their_module(void **state)
{
    (void)state;
    write_module("starts_a_thread", "import socket\n"
                                    "pair = socket.socketpair()\n");
    assert_refused(pool_of_text(uses_it, SP_ZYGOTE_ON),
                   "socket:", "opened by the module starts_a_thread");
}

static void descriptors_are_watched_whatever_is_closed(void **state)
{
    (void)state;
    write_module("starts_a_thread", "import os\n"
                                    "first, second = os.pipe()\n"
                                    "os.close(first)\n"
                                    "os.close(0)\n");
    assert_refused(pool_of_text(uses_it, SP_ZYGOTE_ON),
                   "pipe:", "opened by the module starts_a_thread");
}

static void threads_that_have_ended_do_no_harm(void **state)
{
    skip_where_a_thread_is_added();
    (void)state;
    write_module("starts_a_thread", "import threading\n"
                                    "thread = threading.Thread(target=int)\n"
                                    "thread.start()\n"
                                    "thread.join()\n");
    sp_pool_options pool = pool_of_text(uses_it, SP_ZYGOTE_ON);
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "echo", "{}", "\"echo\"");
    assert_int_equal(stats_of(pit).workers_forked, 1);
    pit_close(pit);
}

static void scripts_that_serve_are_refused(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_text(
        "from snakepit_bridge.core import BaseCommandHandler, ProtocolHandler\n"
        "class Handler(BaseCommandHandler):\n"
        "    def _register_commands(self):\n"
        "        self.register_command('echo', lambda args: args)\n"
        "ProtocolHandler(Handler()).run()\n",
        SP_ZYGOTE_ON);
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "echo", "{}", NULL, SP_ERR_START_FAILED);
    assert_has(err->message, "a script that serves by itself cannot be forked");
    pit_close(pit);
}

static void auto_does_without(void **state)
{
    (void)state;
    write_module("starts_a_thread", starts_a_thread);
    sp_pool_options pool = pool_of_text(uses_it, SP_ZYGOTE_AUTO);
    pool.workers = 2;
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "echo", "{}", "\"echo\"");
    assert_has(event_await(pit, SP_EVENT_WARNING, 1)->message, "starts_a_thread");
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(stats.zygote_state, SP_ZYGOTE_STATE_NONE);
    assert_int_equal(stats.workers_forked, 0);
    assert_int_equal(stats.zygotes_started, 1);
    pit_close(pit);
}

/* ---- starts that fail ---- */

static void import_errors_are_told_as_in_a_cold_start(void **state)
{
    (void)state;
    char message[2][600];
    char trace[2][4000];
    char prints[2][4000];
    for (int i = 0; i < 2; i++) {
        write_module("starts_a_thread", "print('soon')\n"
                                        "1 / 0\n");
        sp_pool_options pool =
            pool_of_text(uses_it, i == 0 ? SP_ZYGOTE_OFF : SP_ZYGOTE_ON);
        sp_pit *pit = pit_open(&pool, 1);
        const sp_error *err = call_fails(pit, "echo", "{}", NULL, SP_ERR_START_FAILED);
        assert_string_equal(err->remote_type, "ZeroDivisionError");
        (void)snprintf(message[i], sizeof message[i], "%s", err->message);
        (void)snprintf(trace[i], sizeof trace[i], "%s", err->remote_trace);
        (void)snprintf(prints[i], sizeof prints[i], "%s", err->worker_stderr);
        assert_int_equal(stats_of(pit).workers_started, 1); /* it is final */
        pit_close(pit);
    }
    assert_string_equal(message[0], message[1]);
    assert_string_equal(trace[0], trace[1]);
    assert_string_equal(prints[0], prints[1]);
    assert_has(prints[1], "soon");
}

static void after_fork_that_raises_fails_the_start(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_warm(1);
    file_write(leak_path("raise"), "");
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "who", "{}", NULL, SP_ERR_START_FAILED);
    assert_string_equal(err->remote_type, "ConnectionError");
    assert_has(err->message, "nothing to connect to");
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 2); /* it may go better next time */
    assert_int_equal(remove(leak_path("raise")), 0);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), SP_OK);
    assert_has(call(pit, "who", "{}", NULL)->json, "after_fork");
    assert_int_equal(stats_of(pit).zygotes_started, 1);
    pit_close(pit);
}

static void zygote_that_dies_as_it_loads_fails_the_start(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_text("import os\n"
                                        "print('last words', flush=True)\n"
                                        "os._exit(7)\n",
                                        SP_ZYGOTE_ON);
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "echo", "{}", NULL, SP_ERR_START_FAILED);
    assert_has(err->message, "zygote");
    assert_has(err->message, "exited with status 7 before it was ready");
    assert_has(err->worker_stderr, "last words");
    (void)event_await(pit, SP_EVENT_WORKER_DIED, 2);
    assert_true(stats_of(pit).zygotes_started >= 2);
    pit_close(pit);
}

static void zygote_that_takes_too_long_is_killed(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_text("import time\n"
                                        "time.sleep(600)\n",
                                        SP_ZYGOTE_ON);
    pool.init_timeout_ms = 300;
    sp_pit *pit = pit_open(&pool, 1);
    const sp_error *err = call_fails(pit, "echo", "{}", NULL, SP_ERR_START_TIMEOUT);
    assert_has(err->message, "not ready after 300 ms");
    pit_close(pit);
}

static void pool_that_closes_while_the_zygote_loads(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_text("import time\n"
                                        "print('loads', flush=True)\n"
                                        "time.sleep(600)\n",
                                        SP_ZYGOTE_ON);
    pool.workers = WORKERS;
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_WORKER_OUTPUT, 1);
    pit_close(pit);
}

/* ---- a zygote that dies later ---- */

static void dead_zygote_is_replaced_and_workers_live_on(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_warm(WORKERS);
    sp_pit *pit = pit_open_ready(&pool, 1);
    int pids[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++) {
        pids[i] = worker_at(pit, i).pid;
    }
    assert_int_equal(kill(stats_of(pit).zygote_pid, SIGKILL), 0);
    assert_has(event_await(pit, SP_EVENT_WARNING, 1)->message, "killed by SIGKILL");
    await_zygote(pit, 2);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(worker_at(pit, i).pid, pids[i]);
    }
    assert_int_equal(kill(pids[0], SIGKILL), 0);
    await_workers(pit, WORKERS + 1);
    assert_true(worker_at(pit, 0).is_forked);
    assert_int_equal(stats_of(pit).workers_forked, WORKERS + 1);
    pit_close(pit);
}

/* It answers nothing, so the worker is executed in the end. */
static void hanging_zygote_is_replaced(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_warm(2);
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(kill(stats_of(pit).zygote_pid, SIGSTOP), 0);
    assert_int_equal(kill(worker_at(pit, 0).pid, SIGKILL), 0);
    assert_has(event_await(pit, SP_EVENT_WARNING, 1)->message, "hangs and is killed");
    await_workers(pit, 3);
    assert_false(worker_at(pit, 0).is_forked);
    assert_true(worker_at(pit, 1).is_forked);
    assert_has(call(pit, "who", "{}", NULL)->json, "initialize");
    await_zygote(pit, 2);
    pit_close(pit);
}

static void dead_guard_takes_it_along_and_all_begin_anew(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_warm(2);
    sp_pit *pit = pit_open_ready(&pool, 1);
    sp_safety safety;
    assert_int_equal(sp_pit_safety(pit, &safety, last_error()), SP_OK);
    assert_int_equal(kill(safety.guard_pid, SIGKILL), 0);
    await_zygote(pit, 2);
    await_workers(pit, 4);
    assert_has(call(pit, "who", "{}", NULL)->json, "initialize");
    pit_close(pit);
}

static void recycling_all_loads_what_is_new(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_text("def echo():\n"
                                        "    return 'old'\n",
                                        SP_ZYGOTE_ON);
    pool.workers = 2;
    sp_pit *pit = pit_open_ready(&pool, 1);
    call_gives(pit, "echo", "{}", "\"old\"");
    write_module("adapter", "def echo():\n"
                            "    return 'quite new'\n");
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), SP_OK);
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 2);
    await_workers(pit, 4);
    call_gives(pit, "echo", "{}", "\"quite new\"");
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(stats.zygotes_started, 2);
    assert_int_equal(stats.workers_forked, 4);
    pit_close(pit);
}

static void recycling_while_it_loads_starts_it_anew(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_text("import time\n"
                                        "print('loads', flush=True)\n"
                                        "time.sleep(600)\n",
                                        SP_ZYGOTE_ON);
    pool.workers = 2;
    sp_pit *pit = pit_open(&pool, 1);
    (void)event_await(pit, SP_EVENT_WORKER_OUTPUT, 1);
    write_module("adapter", "def echo():\n"
                            "    return 'quite new'\n");
    assert_int_equal(sp_pool_recycle(pit, NULL, 0, last_error()), SP_OK);
    call_gives(pit, "echo", "{}", "\"quite new\"");
    sp_pool_stats stats = stats_of(pit);
    assert_int_equal(stats.zygotes_started, 2);
    assert_int_equal(stats.workers_died, 0);
    pit_close(pit);
}

static void recycled_workers_are_forked_too(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_warm(2);
    sp_pit *pit = pit_open_ready(&pool, 1);
    assert_int_equal(sp_pool_recycle(pit, NULL, worker_at(pit, 0).id, last_error()),
                     SP_OK);
    (void)event_await(pit, SP_EVENT_WORKER_RECYCLED, 1);
    assert_int_equal(stats_of(pit).workers_forked, 3);
    assert_int_equal(stats_of(pit).zygotes_started, 1);
    pit_close(pit);
}

/* ---- options ---- */

static void the_lifeline_alone_is_not_enough(void **state)
{
    (void)state;
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .guard_level = SP_SAFETY_LIFELINE,
                              .on_event = event_record};
    sp_pit *pit = NULL;
    pool.zygote = SP_ZYGOTE_ON;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_OK);
    pit_adopt(pit);
    const sp_error *err = call_fails(pit, "echo", "[]", NULL, SP_ERR_START_FAILED);
    assert_has(err->message, "needs the orphan-safety subreaper");
    assert_int_equal(stats_of(pit).workers_started, 1);
    pit_close(pit);
    pool.zygote = SP_ZYGOTE_AUTO;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_OK);
    pit_adopt(pit);
    call_gives(pit, "echo", "[1]", "[1]");
    pit_close(pit);
}

static void only_programs_made_for_it_have_one(void **state)
{
    (void)state;
    static const char *const command[] = {"/bin/true", NULL};
    static const char *const preload[] = {"json", NULL};
    sp_pool_options pool = {.size = sizeof pool,
                            .runtime = "grpc",
                            .command = command,
                            .zygote = SP_ZYGOTE_AUTO};
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit = NULL;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_CONFIG);
    assert_has(last_error()->message, "not for grpc");
    pool.zygote = SP_ZYGOTE_OFF;
    pool.preload = preload;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_CONFIG);
    assert_has(last_error()->message, "preload");
    pool.preload = NULL;
    pool.zygote = 7;
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), SP_ERR_CONFIG);
    assert_has(last_error()->message, "zygote is 7");
    sp_error_clear(last_error());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(workers_share_what_was_loaded),
        TEST(each_has_random_numbers_of_its_own),
        TEST(another_generator_for_numpy_is_seeded_anew_too),
        TEST(files_are_each_workers_own),
        TEST(programs_in_c_are_forked_too),
        TEST(workers_of_several_threads_are_forked),
        TEST(executed_workers_preload_too),
        TEST(threads_are_refused_with_who_started_them),
        TEST(native_threads_are_refused_with_their_module),
        TEST(sockets_are_refused_with_their_module),
        TEST(descriptors_are_watched_whatever_is_closed),
        TEST(threads_that_have_ended_do_no_harm),
        TEST(scripts_that_serve_are_refused),
        TEST(auto_does_without),
        TEST(import_errors_are_told_as_in_a_cold_start),
        TEST(after_fork_that_raises_fails_the_start),
        TEST(zygote_that_dies_as_it_loads_fails_the_start),
        TEST(zygote_that_takes_too_long_is_killed),
        TEST(pool_that_closes_while_the_zygote_loads),
        TEST(dead_zygote_is_replaced_and_workers_live_on),
        TEST(hanging_zygote_is_replaced),
        TEST(dead_guard_takes_it_along_and_all_begin_anew),
        TEST(recycling_all_loads_what_is_new),
        TEST(recycling_while_it_loads_starts_it_anew),
        TEST(recycled_workers_are_forked_too),
        TEST(the_lifeline_alone_is_not_enough),
        TEST(only_programs_made_for_it_have_one),
    };
    return RUN_SYSTEM_TESTS("zygote", tests);
}
