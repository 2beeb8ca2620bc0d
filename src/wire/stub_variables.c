/* SPDX-License-Identifier: MIT */
/*
 * The calls about several variables, from the caller's side: lists, batches,
 * dependencies, export and import, watching.
 *
 * A batch's reply is a map by name. Our host answers in the order of the request, so
 * looking for each name goes on where the last one was found.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/stubs.h"

static int walk(struct stub_call *call, sp_variable_cb cb, void *user_data,
                sp_error *err)
{
    struct proto_variable item;
    size_t at = 0;
    int count = 0;
    int rc;
    while ((rc = sp__stub_next(call, 1, &at, &sp__proto_variable_table, &item, err)) >
           0) {
        sp_variable variable;
        sp__proto_to_variable(&item, &variable);
        cb(&variable, user_data);
        count++;
    }
    return rc < 0 ? rc : count;
}

int sp__stub_variables_list(const struct caller *caller, const char *session,
                            const char *pattern, sp_variable_cb cb, void *user_data,
                            sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_list request = {.session_id = session,
                                                .pattern = pattern};
    int rc = sp__stub_check(pattern, "a pattern", err);
    if (rc == SP_OK) {
        rc = sp__stub_call(caller, &call, SP__PATH_LIST_VARIABLES,
                           &sp__proto_variable_list_table, &request, err);
    }
    if (rc == SP_OK) {
        rc = walk(&call, cb, user_data, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}

/* ---- batches ---- */

/* The entry of a map with this key, looked for from *hint on; NULL: none. The key is
 * the first member of every entry. */
static const void *find_entry(const struct proto_run *run, size_t entry_size,
                              const char *key, size_t *hint)
{
    for (size_t i = 0; i < run->count; i++) {
        size_t at = (*hint + i) % run->count;
        const void *entry = (const char *)run->items + at * entry_size;
        if (strcmp(*(const char *const *)entry, key) == 0) {
            *hint = at + 1;
            return entry;
        }
    }
    return NULL;
}

static int own_all(const struct proto_run *run, const char *const *names, size_t count,
                   sp_variable *ret_variables, sp_error *err)
{
    size_t hint = 0;
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        ret_variables[i] = (sp_variable){0};
    }
    for (size_t i = 0; i < count; i++) {
        sp_variable variable;
        const struct proto_variable_entry *entry =
            names[i] == NULL
                ? NULL
                : find_entry(run, sizeof(struct proto_variable_entry), names[i], &hint);
        if (entry == NULL || entry->variable == NULL) {
            continue;
        }
        sp__proto_to_variable(entry->variable, &variable);
        int rc = sp__own_variable(&variable, &ret_variables[i], err);
        if (rc < 0) {
            while (i-- > 0) {
                sp__free(ret_variables[i].memory);
                ret_variables[i] = (sp_variable){0};
            }
            return rc;
        }
        found++;
    }
    return found;
}

/* Names that are NULL are found nowhere, and not asked for. */
static int get_many(const struct caller *caller, struct stub_call *call,
                    const char *session, const char **texts, const char *const *names,
                    size_t count, int accept_binary, sp_error *err)
{
    struct proto_variable_get_many request = {.session_id = session,
                                              .names = {texts, 0},
                                              .include_metadata = 1,
                                              .accept_binary = accept_binary};
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL) {
            texts[request.names.count++] = names[i];
        }
    }
    return sp__stub_call(caller, call, SP__PATH_GET_VARIABLES,
                         &sp__proto_variable_get_many_table, &request, err);
}

int sp__stub_variables_get(const struct caller *caller, const char *session,
                           const char *const *names, size_t count,
                           sp_variable *ret_variables, sp_error *err)
{
    struct stub_call call = {0};
    struct proto_variable_get_many_reply reply;
    const char **texts = sp__calloc(count + 1, sizeof *texts);
    if (texts == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu names", count);
    }
    int rc = get_many(caller, &call, session, texts, names, count, 0, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_get_many_reply_table, &reply,
                            err);
    }
    if (rc == SP_OK) {
        rc = own_all(&reply.variables, names, count, ret_variables, err);
    }
    sp__stub_call_fini(&call);
    sp__free((void *)texts);
    return rc;
}

static int show_all(const struct proto_run *run, const char *const *names, size_t count,
                    sp_array_cb cb, void *user_data, sp_error *err)
{
    size_t hint = 0;
    int found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct proto_variable_entry *entry =
            names[i] == NULL
                ? NULL
                : find_entry(run, sizeof(struct proto_variable_entry), names[i], &hint);
        if (entry == NULL || entry->variable == NULL) {
            continue;
        }
        int rc = sp__stub_show_array(entry->variable, i, cb, user_data, err);
        if (rc < 0) {
            return rc;
        }
        found++;
    }
    return found;
}

