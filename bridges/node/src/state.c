/* SPDX-License-Identifier: MIT */
/*
 * Questions about what the host keeps: the session, its variables and programs.
 *
 * One function for each of worker_state.h. Its texts and numbers are those of the
 * function of the same name in C, in their order; options come as texts too: see
 * change_of().
 */
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "snakepit/worker_state.h"

/* Where an optional text is, when there is one. */
static void put_text(struct question *question, const char *name, const char *text)
{
    if (text != NULL && *text != '\0') {
        sp__put_field(question, name);
        sp__put_string(question, text);
    }
}

static void put_count(struct question *question, const char *name, uint64_t number)
{
    sp__put_field(question, name);
    sp__put_number(question, number);
}

static void put_variable(struct question *question, const sp_variable *variable)
{
    sp__put(question, "{", 1);
    put_text(question, "id", variable->id);
    put_text(question, "name", variable->name);
    put_text(question, "type", variable->type);
    sp__put_field(question, "value");
    sp__put_raw(question, variable->value);
    sp__put_field(question, "constraints");
    sp__put_raw(question, variable->constraints);
    sp__put_field(question, "metadata");
    sp__put_raw(question, variable->metadata);
    put_text(question, "changedBy", variable->changed_by);
    put_text(question, "lockedBy", variable->locked_by);
    put_count(question, "version", variable->version);
    put_count(question, "createdMs", variable->created_unix_ms);
    put_count(question, "updatedMs", variable->updated_unix_ms);
    sp__put(question, "}", 1);
}

static void put_next_variable(const sp_variable *variable, void *user_data)
{
    struct question *question = user_data;
    if (question->json_size > 1) {
        sp__put(question, ",", 1);
    }
    put_variable(question, variable);
}

/* texts from `at` on: constraints, metadata, changed_by, owner; numbers[0] is the
 * expected version, negative for any. */
static sp_change_options change_of(const struct question *question, size_t at)
{
    sp_change_options change = {.size = sizeof change,
                                .constraints = sp__text_at(question, at),
                                .metadata = sp__text_at(question, at + 1),
                                .changed_by = sp__text_at(question, at + 2),
                                .owner = sp__text_at(question, at + 3)};
    if (question->numbers[0] >= 0) {
        change.check_version = 1;
        change.expected_version = (uint64_t)question->numbers[0];
    }
    return change;
}

/* ---- the session ---- */

static int ask_session(struct question *q)
{
    static const char *const names[] = {"", [SP_DURABILITY_MEMORY] = "memory", "crash",
                                        "durable"};
    sp_session_info info = {0};
    int rc = sp_job_session_get(q->job, &info, &q->err);
    if (rc < 0) {
        return rc;
    }
    int durability = info.durability;
    sp__put(q, "{", 1);
    put_text(q, "id", info.id);
    sp__put_field(q, "metadata");
    sp__put_raw(q, info.metadata);
    put_count(q, "ttlMs", info.ttl_ms);
    put_count(q, "remainingMs", info.remaining_ms);
    put_count(q, "createdMs", info.created_unix_ms);
    put_count(q, "usedMs", info.used_unix_ms);
    put_count(q, "bytes", info.bytes);
    put_count(q, "variables", info.variables);
    put_count(q, "programs", info.programs);
    put_count(q, "tools", info.tools);
    put_text(q, "durability",
             durability >= 0 && durability < 4 ? names[durability] : "");
    sp__put(q, "}", 1);
    sp_session_info_clear(&info);
    return rc;
}

static int ask_session_begin(struct question *q)
{
    int rc = sp_job_session_begin(q->job, &q->err);
    sp__put_raw(q, rc > 0 ? "true" : "false");
    return rc;
}

/* texts: metadata or NULL; numbers: the time to live, negative to leave it */
static int edit_session(const sp_session_info *info, sp_session_edit *edit,
                        void *user_data, sp_error *err)
{
    const struct question *q = user_data;
    if (sp__text_at(q, 0) != NULL) {
        edit->metadata = sp__text_at(q, 0);
    }
    if (q->numbers[0] >= 0) {
        edit->ttl_ms = (uint64_t)q->numbers[0];
    }
    return SP_OK;
}

static int ask_session_update(struct question *q)
{
    return sp_job_session_update(q->job, edit_session, q, &q->err);
}

/* ---- variables ---- */

static int ask_register(struct question *q)
{
    sp_variable variable = {0};
    sp_change_options change = change_of(q, 3);
    change.check_version = 0;
    int rc = sp_job_variable_register(q->job, sp__text_at(q, 0), sp__text_at(q, 1),
                                      sp__text_at(q, 2), &change, &variable, &q->err);
    if (rc >= 0) {
        put_variable(q, &variable);
        sp_variable_clear(&variable);
    }
    return rc;
}

static int ask_get(struct question *q)
{
    sp_variable variable = {0};
    int rc = sp_job_variable_get(q->job, sp__text_at(q, 0), &variable, &q->err);
    if (rc >= 0) {
        put_variable(q, &variable);
        sp_variable_clear(&variable);
    }
    return rc;
}

