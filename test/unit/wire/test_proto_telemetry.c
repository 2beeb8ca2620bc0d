/* SPDX-License-Identifier: MIT */
/* Telemetry: events there and back, the controls, and all of it without memory. */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "leak.h"
#include "proto_bytes.h"
#include "snakepit/bridge.pb-c.h"

static const char *const metadata[] = {"tool", "add", "worker", "w1", NULL};
static const struct proto_measure measures[] = {
    {.name = "duration_ms", .kind = MEASURE_INTEGER, .integer = 12},
    {.name = "share", .kind = MEASURE_REAL, .real = 0.5},
    {.name = "model", .kind = MEASURE_TEXT, .text = "small"}};
static const struct proto_telemetry an_event = {.event = "tool.execution.stop",
                                                .measures = measures,
                                                .measures_count = 3,
                                                .metadata = metadata,
                                                .unix_ns = 99,
                                                .correlation_id = "c"};

static void events_are_packed(void **state)
{
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_telemetry(&out, &an_event, NULL), SP_OK);
    Snakepit__Bridge__TelemetryEvent *got =
        snakepit__bridge__telemetry_event__unpack(NULL, out.size, out.data);
    assert_int_equal(got->n_event_parts, 3);
    assert_string_equal(got->event_parts[0], "tool");
    assert_string_equal(got->event_parts[2], "stop");
    assert_int_equal(got->n_measurements, 3);
    assert_string_equal(got->measurements[0]->key, "duration_ms");
    assert_int_equal(got->measurements[0]->value->int_value, 12);
    assert_true(got->measurements[1]->value->float_value == 0.5);
    assert_string_equal(got->measurements[2]->value->string_value, "small");
    assert_int_equal(got->n_metadata, 2);
    assert_string_equal(got->metadata[1]->key, "worker");
    assert_string_equal(got->metadata[1]->value, "w1");
    assert_int_equal(got->timestamp_ns, 99);
    assert_string_equal(got->correlation_id, "c");
    snakepit__bridge__telemetry_event__free_unpacked(got, NULL);

    const struct proto_telemetry bare = {.event = "beat"};
    out.size = 0;
    assert_int_equal(sp__proto_put_telemetry(&out, &bare, NULL), SP_OK);
    got = snakepit__bridge__telemetry_event__unpack(NULL, out.size, out.data);
    assert_int_equal(got->n_event_parts, 1);
    assert_int_equal(got->n_measurements, 0);
    assert_int_equal(got->n_metadata, 0);
    snakepit__bridge__telemetry_event__free_unpacked(got, NULL);
    sp__buf_fini(&out);
}

static void events_are_read(void **state)
{
    struct proto_telemetry_event read;
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_telemetry(&out, &an_event, NULL), SP_OK);
    assert_int_equal(sp__proto_get_telemetry_event(out.data, out.size, &read, NULL), 0);
    assert_string_equal(read.name, "tool.execution.stop");
    assert_int_equal(read.unix_ns, 99);
    assert_int_equal(read.numbers_count, 2);
    assert_string_equal(read.numbers[0].name, "duration_ms");
    assert_true(read.numbers[0].value == 12);
    assert_true(read.numbers[1].value == 0.5);
    assert_int_equal(read.texts_count, 4); /* with a measurement that is a text */
    assert_string_equal(read.texts[0].name, "model");
    assert_string_equal(read.texts[0].text, "small");
    assert_string_equal(read.texts[2].text, "w1");
    assert_string_equal(read.texts[3].name, "correlation_id");
    assert_int_equal(sp__proto_get_telemetry_event(out.data, 3, &read, NULL),
                     SP_ERR_PROTOCOL);
    sp__buf_fini(&out);
}

static void control_characters_are_not_passed_on(void **state)
{
    struct proto_telemetry_event read;
    struct sp_buffer out = buffer();
    const char *const pairs[] = {"k\x1b[2J", "line\nbreak", NULL};
    const struct proto_telemetry evil = {.event = "a\tb", .metadata = pairs};
    assert_int_equal(sp__proto_put_telemetry(&out, &evil, NULL), SP_OK);
    assert_int_equal(sp__proto_get_telemetry_event(out.data, out.size, &read, NULL), 0);
    assert_string_equal(read.name, "a?b");
    assert_string_equal(read.texts[0].name, "k?[2J");
    assert_string_equal(read.texts[0].text, "line?break");
    sp__buf_fini(&out);
}

