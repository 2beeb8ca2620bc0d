/* SPDX-License-Identifier: MIT */
/* Records become lines: their order, their forms, their way out, and what is kept. */
#include "snakepit/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "log/facts.h"
#include "wire/json.h"

/* ---- a log whose lines are caught ---- */

enum { CAUGHT_BYTES = 256 * 1024 };

struct rig {
    sp_log *log;
    char caught[CAUGHT_BYTES];
    size_t size;
    unsigned lines;
    int level; /* of the last */
};

static void catch_line(int level, sp_bytes line, void *user)
{
    struct rig *rig = user;
    assert_true(rig->size + line.size < sizeof rig->caught);
    memcpy(rig->caught + rig->size, line.data, line.size);
    rig->size += line.size;
    rig->caught[rig->size] = '\0';
    rig->lines++;
    rig->level = level;
    assert_ptr_equal(memchr(line.data, '\n', line.size),
                     (const char *)line.data + line.size - 1);
}

static struct rig rig;

static sp_log *open_log(sp_log_options options)
{
    rig = (struct rig){0};
    options.size = sizeof options;
    options.fd = -1;
    options.on_line = catch_line;
    options.user_data = &rig;
    assert_int_equal(sp_log_open(&options, &rig.log, NULL), 0);
    return rig.log;
}

static const sp_log_field more[] = {{"stream", "stderr"}, {"db_password", "hunter2"}};

static const sp_log_record full = {
    .size = sizeof full,
    .level = SP_LOG_WARN,
    .event = "call.failed",
    .message = "it \"failed\"\nbadly",
    .time_unix_ms = 1795802430114,
    .pool = "api",
    .has_worker = 1,
    .worker = 0,
    .pid = 4121,
    .generation = 3,
    .session = "u-42",
    .call = 77,
    .tool = "embed",
    .duration_ms = 3200,
    .code = "SP-TIMEOUT",
    .error = "password=hunter2 was wrong",
    .node = "n1",
    .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
    .fields = more,
    .fields_count = 2,
};

/* ---- forms ---- */

static void logfmt_has_every_key_in_its_order(void **state)
{
    sp_log *log = open_log((sp_log_options){.format = SP_LOG_LOGFMT});
    sp_log_write(log, &full);
    assert_string_equal(
        rig.caught,
        "ts=2026-11-27T18:00:30.114Z level=warn msg=\"it \\\"failed\\\"\\nbadly\" "
        "event=call.failed pool=api worker=0 pid=4121 gen=3 session=u-42 call=77 "
        "tool=embed dur_ms=3200 code=SP-TIMEOUT err=\"password=[redacted] was wrong\" "
        "node=n1 trace_id=4bf92f3577b34da6a3ce929d0e0e4736 stream=stderr "
        "db_password=[redacted]\n");
    assert_int_equal(rig.level, SP_LOG_WARN);
    sp_log_close(log);
}

static void json_has_the_same_in_the_same_order(void **state)
{
    sp_log *log = open_log((sp_log_options){.format = SP_LOG_JSON});
    sp_log_write(log, &full);
    assert_string_equal(
        rig.caught,
        "{\"ts\":\"2026-11-27T18:00:30.114Z\",\"level\":\"warn\",\"msg\":\"it "
        "\\\"failed\\\"\\nbadly\",\"event\":\"call.failed\",\"pool\":\"api\","
        "\"worker\":0,"
        "\"pid\":4121,\"gen\":3,\"session\":\"u-42\",\"call\":77,\"tool\":\"embed\","
        "\"dur_ms\":3200,\"code\":\"SP-TIMEOUT\",\"err\":\"password=[redacted] was "
        "wrong\","
        "\"node\":\"n1\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"stream\":"
        "\"stderr\",\"db_password\":\"[redacted]\"}\n");
    sp_log_close(log);
}

/* Names that a worker thought of neither end a line, nor leave their quotes, nor pass for
 * what the line says itself. */
