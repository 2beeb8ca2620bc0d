/* SPDX-License-Identifier: MIT */
/*
 * Ledgers: what clients, workers and the host noted, one line per fact, for check.py.
 *
 * Every line begins with a word and the time in microseconds of CLOCK_MONOTONIC, which
 * all processes of a machine share. check.py describes the words.
 */
#ifndef CHAOS_LEDGER_H
#define CHAOS_LEDGER_H

#include <stdint.h>

struct ledger {
    int fd;
};

/* Open folder/name for appending. Returns 0, or -1 with errno set. */
int ledger_open(struct ledger *ledger, const char *folder, const char *name);
void ledger_close(struct ledger *ledger);

/* Append "WORD TIME rest". One write, so that lines of several threads and processes
 * never mix and a process killed a moment later has still said it. */
void ledger_note(const struct ledger *ledger, const char *word, const char *format, ...)
    __attribute__((__format__(__printf__, 3, 4)));

uint64_t ledger_now_us(void);

/*
 * How often each call was begun, in all processes together: a file of one byte per id
 * that everybody maps. A worker learns the number of its attempt from it, without the
 * host's help, so that the host's own count can be checked.
 */
unsigned char *ledger_attempts(const char *folder, uint64_t ids_max);
void ledger_attempts_close(unsigned char *attempts, uint64_t ids_max);

#endif
