/* SPDX-License-Identifier: MIT */
/*
 * Reading real numbers. The locale "C" is made once, and kept as long as the process
 * lives; when there is no memory for it, the program's own must do.
 */
#include "base/real.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

static locale_t plain_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

double sp__read_real(const char *text)
{
    (void)pthread_once(&locale_once, make_locale);
    return plain_locale != (locale_t)0 ? strtod_l(text, NULL, plain_locale)
                                       : strtod(text, NULL);
}
