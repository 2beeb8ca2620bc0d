/* SPDX-License-Identifier: MIT */
/*
 * The calls about state, both halves together: each stub's request is answered by the
 * function that the host answers with, and what comes of it is what the sp_ function of
 * that name does with a set of sessions of its own.
 *
 * Random operations are made twice, on one set by hand and on the other over the wire;
 * results, messages of errors, and what is there afterwards are the same.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"
#include "serve/state.h"
#include "session/variable.h"
#include "wire/stubs.h"

enum { OPERATIONS = 6000, TEXT_MAX = 1 << 16, BATCH_MAX = 4 };

static sp_sessions *near_set;             /* used by hand */
static sp_sessions *far_set;              /* over the wire */
static char own_session[SP_NAME_MAX + 1]; /* of the call that asks; "": none */
static int carried_over;                  /* calls */
static size_t sent_bytes;                 /* of the last question */
static size_t came_bytes;                 /* of the last answer */

/* ---- the host ---- */

static const struct {
    const char *path;
    answer_fn answer;
} answers[] = {
    {SP__PATH_INITIALIZE_SESSION, sp__answer_session_begin},
    {SP__PATH_CLEANUP_SESSION, sp__answer_session_end},
    {SP__PATH_GET_SESSION, sp__answer_session_get},
    {SP__PATH_UPDATE_SESSION, sp__answer_session_update},
    {SP__PATH_LIST_SESSIONS, sp__answer_session_list},
    {SP__PATH_GET_SESSION_STATS, sp__answer_session_stats},
    {SP__PATH_REGISTER_VARIABLE, sp__answer_variable_register},
    {SP__PATH_GET_VARIABLE, sp__answer_variable_get},
    {SP__PATH_SET_VARIABLE, sp__answer_variable_set},
    {SP__PATH_DELETE_VARIABLE, sp__answer_variable_delete},
    {SP__PATH_LIST_VARIABLES, sp__answer_variable_list},
    {SP__PATH_GET_VARIABLES, sp__answer_variable_get_many},
    {SP__PATH_SET_VARIABLES, sp__answer_variable_set_many},
    {SP__PATH_EXPORT_VARIABLES, sp__answer_variable_export},
    {SP__PATH_IMPORT_VARIABLES, sp__answer_variable_import},
    {SP__PATH_GET_VARIABLE_HISTORY, sp__answer_variable_history},
    {SP__PATH_ROLLBACK_VARIABLE, sp__answer_variable_rollback},
    {SP__PATH_START_OPTIMIZATION, sp__answer_variable_lock},
    {SP__PATH_STOP_OPTIMIZATION, sp__answer_variable_unlock},
    {SP__PATH_ADD_DEPENDENCY, sp__answer_dependency_add},
    {SP__PATH_REMOVE_DEPENDENCY, sp__answer_dependency_remove},
    {SP__PATH_LIST_DEPENDENCIES, sp__answer_dependency_list},
    {SP__PATH_STORE_PROGRAM, sp__answer_program_store},
    {SP__PATH_GET_PROGRAM, sp__answer_program_get},
    {SP__PATH_DELETE_PROGRAM, sp__answer_program_delete},
    {SP__PATH_LIST_PROGRAMS, sp__answer_program_list},
};

static int carry(void *user, const char *path, sp_bytes request,
                 struct sp_buffer *reply, sp_error *err)
{
    const struct asking asking = {
        .sessions = far_set, .session = own_session, .deadline_ms = SP_UNLIMITED};
    carried_over++;
    sent_bytes = request.size;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (strcmp(answers[i].path, path) == 0) {
            int rc = answers[i].answer(&asking, request, reply, err);
            came_bytes = reply->size;
            return rc;
        }
    }
    fail_msg("no answer to %s", path);
    return 0;
}

static const struct caller caller = {carry, NULL};

static void close_sets(void)
{
    sp_sessions_close(near_set);
    sp_sessions_close(far_set);
    near_set = far_set = NULL;
    own_session[0] = '\0';
}

