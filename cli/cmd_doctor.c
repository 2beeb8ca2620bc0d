/* SPDX-License-Identifier: MIT */
/*
 * doctor: what workers need, looked at one thing after another, each on a line.
 *
 * The checks go from the outside to the inside: configuration, then kernel, limits and
 * folders (doctor_machine.c), the pool's interpreter by itself (doctor_language.c), the
 * guard by opening a pit, the bridge by a worker without an adapter, the adapter by a
 * worker with it, what its imports have brought along, and a real call; the other languages
 * last. A check whose ground has failed is left out, so the first `fail` is the one to mend;
 * doctor_fix.c says how. Nothing is changed.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void note(struct doctor *doctor, enum level level, const char *what, const char *hint,
          const char *format, ...)
{
    static const char *const names[] = {"ok", "warn", "fail"};
    static const char *const colors[] = {"green", "yellow", "red"};
    char *facts = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&facts, format, args);
    va_end(args);
    need(length < 0 ? NULL : facts);
    doctor->worst = (int)level > doctor->worst ? (int)level : doctor->worst;
    if (doctor->cli->fix_hints) {
        if (level != LEVEL_OK) {
            progress_erase();
            (void)printf("%s: %s\n", what, hint);
        }
    } else if (doctor->checks != NULL) {
        json_t *text = json_string(facts);
        json_t *check =
            need(json_pack("{s:s, s:s, s:o, s:s}", "check", what, "level", names[level],
                           "facts", text != NULL ? text : json_null(), "hint", hint));
        (void)json_array_append_new(doctor->checks, check);
    } else {
        progress_erase();
        (void)printf("%s%-4s%s  %-12s  ", paint(colors[level]), names[level], paint(""),
                     what);
        print_clean(stdout, facts, strlen(facts));
        (void)puts("");
        if (hint[0] != '\0') {
            (void)printf("                    try: %s\n", hint);
        }
        (void)fflush(stdout);
    }
    free(facts);
}

/* --- Workers -------------------------------------------------------------------------- */

struct trial {
    struct opened opened;
    uint64_t ready_ms;
    int tools;
    int has_ping;
};

static void ping_cb(const sp_tool_info *tool, void *user_data)
{
    struct trial *trial = user_data;
    trial->tools++;
    trial->has_ping |= strcmp(tool->name, "ping") == 0;
}

/* With what mends it, as far as the failure tells. */
static void note_error(struct doctor *doctor, const char *what, sp_error *err)
{
    char fix[FIX_MAX];
    talk_hold(0, 1); /* the last line below is enough */
    char text[2048];
    const char *more = err->worker_stderr != NULL  ? err->worker_stderr
                       : err->remote_trace != NULL ? err->remote_trace
                                                   : "";
    size_t length = strlen(more);
    while (length > 0 && more[length - 1] == '\n') {
        length--;
    }
    /* The last line of a traceback says most. */
    size_t start = length;
    while (start > 0 && more[start - 1] != '\n') {
        start--;
    }
    char last[512];
    (void)snprintf(last, sizeof last, "%.*s", (int)(length - start), more + start);
    int is_new = last[0] != '\0' && strstr(last, err->message) == NULL;
    (void)snprintf(text, sizeof text, "%s: %s%s%s", sp_error_name(err->code),
                   err->message, is_new ? "; " : "", is_new ? last : "");
    doctor_fix(doctor, what, err, text, fix);
    note(doctor, LEVEL_FAIL, what, fix, "%s", text);
    sp_error_clear(err);
}

