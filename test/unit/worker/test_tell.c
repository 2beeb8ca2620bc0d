/* SPDX-License-Identifier: MIT */
/* What a worker reports of itself: which event it becomes, and what of it is kept. */
#include <stdio.h>
#include <string.h>

#include "leak.h"
#include "worker/internal.h"

static struct herald herald;
static struct worker_spec spec = {.pool = "api"};
static struct workshop shop = {.herald = &herald};
static struct worker worker = {
    .shop = &shop, .spec = &spec, .id = 7, .public_slot = 1, .pid = 4121};
static uint64_t copy[RECORD_MAX / sizeof(uint64_t)];
static struct read_event heard;

static void on_more(struct tap *tap)
{
}

/* Report an event with a measurement of a known name and one of another. */
static const sp_event *report(struct tap *tap, const char *name)
{
    struct proto_telemetry_event event = {
        .numbers = {{"duration_ms", 1.5}, {"moods", 2}},
        .numbers_count = 2,
        .texts = {{"model", "small"}, {"session_id", "s7"}},
        .texts_count = 2};
    (void)snprintf(event.name, sizeof event.name, "%s", name);
    sp__worker_tell_own(&worker, &event);
    if (sp__tap_take(&herald, tap, copy, 1) == 0) {
        return NULL;
    }
    sp__record_read((const void *)copy, &heard);
    return &heard.event;
}

static const char *text_of(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->metadata_count; i++) {
        if (strcmp(event->metadata[i].name, name) == 0) {
            return event->metadata[i].text;
        }
    }
    return "";
}

static void open_tap(struct tap *tap)
{
    sp__herald_init(&herald);
    *tap = (struct tap){.on_more = on_more};
    assert_int_equal(sp__tap_open(&herald, tap, "", TAP_FROM_NOW, NULL), SP_OK);
}

static void close_tap(struct tap *tap)
{
    sp__tap_close(&herald, tap);
    sp__herald_fini(&herald);
}

static void one_of_the_table_is_that_event(void **state)
{
    struct tap tap;
    open_tap(&tap);
    const sp_event *event = report(&tap, "python.tool.execution.stop");
    assert_int_equal(event->kind, SP_EVENT_TOOL_EXECUTION_STOP);
    assert_string_equal(event->name, "tool.execution.stop");
    assert_string_equal(event->pool, "api");
    assert_int_equal(event->pid, 4121);
    assert_int_equal(event->exit_status, -1);
    assert_int_equal(event->measurements_count, 1);
    assert_string_equal(event->measurements[0].name, "duration_ms");
    assert_string_equal(text_of(event, "model"), "small");
    assert_string_equal(event->session, "s7");
    assert_string_equal(text_of(event, "session"), "s7");
    assert_string_equal(text_of(event, "session_id"), "");
    close_tap(&tap);
}

static void any_other_is_its_own(void **state)
{
    struct tap tap;
    open_tap(&tap);
    const sp_event *event = report(&tap, "cache.hit");
    assert_int_equal(event->kind, SP_EVENT_TELEMETRY);
    assert_string_equal(text_of(event, "event"), "cache.hit");
    assert_string_equal(event->message,
                        "cache.hit duration_ms=1.5 moods=2 model=small session_id=s7");
    close_tap(&tap);
}

/* User code does not tell the operator how the pit is. */
static void what_only_the_pit_can_know_is_not_believed(void **state)
{
    static const char *const names[] = {"store.failed", "worker.died",
                                        "snakepit.guard.ready", "breaker.opened",
                                        "queue.enqueued"};
    struct tap tap;
    open_tap(&tap);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const sp_event *event = report(&tap, names[i]);
        assert_int_equal(event->kind, SP_EVENT_TELEMETRY);
        assert_string_equal(text_of(event, "event"), names[i]);
    }
    close_tap(&tap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_of_the_table_is_that_event),
        TEST(any_other_is_its_own),
        TEST(what_only_the_pit_can_know_is_not_believed),
    };
    return cmocka_run_group_tests_name("worker_tell", tests, NULL, NULL);
}
