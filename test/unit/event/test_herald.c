/* SPDX-License-Identifier: MIT */
/* Telling events, and taps that take them. */
#include "event/herald.h"

#include <string.h>

#include "base/mem.h"
#include "leak.h"

static struct herald herald;
static uint64_t copy[RECORD_MAX / sizeof(uint64_t)];
static struct read_event read_event;

static void tell(int kind, const char *message)
{
    sp__herald_tell(&herald,
                    &(struct tidings){.event = {.kind = kind, .message = message}});
}

static const sp_event *take(struct tap *tap)
{
    if (sp__tap_take(&herald, tap, copy, 1) == 0) {
        return NULL;
    }
    sp__record_read((const void *)copy, &read_event);
    return &read_event.event;
}

static int more;
static void on_more(struct tap *tap)
{
    more++;
}

#define OPEN(name, pattern, history)        \
    struct tap name = {.on_more = on_more}; \
    assert_int_equal(sp__tap_open(&herald, &name, pattern, history, NULL), SP_OK)

static void nobody_wants_and_nothing_is_made(void **state)
{
    sp__herald_init(&herald);
    assert_false(sp__herald_wants(&herald, SP_EVENT_WARNING));
    assert_false(sp__herald_wants(NULL, SP_EVENT_WARNING));
    int64_t before = sp__mem_live();
    tell(SP_EVENT_WARNING, "m");
    sp__herald_tell(NULL, &(struct tidings){.event = {.kind = SP_EVENT_WARNING}});
    assert_int_equal(sp__mem_live(), before);
    sp__herald_fini(&herald);
}

static void a_tap_gets_what_it_wants_in_order(void **state)
{
    sp__herald_init(&herald);
    OPEN(tap, "worker.died,call.dispatched,warning", TAP_FROM_NOW);
    assert_true(sp__herald_wants(&herald, SP_EVENT_CALL_DISPATCHED));
    assert_false(sp__herald_wants(&herald, SP_EVENT_WORKER_READY));
    tell(SP_EVENT_WARNING, "1");
    tell(SP_EVENT_CALL_DISPATCHED, "2");
    tell(SP_EVENT_WORKER_READY, "not wanted");
    tell(SP_EVENT_WORKER_DIED, "3");
    tell(SP_EVENT_CALL_DISPATCHED, "4");
    assert_string_equal(take(&tap)->message, "1");
    assert_string_equal(take(&tap)->message, "2");
    assert_string_equal(take(&tap)->message, "3");
    assert_string_equal(take(&tap)->message, "4");
    assert_null(take(&tap));
    assert_int_equal(tap.delivered, 4);
    assert_int_equal(tap.dropped, 0);
    sp__tap_close(&herald, &tap);
    assert_false(sp__herald_wants(&herald, SP_EVENT_CALL_DISPATCHED));
    assert_int_equal(herald.delivered, 4);
    sp__herald_fini(&herald);
}

static void numbers_and_texts_have_the_names_of_the_row(void **state)
{
    sp__herald_init(&herald);
    OPEN(tap, "worker.recycled", TAP_FROM_NOW);
    sp__herald_tell(&herald,
                    &(struct tidings){.event = {.kind = SP_EVENT_WORKER_RECYCLED,
                                                .pool = "p",
                                                .worker = 5,
                                                .slot = 2,
                                                .pid = 99},
                                      EVENT_NUMBERS(1),
                                      EVENT_TEXTS("ttl", "60", "5000")});
    const sp_event *event = take(&tap);
    assert_int_equal(event->measurements_count, 1);
    assert_string_equal(event->measurements[0].name, "count");
    assert_int_equal(event->metadata_count, 6);
    const char *const expected[][2] = {
        {"pool", "p"},     {"worker", "2"},          {"pid", "99"},
        {"reason", "ttl"}, {"uptime_seconds", "60"}, {"request_count", "5000"}};
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(event->metadata[i].name, expected[i][0]);
        assert_string_equal(event->metadata[i].text, expected[i][1]);
    }
    assert_true(event->time_unix_ms > 0);
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

static void only_an_end_has_an_exit_status(void **state)
{
    sp__herald_init(&herald);
    OPEN(tap, "worker.died,worker.stopped,worker.ready,sessions.pruned", TAP_FROM_NOW);
    static const int kinds[] = {SP_EVENT_WORKER_DIED, SP_EVENT_WORKER_STOPPED,
                                SP_EVENT_WORKER_READY, SP_EVENT_SESSIONS_PRUNED};
    static const int statuses[] = {0, 0, -1, -1};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tell(kinds[i], "m");
        assert_int_equal(take(&tap)->exit_status, statuses[i]);
    }
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

