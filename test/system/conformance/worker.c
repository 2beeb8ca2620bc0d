/* SPDX-License-Identifier: MIT */
/*
 * The tools of the conformance list (docs/conformance.md), in C.
 *
 * The library hands over the arguments as JSON text and takes results as text, so that a
 * worker picks what it needs; here the values of an object are found as they stand.
 * Everything is on the one thread; a stream goes on where it stopped when its turn comes.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <snakepit/worker.h>
#include <snakepit/worker_host.h>
#include <snakepit/worker_state.h>
#include <snakepit/worker_telemetry.h>

/* --- The arguments -------------------------------------------------------------------- */

/* The end of the value that begins at `at`. The text is one valid JSON value. */
static const char *value_end(const char *at, const char *end)
{
    int depth = 0;
    for (int in_text = 0; at < end; at++) {
        if (in_text) {
            at += *at == '\\';
            in_text = *at != '"';
        } else if (*at == '"') {
            in_text = 1;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']' || *at == ',') {
            depth -= *at != ',';
            if (depth < 0 || (depth == 0 && *at == ',')) {
                return at;
            }
        }
    }
    return at;
}

/* The value of a member of the arguments, as it is written; empty without it. */
static sp_bytes member(const sp_job *job, const char *name)
{
    sp_bytes args = sp_job_args(job);
    const char *at = (const char *)args.data + 1;
    const char *end = (const char *)args.data + args.size - 1;
    while (at < end) {
        const char *key = at + strspn(at, " ,\n\"");
        const char *key_end = memchr(key, '"', (size_t)(end - key));
        if (key_end == NULL) {
            break;
        }
        const char *value = key_end + 1 + strspn(key_end + 1, " :\n");
        at = value_end(value, end);
        if ((size_t)(key_end - key) == strlen(name) &&
            memcmp(key, name, strlen(name)) == 0) {
            return (sp_bytes){value, (size_t)(at - value)};
        }
    }
    return (sp_bytes){0};
}

static long long integer(const sp_job *job, const char *name)
{
    char text[32];
    sp_bytes value = member(job, name);
    (void)snprintf(text, sizeof text, "%.*s", (int)value.size,
                   (const char *)value.data);
    return strtoll(text, NULL, 10);
}

/* One character of a text, after its backslash, as UTF-8; where it ends. */
static const char *unescape(const char *at, char **to)
{
    if (*at != 'u') {
        *(*to)++ = *at == 'n' ? '\n' : *at;
        return at + 1;
    }
    char digits[5] = "";
    memcpy(digits, at + 1, 4);
    unsigned long code = strtoul(digits, NULL, 16); /* no surrogates here */
    if (code < 0x80) {
        *(*to)++ = (char)code;
    } else if (code < 0x800) {
        *(*to)++ = (char)(0xC0 | code >> 6);
        *(*to)++ = (char)(0x80 | (code & 0x3F));
    } else {
        *(*to)++ = (char)(0xE0 | code >> 12);
        *(*to)++ = (char)(0x80 | (code >> 6 & 0x3F));
        *(*to)++ = (char)(0x80 | (code & 0x3F));
    }
    return at + 5;
}