static void what_is_too_much_is_cut_or_left_out(void **state)
{
    static struct proto_telemetry_event read;
    static char name[400];
    static char text[TELEMETRY_TEXT + 2];
    const char *pairs[2 * TELEMETRY_TEXTS + 5] = {0};
    struct proto_measure numbers[TELEMETRY_NUMBERS + 1];
    struct sp_buffer out = buffer();
    memset(name, 'n', sizeof name - 1);
    memset(text, 'x', sizeof text - 1);
    memcpy(text + TELEMETRY_TEXT - 1, "\xc3\xbc", 2); /* would be cut in two */
    for (size_t i = 0; i < TELEMETRY_TEXTS + 2; i++) {
        pairs[2 * i] = "k";
        pairs[2 * i + 1] = text;
    }
    for (size_t i = 0; i < TELEMETRY_NUMBERS + 1; i++) {
        numbers[i] = (struct proto_measure){
            .name = "m", .kind = MEASURE_INTEGER, .integer = -(int64_t)i};
    }
    const struct proto_telemetry event = {.event = name,
                                          .metadata = pairs,
                                          .measures = numbers,
                                          .measures_count = TELEMETRY_NUMBERS + 1};
    assert_int_equal(sp__proto_put_telemetry(&out, &event, NULL), SP_OK);
    assert_int_equal(sp__proto_get_telemetry_event(out.data, out.size, &read, NULL), 0);
    assert_int_equal(strlen(read.name), TELEMETRY_NAME - 1);
    assert_int_equal(read.numbers_count, TELEMETRY_NUMBERS);
    assert_true(read.numbers[TELEMETRY_NUMBERS - 1].value == -TELEMETRY_NUMBERS + 1);
    assert_int_equal(read.texts_count, TELEMETRY_TEXTS);
    assert_int_equal(strlen(read.texts[0].text), TELEMETRY_TEXT - 1);
    assert_true(read.used < sizeof read.room);
    assert_true(strlen(read.texts[TELEMETRY_TEXTS - 1].text) < TELEMETRY_TEXT - 1);
    sp__buf_fini(&out);
}

