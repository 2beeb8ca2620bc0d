/* SPDX-License-Identifier: MIT */
/*
 * Which variable depends on which: a graph without cycles inside each session.
 *
 * A new dependency is refused when what it points to already depends, over however many
 * steps, on where it comes from. The search marks variables with the number of the
 * search, and walks with a stack of its own, so that no chain is too long for it.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/keep.h"
#include "session/variable.h"

enum { DEPENDENCIES_MAX = 1000 /* of one variable */ };

/* Where the walk is: a variable, and its dependency that is looked at next. */
struct step {
    const struct variable *at;
    struct link *next;
};

static void describe_cycle(const struct step *steps, size_t count,
                           const struct variable *from, sp_error *err)
{
    char text[SP_ERROR_MESSAGE_MAX - 64];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", from->name);
    for (size_t i = 0; i < count && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, " -> %s",
                                 steps[i].at->name);
    }
    (void)sp__fail(err, SP_ERR_CYCLE, "a cycle of dependencies: %s", text);
}

/* Whether `from` can be reached from `to`. CYCLE with the way, NOMEM, or 0. */
static int refuse_cycle(struct session *session, const struct variable *from,
                        struct variable *to, sp_error *err)
{
    struct step *steps =
        sp__malloc((session->variables_by_age.length + 1) * sizeof *steps);
    if (steps == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory to look for cycles");
    }
    unsigned mark = ++session->last_mark;
    size_t count = 0;
    int rc = SP_OK;
    steps[count++] = (struct step){to, to->needs.first};
    to->mark = mark;
    while (count > 0) {
        struct step *top = &steps[count - 1];
        if (top->at == from) {
            describe_cycle(steps, count, from, err);
            rc = SP_ERR_CYCLE;
            break;
        }
        if (top->next == NULL) {
            count--;
            continue;
        }
        struct variable *next = ITEM(top->next, struct dependency, on_needs)->to;
        top->next = top->next->next;
        if (next->mark != mark) {
            next->mark = mark;
            steps[count++] = (struct step){next, next->needs.first};
        }
    }
    sp__free(steps);
    return rc;
}

static struct dependency *find_dependency(const struct variable *from,
                                          const struct variable *to)
{
    for (struct link *link = from->needs.first; link != NULL; link = link->next) {
        struct dependency *dependency = ITEM(link, struct dependency, on_needs);
        if (dependency->to == to) {
            return dependency;
        }
    }
    return NULL;
}

static int refuse_repetition(const struct variable *from, const struct variable *to,
                             sp_error *err)
{
    if (from->needs.length >= DEPENDENCIES_MAX) {
        return sp__fail(err, SP_ERR_QUOTA, "\"%s\" depends on %d variables already",
                        sp__excerpt(from->name, strlen(from->name)).text,
                        DEPENDENCIES_MAX);
    }
    if (find_dependency(from, to) != NULL) {
        return sp__fail(err, SP_ERR_EXISTS, "\"%s\" depends on \"%s\" already",
                        sp__excerpt(from->name, strlen(from->name)).text,
                        sp__excerpt(to->name, strlen(to->name)).text);
    }
    return SP_OK;
}

static int depend(struct sp_sessions *sessions, struct session *session,
                  struct variable *from, struct variable *to, const char *kind,
                  sp_error *err)
{
    size_t size;
    int rc = sp__check_name("kind of dependency", kind, &size, err);
    if (rc == SP_OK) {
        rc = refuse_repetition(from, to, err);
    }
    if (rc == SP_OK) {
        sp__session_pause(session); /* only who has the gate changes what this reads */
        rc = refuse_cycle(session, from, to, err);
        sp__session_resume(session);
    }
    if (rc < 0) {
        return rc;
    }
    struct dependency *made = sp__calloc(1, sizeof *made + size + 1);
    if (made == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a dependency");
    }
    made->to = to;
    memcpy(made->kind, kind, size);
    struct record record = {.kind = RECORD_DEPENDENCY,
                            .session = session->key,
                            .number = from->number,
                            .needs = to->number,
                            .type = made->kind};
    rc = sp__keep(sessions, session, &record, 1, err);
    if (rc < 0) {
        sp__free(made);
        return rc;
    }
    sp__dependency_link(session, from, made);
    return SP_OK;
}

void sp__dependency_link(struct session *session, struct variable *from,
                         struct dependency *made)
{
    sp__list_append(&from->needs, &made->on_needs);
    session->dependencies_used = 1;
    sp__session_count(session, sizeof *made + strlen(made->kind) + 1, 0);
}