static int ask_set(struct question *q)
{
    uint64_t version = 0;
    sp_change_options change = change_of(q, 2);
    int rc = sp_job_variable_set(q->job, sp__text_at(q, 0), sp__text_at(q, 1), &change,
                                 &version, &q->err);
    sp__put_number(q, version);
    return rc;
}

static int ask_delete(struct question *q)
{
    sp_change_options change = change_of(q, 1);
    return sp_job_variable_delete(q->job, sp__text_at(q, 0), &change, &q->err);
}

static int ask_list(struct question *q)
{
    sp__put(q, "[", 1);
    int rc =
        sp_job_variables_list(q->job, sp__text_at(q, 0), put_next_variable, q, &q->err);
    sp__put(q, "]", 1);
    return rc;
}

/* texts: the names */
static int ask_get_many(struct question *q)
{
    sp_variable *found = calloc(q->texts_count + 1, sizeof *found);
    if (found == NULL) {
        return sp_error_set(&q->err, SP_ERR_NOMEM, "no memory for the answer");
    }
    int rc = sp_job_variables_get(q->job, (const char *const *)q->texts, q->texts_count,
                                  found, &q->err);
    sp__put(q, "[", 1);
    for (size_t i = 0; rc >= 0 && i < q->texts_count; i++) {
        if (found[i].name != NULL) {
            put_next_variable(&found[i], q);
        }
        sp_variable_clear(&found[i]);
    }
    sp__put(q, "]", 1);
    free(found);
    return rc;
}

static void put_updates(struct question *q, const sp_variable_update *updates,
                        size_t count)
{
    sp__put(q, "[", 1);
    for (size_t i = 0; i < count; i++) {
        sp__put(q, i > 0 ? ",{" : "{", i > 0 ? 2 : 1);
        put_text(q, "name", updates[i].name);
        if (updates[i].code < 0) {
            put_text(q, "code", sp_error_name(updates[i].code));
            put_text(q, "message", updates[i].message);
        } else {
            put_count(q, "version", updates[i].version);
        }
        sp__put(q, "}", 1);
    }
    sp__put(q, "]", 1);
}

/* texts: constraints, metadata, changed_by, owner, then names and values; numbers: -1,
 * atomic */
static int ask_set_many(struct question *q)
{
    size_t count = q->texts_count > 4 ? (q->texts_count - 4) / 2 : 0;
    sp_change_options change = change_of(q, 0);
    sp_variable_update *updates = calloc(count + 1, sizeof *updates);
    if (updates == NULL) {
        return sp_error_set(&q->err, SP_ERR_NOMEM, "no memory for the variables");
    }
    for (size_t i = 0; i < count; i++) {
        updates[i].name = sp__text_at(q, 4 + 2 * i);
        updates[i].value = sp__text_at(q, 5 + 2 * i);
    }
    int rc = sp_job_variables_set(q->job, updates, count, q->numbers[1] > 0, &change,
                                  &q->err);
    put_updates(q, updates, count);
    free(updates);
    return rc;
}

static int ask_history(struct question *q)
{
    sp__put(q, "[", 1);
    int rc = sp_job_variable_history(q->job, sp__text_at(q, 0), (size_t)q->numbers[0],
                                     put_next_variable, q, &q->err);
    sp__put(q, "]", 1);
    return rc;
}

/* numbers: the version to go back to */
static int ask_rollback(struct question *q)
{
    uint64_t version = 0;
    sp_change_options change = change_of(q, 1);
    change.check_version = 0;
    int rc = sp_job_variable_rollback(
        q->job, sp__text_at(q, 0), (uint64_t)q->numbers[0], &change, &version, &q->err);
    sp__put_number(q, version);
    return rc;
}

static int ask_lock(struct question *q)
{
    return sp_job_variable_lock(q->job, sp__text_at(q, 0), sp__text_at(q, 1), &q->err);
}

static int ask_unlock(struct question *q)
{
    sp_variable variable = {0};
    int rc = sp_job_variable_unlock(q->job, sp__text_at(q, 0), sp__text_at(q, 1),
                                    &variable, &q->err);
    if (rc >= 0) {
        put_variable(q, &variable);
        sp_variable_clear(&variable);
    }
    return rc;
}

static int ask_depend(struct question *q)
{
    return sp_job_variable_depend(q->job, sp__text_at(q, 0), sp__text_at(q, 1),
                                  sp__text_at(q, 2), &q->err);
}

static int ask_undepend(struct question *q)
{
    return sp_job_variable_undepend(q->job, sp__text_at(q, 0), sp__text_at(q, 1),
                                    &q->err);
}

static void put_dependency(const char *from, const char *to, const char *kind,
                           void *user_data)
{
    struct question *q = user_data;
    sp__put(q, q->json_size > 1 ? ",{" : "{", q->json_size > 1 ? 2 : 1);
    put_text(q, "from", from);
    put_text(q, "to", to);
    put_text(q, "kind", kind);
    sp__put(q, "}", 1);
}

static int ask_dependencies(struct question *q)
{
    sp__put(q, "[", 1);
    int rc = sp_job_variable_dependencies(q->job, sp__text_at(q, 0), put_dependency, q,
                                          &q->err);
    sp__put(q, "]", 1);
    return rc;
}

