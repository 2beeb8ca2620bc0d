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
static struct read_event read_event;

static size_t bytes_of(const sp_event *event)
{
    struct record_plan plan;
    sp__record_plan(&(struct tidings){.event = *event}, &plan);
    return plan.bytes;
}

static struct event_record *write_event(void *place, const sp_event *event)
{
    const struct tidings tidings = {.event = *event};
    struct record_plan plan;
    sp__record_plan(&tidings, &plan);
    return sp__record_write(place, &tidings, &plan);
}

static const sp_event *written(const struct tidings *tidings)
{
    struct record_plan plan;
    sp__record_plan(tidings, &plan);
    assert_true(plan.bytes <= RECORD_MAX);
    sp__record_read(sp__record_write(aligned, tidings, &plan), &read_event);
    return &read_event.event;
}

static void an_event_comes_back_whole(void **state)
{
    const sp_event_measurement measured[] = {{"count", 1}, {"duration_ms", 2.5}};
    const sp_event_metadata metadata[] = {{"reason", "ttl"}, {"more", "m"}};
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
    assert_int_equal(bytes_of(&event) % RECORD_ALIGN, 0);
    struct read_event read;
    sp__record_read(write_event(aligned, &event), &read);
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
    assert_int_equal(read.event.metadata_count, 7);
    assert_string_equal(read.event.metadata[4].text, "ttl");
    assert_string_equal(read.event.metadata[5].text, "m");
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
    assert_true(bytes_of(&event) <= RECORD_MAX);
    struct read_event read;
    sp__record_read(write_event(aligned, &event), &read);
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
    struct read_event read;
    sp__record_read(write_event(aligned, &event), &read);
    assert_int_equal(strlen(read.event.message), 4095);
}

static void what_a_row_names_has_its_names(void **state)
{
    const struct tidings tidings = {.event = {.kind = SP_EVENT_EXECUTE_STOP,
                                              .pool = "p",
                                              .worker = 7,
                                              .slot = 4294967295u,
                                              .pid = 1,
                                              .message = "m"},
                                    EVENT_NUMBERS(1.5, 1),
                                    EVENT_TEXTS("execute", "", "r-1")};
    const sp_event *event = written(&tidings);
    static const char *const wanted[][2] = {{"pool", "p"},
                                            {"worker", "4294967295"},
                                            {"pid", "1"},
                                            {"operation", "execute"},
                                            {"correlation_id", "r-1"},
                                            {"message", "m"}};
    assert_int_equal(event->metadata_count,
                     6); /* those that say nothing are left out */
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(event->metadata[i].name, wanted[i][0]);
        assert_string_equal(event->metadata[i].text, wanted[i][1]);
    }
    assert_int_equal(event->measurements_count, 2);
    assert_true(event->measurements[0].value == 1.5);
    assert_string_equal(event->measurements[0].name,
                        sp_event_info_find("execute.stop")->measurements[0]);
}

static void what_has_names_of_its_own_keeps_them(void **state)
{
    const sp_event_measurement measured[] = {{"mine", 4}};
    sp_event_metadata metadata[EVENT_METADATA];
    for (size_t i = 0; i < EVENT_METADATA; i++) {
        metadata[i] = (sp_event_metadata){"key", "text"};
    }
    const struct tidings tidings = {.event = {.kind = SP_EVENT_TELEMETRY,
                                              .pool = "p",
                                              .worker = 7,
                                              .pid = 2147483647,
                                              .session = "s",
                                              .message = "m",
                                              .measurements = measured,
                                              .measurements_count = 1,
                                              .metadata = metadata,
                                              .metadata_count = EVENT_METADATA}};
    const sp_event *event = written(&tidings);
    assert_int_equal(event->metadata_count, EVENT_METADATA + EVENT_COMMON);
    assert_string_equal(event->metadata[1].text, "0");
    assert_string_equal(event->metadata[2].text, "2147483647");
    assert_string_equal(event->measurements[0].name, "mine");
    assert_string_equal(event->metadata[EVENT_METADATA + 4].name, "message");
    assert_string_equal(event->metadata[EVENT_METADATA + 4].text, "m");
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
        void *place = sp__ring_push(&ring, bytes_of(&event), count_left, &seen);
        write_event(place, &event)->number = number;
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
    const struct CMUnitTest tests[] = {TEST(an_event_comes_back_whole),
                                       TEST(what_is_too_long_is_cut),
                                       TEST(a_letter_is_not_cut_in_two),
                                       TEST(what_a_row_names_has_its_names),
                                       TEST(what_has_names_of_its_own_keeps_them),
                                       TEST(the_oldest_go_first),
                                       TEST(no_memory_is_told)};
    return cmocka_run_group_tests_name("event_record", tests, NULL, NULL);
}
