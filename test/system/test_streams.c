/* SPDX-License-Identifier: MIT */
/*
 * Streams: order, ends, credit, cancellation. What a generator does is seen through
 * files: it writes how many chunks it has made, and its `finally` makes one more.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "pits.h"
#include "processes.h"

enum { MIB = 1024 * 1024 };

static sp_stream *stream;

static void close_stream(void)
{
    sp_stream_close(stream);
    stream = NULL;
}

static void open_stream(sp_pit *pit, const char *tool, const char *args,
                        const sp_call_options *options)
{
    if (sp_stream_open(pit, tool, sp_text(args), options, &stream, last_error()) < 0) {
        fail_msg("%s: %s", tool, last_error()->message);
    }
    leak_at_end(close_stream);
}

static sp_chunk next(void)
{
    sp_chunk chunk = {0};
    int rc = sp_stream_next(stream, &chunk, last_error());
    if (rc != 1) {
        fail_msg("no chunk: %d %s", rc, last_error()->message);
    }
    return chunk;
}

static void ends_with(int code)
{
    sp_chunk chunk;
    int rc;
    while ((rc = sp_stream_next(stream, &chunk, last_error())) > 0) {
    }
    if (rc != code) {
        fail_msg("the stream ended with %d %s, not %s", rc, last_error()->message,
                 sp_error_name(code));
    }
    /* And goes on to say so. */
    assert_int_equal(sp_stream_next(stream, &chunk, last_error()), code);
}

/* ---- order and ends ---- */

static void chunks_come_in_order_and_then_the_end(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    open_stream(pit, "numbers", "{\"count\":100}", NULL);
    assert_true(sp_stream_call(stream) != 0);
    for (uint64_t i = 0; i < 100; i++) {
        char text[16];
        sp_chunk chunk = next();
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)i);
        assert_int_equal(chunk.index, i);
        assert_int_equal(chunk.size, strlen(text));
        assert_memory_equal(chunk.data, text, chunk.size);
    }
    ends_with(0);
    assert_int_equal(stats_of(pit).chunks, 100);
    assert_int_equal(stats_of(pit).succeeded, 1);
}

static void an_empty_stream_just_ends(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    open_stream(pit, "numbers", "{\"count\":0}", NULL);
    ends_with(0);
}

static void a_plain_tool_streams_its_one_result(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    open_stream(pit, "add", "[1,2]", NULL);
    sp_chunk chunk = next();
    assert_int_equal(chunk.size, 1);
    assert_memory_equal(chunk.data, "3", 1);
    ends_with(0);
}

static void a_worker_in_c_streams_too(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    open_stream(pit, "count", "{\"to\":50000}", NULL);
    for (uint64_t i = 0; i < 50000; i++) {
        assert_int_equal(next().index, i);
    }
    ends_with(0);
}

static int add_up(const sp_chunk *chunk, void *user_data)
{
    char text[16]; /* a chunk is not terminated */
    (void)snprintf(text, sizeof text, "%.*s", (int)chunk->size, chunk->data);
    *(long *)user_data += strtol(text, NULL, 10);
    return chunk->index == 999;
}

static void a_callback_gets_every_chunk(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    long sum = 0;
    assert_int_equal(sp_execute_stream(pit, "numbers", sp_text("{\"count\":500}"), NULL,
                                       add_up, &sum, last_error()),
                     0);
    assert_int_equal(last_error()->code, 0);
    assert_int_equal(sum, 499 * 500 / 2);
}

static void a_callback_stops_the_stream(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    long sum = 0;
    (void)snprintf(args, sizeof args,
                   "{\"path\":\"%s\",\"count\":1000000000,\"size\":1}", leak_path("s"));
    assert_int_equal(sp_execute_stream(pit, "counted", sp_text(args), NULL, add_up,
                                       &sum, last_error()),
                     SP_ERR_STOPPED_BY_CALLBACK);
    UNTIL(file_exists(leak_path("s.closed")));
    call_gives(pit, "add", "[1]", "2"); /* the worker goes on */
}

static void success_clears_an_old_error(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    long sum = 0;
    call_fails(pit, "fail", "", NULL, SP_ERR_REMOTE);
    assert_int_equal(sp_execute_stream(pit, "numbers", sp_text("{\"count\":5}"), NULL,
                                       add_up, &sum, last_error()),
                     0);
    assert_int_equal(last_error()->code, 0);
    assert_null(last_error()->remote_trace);
}