/* Whatever is cut off or turned over: read, or refused. */
static void broken_events_are_read_or_refused(void **state)
{
    static struct proto_telemetry_event read;
    struct sp_buffer out = buffer();
    assert_int_equal(sp__proto_put_telemetry(&out, &an_event, NULL), SP_OK);
    int refused = 0;
    for (size_t size = 0; size < out.size; size++) {
        uint8_t *copy = sp__malloc(size == 0 ? 1 : size); /* so that too much is seen */
        memcpy(copy, out.data, size);
        int rc = sp__proto_get_telemetry_event(copy, size, &read, NULL);
        assert_true(rc == SP_OK || rc == SP_ERR_PROTOCOL);
        refused += rc != SP_OK;
        sp__free(copy);
    }
    assert_true(refused > (int)out.size / 2);
    for (size_t bit = 0; bit < 8 * out.size; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int rc = sp__proto_get_telemetry_event(out.data, out.size, &read, NULL);
        assert_true(rc == SP_OK || rc == SP_ERR_PROTOCOL);
        out.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    sp__buf_fini(&out);
}

static struct proto_control read_control(const void *data, size_t size)
{
    struct proto_control control;
    assert_int_equal(sp__proto_get_control(data, size, &control, NULL), SP_OK);
    return control;
}

#define READ(bytes) read_control(bytes, sizeof(bytes) - 1)

static void toggles_and_rates_are_read(void **state)
{
    struct proto_control control = READ("\x0a\x02\x08\x01");
    assert_int_equal(control.enabled, 1);
    assert_true(control.rate < 0 && !control.is_filter);
    sp__proto_control_fini(&control);
    control = READ("\x0a\x00");
    assert_int_equal(control.enabled, 0);
    sp__proto_control_fini(&control);
    control = READ("\x12\x09\x09\x00\x00\x00\x00\x00\x00\xe0\x3f");
    assert_int_equal(control.enabled, -1);
    assert_true(control.rate == 0.5 && control.patterns_count == 0);
    sp__proto_control_fini(&control);
    control = READ("\x12\x0e\x09\x00\x00\x00\x00\x00\x00\x00\x40\x12\x03"
                   "a.*");
    assert_true(control.rate == 1);
    assert_int_equal(control.patterns_count, 1);
    assert_string_equal(control.patterns[0], "a.*");
    sp__proto_control_fini(&control);
    sp__proto_control_fini(&control); /* a second time is fine */
}

static void filters_are_read(void **state)
{
    struct proto_control control = READ("\x1a\x0b\x0a\x03"
                                        "a.*\x12\x01"
                                        "b\x12\x01"
                                        "c");
    assert_int_equal(control.is_filter, 1);
    assert_int_equal(control.enabled, -1);
    assert_true(control.rate < 0);
    assert_int_equal(control.allow_count, 1);
    assert_string_equal(control.allow[0], "a.*");
    assert_int_equal(control.deny_count, 2);
    assert_string_equal(control.deny[1], "c");
    sp__proto_control_fini(&control);
    control = READ(""); /* of a later version, perhaps */
    assert_true(control.enabled < 0 && control.rate < 0 && !control.is_filter);
    sp__proto_control_fini(&control);
    assert_int_equal(sp__proto_get_control((const uint8_t *)"\x0a", 1, &control, NULL),
                     SP_ERR_PROTOCOL);
}

/* What is written of a wish is what is read. */
static void wishes_go_there_and_back(void **state)
{
    static const char *const names[] = {"a.*", "b", "c"};
    char *const *texts = (char *const *)(uintptr_t)names;
    struct sp_buffer out = buffer();
    struct proto_control wish = {.enabled = 1, .rate = -1};
    assert_int_equal(sp__proto_put_control(&out, &wish, NULL), SP_OK);
    struct proto_control control = read_control(out.data, out.size);
    assert_int_equal(control.enabled, 1);
    sp__proto_control_fini(&control);
    wish = (struct proto_control){
        .enabled = -1, .rate = 0.25, .patterns = texts, .patterns_count = 2};
    out.size = 0;
    assert_int_equal(sp__proto_put_control(&out, &wish, NULL), SP_OK);
    control = read_control(out.data, out.size);
    assert_true(control.rate == 0.25 && !control.is_filter && control.enabled == -1);
    assert_int_equal(control.patterns_count, 2);
    assert_string_equal(control.patterns[1], "b");
    sp__proto_control_fini(&control);
    wish = (struct proto_control){.enabled = -1,
                                  .rate = -1,
                                  .is_filter = 1,
                                  .allow = texts,
                                  .allow_count = 2,
                                  .deny = texts + 2,
                                  .deny_count = 1};
    out.size = 0;
    assert_int_equal(sp__proto_put_control(&out, &wish, NULL), SP_OK);
    control = read_control(out.data, out.size);
    assert_int_equal(control.is_filter, 1);
    assert_int_equal(control.allow_count, 2);
    assert_int_equal(control.deny_count, 1);
    assert_string_equal(control.allow[0], "a.*");
    assert_string_equal(control.deny[0], "c");
    sp__proto_control_fini(&control);
    sp__buf_fini(&out);
}

static void both_survive_lack_of_memory(void **state)
{
    static const uint8_t filter[] = "\x1a\x05\x0a\x03"
                                    "a.*";
    sp_error err = {0};
    for (uint64_t n = 1; n < 20; n++) {
        struct sp_buffer out = buffer();
        struct proto_control control = {.enabled = 0};
        sp__mem_fail_at(n, 0);
        int rc = sp__proto_put_telemetry(&out, &an_event, &err);
        if (rc == SP_OK) {
            rc = sp__proto_get_control(filter, sizeof filter - 1, &control, &err);
        }
        sp__mem_fail_at(0, 0);
        assert_true(rc == SP_OK || rc == SP_ERR_NOMEM);
        if (rc == SP_OK) {
            assert_true(n > 2);
        }
        sp__proto_control_fini(&control);
        sp__buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_are_packed),
        TEST(events_are_read),
        TEST(control_characters_are_not_passed_on),
        TEST(what_is_too_much_is_cut_or_left_out),
        TEST(broken_events_are_read_or_refused),
        TEST(toggles_and_rates_are_read),
        TEST(filters_are_read),
        TEST(wishes_go_there_and_back),
        TEST(both_survive_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