int sp__stub_variables_get_arrays(const struct caller *caller, const char *session,
                                  const char *const *names, size_t count,
                                  sp_array_cb cb, void *user_data, sp_error *err)
{
    struct stub_call call = {0};
    struct proto_variable_get_many_reply reply;
    const char **texts = sp__calloc(count + 1, sizeof *texts);
    if (texts == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu names", count);
    }
    int rc = get_many(caller, &call, session, texts, names, count, 1, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_get_many_reply_table, &reply,
                            err);
    }
    if (rc == SP_OK) {
        rc = show_all(&reply.variables, names, count, cb, user_data, err);
    }
    sp__stub_call_fini(&call);
    sp__free((void *)texts);
    return rc;
}

/* What a reply says of each update. Returns how many were set. */
static int note_all(const struct proto_variable_set_many_reply *reply,
                    sp_variable_update *updates, size_t count)
{
    size_t version_hint = 0;
    size_t error_hint = 0;
    size_t reason_hint = 0;
    int made = 0;
    for (size_t i = 0; i < count; i++) {
        sp_variable_update *update = &updates[i];
        const char *name = update->name != NULL ? update->name : "";
        const struct proto_number_entry *version =
            find_entry(&reply->new_versions, sizeof *version, name, &version_hint);
        const struct proto_text_entry *error =
            find_entry(&reply->errors, sizeof *error, name, &error_hint);
        const struct proto_text_entry *reason =
            find_entry(&reply->error_reasons, sizeof *reason, name, &reason_hint);
        update->code = SP_OK;
        update->message[0] = '\0';
        if (error != NULL) {
            int code = reason != NULL ? sp_error_by_name(reason->text) : 0;
            update->code = code != 0 ? code : SP_ERR_BAD_VALUE;
            (void)snprintf(update->message, sizeof update->message, "%s", error->text);
        } else if (version != NULL) {
            update->version = (uint64_t)(uint32_t)version->number;
            made++;
        }
    }
    return made;
}

static int conclude(const struct proto_variable_set_many_reply *reply,
                    sp_variable_update *updates, size_t count, int atomic,
                    sp_error *err)
{
    int made = note_all(reply, updates, count);
    if (!atomic || reply->success) {
        return made;
    }
    for (size_t i = 0; i < count; i++) {
        if (updates[i].code != SP_OK) {
            return sp__fail(err, updates[i].code, "%s", updates[i].message);
        }
    }
    return sp__fail(err, SP_ERR_PROTOCOL, "the reply does not say what was refused");
}

/* What a batch's request points to. */
struct batch {
    struct proto_any_entry *entries;
    struct proto_blob_entry *blobs; /* of the updates that are arrays */
    struct stub_array *values;      /* of those, the text */
    size_t blobs_count;
};

static void batch_fini(struct batch *batch)
{
    sp__free(batch->entries);
    sp__free(batch->blobs);
    sp__free(batch->values);
}

static int batch_init(struct batch *batch, const sp_variable_update *updates,
                      const sp_tensor *const *arrays, size_t count, sp_error *err)
{
    size_t most = arrays != NULL ? count : 0;
    *batch = (struct batch){.entries = sp__calloc(count + 1, sizeof *batch->entries),
                            .blobs = sp__calloc(most + 1, sizeof *batch->blobs),
                            .values = sp__calloc(most + 1, sizeof *batch->values)};
    if (batch->entries == NULL || batch->blobs == NULL || batch->values == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu updates", count);
    }
    for (size_t i = 0; i < count; i++) {
        const char *json = updates[i].value;
        if (arrays != NULL && arrays[i] != NULL) {
            struct stub_array *value = &batch->values[batch->blobs_count];
            int rc = sp__stub_array(arrays[i], value, err);
            if (rc < 0) {
                return rc;
            }
            json = value->text;
            batch->blobs[batch->blobs_count++] =
                (struct proto_blob_entry){updates[i].name, value->binary};
        }
        batch->entries[i] =
            (struct proto_any_entry){updates[i].name, {sp__proto_type_url(""), json}};
    }
    return SP_OK;
}

static int set_many(const struct caller *caller, struct stub_call *call,
                    const char *session, const struct batch *batch, size_t count,
                    int atomic, const sp_change_options *options, sp_error *err)
{
    struct proto_variable_set_many request = {
        .session_id = session,
        .updates = {batch->entries, count},
        .atomic = atomic,
        .binary = {batch->blobs, batch->blobs_count}};
    if (options != NULL) {
        request.metadata_json = options->metadata;
        request.changed_by = options->changed_by;
        request.owner = options->owner;
        request.check_version = options->check_version;
        request.expected_version = sp__stub_expected(options);
    }
    return sp__stub_call(caller, call, SP__PATH_SET_VARIABLES,
                         &sp__proto_variable_set_many_table, &request, err);
}

int sp__stub_variables_set_arrays(const struct caller *caller, const char *session,
                                  sp_variable_update *updates,
                                  const sp_tensor *const *arrays, size_t count,
                                  int atomic, const sp_change_options *options,
                                  sp_error *err)
{
    struct stub_call call = {0};
    struct proto_variable_set_many_reply reply;
    struct batch batch;
    int rc = batch_init(&batch, updates, arrays, count, err);
    if (rc == SP_OK) {
        rc = set_many(caller, &call, session, &batch, count, atomic, options, err);
    }
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_set_many_reply_table, &reply,
                            err);
    }
    if (rc == SP_OK) {
        rc = conclude(&reply, updates, count, atomic, err);
    }
    sp__stub_call_fini(&call);
    batch_fini(&batch);
    return rc;
}

