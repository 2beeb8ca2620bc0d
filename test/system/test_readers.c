/* SPDX-License-Identifier: MIT */
/* Readers of streams that do the loop's work while they wait: alone, beside others, going
 * off with a chunk and coming back. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pits.h"
#include "processes.h"

enum { THREADS = 4, ROUNDS = 50, CHUNKS = 5 };

static int count_chunk(const sp_chunk *chunk, void *user_data)
{
    ++*(unsigned *)user_data;
    return 0;
}

/* 1 when a stream gives what it should. */
static int numbers_come(sp_pit *pit)
{
    unsigned count = 0;
    return sp_execute_stream(pit, "numbers", sp_text("{\"count\":5}"), NULL,
                             count_chunk, &count, NULL) == 0 &&
           count == CHUNKS;
}

/* ---- a thread that reads what takes as long as the test wants ---- */

struct reader {
    sp_stream *stream;
    pthread_t thread;
    atomic_int tid;
    unsigned chunks;
    int rc;
};

static void *read_all(void *arg)
{
    struct reader *reader = arg;
    sp_chunk chunk;
    atomic_store(&reader->tid, (int)syscall(SYS_gettid));
    while ((reader->rc = sp_stream_next(reader->stream, &chunk, NULL)) > 0) {
        reader->chunks++;
    }
    return NULL;
}

/* A tool that is no generator streams its one result. */
static sp_stream *open_held(sp_pit *pit, const char *name,
                            const sp_call_options *options)
{
    char args[400];
    sp_stream *stream = NULL;
    assert_int_equal(sp_stream_open(pit, "hold",
                                    sp_text(hold_args(name, args, sizeof args)),
                                    options, &stream, last_error()),
                     0);
    return stream;
}

static void reader_begin(struct reader *reader, sp_pit *pit, const char *name)
{
    *reader = (struct reader){.stream = open_held(pit, name, NULL)};
    assert_int_equal(pthread_create(&reader->thread, NULL, read_all, reader), 0);
    hold_await(name);
}

static void reader_ends_with(struct reader *reader, int rc, unsigned chunks)
{
    assert_int_equal(pthread_join(reader->thread, NULL), 0);
    sp_stream_close(reader->stream);
    assert_int_equal(reader->rc, rc);
    assert_int_equal(reader->chunks, chunks);
}

static void await_driving(struct reader *reader)
{
    UNTIL(atomic_load(&reader->tid) != 0 &&
          processes_thread_polls(atomic_load(&reader->tid)));
}

static void a_reader_that_waits_drives_the_loop(void **state)
{
    struct reader reader;
    char args[400];
    sp_call_options late = {.size = sizeof late, .timeout_ms = 50};
    sp_pit *pit = pit_of_turning_probes(2);
    reader_begin(&reader, pit, "held");
    await_driving(&reader);
    for (int i = 0; i < 20; i++) {
        call_gives(pit, "add", "[1,2]", "3");
    }
    /* A timer of the loop that the reader drives. */
    (void)call_fails(pit, "hold", hold_args("late", args, sizeof args), &late,
                     SP_ERR_TIMEOUT);
    await_driving(&reader);
    hold_release("late");
    hold_release("held");
    reader_ends_with(&reader, 0, 1);
}

static void a_reader_that_is_left_alone_is_given_the_loop(void **state)
{
    struct reader first;
    struct reader second;
    sp_pit *pit = pit_of_turning_probes(2);
    for (int round = 0; round < 5; round++) {
        char names[2][16];
        (void)snprintf(names[0], sizeof names[0], "first%d", round);
        (void)snprintf(names[1], sizeof names[1], "second%d", round);
        reader_begin(&first, pit, names[0]);
        reader_begin(&second, pit, names[1]);
        hold_release(names[0]);
        reader_ends_with(&first, 0, 1);
        await_driving(&second);
        hold_release(names[1]);
        reader_ends_with(&second, 0, 1);
    }
}