/* Open a pit with one worker of the configured pool; `adapter` NULL keeps its own. */
static int try_open(struct doctor *doctor, const char *adapter, struct trial *trial,
                    sp_error *err)
{
    struct cli cli = *doctor->cli;
    *trial = (struct trial){0};
    if (adapter != NULL) {
        cli.adapter = adapter;
        cli.function = NULL;
    }
    int code = config_open(&cli, &trial->opened.config);
    if (code != CODE_OK) {
        return sp_error_set(err, SP_ERR_CONFIG, "see above");
    }
    const sp_pit_options *options = sp_config_options(trial->opened.config);
    take_options(&trial->opened, options);
    trial->opened.options.on_event = show_event;
    trial->opened.options.event_data = doctor->cli;
    trial->opened.options.pools = trial->opened.pools;
    trial->opened.options.pools_count = 1;
    for (size_t i = 0; i < options->pools_count; i++) {
        if (i == 0 ||
            (cli.pool != NULL && strcmp(options->pools[i].name, cli.pool) == 0)) {
            trial->opened.pools[0] = options->pools[i];
        }
    }
    trial->opened.pools[0].workers = 1;
    talk_hold(1, 0);
    int rc = sp_pit_open(&trial->opened.options, &trial->opened.pit, err);
    if (rc == 0 && watch_start(trial->opened.pit) != CODE_OK) {
        rc = sp_error_set(err, SP_ERR_SYSTEM, "no thread for the watcher");
    }
    return rc;
}

static int try_ready(struct trial *trial, sp_error *err)
{
    sp_worker_info worker = {0};
    uint64_t limit = clock_ms() + trial->opened.pools[0].startup_timeout_ms;
    int rc;
    do {
        sp_error_clear(err);
        rc = sp_pit_await_ready(trial->opened.pit, 200, err);
    } while (rc == SP_ERR_NOT_READY && clock_ms() < limit && talk_deaths() < 3 &&
             !watch_interrupted());
    if (rc == 0 &&
        sp_pool_workers_get(trial->opened.pit, NULL, &worker, 1, NULL) == 1) {
        trial->ready_ms = worker.ready_ms;
    }
    if (rc == 0) {
        (void)sp_pool_tools_get(trial->opened.pit, NULL, ping_cb, trial, NULL);
    }
    return rc;
}

static void note_safety(struct doctor *doctor, sp_pit *pit)
{
    sp_safety safety = {0};
    (void)sp_pit_safety(pit, &safety, NULL);
    /* A container that has no namespaces to give away is a usual place to be. */
    note(doctor, safety.level < SP_SAFETY_SUBREAPER ? LEVEL_WARN : LEVEL_OK, "guard",
         safety.level < SP_SAFETY_SUBREAPER ? "mount /proc where snakepit runs" : "",
         "started and answering, orphan-safety: %s", safety.text);
}

static int check_bridge(struct doctor *doctor)
{
    struct trial trial;
    sp_error err = {0};
    int is_python = 0;
    int rc = try_open(doctor, NULL, &trial, &err);
    if (rc == 0) {
        note_safety(doctor, trial.opened.pit);
        is_python = strcmp(trial.opened.pools[0].runtime, "python") == 0;
    } else {
        note_error(doctor, "guard", &err);
    }
    pit_close(&trial.opened);
    if (rc != 0 || !is_python) {
        return rc == 0;
    }
    rc = try_open(doctor, "none", &trial, &err);
    if (rc == 0) {
        rc = try_ready(&trial, &err);
    }
    if (rc == 0) {
        note(doctor, LEVEL_OK, "bridge", "",
             "a worker without an adapter was ready "
             "after %llu ms",
             (unsigned long long)trial.ready_ms);
    } else {
        note_error(doctor, "bridge", &err);
    }
    pit_close(&trial.opened);
    return rc == 0;
}

static void check_call(struct doctor *doctor, struct trial *trial)
{
    sp_result result = {0};
    sp_error err = {0};
    if (!trial->has_ping) {
        note(doctor, LEVEL_OK, "call", "", "left out: there is no tool \"ping\"");
        return;
    }
    int rc = perform_call(trial->opened.pit, &(struct cli){0}, "ping", sp_text("{}"), 0,
                          &result, &err);
    if (rc == 0) {
        note(doctor, LEVEL_OK, "call", "", "ping answered in %llu us",
             (unsigned long long)(result.queued_us + result.run_us));
    } else {
        note_error(doctor, "call", &err);
    }
    sp_result_clear(&result);
}

