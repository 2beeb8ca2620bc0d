/* SPDX-License-Identifier: MIT */
/*
 * doctor: interpreters. Each is asked for its version by running it; whether its bridge is
 * there is a file. What an adapter's imports have brought along, a global lock or a library
 * that is not made for threads, is asked of the bridge, which loads it once more.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { VERSION_MS = 10000 };

/* ---- programs ---- */

/* Read until the end or the deadline; what does not fit is dropped. */
static int read_until(int fd, char *ret_text, size_t max, uint64_t deadline)
{
    size_t size = 0;
    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        uint64_t now = clock_ms();
        char rest[256];
        if (now >= deadline || watch_interrupted() ||
            poll(&poller, 1, (int)(deadline - now)) == 0) {
            return -1;
        }
        int has_room = size + 1 < max;
        ssize_t n = read(fd, has_room ? ret_text + size : rest,
                         has_room ? max - 1 - size : sizeof rest);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            ret_text[size] = '\0';
            return 0;
        }
        size += has_room ? (size_t)n : 0;
    }
}

/* Run a program and take both its outputs. Returns its exit status, -1 when it could not
 * be run, -2 when it took longer. */
static int capture(char *const *argv, uint64_t timeout_ms, char *ret_text, size_t max)
{
    int fds[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    ret_text[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -1;
    }
    if (posix_spawn_file_actions_init(&actions) != 0) {
        (void)close(fds[0]);
        (void)close(fds[1]);
        return -1;
    }
    int rc = posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    rc = rc != 0 ? rc
                 : posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    rc = rc != 0 ? rc : posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    if (rc != 0) {
        (void)close(fds[0]);
        (void)snprintf(ret_text, max, "%s", strerror(rc));
        return -1;
    }
    int is_late = read_until(fds[0], ret_text, max, clock_ms() + timeout_ms) != 0;
    (void)close(fds[0]);
    if (is_late) {
        (void)kill(pid, SIGKILL);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return is_late             ? -2
           : WIFEXITED(status) ? WEXITSTATUS(status)
                               : 128 + WTERMSIG(status);
}

/* ---- Python ---- */

/* The interpreter's own account of itself: version, path, prefix, threads. */
static int check_python(struct doctor *doctor, const char *configured)
{
    static const char question[] =
        "import sys, os\n"
        "gil = getattr(sys, '_is_gil_enabled', lambda: True)()\n"
        "print('.'.join(map(str, sys.version_info[:3])), "
        "os.path.realpath(sys.executable),"
        " 'venv ' + sys.prefix if sys.prefix != sys.base_prefix else 'no venv',"
        " 'GIL' if gil else 'free-threaded', sep='\\t')\n";
    char path[4096];
    char answer[8192];
    char option[] = "-c";
    char code[sizeof question];
    char hint[FIX_MAX];
    sp_error err = {0};
    if (configured != NULL) {
        (void)snprintf(path, sizeof path, "%s", configured);
    } else if (sp_interpreter_find("python", path, sizeof path, &err) < 0) {
        (void)snprintf(hint, sizeof hint,
                       "apt-get install python3; or set pools.%s.python to an "
                       "interpreter",
                       doctor->pool);
        note(doctor, LEVEL_FAIL, "python", hint, "%s", err.message);
        sp_error_clear(&err);
        return 0;
    }
    memcpy(code, question, sizeof question);
    char *argv[] = {path, option, code, NULL};
    int status = capture(argv, VERSION_MS, answer, sizeof answer);
    (void)snprintf(hint, sizeof hint,
                   "set pools.%s.python to an interpreter of 3.8 or newer, such as "
                   "/usr/bin/python3",
                   doctor->pool);
    if (status != 0) {
        char ended[64];
        (void)snprintf(ended, sizeof ended, "exit status %d", status);
        note(doctor, LEVEL_FAIL, "python", hint, "%s: %s", path,
             status == -2        ? "no answer within 10 s"
             : answer[0] != '\0' ? answer
                                 : ended);
        return 0;
    }
    answer[strcspn(answer, "\n")] = '\0';
    char *rest = answer;
    const char *version = strsep(&rest, "\t");
    const char *real = strsep(&rest, "\t");
    int is_old = strncmp(version, "3.", 2) != 0 || strtol(version + 2, NULL, 10) < 8;
    int is_elsewhere = real != NULL && strcmp(real, path) != 0;
    const char *environment = strsep(&rest, "\t");
    note(doctor, is_old ? LEVEL_FAIL : LEVEL_OK, "python", is_old ? hint : "",
         "%s %s%s%s (%s, %s)", version, path, is_elsewhere ? " -> " : "",
         is_elsewhere ? real : "", environment != NULL ? environment : "",
         rest != NULL ? rest : "");
    (void)snprintf(doctor->python, sizeof doctor->python, "%s", path);
    return !is_old;
}

/* ---- the others ---- */

static const struct language {
    const char *runtime;
    const char *title;
    const char *package; /* Debian's */
    const char *question[3];
} languages[] = {
    {"node", "Node.js", "nodejs", {"-p", "process.versions.node", NULL}},
    {"ruby", "Ruby", "ruby", {"-e", "print RUBY_VERSION", NULL}},
    {"r", "R", "r-base-core", {"-e", "cat(as.character(getRversion()))", NULL}},
};

/* The version that an interpreter tells, or why not: 0. */
static int ask_version(const struct language *language, char *path, char *answer,
                       size_t max)
{
    char words[2][64];
    (void)snprintf(words[0], sizeof words[0], "%s", language->question[0]);
    (void)snprintf(words[1], sizeof words[1], "%s", language->question[1]);
    char *argv[] = {path, words[0], words[1], NULL};
    int status = capture(argv, VERSION_MS, answer, max);
    answer[strcspn(answer, "\n")] = '\0';
    if (status == -2) {
        (void)snprintf(answer, max, "no answer within %d s", VERSION_MS / 1000);
    } else if (status != 0 && answer[0] == '\0') {
        (void)snprintf(answer, max, "exit status %d", status);
    }
    return status == 0;
}

/* `wanted`: the pool's interpreter or NULL. is_needed: the pool is of this language. */
static int check_language(struct doctor *doctor, const struct language *language,
                          const char *wanted, int is_needed)
{
    char path[4096];
    char script[4096];
    char answer[1024];
    char hint[FIX_MAX];
    sp_error err = {0};
    enum level bad = is_needed ? LEVEL_FAIL : LEVEL_OK;
    if (wanted != NULL) {
        (void)snprintf(path, sizeof path, "%s", wanted);
    } else if (sp_interpreter_find(language->runtime, path, sizeof path, &err) < 0) {
        (void)snprintf(hint, sizeof hint,
                       "apt-get install %s; or set pools.%s.interpreter to %s's",
                       language->package, doctor->pool, language->title);
        note(doctor, bad, language->runtime, is_needed ? hint : "",
             "not installed; for pools of runtime %s", language->runtime);
        sp_error_clear(&err);
        return 0;
    }
    if (!ask_version(language, path, answer, sizeof answer)) {
        (void)snprintf(hint, sizeof hint,
                       "set pools.%s.interpreter to another one, or apt-get install "
                       "--reinstall %s",
                       doctor->pool, language->package);
        note(doctor, bad, language->runtime, is_needed ? hint : "", "%s: %s", path,
             answer);
        return 0;
    }
    int rc = sp_bridge_find(language->runtime, script, sizeof script, &err);
    (void)snprintf(
        hint, sizeof hint,
        "install snakepit with its bridge for %s, or set SNAKEPIT_BRIDGE_PATH "
        "to the folder of snakepit_worker.py that has one",
        language->title);
    note(doctor, rc < 0 ? bad : LEVEL_OK, language->runtime,
         rc < 0 && is_needed ? hint : "", "%s %s, %s", answer, path,
         rc < 0 ? err.message : "bridge built");
    sp_error_clear(&err);
    return rc == 0;
}

int doctor_interpreter(struct doctor *doctor, const sp_pool_options *pool)
{
    if (strcmp(pool->runtime, "python") == 0) {
        return check_python(doctor, pool->python);
    }
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
        if (strcmp(languages[i].runtime, pool->runtime) == 0) {
            return check_language(doctor, &languages[i], pool->interpreter, 1);
        }
    }
    return 1; /* a program of its own */
}

void doctor_other_languages(struct doctor *doctor, const sp_pool_options *pool)
{
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
        if (strcmp(languages[i].runtime, pool->runtime) != 0 && !watch_interrupted()) {
            (void)check_language(doctor, &languages[i], NULL, 0);
        }
    }
}