/* A short text among the arguments. */
static char *text_of(const sp_job *job, const char *name, char *room, size_t max)
{
    sp_bytes value = member(job, name);
    const char *at = (const char *)value.data + 1;
    const char *end = (const char *)value.data + value.size - 1;
    char *to = room;
    while (value.size > 2 && at < end && to < room + max - 4) {
        if (*at == '\\') {
            at = unescape(at + 1, &to);
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
    return room;
}

static void note(const sp_job *job, const char *word)
{
    char path[512];
    int fd = open(text_of(job, "path", path, sizeof path), O_WRONLY | O_APPEND);
    if (fd >= 0) {
        (void)dprintf(fd, "%s\n", word);
        (void)close(fd);
    }
}

/* --- Answers -------------------------------------------------------------------------- */

static void reply(sp_job *job, const char *text)
{
    (void)sp_job_reply(job, sp_text(text), NULL, (sp_bytes){0}, NULL);
}

static void reply_number(sp_job *job, long long number)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", number);
    reply(job, text);
}

/* In C an error is what the worker says of it. */
static void fail(sp_job *job, const char *message)
{
    const sp_failure failure = {
        .size = sizeof failure,
        .type = "ConformanceError",
        .message = message,
        .trace = "fail() in worker.c\ncaused by: the cause",
        .details = sp_text("{\"causes\":[{\"link\":\"cause\",\"type\":\"Error\","
                           "\"message\":\"the cause\"}]}"),
    };
    (void)sp_job_fail_with(job, &failure, NULL);
}

/* A failed question to the host, as the failure of the tool that asked. */
static void fail_with(sp_job *job, sp_error *err)
{
    (void)sp_job_fail(job, SP_ERR_REMOTE, sp_error_name(err->code), err->message, NULL,
                      NULL);
    sp_error_clear(err);
}

/* --- Values --------------------------------------------------------------------------- */

static void echo(sp_job *job)
{
    (void)sp_job_reply(job, member(job, "value"), NULL, (sp_bytes){0}, NULL);
}

static void kind(sp_job *job)
{
    sp_bytes value = member(job, "value");
    const char *text = value.data;
    int is_float = 0;
    for (size_t i = 0; i < value.size; i++) {
        is_float |= strchr(".eEIN", text[i]) != NULL;
    }
    reply(job, *text == 'n'                   ? "\"null\""
               : *text == 't' || *text == 'f' ? "\"boolean\""
               : *text == '"'                 ? "\"string\""
               : *text == '['                 ? "\"list\""
               : *text == '{'                 ? "\"map\""
               : is_float                     ? "\"float\""
                                              : "\"integer\"");
}

static void add(sp_job *job)
{
    reply_number(job, integer(job, "a") + integer(job, "b"));
}

/* Of any length: the digits are there. */
static void negate(sp_job *job)
{
    char text[64];
    sp_bytes value = member(job, "value");
    const char *digits = value.data;
    int is_negative = digits[0] == '-';
    (void)snprintf(text, sizeof text, "%s%.*s", is_negative ? "" : "-",
                   (int)value.size - is_negative, digits + is_negative);
    reply(job, text);
}

static void specials(sp_job *job)
{
    reply(job, "[NaN,Infinity,-Infinity]");
}

static void make_bytes(sp_job *job)
{
    size_t size = (size_t)integer(job, "size");
    unsigned char *bytes = malloc(size + 1);
    for (size_t i = 0; bytes != NULL && i < size; i++) {
        bytes[i] = (unsigned char)i;
    }
    (void)sp_job_reply(job, sp_text("null"), "binary", (sp_bytes){bytes, size}, NULL);
    free(bytes);
}

static void take_bytes(sp_job *job)
{
    const char *name = NULL;
    sp_bytes data = {0};
    char text[64];
    unsigned long long sum = 0;
    (void)sp_job_binary(job, 0, &name, &data);
    for (size_t i = 0; i < data.size; i++) {
        sum += ((const unsigned char *)data.data)[i];
    }
    (void)snprintf(text, sizeof text, "[%zu,%llu]", data.size, sum);
    reply(job, text);
}

/* As all bridges do: small ones as lists, large ones as bytes. */
static void matrix(sp_job *job)
{
    size_t rows = (size_t)integer(job, "rows");
    size_t columns = (size_t)integer(job, "columns");
    size_t bytes = rows * columns * sizeof(double);
    double *numbers = malloc(bytes + 1);
    if (numbers == NULL) {
        fail(job, "no memory");
        return;
    }
    for (size_t i = 0; i < rows * columns; i++) {
        numbers[i] = (double)i;
    }
    char text[SP_BINARY_MIN_BYTES];
    sp_tensor tensor = {.dtype = SP_DTYPE_F64,
                        .dims = 2,
                        .shape = {rows, columns},
                        .data = numbers,
                        .bytes = bytes};
    sp_bytes binary = {0};
    if (bytes > SP_BINARY_MIN_BYTES / 8) {
        size_t n;
        (void)sp_tensor_text(&tensor, NULL, 0, text, sizeof text, &n, NULL);
        binary = (sp_bytes){numbers, bytes};
    } else {
        size_t n = 0;
        for (size_t i = 0; i < rows * columns; i++) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%g%s",
                                  i == 0             ? "[["
                                  : i % columns == 0 ? ",["
                                                     : ",",
                                  numbers[i],
                                  i + 1 == rows * columns  ? "]]"
                                  : (i + 1) % columns == 0 ? "]"
                                                           : "");
        }
    }
    (void)sp_job_reply(job, sp_text(text), "tensor", binary, NULL);
    free(numbers);
}

