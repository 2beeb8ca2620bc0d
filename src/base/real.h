/* SPDX-License-Identifier: MIT */
/* Numbers with a fraction as text, whatever decimal comma the program around us has. */
#ifndef SP_BASE_REAL_H
#define SP_BASE_REAL_H

#include <stdint.h>

/* It is best written as an integer: no fraction, nor more digits than are exact. */
static inline int sp__real_is_whole(double value)
{
    return value > -1e15 && value < 1e15 && value == (double)(int64_t)value;
}

/* The number that a text begins with, as strtod() in the locale "C". */
double sp__read_real(const char *text);

#endif
