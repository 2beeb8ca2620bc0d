/* SPDX-License-Identifier: MIT */
/*
 * map: one tool, a line of input for each call, a line of output for each result.
 *
 * A thread reads standard input and gives lines to a map of the library, which takes no
 * more than keeps the workers busy; the main thread takes replies and prints them. So
 * input may be endless, and a slow reader of the output slows the reading of the input.
 * The first failure ends it unless -k was given, and gives the exit code.
 */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    READ_BYTES = 64 * 1024,
    SLICE_MS = 200 /* how soon an interrupt shows */
};

struct mapping {
    struct cli *cli;
    sp_map *map;
    json_t *constant; /* arguments of every call, or NULL */
    int stop_fd;
    pthread_t reader;

    uint64_t replies;
    int code; /* of the first failure */
};

/* --- The reader ------------------------------------------------------------------------ */

/* The arguments of the line: itself, or one argument, laid over the constant ones. */
static void build(const struct mapping *m, const char *line, size_t size,
                  struct text *ret_args)
{
    ret_args->size = 0;
    if (m->constant == NULL && m->cli->each == NULL) {
        text_add(ret_args, line, size);
        return;
    }
    json_error_t error;
    json_t *all = m->constant != NULL ? json_copy(m->constant) : json_object();
    json_t *own;
    int rc = -1;
    if (m->cli->each != NULL) {
        /* Fails when it is no UTF-8. */
        rc = json_object_set_new(all, m->cli->each, json_stringn(line, size));
    } else if (size == 0) {
        rc = 0;
    } else if ((own = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error)) != NULL) {
        rc = json_is_object(own) ? json_object_update(all, own) : -1;
        json_decref(own);
    }
    if (rc == 0) {
        char *text = need(json_dumps(all, JSON_COMPACT));
        text_add(ret_args, text, strlen(text));
        free(text);
    } else { /* the library says what is wrong with it, in its place */
        text_add(ret_args, line, size);
    }
    json_decref(all);
}

/* 1 when it was given, 0 when there is no need for more. */
static int give(struct mapping *m, const char *line, size_t size, struct text *args)
{
    struct pollfd stop = {.fd = m->stop_fd, .events = POLLIN};
    sp_error err = {0};
    int rc;
    build(m, line, size, args);
    do {
        rc = sp_map_put(m->map, (sp_bytes){args->data, args->size}, SLICE_MS, &err);
    } while (rc == 0 && poll(&stop, 1, 0) == 0);
    sp_error_clear(&err);
    return rc == 1;
}

/* Wait for input: 1 there is some, or its end; 0 it is not wanted any more. */
static int await_input(const struct mapping *m)
{
    struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = m->stop_fd, .events = POLLIN}};
    while (poll(polled, 2, -1) < 0 && errno == EINTR) {
    }
    return polled[1].revents == 0;
}

/* Give every whole line of `input` and keep the rest; at the end the rest is one too. */
static int give_lines(struct mapping *m, struct text *input, int is_end,
                      struct text *args)
{
    size_t at = 0;
    int go_on = 1;
    while (go_on && at < input->size) {
        char *end = memchr(input->data + at, '\n', input->size - at);
        size_t size = end != NULL ? (size_t)(end - input->data) - at : input->size - at;
        if (end == NULL && !is_end) {
            break;
        }
        go_on = give(m, input->data + at, size, args);
        at += size + (end != NULL);
    }
    memmove(input->data, input->data + at, input->size - at);
    input->size -= at;
    return go_on;
}

static void *read_lines(void *arg)
{
    struct mapping *m = arg;
    struct text input = {0};
    struct text args = {0};
    char *block = need(malloc(READ_BYTES));
    int go_on = 1;
    while (go_on && await_input(m)) {
        ssize_t n = read(STDIN_FILENO, block, READ_BYTES);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (n > 0) {
            text_add(&input, block, (size_t)n);
        }
        go_on = give_lines(m, &input, n <= 0, &args) && n > 0;
    }
    sp_map_finish(m->map);
    text_free(&input);
    text_free(&args);
    free(block);
    return NULL;
}

/* --- Printing -------------------------------------------------------------------------- */

static void print_numbered(const sp_reply *reply, uint64_t line)
{
    if (reply->error == NULL) {
        (void)printf("{\"line\":%llu,\"result\":", (unsigned long long)line);
        (void)fwrite(reply->result->json, 1, reply->result->json_bytes, stdout);
        (void)fputs("}\n", stdout);
        return;
    }
    json_t *object = json_pack("{s:I,s:o}", "line", (json_int_t)line, "error",
                               need(error_to_json(reply->error)));
    char *text = need(json_dumps(need(object), JSON_COMPACT));
    (void)puts(text);
    free(text);
    json_decref(object);
}

