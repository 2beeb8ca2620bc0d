/* SPDX-License-Identifier: MIT */
/* A worker that ends before it is ready: exits STATUS. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    for (int line = 1; line <= 30; line++) {
        (void)fprintf(stderr, "line %d before the end\n", line);
    }
    return argc > 1 ? (int)strtol(argv[1], NULL, 10) : 3;
}
