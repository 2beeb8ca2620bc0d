/* SPDX-License-Identifier: MIT */
/* How much longer things may take, and how much less of them is enough, where programs run
 * slowly: under memcheck (20), under a sanitizer (4), or as SNAKEPIT_TEST_PATIENCE says. */
#ifndef TEST_SUPPORT_PATIENCE_H
#define TEST_SUPPORT_PATIENCE_H

#include <stdint.h>

/* A limit for something that usually takes much less than usual_ms. */
uint64_t patience_ms(uint64_t usual_ms);

/* As many as a test does of something that is only slow because there are many; fewer
 * under memcheck. */
int volume(int usual);

#endif
