/* SPDX-License-Identifier: MIT */
/* A worker that writes nonsense where frames are expected: garbage call|host. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int to_host = argc > 1 && strcmp(argv[1], "host") == 0;
    const char *number = getenv(to_host ? "SNAKEPIT_HOST_FD" : "SNAKEPIT_CALL_OUT_FD");
    int fd = number != NULL ? (int)strtol(number, NULL, 10) : 1;
    static const char text[] =
        "these are not the frames that you are looking for\r\n\r\n";
    for (int i = 0; i < 100; i++) {
        (void)!write(fd, text, sizeof text - 1);
    }
    for (;;) {
        (void)pause();
    }
}
