/* SPDX-License-Identifier: MIT */
/* Events as lines: how much each matters, and where its facts go. */
#include <string.h>

#include "leak.h"
#include "snakepit/log.h"

static char caught[4096];

static void catch_line(int level, sp_bytes line, void *user)
{
    (void)level;
    (void)user;
    assert_true(line.size > 0 && line.size < sizeof caught);
    memcpy(caught, line.data, line.size - 1);
    caught[line.size - 1] = '\0';
}

/* The line of an event, behind its time. */
static const char *line_of(const sp_event *event)
{
    sp_log *log;
    sp_log_options options = {.size = sizeof options,
                              .level = SP_LOG_DEBUG,
                              .format = SP_LOG_LOGFMT,
                              .fd = -1,
                              .on_line = catch_line};
    assert_int_equal(sp_log_open(&options, &log, NULL), SP_OK);
    caught[0] = '\0';
    sp_log_event(event, log);
    sp_log_close(log);
    assert_non_null(strchr(caught, ' '));
    return strchr(caught, ' ') + 1;
}

static const char *failed_with(const char *code)
{
    const sp_event_metadata metadata[] = {{"command", "add"}, {"code", code}};
    const sp_event event = {.kind = SP_EVENT_CALL_FAILED,
                            .pool = "api",
                            .exit_status = -1,
                            .message = "it broke",
                            .metadata = metadata,
                            .metadata_count = 2};
    return line_of(&event);
}

static void a_failed_call_matters_as_its_code_does(void **state)
{
    assert_string_equal(
        failed_with(sp_error_name(SP_ERR_REMOTE)),
        "level=warn msg=\"\\\"add\\\" failed\" event=call.failed pool=api "
        "tool=add code=SP-REMOTE err=\"it broke\"");
    assert_non_null(
        strstr(failed_with(sp_error_name(SP_ERR_PROTOCOL)), "level=error "));
    assert_non_null(strstr(failed_with(sp_error_name(SP_ERR_NO_TOOL)), "level=info "));
    assert_non_null(
        strstr(failed_with(sp_error_name(SP_ERR_CANCELLED)), "level=debug "));
}

static void a_death_is_told_with_how_it_ended(void **state)
{
    const sp_event_metadata metadata[] = {{"pool", "api"}, {"exit_code", "3"}};
    const sp_event_measurement measurements[] = {{"duration_ms", 12}, {"calls", 7}};
    const sp_event event = {.kind = SP_EVENT_WORKER_DIED,
                            .pool = "api",
                            .worker = 9,
                            .slot = 0,
                            .pid = 4121,
                            .exit_status = 3,
                            .duration_ms = 12,
                            .message = "gone",
                            .measurements = measurements,
                            .measurements_count = 2,
                            .metadata = metadata,
                            .metadata_count = 2};
    assert_string_equal(line_of(&event),
                        "level=warn msg=gone event=worker.died pool=api worker=0 "
                        "pid=4121 dur_ms=12 exit=3 calls=7");
}

static void what_a_worker_reports_is_under_its_own_name(void **state)
{
    const sp_event_metadata metadata[] = {{"event", "cache.hit"}, {"level", "high"}};
    const sp_event event = {.kind = SP_EVENT_TELEMETRY,
                            .pool = "api",
                            .exit_status = -1,
                            .message = "cache.hit",
                            .metadata = metadata,
                            .metadata_count = 2};
    assert_string_equal(line_of(&event),
                        "level=debug msg=cache.hit event=worker.telemetry pool=api "
                        "reported=cache.hit level_=high");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_failed_call_matters_as_its_code_does),
        TEST(a_death_is_told_with_how_it_ended),
        TEST(what_a_worker_reports_is_under_its_own_name),
    };
    return cmocka_run_group_tests_name("log_events", tests, NULL, NULL);
}
