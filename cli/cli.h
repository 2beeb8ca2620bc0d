/* SPDX-License-Identifier: MIT */
/*
 * What the files of the command line share: the parsed line, talking, printing, opening
 * a pit. The program stands on the public headers alone, like anybody's.
 *
 * Standard output is data, standard error is talk. Exit codes are EXIT_ below.
 */
#ifndef SNAKEPIT_CLI_H
#define SNAKEPIT_CLI_H

#include <stdio.h>

#include <jansson.h>

#include "snakepit/snakepit.h"

enum {
    CODE_OK = 0,
    CODE_FINDING = 1, /* degraded, a check failed */
    CODE_USAGE = 2,
    CODE_UNREACHABLE = 3, /* cannot start: guard, interpreter, worker */
    CODE_NOT_FOUND = 4,
    CODE_REFUSED = 5,
    CODE_TIMEOUT = 6,
    CODE_WORKER = 7, /* the tool raised, the worker died */
    CODE_SATURATED = 8,
    CODE_INTERRUPTED = 130,
    CODE_PIPE = 141 /* whoever read our output has gone */
};

enum output {
    OUTPUT_UNSET = 0,
    OUTPUT_TABLE,
    OUTPUT_WIDE,
    OUTPUT_JSON,
    OUTPUT_JSONL,
    OUTPUT_TEXT,
    OUTPUT_PROMETHEUS, /* of `metrics` only, as the next */
    OUTPUT_OPENMETRICS
};

/* Every option there is; the tables in options.c and in the commands name them. */
enum option_id {
    OPTION_NONE = 0,
    OPTION_ADAPTER,
    OPTION_AFFINITY,
    OPTION_BINARY,
    OPTION_BY,
    OPTION_CHANGED,
    OPTION_CONFIG,
    OPTION_CONNECT,
    OPTION_CONSTRAINTS,
    OPTION_COUNT,
    OPTION_DEATHS,
    OPTION_DEDUPE,
    OPTION_DELAY,
    OPTION_DETAILED,
    OPTION_DRY_RUN,
    OPTION_DURABILITY,
    OPTION_DURATION,
    OPTION_EACH,
    OPTION_EXPECT_VERSION,
    OPTION_FIX_HINTS,
    OPTION_FOLLOW,
    OPTION_FORCE,
    OPTION_FUNCTION,
    OPTION_GLOBAL,
    OPTION_HELP,
    OPTION_IDEMPOTENT,
    OPTION_INITIAL,
    OPTION_INSTANCE,
    OPTION_IN_FLIGHT,
    OPTION_KEEP_GOING,
    OPTION_KIND,
    OPTION_LANG,
    OPTION_LEVEL,
    OPTION_LIST,
    OPTION_METADATA,
    OPTION_NAMES,
    OPTION_NO_COLOR,
    OPTION_NO_EMPTY,
    OPTION_ONCE,
    OPTION_OR_GET,
    OPTION_OUT,
    OPTION_OUTPUT,
    OPTION_OWNER,
    OPTION_PARALLEL,
    OPTION_PATTERN,
    OPTION_POOL,
    OPTION_PYTHON,
    OPTION_QUIET,
    OPTION_RATE,
    OPTION_RECOMMENDATIONS,
    OPTION_REPEAT,
    OPTION_SESSION,
    OPTION_SET,
    OPTION_SINCE,
    OPTION_SIZE,
    OPTION_SORT,
    OPTION_STATE_DIR,
    OPTION_THREADS,
    OPTION_TIMELINE,
    OPTION_TIMEOUT,
    OPTION_TOOL,
    OPTION_TTL,
    OPTION_UNORDERED,
    OPTION_VERBOSE,
    OPTION_VERSION,
    OPTION_WARM_UP,
    OPTION_WORKER,
    OPTION_WORKERS
};

struct cli;

struct option_spec {
    const char *name;  /* without "--" */
    char letter;       /* or 0 */
    const char *value; /* "NAME", or NULL for a switch */
    enum option_id id;
    const char *text;
};

/* What a command of several does, "create" of "session"; sorted by name. */
struct verb {
    const char *name;
    const char *usage;                 /* behind "snakepit COMMAND NAME" */
    const char *summary;               /* one line, for the list */
    const char *text;                  /* paragraphs and examples for --help, or "" */
    const struct option_spec *options; /* ended by a row without name, or NULL */
    int words_min, words_max;          /* behind the name */
    int (*run)(struct cli *cli);
};

