/* SPDX-License-Identifier: MIT */
/* Which sets of sessions are kept by a daemon. */
#ifndef SP_API_REMOTE_H
#define SP_API_REMOTE_H

#include "serve/remote.h"
#include "session/sessions.h"

/* Whom to ask about the set, NULL: it is here. */
static inline const struct caller *sp__asks(const struct sp_sessions *sessions)
{
    return sessions->remote != NULL ? sp__remote_caller(sessions->remote) : NULL;
}

#endif
