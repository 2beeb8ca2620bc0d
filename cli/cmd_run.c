/* SPDX-License-Identifier: MIT */
/*
 * run: a file of calls on one pit that is ready before the first line and gone after the
 * last.
 *
 * The whole script is read and its arguments built before any worker starts, so a slip
 * in line 90 costs nothing. Then `--parallel` threads take line after line; each line's
 * output waits until every line before it has been printed, except that of the line
 * whose turn it is, which is printed as it comes. The first failure in the order of the
 * lines is reported, ends the run unless -k was given, and gives the exit code.
 */
#include "cli.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 1024 };

static const struct option_spec line_options[] = {
    {"session", 's', "ID", OPTION_SESSION, ""},
    {"affinity", 0, "WORD", OPTION_AFFINITY, ""},
    {"timeout", 't', "TIME", OPTION_TIMEOUT, ""},
    {"pool", 'p', "NAME", OPTION_POOL, ""},
    {"idempotent", 0, NULL, OPTION_IDEMPOTENT, ""},
    {"dedupe-key", 0, "KEY", OPTION_DEDUPE, ""},
    {NULL, 0, NULL, OPTION_NONE, NULL},
};
static const struct command line_command = {.name = "run", .options = line_options};

struct job {
    int line; /* in the script, from 1 */
    int is_stream;
    char *copy; /* the words point into it */
    struct cli cli;
    const char *tool;
    struct text args;
    struct text out; /* output that has to wait for its turn */
    int is_done;
    sp_error err;
    int code;
};

struct script {
    struct cli *cli;
    const char *name;
    struct job *jobs;
    size_t count;
    struct opened opened;

    pthread_mutex_t lock;        /* over all below, the jobs' output and ends */
    size_t next;                 /* the job to start */
    size_t turn;                 /* the job whose output is printed */
    int is_over;                 /* start no more */
    int code;                    /* of the first failure */
    size_t running[WATCH_SLOTS]; /* the job of each thread, plus one; 0 for none */
};

/* --- Reading -------------------------------------------------------------------------- */

static int read_line(struct script *script, struct job *job, char *text)
{
    char *words[WORDS_MAX];
    job->copy = need(strdup(text));
    int count = line_split(job->copy, words, WORDS_MAX);
    if (count < 0) {
        return complain(CODE_USAGE, "a quote is not closed");
    }
    if (count == 0) {
        return CODE_OK;
    }
    int first = 0;
    if (count > 1 &&
        (strcmp(words[0], "call") == 0 || strcmp(words[0], "stream") == 0)) {
        job->is_stream = words[0][0] == 's';
        first = 1;
    }
    char *rest[WORDS_MAX];
    job->cli = *script->cli;
    job->cli.words = rest;
    job->cli.words_count = 0;
    int code =
        options_parse_line(&job->cli, &line_command, count - first, words + first);
    if (code == CODE_OK && job->cli.words_count == 0) {
        code = complain(CODE_USAGE, "a line without a tool");
    }
    if (code == CODE_OK) {
        job->tool = rest[0];
        code = arguments_build(rest + 1, job->cli.words_count - 1, &job->args);
    }
    job->cli.words = NULL;
    return code;
}

static int read_script(struct script *script, char *text)
{
    size_t capacity = 0;
    int number = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        char where[300];
        if (script->count == capacity) {
            capacity = capacity == 0 ? 64 : capacity * 2;
            script->jobs = need(realloc(script->jobs, capacity * sizeof *script->jobs));
        }
        struct job *job = &script->jobs[script->count++];
        *job = (struct job){.line = ++number};
        (void)snprintf(where, sizeof where, "%.256s:%d: ", script->name, number);
        talk_where(where);
        int code = read_line(script, job, line);
        talk_where("");
        if (code != CODE_OK) {
            return code;
        }
        if (job->tool == NULL) { /* empty or a comment */
            free(job->copy);
            script->count--;
        }
    }
    return CODE_OK;
}

static void free_script(struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        struct job *job = &script->jobs[i];
        free(job->copy);
        text_free(&job->args);
        text_free(&job->out);
        sp_error_clear(&job->err);
    }
    free(script->jobs);
}

/* --- Printing in order ---------------------------------------------------------------- */

static void write_out(struct script *script, const char *data, size_t size)
{
    progress_erase();
    (void)fwrite(data, 1, size, stdout);
    int code = print_flush();
    if (code != CODE_OK && script->code == CODE_OK) {
        script->code = code;
        script->is_over = 1;
    }
}

/* Called with the lock held, as all below. */
static void fail(struct script *script, struct job *job)
{
    char where[300];
    if (script->is_over && watch_interrupted()) {
        return; /* its cancellation was asked for */
    }
    (void)snprintf(where, sizeof where, "%.256s:%d: ", script->name, job->line);
    talk_where(where);
    int code = report(&job->err);
    talk_where("");
    script->code = script->code == CODE_OK ? code : script->code;
    if (!script->cli->keep_going) {
        script->is_over = 1;
        for (int slot = 0; slot < WATCH_SLOTS; slot++) {
            if (script->running[slot] > script->turn + 1) {
                watch_cancel(slot);
            }
        }
    }
}

