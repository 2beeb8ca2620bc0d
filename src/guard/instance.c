/* SPDX-License-Identifier: MIT */
/*
 * An instance: its lock, its registry, and the order in which a host takes it.
 *
 * Lock, row of the host, sweep, serve. The lock is a flock() on the instance's folder
 * itself: nobody can delete it by deleting a file, cleaners of temporary folders respect
 * it, and it ends with the last process that has it, in whatever way. The guard shares
 * it, so it outlives a killed host until the guard has ended what it knows of. That is
 * not the end of all: the kernel closes a dying init's files before it ends the processes
 * of its namespace. Hence the sweep, which waits for every process of the dead run.
 *
 * A taken lock means one of three things. The host in the registry lives: refused at
 * once, with its name. It is dead: its guards get a moment to end by themselves, then
 * they are ended, and when the lock does not become free even so (somebody else has a
 * copy of it), the start is refused. No host is written yet: another one has just taken
 * the lock, and is waited for until it has written its row.
 *
 * host.json beside the registry is for people and scripts; nothing here reads it.
 */
#include "guard/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum {
    GUARD_GRACE_MS = 2000,
    LIMIT_MS = 10000,
    CLOSE_LIMIT_MS = 1000,
    TURN_MS = 10,   /* between two tries for the lock */
    TRIES_MAX = 100 /* for a folder that is removed again and again under our hands */
};

static const char registry_file[] = "registry";
static const char host_file[] = "host.json";
static const char host_file_new[] = "host.json.new";

struct instance {
    struct folder folder;
    int registry_fd;
    pthread_mutex_t lock; /* of the rows, while it is ours */
    struct registry registry;
    int begun; /* what older runs left has ended */
    char mark[MARK_MAX];
};

/* ---- who has it ---- */

enum host_life { HOST_NONE, HOST_ALIVE, HOST_DEAD, HOST_UNKNOWN };

static enum host_life life_of(const struct row *host, const struct left_query *query)
{
    struct process now;
    if (host->state != ROW_ACTIVE) {
        return HOST_NONE;
    }
    if (memcmp(host->boot, query->run.boot, RUN_ID_BYTES) != 0) {
        return HOST_DEAD;
    }
    if (host->pid_space != query->run.pid_space) {
        return HOST_UNKNOWN;
    }
    int pidfd = sp__process_open(host->process.pid);
    int there = sp__process_look(host->process.pid, pidfd, &now) == 0;
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    return there && sp__process_compare(&host->process, &now.id) != 0 ? HOST_ALIVE
                                                                      : HOST_DEAD;
}

/* "2026-11-26 10:00:00 UTC" */
static const char *format_time(uint64_t unix_ms, char text[32])
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
        (void)snprintf(text, 32, "?");
    }
    return text;
}

static int refuse(const struct folder *folder, const struct row *host,
                  enum host_life life, uint64_t waited_ms, sp_error *err)
{
    char since[32];
    switch (life) {
    case HOST_ALIVE:
        return sp__fail(err, SP_ERR_IN_USE,
                        "instance %s is in use by %s (pid %d, snakepit %s) since %s",
                        folder->name, host->name, (int)host->process.pid, host->version,
                        format_time(host->since_unix_ms, since));
    case HOST_UNKNOWN:
        return sp__fail(
            err, SP_ERR_IN_USE,
            "instance %s is in use by %s (pid %d in another space of process "
            "numbers) since %s",
            folder->name, host->name, (int)host->process.pid,
            format_time(host->since_unix_ms, since));
    case HOST_DEAD:
        return sp__fail(err, SP_ERR_IN_USE,
                        "instance %s: its host %s (pid %d) is dead, yet %s was still "
                        "locked after %llu ms; a copy of its descriptor is open "
                        "somewhere",
                        folder->name, host->name, (int)host->process.pid, folder->path,
                        (unsigned long long)waited_ms);
    case HOST_NONE:
        break;
    }
    return sp__fail(
        err, SP_ERR_IN_USE,
        "instance %s: %s was still locked after %llu ms, by somebody who left "
        "no record",
        folder->name, folder->path, (unsigned long long)waited_ms);
}

/* ---- the query ---- */

static int init_query(struct left_query *query, sp_error *err)
{
    *query = (struct left_query){.uid = geteuid(), .self = getpid()};
    query->run.pid_space = sp__pid_space();
    return sp__boot_id(query->run.boot, err);
}

