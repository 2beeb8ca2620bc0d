/* SPDX-License-Identifier: MIT */
/*
 * Calls that carry their session, and programs that a worker makes and runs.
 *
 * Normal course: the arguments get a member session_id, the call runs in that session, and
 * around it a program is kept in the pit's sessions: what create_program answers is
 * stored, and execute_program gets it as program_data. So the worker that runs a program
 * need not be the one that made it.
 *
 * Failure: what cannot be read is refused before the call; an answer that cannot be
 * stored fails the call, and says that it was executed.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pit/pit.h"
#include "session/programs.h"
#include "session/variable.h"
#include "snakepit/program.h"
#include "wire/json.h"

static const char anonymous[] = "anonymous";

/* ---- JSON objects ---- */

/* A copy that ends with NUL; "{}" for nothing. BAD_JSON, BAD_ARGS unless an object. */
static int take_object(sp_bytes json, char **ret, sp_error *err)
{
    sp_bytes text = json.size == 0 ? sp_text("{}") : json;
    int rc = sp__json_read(text.data, text.size, SP__JSON_DEPTH_MAX, NULL, NULL, err);
    if (rc == SP_OK && sp__json_kind(text.data, text.size) != '{') {
        rc = sp__fail(err, SP_ERR_BAD_ARGS,
                      "the arguments of a call in a context are an object");
    }
    if (rc == SP_OK) {
        *ret = sp__strndup(text.data, text.size);
        rc = *ret != NULL ? SP_OK : sp__fail(err, SP_ERR_NOMEM, "no memory for a call");
    }
    return rc;
}

/* Put the members of `over` into *object. */
static int merge(char **object, const char *over, sp_error *err)
{
    char *merged;
    int rc = sp__merge_objects(*object, over, SIZE_MAX / 2, &merged, err);
    if (rc == SP_OK) {
        sp__free(*object);
        *object = merged;
    }
    return rc;
}

