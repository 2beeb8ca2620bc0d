/* SPDX-License-Identifier: MIT */
/*
 * The leak fixture.
 *
 * Before a test it notes what the process has: children, descriptors, threads, memfd
 * mappings, live allocations of the library; gives the test folders of its own for
 * temporary and for run-time files; and puts a mark into the environment that every
 * process started from here inherits. After the test all of that must be as before, and
 * no process with the mark may be alive anywhere. Ends that take a moment (a thread on
 * its way out, a process being reaped by the kernel) get a deadline, nothing more.
 *
 * An alarm ends a test that hangs: the program stops with a message, which the runner
 * counts as a failure.
 */
#include "leak.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "processes.h"

#ifndef TEST_BUILD
#error "TEST_BUILD names the build folder"
#endif

enum {
    FDS_MAX = 4096,
    CHILDREN_MAX = 64,
    AT_END_MAX = 16,
    PATHS_MAX = 32,
    TEST_SECONDS = 60,
    SETTLE_MS = 5000
};

struct snapshot {
    unsigned char fds[FDS_MAX];
    int threads;
    int mappings;
    int64_t live;
    pid_t children[CHILDREN_MAX];
    size_t children_count;
};

static struct snapshot before;
static struct snapshot now;
static char folder[64];
static char mark[64];
static unsigned test_number;
static void (*at_end[AT_END_MAX])(void);
static size_t at_end_count;
static char paths[PATHS_MAX][256];
static size_t paths_count;

/* ---- time ---- */

uint64_t leak_now_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000u + (uint64_t)time.tv_nsec / 1000000u;
}

void leak_pause(void)
{
    (void)poll(NULL, 0, 2);
}

