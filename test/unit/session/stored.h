/* SPDX-License-Identifier: MIT */
/* A set of sessions with a folder and clocks of the test's own. */
#ifndef TEST_UNIT_SESSION_STORED_H
#define TEST_UNIT_SESSION_STORED_H

#include "session/sessions.h"

/* What its clocks say; the test moves them. */
extern uint64_t stored_boot_ms;
extern uint64_t stored_unix_ms;

extern struct sp_sessions *stored;
extern sp_error stored_error;

/* Open the set in the folder "state", or in another one; closed at the end of the test. */
struct sp_sessions *stored_open(void);
struct sp_sessions *stored_open_at(const char *name);
int stored_try(const char *name); /* the same, handing its error on */
void stored_close(void);

/* The files of the folder "state" as they are now, in another folder: what is left when
 * the host is killed at this moment. */
void stored_copy(const char *name);

/* The machine was started anew: what is in the folder was written before. */
void stored_reboot(const char *name);

/* Something of every kind in sessions "a" (durable), "b" (crash) and "m" (memory), and
 * among the global programs. */
void stored_fill(struct sp_sessions *set);

#endif
