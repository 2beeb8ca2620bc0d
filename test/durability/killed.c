/* SPDX-License-Identifier: MIT */
/*
 * Hosts killed while they store: what was acknowledged must be there.
 *
 *     durability_killed FOLDER ROUNDS THREADS [SEED]
 *
 * Each round a process opens the state, its threads change sessions of their own, and it
 * is killed with SIGKILL after a drawn number of acknowledged changes. A thread notes in
 * shared memory what it tries and what was acknowledged. Then the state is opened here:
 *
 *   every counter is at least what was acknowledged, at most what was tried
 *   two variables that are always set together are equal
 *   a session whose creation was acknowledged is there, one whose deletion was is not
 *   SQLite's integrity_check finds nothing
 *
 * Even rounds are of class crash, odd ones durable. The last line is one of figures; the
 * exit status is 0 when nothing was lost.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snakepit/snakepit.h"

enum {
    THREADS_MAX = 64,
    BEAT = 20,       /* acknowledged changes for one byte to the parent */
    BEATS_MAX = 250, /* of a round */
    RENEWAL = 7,     /* changes of a counter between two of the session beside it */
    CLASSES = 2
};

/* Of one thread, shared by the generations. */
struct ledger {
    atomic_long tried;
    atomic_long acked;
    atomic_long born; /* session "x<thread>-<n>": the last whose creation... */
    atomic_long born_tried;
    atomic_long buried; /* ...and deletion was acknowledged */
    atomic_long buried_tried;
};

static struct ledger *ledgers; /* CLASSES * THREADS_MAX */
static atomic_long *acked_total;
static const char *folder;
static int threads_count;
static uint64_t seed;
static int beat_fd;

static uint64_t draw(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "durability_killed: %s: %s\n", what, why);
    exit(2);
}

static struct ledger *ledger_at(int class, int thread)
{
    return &ledgers[class * THREADS_MAX + thread];
}

static void name_session(char id[64], const char *kind, int class, int thread, long n)
{
    (void)snprintf(id, 64, "%s%s%d-%ld", kind, class == 0 ? "c" : "d", thread, n);
}

/* ---- the host ---- */

static sp_sessions *set;
static int class_now;

static void beat(void)
{
    if (atomic_fetch_add(acked_total, 1) % BEAT == 0) {
        (void)!write(beat_fd, "", 1);
    }
}

static int create(const char *id)
{
    sp_session_options options = {.size = sizeof options,
                                  .durability = class_now == 0 ? SP_DURABILITY_CRASH
                                                               : SP_DURABILITY_DURABLE,
                                  .or_get = 1};
    return sp_session_create(set, id, &options, NULL);
}

static void count_up(const char *id, struct ledger *ledger)
{
    char value[24];
    long next = atomic_load(&ledger->acked) + 1;
    if (next <= atomic_load(&ledger->tried)) {
        next = atomic_load(&ledger->tried) + 1; /* the last generation's may be there */
    }
    (void)snprintf(value, sizeof value, "%ld", next);
    sp_variable_update updates[] = {{.name = "a", .value = value},
                                    {.name = "b", .value = value}};
    atomic_store(&ledger->tried, next);
    if (sp_variables_set(set, id, updates, 2, 1, NULL, NULL) < 0) {
        _exit(3);
    }
    atomic_store(&ledger->acked, next);
    beat();
}

/* One session is born for each that is buried. */
static void renew(int thread, struct ledger *ledger)
{
    char id[64];
    long next = atomic_load(&ledger->born_tried) + 1;
    long last = atomic_load(&ledger->born);
    name_session(id, "x", class_now, thread, next);
    atomic_store(&ledger->born_tried, next);
    if (create(id) < 0) {
        _exit(3);
    }
    atomic_store(&ledger->born, next);
    beat();
    if (last > 0) {
        name_session(id, "x", class_now, thread, last);
        atomic_store(&ledger->buried_tried, last);
        int rc = sp_session_delete(set, id, NULL);
        if (rc < 0 && rc != SP_ERR_NOT_FOUND) {
            _exit(3);
        }
        atomic_store(&ledger->buried, last);
        beat();
    }
}

static void *work(void *user)
{
    char id[64];
    int thread = (int)(intptr_t)user;
    struct ledger *ledger = ledger_at(class_now, thread);
    name_session(id, "s", class_now, thread, 0);
    if (create(id) < 0) {
        _exit(3);
    }
    (void)sp_variable_register(set, id, "a", "integer", "0", NULL, NULL, NULL);
    (void)sp_variable_register(set, id, "b", "integer", "0", NULL, NULL, NULL);
    for (long i = 0;; i++) {
        if (i % RENEWAL == 0) {
            renew(thread, ledger);
        }
        count_up(id, ledger);
    }
    return NULL;
}