static void open_sets(void)
{
    const sp_sessions_options options = {
        .size = sizeof options, .variables_max = 40, .programs_max = 20};
    leak_at_end(close_sets);
    assert_int_equal(sp_sessions_open(&options, &near_set, NULL), 0);
    assert_int_equal(sp_sessions_open(&options, &far_set, NULL), 0);
}

/* ---- what comes of an operation, as text ---- */

struct outcome {
    char text[TEXT_MAX];
    size_t used;
    sp_error error;
};

static void say(struct outcome *out, const char *format, ...) SP_PRINTF(2, 3);
static void say(struct outcome *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out->text + out->used, TEXT_MAX - out->used, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < TEXT_MAX - out->used);
    out->used += (size_t)n;
}

static void say_variable(const sp_variable *v, void *user)
{
    say(user, "%s %s %s %s(%zu) %s %s by=%s lock=%s @%llu%s%s%s\n", v->id, v->name,
        v->type, v->value, v->value_size, v->constraints, v->metadata, v->changed_by,
        v->locked_by, (unsigned long long)v->version,
        v->created_unix_ms > 0 ? "" : " no creation",
        v->updated_unix_ms > 0 ? "" : " no update",
        (v->locked_unix_ms > 0) == (v->locked_by[0] != '\0') ? "" : " lock's time");
}

static void say_session(const sp_session_info *info, void *user)
{
    say(user, "%s %s ttl=%llu class=%d bytes=%llu v=%llu p=%llu\n", info->id,
        info->metadata, (unsigned long long)info->ttl_ms, info->durability,
        (unsigned long long)info->bytes, (unsigned long long)info->variables,
        (unsigned long long)info->programs);
}

static void say_program(const sp_program *program, void *user)
{
    say(user, "%s %s(%zu) %s\n", program->id, program->data, program->data_size,
        program->remaining_ms == SP_UNLIMITED ? "for ever" : "for a while");
}

static void say_dependency(const char *from, const char *to, const char *kind,
                           void *user)
{
    say(user, "%s -> %s (%s)\n", from, to, kind);
}

static void say_json(sp_bytes json, void *user)
{
    say(user, "%.*s\n", (int)json.size, (const char *)json.data);
}

/* ---- operations ---- */

static uint64_t seed;

