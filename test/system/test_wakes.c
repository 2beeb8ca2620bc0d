/* SPDX-License-Identifier: MIT */
/*
 * How often a loop that sleeps is woken, and how often it writes: counted in front of the C
 * library. A thread that has woken the loop goes on when that sleeps again, so that what
 * is not woken for together is woken for one by one, on any machine.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pits.h"

enum { WORKERS = 2, WIDTH = 4, CALLS = WORKERS * WIDTH };

static atomic_uint sleeps; /* of the loop, so far */
static atomic_uint wakes;  /* of it, by threads that are counted */
static atomic_uint sends;  /* by others: to workers */
static atomic_uint looks;  /* of libuv, by a counted thread, without sleeping */
static unsigned signals;   /* by a counted thread, to itself: */
static int signal_fd = -1; /* here */
static _Thread_local int is_counted;
static _Thread_local unsigned own_sends;  /* by this thread, */
static _Thread_local unsigned own_sleeps; /* and its sleeps: it drives then */

/* ---- what stands in front of the C library ---- */

static void *next_one(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    assert_non_null(found);
    return found;
}

SP_API int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout,
                       const sigset_t *mask)
{
    static int (*next)(int, struct epoll_event *, int, int, const sigset_t *);
    if (next == NULL) {
        *(void **)&next = next_one("epoll_pwait");
    }
    atomic_fetch_add(&sleeps, timeout != 0);
    own_sleeps += timeout != 0;
    atomic_fetch_add(&looks, is_counted && timeout == 0);
    return next(fd, events, max, timeout, mask);
}

SP_API int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    return epoll_pwait(fd, events, max, timeout, NULL);
}

static void note_send(void)
{
    atomic_fetch_add(&sends, !is_counted);
    own_sends++;
}

SP_API ssize_t send(int fd, const void *data, size_t size, int flags)
{
    static ssize_t (*next)(int, const void *, size_t, int);
    if (next == NULL) {
        *(void **)&next = next_one("send");
    }
    note_send();
    return next(fd, data, size, flags);
}

/* An eventfd takes eight bytes, and what goes to a worker by its pipe has more: a head of
 * four and whole frames. */
SP_API ssize_t write(int fd, const void *data, size_t size)
{
    static ssize_t (*next)(int, const void *, size_t);
    if (next == NULL) {
        *(void **)&next = next_one("write");
    }
    unsigned before = atomic_load(&sleeps);
    ssize_t n = next(fd, data, size);
    if (is_counted && fd == signal_fd) {
        signals++;
    } else if (is_counted && size == sizeof(uint64_t)) {
        atomic_fetch_add(&wakes, 1);
        UNTIL(atomic_load(&sleeps) > before);
    } else if (size > sizeof(uint64_t)) {
        note_send();
    }
    return n;
}

/* ---- tests ---- */

/* Workers that take all of the calls at once, however long those are, and one to hold. */
static sp_pit *open_pools(void)
{
    sp_pool_options pools[] = {pool_of_program("plain", "wide", WORKERS),
                               pool_of_probes(1)};
    pools[0].name = "many";
    pools[0].profile = SP_PROFILE_THREAD;
    pools[0].threads = WIDTH;
    pools[0].health_interval_ms = SP_UNLIMITED;
    pools[1].health_interval_ms = SP_UNLIMITED;
    return pit_open_ready(pools, COUNT_OF(pools));
}

/* Each question wakes a loop that sleeps, and waits until it does so again. */
static void begin_counting(sp_pit *pit)
{
    is_counted = 1;
    for (int i = 0; i < 3; i++) {
        (void)stats_of(pit);
    }
    atomic_store(&wakes, 0);
    atomic_store(&sends, 0);
}

static void execute_all(sp_pit *pit, const sp_map_options *options)
{
    sp_bytes args[CALLS];
    sp_result results[CALLS];
    for (int i = 0; i < CALLS; i++) {
        args[i] = sp_text("[1]");
    }
    assert_int_equal(
        sp_execute_many(pit, "echo", args, CALLS, options, results, NULL, last_error()),
        CALLS);
    for (int i = 0; i < CALLS; i++) {
        sp_result_clear(&results[i]);
    }
}