static void an_exception_comes_after_the_chunks_before_it(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    open_stream(pit, "breaking", "{\"count\":3}", NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(next().index, i);
    }
    ends_with(SP_ERR_REMOTE);
    assert_string_equal(last_error()->remote_type, "RuntimeError");
    assert_string_equal(last_error()->remote_message, "the stream broke");
    assert_has(last_error()->remote_trace, "in breaking");
    assert_int_equal(last_error()->executed, SP_EXECUTED_YES);
}

static void a_worker_that_dies_ends_its_stream(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    open_stream(pit, "dying", "{\"count\":3}", NULL);
    ends_with(SP_ERR_WORKER_DIED);
    assert_int_equal(last_error()->worker_exit, 4);
    assert_int_equal(last_error()->executed, SP_EXECUTED_UNKNOWN);
    call_gives(pit, "add", "[1]", "2");
}

static void a_stream_keeps_its_deadline(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    sp_call_options options = {.size = sizeof options, .timeout_ms = 200};
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("s"));
    open_stream(pit, "blocking", args, &options);
    assert_memory_equal(next().data, "\"first\"", 7);
    ends_with(SP_ERR_TIMEOUT);
    UNTIL(file_exists(leak_path("s.closed")));
    assert_int_equal(stats_of(pit).call_timeouts, 1);
}

static void large_chunks_arrive_whole(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\",\"count\":5,\"size\":5000000}",
                   leak_path("s"));
    open_stream(pit, "counted", args, NULL);
    for (int i = 0; i < 5; i++) {
        sp_chunk chunk = next();
        assert_int_equal(chunk.size, 5000002);
        assert_int_equal(chunk.data[4999999], 'x');
    }
    ends_with(0);
}

static void a_chunk_over_the_limit_ends_the_stream(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    pool.response_max_bytes = 100000;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\",\"count\":5,\"size\":200000}",
                   leak_path("s"));
    open_stream(pit, "counted", args, NULL);
    ends_with(SP_ERR_TOO_BIG);
    call_gives(pit, "add", "[1]", "2");
}

static void streams_of_several_workers_run_side_by_side(void **state)
{
    sp_pit *pit = pit_of_probes(2);
    open_stream(pit, "numbers", "{\"count\":20000}", NULL);
    sp_stream *other = NULL;
    assert_int_equal(sp_stream_open(pit, "numbers", sp_text("{\"count\":20000}"), NULL,
                                    &other, NULL),
                     0);
    sp_chunk chunk;
    for (uint64_t i = 0; i < 20000; i++) {
        assert_int_equal(next().index, i);
        assert_int_equal(sp_stream_next(other, &chunk, NULL), 1);
        assert_int_equal(chunk.index, i);
    }
    assert_int_equal(sp_stream_next(other, &chunk, NULL), 0);
    sp_stream_close(other);
    ends_with(0);
}

/* ---- cancellation ---- */

static void cancelling_runs_the_generators_finally(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    (void)snprintf(args, sizeof args,
                   "{\"path\":\"%s\",\"count\":1000000000,\"size\":10}",
                   leak_path("s"));
    open_stream(pit, "counted", args, NULL);
    for (int i = 0; i < 100; i++) {
        (void)next();
    }
    sp_stream_cancel(stream);
    ends_with(SP_ERR_CANCELLED);
    UNTIL(file_exists(leak_path("s.closed")));
    int pid = worker_at(pit, 0).pid;
    call_gives(pit, "add", "[1]", "2");
    assert_int_equal(worker_at(pit, 0).pid, pid); /* the same worker: it was asked */
    assert_int_equal(stats_of(pit).cancelled, 1);
}

static void a_generator_that_sleeps_is_woken_to_be_closed(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\"}", leak_path("s"));
    open_stream(pit, "blocking", args, NULL);
    (void)next();
    UNTIL(file_exists(leak_path("s.held")));
    sp_stream_cancel(stream);
    ends_with(SP_ERR_CANCELLED);
    UNTIL(file_exists(leak_path("s.closed")));
    call_gives(pit, "add", "[1]", "2");
}

static void closing_an_unfinished_stream_cancels_it(void **state)
{
    char args[400];
    sp_pit *pit = pit_of_probes(1);
    (void)snprintf(args, sizeof args,
                   "{\"path\":\"%s\",\"count\":1000000000,\"size\":10}",
                   leak_path("s"));
    open_stream(pit, "counted", args, NULL);
    (void)next();
    close_stream();
    UNTIL(file_exists(leak_path("s.closed")));
    call_gives(pit, "add", "[1]", "2");
}

