/* SPDX-License-Identifier: MIT */
/*
 * What calls allocate once they have settled in, by the C library's own count: in the
 * program, whose allocator is counted as everybody's in this process, and in a worker,
 * into which the same counter is loaded.
 *
 * Neither allocates anything for another call or another chunk, and telemetry nothing for
 * either, whatever is listened to.
 *
 * Once in a while something else comes along (a sample of the workers, a buffer that
 * grows for the last time), which is what the allowance is for.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pits.h"

enum {
    WARM = 500,
    CALLS = 4000,
    CHUNKS = 40000,
    IN_FLIGHT = 64,
    ALLOWANCE = CALLS / 10
};

uint64_t allocations_counted(void);

static const _Atomic uint64_t *in_worker; /* the counter of the worker */

static void release(void)
{
    (void)munmap((void *)(uintptr_t)in_worker, sizeof *in_worker);
    in_worker = NULL;
}

/* One worker that is counted; in a pit with these options beside. */
static sp_pit *open_counted_with(sp_pool_options pool, sp_pit_options options)
{
    static char file[400];
    static char preload[500];
    static char counter[500];
    static const char *const env[] = {preload, counter, NULL};
    (void)snprintf(file, sizeof file, "%s", leak_path("allocations"));
    (void)snprintf(preload, sizeof preload, "LD_PRELOAD=%s", ALLOCATIONS_LIBRARY);
    (void)snprintf(counter, sizeof counter, "ALLOCATIONS_FILE=%s", file);
    int fd = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    in_worker = mmap(NULL, sizeof *in_worker, PROT_READ, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(in_worker, MAP_FAILED);
    (void)close(fd);
    leak_at_end(release);
    pool.env_set = env;
    options.size = sizeof options;
    options.pools = &pool;
    options.pools_count = 1;
    sp_pit *pit = pit_open_ready_as(&options);
    assert_true(*in_worker > 0); /* it counts */
    return pit;
}

static sp_pit *open_counted(sp_pool_options pool)
{
    return open_counted_with(pool, (sp_pit_options){0});
}

/* ---- one after the other ---- */

static void execute(sp_pit *pit, const char *tool, const char *args,
                    const sp_call_options *options, int calls)
{
    for (int i = 0; i < calls; i++) {
        sp_result result = {0};
        assert_int_equal(
            sp_execute(pit, tool, sp_text(args), options, &result, last_error()), 0);
        sp_result_clear(&result);
    }
}

static void count_calls(sp_pit *pit, const char *tool, const char *args,
                        const sp_call_options *options)
{
    execute(pit, tool, args, options, WARM);
    uint64_t here = allocations_counted();
    uint64_t there = *in_worker;
    execute(pit, tool, args, options, CALLS);
    here = allocations_counted() - here;
    there = *in_worker - there;
    assert_in_range(here, 0, ALLOWANCE);
    assert_in_range(there, 0, ALLOWANCE);
}

static void a_call_of_a_python_function(void **state)
{
    count_calls(open_counted(pool_of_showcases(1)), "add", "{\"a\":2,\"b\":3}", NULL);
}

static void a_call_in_a_session(void **state)
{
    sp_pit *pit = open_counted(pool_of_showcases(2));
    assert_int_equal(sp_session_create(sp_pit_sessions(pit), "one", NULL, NULL), 1);
    const sp_call_options options = {
        .size = sizeof options, .session = "one", .timeout_ms = 60000};
    count_calls(pit, "add", "{\"a\":2,\"b\":3}", &options);
}

static void a_call_of_a_worker_in_c(void **state)
{
    count_calls(open_counted(pool_of_program("plain", NULL, 1)), "echo",
                "{\"a\":2,\"b\":3}", NULL);
}

static atomic_uint executed; /* told by the program, and by the worker */
static atomic_uint stopped;

static void take(const sp_event *event, void *user_data)
{
    if (event->kind == SP_EVENT_REQUEST_EXECUTED) {
        atomic_fetch_add(&executed, 1);
    } else if (event->kind == SP_EVENT_PYTHON_CALL_STOP) {
        atomic_fetch_add(&stopped, 1);
    }
}

/* Recorded, and told in all that program and worker tell of it. */
static void a_call_that_all_is_told_of(void **state)
{
    sp_pit *pit = open_counted_with(
        pool_of_showcases(1),
        (sp_pit_options){.trace_sample_permille = 1000, .slow_call_ms = 60000});
    assert_int_equal(sp_events_attach(pit, "", take, NULL, NULL, last_error()), 0);
    count_calls(pit, "add", "{\"a\":2,\"b\":3}", NULL);
    pit_close(pit);
    assert_true(atomic_load(&executed) > CALLS / 2);
    assert_true(atomic_load(&stopped) > 0); /* a worker may drop what is too much */
}

/* ---- many at once ---- */

struct crowd {
    sp_pit *pit;
    int to_start;
    int open;
};

static void on_reply(const sp_reply *reply, void *user_data);

static void start_one(struct crowd *crowd)
{
    crowd->to_start--;
    crowd->open++;
    assert_int_equal(sp_call_start(crowd->pit, "add", sp_text("{\"a\":2,\"b\":3}"),
                                   NULL, on_reply, crowd, NULL, last_error()),
                     0);
}

static void on_reply(const sp_reply *reply, void *user_data)
{
    struct crowd *crowd = user_data;
    assert_null(reply->error);
    crowd->open--;
    if (crowd->to_start > 0) {
        start_one(crowd);
    }
}

static void run_crowd(sp_pit *pit, int calls)
{
    struct crowd crowd = {.pit = pit, .to_start = calls};
    for (int i = 0; i < IN_FLIGHT; i++) {
        start_one(&crowd);
    }
    while (crowd.open > 0) {
        assert_true(sp_pit_dispatch(pit, 1000, last_error()) >= 0);
    }
}

static void calls_in_a_crowd(void **state)
{
    sp_pit *pit = open_counted(pool_of_showcases(1));
    run_crowd(pit, WARM);
    uint64_t here = allocations_counted();
    uint64_t there = *in_worker;
    run_crowd(pit, CALLS);
    here = allocations_counted() - here;
    there = *in_worker - there;
    assert_in_range(here, 0, ALLOWANCE);
    assert_in_range(there, 0, ALLOWANCE);
}

/* ---- streams ---- */

static void chunks_of_a_stream(void **state)
{
    char args[64];
    sp_pit *pit = open_counted(pool_of_probes(1));
    (void)snprintf(args, sizeof args, "{\"count\":%d}", 2 * CHUNKS);
    sp_stream *stream;
    sp_chunk chunk;
    assert_int_equal(
        sp_stream_open(pit, "numbers", sp_text(args), NULL, &stream, last_error()), 0);
    uint64_t here = 0;
    uint64_t there = 0;
    int count = 0;
    while (sp_stream_next(stream, &chunk, last_error()) == 1) {
        if (++count == CHUNKS) {
            here = allocations_counted();
            there = *in_worker;
        }
    }
    assert_int_equal(count, 2 * CHUNKS);
    assert_in_range(allocations_counted() - here, 0, ALLOWANCE);
    assert_in_range(*in_worker - there, 0, ALLOWANCE);
    sp_stream_close(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_of_a_python_function),
        TEST(a_call_in_a_session),
        TEST(a_call_of_a_worker_in_c),
        TEST(a_call_that_all_is_told_of),
        TEST(calls_in_a_crowd),
        TEST(chunks_of_a_stream),
    };
    return RUN_SYSTEM_TESTS("allocations", tests);
}
