/* SPDX-License-Identifier: MIT */
/*
 * explain: error codes, worker and pool states, and the other words that output uses.
 *
 * The codes come from the library's table; what this file adds is the words and, for
 * each code, the exit code it becomes.
 */
#include "cli.h"

#include <string.h>

struct word {
    const char *word;
    const char *kind;
    const char *text;
};

static const struct word words[] = {
    {"starting", "state of a worker",
     "The process was spawned and has not said that it "
     "is ready. It has init_timeout to do so."},
    {"ready", "state of a worker", "It takes calls and runs none."},
    {"busy", "state of a worker", "It is ready and at least one call runs in it."},
    {"draining", "state of a worker",
     "It is being replaced: it gets no more calls and ends those it has."},
    {"stopping", "state of a worker",
     "It was told to stop and has shutdown_grace to do so before it is killed."},
    {"backoff", "state of a worker",
     "It died and its place waits a little before another process is started, longer "
     "each time it dies soon after its start."},
    {"running", "state of a pool", "Every worker is ready."},
    {"degraded", "state of a pool",
     "Some workers are ready and some are not: starting, stopping or in back-off."},
    {"failed", "state of a pool", "No worker is ready."},
    {"pit", "word",
     "One runtime: a loop thread, a guard process and pools. A program "
     "opens it, calls through it and closes it."},
    {"pool", "word", "Worker processes of one kind and the queue in front of them."},
    {"worker", "word", "A process that runs an adapter's tools."},
    {"adapter", "word",
     "What a kind of worker is: how it is started and which tools it "
     "has. In Python a class, or any importable module."},
    {"tool", "word", "A function that a worker offers under a name."},
    {"call", "word", "One question to one worker and its one answer."},
    {"stream", "word", "A call that is answered by many chunks."},
    {"session", "word",
     "A name that calls share, so that they can reach the same worker "
     "(affinity) and the tool can keep state for it."},
    {"affinity", "word",
     "Which worker a session's calls go to: hint, none, "
     "strict_queue or strict_fail_fast."},
    {"guard", "word",
     "snakepit-guard, the small process that spawns the workers and "
     "ends them and their children when the program ends, however it "
     "ends."},
    {"bridge", "word",
     "The package of a language that connects an adapter to the pool; "
     "for Python snakepit_bridge."},
    {"pipeline", "word", "Calls that are on their way to one worker at the same time."},
    {"executed", "word",
     "Whether the tool ran for a call that failed: no means that "
     "repeating the call is safe."},
    {"deadline", "word",
     "The point in time at which a call has run out of its timeout."},
};

enum { WORDS = sizeof words / sizeof words[0] };

static void print_code(const struct cli *cli, int code)
{
    const char *name = sp_error_name(code);
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL) {
        json_t *root = need(json_pack(
            "{s:i, s:{s:s, s:i, s:s, s:s, s:s, s:b, s:i, s:i}}", "version", 1, "error",
            "name", name, "code", code, "category",
            sp_category_name(sp_error_category(code)), "text", sp_strerror(code),
            "hint", sp_error_hint(code), "retryable", sp_error_is_retryable(code),
            "grpc_status", sp_error_grpc_status(code), "exit", exit_code_of(code)));
        print_json(root);
        json_decref(root);
        return;
    }
    (void)printf("%s%s%s: %s\n\n", paint("bold"), name, paint(""), sp_strerror(code));
    (void)printf("  try        %s\n", sp_error_hint(code));
    (void)printf("  category   %s\n", sp_category_name(sp_error_category(code)));
    (void)printf("  retryable  %s\n", sp_error_is_retryable(code)
                                          ? "yes: the same call may succeed later"
                                          : "no: the same call fails again");
    (void)printf("  number     %d\n", code);
    (void)printf("  gRPC       %d\n", sp_error_grpc_status(code));
    (void)printf("  exit code  %d\n", exit_code_of(code));
}

static void print_word(const struct cli *cli, const struct word *word)
{
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL) {
        json_t *root =
            need(json_pack("{s:i, s:{s:s, s:s, s:s}}", "version", 1, "word", "name",
                           word->word, "kind", word->kind, "text", word->text));
        print_json(root);
        json_decref(root);
        return;
    }
    (void)printf("%s%s%s (%s)\n  %s\n", paint("bold"), word->word, paint(""),
                 word->kind, word->text);
}

static int list_all(const struct cli *cli)
{
    static const char *const headings[] = {"NAME", "WHAT", NULL};
    struct table *table = table_new(headings);
    json_t *names = need(json_array());
    for (size_t i = 0; sp_error_at(i) != 0; i++) {
        int code = sp_error_at(i);
        table_cell(table, "%s", sp_error_name(code));
        table_cell(table, "%s", sp_strerror(code));
        (void)json_array_append_new(names, json_string(sp_error_name(code)));
    }
    for (size_t i = 0; i < WORDS; i++) {
        table_cell(table, "%s", words[i].word);
        table_cell(table, "%s", words[i].kind);
        (void)json_array_append_new(names, json_string(words[i].word));
    }
    if (cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL) {
        json_t *root = need(json_pack("{s:i, s:O}", "version", 1, "names", names));
        print_json(root);
        json_decref(root);
    } else {
        table_print(table, "");
    }
    table_free(table);
    json_decref(names);
    return CODE_OK;
}

/* The code of "SP-QUEUE-FULL", "queue-full" or "5"; 0 when it is none. */
static int find_code(const char *name)
{
    for (size_t i = 0; sp_error_at(i) != 0; i++) {
        char number[16];
        int code = sp_error_at(i);
        const char *full = sp_error_name(code);
        (void)snprintf(number, sizeof number, "%d", -code);
        if (strcasecmp(full, name) == 0 || strcasecmp(full + 3, name) == 0 ||
            strcmp(number, name) == 0) {
            return code;
        }
    }
    return 0;
}

int cmd_explain(struct cli *cli)
{
    if (cli->words_count == 0) {
        return list_all(cli);
    }
    const char *name = cli->words[0];
    int code = find_code(name);
    if (code != 0) {
        print_code(cli, code);
        return CODE_OK;
    }
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (size_t i = 0; i < WORDS; i++) {
        if (strcasecmp(words[i].word, name) == 0) {
            print_word(cli, &words[i]);
            return CODE_OK;
        }
        nearest_offer(&nearest, words[i].word);
    }
    for (size_t i = 0; sp_error_at(i) != 0; i++) {
        nearest_offer(&nearest, sp_error_name(sp_error_at(i)));
    }
    sp_config_key key;
    if (sp_config_explain(name, &key, NULL) == 0) {
        return complain(CODE_NOT_FOUND,
                        "\"%s\" is a setting: snakepit config explain %s", name, name);
    }
    return complain(CODE_NOT_FOUND, "nothing to explain under \"%s\"%s%s%s", name,
                    nearest.name != NULL ? "; did you mean \"" : "",
                    nearest.name != NULL ? nearest.name : "",
                    nearest.name != NULL ? "\"?" : "");
}
