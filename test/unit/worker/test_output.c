/* SPDX-License-Identifier: MIT */
/* What a worker prints: lines told, a flood dropped and counted, the end kept. */
#include "worker/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"

enum { LINES_MAX = 5000 };

struct rig {
    struct loop *loop;
    struct output output;
    int writer;
    pthread_mutex_t lock;
    int second;             /* the other pipe's writer */
    char *lines[LINES_MAX]; /* under lock, as the next */
    int streams[LINES_MAX];
    size_t count;
};

static void turn_end(void *user)
{
}

static void note_line(void *user, int stream, const char *line)
{
    struct rig *rig = user;
    pthread_mutex_lock(&rig->lock);
    if (rig->count < LINES_MAX) {
        rig->streams[rig->count] = stream;
        rig->lines[rig->count++] = strdup(line);
    }
    pthread_mutex_unlock(&rig->lock);
}

struct opening {
    int readers[2];
    int rc;
};

static void open_on_loop(void *user, void *arg)
{
    struct rig *rig = user;
    struct opening *opening = arg;
    opening->rc = sp__output_open(&rig->output, rig->loop, opening->readers, note_line,
                                  rig, NULL);
}

static void begin(struct rig *rig)
{
    static const struct loop_events events = {.on_turn_end = turn_end};
    struct opening opening = {0};
    int writers[2];
    *rig = (struct rig){0};
    (void)pthread_mutex_init(&rig->lock, NULL);
    assert_int_equal(sp__output_pipes(opening.readers, writers), 0);
    assert_int_equal(sp__loop_open(&events, rig, &rig->loop, NULL), 0);
    rig->writer = writers[0];
    rig->second = writers[1];
    sp__loop_call(rig->loop, open_on_loop, &opening);
    assert_int_equal(opening.rc, 0);
}

/* libuv opens a pipe for itself the first time, and keeps it. */
static int open_one_loop(void **state)
{
    static const struct loop_events events = {.on_turn_end = turn_end};
    struct loop *loop;
    int rc = sp__loop_open(&events, NULL, &loop, NULL);
    if (rc == 0) {
        sp__loop_close(loop);
    }
    return rc;
}

static void close_on_loop(void *user, void *arg)
{
    struct rig *rig = user;
    sp__output_close(&rig->output);
}

static void end(struct rig *rig)
{
    if (rig->writer >= 0) {
        (void)close(rig->writer);
    }
    (void)close(rig->second);
    sp__loop_call(rig->loop, close_on_loop, NULL);
    sp__loop_close(rig->loop);
    for (size_t i = 0; i < rig->count; i++) {
        free(rig->lines[i]);
    }
    (void)pthread_mutex_destroy(&rig->lock);
}

static void print(struct rig *rig, const char *text)
{
    assert_int_equal(write(rig->writer, text, strlen(text)), (ssize_t)strlen(text));
}

static size_t count_lines(struct rig *rig)
{
    pthread_mutex_lock(&rig->lock);
    size_t count = rig->count;
    pthread_mutex_unlock(&rig->lock);
    return count;
}

struct tail {
    unsigned lines;
    char *text;
};

static void drain_on_loop(void *user, void *arg)
{
    struct rig *rig = user;
    struct tail *tail = arg;
    sp__output_drain(&rig->output);
    tail->text = sp__output_tail(&rig->output, tail->lines);
}

/* What is kept, as a death record would show it. */
static char *tail_of(struct rig *rig, unsigned lines)
{
    struct tail tail = {.lines = lines};
    sp__loop_call(rig->loop, drain_on_loop, &tail);
    return tail.text;
}

static void whole_lines_are_told_as_they_come(void **state)
{
    struct rig rig;
    begin(&rig);
    print(&rig, "first\nsec");
    UNTIL(count_lines(&rig) == 1);
    print(&rig, "ond\n\nfourth\n");
    UNTIL(count_lines(&rig) == 4);
    assert_string_equal(rig.lines[0], "first");
    assert_string_equal(rig.lines[1], "second");
    assert_string_equal(rig.lines[2], "");
    assert_string_equal(rig.lines[3], "fourth");
    end(&rig);
}

static void print_second(struct rig *rig, const char *text)
{
    assert_int_equal(write(rig->second, text, strlen(text)), (ssize_t)strlen(text));
}

