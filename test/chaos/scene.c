/* SPDX-License-Identifier: MIT */
/*
 * A scene: opening, watching and closing the pit that is maltreated.
 *
 * The library gets an allocator that counts bytes. Descriptors, threads, processes with
 * the mark of this run, temporary files and mappings are counted before the pit is
 * opened, when it is ready, when it has healed and when it is closed; the checker
 * compares. What takes a moment (a thread on its way out) is given a bounded one.
 */
#include "scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "processes.h"

enum { HEAL_MS = 10000, SETTLE_MS = 5000, PROCESSES_MAX = 4096, COUNTS = 7 };

#define SHORT_MEMORY "33554432"

static _Atomic int64_t bytes_in_use;
static char mark[64];
static char places[2][512]; /* for temporary and for run-time files */

/* ---- counting ---- */

static void *counted_malloc(size_t size)
{
    void *memory = malloc(size);
    atomic_fetch_add(&bytes_in_use, (int64_t)malloc_usable_size(memory));
    return memory;
}

static void *counted_realloc(void *memory, size_t size)
{
    int64_t before = (int64_t)malloc_usable_size(memory);
    void *moved = realloc(memory, size);
    if (moved != NULL) {
        atomic_fetch_add(&bytes_in_use, (int64_t)malloc_usable_size(moved) - before);
    }
    return moved;
}

static void counted_free(void *memory)
{
    atomic_fetch_sub(&bytes_in_use, (int64_t)malloc_usable_size(memory));
    free(memory);
}

int64_t scene_bytes(void)
{
    return atomic_load(&bytes_in_use);
}

static int64_t entries_of(const char *path)
{
    int64_t n = 0;
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

static int64_t shared_pages(void)
{
    int64_t n = 0;
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

static const char *const count_names[COUNTS] = {
    "descriptors", "threads", "children", "processes", "files", "mappings", "cgroups",
};

static void count_all(int64_t counts[COUNTS])
{
    static pid_t found[PROCESSES_MAX];
    counts[0] = entries_of("/proc/self/fd");
    counts[1] = entries_of("/proc/self/task");
    counts[2] = (int64_t)processes_children(found, PROCESSES_MAX);
    counts[3] =
        (int64_t)processes_with("SNAKEPIT_TEST_MARK", mark, found, PROCESSES_MAX);
    counts[4] = entries_of(places[0]) + entries_of(places[1]);
    counts[5] = shared_pages();
    counts[6] = entries_of("/sys/fs/cgroup");
}

static void note_counts(const struct scene *scene, const char *word, const char *when,
                        const int64_t counts[COUNTS])
{
    for (int i = 0; i < COUNTS; i++) {
        ledger_note(&scene->host, word, "%s.%s %lld", when, count_names[i],
                    (long long)counts[i]);
    }
}

static int64_t before_open[COUNTS];
static int64_t when_ready[COUNTS];

static int has_grown(const int64_t now[COUNTS], const int64_t before[COUNTS])
{
    for (int i = 0; i < COUNTS; i++) {
        if (now[i] > before[i]) {
            return 1;
        }
    }
    return 0;
}

/* Look until nothing is more than before, or for a bounded while. */
static void settle(struct scene *scene, int64_t now[COUNTS],
                   const int64_t before[COUNTS])
{
    uint64_t end_us = ledger_now_us() + SETTLE_MS * 1000u;
    count_all(now);
    while (has_grown(now, before) && ledger_now_us() < end_us) {
        scene_dispatch(scene, 10);
        count_all(now);
    }
}

/* ---- the course ---- */

void scene_fail(const char *what, const sp_error *err)
{
    (void)fprintf(stderr, "chaos: %s%s%s\n", what, err != NULL ? ": " : "",
                  err != NULL ? err->message : "");
    exit(1);
}

static void make_places(const char *folder)
{
    static const char *const names[2] = {"tmp", "run"};
    static const char *const variables[2] = {"TMPDIR", "XDG_RUNTIME_DIR"};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(places[i], sizeof places[i], "%s/%s", folder, names[i]);
        (void)mkdir(places[i], 0700);
        (void)setenv(variables[i], places[i], 1);
    }
}

static int write_file(const char *folder, const char *name, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        (void)close(fd);
    }
    return done;
}

/* A memory cgroup, of either version, that a worker enters before it eats: the kernel's
 * own killer ends it. */