static void put_json(sp_bytes json, void *user_data)
{
    sp__put(user_data, json.data, json.size);
}

static int ask_export(struct question *q)
{
    return sp_job_variables_export(q->job, put_json, q, &q->err);
}

static int ask_import(struct question *q)
{
    int rc = sp_job_variables_import(q->job, sp__text_at(q, 0), &q->err);
    sp__put_number(q, rc < 0 ? 0 : (uint64_t)rc);
    return rc;
}

/* ---- watching ---- */

/* texts: the names, none for all; numbers: initial, queue_max */
static int ask_watch(struct question *q)
{
    sp_watch_options options = {.size = sizeof options,
                                .names = (const char *const *)q->texts,
                                .names_count = q->texts_count,
                                .initial = q->numbers[0] > 0,
                                .queue_max = (uint32_t)q->numbers[1]};
    sp_job_watch *watch = NULL;
    if (q->texts_count == 0) {
        options.names = NULL;
    }
    int rc = sp_job_watch_open(q->job, &options, &watch, &q->err);
    q->opened = watch;
    return rc;
}

static int ask_watch_next(struct question *q)
{
    static const char *const kinds[] = {"",      "initial", "registered",
                                        "value", "lock",    "deleted"};
    sp_change change = {0};
    int rc = sp_job_watch_next(q->place, SP_UNLIMITED, &change, &q->err);
    if (rc > 0) {
        size_t kind = change.kind > 0 && change.kind < 6 ? (size_t)change.kind : 0;
        sp__put(q, "{", 1);
        put_text(q, "kind", kinds[kind]);
        sp__put_field(q, "variable");
        put_variable(q, &change.variable);
        sp__put(q, "}", 1);
        sp_variable_clear(&change.variable);
    }
    return rc;
}

/* ---- programs; numbers: global, time to live ---- */

static void put_program(struct question *q, const sp_program *program)
{
    sp__put(q, "{", 1);
    put_text(q, "id", program->id);
    sp__put_field(q, "data");
    sp__put_raw(q, program->data);
    put_count(q, "createdMs", program->created_unix_ms);
    put_count(q, "updatedMs", program->updated_unix_ms);
    put_count(q, "remainingMs", program->remaining_ms);
    sp__put(q, "}", 1);
}

static void put_next_program(const sp_program *program, void *user_data)
{
    struct question *q = user_data;
    if (q->json_size > 1) {
        sp__put(q, ",", 1);
    }
    put_program(q, program);
}

static int ask_program_store(struct question *q)
{
    uint64_t ttl_ms = q->numbers[1] < 0 ? SP_UNLIMITED : (uint64_t)q->numbers[1];
    return sp_job_program_store(q->job, q->numbers[0] > 0, sp__text_at(q, 0),
                                sp__text_at(q, 1), ttl_ms, &q->err);
}

static int ask_program_update(struct question *q)
{
    return sp_job_program_update(q->job, q->numbers[0] > 0, sp__text_at(q, 0),
                                 sp__text_at(q, 1), &q->err);
}

static int ask_program_get(struct question *q)
{
    sp_program program = {0};
    int rc = sp_job_program_get(q->job, q->numbers[0] > 0, sp__text_at(q, 0), &program,
                                &q->err);
    if (rc >= 0) {
        put_program(q, &program);
        sp_program_clear(&program);
    }
    return rc;
}

static int ask_program_delete(struct question *q)
{
    return sp_job_program_delete(q->job, q->numbers[0] > 0, sp__text_at(q, 0), &q->err);
}

static int ask_programs(struct question *q)
{
    sp__put(q, "[", 1);
    int rc =
        sp_job_programs_list(q->job, q->numbers[0] > 0, put_next_program, q, &q->err);
    sp__put(q, "]", 1);
    return rc;
}

int (*sp__state_question(const char *name))(struct question *question)
{
    static const struct {
        const char *name;
        int (*ask)(struct question *question);
    } questions[] = {
        {"session", ask_session},
        {"sessionBegin", ask_session_begin},
        {"sessionUpdate", ask_session_update},
        {"register", ask_register},
        {"get", ask_get},
        {"set", ask_set},
        {"delete", ask_delete},
        {"list", ask_list},
        {"getMany", ask_get_many},
        {"setMany", ask_set_many},
        {"history", ask_history},
        {"rollback", ask_rollback},
        {"lock", ask_lock},
        {"unlock", ask_unlock},
        {"depend", ask_depend},
        {"undepend", ask_undepend},
        {"dependencies", ask_dependencies},
        {"export", ask_export},
        {"import", ask_import},
        {"watch", ask_watch},
        {"watchNext", ask_watch_next},
        {"programStore", ask_program_store},
        {"programUpdate", ask_program_update},
        {"programGet", ask_program_get},
        {"programDelete", ask_program_delete},
        {"programs", ask_programs},
    };
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (strcmp(questions[i].name, name) == 0) {
            return questions[i].ask;
        }
    }
    return NULL;
}