/* The shape and the sum of a list of lists of equal length. */
static void total_of_lists(sp_job *job)
{
    sp_bytes value = member(job, "matrix");
    const char *text = value.data;
    size_t rows = 0;
    size_t count = 0;
    double sum = 0;
    for (const char *at = text + 1; at < text + value.size; at++) {
        if (*at == '[') {
            rows++;
        } else if (strchr("-0123456789", *at) != NULL) {
            char *after;
            sum += strtod(at, &after);
            at = after - 1;
            count++;
        }
    }
    char answer[96];
    (void)snprintf(answer, sizeof answer, "[[%zu,%zu],%.17g]", rows, count / rows, sum);
    reply(job, answer);
}

static void total(sp_job *job)
{
    sp_tensor tensor;
    if (sp_job_tensor(job, "/matrix", &tensor, NULL) < 0) {
        total_of_lists(job);
        return;
    }
    double sum = 0;
    for (size_t i = 0; i < tensor.bytes / sizeof sum; i++) {
        double number;
        memcpy(&number, (const char *)tensor.data + i * sizeof number, sizeof number);
        sum += number;
    }
    char answer[96];
    (void)snprintf(answer, sizeof answer, "[[%llu,%llu],%.17g]",
                   (unsigned long long)tensor.shape[0],
                   (unsigned long long)tensor.shape[1], sum);
    reply(job, answer);
}

/* --- Telemetry ------------------------------------------------------------------------ */

static sp_worker *this_worker;

static void report(sp_job *job)
{
    char name[64], note_text[64], figures[64], facts[96];
    (void)snprintf(figures, sizeof figures, "{\"amount\":%lld}",
                   integer(job, "amount"));
    (void)snprintf(facts, sizeof facts, "{\"note\":\"%s\"}",
                   text_of(job, "note", note_text, sizeof note_text));
    const sp_emission event = {.size = sizeof event,
                               .name = text_of(job, "name", name, sizeof name),
                               .measurements = sp_text(figures),
                               .metadata = sp_text(facts),
                               .job = job};
    int heard = sp_worker_emit(this_worker, &event, NULL);
    reply(job, heard > 0 ? "true" : "false");
}

/* --- Failures and streams ------------------------------------------------------------- */

static void fail_as_told(sp_job *job)
{
    char message[256];
    fail(job, text_of(job, "message", message, sizeof message));
}

struct numbers {
    long long next;
    long long end;  /* -1: none */
    int made;       /* a file, or -1 */
    int is_failing; /* at the end */
};

static void end_numbers(sp_job *job, struct numbers *numbers)
{
    char message[64];
    (void)snprintf(message, sizeof message, "after %lld", numbers->end);
    if (numbers->made >= 0) {
        note(job, "closed");
        (void)close(numbers->made);
    }
    if (numbers->is_failing) {
        fail(job, message);
    } else {
        (void)sp_job_end(job, NULL);
    }
    free(numbers);
}

/* As far as the reader lets it. */
static void go_on(sp_job *job)
{
    struct numbers *numbers = sp_job_data(job);
    int rc = sp_job_cancelled(job) ? SP_ERR_CANCELLED : 1;
    char letters[1001];
    memset(letters, 'x', sizeof letters - 1);
    letters[sizeof letters - 1] = '\0';
    while (rc > 0 && numbers->next != numbers->end) {
        char text[1100];
        if (numbers->made >= 0) {
            numbers->next++;
            (void)snprintf(text, sizeof text, "%020lld", numbers->next);
            (void)pwrite(numbers->made, text, 20, 0);
            (void)snprintf(text, sizeof text, "{\"i\":%lld,\"text\":\"%s\"}",
                           numbers->next, letters);
        } else {
            (void)snprintf(text, sizeof text, "{\"i\":%lld}", numbers->next++);
        }
        rc = sp_job_chunk(job, sp_text(text), NULL);
    }
    if (rc != 0) { /* 0: its turn comes again */
        end_numbers(job, numbers);
    }
}

static void begin_numbers(sp_job *job, long long end, int made, int is_failing)
{
    struct numbers *numbers = malloc(sizeof *numbers);
    if (numbers == NULL) {
        fail(job, "no memory");
        return;
    }
    *numbers = (struct numbers){0, end, made, is_failing};
    sp_job_set_data(job, numbers);
    go_on(job);
}

static void count(sp_job *job)
{
    begin_numbers(job, integer(job, "n"), -1, 0);
}

