/* SPDX-License-Identifier: MIT */
/* Records of calls: what is kept, what a slow reader misses, and how many are picked. */
#include "pool/spans.h"

#include <pthread.h>
#include <string.h>

#include "leak.h"

enum { KEPT = 4096, READ_MAX = 256 };

static struct spans *limited(int records, uint32_t sample, uint32_t rate)
{
    struct spans *spans = NULL;
    sp_error err = {0};
    assert_int_equal(sp__spans_new(records, sample, rate, &spans, &err), SP_OK);
    return spans;
}

static struct spans *make(int records, uint32_t sample)
{
    return limited(records, sample, 0);
}

static void put(struct spans *spans, enum span_kind kind, uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n; i++) {
        sp__spans_put(spans, &(struct span_record){.kind = kind, .call = i});
    }
}

/* All that is there: how many, and the first of them. */
static uint64_t read_all(struct spans *spans, struct span_cursor *cursor,
                         uint64_t *ret_first, uint64_t *ret_lost)
{
    static struct span_record records[READ_MAX];
    uint64_t total = 0;
    size_t count;
    *ret_lost = 0;
    do {
        uint64_t lost;
        count = sp__spans_read(spans, cursor, records, READ_MAX, &lost);
        *ret_lost += lost;
        if (total == 0 && count > 0) {
            *ret_first = records[0].call;
        }
        for (size_t i = 1; i < count; i++) {
            assert_int_equal(records[i].call, records[i - 1].call + 1);
        }
        total += count;
    } while (count > 0);
    return total;
}

static void two_readers_each_see_everything_once(void **state)
{
    (void)state;
    struct spans *spans = make(1, 0);
    struct span_cursor one = {0};
    struct span_cursor other = {0};
    uint64_t first = 0;
    uint64_t lost;
    put(spans, SPAN_CALL, 1, 300);
    assert_int_equal(read_all(spans, &one, &first, &lost), 300);
    assert_int_equal(first, 1);
    put(spans, SPAN_CALL, 301, 7);
    assert_int_equal(read_all(spans, &one, &first, &lost), 7);
    assert_int_equal(first, 301);
    assert_int_equal(read_all(spans, &other, &first, &lost), 307);
    assert_int_equal(lost, 0);
    sp__spans_drop(spans);
}

static void a_slow_reader_is_told_what_it_missed(void **state)
{
    (void)state;
    struct spans *spans = make(1, 0);
    struct span_cursor cursor = {0};
    uint64_t first = 0;
    uint64_t lost;
    put(spans, SPAN_CALL, 1, KEPT + 1000);
    assert_int_equal(read_all(spans, &cursor, &first, &lost), KEPT);
    assert_int_equal(lost, 1000);
    assert_int_equal(first, 1001);
    sp__spans_drop(spans);
}

static void calls_do_not_push_out_starts(void **state)
{
    (void)state;
    struct spans *spans = make(1, 0);
    struct span_cursor cursor = {0};
    struct span_record record;
    uint64_t lost;
    put(spans, SPAN_START, 77, 1);
    put(spans, SPAN_CALL, 1, 2 * KEPT);
    assert_int_equal(sp__spans_read(spans, &cursor, &record, 1, &lost), 1);
    assert_int_equal(record.kind, SPAN_START);
    assert_int_equal(record.call, 77);
    sp__spans_drop(spans);
}

static void without_records_starts_alone_are_kept(void **state)
{
    (void)state;
    struct spans *spans = make(0, 1000);
    struct span_cursor cursor = {0};
    uint64_t first = 0;
    uint64_t lost;
    put(spans, SPAN_CALL, 1, 10);
    put(spans, SPAN_START, 5, 2);
    assert_int_equal(read_all(spans, &cursor, &first, &lost), 2);
    assert_int_equal(first, 5);
    assert_int_equal(lost, 0);
    for (int i = 0; i < 1000; i++) {
        assert_false(sp__spans_picks(spans));
    }
    sp__spans_drop(spans);
}

