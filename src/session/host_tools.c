/* SPDX-License-Identifier: MIT */
/*
 * The registry of tools.
 *
 * A session's tools lie in the session, so that they end with it; the global ones have a
 * table of their own. Everything about a tool is checked and built before any lock is
 * taken. A batch goes in wholly or not at all, and nobody sees half of it, because the
 * lock of the place is held.
 *
 * A tool is counted by its table, by calls that run, and by whoever lists it. When the
 * last of them lets go, the program is to be told, which may not happen on just any
 * thread: the undertaker sees to that.
 */
#include "session/host_tools.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/near.h"
#include "session/checks.h"
#include "wire/json.h"

/* Where tools are: a session's, with its shard locked, or the global ones. */
struct place {
    struct names *tools;
    struct session *session; /* NULL: global */
};

static int enter(struct sp_sessions *sessions, const char *session_id,
                 struct place *ret, sp_error *err)
{
    *ret = (struct place){.tools = &sessions->global_tools};
    if (session_id == NULL) {
        (void)pthread_mutex_lock(&sessions->global_lock);
        return SP_OK;
    }
    int rc = sp__session_lock(sessions, session_id, &ret->session, err);
    if (rc == SP_OK) {
        ret->tools = &ret->session->tools;
    }
    return rc;
}

static void leave(struct sp_sessions *sessions, const struct place *place)
{
    if (place->session == NULL) {
        (void)pthread_mutex_unlock(&sessions->global_lock);
    } else {
        sp__session_unlock(place->session);
    }
}

/* ---- checking ---- */

static int is_name_character(char c, int first)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && (c == '_' || c == '-' || c == '.'));
}

static int check_name(const char *name, sp_error *err)
{
    if (name == NULL || name[0] == '\0') {
        return sp__fail(err, SP_ERR_INVAL, "a tool has no name");
    }
    size_t size = strnlen(name, SP_TOOL_NAME_MAX + 1);
    struct excerpt excerpt = sp__excerpt(name, size);
    if (size > SP_TOOL_NAME_MAX) {
        return sp__fail(err, SP_ERR_INVAL,
                        "the tool's name \"%s\" is longer than %d bytes", excerpt.text,
                        SP_TOOL_NAME_MAX);
    }
    for (size_t i = 0; i < size; i++) {
        if (!is_name_character(name[i], i == 0)) {
            return sp__fail(err, SP_ERR_INVAL,
                            "the tool's name \"%s\" has a wrong character at %zu: a "
                            "letter or digit, then these and _ - . are allowed",
                            excerpt.text, i);
        }
    }
    return SP_OK;
}

static int check_metadata(const sp_host_tool *tool, sp_error *err)
{
    struct json_member member;
    size_t at = 0;
    size_t members = 0;
    if (tool->metadata == NULL) {
        return SP_OK;
    }
    size_t size = strlen(tool->metadata);
    int rc = sp__check_object("a tool's metadata", tool->metadata, size,
                              TOOL_METADATA_MAX, err);
    while (rc == SP_OK && sp__json_next_member(tool->metadata, size, &at, &member)) {
        members++;
    }
    if (members > TOOL_METADATA_MEMBERS_MAX) {
        rc = sp__fail(err, SP_ERR_TOO_BIG,
                      "a tool's metadata has %zu members: at most %d", members,
                      TOOL_METADATA_MEMBERS_MAX);
    }
    return rc;
}

static int check(const sp_host_tool *tool, sp_id worker, sp_error *err)
{
    int rc = check_name(tool->name, err);
    if (rc < 0) {
        return rc;
    }
    if (tool->fn == NULL && worker == 0) {
        return sp__fail(err, SP_ERR_INVAL, "tool %s has no function", tool->name);
    }
    if (tool->parameters_count > 0 && tool->input_schema != NULL) {
        return sp__fail(err, SP_ERR_INVAL, "tool %s has both parameters and a schema",
                        tool->name);
    }
    if (tool->parameters_count > SCHEMA_NODES_MAX) {
        return sp__fail(err, SP_ERR_TOO_BIG, "tool %s has %zu parameters: at most %d",
                        tool->name, tool->parameters_count, SCHEMA_NODES_MAX);
    }
    rc = check_metadata(tool, err);
    return rc < 0 ? sp__wrap(err, rc, "tool %s", tool->name) : SP_OK;
}

/* ---- building ---- */

