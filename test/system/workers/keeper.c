/* SPDX-License-Identifier: MIT */
/*
 * A worker in C that uses what its host keeps: variables, programs, the session, tools of
 * the host and of other workers. A tool answers "ok", or the line and the error of the
 * step that went otherwise than it should.
 *
 *     variables   every function of worker_state.h about variables, with its failures
 *     programs    the same about programs
 *     session     the session's metadata, read and changed
 *     begin       the session, which nobody has begun
 *     watch       calls the host's tool "watching" and answers the change that follows
 *     wait        watches "x", registers "waiting" and waits for what ends it
 *     tools       the names of the host's tools that it can call
 *     pass {...}  calls the host's tool "look" with its arguments: its result
 *     pull        reads the host's stream "numbers": their sum
 *     other       calls "echo" of the pool "others"
 *     self        calls "self" of its own pool
 *     turns {"n"} reads a variable n times: the median in nanoseconds
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "snakepit/worker.h"
#include "snakepit/worker_host.h"
#include "snakepit/worker_state.h"

/* What went wrong, as the answer. */
static char fault[700];

static int note(int line, const char *what, int rc, const sp_error *err)
{
    if (fault[0] == '\0') {
        (void)snprintf(fault, sizeof fault, "line %d: %s: %d %s", line, what, rc,
                       err->message);
    }
    return 0;
}