static void any_name_of_a_field_is_one_name(void **state)
{
    static const sp_log_field fields[] = {{"a\",\"level\":\"error", "1"},
                                          {"b\nlevel=error c", "2"},
                                          {"level", "3"},
                                          {"event", "4"},
                                          {"event", "5"},
                                          {"error.type-2", "6"}};
    sp_log_record record = {.size = sizeof record,
                            .level = SP_LOG_INFO,
                            .event = "worker.telemetry",
                            .time_unix_ms = 1795802430114,
                            .fields = fields,
                            .fields_count = 6};
    sp_log *log = open_log((sp_log_options){.format = SP_LOG_JSON});
    sp_log_write(log, &record);
    assert_string_equal(
        rig.caught, "{\"ts\":\"2026-11-27T18:00:30.114Z\",\"level\":\"info\",\"event\":"
                    "\"worker.telemetry\",\"a___level___error\":\"1\","
                    "\"b_level_error_c\":\"2\",\"level_\":\"3\",\"event_\":\"4\","
                    "\"event__\":\"5\",\"error.type-2\":\"6\"}\n");
    sp_log_close(log);
    log = open_log((sp_log_options){.format = SP_LOG_LOGFMT});
    sp_log_write(log, &record);
    assert_string_equal(rig.caught,
                        "ts=2026-11-27T18:00:30.114Z level=info event=worker.telemetry "
                        "a___level___error=1 b_level_error_c=2 level_=3 event_=4 "
                        "event__=5 error.type-2=6\n");
    sp_log_close(log);
}

static void a_long_name_of_a_field_is_cut(void **state)
{
    char name[400];
    char wanted[100];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const sp_log_field field = {name, "1"};
    sp_log_record record = {.size = sizeof record,
                            .level = SP_LOG_INFO,
                            .message = "m",
                            .fields = &field,
                            .fields_count = 1};
    sp_log *log = open_log((sp_log_options){.format = SP_LOG_JSON});
    sp_log_write(log, &record);
    (void)snprintf(wanted, sizeof wanted, ",\"%.64s\":\"1\"}\n", name);
    assert_non_null(strstr(rig.caught, wanted));
    sp_log_close(log);
}

static void text_begins_with_what_people_read(void **state)
{
    sp_log *log = open_log((sp_log_options){.format = SP_LOG_TEXT});
    sp_log_record record = {.size = sizeof record,
                            .level = SP_LOG_INFO,
                            .event = "worker.ready",
                            .message = "ready\x1b[31m",
                            .time_unix_ms = 1795802430114,
                            .pool = "a b"};
    sp_log_write(log, &record);
    assert_string_equal(rig.caught, "2026-11-27 18:00:30.114Z info  ready?[31m "
                                    "event=worker.ready pool=\"a b\"\n");
    sp_log_close(log);
}

static void what_matters_less_is_left_out(void **state)
{
    for (int most = SP_LOG_ERROR; most <= SP_LOG_DEBUG; most++) {
        sp_log *log = open_log((sp_log_options){.level = most});
        for (int level = SP_LOG_ERROR; level <= SP_LOG_DEBUG; level++) {
            sp_log_record record = {
                .size = sizeof record, .level = level, .event = "x"};
            sp_log_write(log, &record);
        }
        assert_int_equal(rig.lines, most);
        assert_int_equal(sp_log_level(sp_log_level_name(most)), most);
        sp_log_close(log);
    }
    assert_int_equal(sp_log_level("loud"), 0);
    assert_string_equal(sp_log_level_name(9), "");
}

/* Whatever bytes a worker prints: one line, valid JSON and UTF-8, and never too long. */
static void any_bytes_make_one_line(void **state)
{
    uint64_t seed = 7;
    sp_log *json =
        open_log((sp_log_options){.format = SP_LOG_JSON, .rate_lines = UINT32_MAX});
    char *text = malloc(20001);
    assert_non_null(text);
    for (unsigned round = 0; round < 3000; round++) {
        size_t size = round % 100 == 0 ? 20000 : round % 64;
        for (size_t i = 0; i < size; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[i] = (char)(1 + (seed >> 33) % 255);
        }
        text[size] = '\0';
        sp_log_record record = {.size = sizeof record,
                                .level = SP_LOG_INFO,
                                .event = "worker.output",
                                .message = text,
                                .session = text,
                                .tool = text,
                                .error = text};
        rig.size = 0;
        sp_log_write(json, &record);
        assert_int_equal(sp__json_read(rig.caught, rig.size - 1, SP__JSON_DEPTH_MAX,
                                       NULL, NULL, NULL),
                         0);
        assert_true(sp__json_is_utf8(rig.caught, rig.size));
    }
    free(text);
    sp_log_close(json);
}