/* The instance's id, from any row that can be read. 1 when there is one. */
static int find_id(const struct row *rows, size_t count, uint8_t id[RUN_ID_BYTES])
{
    for (size_t i = 0; i < count; i++) {
        if (sp__row_check(&rows[i], (uint32_t)i) == ROW_GOOD) {
            memcpy(id, rows[i].instance, RUN_ID_BYTES);
            return 1;
        }
    }
    return 0;
}

static int read_rows(const struct folder *folder, struct row **ret, size_t *ret_count,
                     sp_error *err)
{
    *ret = NULL;
    *ret_count = 0;
    int fd = openat(folder->fd, registry_file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return SP_OK;
    }
    if (fd < 0) {
        return sp__fail_errno(err, errno, "open %s/%s", folder->path, registry_file);
    }
    int rc = sp__registry_read(fd, ret, ret_count, err);
    (void)close(fd);
    return rc;
}

void sp__instance_sight_fini(struct instance_sight *sight)
{
    sp__free(sight->rows);
    sight->rows = NULL;
}

/* 1 when somebody has the lock. Taken for a moment when nobody has. */
static int is_locked(const struct folder *folder)
{
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    int locked = flock(fd, LOCK_SH | LOCK_NB) != 0;
    (void)close(fd);
    return locked;
}

static enum host_life examine(struct instance_sight *sight)
{
    for (size_t i = 0; i < sight->rows_count; i++) {
        const struct row *row = &sight->rows[i];
        enum row_sight seen = sp__row_check(row, (uint32_t)i);
        sight->bad += seen == ROW_BAD;
        if (seen == ROW_GOOD) {
            sight->workers += row->kind == ROW_WORKER && row->state == ROW_ACTIVE;
            sight->host = i == 0 ? *row : sight->host;
        }
    }
    (void)find_id(sight->rows, sight->rows_count, sight->query.run.mark.instance);
    enum host_life life = life_of(&sight->host, &sight->query);
    if (life == HOST_ALIVE || life == HOST_UNKNOWN) {
        memcpy(sight->query.run.mark.run, sight->host.run, RUN_ID_BYTES);
    }
    return life;
}

int sp__instance_look(const struct folder *folder, struct instance_sight *ret,
                      sp_error *err)
{
    *ret = (struct instance_sight){.state = INSTANCE_FREE};
    int rc = init_query(&ret->query, err);
    if (rc == SP_OK) {
        rc = read_rows(folder, &ret->rows, &ret->rows_count, err);
    }
    if (rc < 0) {
        return rc;
    }
    enum host_life life = examine(ret);
    ret->locked = is_locked(folder);
    if (life == HOST_DEAD || (life == HOST_NONE && ret->locked)) {
        ret->state = INSTANCE_ABANDONED;
    } else if (life != HOST_NONE) {
        ret->state = INSTANCE_HELD;
    }
    return SP_OK;
}

/* ---- taking it ---- */

/* The lock is somebody's: 1 to try again, a moment having passed, or an error. */
static int wait_turn(const struct folder *folder,
                     const struct instance_options *options, uint64_t begun_ms,
                     sp_error *err)
{
    struct instance_sight sight = {0};
    int rc = init_query(&sight.query, err);
    if (rc == SP_OK) {
        rc = read_rows(folder, &sight.rows, &sight.rows_count, err);
    }
    if (rc < 0) {
        return rc;
    }
    enum host_life life = examine(&sight);
    uint64_t waited_ms = sp__now_ms() - begun_ms;
    if (life == HOST_ALIVE || life == HOST_UNKNOWN || waited_ms >= options->limit_ms) {
        rc = refuse(folder, &sight.host, life, waited_ms, err);
    } else if (life == HOST_DEAD && waited_ms >= options->guard_grace_ms) {
        rc = sp__sweep_guards(&sight.query, sight.rows, sight.rows_count,
                              sight.host.run, err);
    }
    sp__instance_sight_fini(&sight);
    if (rc >= 0) {
        (void)poll(NULL, 0, TURN_MS);
    }
    return rc < 0 ? rc : 1;
}

