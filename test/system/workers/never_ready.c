/* SPDX-License-Identifier: MIT */
/* A worker that starts and says nothing. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    (void)fprintf(stderr, "thinking about it\n");
    for (;;) {
        (void)pause();
    }
}