static void make_cgroup(struct scene *scene)
{
    static const char *const roots[2] = {"/sys/fs/cgroup", "/sys/fs/cgroup/memory"};
    static const char *const limits[2] = {"memory.max", "memory.limit_in_bytes"};
    for (int i = 0; i < 2; i++) {
        (void)snprintf(scene->cgroup, sizeof scene->cgroup, "%s/%s", roots[i], mark);
        if (mkdir(scene->cgroup, 0700) == 0) {
            if (write_file(scene->cgroup, limits[i], SHORT_MEMORY)) {
                (void)setenv("CHAOS_CGROUP", scene->cgroup, 1);
                return;
            }
            (void)rmdir(scene->cgroup);
        }
    }
    scene->cgroup[0] = '\0';
}

unsigned long scene_oom_kills(const struct scene *scene)
{
    static const char *const names[2] = {"memory.events", "memory.oom_control"};
    unsigned long kills = 0;
    for (int i = 0; i < 2 && scene->cgroup[0] != '\0'; i++) {
        char path[600];
        char line[128];
        (void)snprintf(path, sizeof path, "%s/%s", scene->cgroup, names[i]);
        FILE *file = fopen(path, "re");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            (void)sscanf(line, "oom_kill %lu", &kills);
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    return kills;
}

static void on_event(const sp_event *event, void *user_data)
{
    const struct scene *scene = user_data;
    if (event->kind != SP_EVENT_WORKER_OUTPUT) {
        ledger_note(&scene->host, "event", "%s %d %d %d %.300s",
                    sp_event_name(event->kind), event->pid, event->signal,
                    event->exit_status, event->message);
    }
}

sp_pool_options scene_pool(struct scene *scene)
{
    static const char *command[4];
    command[0] = scene->evil;
    command[1] = scene->amounts->folder;
    command[2] = scene->ids_text;
    return (sp_pool_options){
        .size = sizeof(sp_pool_options),
        .runtime = "exec",
        .command = command,
        .workers = (uint32_t)scene->amounts->workers,
        .queue_timeout_ms = 120000,
        .call_timeout_ms = 120000,
        .stream_timeout_ms = 120000,
        .health_interval_ms = scene->amounts->health_ms,
        .backoff_min_ms = 1,
        .backoff_max_ms = 20,
        .crashes_max = 1000000,
        .attempts_max = 20,
        .retry_budget = 1000000,
        .poison_deaths = 20,
    };
}

static sp_pit *open_pit(struct scene *scene, const sp_pool_options *pool)
{
    sp_error err = {0};
    sp_pit *pit = NULL;
    sp_pit_options options = {.size = sizeof options,
                              .pools = pool,
                              .pools_count = 1,
                              .sample_interval_ms = 100,
                              .on_event = on_event,
                              .event_data = scene};
    if (sp_pit_open(&options, &pit, &err) < 0 ||
        sp_pit_await_ready(pit, 30000, &err) < 0) {
        scene_fail("the pit does not become ready", &err);
    }
    return pit;
}

void scene_open(struct scene *scene, const struct amounts *amounts, uint64_t ids_max)
{
    *scene = (struct scene){.amounts = amounts, .ids_max = ids_max};
    (void)snprintf(mark, sizeof mark, "chaos-%d", (int)getpid());
    (void)setenv("SNAKEPIT_TEST_MARK", mark, 1);
    (void)setenv("SNAKEPIT_GUARD", TEST_BUILD "/guard/snakepit-guard", 0);
    (void)unsetenv("SNAKEPIT_CONFIG");
    (void)snprintf(scene->evil, sizeof scene->evil, "%s/test/chaos/evil", TEST_BUILD);
    (void)snprintf(scene->ids_text, sizeof scene->ids_text, "%llu",
                   (unsigned long long)ids_max);
    make_places(amounts->folder);
    make_cgroup(scene);
    unsigned char *attempts = ledger_attempts(amounts->folder, ids_max);
    if (attempts == NULL ||
        ledger_open(&scene->host, amounts->folder, "host.log") < 0 ||
        ledger_open(&scene->client, amounts->folder, "client.log") < 0) {
        perror(amounts->folder);
        exit(1);
    }
    ledger_attempts_close(attempts, ids_max);
    if (sp_set_allocator(counted_malloc, counted_realloc, counted_free) < 0) {
        scene_fail("the allocator is refused", NULL);
    }
    ledger_note(&scene->host, "seed", "%llu", (unsigned long long)amounts->seed);
    sp_pool_options pool = scene_pool(scene);
    sp_pit_close(open_pit(scene, &pool));
    count_all(before_open);
    note_counts(scene, "before", "closed", before_open);
    ledger_note(&scene->host, "before", "bytes %lld", (long long)scene_bytes());
}

void scene_close(struct scene *scene)
{
    if (scene->cgroup[0] != '\0') {
        (void)rmdir(scene->cgroup);
    }
    ledger_close(&scene->host);
    ledger_close(&scene->client);
}

void scene_pit_open(struct scene *scene, const sp_pool_options *pool)
{
    scene->pit = open_pit(scene, pool);
    scene_dispatch(scene, 0);
    count_all(when_ready);
}

void scene_dispatch(struct scene *scene, uint64_t ms)
{
    if (scene->pit == NULL) {
        (void)poll(NULL, 0, (int)ms); /* nothing to be woken by */
    } else if (sp_pit_dispatch(scene->pit, ms, NULL) > 0) {
        while (sp_pit_dispatch(scene->pit, 0, NULL) > 0) {
        }
    }
}

sp_pool_stats scene_stats(const struct scene *scene)
{
    sp_pool_stats stats = {0};
    sp_error err = {0};
    if (sp_pool_stats_get(scene->pit, NULL, &stats, &err) < 0) {
        scene_fail("the pool has no statistics", &err);
    }
    return stats;
}

void scene_heal(struct scene *scene)
{
    int64_t now[COUNTS];
    sp_worker_info workers[256];
    unsigned found = 0;
    uint64_t start_us = ledger_now_us();
    sp_pool_stats stats = scene_stats(scene);
    while (
        (stats.queued > 0 || stats.available != stats.workers || stats.draining > 0) &&
        ledger_now_us() - start_us < HEAL_MS * 1000u) {
        scene_dispatch(scene, 5);
        stats = scene_stats(scene);
    }
    ledger_note(&scene->host, "live", "%u %u %u %llu", stats.queued, stats.available,
                stats.workers,
                (unsigned long long)((ledger_now_us() - start_us) / 1000u));
    settle(scene, now, when_ready);
    note_counts(scene, "before", "open", when_ready);
    note_counts(scene, "after", "open", now);
    /* A worker may say that it is ready before the guard's word of its pid is read. */
    for (uint64_t tries = 0; found != stats.workers && tries < SETTLE_MS / 10;
         tries++) {
        int n = sp_pool_workers_get(scene->pit, NULL, workers, 256, NULL);
        found = 0;
        for (int i = 0; i < n && i < 256; i++) {
            found += processes_exists(workers[i].pid) != 0;
        }
        if (found != stats.workers) {
            scene_dispatch(scene, 10);
        }
    }
    ledger_note(&scene->host, "alive", "%u %u", stats.workers, found);
}

static void note_closed(struct scene *scene)
{
    int64_t now[COUNTS];
    scene->pit = NULL;
    settle(scene, now, before_open);
    note_counts(scene, "after", "closed", now);
    ledger_note(&scene->host, "after", "bytes %lld", (long long)scene_bytes());
}

void scene_pit_close(struct scene *scene)
{
    scene_dispatch(scene, 0);
    sp_pit_close(scene->pit);
    note_closed(scene);
}

uint64_t scene_pit_shutdown(struct scene *scene, uint64_t timeout_ms)
{
    scene_dispatch(scene, 0);
    uint64_t start_us = ledger_now_us();
    (void)sp_pit_shutdown(scene->pit, timeout_ms, NULL);
    uint64_t took_us = ledger_now_us() - start_us;
    note_closed(scene);
    return took_us;
}

void scene_print_sample(const struct scene *scene)
{
    int64_t now[COUNTS];
    count_all(now);
    (void)printf(
        "  %lld descriptors, %lld threads, %lld processes, %lld bytes, resident "
        "%zu KiB\n",
        (long long)now[0], (long long)now[1], (long long)now[3],
        (long long)scene_bytes(), processes_resident_bytes() / 1024);
    (void)fflush(stdout);
}

void scene_expect_answer(const struct scene *scene, const char *kind, int code)
{
    ledger_note(&scene->host, "expect", "answer %s %s", kind, sp_error_name(code));
}

void scene_expect_event(const struct scene *scene, int kind)
{
    ledger_note(&scene->host, "expect", "event %s", sp_event_name(kind));
}