static void too_long(int number)
{
    static const char text[] = "\nthe test hangs: it took longer than its time limit\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

/* ---- looking ---- */

static int count_entries(const char *path)
{
    int n = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        n += entry->d_name[0] != '.';
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return n;
}

static void look_at_fds(struct snapshot *at)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        long fd = strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] != '.' && fd < FDS_MAX && fd != dirfd(dir)) {
            at->fds[fd] = 1;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static int count_mappings(void)
{
    int n = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        n += strstr(line, "memfd:snakepit") != NULL;
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return n;
}

static void look(struct snapshot *at)
{
    *at = (struct snapshot){0};
    look_at_fds(at);
    at->threads = count_entries("/proc/self/task");
    at->mappings = count_mappings();
    at->live = sp__mem_live();
    at->children_count = processes_children(at->children, CHILDREN_MAX);
}

/* ---- comparing ---- */

struct findings {
    char text[4096];
    size_t used;
};

static void find(struct findings *findings, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

static void find(struct findings *findings, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(findings->text + findings->used,
                      sizeof findings->text - findings->used, format, args);
    va_end(args);
    findings->used += n > 0 ? (size_t)n : 0;
    if (findings->used >= sizeof findings->text) {
        findings->used = sizeof findings->text - 1;
    }
}

static void compare_fds(struct findings *findings)
{
    for (int fd = 0; fd < FDS_MAX; fd++) {
        if (now.fds[fd] && !before.fds[fd]) {
            char path[64];
            char target[256] = "";
            (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            (void)!readlink(path, target, sizeof target - 1);
            find(findings, "  descriptor %d -> %s\n", fd, target);
        }
    }
}

static int was_there(pid_t child)
{
    for (size_t i = 0; i < before.children_count; i++) {
        if (before.children[i] == child) {
            return 1;
        }
    }
    return 0;
}

static void compare_children(struct findings *findings)
{
    for (size_t i = 0; i < now.children_count; i++) {
        if (!was_there(now.children[i])) {
            char name[256];
            find(findings, "  child %d: %s\n", (int)now.children[i],
                 processes_name(now.children[i], name, sizeof name));
        }
    }
}

static void compare_marked(struct findings *findings)
{
    pid_t found[CHILDREN_MAX];
    size_t n = processes_with("SNAKEPIT_TEST_MARK", mark, found, CHILDREN_MAX);
    for (size_t i = 0; i < n; i++) {
        char name[256];
        find(findings, "  process %d: %s\n", (int)found[i],
             processes_name(found[i], name, sizeof name));
    }
}

/* So that the next test finds a clean machine, whatever this one left. */
static void end_what_is_left(void)
{
    pid_t found[CHILDREN_MAX];
    for (size_t i = 0; i < now.children_count; i++) {
        if (!was_there(now.children[i])) {
            (void)kill(now.children[i], SIGKILL);
            (void)waitpid(now.children[i], NULL, 0);
        }
    }
    size_t n = processes_with("SNAKEPIT_TEST_MARK", mark, found, CHILDREN_MAX);
    for (size_t i = 0; i < n; i++) {
        (void)kill(found[i], SIGKILL);
    }
}

/* ThreadSanitizer begins in each process with a file that it removes at once: one that is
 * killed in that moment leaves it. */
static int is_of_sanitizer(const char *name)
{
#ifdef __SANITIZE_THREAD__
    return strncmp(name, "tsan.rodata.", 12) == 0;
#else
    (void)name;
    return 0;
#endif
}

static void find_files(struct findings *findings, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && !is_of_sanitizer(entry->d_name)) {
            find(findings, "  file %s/%s\n", name, entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void compare(struct findings *findings)
{
    *findings = (struct findings){0};
    look(&now);
    compare_fds(findings);
    compare_children(findings);
    compare_marked(findings);
    if (now.threads != before.threads) {
        find(findings, "  %d threads, before %d\n", now.threads, before.threads);
    }
    if (now.mappings != before.mappings) {
        find(findings, "  %d memfd mappings, before %d\n", now.mappings,
             before.mappings);
    }
    if (now.live != before.live) {
        find(findings, "  %lld allocations, before %lld\n", (long long)now.live,
             (long long)before.live);
    }
    find_files(findings, "tmp");
    find_files(findings, "run");
}

/* ---- folders ---- */

static int remove_entry(const char *path, const struct stat *info, int kind,
                        struct FTW *place)
{
    return remove(path);
}

static void remove_folder(void)
{
    (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folders(void)
{
    char path[128];
    (void)snprintf(folder, sizeof folder, "/tmp/sp-test-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/tmp", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(setenv("TMPDIR", path, 1), 0);
    (void)snprintf(path, sizeof path, "%s/run", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", path, 1), 0);
    (void)snprintf(path, sizeof path, "%s/own", folder);
    assert_int_equal(mkdir(path, 0700), 0);
}

const char *leak_folder(void)
{
    return leak_path("");
}

const char *leak_path(const char *name)
{
    char path[sizeof paths[0]];
    (void)snprintf(path, sizeof path, "%s/own/%s", folder, name);
    for (size_t i = 0; i < paths_count; i++) {
        if (strcmp(paths[i], path) == 0) {
            return paths[i]; /* who waits for a file asks again and again */
        }
    }
    assert_true(paths_count < PATHS_MAX);
    return memcpy(paths[paths_count++], path, sizeof path);
}

const char *leak_mark(void)
{
    return mark;
}

/* ---- the fixture ---- */

void leak_at_end(void (*fn)(void))
{
    for (size_t i = 0; i < at_end_count; i++) {
        if (at_end[i] == fn) {
            return;
        }
    }
    assert_true(at_end_count < AT_END_MAX);
    at_end[at_end_count++] = fn;
}

/* ThreadSanitizer starts a thread of its own beside the first one of the program. */
#ifdef __SANITIZE_THREAD__
static void *nothing(void *arg)
{
    return arg;
}

static void start_own_thread(void)
{
    pthread_t thread;
    if (test_number == 1 && pthread_create(&thread, NULL, nothing, NULL) == 0) {
        (void)pthread_join(thread, NULL);
    }
}
#else
static void start_own_thread(void)
{
}
#endif

/* What workers find when a test runs outside the build tool, too. */
static void set_environment(void)
{
    (void)setenv("SNAKEPIT_GUARD", TEST_BUILD "/guard/snakepit-guard", 0);
    (void)setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
    (void)setenv("SNAKEPIT_TEST_MARK", mark, 1);
    (void)unsetenv("SNAKEPIT_CONFIG");
}

void skip_because(const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof why, format, args);
    va_end(args);
    print_message("skipped: %s\n", why);
    skip();
}

void skip_where_signals_wait(void)
{
#ifdef __SANITIZE_THREAD__
    skip_because("ThreadSanitizer puts signals off");
#endif
}

void skip_where_a_thread_is_added(void)
{
#ifdef __SANITIZE_THREAD__
    skip_because("ThreadSanitizer adds a thread");
#endif
}

int leak_setup(void **state)
{
    (void)snprintf(mark, sizeof mark, "%d-%u", (int)getpid(), ++test_number);
    at_end_count = 0;
    paths_count = 0;
    make_folders();
    set_environment();
    struct sigaction action = {.sa_handler = too_long};
    (void)sigaction(SIGALRM, &action, NULL);
    (void)alarm((unsigned)(TEST_SECONDS * patience_ms(1)));
    start_own_thread();
    look(&before);
    return 0;
}

int leak_teardown(void **state)
{
    struct findings findings;
    while (at_end_count > 0) {
        at_end[--at_end_count]();
    }
    sp__mem_fail_at(0, 0);
    uint64_t end_ms = leak_now_ms() + patience_ms(SETTLE_MS);
    compare(&findings);
    while (findings.used > 0 && leak_now_ms() < end_ms) {
        leak_pause();
        compare(&findings);
    }
    (void)alarm(0);
    remove_folder();
    if (findings.used > 0) {
        end_what_is_left();
        print_error("the test left behind:\n%s", findings.text);
        return -1;
    }
    return 0;
}