static void a_stream_that_never_began_is_cancelled_in_the_queue(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_id held = hold_start(pit, "h", NULL);
    open_stream(pit, "numbers", "{\"count\":5}", NULL);
    sp_stream_cancel(stream);
    ends_with(SP_ERR_CANCELLED);
    assert_int_equal(last_error()->executed, SP_EXECUTED_NO);
    hold_release("h");
    (void)call_wait(pit, held);
}

/* ---- back-pressure ---- */

struct counter {
    volatile uint64_t *made; /* written by the generator's process */
    int fd;
};

static struct counter counter;

static void unmap_counter(void)
{
    if (counter.made != NULL) {
        (void)munmap((void *)(uintptr_t)counter.made, 8);
        (void)close(counter.fd);
        counter.made = NULL;
    }
}

static void map_counter(const char *path)
{
    counter.fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(counter.fd >= 0);
    counter.made = mmap(NULL, 8, PROT_READ, MAP_SHARED, counter.fd, 0);
    assert_ptr_not_equal(counter.made, MAP_FAILED);
    leak_at_end(unmap_counter);
}

/*
 * The producer may be ahead of the consumer by what waits unread: about a MiB on the way
 * and in the host, as the header says. A consumer that makes a call for every chunk is
 * far slower than the generator, which without brakes would be done with its million
 * chunks long before the consumer has had three thousand.
 */
static void a_slow_consumer_slows_the_producer(void **state)
{
    enum { SIZE = 1000, AHEAD_MAX = 3 * MIB / SIZE, TAKEN = 3000 };
    char args[400];
    sp_pit *pit = pit_of_probes(2);
    (void)snprintf(args, sizeof args, "{\"path\":\"%s\",\"count\":1000000,\"size\":%d}",
                   leak_path("s"), SIZE - 2);
    open_stream(pit, "counted", args, NULL);
    (void)next();
    map_counter(leak_path("s"));
    UNTIL(*counter.made > MIB / SIZE / 4); /* it runs ahead ... */
    uint64_t ahead_max = 0;
    for (uint64_t taken = 2; taken < TAKEN; taken++) {
        (void)next();
        (void)call(pit, "echo", "[1]", NULL);
        uint64_t made = *counter.made;
        uint64_t ahead = made > taken ? made - taken : 0;
        ahead_max = ahead > ahead_max ? ahead : ahead_max;
        if (ahead > AHEAD_MAX) {
            fail_msg("the producer is %llu chunks ahead", (unsigned long long)ahead);
        }
    }
    assert_true(*counter.made < TAKEN + AHEAD_MAX); /* ... and was stopped */
    print_message("             at most %llu KiB ahead\n",
                  (unsigned long long)ahead_max * SIZE / 1024);
    sp_stream_cancel(stream);
    ends_with(SP_ERR_CANCELLED);
    UNTIL(file_exists(leak_path("s.closed")));
}

static void a_stopped_consumer_leaves_the_worker_to_others(void **state)
{
    char args[400];
    sp_pool_options pool = pool_of_probes(1);
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)snprintf(args, sizeof args,
                   "{\"path\":\"%s\",\"count\":1000000,\"size\":1000}", leak_path("s"));
    open_stream(pit, "counted", args, NULL);
    (void)next();
    /* Nobody reads on. The stream takes its worker's one place, so a call waits. */
    sp_call_options options = {.size = sizeof options, .queue_timeout_ms = 50};
    call_fails(pit, "add", "[1]", &options, SP_ERR_QUEUE_TIMEOUT);
    close_stream();
    call_gives(pit, "add", "[1]", "2");
}

static size_t worker_resident(sp_pit *pit)
{
    return (size_t)strtoull(call(pit, "resident", "", NULL)->json, NULL, 10);
}

