/* SPDX-License-Identifier: MIT */
/* Numbers with a fraction as text, whatever decimal comma the program around us has. */
#ifndef SP_BASE_REAL_H
#define SP_BASE_REAL_H

/* The number that a text begins with, as strtod() in the locale "C". */
double sp__read_real(const char *text);

#endif