enum { SETS_MAX = 64, TOOLS_MAX = 64, WORDS_MANY = 1 << 20 };

struct setting {
    const char *key;
    const char *value;
};

/* The parsed command line. Strings point into argv. */
struct cli {
    const struct command *command;
    const struct verb *verb; /* of a command that has some */
    int words_count;         /* what is neither command, verb nor option */
    char **words;

    const char *config_path;
    const char *pool;
    const char *adapter;
    const char *function;
    const char *python;
    const char *workers;
    const char *session;
    const char *dedupe_key;
    const char *each;
    const char *instance;
    const char *lang;
    const char *state_dir;
    const char *address;
    const char *out;      /* a file to write to */
    const char *timeline; /* likewise, when the pit closes */
    const char *metadata;
    const char *constraints;
    const char *owner;
    const char *by;
    const char *pattern;
    const char *kind;
    const char *sort;
    const char *level;
    const char *worker; /* "POOL/SLOT" */
    struct setting sets[SETS_MAX];
    int sets_count;
    struct setting tools[TOOLS_MAX]; /* names and commands */
    int tools_count;
    uint64_t timeout_ms;
    uint64_t count;
    uint64_t delay_ms; /* 0: none was named */
    uint64_t since_ms; /* likewise */
    uint64_t ttl_ms;   /* 0: none was named */
    uint64_t expected_version;
    uint32_t parallel;
    uint32_t in_flight, threads, rate, repeat; /* of `bench`; 0: not named */
    uint64_t duration_ms;                      /* likewise */
    uint64_t warm_up_ms;                       /* has_warm_up: it was named */
    int affinity;                              /* SP_AFFINITY_ */
    int durability;                            /* SP_DURABILITY_ */
    enum output output;
    int binary, changed, check_version, dry_run, fix_hints, follow, force, global,
        has_warm_up, help, idempotent, initial, keep_going, list, names, no_color,
        no_empty, no_wait, once, or_get, show_deaths, show_workers, unordered, version;

    int is_detailed, wants_advice; /* of `inspect` */
    int quiet;
    int verbose;
    int has_color; /* on standard error and output alike */
    int has_line;  /* standard error is a terminal: a progress line may stand there */
};

static inline int wants_json(const struct cli *cli)
{
    return cli->output == OUTPUT_JSON || cli->output == OUTPUT_JSONL;
}

struct command {
    const char *name;
    const char *usage;                 /* behind "snakepit NAME" */
    const char *summary;               /* one line, for the list */
    const char *text;                  /* paragraphs and examples for --help */
    const struct option_spec *options; /* ended by a row without name, or NULL */
    int (*run)(struct cli *cli);       /* NULL: one of the verbs */
    const char *words; /* what completion offers: "tools", "files", "a|b|c", "" */
    const struct verb *verbs; /* ended by a row without name, or NULL */
};

/* --- commands.c --- */

/* Sorted by name, ended by a row without name. */
extern const struct command commands[];
const struct command *command_find(const char *name);

/* --- verbs.c --- */

/* The verb of a word, or NULL: explained when `explain`. */
const struct verb *verb_find(const struct command *command, const char *name,
                             int explain);

/* Run the verb of the command line; its count of words is looked at. */
int verb_run(struct cli *cli);

extern const struct verb config_verbs[];
extern const struct verb program_verbs[];
extern const struct verb session_verbs[];
extern const struct verb var_verbs[];

/* --- options.c --- */

extern const struct option_spec global_options[];

/* Fill `cli` from the command line; 0 or CODE_USAGE, explained on standard error. */
int options_parse(struct cli *cli, int argc, char **argv);

/* The same for one line of a script: command-line words of `call` and `stream`. */
int options_parse_line(struct cli *cli, const struct command *command, int count,
                       char **words);

/* --- option_values.c --- */

/* Put an option's value where it belongs; 0 or CODE_USAGE, explained. */
int option_store(struct cli *cli, const struct option_spec *spec, char *value);

/* "30s" and the like; 0 or CODE_USAGE, explained. */
int parse_duration(const char *text, const char *what, uint64_t *ret_ms);

/* Of a variable: 0 and up; 0 or CODE_USAGE, explained. */
int parse_version(const char *text, const char *what, uint64_t *ret_version);