static void a_tap_is_woken_once(void **state)
{
    sp__herald_init(&herald);
    OPEN(tap, "warning", TAP_FROM_NOW);
    more = 0;
    tell(SP_EVENT_WARNING, "it has not asked yet");
    assert_int_equal(more, 0);
    assert_non_null(take(&tap));
    assert_null(take(&tap));
    tell(SP_EVENT_POOL_READY, "not wanted");
    assert_int_equal(more, 0);
    tell(SP_EVENT_WARNING, "a");
    tell(SP_EVENT_WARNING, "b");
    assert_int_equal(more, 1);
    sp__tap_close(&herald, &tap);
    sp__herald_fini(&herald);
}

/* Every event is either taken or counted as lost, and the loss is told once. */
static void a_slow_tap_counts_what_it_loses(void **state)
{
    enum { EVENTS = 20000 };
    sp__herald_init(&herald);
    OPEN(slow, "call.dispatched", TAP_FROM_NOW);
    OPEN(witness, "events.dropped", TAP_FROM_NOW);
    for (int i = 0; i < EVENTS; i++) {
        tell(SP_EVENT_CALL_DISPATCHED, "a call");
    }
    assert_true(slow.dropped > 0);
    uint64_t lost = slow.dropped;
    while (take(&slow) != NULL) {
    }
    assert_int_equal(slow.delivered + slow.dropped, EVENTS);
    assert_int_equal(slow.dropped, lost);

    const sp_event *told = take(&witness);
    assert_non_null(told);
    assert_true(told->measurements[0].value == (double)lost);
    assert_string_equal(told->metadata[0].text, "call.dispatched");
    assert_null(take(&witness));

    for (int i = 0; i < EVENTS; i++) { /* it had caught up: once more */
        tell(SP_EVENT_CALL_DISPATCHED, "a call");
    }
    while (take(&slow) != NULL) {
    }
    assert_non_null(take(&witness));
    assert_null(take(&witness));
    assert_int_equal(slow.delivered + slow.dropped, 2 * EVENTS);
    sp__tap_close(&herald, &slow);
    sp__tap_close(&herald, &witness);
    sp__herald_fini(&herald);
}

/* However many calls there are, a death before them is still there. */
static void what_is_many_pushes_out_nothing_that_is_rare(void **state)
{
    sp__herald_init(&herald);
    assert_int_equal(sp__herald_keep(&herald, (size_t)4 * RECORD_MAX), SP_OK);
    tell(SP_EVENT_WORKER_DIED, "the first");
    OPEN(busy, "call.", TAP_FROM_NOW);
    for (int i = 0; i < 20000; i++) {
        tell(SP_EVENT_CALL_DISPATCHED, "a call");
    }
    OPEN(late, "", TAP_KEPT);
    assert_string_equal(take(&late)->message, "the first");
    assert_null(take(&late));
    OPEN(later, "", TAP_FROM_NOW);
    assert_null(take(&later));
    sp__tap_close(&herald, &busy);
    sp__tap_close(&herald, &late);
    sp__tap_close(&herald, &later);
    sp__herald_fini(&herald);
}

static void a_history_is_bounded(void **state)
{
    sp__herald_init(&herald);
    assert_int_equal(sp__herald_keep(&herald, (size_t)4 * RECORD_MAX), SP_OK);
    int64_t before = sp__mem_live();
    for (int i = 0; i < 100000; i++) {
        tell(SP_EVENT_WORKER_OUTPUT, "a line");
    }
    assert_int_equal(sp__mem_live(), before);
    assert_true(herald.rings[0].end - herald.rings[0].start <= (size_t)4 * RECORD_MAX);
    sp__herald_fini(&herald);
}

static int told;
static void on_told(void *user, const struct event_record *record, void *with)
{
    assert_ptr_equal(user, &herald);
    assert_int_equal(record->kind, SP_EVENT_WARNING);
    assert_true(record->time_unix_ns > 0);
    assert_ptr_equal(with, &told);
    told++;
}

static void the_few_that_matter_are_told_at_once(void **state)
{
    sp__herald_init(&herald);
    herald.on_told = on_told;
    herald.user = &herald;
    told = 0;
    sp__herald_tell(
        &herald, &(struct tidings){.event = {.kind = SP_EVENT_WARNING}, .with = &told});
    tell(SP_EVENT_CALL_DISPATCHED, "");
    tell(SP_EVENT_POOL_INIT_STARTED, "");
    assert_int_equal(told, 1);
    sp__herald_fini(&herald);
}