static void two_pipes_do_not_mix_and_are_told_apart(void **state)
{
    struct rig rig;
    begin(&rig);
    print(&rig, "ha");
    print_second(&rig, "error\nha");
    UNTIL(count_lines(&rig) == 1);
    print(&rig, "lf\n");
    UNTIL(count_lines(&rig) == 2);
    print_second(&rig, "ste\n");
    UNTIL(count_lines(&rig) == 3);
    assert_string_equal(rig.lines[0], "error");
    assert_int_equal(rig.streams[0], 2);
    assert_string_equal(rig.lines[1], "half");
    assert_int_equal(rig.streams[1], 1);
    assert_string_equal(rig.lines[2], "haste");
    assert_int_equal(rig.streams[2], 2);
    char *text = tail_of(&rig, 12);
    assert_non_null(strstr(text, "error\n"));
    sp__free(text);
    end(&rig);
}

static void catch_up_on_loop(void *user, void *arg)
{
    struct rig *rig = user;
    unsigned *looks = arg;
    print(rig, "printed\n"); /* and not yet seen: the loop is here */
    print_second(rig, "too\n");
    assert_true(sp__output_wants_to(&rig->output));
    sp__output_catch_up(&rig->output);
    assert_int_equal(count_lines(rig), 2);
    while (sp__output_wants_to(&rig->output)) {
        sp__output_catch_up(&rig->output);
        ++*looks;
    }
}

static void what_is_printed_is_caught_up_with_for_a_while(void **state)
{
    struct rig rig;
    unsigned looks = 0;
    begin(&rig);
    sp__loop_call(rig.loop, catch_up_on_loop, &looks);
    assert_int_equal(looks, OUTPUT_TALKS_CALLS);
    print(&rig, "more\n");
    UNTIL(count_lines(&rig) == 3);
    end(&rig);
}

static void an_unfinished_line_is_told_at_the_death(void **state)
{
    struct rig rig;
    begin(&rig);
    print(&rig, "last words");
    char *text = tail_of(&rig, 12);
    assert_string_equal(text, "last words\n");
    assert_int_equal(count_lines(&rig), 1);
    assert_string_equal(rig.lines[0], "last words");
    sp__free(text);
    end(&rig);
}

static void a_very_long_line_is_told_in_pieces(void **state)
{
    struct rig rig;
    static char line[OUTPUT_LINE_BYTES * 2 + 101];
    begin(&rig);
    memset(line, 'x', sizeof line - 2);
    line[sizeof line - 2] = '\n';
    print(&rig, line);
    UNTIL(count_lines(&rig) == 3);
    assert_int_equal(strlen(rig.lines[0]), OUTPUT_LINE_BYTES);
    assert_int_equal(strlen(rig.lines[1]), OUTPUT_LINE_BYTES);
    assert_int_equal(strlen(rig.lines[2]), 99);
    end(&rig);
}

static void the_last_lines_are_kept(void **state)
{
    struct rig rig;
    char line[64];
    begin(&rig);
    for (int i = 1; i <= 500; i++) {
        (void)snprintf(line, sizeof line, "line %d of a worker that talks a lot\n", i);
        print(&rig, line);
    }
    UNTIL(count_lines(&rig) == 500);
    char *text = tail_of(&rig, 2);
    assert_string_equal(text, "line 499 of a worker that talks a lot\n"
                              "line 500 of a worker that talks a lot\n");
    sp__free(text);
    end(&rig);
}

static void a_ring_that_grew_in_steps_keeps_the_end(void **state)
{
    struct rig rig;
    char expected[OUTPUT_TAIL_BYTES + 2];
    static char said[64 * 1024];
    size_t size = 0;
    unsigned random = 1;
    begin(&rig);
    while (size < sizeof said - 2000) {
        char piece[2001];
        size_t n = (random = random * 1103515245u + 12345u) / 65536 % 2000 + 1;
        for (size_t i = 0; i < n; i++) {
            piece[i] = (char)('a' + (size + i) % 23);
        }
        piece[n] = '\0';
        memcpy(said + size, piece, n);
        size += n;
        print(&rig, piece);
        char *text = tail_of(&rig, 12);
        size_t kept = size < OUTPUT_TAIL_BYTES ? size : OUTPUT_TAIL_BYTES;
        memcpy(expected, said + size - kept, kept);
        memcpy(expected + kept, "\n", 2);
        assert_string_equal(text, expected);
        sp__free(text);
    }
    end(&rig);
}

static void without_memory_lines_are_counted(void **state)
{
    struct rig rig;
    begin(&rig);
    sp__mem_fail_at(1, 1);
    print(&rig, "lost\n");
    assert_null(tail_of(&rig, 12));
    assert_int_equal(count_lines(&rig), 1);
    assert_string_equal(rig.lines[0],
                        "... 1 lines (5 bytes) not shown: too many a second");
    sp__mem_fail_at(0, 0);
    print(&rig, "found\n");
    char *text = tail_of(&rig, 12);
    assert_string_equal(text, "found\n");
    assert_string_equal(rig.lines[1], "found");
    sp__free(text);
    end(&rig);
}

