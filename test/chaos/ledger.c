/* SPDX-License-Identifier: MIT */
/*
 * Ledgers: files that are only appended to.
 *
 * A line is one write() with O_APPEND: the kernel orders them, and what was written
 * survives the SIGKILL of the writer. A ledger that cannot be written makes a run
 * worthless, so that ends the process at once with a message.
 */
#include "ledger.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

uint64_t ledger_now_us(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

int ledger_open(struct ledger *ledger, const char *folder, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    ledger->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return ledger->fd < 0 ? -1 : 0;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger->fd >= 0) {
        (void)close(ledger->fd);
    }
    ledger->fd = -1;
}

__attribute__((format(printf, 3, 0))) static int put_text(char *line, int used,
                                                          const char *format,
                                                          va_list args)
{
    int n = vsnprintf(line + used, (size_t)(LINE_MAX_BYTES - 1 - used), format, args);
    used += n > 0 ? n : 0;
    if (used > LINE_MAX_BYTES - 2) {
        used = LINE_MAX_BYTES - 2; /* cut, and still one line */
    }
    for (int i = 0; i < used; i++) {
        if (line[i] == '\n') {
            line[i] = ' ';
        }
    }
    line[used] = '\n';
    return used + 1;
}

void ledger_note(const struct ledger *ledger, const char *word, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    int used = snprintf(line, sizeof line, "%s %llu ", word,
                        (unsigned long long)ledger_now_us());
    va_start(args, format);
    used = put_text(line, used, format, args);
    va_end(args);
    if (write(ledger->fd, line, (size_t)used) != used) {
        perror("chaos: a ledger cannot be written");
        abort();
    }
}

unsigned char *ledger_attempts(const char *folder, uint64_t ids_max)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/attempts", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return NULL;
    }
    void *map = MAP_FAILED;
    if (ftruncate(fd, (off_t)ids_max) == 0) {
        map = mmap(NULL, ids_max, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    (void)close(fd);
    return map == MAP_FAILED ? NULL : map;
}

void ledger_attempts_close(unsigned char *attempts, uint64_t ids_max)
{
    if (attempts != NULL) {
        (void)munmap(attempts, ids_max);
    }
}
