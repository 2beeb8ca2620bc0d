/* SPDX-License-Identifier: MIT */
/* How changes of sessions get into the store: records of what is in memory. */
#ifndef SP_SESSION_KEEP_H
#define SP_SESSION_KEEP_H

#include "session/programs.h"
#include "session/variable.h"

/* What SP_DURABILITY_ a session gets. INVAL. */
int sp__keep_class(const struct sp_sessions *sessions, int wanted, int *ret_durability,
                   sp_error *err) SP_MUST_CHECK;

static inline int sp__is_kept(const struct session *session)
{
    return session->key != 0;
}

/*
 * Gate taken, locked: have the records stored, with the lock let go meanwhile. What is in
 * memory changes afterwards, so that a failure leaves everything as it was. Nothing
 * happens for a session that is in memory only.
 *
 * Errors: those of sp__store_commit().
 */
int sp__keep(struct sp_sessions *sessions, struct session *session,
             const struct record *records, size_t count, sp_error *err) SP_MUST_CHECK;
/* The same for a change that only takes away: it works on a full disk too. */
int sp__keep_removal(struct sp_sessions *sessions, struct session *session,
                     const struct record *record, sp_error *err) SP_MUST_CHECK;
/* The same for a global program: its gate taken, its lock held. */
int sp__keep_global(struct sp_sessions *sessions, const struct record *record,
                    int shrinks, sp_error *err) SP_MUST_CHECK;

/* Locked: its stored expiry is passed by its true one; store a later one some time. */
void sp__keep_use(struct sp_sessions *sessions, struct session *session);
/* Locked or out of its table: it is over; take it away some time. */
void sp__keep_end(struct sp_sessions *sessions, const struct session *session);
/* Global lock held: likewise. */
void sp__keep_program_end(struct sp_sessions *sessions, const struct program *program);

/* Everything is going: store the true expiries. */
void sp__keep_expiries(struct sp_sessions *sessions);

/* No lock held: tell the program when the store became full, failed or recovered. */
void sp__keep_news(struct sp_sessions *sessions);

/* ---- records; all borrow what they are made of ---- */

/* When something ends that ends at expires_ms unless it is used: a little later, so that
 * use need not be written each time. */
struct record_expiry sp__keep_expiry(struct sp_sessions *sessions, uint64_t ttl_ms,
                                     uint64_t expires_ms, uint64_t slack_ms);
uint64_t sp__keep_slack(uint64_t ttl_ms);
struct record sp__record_session(struct sp_sessions *sessions,
                                 const struct session *session);
struct record sp__record_variable(const struct session *session,
                                  const struct variable *variable);
struct record sp__record_version(const struct session *session,
                                 const struct variable *variable,
                                 struct var_version *version);
struct record sp__record_program(struct sp_sessions *sessions,
                                 const struct session *session,
                                 const struct program *program);
struct record sp__record_change(const struct sp_sessions *sessions,
                                const struct session *session,
                                const struct var_change *change);

#endif