static void the_tail_is_no_longer_than_its_ring(void **state)
{
    struct rig rig;
    static char block[3000];
    begin(&rig);
    memset(block, 'y', sizeof block - 1);
    for (int i = 0; i < 20; i++) {
        print(&rig, block);
    }
    char *text = tail_of(&rig, 12);
    assert_int_equal(strlen(text), OUTPUT_TAIL_BYTES + 1);
    sp__free(text);
    end(&rig);
}

static void control_bytes_do_not_reach_a_terminal(void **state)
{
    struct rig rig;
    begin(&rig);
    print(&rig, "a\033[31mb\x07\x7f\tc\n");
    char *text = tail_of(&rig, 12);
    assert_string_equal(text, "a?[31mb??\tc\n");
    assert_string_equal(rig.lines[0], "a?[31mb??\tc");
    sp__free(text);
    end(&rig);
}

static void nothing_printed_is_nothing_kept(void **state)
{
    struct rig rig;
    begin(&rig);
    assert_null(tail_of(&rig, 12));
    print(&rig, "something\n");
    UNTIL(count_lines(&rig) == 1);
    sp__mem_fail_at(1, 0);
    assert_null(tail_of(&rig, 12));
    end(&rig);
}

static void a_flood_is_read_counted_and_not_told(void **state)
{
    struct rig rig;
    static char block[100 * 600 + 1];
    begin(&rig);
    for (int i = 0; i < 600; i++) {
        memset(block + i * 100, 'f', 99);
        block[i * 100 + 99] = '\n';
    }
    for (int i = 0; i < 400; i++) { /* 24 MB, 240 000 lines */
        print(&rig, block);
    }
    /* The flood ends; what comes in a later second tells how much was not shown. */
    int noted = 0;
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while (!noted && leak_now_ms() < end_ms) {
        print(&rig, "calm\n");
        leak_pause();
        pthread_mutex_lock(&rig.lock);
        for (size_t i = 0; i < rig.count; i++) {
            noted = noted || strstr(rig.lines[i], "bytes) not shown: too many") != NULL;
        }
        pthread_mutex_unlock(&rig.lock);
    }
    assert_true(noted);
    assert_true(count_lines(&rig) < LINES_MAX);
    char *text = tail_of(&rig, 12);
    assert_non_null(text);
    sp__free(text);
    end(&rig);
}

/* Nothing follows the flood but the death. */
static void what_was_not_told_is_counted_at_the_death(void **state)
{
    struct rig rig;
    char block[300 * 10 + 1] = "";
    begin(&rig);
    for (int i = 0; i < 300; i++) {
        (void)memcpy(block + (size_t)i * 10, "123456789\n", 11);
    }
    for (int i = 0; i < 100; i++) {
        print(&rig, block);
    }
    (void)close(rig.writer);
    rig.writer = -1;
    uint64_t lines, bytes;
    const char *last;
    do { /* each drain takes a few pipes' worth */
        sp__free(tail_of(&rig, 1));
        pthread_mutex_lock(&rig.lock);
        last = rig.lines[rig.count - 1];
        pthread_mutex_unlock(&rig.lock);
    } while (
        sscanf(last, "... %" SCNu64 " lines (%" SCNu64 " bytes)", &lines, &bytes) != 2);
    assert_int_equal(bytes, 10 * lines);
    end(&rig);
}

static void a_closed_pipe_ends_quietly(void **state)
{
    struct rig rig;
    begin(&rig);
    print(&rig, "bye\n");
    (void)close(rig.writer);
    rig.writer = -1;
    UNTIL(count_lines(&rig) == 1);
    char *text = tail_of(&rig, 12);
    assert_string_equal(text, "bye\n");
    sp__free(text);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_lines_are_told_as_they_come),
        TEST(two_pipes_do_not_mix_and_are_told_apart),
        TEST(what_is_printed_is_caught_up_with_for_a_while),
        TEST(an_unfinished_line_is_told_at_the_death),
        TEST(a_very_long_line_is_told_in_pieces),
        TEST(the_last_lines_are_kept),
        TEST(a_ring_that_grew_in_steps_keeps_the_end),
        TEST(without_memory_lines_are_counted),
        TEST(the_tail_is_no_longer_than_its_ring),
        TEST(control_bytes_do_not_reach_a_terminal),
        TEST(nothing_printed_is_nothing_kept),
        TEST(a_flood_is_read_counted_and_not_told),
        TEST(what_was_not_told_is_counted_at_the_death),
        TEST(a_closed_pipe_ends_quietly),
    };
    return cmocka_run_group_tests_name("output", tests, open_one_loop, NULL);
}