static void a_value_too_long_is_cut_and_the_rest_is_there(void **state)
{
    static char text[100000];
    memset(text, 'a', sizeof text - 1);
    sp_log *log = open_log((sp_log_options){.format = SP_LOG_LOGFMT});
    sp_log_record record = {
        .size = sizeof record, .level = SP_LOG_INFO, .message = text, .event = "x"};
    sp_log_write(log, &record);
    assert_true(rig.size > VALUE_BYTES && rig.size < 2 * VALUE_BYTES);
    assert_non_null(strstr(rig.caught, " event=x\n"));
    sp_log_close(log);
}

/* ---- limits ---- */

static void write_kind(sp_log *log, const char *event, uint32_t worker, unsigned lines)
{
    sp_log_record record = {.size = sizeof record,
                            .level = SP_LOG_INFO,
                            .event = event,
                            .pool = "p",
                            .has_worker = 1,
                            .worker = worker};
    for (unsigned i = 0; i < lines; i++) {
        sp_log_write(log, &record);
    }
}

static void a_flood_is_cut_and_its_rest_counted(void **state)
{
    sp_log *log = open_log((sp_log_options){
        .format = SP_LOG_LOGFMT, .rate_lines = 10, .rate_interval_ms = 3600000});
    write_kind(log, "worker.output", 0, 1000);
    write_kind(log, "worker.output", 1, 10);
    write_kind(log, "call.failed", 0, 12);
    write_kind(log, "call.failed", 1, 12);
    assert_int_equal(rig.lines, 30);
    sp_log_close(log); /* tells what is owed */
    assert_int_equal(rig.lines, 32);
    assert_non_null(strstr(rig.caught, "event=log.dropped of=\"worker.output p/0\" "
                                       "dropped=990\n"));
    assert_non_null(strstr(rig.caught, "of=call.failed dropped=14\n"));
    assert_int_equal(rig.level, SP_LOG_WARN);
}

static void what_was_dropped_is_told_when_its_time_is_over(void **state)
{
    sp_log *log = open_log((sp_log_options){
        .format = SP_LOG_LOGFMT, .rate_lines = 1, .rate_interval_ms = 1});
    write_kind(log, "a", 0, 200000);
    UNTIL((sp_log_flush(log), strstr(rig.caught, "event=log.dropped") != NULL));
    sp_log_close(log);
}

/* ---- what is kept ---- */

struct seen {
    unsigned count;
    unsigned stop_after;
    char last[512];
};

static int see(sp_bytes json, void *user)
{
    struct seen *seen = user;
    (void)snprintf(seen->last, sizeof seen->last, "%.*s", (int)json.size,
                   (const char *)json.data);
    return ++seen->count == seen->stop_after;
}

static void a_reader_goes_on_behind_its_cursor(void **state)
{
    sp_log *log = open_log((sp_log_options){.format = SP_LOG_TEXT});
    struct seen seen = {0};
    uint64_t cursor = 0;
    uint64_t lost = 9;
    write_kind(log, "a", 0, 3);
    assert_int_equal(sp_log_read(log, &cursor, NULL, see, &seen, &lost, NULL), 3);
    assert_int_equal(lost, 0);
    assert_int_equal(sp_log_read(log, &cursor, NULL, see, &seen, &lost, NULL), 0);
    write_kind(log, "b", 0, 2);
    seen.stop_after = 4;
    assert_int_equal(sp_log_read(log, &cursor, NULL, see, &seen, &lost, NULL), 1);
    assert_int_equal(sp_log_read(log, &cursor, NULL, see, &seen, &lost, NULL), 1);
    assert_int_equal(cursor, 5);
    assert_non_null(strstr(seen.last, "\"event\":\"b\",\"pool\":\"p\",\"worker\":0}"));
    sp_log_close(log);
}