static const char *put_text(char **at, const char *text)
{
    char *begin = *at;
    size_t size = text == NULL ? 0 : strlen(text);
    if (size > 0) {
        memcpy(begin, text, size);
    }
    begin[size] = '\0';
    *at += size + 1;
    return begin;
}

static size_t size_of(const char *text)
{
    return text == NULL ? 1 : strlen(text) + 1;
}

/* The parameters' texts follow the tool's own; default_json NULL stays NULL. */
static void put_params(struct host_tool *tool, sp_tool_parameter *to,
                       const sp_host_tool *from, char **at)
{
    for (size_t i = 0; i < from->parameters_count; i++) {
        to[i] = from->parameters[i];
        to[i].name = put_text(at, from->parameters[i].name);
        to[i].type = put_text(at, from->parameters[i].type);
        to[i].description = put_text(at, from->parameters[i].description);
        if (to[i].default_json != NULL) {
            to[i].default_json = put_text(at, from->parameters[i].default_json);
        }
    }
    tool->facts.parameters = to;
}

static size_t size_of_params(const sp_host_tool *tool)
{
    size_t size = tool->parameters_count * sizeof *tool->parameters;
    for (size_t i = 0; i < tool->parameters_count; i++) {
        const sp_tool_parameter *param = &tool->parameters[i];
        size += size_of(param->name) + size_of(param->type) +
                size_of(param->description) +
                (param->default_json == NULL ? 0 : size_of(param->default_json));
    }
    return size;
}

/* The schema as text, terminated, into `out`. */
static int write_schema(const sp_host_tool *tool, int strict, struct sp_buffer *out,
                        sp_error *err)
{
    int rc;
    if (tool->input_schema != NULL) {
        rc = sp__buf_append(out, tool->input_schema, strlen(tool->input_schema), err);
    } else {
        /* A tool that says nothing of its arguments takes any. */
        rc = sp__schema_put_params(out, tool->parameters, tool->parameters_count,
                                   tool->parameters_count == 0, strict, err);
    }
    return rc < 0 ? rc : sp__buf_append(out, "", 1, err);
}

static struct host_tool *assemble(const sp_host_tool *from, const char *schema_text)
{
    size_t bytes = sizeof(struct host_tool) + size_of(from->name) +
                   size_of(from->description) + size_of(from->session) +
                   size_of(from->metadata == NULL ? "{}" : from->metadata) +
                   size_of(schema_text) + size_of_params(from) +
                   _Alignof(sp_tool_parameter);
    struct host_tool *tool = sp__calloc(1, bytes);
    if (tool == NULL) {
        return NULL;
    }
    size_t skew = (uintptr_t)tool->text % _Alignof(sp_tool_parameter);
    size_t pad = skew == 0 ? 0 : _Alignof(sp_tool_parameter) - skew;
    sp_tool_parameter *params = (sp_tool_parameter *)(void *)(tool->text + pad);
    char *at = (char *)(params + from->parameters_count);
    tool->facts = *from;
    tool->facts.name = put_text(&at, from->name);
    tool->facts.description = put_text(&at, from->description);
    tool->facts.session = from->session == NULL ? NULL : put_text(&at, from->session);
    tool->facts.metadata =
        put_text(&at, from->metadata == NULL ? "{}" : from->metadata);
    tool->facts.input_schema = put_text(&at, schema_text);
    put_params(tool, params, from, &at);
    tool->bytes = bytes;
    atomic_init(&tool->references, 1);
    return tool;
}

static int build(const sp_host_tool *given, sp_id worker, struct host_tool **ret_tool,
                 sp_error *err)
{
    sp_host_tool from = {0};
    struct sp_buffer text;
    struct host_tool *tool = NULL;
    if (given->size < sizeof given->size || given->size > 4096) {
        return sp__fail(err, SP_ERR_INVAL,
                        "sp_host_tool.size is %zu; set it to sizeof the struct",
                        given->size);
    }
    memcpy(&from, given, given->size < sizeof from ? given->size : sizeof from);
    int rc = check(&from, worker, err);
    if (rc < 0) {
        return rc;
    }
    sp__buf_init(&text, 2 * SCHEMA_BYTES_MAX);
    rc = write_schema(&from, worker == 0, &text, err);
    if (rc == SP_OK) {
        tool = assemble(&from, (const char *)text.data);
        rc = tool != NULL ? sp__schema_new((const char *)text.data, text.size - 1,
                                           &tool->schema, err)
                          : sp__fail(err, SP_ERR_NOMEM, "no memory for a tool");
    }
    sp__buf_fini(&text);
    if (rc < 0) {
        sp__free(tool);
        return sp__wrap(err, rc, "tool %s", from.name);
    }
    tool->worker = worker;
    *ret_tool = tool;
    return SP_OK;
}