/* SNAKEPIT_TEST_CHUNKS makes it longer: 10000000 for the full promise. */
static void a_long_stream_needs_constant_memory(void **state)
{
    const char *wanted = getenv("SNAKEPIT_TEST_CHUNKS");
    uint64_t chunks = wanted != NULL ? strtoull(wanted, NULL, 10) : 300000;
    char args[64];
    sp_call_options options = {.size = sizeof options, .timeout_ms = SP_UNLIMITED};
    sp_pit *pit = pit_of_probes(1);
    if (chunks > 1000000) {
        (void)alarm(3600);
    }
    (void)snprintf(args, sizeof args, "{\"count\":%llu}", (unsigned long long)chunks);
    size_t worker_before = 0;
    size_t host_before = 0;
    int64_t live_before = 0;
    for (int round = 0; round < 2; round++) {
        if (round == 1) { /* the first, short one has warmed up everything */
            worker_before = worker_resident(pit);
            host_before = processes_resident_bytes();
            live_before = sp__mem_live();
        }
        open_stream(pit, "numbers", round == 0 ? "{\"count\":30000}" : args, &options);
        uint64_t end = round == 0 ? 30000 : chunks;
        for (uint64_t i = 0; i < end; i++) {
            if (next().index != i) {
                fail_msg("chunk %llu is missing", (unsigned long long)i);
            }
            if (round == 1 && i == end - 1) {
                assert_in_range(sp__mem_live(), live_before - 50, live_before + 50);
            }
        }
        ends_with(0);
        close_stream();
    }
    size_t host_after = processes_resident_bytes();
    size_t worker_after = worker_resident(pit);
    print_message("             host %zu KiB more, worker %zu KiB more\n",
                  host_after > host_before ? (host_after - host_before) / 1024 : 0,
                  worker_after > worker_before ? (worker_after - worker_before) / 1024
                                               : 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(worker_after < worker_before + 4 * MIB);
    assert_true(host_after <
                host_before + 4 * MIB); /* a sanitizer keeps what is freed */
#endif
}

/* ---- misuse ---- */

static void missing_places_are_refused(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    sp_chunk chunk;
    sp_stream *none = NULL;
    assert_int_equal(sp_stream_open(NULL, "numbers", sp_text("[1]"), NULL, &none, NULL),
                     SP_ERR_INVAL);
    assert_int_equal(sp_stream_open(pit, "numbers", sp_text("[1]"), NULL, NULL, NULL),
                     SP_ERR_INVAL);
    assert_int_equal(sp_stream_open(pit, "numbers", sp_text("{"), NULL, &none, NULL),
                     SP_ERR_BAD_JSON);
    assert_int_equal(sp_stream_open(pit, "nombers", sp_text("[1]"), NULL, &none, NULL),
                     SP_ERR_NO_TOOL);
    assert_int_equal(sp_stream_next(NULL, &chunk, NULL), SP_ERR_INVAL);
    assert_int_equal(
        sp_execute_stream(pit, "numbers", sp_text("[1]"), NULL, NULL, NULL, NULL),
        SP_ERR_INVAL);
    sp_stream_cancel(NULL);
    sp_stream_close(NULL);
    assert_null(none);
}

static void a_stream_called_as_a_plain_tool_is_refused(void **state)
{
    sp_pit *pit = pit_of_probes(1);
    call_fails(pit, "numbers", "[3]", NULL, SP_ERR_BAD_ARGS);
    assert_has(last_error()->message, "answers a stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chunks_come_in_order_and_then_the_end),
        TEST(an_empty_stream_just_ends),
        TEST(a_plain_tool_streams_its_one_result),
        TEST(a_worker_in_c_streams_too),
        TEST(a_callback_gets_every_chunk),
        TEST(a_callback_stops_the_stream),
        TEST(success_clears_an_old_error),
        TEST(an_exception_comes_after_the_chunks_before_it),
        TEST(a_worker_that_dies_ends_its_stream),
        TEST(a_stream_keeps_its_deadline),
        TEST(large_chunks_arrive_whole),
        TEST(a_chunk_over_the_limit_ends_the_stream),
        TEST(streams_of_several_workers_run_side_by_side),
        TEST(cancelling_runs_the_generators_finally),
        TEST(a_generator_that_sleeps_is_woken_to_be_closed),
        TEST(closing_an_unfinished_stream_cancels_it),
        TEST(a_stream_that_never_began_is_cancelled_in_the_queue),
        TEST(a_slow_consumer_slows_the_producer),
        TEST(a_stopped_consumer_leaves_the_worker_to_others),
        TEST(a_long_stream_needs_constant_memory),
        TEST(missing_places_are_refused),
        TEST(a_stream_called_as_a_plain_tool_is_refused),
    };
    return RUN_SYSTEM_TESTS("streams", tests);
}