static void fail_after(sp_job *job)
{
    begin_numbers(job, integer(job, "n"), -1, 1);
}

static void endless(sp_job *job)
{
    char path[512];
    int made = open(text_of(job, "made", path, sizeof path), O_CREAT | O_WRONLY, 0600);
    begin_numbers(job, -1, made, 0);
}

/* --- Time ----------------------------------------------------------------------------- */

static void sleep_a_while(sp_job *job)
{
    note(job, "started");
    for (long long left = integer(job, "seconds") * 1000; left > 0; left -= 2) {
        if (sp_job_cancelled(job)) {
            note(job, "cancelled");
            break;
        }
        (void)poll(NULL, 0, 2);
    }
    reply(job, "\"slept\"");
}

static void hang(sp_job *job)
{
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    note(job, "started");
    for (volatile unsigned turns = 0;; turns++) {
    }
}

static void time_left(sp_job *job)
{
    uint64_t left = sp_job_time_left_ms(job);
    if (left == SP_UNLIMITED) {
        reply(job, "null");
    } else {
        reply_number(job, (long long)left);
    }
}

/* --- The session and the host --------------------------------------------------------- */

static void session(sp_job *job)
{
    char text[600];
    (void)snprintf(text, sizeof text, "\"%s\"", sp_job_session(job));
    reply(job, text);
}

/* Keys and texts without anything to escape, as the tests have them. */
static void metadata(sp_job *job)
{
    char text[4096] = "{";
    size_t used = 1;
    const char *key;
    const char *value;
    for (size_t i = 0; used < sizeof text && sp_job_metadata(job, i, &key, &value);
         i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%s\":\"%s\"",
                                 i == 0 ? "" : ",", key, value);
    }
    if (used + 2 > sizeof text) {
        fail(job, "too much metadata");
        return;
    }
    text[used] = '}';
    text[used + 1] = '\0';
    reply(job, text);
}

static void set_variable(sp_job *job)
{
    char name[256];
    char json[1024];
    sp_bytes value = member(job, "value");
    sp_error err = {0};
    (void)text_of(job, "name", name, sizeof name);
    (void)snprintf(json, sizeof json, "%.*s", (int)value.size,
                   (const char *)value.data);
    int rc = sp_job_session_begin(job, &err); /* unless it was there */
    if (rc >= 0) {
        rc = sp_job_variable_set(job, name, json, NULL, NULL, &err);
    }
    if (rc == SP_ERR_NOT_FOUND) {
        sp_error_clear(&err);
        rc = sp_job_variable_register(job, name, json[0] == '"' ? "string" : "float",
                                      json, NULL, NULL, &err);
    }
    if (rc < 0) {
        fail_with(job, &err);
    } else {
        reply(job, "null");
    }
}

static void get_variable(sp_job *job)
{
    char name[256];
    sp_variable variable = {0};
    sp_error err = {0};
    (void)text_of(job, "name", name, sizeof name);
    if (sp_job_variable_get(job, name, &variable, &err) < 0) {
        fail_with(job, &err);
        return;
    }
    reply(job, variable.value);
    sp_variable_clear(&variable);
}

static void call(sp_job *job, const char *pool)
{
    char name[256];
    sp_host_call_options options = {.size = sizeof options, .pool = pool};
    sp_host_result result = {0};
    sp_error err = {0};
    (void)text_of(job, "name", name, sizeof name);
    if (sp_job_call_host(job, name, member(job, "args"), &options, &result, &err) < 0) {
        fail_with(job, &err);
        return;
    }
    (void)sp_job_reply(job, result.json, NULL, result.binary, NULL);
    sp_host_result_clear(&result);
}

static void call_host(sp_job *job)
{
    call(job, NULL);
}

static void call_worker(sp_job *job)
{
    char pool[256];
    call(job, text_of(job, "pool", pool, sizeof pool));
}

/* --- The process ---------------------------------------------------------------------- */

static void say(sp_job *job)
{
    sp_bytes text = member(job, "text");
    (void)printf("%.*s\n", (int)text.size, (const char *)text.data);
    (void)fprintf(stderr, "%.*s\n", (int)text.size, (const char *)text.data);
    (void)dprintf(STDOUT_FILENO, "%.*s\n", (int)text.size, (const char *)text.data);
    (void)sp_job_reply(job, text, NULL, (sp_bytes){0}, NULL);
}