static void as_many_are_picked_as_were_asked_for(void **state)
{
    (void)state;
    static const uint32_t samples[] = {0, 1, 100, 500, 999, 1000};
    for (size_t s = 0; s < sizeof samples / sizeof samples[0]; s++) {
        enum { ROUNDS = 100000 };
        struct spans *spans = make(1, samples[s]);
        uint32_t picked = 0;
        for (int i = 0; i < ROUNDS; i++) {
            picked += sp__spans_picks(spans) != 0;
        }
        uint32_t wanted = samples[s] * (ROUNDS / 1000);
        if (samples[s] == 0 || samples[s] == 1000) {
            assert_int_equal(picked, wanted);
        } else {
            /* Ten standard deviations at the most: never by chance. */
            assert_in_range(picked, wanted > 1600 ? wanted - 1600 : 0, wanted + 1600);
        }
        sp__spans_drop(spans);
    }
}

/* Begun in a second in which somebody asks every ten microseconds. */
static uint32_t admitted(struct spans *spans, uint64_t *now_us)
{
    uint32_t count = 0;
    for (uint64_t end_us = *now_us + 1000000; *now_us < end_us; *now_us += 10) {
        count += sp__spans_admit(spans, *now_us) != 0;
    }
    return count;
}

static void no_more_begin_in_a_second_than_may(void **state)
{
    (void)state;
    static const uint32_t rates[] = {1, 7, 1000, 100000};
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        struct spans *spans = limited(1, 1000, rates[r]);
        uint64_t now_us = 5000000;
        uint32_t first = admitted(spans, &now_us);
        assert_in_range(first, rates[r], rates[r] + rates[r] / 10 + 1);
        uint32_t more = admitted(spans, &now_us);
        assert_in_range(more, rates[r] - rates[r] / 100, rates[r] + rates[r] / 100);
        now_us += 3600ull * 1000000; /* a quiet hour saves nothing up */
        assert_in_range(admitted(spans, &now_us), rates[r],
                        rates[r] + rates[r] / 10 + 1);
        sp__spans_drop(spans);
    }
}

static void those_that_may_begin_are_spread_over_the_second(void **state)
{
    (void)state;
    struct spans *spans = limited(1, 1000, 100);
    uint64_t now_us = 5000000;
    uint64_t last_us = 0;
    (void)admitted(spans, &now_us); /* what may come at once is over */
    for (uint64_t end_us = now_us + 1000000; now_us < end_us; now_us += 10) {
        if (sp__spans_admit(spans, now_us)) {
            assert_true(last_us == 0 || now_us - last_us >= 9990);
            last_us = now_us;
        }
    }
    assert_true(last_us != 0);
    sp__spans_drop(spans);
}

static void *wait_for_three(void *user)
{
    struct spans *spans = user;
    struct span_cursor cursor = {0};
    intptr_t rc = sp__spans_wait(spans, &cursor, 3, 60000);
    return (void *)rc;
}

static void who_waits_wakes_when_enough_came_or_it_is_hurried(void **state)
{
    (void)state;
    struct spans *spans = make(1, 0);
    struct span_cursor cursor = {0};
    pthread_t thread;
    void *answer;
    assert_int_equal(sp__spans_wait(spans, &cursor, 1, 1), 1); /* the time is over */
    assert_int_equal(pthread_create(&thread, NULL, wait_for_three, spans), 0);
    put(spans, SPAN_CALL, 1, 3);
    assert_int_equal(pthread_join(thread, &answer), 0);
    assert_int_equal((intptr_t)answer, 1);
    cursor.calls = 3;
    sp__spans_hurry(spans);
    assert_int_equal(sp__spans_wait(spans, &cursor, 1, 60000), 0);
    sp__spans_drop(spans);
}

static void names_are_cut_between_characters(void **state)
{
    (void)state;
    char name[6];
    sp__span_put_name(name, sizeof name, "short");
    assert_string_equal(name, "short");
    sp__span_put_name(name, sizeof name, "longer");
    assert_string_equal(name, "longe");
    sp__span_put_name(name, sizeof name, "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(name, "gr\xc3\xbc");
    sp__span_put_name(name, sizeof name, "");
    assert_string_equal(name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_readers_each_see_everything_once),
        TEST(a_slow_reader_is_told_what_it_missed),
        TEST(calls_do_not_push_out_starts),
        TEST(without_records_starts_alone_are_kept),
        TEST(as_many_are_picked_as_were_asked_for),
        TEST(no_more_begin_in_a_second_than_may),
        TEST(those_that_may_begin_are_spread_over_the_second),
        TEST(who_waits_wakes_when_enough_came_or_it_is_hurried),
        TEST(names_are_cut_between_characters),
    };
    return cmocka_run_group_tests_name("spans", tests, NULL, NULL);
}