/* --- clock.c: of a clock that only goes on --- */

uint64_t clock_ms(void);
uint64_t clock_ns(void);

/* --- near.c --- */

/* The nearest of some words, NULL when none is near. */
struct nearest {
    const char *wanted;
    const char *name;
    unsigned distance;
};
void nearest_init(struct nearest *nearest, const char *wanted);
void nearest_offer(struct nearest *nearest, const char *name);

/* --- talk.c: standard error --- */

void talk_init(struct cli *cli);

/* One line, unless -q. */
void talk(const char *format, ...) SP_PRINTF(1, 2);

/* Put in front of what complain() and report() say on this thread: "script:3: ". */
void talk_where(const char *where);

/* "error: ..." with a full line; returns `code`. */
int complain(int code, const char *format, ...) SP_PRINTF(2, 3);

/* Show an error of the library in full; returns the exit code that stands for it. */
int report(const sp_error *err);
int exit_code_of(int error_code);
json_t *error_to_json(const sp_error *err);

/* The progress line; nothing when standard error is no terminal. */
void progress(const char *format, ...) SP_PRINTF(1, 2);
void progress_erase(void);

/* Hold back what workers print; let it out again, or drop it. */
void talk_hold(int hold, int drop);

/* Workers that died since talk_hold(1, ...). */
unsigned talk_deaths(void);

/* Event callback of every pit the program opens. */
void show_event(const sp_event *event, void *user_data);

/* --- print.c: standard output --- */

void print_init(int with_color);

/* Returns 0, or CODE_PIPE when nobody reads any more. */
int print_flush(void);
void print_json(const json_t *value);

/* Text with line ends and other control characters made harmless. */
void print_clean(FILE *to, const char *text, size_t size);

struct table;
struct table *table_new(const char *const *headings); /* NULL-terminated */
void table_cell(struct table *table, const char *format, ...) SP_PRINTF(2, 3);
void table_print(struct table *table, const char *indent);
void table_free(struct table *table);

const char *format_duration(uint64_t ms, char *text, size_t max);

/* "2026-11-26T10:00:00Z"; "" for 0. */
enum { TIME_MAX = 32 };
const char *format_time(uint64_t unix_ms, char text[TIME_MAX]);

/* "name        text", cleaned: one thing's properties, one on a line. */
void print_fact(const char *name, const char *format, ...) SP_PRINTF(2, 3);

/* "bold", "red", "green", "yellow", "dim" or "": the escape, or nothing. */
const char *paint(const char *color);

/* --- text.c --- */

/* Growing text; the program ends when memory does. */
struct text {
    char *data;
    size_t size;
    size_t capacity;
};
void text_add(struct text *text, const void *data, size_t size);
void text_printf(struct text *text, const char *format, ...) SP_PRINTF(2, 3);
const char *text_c(struct text *text);
void text_free(struct text *text);

void *need(void *memory); /* end the program when it is NULL */

/* Whole file, or standard input for "-"; 0 or an exit code, explained. */
int read_whole(const char *path, struct text *ret_text);

/* Write a new file; refuses to replace one unless `force`. */
int write_new(const char *path, const char *content, int force);

/* --- arguments.c --- */

/* Words of a call to the JSON of its arguments; 0 or an exit code, explained. */
int arguments_build(char **words, int count, struct text *ret_json);

/* Whether the text is one JSON value. Integers of any length count. */
int is_json(const char *text, size_t size);

/* A text as a JSON string; 0, or -1 when it is no UTF-8. */
int add_json_string(struct text *out, const char *data, size_t size);

/* Split a line as a shell does; words point into `line`, which is changed. Returns the
 * number of words or -1 (a quote is open). */
int line_split(char *line, char **words, int max);

/* --- open.c --- */

struct opened {
    sp_config *config;
    const char *instance; /* of the configuration, or NULL; the pit has none */
    sp_pit_options options;
    sp_sessions_options sessions;
    sp_pool_options pools[64];
    sp_pit *pit;
    FILE *timeline; /* what it did goes there when it closes, or NULL */
    const char *timeline_path;
};

/* The configuration with --set laid over it. Errors: those of the library. */
int config_load(const struct cli *cli, sp_config **ret_config, sp_error *err);

/* The instance of the command line, else of the configuration. */
const char *config_instance(const struct cli *cli, sp_config *config);

