/* SPDX-License-Identifier: MIT */
/* cmocka and the headers it wants to see first. */
#ifndef TEST_SUPPORT_CM_H
#define TEST_SUPPORT_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
