/* SPDX-License-Identifier: MIT */
#include "alarms.h"

#include <sys/time.h>

#include "cm.h"

enum { INTERVAL_US = 20000 };

static void on_alarm(int signal_number)
{
}

static void set_every(long interval_us)
{
    struct itimerval often = {{0, interval_us}, {0, interval_us}};
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
}

void alarms_begin(struct alarms *alarms)
{
    struct sigaction action = {.sa_handler = on_alarm};
    assert_int_equal(sigaction(SIGALRM, &action, &alarms->before), 0);
    set_every(INTERVAL_US);
}

void alarms_end(const struct alarms *alarms)
{
    set_every(0);
    assert_int_equal(sigaction(SIGALRM, &alarms->before, NULL), 0);
}
