/* SPDX-License-Identifier: MIT */
/*
 * What the host's memory grows by, to the byte: the library's own allocator is replaced
 * by one that keeps count. Bars of bytes for an idle worker and for a call that waits,
 * and nothing for calls that are over.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pits.h"

enum {
    IDLE_MAX = 64 * 1024, /* bytes for an idle worker */
    QUEUED_MAX = 1024,    /* and for a call that waits, its few arguments included */
    WORKERS = 8,
    CALLS = 4096, /* a power of two: tables that double are full then */
    ROUND = 2000,
    ROUNDS_MAX = 50
};

/* In front of every block; as large as alignment asks for. */
union head {
    size_t size;
    max_align_t align;
};

static atomic_llong bytes;

static void *count_malloc(size_t size)
{
    union head *head = malloc(sizeof *head + size);
    if (head == NULL) {
        return NULL;
    }
    head->size = size;
    atomic_fetch_add(&bytes, (long long)size);
    return head + 1;
}

static void count_free(void *memory)
{
    if (memory != NULL) {
        union head *head = (union head *)memory - 1;
        atomic_fetch_sub(&bytes, (long long)head->size);
        free(head);
    }
}

static void *count_realloc(void *memory, size_t size)
{
    union head *head = (union head *)memory - 1;
    size_t before = head->size;
    head = realloc(head, sizeof *head + size);
    if (head == NULL) {
        return NULL;
    }
    head->size = size;
    atomic_fetch_add(&bytes, (long long)size - (long long)before);
    return head + 1;
}

/* The library asks for what it needs when it is idle; a turn of its loop may be left. */
static long long settled_bytes(sp_pit *pit)
{
    sp_pool_stats stats;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sp_pool_stats_get(pit, NULL, &stats, last_error()), 0);
    }
    return atomic_load(&bytes);
}

static sp_pit *open_for(sp_pool_options *pool, uint32_t queue_max)
{
    pool->queue_max = queue_max;
    pool->queue_timeout_ms = SP_UNLIMITED;
    pool->call_timeout_ms = SP_UNLIMITED;
    pool->health_interval_ms = SP_UNLIMITED;
    pool->pipeline_max = 1;
    return pit_open_ready(pool, 1);
}

static long long bytes_of_workers(uint32_t workers)
{
    sp_pool_options pool = pool_of_probes(workers);
    sp_pit *pit = open_for(&pool, 0);
    long long found = settled_bytes(pit);
    pit_close(pit);
    return found;
}

static void an_idle_worker_costs_little(void **state)
{
    long long one = bytes_of_workers(1);
    long long each = (bytes_of_workers(1 + WORKERS) - one) / WORKERS;
    print_message("an idle worker costs its host %lld bytes\n", each);
    assert_in_range(each, 1, IDLE_MAX);
}

static void count_reply(const sp_reply *reply, void *user_data)
{
    *(uint32_t *)user_data += reply->error == NULL || reply->error->code != 0;
}

static void start_echo(sp_pit *pit, uint32_t *ended)
{
    assert_int_equal(sp_call_start(pit, "echo", sp_text("[1]"), NULL, count_reply,
                                   ended, NULL, last_error()),
                     0);
}

static void await_ended(sp_pit *pit, const uint32_t *ended, uint32_t wanted)
{
    while (*ended < wanted) {
        assert_true(sp_pit_dispatch(pit, SP_UNLIMITED, last_error()) >= 0);
    }
}

static void a_call_that_waits_costs_little(void **state)
{
    uint32_t ended = 0;
    sp_pool_options pool = pool_of_probes(1);
    sp_pit *pit = open_for(&pool, CALLS);
    sp_id held = hold_start(pit, "held", NULL);
    long long before = settled_bytes(pit);
    for (int i = 0; i < CALLS - 1; i++) {
        start_echo(pit, &ended);
    }
    UNTIL(stats_of(pit).queued == CALLS - 1);
    long long each = (settled_bytes(pit) - before) / (CALLS - 1);
    print_message("a call that waits costs its host %lld bytes\n", each);
    assert_in_range(each, 1, QUEUED_MAX);
    hold_release("held");
    (void)call_wait(pit, held);
    await_ended(pit, &ended, CALLS - 1);
}

/* Buffers may find their size late, so one round without growth is what is looked for:
 * something that is kept for every call grows in each. */
static void calls_that_are_over_leave_nothing(void **state)
{
    sp_pool_options pool = pool_of_program("plain", NULL, 2);
    sp_pit *pit = open_for(&pool, ROUND);
    long long before = -1;
    long long after = settled_bytes(pit);
    for (int round = 0; after != before; round++) {
        uint32_t ended = 0;
        assert_true(round < ROUNDS_MAX);
        before = after;
        for (int i = 0; i < ROUND; i++) {
            start_echo(pit, &ended);
        }
        await_ended(pit, &ended, ROUND);
        after = settled_bytes(pit);
        assert_true(after - before < ROUND * 1024);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_worker_costs_little),
        TEST(a_call_that_waits_costs_little),
        TEST(calls_that_are_over_leave_nothing),
    };
    if (sp_set_allocator(count_malloc, count_realloc, count_free) < 0) {
        return 1;
    }
    return RUN_SYSTEM_TESTS("host_memory", tests);
}