/* Print what has waited for the jobs in front of it. */
static void advance(struct script *script)
{
    int may_go_on = 1;
    while (may_go_on && script->turn < script->count) {
        struct job *job = &script->jobs[script->turn];
        if (job->out.size > 0) {
            write_out(script, job->out.data, job->out.size);
            text_free(&job->out);
        }
        if (!job->is_done) {
            break;
        }
        if (job->code != 0) {
            fail(script, job);
            may_go_on = !script->is_over;
        }
        script->turn++;
    }
    progress("%zu of %zu lines", script->turn, script->count);
}

struct emitting {
    struct script *script;
    size_t index;
};

static int emit_cb(const char *data, size_t size, void *user_data)
{
    struct emitting *e = user_data;
    struct script *script = e->script;
    (void)pthread_mutex_lock(&script->lock);
    struct text *out = &script->jobs[e->index].out;
    text_add(out, data, size);
    text_add(out, "\n", 1);
    if (e->index == script->turn) {
        write_out(script, out->data, out->size);
        out->size = 0;
    }
    int must_stop = script->code == CODE_PIPE;
    (void)pthread_mutex_unlock(&script->lock);
    return must_stop;
}

/* --- Running -------------------------------------------------------------------------- */

static int run_job(struct script *script, size_t index, int slot)
{
    struct job *job = &script->jobs[index];
    struct emitting emitting = {script, index};
    sp_bytes args = {job->args.data, job->args.size};
    sp_pit *pit = script->opened.pit;
    if (job->is_stream) {
        return perform_stream(pit, &job->cli, job->tool, args, slot, emit_cb, &emitting,
                              &job->err);
    }
    sp_result result = {0};
    int rc = perform_call(pit, &job->cli, job->tool, args, slot, &result, &job->err);
    if (rc == 0) {
        flatten(result.json, result.json_bytes);
        (void)emit_cb(result.json, result.json_bytes, &emitting);
    }
    sp_result_clear(&result);
    return rc;
}

struct worker {
    struct script *script;
    int slot;
    pthread_t thread;
};

static void *worker_main(void *user_data)
{
    struct worker *worker = user_data;
    struct script *script = worker->script;
    (void)pthread_mutex_lock(&script->lock);
    while (!script->is_over && !watch_interrupted() && script->next < script->count) {
        size_t index = script->next++;
        script->running[worker->slot] = index + 1;
        (void)pthread_mutex_unlock(&script->lock);
        int rc = run_job(script, index, worker->slot);
        (void)pthread_mutex_lock(&script->lock);
        script->running[worker->slot] = 0;
        script->jobs[index].code = rc;
        script->jobs[index].is_done = 1;
        int was_cut = rc != CODE_OK && watch_interrupted();
        if (!script->is_over && !was_cut) {
            advance(script); /* also what came through before the interrupt was seen */
        }
        script->is_over |= was_cut;
    }
    (void)pthread_mutex_unlock(&script->lock);
    return NULL;
}

static int run_jobs(struct script *script)
{
    uint32_t wanted = script->cli->parallel > 0 ? script->cli->parallel : 1;
    if (wanted > script->count) {
        wanted = (uint32_t)script->count;
    }
    struct worker *workers = need(calloc(wanted + 1, sizeof *workers));
    uint32_t started = 0;
    for (; started < wanted; started++) {
        workers[started] = (struct worker){.script = script, .slot = (int)started};
        if (pthread_create(&workers[started].thread, NULL, worker_main,
                           &workers[started]) != 0) {
            break; /* fewer threads do the same work */
        }
    }
    if (started == 0) {
        workers[0] = (struct worker){.script = script};
        (void)worker_main(&workers[0]);
    }
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    free(workers);
    progress_erase();
    if (watch_interrupted()) {
        talk("interrupted after %zu of %zu lines", script->turn, script->count);
        return CODE_INTERRUPTED;
    }
    return script->code;
}

static int run_script(struct script *script)
{
    int code = pit_open(script->cli, 0, &script->opened);
    if (code != CODE_OK) {
        return code;
    }
    code = pit_wait(&script->opened);
    if (code == CODE_OK) {
        code = run_jobs(script);
    }
    pit_close(&script->opened);
    return code;
}

int cmd_run(struct cli *cli)
{
    struct script script = {.cli = cli, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct text text = {0};
    if (cli->words_count != 1) {
        return complain(CODE_USAGE, "which script? snakepit run SCRIPT, - for standard "
                                    "input; `snakepit run --help` shows one");
    }
    script.name = strcmp(cli->words[0], "-") == 0 ? "script" : cli->words[0];
    int code = read_whole(cli->words[0], &text);
    if (code == CODE_OK && text.size != strlen(text_c(&text))) {
        code = complain(CODE_USAGE, "%s: a NUL character", script.name);
    }
    if (code == CODE_OK) {
        code = read_script(&script, text.data);
    }
    if (code == CODE_OK) {
        code = run_script(&script);
    }
    free_script(&script);
    text_free(&text);
    return code;
}
