/* SPDX-License-Identifier: MIT */
/* Numbers with a fraction as text, whatever decimal comma the program around us has. */
#ifndef SP_BASE_REAL_H
#define SP_BASE_REAL_H

#include <stdint.h>
#include <string.h>

/* It is best written as an integer: no fraction, nor more digits than are exact. */
static inline int sp__real_is_whole(double value)
{
    return value > -1e15 && value < 1e15 && value == (double)(int64_t)value;
}

/* What printf() made of one number, as it would have in the locale "C". */
static inline const char *sp__real_dot(char *text)
{
    char *comma = strchr(text, ',');
    if (comma != NULL) {
        *comma = '.';
    }
    return text;
}

/* The number that a text begins with, as strtod() in the locale "C". */
double sp__read_real(const char *text);

#endif