static void there_are_so_many_taps_and_no_more(void **state)
{
    struct tap taps[TAPS_MAX + 1];
    sp_error err = {0};
    sp__herald_init(&herald);
    for (int i = 0; i < TAPS_MAX; i++) {
        taps[i] = (struct tap){.on_more = on_more};
        assert_int_equal(sp__tap_open(&herald, &taps[i], "", TAP_FROM_NOW, &err),
                         SP_OK);
    }
    taps[TAPS_MAX] = (struct tap){.on_more = on_more};
    assert_int_equal(sp__tap_open(&herald, &taps[TAPS_MAX], "", TAP_FROM_NOW, &err),
                     SP_ERR_QUOTA);
    for (int i = 0; i < TAPS_MAX; i++) {
        sp__tap_close(&herald, &taps[i]);
    }
    sp__mem_fail_at(1, 0);
    struct herald other;
    sp__herald_init(&other);
    assert_int_equal(sp__tap_open(&other, &taps[0], "", TAP_FROM_NOW, &err),
                     SP_ERR_NOMEM);
    sp__mem_fail_at(0, 0);
    sp__herald_fini(&other);
    sp__herald_fini(&herald);
}

static int changes; /* of what is wanted of workers */
static void on_wanted(void *user)
{
    assert_ptr_equal(user, &herald);
    changes++;
}

static void a_change_of_what_workers_shall_make_is_noticed(void **state)
{
    sp__herald_init(&herald);
    herald.user = &herald;
    assert_int_equal(sp__herald_keep(&herald, (size_t)4 * RECORD_MAX), SP_OK);
    changes = 0;
    sp__herald_watch_wanted(&herald, on_wanted);
    OPEN(own, "queue.enqueued,worker.died", TAP_FROM_NOW);
    OPEN(past, "", TAP_KEPT); /* a look at what is kept */
    assert_int_equal(changes, 0);
    OPEN(first, "python.call.stop,tool.", TAP_FROM_NOW);
    assert_int_equal(changes, 1);
    OPEN(second, "python.call.stop", TAP_FROM_NOW);
    assert_int_equal(changes, 1);
    sp__tap_close(&herald, &first);
    assert_int_equal(changes, 2); /* nobody wants tool. any more */
    sp__tap_close(&herald, &own);
    sp__tap_close(&herald, &past);
    assert_int_equal(changes, 2);
    sp__tap_close(&herald, &second);
    assert_int_equal(changes, 3);
    sp__herald_watch_wanted(&herald, NULL);
    OPEN(late, "worker.telemetry", TAP_FROM_NOW);
    sp__tap_close(&herald, &late);
    assert_int_equal(changes, 3);
    sp__herald_fini(&herald);
}

static void what_is_kept_may_be_the_begin_of_all(void **state)
{
    sp__herald_init(&herald);
    assert_int_equal(sp__herald_keep(&herald, 64 * 1024), SP_OK);
    tell(SP_EVENT_WARNING, "before");
    OPEN(kept, "", TAP_KEPT);
    assert_false(sp__herald_wants(&herald, SP_EVENT_REQUEST_EXECUTED));
    OPEN(on, "", TAP_KEPT_ON);
    assert_true(sp__herald_wants(&herald, SP_EVENT_REQUEST_EXECUTED));
    assert_string_equal(take(&on)->message, "before");
    tell(SP_EVENT_REQUEST_EXECUTED, "");
    assert_int_equal(take(&on)->kind, SP_EVENT_REQUEST_EXECUTED);
    assert_string_equal(take(&kept)->message, "before");
    assert_null(take(&kept));
    sp__tap_close(&herald, &kept);
    sp__tap_close(&herald, &on);
    sp__herald_fini(&herald);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_wants_and_nothing_is_made),
        TEST(a_tap_gets_what_it_wants_in_order),
        TEST(numbers_and_texts_have_the_names_of_the_row),
        TEST(only_an_end_has_an_exit_status),
        TEST(a_tap_is_woken_once),
        TEST(a_slow_tap_counts_what_it_loses),
        TEST(what_is_many_pushes_out_nothing_that_is_rare),
        TEST(a_history_is_bounded),
        TEST(what_is_kept_may_be_the_begin_of_all),
        TEST(the_few_that_matter_are_told_at_once),
        TEST(there_are_so_many_taps_and_no_more),
        TEST(a_change_of_what_workers_shall_make_is_noticed)};
    return cmocka_run_group_tests_name("event_herald", tests, NULL, NULL);
}
