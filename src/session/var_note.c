/* SPDX-License-Identifier: MIT */
/*
 * What is told of variables to those who want to hear: each of these is a test while
 * nobody does.
 */
#include <string.h>

#include "session/variable.h"

void sp__variable_note(struct sp_sessions *sessions, const char *session, int kind,
                       const char *name, const char *second)
{
    if (sp__herald_wants(sessions->herald, kind)) {
        const char *const texts[] = {name, second};
        sp__sessions_note(sessions, session,
                          (struct tidings){.event = {.kind = kind},
                                           EVENT_NUMBERS(1),
                                           .texts = texts,
                                           .texts_count = second != NULL ? 2 : 1});
    }
}

void sp__variable_note_version(struct sp_sessions *sessions, const char *session,
                               const char *name, const char *type, uint64_t version)
{
    if (sp__herald_wants(sessions->herald, SP_EVENT_VARIABLE_UPDATED)) {
        sp__sessions_note(sessions, session,
                          (struct tidings){.event = {.kind = SP_EVENT_VARIABLE_UPDATED},
                                           EVENT_NUMBERS(1, (double)version),
                                           EVENT_TEXTS(name, type)});
    }
}

/* It is of the type, so its constraints refuse it. */
static int is_of_type(const char *type, const char *value)
{
    enum var_type which;
    struct cast cast;
    if (type == NULL || value == NULL || sp__var_type_by_name(type, &which, NULL) < 0) {
        return 0;
    }
    int rc = sp__cast(which, value, strlen(value), SIZE_MAX, &cast, NULL);
    sp__cast_fini(&cast);
    return rc == SP_OK;
}

void sp__variable_note_refusal(struct sp_sessions *sessions, const char *session,
                               const char *name, const char *type, const char *value,
                               int code, const sp_error *err)
{
    if (code != SP_ERR_BAD_VALUE || !sp__herald_listens(sessions->herald)) {
        return;
    }
    int kind = is_of_type(type, value) ? SP_EVENT_VARIABLE_VIOLATES
                                       : SP_EVENT_VARIABLE_INVALID;
    sp__sessions_note(
        sessions, session,
        (struct tidings){.event = {.kind = kind},
                         EVENT_NUMBERS(1),
                         EVENT_TEXTS(name, type, err == NULL ? "" : err->message)});
}