/* It went off with a chunk, and another one has the loop when it is back. */
static void a_reader_that_comes_back_beside_another_hears_of_the_end(void **state)
{
    struct reader away;
    struct reader other;
    char args[400];
    sp_chunk chunk;
    sp_pit *pit = pit_of_turning_probes(2);
    for (int round = 0; round < 5; round++) {
        char names[2][16];
        (void)snprintf(names[0], sizeof names[0], "away%d", round);
        (void)snprintf(names[1], sizeof names[1], "other%d", round);
        away = (struct reader){0};
        assert_int_equal(sp_stream_open(pit, "blocking",
                                        sp_text(hold_args(names[0], args, sizeof args)),
                                        NULL, &away.stream, last_error()),
                         0);
        assert_int_equal(sp_stream_next(away.stream, &chunk, last_error()), 1);
        reader_begin(&other, pit, names[1]);
        assert_int_equal(pthread_create(&away.thread, NULL, read_all, &away), 0);
        UNTIL(atomic_load(&away.tid) != 0);
        hold_release(names[1]);
        reader_ends_with(&other, 0, 1);
        sp_stream_cancel(away.stream);
        reader_ends_with(&away, SP_ERR_CANCELLED, 0);
    }
}

/* ---- how a wait ends ---- */

static void a_reader_that_drives_is_cancelled(void **state)
{
    struct reader reader;
    sp_pit *pit = pit_of_turning_probes(1);
    reader_begin(&reader, pit, "held");
    await_driving(&reader);
    assert_int_equal(sp_call_cancel(pit, sp_stream_call(reader.stream), last_error()),
                     0);
    reader_ends_with(&reader, SP_ERR_CANCELLED, 0);
    call_gives(pit, "add", "[1]", "2");
}

static void its_time_is_over(sp_stream *stream)
{
    sp_chunk chunk;
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), SP_ERR_TIMEOUT);
    sp_stream_close(stream);
}

static void a_reader_that_drives_keeps_its_deadline(void **state)
{
    sp_call_options options = {.size = sizeof options, .timeout_ms = 100};
    sp_pit *pit = pit_of_probes(1);
    call_gives(pit, "add", "[1]", "2"); /* the loop may rest now */
    its_time_is_over(open_held(pit, "held", &options));
    hold_release("held");
}

static void a_shutdown_ends_a_stream_whose_reader_drives(void **state)
{
    struct reader reader;
    sp_pit *pit = pit_of_turning_probes(1);
    pit_release(pit);
    reader_begin(&reader, pit, "held");
    await_driving(&reader);
    assert_int_equal(sp_pit_shutdown(pit, 200, last_error()), SP_ERR_TIMEOUT);
    reader_ends_with(&reader, SP_ERR_CLOSED, 0);
}

/* A stream may be opened and left: nobody need come back for its deadline to pass. */
static void a_stream_that_nobody_reads_ends_in_time(void **state)
{
    sp_call_options options = {.size = sizeof options, .timeout_ms = 50};
    sp_pit *pit = pit_of_probes(1);
    call_gives(pit, "add", "[1]", "2");
    sp_stream *stream = open_held(pit, "held", &options);
    UNTIL(stats_of(pit).call_timeouts == 1);
    its_time_is_over(stream);
    hold_release("held");
}

/* ---- several at once ---- */

static void *read_and_execute(void *arg)
{
    uintptr_t good = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        sp_result result = {0};
        good += numbers_come(arg) == 1;
        good += sp_execute(arg, "add", sp_text("[1,2]"), NULL, &result, NULL) == 0;
        sp_result_clear(&result);
    }
    return (void *)good;
}

static int read_a_stream(sp_pit *pit, unsigned number)
{
    return numbers_come(pit);
}

static void readers_share_the_loop_with_calls_and_callbacks(void **state)
{
    pthread_t threads[THREADS];
    sp_pit *pit = pit_of_probes(2);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_execute, pit), 0);
    }
    call_chain(pit, ROUNDS, read_a_stream);
    for (size_t i = 0; i < THREADS; i++) {
        void *good;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_int_equal((uintptr_t)good, 2 * ROUNDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reader_that_waits_drives_the_loop),
        TEST(a_reader_that_is_left_alone_is_given_the_loop),
        TEST(a_reader_that_comes_back_beside_another_hears_of_the_end),
        TEST(a_reader_that_drives_is_cancelled),
        TEST(a_reader_that_drives_keeps_its_deadline),
        TEST(a_shutdown_ends_a_stream_whose_reader_drives),
        TEST(a_stream_that_nobody_reads_ends_in_time),
        TEST(readers_share_the_loop_with_calls_and_callbacks),
    };
    return RUN_SYSTEM_TESTS("readers", tests);
}