/* ---- references ---- */

struct undertaker *sp__undertaker_new(void)
{
    struct undertaker *undertaker = sp__calloc(1, sizeof *undertaker);
    if (undertaker != NULL) {
        atomic_init(&undertaker->references, 1);
        (void)pthread_mutex_init(&undertaker->lock, NULL);
    }
    return undertaker;
}

void sp__undertaker_unref(struct undertaker *undertaker)
{
    if (undertaker != NULL && atomic_fetch_sub_explicit(&undertaker->references, 1,
                                                        memory_order_acq_rel) == 1) {
        (void)pthread_mutex_destroy(&undertaker->lock);
        sp__free(undertaker);
    }
}

void sp__undertaker_set(struct undertaker *undertaker,
                        void (*take)(void *user, struct host_tool *tool), void *user)
{
    (void)pthread_mutex_lock(&undertaker->lock);
    undertaker->take = take;
    undertaker->user = user;
    (void)pthread_mutex_unlock(&undertaker->lock);
}

void sp__host_tool_bury(struct host_tool *tool)
{
    if (tool->facts.on_gone != NULL) {
        tool->facts.on_gone(tool->facts.user_data);
    }
    sp__undertaker_unref(tool->undertaker);
    sp__schema_free(tool->schema);
    sp__free(tool);
}

struct host_tool *sp__host_tool_ref(struct host_tool *tool)
{
    atomic_fetch_add_explicit(&tool->references, 1, memory_order_relaxed);
    return tool;
}

