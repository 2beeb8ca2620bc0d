/* SPDX-License-Identifier: MIT */
/*
 * Variables as one JSON text, out and in.
 *
 * Export takes views under the lock and writes without it. Import builds, checks and
 * stores every variable before the first is put in, so the session has all of them or
 * none.
 */
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "session/checks.h"
#include "session/keep.h"
#include "session/variable.h"
#include "wire/json.h"

enum { EXPORT_BYTES_MAX = 1 << 30 };

/* ---- out ---- */

struct export
{
    struct sp_buffer out;
    sp_error *err;
    int rc;
};

static int put_variable(struct export *export, const sp_variable *variable)
{
    struct sp_buffer *out = &export->out;
    sp_error *err = export->err;
    int rc = sp__buf_printf(out, err, "%s{\"name\":", out->size > 1 ? "," : "");
    if (rc == SP_OK) {
        rc = sp__json_put_string(out, variable->name, strlen(variable->name), err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_printf(out, err, ",\"type\":\"%s\",\"version\":%llu,\"value\":",
                            variable->type, (unsigned long long)variable->version);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(out, variable->value, variable->value_size, err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_printf(out, err, ",\"constraints\":%s,\"metadata\":%s}",
                            variable->constraints, variable->metadata);
    }
    return rc;
}

static void export_one(const sp_variable *variable, void *user)
{
    struct export *export = user;
    if (export->rc == SP_OK) {
        export->rc = put_variable(export, variable);
    }
}

int sp__variables_export(struct sp_sessions *sessions, const char *session_id,
                         sp_json_cb cb, void *user_data, sp_error *err)
{
    struct export export = {.err = err};
    sp__buf_init(&export.out, EXPORT_BYTES_MAX);
    export.rc = sp__buf_append(&export.out, "[", 1, err);
    int rc = sp__variables_list(sessions, session_id, NULL, export_one, &export, err);
    if (rc >= 0 && export.rc == SP_OK) {
        export.rc = sp__buf_append(&export.out, "]", 2, err);
    }
    if (rc >= 0 && export.rc < 0) {
        rc = export.rc;
    }
    if (rc >= 0) {
        cb((sp_bytes){.data = export.out.data, .size = export.out.size - 1}, user_data);
    }
    sp__buf_fini(&export.out);
    return rc;
}

/* ---- in ---- */

struct text {
    const char *raw;
    size_t size;
};

/* The parts of one exported object. */
struct part {
    struct text name;
    struct text type;
    struct text value;
    struct text constraints;
    struct text metadata;
};

static int bad_form(const char *why, sp_error *err)
{
    return sp__fail(err, SP_ERR_BAD_VALUE,
                    "an import is a list of objects with name, type and value: %s",
                    why);
}

static int read_part(const char *object, size_t size, struct part *ret, sp_error *err)
{
    struct {
        const char *key;
        struct text *place;
    } keys[] = {{"name", &ret->name},
                {"type", &ret->type},
                {"value", &ret->value},
                {"constraints", &ret->constraints},
                {"metadata", &ret->metadata}};
    struct json_member member;
    size_t at = 0;
    *ret = (struct part){0};
    if (sp__json_kind(object, size) != '{') {
        return bad_form(sp__excerpt(object, size).text, err);
    }
    while (sp__json_next_member(object, size, &at, &member)) {
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            if (strlen(keys[i].key) == member.key_size &&
                memcmp(keys[i].key, member.key, member.key_size) == 0) {
                *keys[i].place = (struct text){member.value, member.value_size};
            }
        }
    }
    if (ret->value.raw == NULL || ret->name.raw == NULL ||
        sp__json_kind(ret->name.raw, ret->name.size) != '"' ||
        (ret->type.raw != NULL &&
         sp__json_kind(ret->type.raw, ret->type.size) != '"')) {
        return bad_form(sp__excerpt(object, size).text, err);
    }
    return SP_OK;
}

/* A JSON string as text; NULL for a part that is not there. A NUL inside cuts it, and
 * what is left is checked as any name is: so it is refused first. */
static int take_string(struct text part, char **ret, sp_error *err)
{
    *ret = NULL;
    if (part.raw == NULL) {
        return SP_OK;
    }
    *ret = sp__malloc(part.size);
    if (*ret == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an import");
    }
    size_t size = sp__json_unescape(part.raw + 1, part.size - 2, *ret);
    (*ret)[size] = '\0';
    return strlen(*ret) == size ? SP_OK : bad_form("a NUL in a name", err);
}

static int take_copy(struct text part, char **ret, sp_error *err)
{
    *ret = part.raw == NULL ? NULL : sp__strndup(part.raw, part.size);
    return part.raw == NULL || *ret != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_NOMEM, "no memory for an import");
}

static int build_part(struct sp_sessions *sessions, const struct part *part,
                      struct variable **ret_variable, sp_error *err)
{
    char *name = NULL;
    char *type = NULL;
    char *constraints = NULL;
    char *metadata = NULL;
    int rc = take_string(part->name, &name, err);
    if (rc == SP_OK) {
        rc = take_string(part->type, &type, err);
    }
    if (rc == SP_OK) {
        rc = take_copy(part->constraints, &constraints, err);
    }
    if (rc == SP_OK) {
        rc = take_copy(part->metadata, &metadata, err);
    }
    if (rc == SP_OK) {
        sp_change_options options = {.constraints = constraints, .metadata = metadata};
        rc = sp__variable_build(sessions, name, type, part->value.raw, part->value.size,
                                &options, ret_variable, err);
    }
    sp__free(name);
    sp__free(type);
    sp__free(constraints);
    sp__free(metadata);
    return rc;
}