/* 0: it is ours. 1: to be tried again. Else an error. */
static int try_lock(const struct instance_options *options, uint64_t begun_ms,
                    struct folder *folder, sp_error *err)
{
    if (flock(folder->fd, LOCK_EX | LOCK_NB) == 0) {
        return sp__folder_is_current(folder) ? SP_OK : 1;
    }
    if (errno != EWOULDBLOCK) {
        return sp__fail_errno(err, errno, "lock %s", folder->path);
    }
    return wait_turn(folder, options, begun_ms, err);
}

static int take_lock(const struct instance_options *options, struct folder *ret,
                     sp_error *err)
{
    uint64_t begun_ms = sp__now_ms();
    for (unsigned tries = 0;; tries++) {
        int rc = sp__folder_open(options->runtime_dir, options->name, 1, ret, err);
        if (rc == SP_ERR_SYSTEM && err->os_errno == ENOENT && tries < TRIES_MAX) {
            continue; /* its host, or that of a neighbour, has just removed it */
        }
        if (rc == SP_OK) {
            rc = try_lock(options, begun_ms, ret, err);
        }
        if (rc <= 0) {
            return rc;
        }
        sp__folder_close(ret);
    }
}

static int make_id(uint8_t id[RUN_ID_BYTES], sp_error *err)
{
    if (getrandom(id, RUN_ID_BYTES, 0) != RUN_ID_BYTES) {
        return sp__fail_errno(err, errno, "random bytes for a run");
    }
    return SP_OK;
}

/* {"pid":1,"program":"snakepitd",...}, for whoever asks. Losing it costs nothing. */
static void write_host_file(const struct instance *instance)
{
    const struct row *host = &instance->registry.rows[0];
    char text[1024];
    char since[32];
    char run[2 * RUN_ID_BYTES + 1];
    char boot[2 * RUN_ID_BYTES + 1];
    char program[sizeof host->name];
    sp__id_format(host->run, run);
    sp__id_format(host->boot, boot);
    (void)snprintf(program, sizeof program, "%s", host->name);
    for (char *c = program; *c != '\0'; c++) {
        *c = *c < ' ' || *c == '"' || *c == '\\' || *c == 127 ? '?' : *c;
    }
    int n = snprintf(text, sizeof text,
                     "{\"instance\":\"%s\",\"pid\":%d,\"start_ticks\":%llu,"
                     "\"program\":\"%s\",\"version\":\"%s\",\"since\":\"%s\","
                     "\"boot_id\":\"%s\",\"run\":\"%s\"}\n",
                     instance->folder.name, (int)host->process.pid,
                     (unsigned long long)host->process.start_ticks, program,
                     host->version, format_time(host->since_unix_ms, since), boot, run);
    int fd = openat(instance->folder.fd, host_file_new,
                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return;
    }
    int whole = write(fd, text, (size_t)n) == n;
    (void)close(fd);
    if (!whole || renameat(instance->folder.fd, host_file_new, instance->folder.fd,
                           host_file) != 0) {
        (void)unlinkat(instance->folder.fd, host_file_new, 0);
    }
}

