/* SPDX-License-Identifier: MIT */
/*
 * explain: error codes, causes of death, events, metrics, keys of the configuration,
 * worker and pool states, and the other words that output uses.
 *
 * Whatever has a table in the library comes from there; what this file adds is the words
 * that have none and, for each code, the exit code it becomes.
 */
#include "cli.h"

#include <string.h>

#include "snakepit/metric.h"

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
    {"ttl", "reason of a recycling", "The worker had lived for recycle.after."},
    {"max_calls", "reason of a recycling", "It had run recycle.calls calls."},
    {"memory", "reason of a recycling",
     "It and what it started used more than recycle.memory."},
    {"operator", "reason of a recycling",
     "Somebody asked for it: `snakepit drain`, sp_pool_recycle() and their kin."},
    {"spent", "reason of a recycling",
     "Its connection had used up its numbers for calls."},
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
    if (wants_json(cli)) {
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
    if (wants_json(cli)) {
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

/* ---- what has a table in the library ---- */

/* The names of deaths as sp_death_name() has them. */
static const struct {
    int why;
    const char *text;
} deaths[] = {
#define X(name, number, text) {number, text},
    SP_DEATH_TABLE(X)
#undef X
};

static const struct word metrics[] = {
#define X(id, kind, unit, name, labels, help) {name, "metric", help},
    SP_METRIC_TABLE(X)
#undef X
};

enum {
    DEATHS = sizeof deaths / sizeof deaths[0],
    METRICS = sizeof metrics / sizeof metrics[0]
};

typedef void (*word_fn)(const struct word *word, void *user);

/* Every word, whatever it comes from; keys of the configuration last. */
static void each_word(word_fn see, void *user)
{
    const sp_event_info *event;
    sp_config_key key;
    for (size_t i = 0; i < WORDS; i++) {
        see(&words[i], user);
    }
    for (size_t i = 0; i < DEATHS; i++) {
        const struct word word = {sp_death_name(deaths[i].why), "cause of death",
                                  deaths[i].text};
        see(&word, user);
    }
    for (size_t i = 0; (event = sp_event_info_at(i)) != NULL; i++) {
        const struct word word = {event->name, "event", event->meaning};
        see(&word, user);
    }
    for (size_t i = 0; i < METRICS; i++) {
        see(&metrics[i], user);
    }
    for (size_t i = 0; sp_config_key_at(i, &key); i++) {
        const struct word word = {key.key, "setting", key.text};
        see(&word, user);
    }
}

struct listing {
    struct table *table;
    json_t *names;
};

static void list_word(const struct word *word, void *user)
{
    struct listing *listing = user;
    table_cell(listing->table, "%s", word->word);
    table_cell(listing->table, "%s", word->kind);
    (void)json_array_append_new(listing->names, json_string(word->word));
}

static int list_all(const struct cli *cli)
{
    static const char *const headings[] = {"NAME", "WHAT", NULL};
    struct listing listing = {table_new(headings), need(json_array())};
    for (size_t i = 0; sp_error_at(i) != 0; i++) {
        int code = sp_error_at(i);
        table_cell(listing.table, "%s", sp_error_name(code));
        table_cell(listing.table, "%s", sp_strerror(code));
        (void)json_array_append_new(listing.names, json_string(sp_error_name(code)));
    }
    each_word(list_word, &listing);
    if (wants_json(cli)) {
        json_t *root =
            need(json_pack("{s:i, s:O}", "version", 1, "names", listing.names));
        print_json(root);
        json_decref(root);
    } else {
        table_print(listing.table, "");
    }
    table_free(listing.table);
    json_decref(listing.names);
    return CODE_OK;
}

/* One word may mean several things, such as an error, a word and a cause of death. */
struct wanted {
    const struct cli *cli;
    const char *name;
    struct nearest *nearest;
    int found;
};

static void print_if_wanted(const struct word *word, void *user)
{
    struct wanted *wanted = user;
    nearest_offer(wanted->nearest, word->word);
    if (strcasecmp(word->word, wanted->name) == 0) {
        /* As JSON the first meaning only: one document. */
        if (wanted->found > 0 && !wants_json(wanted->cli)) {
            (void)puts("");
        }
        if (wanted->found++ == 0 || !wants_json(wanted->cli)) {
            print_word(wanted->cli, word);
        }
    }
}

/* The metric that a series such as "snakepit_calls_total" is of, or NULL. */
static const struct word *metric_of(const char *series)
{
    static const char *const ends[] = {"_total", "_info", "_bucket", "_sum", "_count"};
    for (size_t i = 0; i < METRICS; i++) {
        size_t length = strlen(metrics[i].word);
        for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
            if (strncmp(series, metrics[i].word, length) == 0 &&
                strcmp(series + length, ends[k]) == 0) {
                return &metrics[i];
            }
        }
    }
    return NULL;
}

/* "size" and "pools.default.size" mean "pools[].size", event names have aliases, and
 * metrics end by their kind where they are printed. */
static int print_other_name(const struct cli *cli, const char *name)
{
    const sp_event_info *event = sp_event_info_find(name);
    const struct word *metric = metric_of(name);
    sp_config_key key;
    if (metric != NULL) {
        print_word(cli, metric);
        return 1;
    }
    if (event != NULL) {
        const struct word word = {event->name, "event", event->meaning};
        print_word(cli, &word);
        return 1;
    }
    if (sp_config_explain(name, &key, NULL) == SP_OK) {
        const struct word word = {key.key, "setting", key.text};
        print_word(cli, &word);
        return 1;
    }
    return 0;
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
    struct nearest nearest;
    struct wanted wanted = {.cli = cli, .name = name, .nearest = &nearest};
    nearest_init(&nearest, name);
    if (code != 0) {
        print_code(cli, code);
        wanted.found = 1;
    }
    each_word(print_if_wanted, &wanted);
    if (wanted.found > 0 || print_other_name(cli, name)) {
        return CODE_OK;
    }
    for (size_t i = 0; sp_error_at(i) != 0; i++) {
        nearest_offer(&nearest, sp_error_name(sp_error_at(i)));
    }
    return complain(CODE_NOT_FOUND, "nothing to explain under \"%s\"%s%s%s", name,
                    nearest.name != NULL ? "; did you mean \"" : "",
                    nearest.name != NULL ? nearest.name : "",
                    nearest.name != NULL ? "\"?" : "");
}
