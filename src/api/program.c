/* SPDX-License-Identifier: MIT */
/*
 * The public face of programs: check the arguments and go on in session/,
 * or ask the daemon that has the set. Everything happens on the caller's thread.
 */
#include "snakepit/program.h"

#include "api/remote.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/programs.h"

static int need(const void *what, const char *name, sp_error *err)
{
    return what != NULL ? SP_OK : sp__fail(err, SP_ERR_INVAL, "%s is needed", name);
}

SP_API int sp_program_store(sp_sessions *sessions, const char *session, const char *id,
                            const char *data, uint64_t ttl_ms, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(data, "the program as JSON", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_program_store(host, session, id, data, ttl_ms, err)
                        : sp__program_store(sessions, session, id, data, ttl_ms, err);
}

SP_API int sp_program_update(sp_sessions *sessions, const char *session, const char *id,
                             const char *data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(data, "the program as JSON", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_program_update(host, session, id, data, err)
                        : sp__program_update(sessions, session, id, data, err);
}

SP_API int sp_program_get(sp_sessions *sessions, const char *session, const char *id,
                          sp_program *ret_program, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc == SP_OK) {
        rc = need(ret_program, "a place for the program", err);
    }
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_program_get(host, session, id, ret_program, err)
                        : sp__program_get(sessions, session, id, ret_program, err);
}

SP_API int sp_program_delete(sp_sessions *sessions, const char *session, const char *id,
                             sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_program_delete(host, session, id, err)
                        : sp__program_delete(sessions, session, id, err);
}

SP_API int sp_programs_list(sp_sessions *sessions, const char *session,
                            sp_program_cb cb, void *user_data, sp_error *err)
{
    int rc = need(sessions, "a set of sessions", err);
    if (rc < 0) {
        return rc;
    }
    const struct caller *host = sp__asks(sessions);
    return host != NULL ? sp__stub_programs_list(host, session, cb, user_data, err)
                        : sp__programs_list(sessions, session, cb, user_data, err);
}
