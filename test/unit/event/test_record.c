/* SPDX-License-Identifier: MIT */
/* Events as bytes, and their ring. */
#include "event/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "snakepit/error.h"

static uint64_t aligned[RECORD_MAX / sizeof(uint64_t)];

static void an_event_comes_back_whole(void **state)
{
    const sp_event_measurement measured[] = {{"count", 1}, {"duration_ms", 2.5}};
    const sp_event_metadata metadata[] = {{"reason", "ttl"}, {"empty", ""}};
    sp_event event = {.kind = SP_EVENT_WORKER_RECYCLED,
                      .pool = "p",
                      .worker = 77,
                      .slot = 3,
                      .pid = 4711,
                      .exit_status = -1,
                      .signal = 9,
                      .duration_ms = 12,
                      .session = "s",
                      .message = "it went",
                      .measurements = measured,
                      .measurements_count = 2,
                      .metadata = metadata,
                      .metadata_count = 2,
                      .time_unix_ns = 5000000123u};
    size_t bytes = sp__record_bytes(&event);
    assert_int_equal(bytes % RECORD_ALIGN, 0);
    sp__record_write(aligned, bytes, &event, 9);
    struct read_event read;
    sp__record_read((const void *)aligned, &read);
    assert_string_equal(read.event.name, "worker.recycled");
    assert_string_equal(read.event.pool, "p");
    assert_string_equal(read.event.session, "s");
    assert_string_equal(read.event.message, "it went");
    assert_int_equal(read.event.worker, 77);
    assert_int_equal(read.event.pid, 4711);
    assert_int_equal(read.event.signal, 9);
    assert_int_equal(read.event.exit_status, -1);
    assert_int_equal(read.event.time_unix_ms, 5000);
    assert_int_equal(read.event.measurements_count, 2);
    assert_string_equal(read.event.measurements[1].name, "duration_ms");
    assert_true(read.event.measurements[1].value == 2.5);
    assert_int_equal(read.event.metadata_count, 2);
    assert_string_equal(read.event.metadata[0].text, "ttl");
    assert_string_equal(read.event.metadata[1].text, "");
}

static void what_is_too_long_is_cut(void **state)
{
    static char longer[20000];
    sp_event_metadata metadata[100];
    memset(longer, 'x', sizeof longer - 1);
    for (size_t i = 0; i < 100; i++) {
        metadata[i] = (sp_event_metadata){"key", longer};
    }
    sp_event event = {.kind = SP_EVENT_WARNING,
                      .pool = longer,
                      .session = longer,
                      .message = longer,
                      .metadata = metadata,
                      .metadata_count = 100};
    size_t bytes = sp__record_bytes(&event);
    assert_true(bytes <= RECORD_MAX);
    sp__record_write(aligned, bytes, &event, 1);
    struct read_event read;
    sp__record_read((const void *)aligned, &read);
    assert_int_equal(strlen(read.event.message), 4096);
    assert_in_range(read.event.metadata_count, 1, 24);
}

/* Two bytes of a letter stay together. */
static void a_letter_is_not_cut_in_two(void **state)
{
    static char longer[8193];
    for (size_t i = 0; i + 2 < sizeof longer; i += 2) {
        memcpy(longer + 1 + i, "\xc3\xa9", 2);
    }
    longer[0] = 'a';
    longer[sizeof longer - 1] = '\0';
    sp_event event = {.kind = SP_EVENT_WARNING, .message = longer};
    size_t bytes = sp__record_bytes(&event);
    sp__record_write(aligned, bytes, &event, 1);
    struct read_event read;
    sp__record_read((const void *)aligned, &read);
    assert_int_equal(strlen(read.event.message), 4095);
}

struct seen {
    uint64_t left;
    uint64_t last_at;
};

static void count_left(void *user, uint64_t at, const struct event_record *record)
{
    struct seen *seen = user;
    assert_true(at >= seen->last_at);
    seen->last_at = at;
    seen->left += record->kind != 0;
}

/* Whatever sizes come, what is there are the last ones, whole and in order. */
static void the_oldest_go_first(void **state)
{
    struct event_ring ring;
    struct seen seen = {0};
    char text[3000];
    unsigned seed = 20261126;
    assert_int_equal(sp__ring_init(&ring, 2 * RECORD_MAX), SP_OK);
    for (uint64_t number = 1; number <= 20000; number++) {
        size_t size = (size_t)rand_r(&seed) % sizeof text;
        memset(text, 'a' + (int)(number % 26), sizeof text);
        text[size] = '\0';
        sp_event event = {.kind = SP_EVENT_WARNING, .message = text};
        size_t bytes = sp__record_bytes(&event);
        sp__record_write(sp__ring_push(&ring, bytes, count_left, &seen), bytes, &event,
                         number);
        assert_true(ring.end - ring.start <= ring.size);
        uint64_t at = ring.start;
        uint64_t expected = seen.left + 1;
        const struct event_record *record;
        while ((record = sp__ring_at(&ring, &at)) != NULL) {
            struct read_event read;
            assert_int_equal(record->number, expected);
            sp__record_read(record, &read);
            assert_true(read.event.message[0] == '\0' ||
                        read.event.message[0] == 'a' + (int)(expected % 26));
            at += record->bytes;
            expected++;
        }
        assert_int_equal(expected, number + 1);
    }
    sp__ring_fini(&ring);
}

static void no_memory_is_told(void **state)
{
    struct event_ring ring;
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__ring_init(&ring, 2 * RECORD_MAX), SP_ERR_NOMEM);
    sp__mem_fail_at(0, 0);
    sp__ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_comes_back_whole), TEST(what_is_too_long_is_cut),
        TEST(a_letter_is_not_cut_in_two), TEST(the_oldest_go_first),
        TEST(no_memory_is_told)};
    return cmocka_run_group_tests_name("event_record", tests, NULL, NULL);
}
