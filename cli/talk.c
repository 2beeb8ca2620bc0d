/* SPDX-License-Identifier: MIT */
/*
 * Standard error: errors in full, what workers print, the progress line.
 *
 * The main thread and the watcher both talk, so one lock keeps lines whole and takes the
 * progress line away before anything else is written. With -o json an error is one JSON
 * object on a line of its own; without, the first line is the sentence and the rest are
 * the facts, indented, the last of them what to do.
 */
#include "cli.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct cli *current; /* for -q, -v and -o json */
static int line_stands;           /* a progress line is on the terminal */
static char line[256];
static _Thread_local char where[300]; /* in front of this thread's errors */

void talk_init(struct cli *cli)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    int is_dumb = term == NULL || strcmp(term, "dumb") == 0;
    cli->has_line = isatty(STDERR_FILENO) && !is_dumb && !cli->quiet;
    int has_consent = !cli->no_color && (no_color == NULL || no_color[0] == '\0');
    cli->has_color = isatty(STDOUT_FILENO) && !is_dumb && has_consent;
    current = cli;
}

static int is_json_wanted(void)
{
    return current != NULL && wants_json(current);
}

/* --- The progress line --------------------------------------------------------------- */

static void erase_locked(void)
{
    if (line_stands) {
        (void)fputs("\r\033[K", stderr);
        line_stands = 0;
    }
}

void progress_erase(void)
{
    (void)pthread_mutex_lock(&lock); /* cannot fail: a valid, plain mutex */
    erase_locked();
    (void)fflush(stderr);
    (void)pthread_mutex_unlock(&lock);
}

void progress(const char *format, ...)
{
    if (current == NULL || !current->has_line) {
        return;
    }
    va_list args;
    (void)pthread_mutex_lock(&lock);
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    erase_locked();
    print_clean(stderr, line, strnlen(line, 78)); /* a wrapped line cannot be erased */
    (void)fflush(stderr);
    line_stands = 1;
    (void)pthread_mutex_unlock(&lock);
}

/* --- Lines --------------------------------------------------------------------------- */

void talk(const char *format, ...)
{
    if (current != NULL && current->quiet) {
        return;
    }
    va_list args;
    (void)pthread_mutex_lock(&lock);
    erase_locked();
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    (void)pthread_mutex_unlock(&lock);
}

void talk_where(const char *text)
{
    (void)snprintf(where, sizeof where, "%s", text);
}

/* A name for mistakes that never reached the library. */
static const char *code_name(int code)
{
    switch (code) {
    case CODE_USAGE:
        return "SP-USAGE";
    case CODE_NOT_FOUND:
        return "SP-NOT-FOUND";
    case CODE_REFUSED:
        return "SP-REFUSED";
    case CODE_FINDING:
        return "SP-FINDING";
    default:
        return "SP-SYSTEM";
    }
}

int complain(int code, const char *format, ...)
{
    char *message = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&message, format, args);
    va_end(args);
    need(length < 0 ? NULL : message);
    (void)pthread_mutex_lock(&lock);
    erase_locked();
    if (is_json_wanted()) {
        json_t *root =
            json_pack("{s:i, s:{s:s, s:s+, s:i}}", "version", 1, "error", "name",
                      code_name(code), "message", where, message, "exit", code);
        if (root == NULL) { /* the message quotes bytes that are not UTF-8 */
            root = json_pack("{s:i, s:{s:s, s:s}}", "version", 1, "error", "name",
                             code_name(code), "message", "text that is not UTF-8");
        }
        char *text = need(json_dumps(root, JSON_COMPACT));
        (void)fprintf(stderr, "%s\n", text);
        free(text);
        json_decref(root);
    } else {
        (void)fprintf(stderr, "error: %s", where);
        /* Line ends are ours; everything between them may quote somebody. */
        for (char *rest = message, *part; (part = strsep(&rest, "\n")) != NULL;) {
            print_clean(stderr, part, strlen(part));
            (void)fputc('\n', stderr);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    free(message);
    return code;
}

/* --- Errors of the library ----------------------------------------------------------- */

int exit_code_of(int error_code)
{
    switch (error_code) {
    case SP_OK:
        return CODE_OK;
    case SP_ERR_INVAL:
    case SP_ERR_CONFIG:
    case SP_ERR_BAD_JSON:
    case SP_ERR_BAD_ARGS:
    case SP_ERR_TOO_BIG:
    case SP_ERR_TOO_DEEP:
    case SP_ERR_BAD_VALUE:
        return CODE_USAGE;
    case SP_ERR_NO_TOOL:
    case SP_ERR_NO_POOL:
    case SP_ERR_NOT_FOUND:
        return CODE_NOT_FOUND;
    case SP_ERR_REFUSED:
    case SP_ERR_UNSUPPORTED:
    case SP_ERR_IN_USE:
    case SP_ERR_EXISTS:
    case SP_ERR_QUOTA:
    case SP_ERR_CONFLICT:
    case SP_ERR_LOCKED:
    case SP_ERR_CYCLE:
    case SP_ERR_TOO_SLOW:
    case SP_ERR_RECURSION:
    case SP_ERR_DEADLOCK:
        return CODE_REFUSED;
    case SP_ERR_QUEUE_TIMEOUT:
    case SP_ERR_TIMEOUT:
    case SP_ERR_NOT_READY:
        return CODE_TIMEOUT;
    case SP_ERR_REMOTE:
    case SP_ERR_WORKER_DIED:
    case SP_ERR_SESSION_WORKER_LOST:
    case SP_ERR_PROTOCOL:
    case SP_ERR_POISON:
        return CODE_WORKER;
    case SP_ERR_QUEUE_FULL:
        return CODE_SATURATED;
    case SP_ERR_CANCELLED:
    case SP_ERR_STOPPED_BY_CALLBACK:
        return CODE_INTERRUPTED;
    default:
        return CODE_UNREACHABLE;
    }
}

static const char *executed_word(int executed)
{
    return executed == SP_EXECUTED_YES  ? "yes"
           : executed == SP_EXECUTED_NO ? "no"
                                        : "unknown";
}

static const char *stage_word(int stage)
{
    static const char *const words[] = {NULL, "queued", "sent", "started", "streaming"};
    return words[stage];
}

static void set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL) {
        /* Text that is no UTF-8 gives NULL, which set_new refuses: left out. */
        (void)json_object_set_new(object, key, json_string(text));
    }
}

