/* SPDX-License-Identifier: MIT */
/*
 * Versions and views: what may leave a lock without being copied.
 *
 * A version is written once and then only counted, so a reader takes a reference under
 * the lock and copies without it, however large the value is.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "session/variable.h"
#include "wire/json.h"

/* Copy a text of `size` bytes and its end behind *at, and go on. */
static const char *place(char **at, const char *text, size_t size)
{
    char *here = *at;
    if (size > 0) {
        memcpy(here, text, size);
    }
    here[size] = '\0';
    *at += size + 1;
    return here;
}

struct var_version *sp__version_new(uint64_t version, const struct sp_buffer *json,
                                    const char *metadata, const char *changed_by,
                                    sp_error *err)
{
    size_t metadata_size = strlen(metadata);
    size_t by_size = strlen(changed_by);
    struct var_version *made =
        sp__malloc(sizeof *made + json->size + metadata_size + by_size + 3);
    if (made == NULL) {
        (void)sp__fail(err, SP_ERR_NOMEM, "no memory for a value of %zu bytes",
                       json->size);
        return NULL;
    }
    char *at = made->text;
    *made = (struct var_version){.references = 1,
                                 .version = version,
                                 .time_unix_ms = sp__unix_ns() / 1000000u,
                                 .value_size = json->size};
    made->value = place(&at, (const char *)json->data, json->size);
    made->metadata = place(&at, metadata, metadata_size);
    made->changed_by = place(&at, changed_by, by_size);
    return made;
}

struct var_version *sp__version_ref(struct var_version *version)
{
    (void)atomic_fetch_add_explicit(&version->references, 1, memory_order_relaxed);
    return version;
}

void sp__version_unref(struct var_version *version)
{
    if (version != NULL && atomic_fetch_sub(&version->references, 1) == 1) {
        sp__free(version);
    }
}

size_t sp__version_bytes(const struct var_version *version)
{
    return sizeof *version + version->value_size + strlen(version->metadata) +
           strlen(version->changed_by) + 3;
}

/* ---- views ---- */

void sp__view_init_at(struct var_view *view, const struct variable *variable,
                      struct var_version *version)
{
    view->number = variable->number;
    view->created_unix_ms = variable->created_unix_ms;
    view->locked_unix_ms = variable->locked_unix_ms;
    view->rules = sp__var_rules_ref(variable->rules);
    view->version = sp__version_ref(version);
    (void)snprintf(view->name, sizeof view->name, "%s", variable->name);
    (void)snprintf(view->locked_by, sizeof view->locked_by, "%s",
                   variable->locked_by == NULL ? "" : variable->locked_by);
}

void sp__view_init(struct var_view *view, const struct variable *variable)
{
    sp__view_init_at(view, variable, sp__variable_now(variable));
}

void sp__view_fini(struct var_view *view)
{
    sp__var_rules_unref(view->rules);
    sp__version_unref(view->version);
    view->rules = NULL;
    view->version = NULL;
}

int sp__view_copy(const struct var_view *view, sp_variable *ret_variable, sp_error *err)
{
    const struct var_version *version = view->version;
    char id[SP_NAME_MAX + 32];
    size_t id_size = (size_t)snprintf(id, sizeof id, "var_%s_%llu", view->name,
                                      (unsigned long long)view->number);
    size_t name_size = strlen(view->name);
    size_t metadata_size = strlen(version->metadata);
    size_t by_size = strlen(version->changed_by);
    size_t locked_size = strlen(view->locked_by);
    char *memory =
        sp__malloc(id_size + name_size + version->value_size + view->rules->json_size +
                   metadata_size + by_size + locked_size + 7);
    if (memory == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a copy of \"%s\"",
                        view->name);
    }
    char *at = memory;
    *ret_variable = (sp_variable){
        .id = place(&at, id, id_size),
        .name = place(&at, view->name, name_size),
        .type = sp__var_type_name(view->rules->type),
        .value = place(&at, version->value, version->value_size),
        .value_size = version->value_size,
        .constraints = place(&at, view->rules->json, view->rules->json_size),
        .metadata = place(&at, version->metadata, metadata_size),
        .changed_by = place(&at, version->changed_by, by_size),
        .locked_by = place(&at, view->locked_by, locked_size),
        .version = version->version,
        .created_unix_ms = view->created_unix_ms,
        .updated_unix_ms = version->time_unix_ms,
        .locked_unix_ms = view->locked_unix_ms,
        .memory = memory,
    };
    return SP_OK;
}

/* ---- metadata ---- */

static int has_key(const char *object, const struct json_member *wanted)
{
    struct json_member member;
    size_t at = 0;
    while (sp__json_next_member(object, strlen(object), &at, &member)) {
        if (member.key_size == wanted->key_size &&
            memcmp(member.key, wanted->key, wanted->key_size) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The members of an object, without those that `but` has too. */
static int put_members(struct sp_buffer *out, const char *object, const char *but,
                       sp_error *err)
{
    struct json_member member;
    size_t at = 0;
    int rc = SP_OK;
    while (rc == SP_OK && sp__json_next_member(object, strlen(object), &at, &member)) {
        if (but == NULL || !has_key(but, &member)) {
            rc = sp__buf_printf(out, err, "%s\"%.*s\":%.*s", out->size > 1 ? "," : "",
                                (int)member.key_size, member.key,
                                (int)member.value_size, member.value);
        }
    }
    return rc;
}

int sp__merge_objects(const char *base, const char *over, size_t max, char **ret,
                      sp_error *err)
{
    struct sp_buffer out;
    size_t size;
    sp__buf_init(&out, max + 1);
    int rc = sp__buf_append(&out, "{", 1, err);
    if (rc == SP_OK && base != NULL) {
        rc = put_members(&out, base, over, err);
    }
    if (rc == SP_OK && over != NULL) {
        rc = put_members(&out, over, NULL, err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(&out, "}", 2, err);
    }
    if (rc < 0) {
        sp__buf_fini(&out);
        return sp__wrap(err, rc, "metadata");
    }
    sp__buf_take(&out, (uint8_t **)ret, &size);
    return SP_OK;
}
