/* SPDX-License-Identifier: MIT */
/* What /proc says of a process. */
#include "worker/vitals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cm.h"
#include "leak.h"

static const char rest[] =
    " 7 8 9 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 12345 1000000 25 "
    "18446744073709551615 1 1 0 0 0 0";

static void a_line_of_the_kernel_is_read(void **state)
{
    char line[400];
    struct vitals vitals;
    (void)snprintf(line, sizeof line, "42 (python3) S%s", rest);
    assert_int_equal(sp__vitals_parse(line, &vitals), 1);
    assert_int_equal(vitals.pid, 42);
    assert_int_equal(vitals.parent, 7);
    assert_int_equal(vitals.group, 8);
    assert_int_equal(vitals.session, 9);
    assert_int_equal(vitals.state, 'S');
    assert_int_equal(vitals.cpu_ms, 300 * 1000 / sysconf(_SC_CLK_TCK));
    assert_int_equal(vitals.start, 12345);
    assert_int_equal(vitals.rss_bytes, 25 * sysconf(_SC_PAGESIZE));
}

static void a_name_may_look_like_the_rest(void **state)
{
    char line[400];
    struct vitals vitals;
    (void)snprintf(line, sizeof line, "42 (a) Z 1 2 (b) D%s", rest);
    assert_int_equal(sp__vitals_parse(line, &vitals), 1);
    assert_int_equal(vitals.state, 'D');
    assert_int_equal(vitals.parent, 7);
}

static void what_is_no_such_line_gives_nothing(void **state)
{
    static const char *const lines[] = {"",           "42",       "42 (x)",
                                        "42 (x) ",    "42 (x) S", "42 (x) S 1 2 3",
                                        "42 (x) 9 1", ")))",      ") S x"};
    struct vitals vitals;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(sp__vitals_parse(lines[i], &vitals), 0);
        assert_int_equal(vitals.state, 0);
    }
}

static void a_process_sees_itself(void **state)
{
    struct vitals vitals;
    assert_int_equal(sp__vitals_read(getpid(), &vitals), 1);
    assert_int_equal(vitals.pid, getpid());
    assert_int_equal(vitals.parent, getppid());
    assert_int_equal(vitals.group, getpgrp());
    assert_int_equal(vitals.state, 'R');
    assert_true(vitals.rss_bytes > 100000 && vitals.start > 0);
}

static void a_stopped_process_is_told_from_a_dead_one(void **state)
{
    struct vitals vitals;
    char text[160];
    pid_t pid = fork();
    if (pid == 0) {
        (void)raise(SIGSTOP);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_int_equal(sp__vitals_read(pid, &vitals), 1);
    assert_int_equal(vitals.state, 'T');
    (void)sp__vitals_describe(&vitals, text, sizeof text);
    assert_non_null(strstr(text, "state T (stopped), 0."));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(sp__vitals_read(pid, &vitals), 0);
    (void)sp__vitals_describe(&vitals, text, sizeof text);
    assert_string_equal(text, "no such process");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_of_the_kernel_is_read),
        TEST(a_name_may_look_like_the_rest),
        TEST(what_is_no_such_line_gives_nothing),
        TEST(a_process_sees_itself),
        TEST(a_stopped_process_is_told_from_a_dead_one),
    };
    return cmocka_run_group_tests_name("vitals", tests, NULL, NULL);
}