json_t *error_to_json(const sp_error *err)
{
    json_t *error = need(json_object());
    (void)json_object_set_new(error, "code", json_integer(err->code));
    set_text(error, "name", sp_error_name(err->code));
    set_text(error, "message", err->message);
    set_text(error, "category", sp_category_name(sp_error_category(err->code)));
    (void)json_object_set_new(error, "retryable",
                              json_boolean(err->stage != SP_STAGE_NONE
                                               ? err->retryable
                                               : sp_error_is_retryable(err->code)));
    set_text(error, "executed", executed_word(err->executed));
    set_text(error, "stage", stage_word(err->stage));
    if (err->retry_after_ms > 0) {
        (void)json_object_set_new(error, "retry_after_ms",
                                  json_integer((json_int_t)err->retry_after_ms));
    }
    if (err->chunks > 0) {
        (void)json_object_set_new(error, "chunks",
                                  json_integer((json_int_t)err->chunks));
    }
    (void)json_object_set_new(error, "attempts", json_integer(err->attempts));
    (void)json_object_set_new(error, "grpc_status", json_integer(err->grpc_status));
    set_text(error, "remote_type", err->remote_type);
    set_text(error, "remote_message", err->remote_message);
    set_text(error, "remote_trace", err->remote_trace);
    json_t *details =
        err->remote_details != NULL ? json_loads(err->remote_details, 0, NULL) : NULL;
    if (details != NULL) {
        (void)json_object_set_new(error, "remote_details", details);
    }
    if (err->worker_pid > 0) {
        (void)json_object_set_new(error, "worker_pid", json_integer(err->worker_pid));
    }
    if (err->worker_pid > 0 && err->worker_exit >= 0) {
        (void)json_object_set_new(error, "worker_exit", json_integer(err->worker_exit));
    }
    if (err->worker_signal > 0) {
        (void)json_object_set_new(error, "worker_signal",
                                  json_integer(err->worker_signal));
    }
    if (err->worker_why > 0) {
        set_text(error, "worker_why", sp_death_name(err->worker_why));
    }
    set_text(error, "worker_stderr", err->worker_stderr);
    set_text(error, "worker_stack", err->worker_stack);
    set_text(error, "hint", sp_error_hint(err->code));
    (void)json_object_set_new(error, "exit", json_integer(exit_code_of(err->code)));
    return error;
}

/* "  name     first line" and the further lines below it, at most `max` of them, the
 * last ones when there are more. */
static void fact(const char *name, const char *text, size_t max)
{
    size_t lines = 1;
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '\n') {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        lines += text[i] == '\n';
    }
    const char *at = text;
    for (size_t i = 0; at < text + size; i++) {
        const char *end = memchr(at, '\n', (size_t)(text + size - at));
        size_t length = end != NULL ? (size_t)(end - at) : (size_t)(text + size - at);
        if (i + max >= lines) {
            (void)fprintf(stderr, "  %-8s ", name);
            print_clean(stderr, at, length);
            (void)fputc('\n', stderr);
            name = "";
        }
        at += length + 1;
    }
}

static void report_cause(const sp_error *err)
{
    char text[160];
    (void)snprintf(text, sizeof text, "pid %d", err->worker_pid);
    /* The message may have it all; and a worker that said itself why it cannot start
     * was ended by its host, which is no cause. */
    if (err->worker_pid <= 0 || strstr(err->message, text) != NULL ||
        (err->code == SP_ERR_START_FAILED && err->remote_type != NULL)) {
        return;
    }
    if (err->worker_signal > 0) {
        (void)snprintf(text, sizeof text, "worker pid %d was killed by signal %d (%s)",
                       err->worker_pid, err->worker_signal,
                       strsignal(err->worker_signal));
        fact("cause", text, 1);
    } else if (err->worker_exit >= 0) {
        (void)snprintf(text, sizeof text, "worker pid %d ended with exit status %d",
                       err->worker_pid, err->worker_exit);
        fact("cause", text, 1);
    }
}