static int check_adapter(struct doctor *doctor)
{
    struct trial trial;
    sp_error err = {0};
    int rc = try_open(doctor, NULL, &trial, &err);
    if (rc == 0) {
        rc = try_ready(&trial, &err);
    }
    if (rc == 0) {
        sp_pool_stats stats = {0};
        (void)sp_pool_stats_get(trial.opened.pit, NULL, &stats, NULL); /* only words */
        note(doctor, LEVEL_OK, "adapter", "", "%s: %d tools, ready after %llu ms",
             stats.adapter, trial.tools, (unsigned long long)trial.ready_ms);
        check_call(doctor, &trial);
    } else {
        note_error(doctor, "adapter", &err);
    }
    pit_close(&trial.opened);
    return rc == 0;
}

/* --- The command ---------------------------------------------------------------------- */

/* The pool that is looked at: the one that was named, or the first. */
static const sp_pool_options *chosen_pool(const struct doctor *doctor,
                                          const sp_pit_options *options)
{
    const sp_pool_options *chosen = &options->pools[0];
    for (size_t i = 0; doctor->cli->pool != NULL && i < options->pools_count; i++) {
        if (strcmp(doctor->cli->pool, options->pools[i].name) == 0) {
            chosen = &options->pools[i];
        }
    }
    return chosen;
}

static void check_config(struct doctor *doctor, sp_config *config)
{
    const sp_pit_options *options = sp_config_options(config);
    const char *path = sp_config_path(config);
    unsigned workers = 0;
    for (size_t i = 0; i < options->pools_count; i++) {
        workers += options->pools[i].workers;
    }
    note(doctor, LEVEL_OK, "snakepit", "", "%s, library %s", SP_VERSION_STRING,
         sp_version());
    note(doctor, LEVEL_OK, "config", "", "%s: %zu %s, %u workers",
         path != NULL ? path : "defaults", options->pools_count,
         options->pools_count == 1 ? "pool" : "pools", workers);
    doctor_kernel(doctor);
    doctor_limits(doctor, workers);
    doctor_folders(doctor, options);
}

static int check_all(struct doctor *doctor)
{
    sp_config *config = NULL;
    int code = config_open(doctor->cli, &config);
    if (code != CODE_OK) {
        return code; /* the mistake has been shown */
    }
    const sp_pool_options *pool = chosen_pool(doctor, sp_config_options(config));
    doctor->pool = pool->name;
    check_config(doctor, config);
    int is_sound = doctor_interpreter(doctor, pool);
    if (is_sound && !watch_interrupted()) {
        is_sound = check_bridge(doctor);
    }
    if (is_sound && !watch_interrupted()) {
        is_sound = check_adapter(doctor);
    }
    if (is_sound && !watch_interrupted()) {
        doctor_imports(doctor, pool);
    }
    doctor_other_languages(doctor, pool);
    sp_config_free(config);
    return CODE_OK;
}

int cmd_doctor(struct cli *cli)
{
    struct doctor doctor = {.cli = cli};
    if (cli->words_count > 0) {
        return complain(CODE_USAGE, "doctor takes no \"%s\"", cli->words[0]);
    }
    if (wants_json(cli) && !cli->fix_hints) {
        doctor.checks = need(json_array());
    }
    int code = check_all(&doctor);
    if (watch_interrupted()) {
        code = CODE_INTERRUPTED;
    } else if (code == CODE_OK && doctor.worst == LEVEL_FAIL) {
        code = CODE_FINDING;
    }
    if (doctor.checks != NULL && code != CODE_USAGE) {
        json_t *root =
            need(json_pack("{s:i, s:b, s:O}", "version", 1, "ok",
                           doctor.worst < LEVEL_FAIL, "checks", doctor.checks));
        print_json(root);
        json_decref(root);
    }
    json_decref(doctor.checks);
    return code;
}