static void flood(sp_job *job)
{
    long long lines = integer(job, "lines");
    for (long long i = 0; i < lines; i++) {
        (void)printf("line %lld of what nobody reads\n", i);
        (void)fprintf(stderr, "line %lld of what nobody reads\n", i);
    }
    reply_number(job, lines);
}

static void pid(sp_job *job)
{
    reply_number(job, getpid());
}

static void child(sp_job *job)
{
    char seconds[64];
    (void)text_of(job, "seconds", seconds, sizeof seconds);
    if (fork() == 0) {
        (void)execlp("sleep", "sleep", seconds, (char *)NULL);
        _exit(127);
    }
    reply(job, "null");
}

static void leave(sp_job *job)
{
    _exit((int)integer(job, "code"));
}

static void crash(sp_job *job)
{
    (void)job;
    (void)kill(getpid(), SIGSEGV);
}

/* --- The worker ----------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(sp_job *job);
    const char *params[3];
    int streaming;
} tools[] = {
    {"echo", echo, {"value"}, 0},
    {"kind", kind, {"value"}, 0},
    {"add", add, {"a", "b"}, 0},
    {"negate", negate, {"value"}, 0},
    {"specials", specials, {NULL}, 0},
    {"make_bytes", make_bytes, {"size"}, 0},
    {"take_bytes", take_bytes, {"data"}, 0},
    {"matrix", matrix, {"rows", "columns"}, 0},
    {"total", total, {"matrix"}, 0},
    {"report", report, {"name", "amount", "note"}, 0},
    {"fail", fail_as_told, {"message"}, 0},
    {"count", count, {"n"}, 1},
    {"fail_after", fail_after, {"n"}, 1},
    {"endless", endless, {"path", "made"}, 1},
    {"sleep", sleep_a_while, {"path", "seconds"}, 0},
    {"hang", hang, {"path"}, 0},
    {"time_left", time_left, {NULL}, 0},
    {"session", session, {NULL}, 0},
    {"metadata", metadata, {NULL}, 0},
    {"set_variable", set_variable, {"name", "value"}, 0},
    {"get_variable", get_variable, {"name"}, 0},
    {"call_host", call_host, {"name", "args"}, 0},
    {"call_worker", call_worker, {"pool", "name", "args"}, 0},
    {"say", say, {"text"}, 0},
    {"flood", flood, {"lines"}, 0},
    {"pid", pid, {NULL}, 0},
    {"child", child, {"seconds"}, 0},
    {"leave", leave, {"code"}, 0},
    {"crash", crash, {NULL}, 0},
};

enum { TOOLS = sizeof tools / sizeof tools[0] };

static int add_tools(sp_worker *worker, sp_error *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < TOOLS; i++) {
        sp_tool_param params[3] = {{0}};
        size_t count = 0;
        while (count < 3 && tools[i].params[count] != NULL) {
            params[count].name = tools[i].params[count];
            count++;
        }
        sp_tool tool = {.size = sizeof tool,
                        .name = tools[i].name,
                        .streaming = tools[i].streaming,
                        .params = params,
                        .params_count = count};
        rc = sp_worker_add_tool(worker, &tool, err);
    }
    return rc;
}

static void run(sp_job *job)
{
    if (sp_job_is_turn(job)) {
        go_on(job);
        return;
    }
    for (int i = 0; i < TOOLS; i++) {
        if (strcmp(tools[i].name, sp_job_tool(job)) == 0) {
            tools[i].run(job);
            return;
        }
    }
}

int main(void)
{
    sp_worker *worker;
    sp_job *job;
    sp_error err = {0};
    (void)signal(SIGCHLD, SIG_IGN); /* nobody waits for what `child` starts */
    const sp_worker_options options = {.size = sizeof options,
                                       .listen = getenv("SNAKEPIT_LISTEN")};
    if (sp_worker_open(&options, &worker, &err) < 0) {
        (void)fprintf(stderr, "worker: %s\n", err.message);
        return 1;
    }
    this_worker = worker;
    int rc = add_tools(worker, &err);
    if (rc == 0) {
        rc = sp_worker_announce(worker, &err);
    }
    if (rc == 0 && sp_worker_address(worker) != NULL) {
        (void)printf("listening on %s\n", sp_worker_address(worker));
        (void)fflush(stdout);
    }
    while (rc >= 0 && (rc = sp_worker_next(worker, &job, &err)) > 0) {
        run(job);
    }
    sp_worker_close(worker);
    return rc < 0;
}