static void an_array_of_calls_is_one_wake_and_one_write_for_each_worker(void **state)
{
    sp_pit *pit = open_pools();
    sp_call_options to_many = {.size = sizeof to_many, .pool = "many"};
    sp_call_options to_probe = {.size = sizeof to_probe, .pool = "default"};
    sp_map_options options = {
        .size = sizeof options, .call = &to_many, .in_flight_max = CALLS};
    /* Somebody waits for a call, so nobody but the loop's own thread drives it. */
    sp_id held = hold_start(pit, "held", &to_probe);
    begin_counting(pit);
    execute_all(pit, &options);
    is_counted = 0;
    print_message("%u wakes, %u writes\n", atomic_load(&wakes), atomic_load(&sends));
    assert_in_range(atomic_load(&wakes), 0, 1);
    assert_in_range(atomic_load(&sends), 1, WORKERS);
    hold_release("held");
    (void)call_wait(pit, held);
    pit_close(pit);
}

static void count_reply(const sp_reply *reply, void *user_data)
{
    assert_null(reply->error);
    ++*(unsigned *)user_data;
}

/* Nobody is to be told but the thread that finds out, and what woke it says what came. */
static void a_dispatcher_that_drives_signals_nobody_and_looks_once(void **state)
{
    enum { ONE_BY_ONE = 200 };
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    pool.health_interval_ms = SP_UNLIMITED;
    sp_pit *pit = pit_open_ready(&pool, 1);
    unsigned ended = 0;
    signal_fd = sp_pit_fd(pit);
    atomic_store(&looks, 0);
    signals = 0;
    is_counted = 1;
    for (unsigned i = 0; i < ONE_BY_ONE; i++) {
        assert_int_equal(sp_call_start(pit, "echo", sp_text("[1]"), NULL, count_reply,
                                       &ended, NULL, last_error()),
                         0);
        while (ended == i) {
            assert_true(sp_pit_dispatch(pit, SP_UNLIMITED, last_error()) >= 0);
        }
    }
    is_counted = 0;
    signal_fd = -1;
    print_message("%u signals, %u looks\n", signals, atomic_load(&looks));
    assert_int_equal(signals, 0);
    assert_in_range(atomic_load(&looks), 0,
                    ONE_BY_ONE / 2); /* a timer may be due, now and then */
    pit_close(pit);
}

static int drop_chunk(const sp_chunk *chunk, void *user_data)
{
    return 0;
}

/* When it was kept from coming back for long, the loop's own thread has that stream. */
static void a_reader_sends_for_itself_what_it_asks_for(void **state)
{
    enum { ONE_BY_ONE = 200 };
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    pool.health_interval_ms = SP_UNLIMITED;
    sp_pit *pit = pit_open_ready(&pool, 1);
    unsigned before = own_sends;
    for (unsigned i = 0; i < ONE_BY_ONE; i++) {
        assert_int_equal(sp_execute_stream(pit, "count", sp_text("{\"to\":2}"), NULL,
                                           drop_chunk, NULL, last_error()),
                         0);
    }
    print_message("%u requests sent\n", own_sends - before);
    assert_in_range(own_sends - before, ONE_BY_ONE / 2, ONE_BY_ONE);
    pit_close(pit);
}

/* While a callback is awaited the loop cannot rest, so a reader that drove would wake the
 * loop's own thread with every chunk: that one goes on instead. */
static void a_reader_beside_a_callback_leaves_the_loop_alone(void **state)
{
    enum { ONE_BY_ONE = 200 };
    unsigned ended = 0;
    sp_pit *pit = pit_of_probes(2);
    hold_start_telling(pit, "held", count_reply, &ended);
    own_sleeps = 0;
    for (unsigned i = 0; i < ONE_BY_ONE; i++) {
        assert_int_equal(sp_execute_stream(pit, "numbers", sp_text("{\"count\":2}"),
                                           NULL, drop_chunk, NULL, last_error()),
                         0);
    }
    print_message("%u sleeps\n", own_sleeps);
    assert_in_range(own_sleeps, 0, ONE_BY_ONE / 10);
    hold_release("held");
    UNTIL(sp_pit_dispatch(pit, 100, last_error()) >= 0 && ended == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_array_of_calls_is_one_wake_and_one_write_for_each_worker),
        TEST(a_dispatcher_that_drives_signals_nobody_and_looks_once),
        TEST(a_reader_sends_for_itself_what_it_asks_for),
        TEST(a_reader_beside_a_callback_leaves_the_loop_alone),
    };
    return RUN_SYSTEM_TESTS("wakes", tests);
}