/* A step that must give this; stops the tool otherwise. */
#define GIVES(step, want)                           \
    do {                                            \
        sp_error_clear(&err);                       \
        int rc_ = (step);                           \
        if (rc_ != (want)) {                        \
            (void)note(__LINE__, #step, rc_, &err); \
            sp_error_clear(&err);                   \
            return;                                 \
        }                                           \
    } while (0)

#define HOLDS(condition)                                               \
    do {                                                               \
        if (!(condition)) {                                            \
            (void)note(__LINE__, #condition, 0, &(const sp_error){0}); \
            return;                                                    \
        }                                                              \
    } while (0)

/* ---- variables ---- */

static void count_variable(const sp_variable *variable, void *user_data)
{
    *(int *)user_data += (int)strlen(variable->name);
}

static void count_dependency(const char *from, const char *to, const char *kind,
                             void *user_data)
{
    *(int *)user_data += strcmp(from, "b") == 0 && strcmp(to, "a") == 0;
}

static void keep_json(sp_bytes json, void *user_data)
{
    (void)snprintf(user_data, 600, "%.*s", (int)json.size, (const char *)json.data);
}

static void use_one(sp_job *job)
{
    sp_error err = {0};
    sp_variable v = {0};
    sp_change_options by = {.size = sizeof by,
                            .constraints = "{\"min\":0,\"max\":10}",
                            .metadata = "{\"unit\":\"K\"}",
                            .changed_by = "keeper"};
    uint64_t version = 99;
    GIVES(sp_job_variable_register(job, "a", "integer", "5", &by, &v, &err), 0);
    HOLDS(strcmp(v.name, "a") == 0 && strcmp(v.value, "5") == 0 && v.version == 0);
    sp_variable_clear(&v);
    GIVES(sp_job_variable_register(job, "a", "integer", "5", NULL, NULL, &err),
          SP_ERR_EXISTS);
    GIVES(sp_job_variable_register(job, "z", "nothing", "5", NULL, NULL, &err),
          SP_ERR_INVAL);
    GIVES(sp_job_variable_set(job, "a", "7", &by, &version, &err), 0);
    HOLDS(version == 1);
    GIVES(sp_job_variable_set(job, "a", "11", NULL, NULL, &err), SP_ERR_BAD_VALUE);
    HOLDS(strstr(err.message, "11") != NULL && strstr(err.message, "10") != NULL);
    by.check_version = 1;
    by.expected_version = 3;
    GIVES(sp_job_variable_set(job, "a", "8", &by, NULL, &err), SP_ERR_CONFLICT);
    by.expected_version = 1;
    GIVES(sp_job_variable_set(job, "a", "8", &by, NULL, &err), 0);
    GIVES(sp_job_variable_get(job, "a", &v, &err), 0);
    HOLDS(strcmp(v.value, "8") == 0 && v.version == 2);
    HOLDS(strcmp(v.changed_by, "keeper") == 0 && strstr(v.metadata, "K") != NULL);
    sp_variable_clear(&v);
    GIVES(sp_job_variable_get(job, "none", &v, &err), SP_ERR_NOT_FOUND);
    GIVES(sp_job_variable_rollback(job, "a", 0, NULL, &version, &err), 0);
    HOLDS(version == 3);
    int names = 0;
    GIVES(sp_job_variable_history(job, "a", 0, count_variable, &names, &err), 4);
    GIVES(sp_job_variable_history(job, "a", 2, count_variable, &names, &err), 2);
    GIVES(sp_job_variable_lock(job, "a", "one", &err), 0);
    GIVES(sp_job_variable_lock(job, "a", "two", &err), SP_ERR_LOCKED);
    GIVES(sp_job_variable_set(job, "a", "1", NULL, NULL, &err), SP_ERR_LOCKED);
    GIVES(sp_job_variable_unlock(job, "a", "one", &v, &err), 0);
    HOLDS(v.locked_by[0] == '\0' && strcmp(v.value, "5") == 0);
    sp_variable_clear(&v);
}

static void use_several(sp_job *job)
{
    sp_error err = {0};
    const char *names[] = {"a", "none", "b"};
    sp_variable found[3] = {{0}};
    int letters = 0;
    char text[600] = "";
    GIVES(sp_job_variable_register(job, "b", NULL, "\"x\"", NULL, NULL, &err), 0);
    GIVES(sp_job_variables_list(job, NULL, count_variable, &letters, &err), 2);
    GIVES(sp_job_variables_list(job, "a*", count_variable, &letters, &err), 1);
    HOLDS(letters == 3);
    GIVES(sp_job_variables_get(job, names, 3, found, &err), 2);
    HOLDS(found[1].name == NULL && strcmp(found[2].value, "\"x\"") == 0);
    sp_variable_clear(&found[0]);
    sp_variable_clear(&found[2]);
    sp_variable_update updates[2] = {{.name = "a", .value = "99"},
                                     {.name = "b", .value = "\"y\""}};
    GIVES(sp_job_variables_set(job, updates, 2, 1, NULL, &err), SP_ERR_BAD_VALUE);
    GIVES(sp_job_variables_set(job, updates, 2, 0, NULL, &err), 1);
    HOLDS(updates[0].code == SP_ERR_BAD_VALUE && updates[1].code == 0);
    HOLDS(updates[1].version == 1);
    updates[0].value = "9";
    GIVES(sp_job_variables_set(job, updates, 2, 1, NULL, &err), 2);
    GIVES(sp_job_variable_depend(job, "b", "a", NULL, &err), 0);
    GIVES(sp_job_variable_depend(job, "a", "b", NULL, &err), SP_ERR_CYCLE);
    int dependencies = 0;
    GIVES(sp_job_variable_dependencies(job, "b", count_dependency, &dependencies, &err),
          1);
    HOLDS(dependencies == 1);
    GIVES(sp_job_variable_undepend(job, "b", "a", &err), 0);
    GIVES(sp_job_variables_export(job, keep_json, text, &err), 2);
    HOLDS(strstr(text, "\"a\"") != NULL);
    GIVES(sp_job_variable_delete(job, "a", NULL, &err), 0);
    GIVES(sp_job_variable_delete(job, "a", NULL, &err), SP_ERR_NOT_FOUND);
    GIVES(sp_job_variable_delete(job, "b", NULL, &err), 0);
    GIVES(sp_job_variables_import(job, text, &err), 2);
}

static void use_variables(sp_job *job)
{
    use_one(job);
    if (fault[0] == '\0') {
        use_several(job);
    }
}

/* ---- programs and the session ---- */

static void count_program(const sp_program *program, void *user_data)
{
    *(int *)user_data += 1;
}

static void use_programs(sp_job *job)
{
    sp_error err = {0};
    sp_program p = {0};
    for (int global = 0; global < 2; global++) {
        int n = 0;
        GIVES(sp_job_program_get(job, global, "p", &p, &err), SP_ERR_NOT_FOUND);
        GIVES(sp_job_program_update(job, global, "p", "1", &err), SP_ERR_NOT_FOUND);
        GIVES(sp_job_program_store(job, global, "p", "{\"n\":1}", 0, &err), 0);
        GIVES(sp_job_program_update(job, global, "p", "{\"n\":2}", &err), 0);
        GIVES(sp_job_program_get(job, global, "p", &p, &err), 0);
        HOLDS(strcmp(p.data, "{\"n\":2}") == 0);
        HOLDS((p.remaining_ms == SP_UNLIMITED) == !global);
        sp_program_clear(&p);
        GIVES(sp_job_programs_list(job, global, count_program, &n, &err), 1);
        HOLDS(n == 1);
        GIVES(sp_job_program_store(job, global, "q", "{", 0, &err), SP_ERR_BAD_JSON);
        GIVES(sp_job_program_delete(job, global, "p", &err), 0);
        GIVES(sp_job_program_delete(job, global, "p", &err), SP_ERR_NOT_FOUND);
    }
}

static int add_metadata(const sp_session_info *info, sp_session_edit *edit,
                        void *user_data, sp_error *err)
{
    if (strstr(info->metadata, "host") == NULL) {
        return sp_error_set(err, SP_ERR_REFUSED, "metadata %s", info->metadata);
    }
    edit->metadata = "{\"by\":\"worker\"}";
    return 0;
}

static void use_session(sp_job *job)
{
    sp_error err = {0};
    sp_session_info info = {0};
    GIVES(sp_job_session_get(job, &info, &err), 0);
    HOLDS(strcmp(info.id, sp_job_session(job)) == 0);
    HOLDS(strstr(info.metadata, "host") != NULL && info.variables == 0);
    sp_session_info_clear(&info);
    GIVES(sp_job_session_update(job, add_metadata, NULL, &err), 0);
    GIVES(sp_job_session_update(job, add_metadata, NULL, &err), SP_ERR_REFUSED);
}

static void begin_session(sp_job *job)
{
    sp_error err = {0};
    sp_session_info info = {0};
    GIVES(sp_job_session_get(job, &info, &err), SP_ERR_NOT_FOUND);
    GIVES(sp_job_session_begin(job, &err), 1);
    GIVES(sp_job_session_begin(job, &err), 0);
    GIVES(sp_job_session_get(job, &info, &err), 0);
    HOLDS(strcmp(info.id, sp_job_session(job)) == 0);
    sp_session_info_clear(&info);
}

/* ---- watching ---- */

static void use_watch(sp_job *job, char *text, size_t max)
{
    sp_error err = {0};
    sp_job_watch *watch;
    sp_change change;
    sp_host_result result;
    sp_watch_options options = {.size = sizeof options, .initial = 1};
    GIVES(sp_job_watch_open(job, &options, &watch, &err), 0);
    GIVES(sp_job_watch_next(watch, SP_UNLIMITED, &change, &err), 1);
    HOLDS(change.kind == SP_CHANGE_INITIAL);
    sp_variable_clear(&change.variable);
    GIVES(sp_job_watch_next(watch, 0, &change, &err), 0);
    GIVES(sp_job_watch_next(watch, 5, &change, &err), 0);
    GIVES(sp_job_call_host(job, "watching", sp_text("{}"), NULL, &result, &err), 0);
    sp_host_result_clear(&result);
    GIVES(sp_job_watch_next(watch, SP_UNLIMITED, &change, &err), 1);
    HOLDS(change.kind == SP_CHANGE_VALUE);
    (void)snprintf(text, max, "%s", change.variable.value);
    sp_variable_clear(&change.variable);
    sp_job_watch_close(watch);
    const char *none = "none";
    options.names = &none;
    options.names_count = 1;
    GIVES(sp_job_watch_open(job, &options, &watch, &err), 0);
    GIVES(sp_job_watch_next(watch, SP_UNLIMITED, &change, &err), SP_ERR_NOT_FOUND);
    sp_job_watch_close(watch);
    sp_error_clear(&err);
}

static void wait_for_change(sp_job *job, char *text, size_t max)
{
    static const char *const names[] = {"x"};
    sp_watch_options options = {
        .size = sizeof options, .names = names, .names_count = 1};
    sp_error err = {0};
    sp_job_watch *watch;
    sp_change change;
    GIVES(sp_job_watch_open(job, &options, &watch, &err), 0);
    (void)sp_job_variable_register(job, "waiting", NULL, "1", NULL, NULL, NULL);
    int rc = sp_job_watch_next(watch, SP_UNLIMITED, &change, &err);
    (void)snprintf(text, max, "\"%s\"", sp_error_name(rc));
    sp_job_watch_close(watch);
    sp_error_clear(&err);
}

/* ---- tools ---- */

static void keep_name(const sp_job_host_tool *tool, void *user_data)
{
    char *text = user_data;
    size_t n = strlen(text);
    (void)snprintf(text + n, 600 - n, "%s%s%s", n > 0 ? " " : "", tool->name,
                   tool->is_streaming ? "*" : "");
}

static void list_tools(sp_job *job, char *text)
{
    sp_error err = {0};
    char names[600] = "";
    int rc = sp_job_host_tools(job, keep_name, names, &err);
    if (rc < 0) {
        (void)note(__LINE__, "tools", rc, &err);
    }
    (void)snprintf(text, 700, "\"%d: %s\"", rc, names);
    sp_error_clear(&err);
}

static void pass(sp_job *job, const char *tool, const char *pool)
{
    sp_error err = {0};
    sp_host_result result;
    sp_host_call_options options = {.size = sizeof options, .pool = pool};
    int rc = sp_job_call_host(job, tool, sp_job_args(job), &options, &result, &err);
    if (rc == 0) {
        (void)sp_job_reply(job, result.json, NULL, result.binary, NULL);
        sp_host_result_clear(&result);
    } else {
        char text[700];
        (void)snprintf(text, sizeof text, "%s: %s", sp_error_name(rc), err.message);
        (void)sp_job_fail(job, SP_ERR_REMOTE, "HostError", text, NULL, NULL);
    }
    sp_error_clear(&err);
}

static void pull(sp_job *job, char *text, size_t max)
{
    sp_error err = {0};
    sp_host_stream *stream;
    sp_bytes chunk;
    long sum = 0;
    GIVES(sp_job_host_stream_open(job, "numbers", sp_text("{}"), NULL, &stream, &err),
          0);
    int rc;
    while ((rc = sp_host_stream_next(stream, SP_UNLIMITED, &chunk, NULL, &err)) > 0) {
        char number[32];
        (void)snprintf(number, sizeof number, "%.*s", (int)chunk.size,
                       (const char *)chunk.data);
        sum += strtol(number, NULL, 10);
    }
    sp_host_stream_close(stream);
    GIVES(rc, 0);
    (void)snprintf(text, max, "%ld", sum);
}

/* ---- how long a question takes ---- */

static int compare(const void *a, const void *b)
{
    long left = *(const long *)a;
    long right = *(const long *)b;
    return (left > right) - (left < right);
}

static void take_turns(sp_job *job, char *text, size_t max)
{
    enum { MOST = 100000 };
    static long taken[MOST];
    sp_error err = {0};
    sp_bytes args = sp_job_args(job);
    char number[64];
    (void)snprintf(number, sizeof number, "%.*s", (int)args.size,
                   (const char *)args.data);
    const char *colon = strchr(number, ':');
    long n = colon != NULL ? strtol(colon + 1, NULL, 10) : 0;
    HOLDS(n > 0 && n <= MOST);
    for (long i = 0; i < n; i++) {
        struct timespec before;
        struct timespec after;
        sp_variable v;
        (void)clock_gettime(CLOCK_MONOTONIC, &before);
        GIVES(sp_job_variable_get(job, "speed", &v, &err), 0);
        (void)clock_gettime(CLOCK_MONOTONIC, &after);
        sp_variable_clear(&v);
        taken[i] = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec -
                   before.tv_nsec;
    }
    qsort(taken, (size_t)n, sizeof taken[0], compare);
    (void)snprintf(text, max, "%ld", taken[n / 2]);
}

static void run(sp_job *job)
{
    char text[700] = "\"ok\"";
    const char *tool = sp_job_tool(job);
    fault[0] = '\0';
    if (strcmp(tool, "pass") == 0) {
        pass(job, "look", NULL);
        return;
    }
    if (strcmp(tool, "other") == 0 || strcmp(tool, "self") == 0) {
        pass(job, tool[0] == 'o' ? "echo" : "self", tool[0] == 'o' ? "others" : "");
        return;
    }
    if (strcmp(tool, "variables") == 0) {
        use_variables(job);
    } else if (strcmp(tool, "programs") == 0) {
        use_programs(job);
    } else if (strcmp(tool, "session") == 0) {
        use_session(job);
    } else if (strcmp(tool, "begin") == 0) {
        begin_session(job);
    } else if (strcmp(tool, "watch") == 0) {
        use_watch(job, text, sizeof text);
    } else if (strcmp(tool, "wait") == 0) {
        wait_for_change(job, text, sizeof text);
    } else if (strcmp(tool, "tools") == 0) {
        list_tools(job, text);
    } else if (strcmp(tool, "pull") == 0) {
        pull(job, text, sizeof text);
    } else {
        take_turns(job, text, sizeof text);
    }
    if (fault[0] != '\0') {
        (void)sp_job_fail(job, SP_ERR_REMOTE, "Fault", fault, NULL, NULL);
    } else {
        (void)sp_job_reply(job, sp_text(text), NULL, (sp_bytes){0}, NULL);
    }
}

int main(void)
{
    static const char *const tools[] = {"variables", "programs", "session", "watch",
                                        "wait",      "tools",    "pass",    "pull",
                                        "other",     "self",     "turns",   "begin"};
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    int rc = sp_worker_open(NULL, &worker, &err);
    for (size_t i = 0; rc == 0 && i < sizeof tools / sizeof tools[0]; i++) {
        sp_tool tool = {.size = sizeof tool, .name = tools[i]};
        rc = sp_worker_add_tool(worker, &tool, &err);
    }
    if (rc == 0) {
        rc = sp_worker_announce(worker, &err);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "keeper: %s\n", err.message);
        return 1;
    }
    while ((rc = sp_worker_next(worker, &job, NULL)) != 0) {
        if (rc > 0) {
            run(job);
        }
    }
    sp_worker_close(worker);
    return 0;
}