int sp__stub_variables_set(const struct caller *caller, const char *session,
                           sp_variable_update *updates, size_t count, int atomic,
                           const sp_change_options *options, sp_error *err)
{
    return sp__stub_variables_set_arrays(caller, session, updates, NULL, count, atomic,
                                         options, err);
}

/* ---- dependencies ---- */

int sp__stub_variable_depend(const struct caller *caller, const char *session,
                             const char *from, const char *to, const char *kind,
                             sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_dependency_add request = {.session_id = session,
                                                 .from_variable = from,
                                                 .to_variable = to,
                                                 .dependency_type = kind};
    int rc = sp__stub_check(kind, "the kind of dependency", err);
    if (rc == SP_OK) {
        rc = sp__stub_call(caller, &call, SP__PATH_ADD_DEPENDENCY,
                           &sp__proto_dependency_add_table, &request, err);
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variable_undepend(const struct caller *caller, const char *session,
                               const char *from, const char *to, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_dependency_remove request = {
        .session_id = session, .from_variable = from, .to_variable = to};
    int rc = sp__stub_call(caller, &call, SP__PATH_REMOVE_DEPENDENCY,
                           &sp__proto_dependency_remove_table, &request, err);
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variable_dependencies(const struct caller *caller, const char *session,
                                   const char *name, sp_dependency_cb cb,
                                   void *user_data, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_dependency_list request = {.session_id = session, .name = name};
    struct proto_dependency item;
    size_t at = 0;
    int count = 0;
    int rc = sp__stub_check(name, "the name of a variable", err);
    if (rc == SP_OK) {
        rc = sp__stub_call(caller, &call, SP__PATH_LIST_DEPENDENCIES,
                           &sp__proto_dependency_list_table, &request, err);
    }
    while (rc == SP_OK &&
           (rc = sp__stub_next(&call, 1, &at, &sp__proto_dependency_table, &item,
                               err)) > 0) {
        cb(item.from_variable, item.to_variable, item.dependency_type, user_data);
        count++;
        rc = SP_OK;
    }
    sp__stub_call_fini(&call);
    return rc < 0 ? rc : count;
}

/* ---- export and import ---- */

int sp__stub_variables_export(const struct caller *caller, const char *session,
                              sp_json_cb cb, void *user_data, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_export request = {.session_id = session};
    struct proto_variable_export_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_EXPORT_VARIABLES,
                           &sp__proto_variable_export_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_export_reply_table, &reply, err);
    }
    if (rc == SP_OK) {
        cb(reply.json, user_data);
        rc = (int)reply.count;
    }
    sp__stub_call_fini(&call);
    return rc;
}

int sp__stub_variables_import(const struct caller *caller, const char *session,
                              const char *json, sp_error *err)
{
    struct stub_call call = {0};
    const struct proto_variable_import request = {.session_id = session, .json = json};
    struct proto_variable_import_reply reply;
    int rc = sp__stub_call(caller, &call, SP__PATH_IMPORT_VARIABLES,
                           &sp__proto_variable_import_table, &request, err);
    if (rc == SP_OK) {
        rc = sp__stub_reply(&call, &sp__proto_variable_import_reply_table, &reply, err);
    }
    sp__stub_call_fini(&call);
    return rc == SP_OK ? (int)reply.count : rc;
}

/* ---- watching ---- */

int sp__stub_watch_request(struct sp_buffer *out, const char *session,
                           const sp_watch_options *options, sp_error *err)
{
    struct proto_variable_watch request = {.session_id = session};
    if (options != NULL) {
        request.names = (struct proto_run){options->names, options->names_count};
        request.include_initial_values = options->initial;
        request.queue_max = options->queue_max;
    }
    return sp__proto_put_variable_watch(out, &request, err);
}

int sp__stub_watch_update(sp_bytes message, sp_change *ret_change, sp_error *err)
{
    struct proto_memory memory = {0};
    struct proto_variable_update update;
    sp_variable variable;
    int kind = 0;
    int rc = sp__proto_get_variable_update(message, &memory, &update, err);
    if (rc == SP_OK) {
        kind = sp__proto_change_kind(update.update_type);
        rc = kind != 0 && update.variable != NULL
                 ? SP_OK
                 : sp__fail(err, SP_ERR_PROTOCOL, "no change of a variable: \"%.64s\"",
                            update.update_type);
    }
    if (rc == SP_OK) {
        sp__proto_to_variable(update.variable, &variable);
        rc = sp__own_variable(&variable, &ret_change->variable, err);
    }
    if (rc == SP_OK) {
        ret_change->kind = kind;
    }
    sp__proto_memory_fini(&memory);
    return rc;
}