static uint64_t draw(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

struct operation {
    int what;
    const char *session, *name, *other, *type, *value, *metadata, *constraints, *owner;
    uint64_t version;
    int check;
    int flag;
    size_t count;
    const char *names[BATCH_MAX];
    const char *values[BATCH_MAX];
};

#define PICK(list) ((list)[draw(sizeof(list) / sizeof((list)[0]))])

static struct operation make_operation(void)
{
    static const char *const sessions[] = {"s", "s", "s", "t", "gone", "größe"};
    static const char *const names[] = {
        "a",
        "b",
        "c",
        "d",
        "e",
        "ü",
        "var_a_1",
        "none",
        "",
        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    static const char *const types[] = {"float",  "integer", "string",    "boolean",
                                        "list",   "map",     "embedding", "complex",
                                        "choice", NULL};
    static const char *const values[] = {
        "1",  "2.5",          "-7",   "\"x\"",   "\"NaN\"",    "true", "[1, 2]",
        "[]", "{\"k\": [1]}", "null", "{broken", "\"größer\"", "1e400"};
    static const char *const objects[] = {NULL,
                                          NULL,
                                          NULL,
                                          "{\"k\": \"v\"}",
                                          "{\"source\": \"python\", \"n\": 1}",
                                          "[1]",
                                          "{\"a\\u0000b\": \"\\ud800\"}"};
    static const char *const constraints[] = {NULL, NULL, "{\"min\": 0, \"max\": 5}",
                                              "{\"pattern\": \"[\"}",
                                              "{\"min\": \"x\"}"};
    static const char *const owners[] = {NULL, "me", "you", ""};
    struct operation op = {
        .what = (int)draw(27),
        .session = PICK(sessions),
        .name = PICK(names),
        .other = PICK(names),
        .type = PICK(types),
        .value = PICK(values),
        .metadata = PICK(objects),
        .constraints = PICK(constraints),
        .owner = PICK(owners),
        .version = draw(4),
        .check = draw(4) == 0,
        .flag = (int)draw(2),
        .count = draw(BATCH_MAX + 1),
    };
    for (int i = 0; i < BATCH_MAX; i++) {
        op.names[i] = names[draw(7)];
        op.values[i] = PICK(values);
    }
    return op;
}

static sp_change_options options_of(const struct operation *op)
{
    return (sp_change_options){.size = sizeof(sp_change_options),
                               .constraints = op->constraints,
                               .metadata = op->metadata,
                               .changed_by = op->owner,
                               .owner = op->owner,
                               .check_version = op->check,
                               .expected_version = op->version};
}

static int edit(const sp_session_info *info, sp_session_edit *change, void *user,
                sp_error *err)
{
    const struct operation *op = user;
    change->ttl_ms = op->flag ? 7200000 : change->ttl_ms;
    change->metadata = op->metadata != NULL ? op->metadata : change->metadata;
    return 0;
}

static int many(int far, const struct operation *op, struct outcome *out)
{
    sp_variable variables[BATCH_MAX] = {0};
    int rc = far ? sp__stub_variables_get(&caller, op->session, op->names, op->count,
                                          variables, &out->error)
                 : sp_variables_get(near_set, op->session, op->names, op->count,
                                    variables, &out->error);
    for (size_t i = 0; i < op->count; i++) {
        if (variables[i].name != NULL) {
            say_variable(&variables[i], out);
        }
        sp_variable_clear(&variables[i]);
    }
    return rc;
}

/* A map has each name once: a batch with one twice is nothing that the wire carries. */
static int has_twice(const struct operation *op)
{
    for (size_t i = 0; i < op->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(op->names[i], op->names[k]) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

static int set_many(int far, const struct operation *op, struct outcome *out)
{
    const sp_change_options options = options_of(op);
    sp_variable_update updates[BATCH_MAX] = {0};
    if (has_twice(op)) {
        return 0;
    }
    for (size_t i = 0; i < op->count; i++) {
        updates[i].name = op->names[i];
        updates[i].value = op->values[i];
    }
    int rc = far ? sp__stub_variables_set(&caller, op->session, updates, op->count,
                                          op->flag, &options, &out->error)
                 : sp_variables_set(near_set, op->session, updates, op->count, op->flag,
                                    &options, &out->error);
    for (size_t i = 0; i < op->count; i++) {
        say(out, "%d %llu %s\n", updates[i].code,
            (unsigned long long)updates[i].version, updates[i].message);
    }
    return rc;
}

static int one_variable(int far, const struct operation *op, struct outcome *out)
{
    const sp_change_options options = options_of(op);
    sp_variable variable = {0};
    uint64_t version = 0;
    int rc = 0;
#define DO(name, ...)                                                      \
    (far ? sp__stub_##name(&caller, op->session, __VA_ARGS__, &out->error) \
         : sp_##name(near_set, op->session, __VA_ARGS__, &out->error))
    switch (op->what) {
    case 0:
    case 1:
    case 2:
    case 3:
        rc = DO(variable_register, op->name, op->type, op->value, &options, &variable);
        break;
    case 4:
        rc = DO(variable_get, op->name, &variable);
        break;
    case 5:
    case 6:
    case 7:
        rc = DO(variable_set, op->name, op->value, &options, &version);
        break;
    case 8:
        rc = DO(variable_delete, op->name, &options);
        break;
    case 9:
        rc = DO(variable_history, op->name, op->version, say_variable, out);
        break;
    case 10:
        rc = DO(variable_rollback, op->name, op->version, &options, &version);
        break;
    case 11:
        rc = DO(variable_lock, op->name, op->owner != NULL ? op->owner : "");
        break;
    case 12:
        rc = DO(variable_unlock, op->name, op->owner, &variable);
        break;
    default:
        fail();
    }
    if (variable.memory != NULL) {
        say_variable(&variable, out);
    }
    say(out, "version %llu\n", (unsigned long long)version);
    sp_variable_clear(&variable);
    return rc;
}

static int some_variables(int far, const struct operation *op, struct outcome *out)
{
    switch (op->what) {
    case 13:
        return many(far, op, out);
    case 14:
        return set_many(far, op, out);
    case 15:
        return DO(variables_list, op->flag ? "?" : NULL, say_variable, out);
    case 16:
        return DO(variable_depend, op->name, op->other, op->flag ? "model" : NULL);
    case 17:
        return DO(variable_undepend, op->name, op->other);
    case 18:
        return DO(variable_dependencies, op->flag && op->name[0] != 0 ? op->name : NULL,
                  say_dependency, out);
    case 19:
        return DO(variables_export, say_json, out);
    default:
        return DO(variables_import, op->flag ? "[]" : op->value);
    }
}
#undef DO

static int sessions_and_programs(int far, const struct operation *op,
                                 struct outcome *out)
{
    const char *session = op->check ? NULL : op->session;
    sp_program program = {0};
    sp_session_info info = {0};
    int rc = 0;
#define DO(name, ...)                                         \
    (far ? sp__stub_##name(&caller, __VA_ARGS__, &out->error) \
         : sp_##name(near_set, __VA_ARGS__, &out->error))
    switch (op->what) {
    case 21:
        rc = DO(program_store, session, op->name, op->value,
                session == NULL && op->flag ? SP_UNLIMITED : 0);
        return rc < 0 ? rc : DO(programs_list, session, say_program, out);
    case 22:
        rc = DO(program_update, session, op->name, op->value);
        break;
    case 23:
        rc = DO(program_get, session, op->name, &program);
        break;
    case 24:
        rc = DO(program_delete, session, op->name);
        break;
    case 25:
        rc = DO(session_get, op->session, &info);
        break;
    default:
        rc = DO(session_update, op->session, edit, (void *)(uintptr_t)op);
        break;
    }
#undef DO
    if (program.memory != NULL) {
        say_program(&program, out);
    }
    if (info.memory != NULL) {
        say_session(&info, out);
    }
    sp_program_clear(&program);
    sp_session_info_clear(&info);
    return rc;
}

static void perform(int far, const struct operation *op, struct outcome *out)
{
    out->used = 0;
    out->text[0] = '\0';
    sp_error_clear(&out->error);
    int rc = op->what <= 12   ? one_variable(far, op, out)
             : op->what <= 20 ? some_variables(far, op, out)
                              : sessions_and_programs(far, op, out);
    say(out, "%d %s\n", rc, rc < 0 ? out->error.message : "");
}

static void create_both(const char *id)
{
    const sp_session_options options = {.size = sizeof options,
                                        .metadata = "{\"user\": \"u1\"}"};
    assert_int_equal(sp_session_create(near_set, id, &options, NULL), 1);
    assert_int_equal(sp__stub_session_create(&caller, id, &options, NULL), 1);
}

static void the_wire_changes_nothing(void **state)
{
    static struct outcome near_outcome;
    static struct outcome far_outcome;
    (void)state;
    open_sets();
    seed = 20261126;
    create_both("s");
    create_both("t");
    create_both("größe");
    int done[27] = {0};
    for (int i = 0; i < OPERATIONS; i++) {
        const struct operation op = make_operation();
        perform(0, &op, &near_outcome);
        perform(1, &op, &far_outcome);
        if (strcmp(near_outcome.text, far_outcome.text) != 0) {
            fail_msg("operation %d, of kind %d: by hand\n%sover the wire\n%s", i,
                     op.what, near_outcome.text, far_outcome.text);
        }
        done[op.what] += near_outcome.error.code == 0;
    }
    for (int i = 0; i < 27; i++) {
        assert_true(done[i] > 0); /* each kind went well at least once */
    }
    assert_true(carried_over >= OPERATIONS / 2);
    sp_error_clear(&near_outcome.error);
    sp_error_clear(&far_outcome.error);
}

/* ---- sessions ---- */

static void sessions_are_made_listed_and_ended(void **state)
{
    static struct outcome out;
    sp_sessions_stats stats;
    sp_error error = {0};
    (void)state;
    open_sets();
    const sp_session_options forever = {.size = sizeof forever,
                                        .ttl_ms = SP_UNLIMITED,
                                        .durability = SP_DURABILITY_MEMORY};
    const sp_session_options again = {.size = sizeof again, .or_get = 1};
    assert_int_equal(sp__stub_session_create(&caller, "a", &forever, &error), 1);
    assert_int_equal(sp__stub_session_create(&caller, "a", &again, &error), 0);
    assert_int_equal(sp__stub_session_create(&caller, "a", NULL, &error),
                     SP_ERR_EXISTS);
    assert_int_equal(sp__stub_session_create(&caller, "bc", NULL, &error), 1);
    assert_int_equal(sp__stub_session_create(&caller, "", NULL, &error), SP_ERR_INVAL);
    assert_int_equal(sp__stub_session_exists(&caller, "a", &error), 1);
    assert_int_equal(sp__stub_session_exists(&caller, "b", &error), 0);
    assert_int_equal(sp__stub_sessions_list(&caller, NULL, say_session, &out, &error),
                     2);
    assert_int_equal(sp__stub_sessions_list(&caller, "b*", say_session, &out, &error),
                     1);
    assert_non_null(strstr(out.text, "a {} ttl=18446744073709551615 class=1 "));
    assert_int_equal(sp__stub_session_delete(&caller, "a", &error), 0);
    assert_int_equal(sp__stub_session_delete(&caller, "a", &error), SP_ERR_NOT_FOUND);
    assert_int_equal(sp__stub_sessions_stats(&caller, &stats, &error), 0);
    assert_int_equal(stats.sessions, 1);
    assert_int_equal(stats.sessions_created, 2);
    assert_int_equal(stats.sessions_deleted, 1);
    sp_error_clear(&error);
}

static int change_meanwhile(const sp_session_info *info, sp_session_edit *change,
                            void *user, sp_error *err)
{
    const sp_session_edit *other = user;
    struct operation op = {.metadata = other->metadata};
    change->metadata = "{\"mine\": true}";
    return sp_session_update(far_set, "s", edit, &op, err);
}

static void an_update_that_somebody_else_came_before_is_refused(void **state)
{
    sp_session_edit other = {.metadata = "{\"theirs\": true}"};
    sp_session_info info;
    sp_error error = {0};
    (void)state;
    open_sets();
    create_both("s");
    assert_int_equal(
        sp__stub_session_update(&caller, "s", change_meanwhile, &other, &error),
        SP_ERR_CONFLICT);
    assert_string_equal(error.message, "session \"s\" was changed meanwhile");
    assert_int_equal(sp__stub_session_get(&caller, "s", &info, &error), 0);
    assert_string_equal(info.metadata, "{\"theirs\": true}");
    sp_session_info_clear(&info);
    sp_error_clear(&error);
}

static void a_call_asks_about_its_own_session_only(void **state)
{
    static struct outcome out;
    sp_error error = {0};
    (void)state;
    open_sets();
    create_both("s");
    create_both("t");
    (void)snprintf(own_session, sizeof own_session, "s");
    assert_int_equal(
        sp__stub_variable_register(&caller, "", "x", NULL, "1", NULL, NULL, &error), 0);
    assert_int_equal(
        sp__stub_variable_register(&caller, "s", "y", NULL, "1", NULL, NULL, &error),
        0);
    assert_int_equal(
        sp__stub_variable_register(&caller, "t", "x", NULL, "1", NULL, NULL, &error),
        SP_ERR_REFUSED);
    assert_int_equal(sp__stub_sessions_list(&caller, NULL, say_session, &out, &error),
                     1);
    assert_int_equal(sp__stub_program_store(&caller, "", "p", "1", 0, &error), 0);
    assert_int_equal(sp__stub_program_store(&caller, NULL, "g", "1", 0, &error), 0);
    assert_int_equal(sp_programs_list(far_set, "s", say_program, &out, &error), 1);
    assert_int_equal(sp_programs_list(far_set, NULL, say_program, &out, &error), 1);
    sp_error_clear(&error);
}

/* ---- arrays ---- */

enum { ELEMENTS = 5000, ARRAY_BYTES = ELEMENTS * 8, AROUND_BYTES = 400 };

static double elements[ELEMENTS]; /* texts of which have 16 digits and more */

static sp_tensor make_array(uint32_t rows)
{
    for (size_t i = 0; i < ELEMENTS; i++) {
        elements[i] = 1.0 / (double)(3 + i) - 0.001;
    }
    sp_tensor array = {.dtype = SP_DTYPE_F64,
                       .dims = rows > 0 ? 2 : 1,
                       .shape = {ELEMENTS},
                       .data = elements,
                       .bytes = ARRAY_BYTES};
    if (rows > 0) {
        array.shape[0] = rows;
        array.shape[1] = ELEMENTS / rows;
    }
    return array;
}

struct seen {
    int arrays;
    int others;
    size_t last;
};

static void see(size_t index, const sp_variable *variable, const sp_tensor *array,
                void *user_data)
{
    struct seen *seen = user_data;
    seen->last = index;
    if (array == NULL) {
        seen->others++;
        return;
    }
    seen->arrays++;
    assert_int_equal(array->dtype, SP_DTYPE_F64);
    assert_int_equal(array->dims, strcmp(variable->type, "tensor") == 0 ? 2 : 1);
    assert_int_equal(array->bytes, ARRAY_BYTES);
    assert_memory_equal(array->data, elements, ARRAY_BYTES);
}

static void arrays_go_and_come_as_bytes(void **state)
{
    const sp_tensor row = make_array(0);
    const sp_tensor grid = make_array(50);
    const char *names[] = {"none", "grid", "row", "n"};
    sp_variable variable;
    struct seen seen = {0};
    uint64_t version = 0;
    (void)state;
    open_sets();
    create_both("s");
    assert_int_equal(sp__stub_variable_register_array(&caller, "s", "row", "embedding",
                                                      &row, NULL, &variable, NULL),
                     0);
    assert_in_range(sent_bytes, ARRAY_BYTES, ARRAY_BYTES + AROUND_BYTES);
    assert_string_equal(variable.type, "embedding");
    assert_true(variable.value_size > ARRAY_BYTES + AROUND_BYTES);
    sp_variable_clear(&variable);
    assert_int_equal(sp__stub_variable_register(&caller, "s", "grid", "tensor",
                                                "{\"shape\":[0],\"data\":[]}", NULL,
                                                NULL, NULL),
                     0);
    assert_int_equal(
        sp__stub_variable_register(&caller, "s", "n", NULL, "1", NULL, NULL, NULL), 0);
    assert_int_equal(
        sp__stub_variable_set_array(&caller, "s", "grid", &grid, NULL, &version, NULL),
        0);
    assert_int_equal(version, 1);
    assert_in_range(sent_bytes, ARRAY_BYTES, ARRAY_BYTES + AROUND_BYTES);
    assert_int_equal(
        sp__stub_variable_get_array(&caller, "s", "grid", see, &seen, NULL), 0);
    assert_in_range(came_bytes, ARRAY_BYTES, ARRAY_BYTES + AROUND_BYTES);
    assert_int_equal(
        sp__stub_variables_get_arrays(&caller, "s", names, 4, see, &seen, NULL), 3);
    assert_in_range(came_bytes, ARRAY_BYTES * 2, (ARRAY_BYTES + AROUND_BYTES) * 2);
    assert_int_equal(seen.arrays, 3);
    assert_int_equal(seen.others, 1);
    assert_int_equal(seen.last, 3);
    assert_int_equal(sp__stub_variable_get_array(&caller, "s", "no", see, &seen, NULL),
                     SP_ERR_NOT_FOUND);
}

static void a_batch_has_arrays_and_json(void **state)
{
    const sp_tensor row = make_array(0);
    const sp_tensor empty = {.dtype = SP_DTYPE_F64, .dims = 1};
    const sp_tensor *arrays[] = {&row, NULL};
    sp_variable_update updates[] = {{.name = "row"}, {.name = "n", .value = "2"}};
    struct seen seen = {0};
    (void)state;
    open_sets();
    create_both("s");
    assert_int_equal(
        sp_variable_register(far_set, "s", "row", "embedding", "[]", NULL, NULL, NULL),
        0);
    assert_int_equal(
        sp_variable_register(far_set, "s", "n", NULL, "1", NULL, NULL, NULL), 0);
    assert_int_equal(
        sp__stub_variables_set_arrays(&caller, "s", updates, arrays, 2, 1, NULL, NULL),
        2);
    assert_in_range(sent_bytes, ARRAY_BYTES, ARRAY_BYTES + AROUND_BYTES);
    assert_int_equal(updates[1].version, 1);
    assert_int_equal(sp__stub_variable_get_array(&caller, "s", "row", see, &seen, NULL),
                     0);
    assert_int_equal(seen.arrays, 1);
    arrays[0] = &empty;
    assert_int_equal(
        sp__stub_variables_set_arrays(&caller, "s", updates, arrays, 2, 1, NULL, NULL),
        SP_ERR_BAD_VALUE);
    arrays[0] = &row;
    uint64_t allocations = 0;
    int rc = 0;
    while (rc != 2) {
        assert_true(allocations < 500);
        sp__mem_fail_at(++allocations, 0);
        rc = sp__stub_variables_set_arrays(&caller, "s", updates, arrays, 2, 1, NULL,
                                           NULL);
        sp__mem_fail_at(0, 0);
        assert_true(rc == 2 || rc == SP_ERR_NOMEM);
    }
    assert_true(allocations > 3); /* the first three are the batch's own */
}

/* ---- short of memory, and short of sense ---- */

static void without_memory_nothing_is_half_done(void **state)
{
    static struct outcome out;
    (void)state;
    open_sets();
    create_both("s");
    seed = 7;
    for (int i = 0; i < 400; i++) {
        const struct operation op = make_operation();
        for (uint64_t n = 1;; n++) {
            sp__mem_fail_at(n, 0);
            perform(1, &op, &out);
            sp__mem_fail_at(0, 0);
            if (out.error.code != SP_ERR_NOMEM &&
                strstr(out.text, "no memory") == NULL) {
                break;
            }
            assert_true(n < 500);
        }
        sp_error_clear(&out.error);
    }
}

static void malformed_questions_are_refused(void **state)
{
    static const uint8_t broken[] = {0x0a, 0x05, 's'};
    static const uint8_t nul[] = {0x0a, 0x03, 's', 0, 't', 0x12, 0x01, 'x'};
    (void)state;
    open_sets();
    create_both("s");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct sp_buffer reply;
        sp_error error = {0};
        if (strcmp(answers[i].path, SP__PATH_GET_SESSION_STATS) == 0) {
            continue; /* its question is empty */
        }
        sp__buf_init(&reply, 1 << 20);
        assert_int_equal(carry(NULL, answers[i].path, (sp_bytes){broken, sizeof broken},
                               &reply, &error),
                         SP_ERR_PROTOCOL);
        assert_int_equal(
            carry(NULL, answers[i].path, (sp_bytes){nul, sizeof nul}, &reply, &error),
            SP_ERR_INVAL);
        assert_non_null(strstr(error.message, "has a NUL byte"));
        sp_error_clear(&error);
        sp__buf_fini(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_wire_changes_nothing),
        TEST(sessions_are_made_listed_and_ended),
        TEST(an_update_that_somebody_else_came_before_is_refused),
        TEST(a_call_asks_about_its_own_session_only),
        TEST(arrays_go_and_come_as_bytes),
        TEST(a_batch_has_arrays_and_json),
        TEST(without_memory_nothing_is_half_done),
        TEST(malformed_questions_are_refused),
    };
    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
