/* SPDX-License-Identifier: MIT */
/* Tests that are about which processor a thread runs on. */
#ifndef TEST_PROCESSOR_H
#define TEST_PROCESSOR_H

#include <pthread.h>
#include <stdint.h>

/* From now on this thread runs where the caller does, and nowhere else; the caller itself
 * until the test ends. Returns which processor that is. */
uint32_t processor_bind(pthread_t thread);

#endif
