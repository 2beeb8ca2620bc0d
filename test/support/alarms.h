/* SPDX-License-Identifier: MIT */
/* Tests of what a signal ends: SIGALRM comes again and again, as one may come too early. */
#ifndef TEST_ALARMS_H
#define TEST_ALARMS_H

#include <signal.h>

struct alarms {
    struct sigaction before;
};

void alarms_begin(struct alarms *alarms);
void alarms_end(const struct alarms *alarms);

#endif