void sp__host_tool_unref(struct host_tool *tool)
{
    if (tool == NULL ||
        atomic_fetch_sub_explicit(&tool->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    struct undertaker *undertaker = tool->undertaker;
    int is_taken = 0;
    (void)pthread_mutex_lock(&undertaker->lock);
    if (undertaker->take != NULL && tool->facts.on_gone != NULL) {
        undertaker->take(undertaker->user, tool);
        is_taken = 1;
    }
    (void)pthread_mutex_unlock(&undertaker->lock);
    if (!is_taken) {
        sp__host_tool_bury(tool);
    }
}

/* It was never anybody's: its program is not told that it is gone. */
static void discard(struct host_tool *tool)
{
    if (tool != NULL) {
        tool->facts.on_gone = NULL;
        sp__host_tool_bury(tool);
    }
}

/* ---- registering ---- */

static struct host_tool *find_in(const struct names *tools, const char *name)
{
    struct name_node *node = sp__names_find(tools, name, strlen(name));
    return node == NULL ? NULL : ITEM(node, struct host_tool, node);
}

/* Locked. 1 when it is in, 0 when there is no need. */
static int put_in(struct place *place, struct host_tool *tool, sp_error *err)
{
    struct host_tool *old = find_in(place->tools, tool->facts.name);
    if (old != NULL && tool->worker != 0 && old->worker != 0) {
        old->worker = tool->worker; /* a session moves between workers of a kind */
        return 0;
    }
    if (old != NULL) {
        return sp__fail(err, SP_ERR_EXISTS, "there is a tool \"%s\" already%s%s",
                        tool->facts.name, place->session != NULL ? " in session " : "",
                        place->session != NULL ? place->session->id : "");
    }
    if (place->tools->length >= TOOLS_MAX) {
        return sp__fail(err, SP_ERR_QUOTA, "there are %zu tools, as many as may be",
                        place->tools->length);
    }
    if (sp__names_put(place->tools, &tool->node, tool->facts.name,
                      strlen(tool->facts.name)) < 0) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a tool");
    }
    if (place->session != NULL) {
        sp__session_count(place->session, tool->bytes, 0);
    }
    return 1;
}

static void take_out(struct place *place, struct host_tool *tool)
{
    sp__names_remove(place->tools, &tool->node);
    if (place->session != NULL) {
        sp__session_count(place->session, 0, tool->bytes);
    }
}

static const sp_host_tool *tool_at(const sp_host_tool *tools, size_t index)
{
    /* An array of a caller's older, smaller structs steps by its own size. */
    const char *at = (const char *)tools + index * tools->size;
    return (const sp_host_tool *)(const void *)at;
}

static int is_same_session(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int build_all(const sp_host_tool *tools, size_t count, sp_id worker,
                     struct host_tool **built, sp_error *err)
{
    int rc = SP_OK;
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        rc = build(tool_at(tools, i), worker, &built[i], err);
        if (rc == SP_OK &&
            !is_same_session(built[i]->facts.session, built[0]->facts.session)) {
            rc = sp__fail(err, SP_ERR_INVAL,
                          "tools %s and %s belong to different places: register them "
                          "one after the other",
                          built[0]->facts.name, built[i]->facts.name);
        }
    }
    return rc;
}

/* All or none. What is in becomes NULL in `built`. */
static int put_all(struct sp_sessions *sessions, struct host_tool **built, size_t count,
                   sp_error *err)
{
    struct place place;
    size_t i = 0;
    int rc = enter(sessions, built[0]->facts.session, &place, err);
    if (rc < 0) {
        return rc;
    }
    uint8_t *is_in = sp__calloc(count, 1);
    rc = is_in == NULL ? sp__fail(err, SP_ERR_NOMEM, "no memory for tools") : SP_OK;
    for (; rc >= 0 && i < count; i++) {
        rc = put_in(&place, built[i], err);
        is_in[i] = rc > 0;
    }
    for (size_t k = 0; is_in != NULL && k < count; k++) {
        if (is_in[k] && rc < 0) {
            take_out(&place, built[k]);
        } else if (is_in[k]) {
            built[k] = NULL;
        }
    }
    leave(sessions, &place);
    sp__free(is_in);
    return rc < 0 ? rc : SP_OK;
}

int sp__host_tools_register(struct sp_sessions *sessions, const sp_host_tool *tools,
                            size_t count, sp_id worker, sp_error *err)
{
    if (count == 0) {
        return SP_OK;
    }
    struct host_tool **built = sp__calloc(count, sizeof(struct host_tool *));
    if (built == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for tools");
    }
    int rc = build_all(tools, count, worker, built, err);
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        atomic_fetch_add_explicit(&sessions->undertaker->references, 1,
                                  memory_order_relaxed);
        built[i]->undertaker = sessions->undertaker;
    }
    if (rc == SP_OK) {
        rc = put_all(sessions, built, count, err);
    }
    for (size_t i = 0; i < count; i++) {
        discard(built[i]);
    }
    sp__free((void *)built);
    return rc;
}

int sp__host_tool_unregister(struct sp_sessions *sessions, const char *session,
                             const char *name, sp_error *err)
{
    struct place place;
    int rc = check_name(name, err);
    if (rc == SP_OK) {
        rc = enter(sessions, session, &place, err);
    }
    if (rc < 0) {
        return rc;
    }
    struct host_tool *tool = find_in(place.tools, name);
    if (tool != NULL) {
        take_out(&place, tool);
    }
    leave(sessions, &place);
    if (tool == NULL) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "no host tool \"%s\"%s%s", name,
                        session == NULL ? "" : " in session ",
                        session == NULL ? "" : session);
    }
    sp__host_tool_unref(tool);
    return SP_OK;
}

/* ---- finding ---- */

static struct host_tool *find_at(struct sp_sessions *sessions, const char *session,
                                 const char *name)
{
    struct place place;
    if (enter(sessions, session, &place, NULL) < 0) {
        return NULL;
    }
    struct host_tool *tool = find_in(place.tools, name);
    if (tool != NULL) {
        (void)sp__host_tool_ref(tool);
    }
    leave(sessions, &place);
    return tool;
}

struct host_tool *sp__host_tool_find(struct sp_sessions *sessions, const char *session,
                                     const char *name)
{
    struct host_tool *tool = NULL;
    if (session != NULL && session[0] != '\0') {
        tool = find_at(sessions, session, name);
    }
    return tool != NULL ? tool : find_at(sessions, NULL, name);
}

/* ---- lists ---- */