static void a_filter_chooses(void **state)
{
    sp_log *log = open_log((sp_log_options){0});
    write_kind(log, "worker.output", 0, 1);
    write_kind(log, "worker.output", 1, 2);
    write_kind(log, "call.failed", 1, 4);
    sp_log_write(log, &full);
    static const struct {
        sp_log_filter filter;
        int expected;
    } cases[] = {
        {{.pool = "p"}, 7},
        {{.pool = "p", .has_worker = 1, .worker = 0}, 1},
        {{.has_worker = 1, .worker = 1}, 6},
        {{.level = SP_LOG_WARN}, 1},
        {{.event = "worker."}, 3},
        {{.event = "call.failed", .pool = "api"}, 1},
        {{.pool = "none"}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sp_log_filter filter = cases[i].filter;
        struct seen seen = {0};
        uint64_t cursor = 0;
        filter.size = sizeof filter;
        assert_int_equal(sp_log_read(log, &cursor, &filter, see, &seen, NULL, NULL),
                         cases[i].expected);
        assert_int_equal(cursor, 8);
    }
    sp_log_close(log);
}

static void the_oldest_make_room_and_are_counted(void **state)
{
    sp_log *log =
        open_log((sp_log_options){.keep_bytes = 4096, .rate_lines = UINT32_MAX});
    struct seen seen = {0};
    uint64_t cursor = 0;
    uint64_t lost = 0;
    write_kind(log, "a", 0, 1000);
    int kept = sp_log_read(log, &cursor, NULL, see, &seen, &lost, NULL);
    assert_true(kept > 10 && kept < 100);
    assert_true((uint64_t)kept + lost == 1000);
    sp_log_close(log);
}

static void without_memory_lines_go_out_and_are_not_kept(void **state)
{
    sp_log *log = open_log((sp_log_options){0});
    struct seen seen = {0};
    uint64_t cursor = 0;
    uint64_t lost = 0;
    sp__mem_fail_at(1, 1);
    write_kind(log, "a", 0, 5);
    sp__mem_fail_at(0, 0);
    assert_int_equal(rig.lines, 5);
    assert_int_equal(sp_log_read(log, &cursor, NULL, see, &seen, &lost, NULL), 0);
    assert_int_equal(lost, 5);
    sp_log_close(log);
}

/* ---- ways out ---- */

static void lines_go_to_a_descriptor(void **state)
{
    int ends[2];
    char text[256] = "";
    sp_log *log = NULL;
    assert_int_equal(pipe(ends), 0);
    sp_log_options options = {.size = sizeof options, .fd = ends[1]};
    assert_int_equal(sp_log_open(&options, &log, NULL), 0);
    write_kind(log, "a", 0, 1);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, " event=a pool=p worker=0\n"));
    sp_log_close(log);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static int open_memory_file(void)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int bind_journal(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* "NAME\n", eight bytes of length, the bytes, "\n": for a value of several lines. */
static void the_journal_gets_fields_of_its_protocol(void **state)
{
    static const char expected[] =
        "PRIORITY=4\nSYSLOG_IDENTIFIER=tester\nMESSAGE\n\x11\0\0\0\0\0\0\0it "
        "\"failed\"\nbadly\nSNAKEPIT_EVENT=call.failed\nSNAKEPIT_POOL=api\nSNAKEPIT_"
        "WORKER=0"
        "\nSNAKEPIT_PID=4121\n";
    char text[4096];
    int fd = bind_journal(leak_path("journal"));
    sp_log *log = open_log((sp_log_options){
        .format = SP_LOG_JOURNAL, .journal = leak_path("journal"), .name = "tester"});
    sp_log_write(log, &full);
    ssize_t n = recv(fd, text, sizeof text, 0);
    assert_true(n > (ssize_t)sizeof expected);
    assert_memory_equal(text, expected, sizeof expected - 1);
    assert_int_equal(rig.lines, 0);
    (void)close(fd); /* it is gone: lines go where they can */
    sp_log_write(log, &full);
    assert_int_equal(rig.lines, 1);
    assert_non_null(strstr(rig.caught, "event=call.failed"));
    sp_log_close(log);
}

static void standard_error_of_the_journal_is_found_out(void **state)
{
    char stream[64];
    struct stat is;
    int fd = bind_journal(leak_path("journal"));
    int out = open_memory_file();
    assert_int_equal(fstat(out, &is), 0);
    (void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)is.st_dev,
                   (unsigned long long)is.st_ino);
    for (int is_it = 0; is_it <= 1; is_it++) {
        sp_log *log = NULL;
        sp_log_options options = {
            .size = sizeof options, .fd = out, .journal = leak_path("journal")};
        (void)setenv("JOURNAL_STREAM", is_it ? stream : "1:1", 1);
        assert_int_equal(sp_log_open(&options, &log, NULL), 0);
        (void)unsetenv("JOURNAL_STREAM");
        write_kind(log, "a", 0, 1);
        char text[256];
        ssize_t came = recv(fd, text, sizeof text, MSG_DONTWAIT);
        assert_int_equal(came > 0, is_it);
        sp_log_close(log);
    }
    (void)close(fd);
    (void)close(out);
}