static void be_host(void)
{
    pthread_t threads[THREADS_MAX];
    sp_error err = {0};
    sp_sessions_options options = {
        .size = sizeof options, .path = folder, .ttl_ms = SP_UNLIMITED};
    if (sp_sessions_open(&options, &set, &err) < 0) {
        give_up("the host", err.message);
    }
    for (int i = 0; i < threads_count; i++) {
        if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) != 0) {
            give_up("the host", "no thread");
        }
    }
    (void)pthread_join(threads[0], NULL); /* never */
    _exit(3);
}

/* Start a host and kill it. */
static void kill_one(void)
{
    int ends[2];
    char byte;
    if (pipe(ends) < 0) {
        give_up("pipe", strerror(errno));
    }
    long beats = 1 + (long)draw(BEATS_MAX);
    pid_t host = fork();
    if (host < 0) {
        give_up("fork", strerror(errno));
    }
    if (host == 0) {
        (void)close(ends[0]);
        beat_fd = ends[1];
        be_host();
    }
    (void)close(ends[1]);
    while (beats > 0 && read(ends[0], &byte, 1) == 1) {
        beats--;
    }
    if (beats > 0) {
        give_up("the host", "ended by itself");
    }
    for (uint64_t i = draw(200); i > 0; i--) {
        (void)sched_yield();
    }
    int status;
    (void)kill(host, SIGKILL);
    if (waitpid(host, &status, 0) != host || !WIFSIGNALED(status)) {
        give_up("the host", "was not killed");
    }
    (void)close(ends[0]);
}

/* ---- the judge ---- */

static long lost;
static long torn;

static void complain(long *count, const char *id, const char *what, long is,
                     long wanted)
{
    (*count)++;
    fprintf(stderr, "durability_killed: %s: %s is %ld, acknowledged or tried %ld\n", id,
            what, is, wanted);
}

static long value_of(const char *id, const char *name)
{
    sp_variable variable;
    if (sp_variable_get(set, id, name, &variable, NULL) < 0) {
        return 0;
    }
    long value = strtol(variable.value, NULL, 10);
    sp_variable_clear(&variable);
    return value;
}

static void judge_thread(int class, int thread)
{
    char id[64];
    struct ledger *ledger = ledger_at(class, thread);
    name_session(id, "s", class, thread, 0);
    long a = value_of(id, "a");
    long b = value_of(id, "b");
    if (a < atomic_load(&ledger->acked)) {
        complain(&lost, id, "a", a, atomic_load(&ledger->acked));
    }
    if (a > atomic_load(&ledger->tried)) {
        complain(&torn, id, "a", a, atomic_load(&ledger->tried));
    }
    if (a != b) {
        complain(&torn, id, "b", b, a);
    }
    long born = atomic_load(&ledger->born);
    name_session(id, "x", class, thread, born);
    if (born > atomic_load(&ledger->buried_tried) && !sp_session_exists(set, id)) {
        complain(&lost, id, "session", 0, born);
    }
    long buried = atomic_load(&ledger->buried);
    name_session(id, "x", class, thread, buried);
    if (buried > 0 && sp_session_exists(set, id)) {
        complain(&lost, id, "deletion", 1, buried);
    }
}

static int is_whole(void)
{
    char path[600];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    (void)snprintf(path, sizeof path, "%s/state.db", folder);
    int whole = sqlite3_open(path, &db) == SQLITE_OK &&
                sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement,
                                   NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW &&
                strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return whole;
}

/* 1 when the file is whole. */
static int judge(int class)
{
    sp_error err = {0};
    sp_sessions_options options = {
        .size = sizeof options, .path = folder, .ttl_ms = SP_UNLIMITED};
    if (sp_sessions_open(&options, &set, &err) < 0) {
        fprintf(stderr, "durability_killed: not opened: %s\n", err.message);
        return 0;
    }
    for (int i = 0; i < threads_count; i++) {
        judge_thread(class, i);
    }
    sp_sessions_close(set);
    return is_whole();
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        give_up("usage", "durability_killed FOLDER ROUNDS THREADS [SEED]");
    }
    folder = argv[1];
    long rounds = strtol(argv[2], NULL, 10);
    threads_count = (int)strtol(argv[3], NULL, 10);
    seed = argc > 4 ? strtoull(argv[4], NULL, 10) : (uint64_t)getpid();
    if (threads_count < 1 || threads_count > THREADS_MAX) {
        give_up("usage", "1 to 64 threads");
    }
    uint64_t first_seed = seed;
    size_t size = sizeof(struct ledger) * CLASSES * THREADS_MAX + sizeof *acked_total;
    void *shared =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        give_up("mmap", strerror(errno));
    }
    acked_total = shared;
    ledgers = (struct ledger *)(void *)(acked_total + 1);
    long whole = 0;
    for (long round = 0; round < rounds; round++) {
        class_now = (int)(round % CLASSES);
        kill_one();
        whole += judge(class_now);
    }
    printf("killed: rounds=%ld threads=%d seed=%llu acknowledged=%ld lost=%ld torn=%ld "
           "whole=%ld/%ld\n",
           rounds, threads_count, (unsigned long long)first_seed,
           atomic_load(acked_total), lost, torn, whole, rounds);
    return lost == 0 && torn == 0 && whole == rounds ? 0 : 1;
}
