/* SPDX-License-Identifier: MIT */
/*
 * stack: what a daemon's workers do this moment, as their languages tell it. What has no
 * stack of its own, or does not answer, is shown as the kernel sees its threads.
 */
#include <string.h>

#include "fields.h"
#include "view.h"

static void print_indented(const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        (void)fputs("  ", stdout);
        print_clean(stdout, text, length);
        (void)puts("");
        text += length;
        text += *text == '\n';
    }
}

static void print_threads(const json_t *worker)
{
    static const char *const headings[] = {"THREAD", "NAME",     "STATE", "CPU",
                                           "IN",     "WAITS IN", NULL};
    struct table *table = table_new(headings);
    const json_t *thread;
    size_t i;
    json_array_foreach (json_object_get(worker, "threads"), i, thread) {
        number_cell(table, thread, "tid");
        words_cell(table, thread, "name");
        words_cell(table, thread, "state");
        duration_cell(table, thread, "cpu_ms");
        words_cell(table, thread, "syscall");
        words_cell(table, thread, "waits_in");
    }
    table_print(table, "  ");
    table_free(table);
}

static void print_worker(const json_t *worker, int with_threads)
{
    const char *stack = field_words(worker, "stack");
    (void)printf("%s%s%s  pid %lld  %s  %s\n", paint("bold"),
                 field_words(worker, "worker"), paint(""), field_number(worker, "pid"),
                 field_words(worker, "state"), field_words(worker, "runtime"));
    if (stack[0] != '\0') {
        print_indented(stack);
    } else {
        (void)printf("  no stack: %s\n", field_words(worker, "why_none"));
    }
    if (stack[0] == '\0' || with_threads) {
        print_threads(worker);
    }
}

static void print_all(const json_t *report, int with_threads)
{
    const json_t *worker;
    size_t i;
    json_array_foreach (json_object_get(report, "workers"), i, worker) {
        if (i > 0) {
            (void)puts("");
        }
        print_worker(worker, with_threads);
    }
    if (field_number(report, "left_out") > 0) {
        talk("%lld more workers were left out: name one",
             field_number(report, "left_out"));
    }
}

int cmd_stack(struct cli *cli)
{
    struct view view;
    if (cli->words_count > 1) {
        return complain(CODE_USAGE, "stack takes one worker, not \"%s\" too",
                        cli->words[1]);
    }
    int code = view_open_daemon(cli, &view);
    if (code != CODE_OK) {
        return code;
    }
    json_t *options = need(json_object());
    if (cli->words_count == 1) {
        (void)json_object_set_new(options, "worker", json_string(cli->words[0]));
    }
    json_t *report = view_report(&view, "stack", options, &code);
    if (report != NULL && wants_json(cli)) {
        print_json(report);
    } else if (report != NULL) {
        print_all(report, cli->output == OUTPUT_WIDE);
    }
    json_decref(report);
    view_close(&view);
    return code;
}