static void what_the_journal_reads_from_a_stream_has_a_level_and_no_time(void **state)
{
    struct stat is;
    char stream[64];
    char text[256] = "";
    sp_log *log = NULL;
    int out = open_memory_file();
    assert_int_equal(fstat(out, &is), 0);
    (void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)is.st_dev,
                   (unsigned long long)is.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    sp_log_options options = {
        .size = sizeof options, .fd = out, .format = SP_LOG_LOGFMT};
    assert_int_equal(sp_log_open(&options, &log, NULL), 0);
    (void)unsetenv("JOURNAL_STREAM");
    sp_log_write(log, &full);
    assert_true(pread(out, text, sizeof text - 1, 0) > 0);
    assert_memory_equal(text, "<4>level=warn msg=", 18);
    sp_log_close(log);
    (void)close(out);
}

/* ---- use and misuse ---- */

static void *write_many(void *arg)
{
    write_kind(arg, "thread", 0, 500);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    pthread_t threads[4];
    sp_log *log =
        open_log((sp_log_options){.rate_lines = UINT32_MAX, .format = SP_LOG_JSON});
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, log), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(rig.lines, 2000);
    sp_log_close(log);
}

static void wrong_options_are_named(void **state)
{
    static const struct {
        sp_log_options options;
        const char *says;
    } cases[] = {
        {{.level = 7}, "log.level: 7"},
        {{.format = 9}, "log.format: 9"},
        {{.keep_bytes = 5}, "log.keep: 5"},
    };
    sp_log *log = NULL;
    sp_error err = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sp_log_options options = cases[i].options;
        options.size = sizeof options;
        assert_int_equal(sp_log_open(&options, &log, &err), SP_ERR_CONFIG);
        assert_non_null(strstr(err.message, cases[i].says));
    }
    sp_log_options sizeless = {0};
    assert_int_equal(sp_log_open(&sizeless, &log, &err), SP_ERR_INVAL);
    assert_null(log);
    sp_error_clear(&err);
    sp_log_close(NULL);
    sp_log_flush(NULL);
    sp_log_write(NULL, &full);
}

static void every_allocation_may_fail(void **state)
{
    const char *const patterns[] = {"x", NULL};
    sp_log_options options = {.size = sizeof options, .fd = -1, .redact = patterns};
    sp_log *log = NULL;
    uint64_t n = 0;
    int rc;
    do {
        sp__mem_fail_at(++n, 0);
        rc = sp_log_open(&options, &log, NULL);
        sp__mem_fail_at(0, 0);
    } while (rc == SP_ERR_NOMEM);
    assert_int_equal(rc, 0);
    assert_true(n > 3);
    sp_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(logfmt_has_every_key_in_its_order),
        TEST(json_has_the_same_in_the_same_order),
        TEST(any_name_of_a_field_is_one_name),
        TEST(a_long_name_of_a_field_is_cut),
        TEST(text_begins_with_what_people_read),
        TEST(what_matters_less_is_left_out),
        TEST(any_bytes_make_one_line),
        TEST(a_value_too_long_is_cut_and_the_rest_is_there),
        TEST(a_flood_is_cut_and_its_rest_counted),
        TEST(what_was_dropped_is_told_when_its_time_is_over),
        TEST(a_reader_goes_on_behind_its_cursor),
        TEST(a_filter_chooses),
        TEST(the_oldest_make_room_and_are_counted),
        TEST(without_memory_lines_go_out_and_are_not_kept),
        TEST(lines_go_to_a_descriptor),
        TEST(the_journal_gets_fields_of_its_protocol),
        TEST(standard_error_of_the_journal_is_found_out),
        TEST(what_the_journal_reads_from_a_stream_has_a_level_and_no_time),
        TEST(lines_of_threads_do_not_mix),
        TEST(wrong_options_are_named),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