/* Put one member whose value is JSON. */
static int put_json(char **object, const char *name, const char *json, size_t size,
                    sp_error *err)
{
    struct sp_buffer out;
    sp__buf_init(&out, SIZE_MAX);
    int rc = sp__buf_printf(&out, err, "{\"%s\":", name);
    if (rc == SP_OK) {
        rc = sp__buf_append(&out, json, size, err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(&out, "}", 2, err);
    }
    if (rc == SP_OK) {
        rc = merge(object, (const char *)out.data, err);
    }
    sp__buf_fini(&out);
    return rc;
}

static int put_text(char **object, const char *name, const char *text, sp_error *err)
{
    struct sp_buffer json;
    sp__buf_init(&json, SIZE_MAX);
    int rc = sp__json_put_string(&json, text, strlen(text), err);
    if (rc == SP_OK) {
        rc = put_json(object, name, (const char *)json.data, json.size, err);
    }
    sp__buf_fini(&json);
    return rc;
}

/* A member of an object: 1, or 0 when there is none. */
static int find_member(const char *object, const char *name, struct json_member *ret)
{
    size_t pos = 0;
    size_t size = strlen(name);
    while (sp__json_next_member(object, strlen(object), &pos, ret)) {
        if (!ret->key_escaped && ret->key_size == size &&
            memcmp(ret->key, name, size) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A member that is a text: the caller's, or NULL when there is none; or NOMEM. */
static int find_text(const char *object, const char *name, char **ret, sp_error *err)
{
    struct json_member member;
    *ret = NULL;
    if (!find_member(object, name, &member) ||
        sp__json_kind(member.value, member.value_size) != '"') {
        return SP_OK;
    }
    char *text = sp__malloc(member.value_size);
    if (text == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a program's id");
    }
    text[sp__json_unescape(member.value + 1, member.value_size - 2, text)] = '\0';
    *ret = text;
    return SP_OK;
}

/* ---- programs ---- */

/* execute_program: the stored program goes along, if there is one. */
static int add_program(struct sp_pit *pit, const char *session, char **args,
                       sp_error *err)
{
    sp_program program = {0};
    sp_error why = {0};
    char *id;
    int rc = find_text(*args, "program_id", &id, err);
    if (rc < 0 || id == NULL) {
        return rc;
    }
    rc = sp__program_get(pit->sessions, session, id, &program, &why);
    if (rc == SP_OK) {
        rc = put_json(args, "program_data", program.data, program.data_size, err);
    } else if (rc == SP_ERR_NOT_FOUND || rc == SP_ERR_INVAL) {
        rc = SP_OK; /* the worker may know it, or say what is wrong */
    } else if (err != NULL) {
        sp_error_move(err, &why);
    }
    sp_error_clear(&why);
    sp_program_clear(&program);
    sp__free(id);
    return rc;
}

/* What is kept of an answer: all of it, and what every program has. */
static int build_program(const char *answer, char **ret_data, sp_error *err)
{
    static const char defaults[] =
        "{\"signature\":{},\"signature_class\":null,\"field_mapping\":{},"
        "\"fallback_used\":false,\"program_type\":\"predict\"}";
    char fresh[128];
    struct json_member member;
    *ret_data = sp__strdup(defaults);
    if (*ret_data == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a program");
    }
    (void)snprintf(fresh, sizeof fresh,
                   "{\"created_at\":%llu,\"execution_count\":0,\"last_executed\":null}",
                   (unsigned long long)(sp__unix_ns() / 1000000000));
    int rc = merge(ret_data, answer, err);
    if (rc == SP_OK && !find_member(answer, "signature_def", &member) &&
        find_member(*ret_data, "signature", &member)) {
        rc = put_json(ret_data, "signature_def", member.value, member.value_size, err);
    }
    return rc == SP_OK ? merge(ret_data, fresh, err) : rc;
}

/* create_program: keep what it answered, in a session that is there from now on. */
static int store_answer(struct sp_pit *pit, const char *session,
                        const sp_result *result, sp_error *err)
{
    const sp_session_options or_get = {.or_get = 1};
    char *id = NULL;
    char *data = NULL;
    int rc = SP_OK;
    if (sp__json_kind(result->json, result->json_bytes) != '{') {
        return SP_OK;
    }
    rc = find_text(result->json, "program_id", &id, err);
    if (rc == SP_OK && id != NULL) {
        rc = build_program(result->json, &data, err);
        if (rc == SP_OK) {
            rc = sp__session_create(pit->sessions, session, &or_get, err);
        }
        if (rc >= 0) {
            rc = sp__program_store(pit->sessions, session, id, data, 0, err);
        }
        if (rc < 0) {
            rc = sp__wrap(err, rc, "the program was created, but not stored");
        }
    }
    if (rc < 0 && err != NULL) {
        err->executed = SP_EXECUTED_YES;
    }
    sp__free(data);
    sp__free(id);
    return rc;
}

/* ---- calls ---- */

enum steps { PLAIN, CREATES, EXECUTES };

static int run(struct sp_pit *pit, const char *session, const char *tool,
               sp_bytes args_json, const sp_call_options *options, enum steps steps,
               sp_result *ret_result, sp_error *err)
{
    char *args = NULL;
    if (pit == NULL || ret_result == NULL) {
        return sp__fail(err, SP_ERR_INVAL,
                        "a pit and a place for the result are needed");
    }
    session = session == NULL ? anonymous : session;
    int rc = take_object(args_json, &args, err);
    if (rc == SP_OK) {
        rc = put_text(&args, "session_id", session, err);
    }
    if (rc == SP_OK && steps == EXECUTES) {
        rc = add_program(pit, session, &args, err);
    }
    if (rc == SP_OK) {
        rc = sp_execute_in_session(pit, session, tool, sp_text(args), options,
                                   ret_result, err);
    }
    if (rc == SP_OK && steps == CREATES) {
        rc = store_answer(pit, session, ret_result, err);
        if (rc < 0) {
            sp_result_clear(ret_result);
        }
    }
    sp__free(args);
    return rc;
}

SP_API int sp_execute_in_context(sp_pit *pit, const char *session, const char *tool,
                                 sp_bytes args_json, const sp_call_options *options,
                                 sp_result *ret_result, sp_error *err)
{
    return run(pit, session, tool, args_json, options, PLAIN, ret_result, err);
}

SP_API int sp_execute_program_command(sp_pit *pit, const char *session,
                                      const char *command, sp_bytes args_json,
                                      const sp_call_options *options,
                                      sp_result *ret_result, sp_error *err)
{
    enum steps steps = PLAIN;
    if (command != NULL && strcmp(command, "create_program") == 0) {
        steps = CREATES;
    } else if (command != NULL && strcmp(command, "execute_program") == 0) {
        steps = EXECUTES;
    }
    return run(pit, session, command, args_json, options, steps, ret_result, err);
}
