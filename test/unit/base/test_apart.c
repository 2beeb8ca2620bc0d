/* SPDX-License-Identifier: MIT */
/* Leaving a processor that is shared: when, and how; sleeping on one's own. */
#include "base/apart.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "alarms.h"
#include "leak.h"
#include "processor.h"

enum { NOW_MS = 1000, MANY = 1000 };

/* Times in a row, in one moment, until it is time to go; MANY: it is not. */
static int count_until_due(struct apart *apart, uint64_t now_ms)
{
    for (int i = 1; i < MANY; i++) {
        if (sp__apart_is_due(apart, 1, now_ms)) {
            return i;
        }
    }
    return MANY;
}

static void being_together_again_and_again_makes_it_due(void **state)
{
    struct apart apart = {0};
    assert_in_range(count_until_due(&apart, NOW_MS), 2, 10);
}

static void once_apart_it_begins_anew(void **state)
{
    struct apart apart = {0};
    int times = count_until_due(&apart, NOW_MS);
    uint64_t later_ms = NOW_MS + 1000;
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(sp__apart_is_due(&apart, i % times != 0, later_ms), 0);
    }
    assert_int_equal(sp__apart_is_due(&apart, 0, later_ms), 0);
    assert_int_equal(count_until_due(&apart, later_ms), times);
}

static void it_is_not_due_all_the_time(void **state)
{
    struct apart apart = {0};
    (void)count_until_due(&apart, NOW_MS);
    assert_int_equal(count_until_due(&apart, NOW_MS), MANY);
    assert_in_range(count_until_due(&apart, NOW_MS + 1000), 1, 10);
}

static cpu_set_t allowed_now(void)
{
    cpu_set_t allowed;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    return allowed;
}

static void it_goes_elsewhere_and_may_come_back(void **state)
{
    cpu_set_t before = allowed_now();
    if (CPU_COUNT(&before) == 1) {
        skip_because("there is one processor");
    }
    int has_gone = 0; /* the kernel may fetch it back at once */
    for (int i = 0; i < 10 && !has_gone; i++) {
        int here = sched_getcpu();
        assert_int_equal(sp__apart_move(), 1);
        has_gone = sched_getcpu() != here;
        cpu_set_t after = allowed_now();
        assert_true(CPU_EQUAL(&before, &after));
    }
    assert_true(has_gone);
}

static void who_has_one_processor_stays(void **state)
{
    (void)processor_bind(pthread_self());
    cpu_set_t before = allowed_now();
    assert_int_equal(CPU_COUNT(&before), 1);
    assert_int_equal(sp__apart_move(), 0);
    cpu_set_t after = allowed_now();
    assert_true(CPU_EQUAL(&before, &after));
}

struct sleep {
    int epoll_fd, event_fd;
    struct epoll_event heard[2];
};

static void open_sleep(struct sleep *sleep)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 7};
    sleep->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    sleep->event_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(epoll_ctl(sleep->epoll_fd, EPOLL_CTL_ADD, sleep->event_fd, &event),
                     0);
}

static void close_sleep(const struct sleep *sleep)
{
    (void)close(sleep->epoll_fd);
    (void)close(sleep->event_fd);
}

static int doze(struct sleep *sleep, int wait_ms)
{
    return sp__apart_epoll_wait(sleep->epoll_fd, sleep->heard, 2, wait_ms);
}

static void what_there_is_is_told(void **state)
{
    struct sleep sleep;
    open_sleep(&sleep);
    assert_int_equal(doze(&sleep, 0), 0);
    assert_int_equal(doze(&sleep, 1), 0);
    assert_int_equal(eventfd_write(sleep.event_fd, 1), 0);
    assert_int_equal(doze(&sleep, -1), 1);
    assert_int_equal(sleep.heard[0].data.u32, 7);
    assert_int_equal(sleep.heard[0].events, EPOLLIN);
    close_sleep(&sleep);
}

static void *write_event(void *arg)
{
    const struct sleep *sleep = arg;
    return eventfd_write(sleep->event_fd, 1) == 0 ? NULL : arg;
}

static void who_sleeps_is_woken(void **state)
{
    struct sleep sleep;
    pthread_t writer;
    void *failed;
    open_sleep(&sleep);
    assert_int_equal(pthread_create(&writer, NULL, write_event, &sleep), 0);
    assert_int_equal(doze(&sleep, -1), 1);
    assert_int_equal(pthread_join(writer, &failed), 0);
    assert_null(failed);
    close_sleep(&sleep);
}

static void a_signal_ends_the_sleep(void **state)
{
    struct sleep sleep;
    struct alarms alarms;
    open_sleep(&sleep);
    alarms_begin(&alarms);
    assert_int_equal(doze(&sleep, -1), -1);
    assert_int_equal(errno, EINTR);
    alarms_end(&alarms);
    close_sleep(&sleep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(being_together_again_and_again_makes_it_due),
        TEST(once_apart_it_begins_anew),
        TEST(it_is_not_due_all_the_time),
        TEST(it_goes_elsewhere_and_may_come_back),
        TEST(who_has_one_processor_stays),
        TEST(what_there_is_is_told),
        TEST(who_sleeps_is_woken),
        TEST(a_signal_ends_the_sleep),
    };
    return cmocka_run_group_tests_name("base_apart", tests, NULL, NULL);
}
