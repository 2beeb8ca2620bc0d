/* SPDX-License-Identifier: MIT */
/* Sessions read back from their store. */
#ifndef SP_SESSION_RESTORE_H
#define SP_SESSION_RESTORE_H

#include "session/sessions.h"

/* Put in what is stored and not over. Before the store is started, and before anybody
 * else sees the set. STORE, NOMEM. */
int sp__sessions_restore(struct sp_sessions *sessions, sp_error *err) SP_MUST_CHECK;

/* How much is left of what was stored with this expiry: at most its time to live. Pure.
 * SP_UNLIMITED: it does not end. */
uint64_t sp__remaining_ms(const struct record_expiry *expires, uint64_t boot_ms,
                          uint64_t unix_ms);

#endif