/* With the lock: the registry, the new run's name in it, and the end of the old ones. */
static int begin_run(struct instance *instance, const struct instance_options *options,
                     sp_error *err)
{
    struct left_query query;
    struct row *rows = NULL;
    size_t count = 0;
    int rc = init_query(&query, err);
    if (rc == SP_OK) {
        rc = make_id(query.run.mark.run, err);
    }
    if (rc < 0) {
        return rc;
    }
    instance->registry_fd = openat(instance->folder.fd, registry_file,
                                   O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (instance->registry_fd < 0) {
        return sp__fail_errno(err, errno, "open %s/%s", instance->folder.path,
                              registry_file);
    }
    rc = sp__registry_read(instance->registry_fd, &rows, &count, err);
    if (rc == SP_OK && !find_id(rows, count, query.run.mark.instance)) {
        rc = make_id(query.run.mark.instance, err);
    }
    if (rc < 0) {
        sp__free(rows);
        return rc;
    }
    rc = sp__registry_take(&instance->registry, instance->registry_fd, &query.run, rows,
                           count, err);
    if (rc == SP_OK) {
        sp__mark_format(options->name, &query.run.mark, instance->mark);
        write_host_file(instance);
        rc = sp__sweep(&query, instance->registry.rows, instance->registry.rows_count,
                       options->limit_ms, options->on_left, options->user, err);
    }
    if (rc == SP_OK) {
        rc = sp__registry_clear(&instance->registry, 0, err);
    }
    instance->begun = rc == SP_OK;
    return rc;
}

int sp__instance_open(const struct instance_options *options, struct instance **ret,
                      sp_error *err)
{
    struct instance_options full = *options;
    full.guard_grace_ms =
        full.guard_grace_ms == 0 ? GUARD_GRACE_MS : full.guard_grace_ms;
    full.limit_ms = full.limit_ms == 0 ? LIMIT_MS : full.limit_ms;
    struct instance *instance = sp__calloc(1, sizeof *instance);
    if (instance == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for instance %s", options->name);
    }
    instance->registry_fd = -1;
    instance->registry.fd = -1;
    (void)pthread_mutex_init(&instance->lock, NULL);
    sp_error failure = {0};
    int rc = take_lock(&full, &instance->folder, &failure);
    if (rc == SP_OK) {
        rc = begin_run(instance, &full, &failure);
    }
    if (rc < 0) {
        sp__instance_close(instance);
        if (err != NULL) {
            sp_error_move(err, &failure);
        }
        return rc;
    }
    sp_error_clear(&failure);
    *ret = instance;
    return SP_OK;
}

/* ---- while it is ours ---- */

int sp__instance_lock(const struct instance *instance)
{
    return instance->folder.fd;
}

const char *sp__instance_mark(const struct instance *instance)
{
    return instance->mark;
}

int sp__instance_reserve(struct instance *instance, enum row_kind kind, uint64_t number,
                         const char *name, sp_error *err)
{
    (void)pthread_mutex_lock(&instance->lock);
    int rc = sp__registry_reserve(&instance->registry, kind, number, name, err);
    (void)pthread_mutex_unlock(&instance->lock);
    return rc;
}

int sp__instance_activate(struct instance *instance, enum row_kind kind,
                          uint64_t number, int pid, int pidfd, sp_error *err)
{
    struct process process;
    if (sp__process_look(pid, pidfd, &process) != 0) {
        return SP_OK; /* it has ended already, and will be freed */
    }
    (void)pthread_mutex_lock(&instance->lock);
    int rc = sp__registry_activate(&instance->registry, kind, number, &process.id, err);
    (void)pthread_mutex_unlock(&instance->lock);
    return rc;
}

void sp__instance_free(struct instance *instance, enum row_kind kind, uint64_t number)
{
    (void)pthread_mutex_lock(&instance->lock);
    sp__registry_free(&instance->registry, kind, number);
    (void)pthread_mutex_unlock(&instance->lock);
}

int sp__instance_sweep(struct instance *instance, uint64_t limit_ms, sweep_cb *on_left,
                       void *user, sp_error *err)
{
    struct left_query query;
    int rc = init_query(&query, err);
    if (rc < 0) {
        return rc;
    }
    memcpy(query.run.mark.instance, instance->registry.run.mark.instance, RUN_ID_BYTES);
    /* Nobody has a process that would have to be noted meanwhile. */
    (void)pthread_mutex_lock(&instance->lock);
    rc = sp__sweep(&query, instance->registry.rows, instance->registry.rows_count,
                   limit_ms, on_left, user, err);
    if (rc == SP_OK) {
        rc = sp__registry_clear(&instance->registry, 1, err);
    }
    (void)pthread_mutex_unlock(&instance->lock);
    return rc;
}

/* ---- giving it back ---- */

/* Whatever the guard could not report any more has ended, or does now. */
static void end_rest(struct instance *instance)
{
    if (!sp__registry_is_empty(&instance->registry) &&
        sp__instance_sweep(instance, CLOSE_LIMIT_MS, NULL, NULL, NULL) < 0) {
        return; /* the rows stay for the next start */
    }
}

void sp__instance_close(struct instance *instance)
{
    if (instance == NULL) {
        return;
    }
    if (instance->begun) {
        end_rest(instance);
    }
    if (instance->registry.rows != NULL) {
        int folder = instance->folder.fd;
        sp__registry_leave(&instance->registry);
        (void)unlinkat(folder, host_file, 0);
        if (sp__registry_is_empty(&instance->registry)) {
            (void)unlinkat(folder, registry_file, 0);
            sp__folder_remove(&instance->folder);
        }
    }
    sp__registry_fini(&instance->registry);
    if (instance->registry_fd >= 0) {
        (void)close(instance->registry_fd);
    }
    sp__folder_close(&instance->folder);
    (void)pthread_mutex_destroy(&instance->lock);
    sp__free(instance);
}