/* The same with all flags laid over it; 0 or an exit code, explained. */
int config_open(const struct cli *cli, sp_config **ret_config);

/* The options of the configuration for a pit that comes and goes: the instance's name and
 * state are for a host that stays. */
void take_options(struct opened *opened, const sp_pit_options *options);

enum {
    OPEN_ONE_POOL = 1,   /* the pool of -p, or the first */
    OPEN_ONE_WORKER = 2, /* in it, unless the command line asked for more */
    OPEN_FORKED = 8,     /* by a zygote, or not at all */
    OPEN_STATE = 4, /* with the state of the configuration, unless another has it */
};

/* Open the pit and wait until it is ready, unless `no_wait`. */
int pit_open(const struct cli *cli, int flags, struct opened *ret);
int pit_wait(struct opened *opened);
void pit_close(struct opened *opened);

/* --- watch.c: signals and events while the main thread waits --- */

void watch_init(void);
int watch_start(sp_pit *pit);
void watch_stop(void);
int watch_interrupted(void);

/* Names what an interrupt must cancel. `slot` is below WATCH_SLOTS. */
enum { WATCH_SLOTS = 256 };
void watch_call(int slot, sp_id call);
void watch_stream(int slot, sp_stream *stream);
void watch_cancel(int slot);
void watch_clear(int slot);

/* --- shell_tools.c: --tool NAME=COMMAND --- */

/* Register the command line's; 0 or an exit code, explained. */
int shell_tools_add(const struct cli *cli, sp_pit *pit);
/* The pit is closed: let the threads end. */
void shell_tools_end(void);

/* --- perform.c: one call or stream, as the commands and scripts share it --- */

/* Gets every line of output; returns non-zero to stop the stream. */
typedef int (*line_cb)(const char *data, size_t size, void *user_data);

/* JSON on one line: its line ends are white space and become spaces. */
void flatten(char *json, size_t size);

/* A chunk as one line: JSON whose line ends are spaces. Borrowed until the next one. */
const char *one_line(const char *json, size_t size, struct text *copy);

int perform_call(sp_pit *pit, const struct cli *cli, const char *tool, sp_bytes args,
                 int slot, sp_result *ret_result, sp_error *err);
int perform_stream(sp_pit *pit, const struct cli *cli, const char *tool, sp_bytes args,
                   int slot, line_cb cb, void *user_data, sp_error *err);

/* The options that `call`, `stream` and `map` have in common. */
sp_call_options call_options_of(const struct cli *cli);

/* The tool that the words of the command line name, and its arguments as JSON: 0 or an exit
 * code, explained. */
int perform_arguments(struct cli *cli, const char *command, const char **ret_tool,
                      struct text *ret_args);

/* What those have in common: the words of the command line name a tool and its
 * arguments; a pit is opened for them (flags: OPEN_), and `run` does the rest. */
typedef int (*perform_fn)(struct cli *cli, struct opened *opened, const char *tool,
                          const struct text *args);
int perform_words(struct cli *cli, const char *command, int flags, perform_fn run);

/* --- cmd_*.c --- */

int cmd_advise(struct cli *cli);
int cmd_bench(struct cli *cli);
int cmd_call(struct cli *cli);
int cmd_cleanup(struct cli *cli);
int cmd_complete(struct cli *cli);
int cmd_completion(struct cli *cli);
int cmd_doctor(struct cli *cli);
int cmd_drain(struct cli *cli);
int cmd_events(struct cli *cli);
int cmd_explain(struct cli *cli);
int cmd_gen(struct cli *cli);
int cmd_hardware(struct cli *cli);
int cmd_help(struct cli *cli);
int cmd_init(struct cli *cli);
int cmd_inspect(struct cli *cli);
int cmd_kill(struct cli *cli);
int cmd_logs(struct cli *cli);
int cmd_map(struct cli *cli);
int cmd_metrics(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_scaling(struct cli *cli);
int cmd_stack(struct cli *cli);
int cmd_status(struct cli *cli);
int cmd_stream(struct cli *cli);
int cmd_timeline(struct cli *cli);
int cmd_tools(struct cli *cli);
int cmd_top(struct cli *cli);

void help_command(const struct command *command);
void help_verb(const struct command *command, const struct verb *verb);
void help_all(void);

/* The adapter that `init` and `gen adapter` write. */
void adapter_template(struct text *out, const char *class_name, const char *file);

#endif