/* ---- imports ---- */

/* Names that are joined by commas; "none" without any. */
static void join(const json_t *names, char *text, size_t max)
{
    size_t index;
    json_t *name;
    size_t used = 0;
    (void)snprintf(text, max, "none");
    json_array_foreach (names, index, name) {
        int n = snprintf(text + used, max - used, "%s%s", index == 0 ? "" : ", ",
                         json_string_value(name));
        used += n > 0 && (size_t)n < max - used ? (size_t)n : 0;
    }
}

static void note_imports(struct doctor *doctor, const sp_pool_options *pool,
                         json_t *facts)
{
    char loaded[512];
    char unsafe[512];
    char hint[FIX_MAX];
    int gil_before = json_is_true(json_object_get(facts, "gil_before"));
    int gil_after = json_is_true(json_object_get(facts, "gil_after"));
    int is_threads = pool->profile == SP_PROFILE_THREAD;
    const json_t *not_for_threads = json_object_get(facts, "not_for_threads");
    join(json_object_get(facts, "libraries"), loaded, sizeof loaded);
    join(not_for_threads, unsafe, sizeof unsafe);
    int has_unsafe = is_threads && json_array_size(not_for_threads) > 0;
    int turned_on = gil_after && !gil_before;
    (void)snprintf(hint, sizeof hint,
                   turned_on
                       ? "set pools.%s.require_gil_disabled to yes, which names the "
                         "module that does it"
                       : "set pools.%s.profile to process; or put a lock around their "
                         "use",
                   pool->name);
    note(doctor, has_unsafe || turned_on ? LEVEL_WARN : LEVEL_OK, "imports",
         turned_on || has_unsafe ? hint : "",
         "GIL %s%s; known libraries: %s; not made for threads: %s",
         gil_after ? "on" : "off", turned_on ? ", turned on by an import" : "", loaded,
         unsafe);
}