int sp__variable_depend(struct sp_sessions *sessions, const char *session_id,
                        const char *from, const char *to, const char *kind,
                        sp_error *err)
{
    struct session *session;
    struct variable *a = NULL;
    struct variable *b = NULL;
    int rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, from, &a, err);
    if (rc == SP_OK) {
        rc = sp__variable_need(session, to, &b, err);
    }
    if (rc == SP_OK) {
        rc = depend(sessions, session, a, b, kind, err);
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    return rc;
}

static void drop(struct session *session, struct dependency *dependency)
{
    sp__session_count(session, 0, sizeof *dependency + strlen(dependency->kind) + 1);
    sp__list_remove(&dependency->on_needs);
    sp__free(dependency);
}

int sp__variable_undepend(struct sp_sessions *sessions, const char *session_id,
                          const char *from, const char *to, sp_error *err)
{
    struct session *session;
    struct variable *a = NULL;
    struct variable *b = NULL;
    int rc = sp__session_change(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__variable_need(session, from, &a, err);
    if (rc == SP_OK) {
        rc = sp__variable_need(session, to, &b, err);
    }
    struct dependency *dependency = rc == SP_OK ? find_dependency(a, b) : NULL;
    if (dependency != NULL) {
        struct record gone = {.kind = RECORD_DEPENDENCY_DELETE,
                              .session = session->key,
                              .number = a->number,
                              .needs = b->number};
        rc = sp__keep_removal(sessions, session, &gone, err);
        if (rc == SP_OK) {
            drop(session, dependency);
        }
    } else if (rc == SP_OK) {
        rc = sp__fail(err, SP_ERR_NOT_FOUND, "\"%s\" does not depend on \"%s\"",
                      sp__excerpt(a->name, strlen(a->name)).text,
                      sp__excerpt(b->name, strlen(b->name)).text);
    }
    sp__session_changed(session);
    sp__keep_news(sessions);
    return rc;
}

void sp__dependencies_drop(struct session *session, struct variable *variable)
{
    struct link *age = session->variables_by_age.first;
    for (; session->dependencies_used && age != NULL; age = age->next) {
        struct link *link = ITEM(age, struct variable, on_age)->needs.first;
        while (link != NULL) {
            struct dependency *dependency = ITEM(link, struct dependency, on_needs);
            link = link->next;
            if (dependency->to == variable) {
                drop(session, dependency);
            }
        }
    }
}

/* ---- listing ---- */

static int put_edges(struct sp_buffer *out, const struct variable *variable,
                     sp_error *err)
{
    int count = 0;
    for (struct link *link = variable->needs.first; link != NULL; link = link->next) {
        const struct dependency *edge = ITEM(link, struct dependency, on_needs);
        const char *texts[] = {variable->name, edge->to->name, edge->kind};
        for (size_t i = 0; i < 3; i++) {
            int rc = sp__buf_append(out, texts[i], strlen(texts[i]) + 1, err);
            if (rc < 0) {
                return rc;
            }
        }
        count++;
    }
    return count;
}

static int put_all(struct sp_buffer *out, const struct session *session,
                   const struct variable *only, sp_error *err)
{
    int count = 0;
    struct link *link = session->variables_by_age.first;
    for (; link != NULL; link = link->next) {
        const struct variable *variable = ITEM(link, struct variable, on_age);
        int rc = only == NULL || only == variable ? put_edges(out, variable, err) : 0;
        if (rc < 0) {
            return rc;
        }
        count += rc;
    }
    return count;
}

int sp__variable_dependencies(struct sp_sessions *sessions, const char *session_id,
                              const char *name, sp_dependency_cb cb, void *user_data,
                              sp_error *err)
{
    struct session *session;
    struct variable *only = NULL;
    struct sp_buffer out;
    int rc = sp__session_lock(sessions, session_id, &session, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&out, SIZE_MAX);
    rc = name == NULL ? SP_OK : sp__variable_need(session, name, &only, err);
    if (rc == SP_OK) {
        rc = put_all(&out, session, only, err);
    }
    sp__session_unlock(session);
    const char *at = (const char *)out.data;
    for (int i = 0; cb != NULL && i < rc; i++) {
        const char *to = at + strlen(at) + 1;
        const char *kind = to + strlen(to) + 1;
        cb(at, to, kind, user_data);
        at = kind + strlen(kind) + 1;
    }
    sp__buf_fini(&out);
    return rc;
}
