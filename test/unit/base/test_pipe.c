/* SPDX-License-Identifier: MIT */
/* Pipes: what each end hears of the other. */
#include "base/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "leak.h"

static void bytes_go_through_and_neither_end_waits(void **state)
{
    int end[2];
    char text[8];
    assert_true(sp__pipe_open(&end[0], &end[1]) >= 4096);
    for (int i = 0; i < 2; i++) {
        assert_true(fcntl(end[i], F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(end[i], F_GETFL) & O_NONBLOCK);
    }
    assert_int_equal(read(end[0], text, sizeof text), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(write(end[1], "word", 4), 4);
    assert_int_equal(read(end[0], text, sizeof text), 4);
    assert_memory_equal(text, "word", 4);
    (void)close(end[1]);
    assert_int_equal(read(end[0], text, sizeof text), 0);
    (void)close(end[0]);
}

static void a_full_one_takes_what_it_has_room_for(void **state)
{
    static char block[1 << 21];
    int end[2];
    int room = sp__pipe_open(&end[0], &end[1]);
    assert_in_range(room, 4096, sizeof block - 1);
    assert_int_equal(write(end[1], block, sizeof block), room);
    assert_int_equal(write(end[1], block, 1), -1);
    assert_int_equal(errno, EAGAIN);
    (void)close(end[0]);
    (void)close(end[1]);
}

static void writing_to_nobody_is_no_signal(void **state)
{
    int end[2];
    assert_true(sp__pipe_open(&end[0], &end[1]) > 0);
    (void)close(end[0]);
    assert_int_equal(write(end[1], "word", 4), 4);
    (void)close(end[1]);
}

static void without_descriptors_there_is_none(void **state)
{
    struct rlimit limit;
    struct rlimit fewer;
    int end[2];
    int next = dup(0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int room = 0; room <= 2; room++) {
        fewer = limit;
        fewer.rlim_cur = (rlim_t)next + (rlim_t)room;
        (void)close(next);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &fewer), 0);
        assert_int_equal(sp__pipe_open(&end[0], &end[1]), -1);
        assert_int_equal(errno, EMFILE);
        assert_int_equal(end[0], -1);
        assert_int_equal(end[1], -1);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(dup(0), next); /* nothing is left open */
    }
    (void)close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_through_and_neither_end_waits),
        TEST(a_full_one_takes_what_it_has_room_for),
        TEST(writing_to_nobody_is_no_signal),
        TEST(without_descriptors_there_is_none),
    };
    return cmocka_run_group_tests_name("pipe", tests, NULL, NULL);
}