/* References to all that are told, behind those in `out`. */
static int collect(struct sp_sessions *sessions, const char *session,
                   struct sp_buffer *out, sp_error *err)
{
    struct place place;
    size_t at = 0;
    struct name_node *node = NULL;
    int rc = enter(sessions, session, &place, err);
    if (rc < 0) {
        return rc;
    }
    rc = sp__buf_reserve(out, place.tools->length * sizeof(struct host_tool *), err);
    while (rc == SP_OK && (node = sp__names_next(place.tools, &at, node)) != NULL) {
        struct host_tool *tool = ITEM(node, struct host_tool, node);
        if (tool->worker == 0) {
            (void)sp__host_tool_ref(tool);
            memcpy(out->data + out->size, &tool, sizeof(struct host_tool *));
            out->size += sizeof(struct host_tool *);
        }
    }
    leave(sessions, &place);
    return rc;
}

/* By name; a session's own before the global one. */
static int compare(const void *a, const void *b)
{
    const struct host_tool *x = *(struct host_tool *const *)a;
    const struct host_tool *y = *(struct host_tool *const *)b;
    int order = strcmp(x->facts.name, y->facts.name);
    return order != 0 ? order : (x->facts.session == NULL) - (y->facts.session == NULL);
}

static void tell(const struct host_tool *tool,
                 void (*cb)(const sp_host_tool_info *, void *), void *user_data)
{
    sp_host_tool_info info = {.name = tool->facts.name,
                              .description = tool->facts.description,
                              .session = tool->facts.session,
                              .input_schema = tool->facts.input_schema,
                              .metadata = tool->facts.metadata,
                              .flags = tool->facts.flags,
                              .parameters_count = tool->facts.parameters_count,
                              .parameters = tool->facts.parameters};
    cb(&info, user_data);
}

int sp__host_tools_list(struct sp_sessions *sessions, const char *session,
                        void (*cb)(const sp_host_tool_info *tool, void *user_data),
                        void *user_data, sp_error *err)
{
    struct sp_buffer out;
    int told = 0;
    sp__buf_init(&out, SIZE_MAX);
    int rc = session == NULL ? SP_OK : collect(sessions, session, &out, err);
    if (rc == SP_OK) {
        rc = collect(sessions, NULL, &out, err);
    }
    struct host_tool **tools = (struct host_tool **)(void *)out.data;
    size_t count = out.size / sizeof(struct host_tool *);
    if (rc == SP_OK && count > 1) {
        qsort((void *)tools, count, sizeof(struct host_tool *), compare);
    }
    for (size_t i = 0; i < count; i++) {
        int is_hidden =
            i > 0 && strcmp(tools[i]->facts.name, tools[i - 1]->facts.name) == 0;
        if (rc == SP_OK && !is_hidden) {
            told++;
            if (cb != NULL) {
                tell(tools[i], cb, user_data);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        sp__host_tool_unref(tools[i]);
    }
    sp__buf_fini(&out);
    return rc < 0 ? rc : told;
}

int sp__host_tool_refuse(struct sp_sessions *sessions, const char *session,
                         const char *name, sp_error *err)
{
    struct sp_buffer out;
    struct near near;
    char text[256];
    sp__buf_init(&out, SIZE_MAX);
    sp__near_init(&near, name);
    if (session != NULL && session[0] != '\0') {
        (void)!collect(sessions, session, &out, NULL);
    }
    (void)!collect(sessions, NULL, &out, NULL);
    struct host_tool **tools = (struct host_tool **)(void *)out.data;
    size_t count = out.size / sizeof(struct host_tool *);
    for (size_t i = 0; i < count; i++) {
        sp__near_offer(&near, tools[i]->facts.name);
    }
    (void)sp__fail(err, SP_ERR_NO_TOOL, "the host has no tool \"%s\"%s",
                   sp__excerpt(name, strlen(name)).text,
                   sp__near_text(&near, text, sizeof text));
    for (size_t i = 0; i < count; i++) {
        sp__host_tool_unref(tools[i]);
    }
    sp__buf_fini(&out);
    return SP_ERR_NO_TOOL;
}

/* ---- the end of a place ---- */

int sp__host_tools_free(struct names *tools, size_t *budget)
{
    /* From the back, as programs are. */
    while (tools->capacity > 0) {
        struct name_node **bucket = &tools->buckets[tools->capacity - 1];
        while (*bucket != NULL && *budget > 0) {
            struct host_tool *tool = ITEM(*bucket, struct host_tool, node);
            *bucket = tool->node.next;
            sp__host_tool_unref(tool);
            (*budget)--;
        }
        if (*bucket != NULL) {
            return 0;
        }
        tools->capacity--;
    }
    sp__names_fini(tools);
    return 1;
}