static size_t skip(const char *json, size_t size, size_t at, const char *what)
{
    while (at < size && strchr(what, json[at]) != NULL) {
        at++;
    }
    return at;
}

/* Behind the value that begins at `at`, in text that is known to be valid. */
static size_t skip_value(const char *json, size_t size, size_t at)
{
    unsigned depth = 0;
    int in_string = 0;
    for (; at < size; at++) {
        char c = json[at];
        if (in_string) {
            at += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (depth == 0 && (c == ',' || c == ']')) {
            break;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return at;
}

/* The elements of a list that is known to be valid: 1 with one, 0 at the end. Begin with
 * *at = 0. */
static int next_element(const char *json, size_t size, size_t *at, struct text *ret)
{
    size_t start = *at > 0 ? *at : skip(json, size, 0, " \t\r\n") + 1;
    start = skip(json, size, start, " \t\r\n,");
    if (start >= size || json[start] == ']') {
        return 0;
    }
    *at = skip_value(json, size, start);
    *ret = (struct text){json + start, *at - start};
    return 1;
}

static int build_all(struct sp_sessions *sessions, const char *json, size_t size,
                     struct list *ret_built, sp_error *err)
{
    struct text element;
    size_t at = 0;
    int rc = sp__check_json("the import", json, size, EXPORT_BYTES_MAX, err);
    if (rc == SP_OK && sp__json_kind(json, size) != '[') {
        return bad_form(sp__excerpt(json, size).text, err);
    }
    while (rc == SP_OK && next_element(json, size, &at, &element)) {
        struct part part;
        struct variable *variable = NULL;
        rc = read_part(element.raw, element.size, &part, err);
        if (rc == SP_OK) {
            rc = build_part(sessions, &part, &variable, err);
        }
        if (rc == SP_OK) {
            sp__list_append(ret_built, &variable->on_age);
        }
    }
    return rc;
}

/* Gate taken, locked: none has a name that is taken, or that another one has. */
static int check_names(const struct session *session, const struct list *built,
                       size_t *ret_bytes, sp_error *err)
{
    struct names names = {0};
    int rc = SP_OK;
    *ret_bytes = 0;
    for (struct link *link = built->first; rc == SP_OK && link != NULL;
         link = link->next) {
        struct variable *variable = ITEM(link, struct variable, on_age);
        size_t size = strlen(variable->name);
        *ret_bytes += sp__variable_bytes(variable);
        if (sp__names_find(&names, variable->name, size) != NULL) {
            rc = sp__fail(err, SP_ERR_EXISTS, "variable \"%s\" is in the import twice",
                          sp__excerpt(variable->name, size).text);
        } else if (sp__names_put(&names, &variable->node, variable->name, size) < 0) {
            rc = sp__fail(err, SP_ERR_NOMEM, "no memory for an import");
        } else {
            rc = sp__variable_is_new(session, variable, err);
        }
    }
    sp__names_fini(&names);
    return rc;
}

/* Gate taken, locked: number and store them. */
static int keep_all(struct sp_sessions *sessions, struct session *session,
                    const struct list *built, sp_error *err)
{
    size_t used = 0;
    uint64_t number = session->last_number;
    struct record *records = sp__malloc((built->length * 2u + 1) * sizeof *records);
    if (records == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an import");
    }
    for (struct link *link = built->first; link != NULL; link = link->next) {
        struct variable *variable = ITEM(link, struct variable, on_age);
        variable->number = ++number;
        records[used++] = sp__record_variable(session, variable);
        records[used++] =
            sp__record_version(session, variable, sp__variable_now(variable));
    }
    int rc = used == 0 ? SP_OK : sp__keep(sessions, session, records, used, err);
    sp__free(records);
    return rc;
}

/* Gate taken, locked: all or none; what is not in stays on the list. */
static int link_all(struct sp_sessions *sessions, struct session *session,
                    struct list *built, sp_error *err)
{
    size_t bytes;
    int count = (int)built->length;
    struct link *link;
    int rc = check_names(session, built, &bytes, err);
    if (rc == SP_OK) {
        rc = sp__variables_make_room(sessions, session, built->length, bytes, err);
    }
    if (rc == SP_OK) {
        rc = keep_all(sessions, session, built, err);
    }
    while (rc == SP_OK && (link = sp__list_pop(built)) != NULL) {
        struct variable *variable = ITEM(link, struct variable, on_age);
        sp__variable_link(session, variable);
        sp__watches_tell(session, variable, SP_CHANGE_REGISTERED);
    }
    return rc < 0 ? rc : count;
}

int sp__variables_import(struct sp_sessions *sessions, const char *session_id,
                         const char *json, size_t size, sp_error *err)
{
    struct session *session;
    struct list built = {0};
    int rc = build_all(sessions, json, size, &built, err);
    if (rc == SP_OK) {
        rc = sp__session_change(sessions, session_id, &session, err);
    }
    if (rc == SP_OK) {
        rc = link_all(sessions, session, &built, err);
        sp__session_changed(session);
        sp__keep_news(sessions);
    }
    struct link *link;
    while ((link = sp__list_pop(&built)) != NULL) {
        sp__variable_free(ITEM(link, struct variable, on_age));
    }
    return rc;
}
