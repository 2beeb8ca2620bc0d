/* SPDX-License-Identifier: MIT */
#include "portrait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct painter {
    FILE *out;
    sp_sessions *sessions;
    const char *session; /* that is painted now; NULL: global */
    int failed;
};

static void paint_version(const sp_variable *variable, void *user)
{
    struct painter *painter = user;
    fprintf(painter->out, "    %" PRIu64 " %s %s by \"%s\" at %" PRIu64 "\n",
            variable->version, variable->value, variable->metadata,
            variable->changed_by, variable->updated_unix_ms);
}

static void paint_variable(const sp_variable *variable, void *user)
{
    struct painter *painter = user;
    fprintf(painter->out, "  %s %s %s at %" PRIu64 " locked by \"%s\" at %" PRIu64 "\n",
            variable->id, variable->type, variable->constraints,
            variable->created_unix_ms, variable->locked_by, variable->locked_unix_ms);
    painter->failed |=
        sp_variable_history(painter->sessions, painter->session, variable->name, 0,
                            paint_version, painter, NULL) < 0;
}

static void paint_dependency(const char *from, const char *to, const char *kind,
                             void *user)
{
    struct painter *painter = user;
    fprintf(painter->out, "  %s needs %s: %s\n", from, to, kind);
}

static void paint_program(const sp_program *program, void *user)
{
    struct painter *painter = user;
    fprintf(painter->out, "  program %s %s at %" PRIu64 ", %" PRIu64 "\n", program->id,
            program->data, program->created_unix_ms, program->updated_unix_ms);
}

static void paint_session(const sp_session_info *info, void *user)
{
    struct painter *painter = user;
    sp_sessions *sessions = painter->sessions;
    fprintf(painter->out, "session %s %s ttl %" PRIu64 " at %" PRIu64 " class %d\n",
            info->id, info->metadata, info->ttl_ms, info->created_unix_ms,
            info->durability);
    painter->session = info->id;
    painter->failed |=
        sp_variables_list(sessions, info->id, NULL, paint_variable, painter, NULL) <
            0 ||
        sp_variable_dependencies(sessions, info->id, NULL, paint_dependency, painter,
                                 NULL) < 0 ||
        sp_programs_list(sessions, info->id, paint_program, painter, NULL) < 0;
}

char *portrait(sp_sessions *sessions)
{
    char *text = NULL;
    size_t size = 0;
    struct painter painter = {.out = open_memstream(&text, &size),
                              .sessions = sessions};
    if (painter.out == NULL) {
        return NULL;
    }
    painter.failed =
        sp_sessions_list(sessions, paint_session, &painter, NULL) < 0 || painter.failed;
    painter.failed |=
        sp_programs_list(sessions, NULL, paint_program, &painter, NULL) < 0;
    if (fclose(painter.out) != 0 || painter.failed) {
        free(text);
        return NULL;
    }
    return text;
}
