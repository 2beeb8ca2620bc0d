/* SPDX-License-Identifier: MIT */
/* A worker that ends before it is ready: exits STATUS|abort. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    for (int line = 1; line <= 30; line++) {
        (void)fprintf(stderr, "line %d before the end\n", line);
    }
    if (argc > 1 && strcmp(argv[1], "abort") == 0) {
        abort();
    }
    return argc > 1 ? (int)strtol(argv[1], NULL, 10) : 3;
}
