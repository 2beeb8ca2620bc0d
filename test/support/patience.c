/* SPDX-License-Identifier: MIT */
/* Where the tests run, and what that means for limits and numbers. */
#include "patience.h"

#include <stdlib.h>
#include <string.h>

enum { MEMCHECK = 20, SANITIZED = 4 };

static int is_under_memcheck(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static uint64_t patience(void)
{
    const char *wanted = getenv("SNAKEPIT_TEST_PATIENCE");
    uint64_t factor = wanted != NULL ? strtoul(wanted, NULL, 10) : 0;
    if (factor == 0 && is_under_memcheck()) {
        factor = MEMCHECK;
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    factor = factor == 0 ? SANITIZED : factor;
#endif
    return factor == 0 ? 1 : factor;
}

uint64_t patience_ms(uint64_t usual_ms)
{
    return usual_ms * patience();
}

int volume(int usual)
{
    return is_under_memcheck() && usual > MEMCHECK ? usual / MEMCHECK : usual;
}