void doctor_imports(struct doctor *doctor, const sp_pool_options *pool)
{
    char path[4096];
    char script[4096];
    char adapter[4096];
    char answer[16384];
    char flag[] = "--facts";
    char option[] = "--adapter";
    if (strcmp(pool->runtime, "python") != 0 ||
        sp_bridge_find("python", script, sizeof script, NULL) < 0) {
        return;
    }
    if (pool->python != NULL) {
        (void)snprintf(path, sizeof path, "%s", pool->python);
    } else if (sp_interpreter_find("python", path, sizeof path, NULL) < 0) {
        return;
    }
    (void)snprintf(adapter, sizeof adapter, "%s",
                   pool->adapter != NULL ? pool->adapter : "showcase");
    char *argv[] = {path, script, flag, option, adapter, NULL};
    if (capture(argv, pool->init_timeout_ms, answer, sizeof answer) != 0) {
        return; /* a worker with it has started, so that nothing is amiss */
    }
    /* The last line: an import may print. */
    size_t n = strlen(answer);
    while (n > 0 && answer[n - 1] == '\n') {
        answer[--n] = '\0';
    }
    const char *line = strrchr(answer, '\n');
    json_t *facts = json_loads(line != NULL ? line + 1 : answer, 0, NULL);
    if (facts != NULL) {
        note_imports(doctor, pool, facts);
    }
    json_decref(facts);
}