static void fail(struct mapping *m, const sp_reply *reply, uint64_t line)
{
    char where[64];
    int code = exit_code_of(reply->error->code);
    if (m->cli->output != OUTPUT_JSONL) {
        (void)snprintf(where, sizeof where, "line %llu: ", (unsigned long long)line);
        talk_where(where);
        code = report(reply->error);
        talk_where("");
    }
    m->code = m->code == CODE_OK ? code : m->code;
}

/* 1 to go on. */
static int print_reply(struct mapping *m, const sp_reply *reply, uint64_t index)
{
    uint64_t line = index + 1;
    progress_erase();
    if (reply->error != NULL) {
        fail(m, reply, line);
    } else {
        flatten(reply->result->json, reply->result->json_bytes);
    }
    if (m->cli->output == OUTPUT_JSONL) {
        print_numbered(reply, line);
    } else if (reply->error == NULL) {
        (void)fwrite(reply->result->json, 1, reply->result->json_bytes, stdout);
        (void)fputc('\n', stdout);
    }
    m->replies++;
    return reply->error == NULL || m->cli->keep_going;
}

/* Take replies to the end, or to the first failure. */
static void take_all(struct mapping *m)
{
    int written = CODE_OK;
    int rc = 1;
    int go_on = 1;
    while (rc != 0 && go_on && written == CODE_OK && !watch_interrupted()) {
        sp_reply reply;
        sp_error err = {0};
        uint64_t index;
        rc = sp_map_next(m->map, 0, &reply, &index, &err);
        if (rc == SP_ERR_TIMEOUT) { /* what is there leaves before we wait for more */
            sp_error_clear(&err);
            written = print_flush();
            progress("%llu lines", (unsigned long long)m->replies);
            rc = sp_map_next(m->map, SLICE_MS, &reply, &index, &err);
        }
        if (rc == 1) {
            go_on = print_reply(m, &reply, index);
        }
        sp_error_clear(&err);
    }
    progress_erase();
    int flushed = print_flush();
    written = written != CODE_OK ? written : flushed;
    if (watch_interrupted()) {
        talk("interrupted after %llu lines", (unsigned long long)m->replies);
        m->code = CODE_INTERRUPTED;
    } else if (m->code == CODE_OK) {
        m->code = written;
    }
}

/* --- The command ----------------------------------------------------------------------- */

static int run(struct mapping *m, struct opened *opened, const char *tool)
{
    sp_error err = {0};
    sp_call_options call = call_options_of(m->cli);
    call.pool = opened->options.pools[0].name;
    sp_map_options options = {.size = sizeof options,
                              .call = &call,
                              .in_flight_max = m->cli->parallel,
                              .unordered = m->cli->unordered};
    if (sp_map_open(opened->pit, tool, &options, &m->map, &err) < 0) {
        int code = report(&err);
        sp_error_clear(&err);
        return code;
    }
    m->stop_fd = eventfd(0, EFD_CLOEXEC);
    int rc = m->stop_fd < 0 ? errno : pthread_create(&m->reader, NULL, read_lines, m);
    if (rc != 0) {
        m->code = complain(CODE_UNREACHABLE, "cannot read: %s", strerror(rc));
    } else {
        uint64_t one = 1;
        take_all(m);
        ssize_t n = write(m->stop_fd, &one, sizeof one); /* an empty eventfd takes it */
        (void)n;
        (void)pthread_join(m->reader, NULL);
    }
    if (m->stop_fd >= 0) {
        (void)close(m->stop_fd);
    }
    sp_map_close(m->map);
    return m->code;
}

static int map_in(struct cli *cli, struct opened *opened, const char *tool,
                  const struct text *args)
{
    struct mapping m = {.cli = cli, .stop_fd = -1};
    json_error_t error;
    if (cli->words_count > (cli->function == NULL ? 1 : 0)) {
        m.constant = json_loadb(args->data, args->size, 0, &error);
        if (!json_is_object(m.constant)) {
            json_decref(m.constant);
            return complain(CODE_USAGE,
                            "arguments of every call need names: snakepit map %s a=5",
                            tool);
        }
    }
    int code = pit_wait(opened);
    if (code == CODE_OK) {
        code = run(&m, opened, tool);
    }
    json_decref(m.constant);
    return code;
}

int cmd_map(struct cli *cli)
{
    return perform_words(cli, "map", OPEN_ONE_POOL, map_in);
}