/* Whether the worker's last lines tell what the traceback has told. */
static int repeats(const sp_error *err)
{
    return err->remote_message != NULL &&
           strstr(err->worker_stderr, err->remote_message) != NULL;
}

static void report_text(const sp_error *err)
{
    const char *hint = sp_error_hint(err->code);
    (void)fprintf(stderr, "error %s: %s", sp_error_name(err->code), where);
    print_clean(stderr, err->message, strlen(err->message));
    (void)fputc('\n', stderr);
    report_cause(err);
    int has_trace = err->remote_trace != NULL && err->remote_trace[0] != '\0';
    if (has_trace) {
        fact("trace", err->remote_trace, 24);
    } else if (err->remote_message != NULL &&
               strstr(err->message, err->remote_message) == NULL) {
        fact("remote", err->remote_message, 4);
    }
    /* Unless -q was given the worker's lines stand above; and a traceback is often the
     * last thing it wrote. */
    if (err->worker_stderr != NULL && err->worker_stderr[0] != '\0' &&
        !(has_trace && repeats(err))) {
        fact("stderr", err->worker_stderr, current->quiet ? 12 : 3);
    }
    if (err->executed == SP_EXECUTED_UNKNOWN) {
        fact("executed", "perhaps: the tool may have run, wholly or in part", 1);
    }
    if (hint[0] != '\0') {
        fact("try", hint, 2);
    }
}

int report(const sp_error *err)
{
    (void)pthread_mutex_lock(&lock);
    erase_locked();
    if (is_json_wanted()) {
        json_t *root =
            need(json_pack("{s:i, s:o}", "version", 1, "error", error_to_json(err)));
        if (where[0] != '\0') {
            set_text(json_object_get(root, "error"), "where", where);
        }
        char *text = need(json_dumps(root, JSON_COMPACT));
        (void)fprintf(stderr, "%s\n", text);
        free(text);
        json_decref(root);
    } else {
        report_text(err);
    }
    (void)pthread_mutex_unlock(&lock);
    return exit_code_of(err->code);
}

/* --- Events -------------------------------------------------------------------------- */

/* What workers print while they start waits here: when the start fails the error has
 * the lines that matter, and they are dropped. */
enum { HELD_MAX = 64 * 1024 };
static struct text held;
static int must_hold;
static unsigned deaths;

void talk_hold(int hold, int drop)
{
    (void)pthread_mutex_lock(&lock);
    must_hold = hold;
    deaths = hold ? 0 : deaths;
    if (!hold) {
        erase_locked();
        if (!drop && held.size > 0) {
            (void)fwrite(held.data, 1, held.size, stderr);
        }
        text_free(&held);
    }
    (void)pthread_mutex_unlock(&lock);
}

unsigned talk_deaths(void)
{
    (void)pthread_mutex_lock(&lock);
    unsigned count = deaths;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

/* The line of an event, as it will stand on standard error. */
static void write_event(const sp_event *event, FILE *to)
{
    const char *message = event->message != NULL ? event->message : "";
    if (event->kind == SP_EVENT_WARNING) {
        (void)fputs("warning: ", to);
    } else {
        (void)fprintf(to, "[%s/%u] ", event->pool != NULL ? event->pool : "",
                      event->slot);
    }
    if (event->kind != SP_EVENT_WORKER_OUTPUT && event->kind != SP_EVENT_WARNING) {
        (void)fputs(sp_event_name(event->kind), to);
        if (event->pid > 0) {
            (void)fprintf(to, " pid %d", event->pid);
        }
        if (event->kind == SP_EVENT_WORKER_READY) {
            (void)fprintf(to, " after %llu ms", (unsigned long long)event->duration_ms);
        }
        (void)fputs(message[0] != '\0' ? ": " : "", to);
    }
    print_clean(to, message, strlen(message));
    (void)fputc('\n', to);
}

void show_event(const sp_event *event, void *user_data)
{
    const struct cli *cli = user_data;
    int is_output = event->kind == SP_EVENT_WORKER_OUTPUT;
    int is_warning = event->kind == SP_EVENT_WARNING;
    if (event->kind == SP_EVENT_WORKER_DIED) {
        (void)pthread_mutex_lock(&lock);
        deaths++;
        (void)pthread_mutex_unlock(&lock);
    }
    if (cli->quiet || (!is_output && !is_warning && !cli->verbose)) {
        return;
    }
    (void)pthread_mutex_lock(&lock);
    FILE *memory = NULL;
    char *text = NULL;
    size_t size = 0;
    if (must_hold && is_output && held.size < HELD_MAX) {
        memory = open_memstream(&text, &size);
    }
    if (memory != NULL) {
        write_event(event, memory);
        (void)fclose(memory);
        text_add(&held, text, size);
        free(text);
    } else {
        erase_locked();
        write_event(event, stderr);
    }
    (void)pthread_mutex_unlock(&lock);
}
