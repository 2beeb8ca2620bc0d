/* SPDX-License-Identifier: MIT */
/* Everything in a set of sessions as one text, so that two can be compared. */
#ifndef TEST_SUPPORT_PORTRAIT_H
#define TEST_SUPPORT_PORTRAIT_H

#include "snakepit/snakepit.h"

/* A line for every session, variable, version, dependency and program, in the order in
 * which the library lists them; times and texts included, what is left of times to live
 * not. Release with free(). NULL without memory, also when the library had none. */
char *portrait(sp_sessions *sessions);

#endif
