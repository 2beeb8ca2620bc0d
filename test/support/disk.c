/* SPDX-License-Identifier: MIT */
/*
 * The layer is a VFS of SQLite whose files hold the real ones behind them. It has no
 * shared memory: the store opens its file alone, and SQLite then needs none.
 *
 * An image starts with what each file was at its last sync. The writes since then are
 * shuffled; of each a drawn part is applied, sector by sector. A file that was not synced
 * since it was made may be missing; a deletion without a sync of the folder may not have
 * happened.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES_MAX = 8, SECTOR = 512, NAME_MAX_BYTES = 64 };

enum kind { EVENT_WRITE, EVENT_SYNC, EVENT_TRUNCATE, EVENT_DELETE };

struct event {
    enum kind kind;
    int file;
    int64_t at; /* write: offset; truncation: size */
    int size;
    int synced; /* deletion: with the folder */
    unsigned char *bytes;
};

struct disk_file {
    sqlite3_file base;
    int number;   /* among the names; -1: none of ours */
    int os_errno; /* of the last fault */
    sqlite3_file *real;
};

static sqlite3_vfs *parent;
static sqlite3_vfs layer;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under it. */
static uint64_t counts[DISK_OPS];
static uint64_t fail_at[DISK_OPS];
static int fail_sticky;
static enum disk_fault fail_how;
static int failed;
static char names[FILES_MAX][NAME_MAX_BYTES];
static int names_count;
static int recording;
static struct event *events;
static size_t events_count;
static size_t events_max;

static void give_up(const char *why)
{
    fprintf(stderr, "disk: %s\n", why);
    abort();
}

/* ---- faults ---- */

void disk_fail(enum disk_op op, uint64_t n, int sticky, enum disk_fault fault)
{
    (void)pthread_mutex_lock(&lock);
    memset(fail_at, 0, sizeof fail_at);
    fail_at[op] = n == 0 ? 0 : counts[op] + n;
    fail_sticky = sticky;
    fail_how = fault;
    failed = n == 0 && failed;
    (void)pthread_mutex_unlock(&lock);
}

int disk_has_failed(void)
{
    (void)pthread_mutex_lock(&lock);
    int has = failed;
    (void)pthread_mutex_unlock(&lock);
    return has;
}

/* Whether this one fails, and how. */
static int is_due(enum disk_op op, enum disk_fault *ret_fault)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t count = ++counts[op];
    int due = fail_at[op] != 0 &&
              (count == fail_at[op] || (fail_sticky && count > fail_at[op]));
    *ret_fault = fail_how;
    failed |= due;
    (void)pthread_mutex_unlock(&lock);
    return due;
}

/* ---- recording ---- */

static int number_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    for (int i = 0; i < names_count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    if (names_count == FILES_MAX) {
        give_up("too many files");
    }
    (void)snprintf(names[names_count], NAME_MAX_BYTES, "%s", name);
    return names_count++;
}

static void note(struct event event, const void *bytes)
{
    (void)pthread_mutex_lock(&lock);
    if (recording && event.file >= 0) {
        if (events_count == events_max) {
            events_max = events_max == 0 ? 1024 : events_max * 2;
            events = realloc(events, events_max * sizeof *events);
        }
        if (bytes != NULL) {
            event.bytes = malloc((size_t)event.size);
            if (event.bytes != NULL) {
                memcpy(event.bytes, bytes, (size_t)event.size);
            }
        }
        if (events == NULL || (bytes != NULL && event.bytes == NULL)) {
            give_up("no memory");
        }
        events[events_count++] = event;
    }
    (void)pthread_mutex_unlock(&lock);
}

void disk_record(void)
{
    (void)pthread_mutex_lock(&lock);
    recording = 1;
    (void)pthread_mutex_unlock(&lock);
}

void disk_stop(void)
{
    (void)pthread_mutex_lock(&lock);
    recording = 0;
    (void)pthread_mutex_unlock(&lock);
}

void disk_forget(void)
{
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < events_count; i++) {
        free(events[i].bytes);
    }
    free(events);
    events = NULL;
    events_count = events_max = 0;
    recording = 0;
    names_count = 0;
    (void)pthread_mutex_unlock(&lock);
}

size_t disk_moment(void)
{
    (void)pthread_mutex_lock(&lock);
    size_t moment = events_count;
    (void)pthread_mutex_unlock(&lock);
    return moment;
}

/* ---- the layer ---- */

static struct disk_file *file_of(sqlite3_file *base)
{
    return (struct disk_file *)(void *)base;
}

static int close_cb(sqlite3_file *base)
{
    struct disk_file *file = file_of(base);
    return file->real->pMethods->xClose(file->real);
}

static int read_cb(sqlite3_file *base, void *bytes, int size, sqlite3_int64 at)
{
    struct disk_file *file = file_of(base);
    return file->real->pMethods->xRead(file->real, bytes, size, at);
}

static int write_cb(sqlite3_file *base, const void *bytes, int size, sqlite3_int64 at)
{
    struct disk_file *file = file_of(base);
    enum disk_fault fault;
    if (is_due(DISK_WRITE, &fault)) {
        if (fault == DISK_SHORT && size > 1) {
            (void)file->real->pMethods->xWrite(file->real, bytes, size / 2, at);
        }
        file->os_errno = fault == DISK_EIO ? EIO : 0; /* as unix files have it */
        return fault == DISK_EIO ? SQLITE_IOERR_WRITE : SQLITE_FULL;
    }
    int rc = file->real->pMethods->xWrite(file->real, bytes, size, at);
    if (rc == SQLITE_OK) {
        note(
            (struct event){
                .kind = EVENT_WRITE, .file = file->number, .at = at, .size = size},
            bytes);
    }
    return rc;
}

static int truncate_cb(sqlite3_file *base, sqlite3_int64 size)
{
    struct disk_file *file = file_of(base);
    int rc = file->real->pMethods->xTruncate(file->real, size);
    if (rc == SQLITE_OK) {
        note((struct event){.kind = EVENT_TRUNCATE, .file = file->number, .at = size},
             NULL);
    }
    return rc;
}

static int sync_cb(sqlite3_file *base, int flags)
{
    struct disk_file *file = file_of(base);
    enum disk_fault fault;
    if (is_due(DISK_SYNC, &fault)) {
        file->os_errno = fault == DISK_EIO ? EIO : ENOSPC;
        return SQLITE_IOERR_FSYNC;
    }
    int rc = file->real->pMethods->xSync(file->real, flags);
    if (rc == SQLITE_OK) {
        note((struct event){.kind = EVENT_SYNC, .file = file->number}, NULL);
    }
    return rc;
}

static int size_cb(sqlite3_file *base, sqlite3_int64 *ret_size)
{
    struct disk_file *file = file_of(base);
    return file->real->pMethods->xFileSize(file->real, ret_size);
}

static int lock_cb(sqlite3_file *base, int level)
{
    struct disk_file *file = file_of(base);
    return file->real->pMethods->xLock(file->real, level);
}

static int unlock_cb(sqlite3_file *base, int level)
{
    struct disk_file *file = file_of(base);
    return file->real->pMethods->xUnlock(file->real, level);
}

static int check_lock_cb(sqlite3_file *base, int *ret_locked)
{
    struct disk_file *file = file_of(base);
    return file->real->pMethods->xCheckReservedLock(file->real, ret_locked);
}

static int control_cb(sqlite3_file *base, int op, void *arg)
{
    struct disk_file *file = file_of(base);
    if (op == SQLITE_FCNTL_LAST_ERRNO) {
        *(int *)arg = file->os_errno;
        return SQLITE_OK;
    }
    return file->real->pMethods->xFileControl(file->real, op, arg);
}

static int sector_cb(sqlite3_file *base)
{
    struct disk_file *file = file_of(base);
    return file->real->pMethods->xSectorSize(file->real);
}

/* None of the promises a real disk may make: nothing is atomic, nothing in order. */
static int traits_cb(sqlite3_file *base)
{
    (void)base;
    return 0;
}

static const sqlite3_io_methods METHODS = {
    .iVersion = 1,
    .xClose = close_cb,
    .xRead = read_cb,
    .xWrite = write_cb,
    .xTruncate = truncate_cb,
    .xSync = sync_cb,
    .xFileSize = size_cb,
    .xLock = lock_cb,
    .xUnlock = unlock_cb,
    .xCheckReservedLock = check_lock_cb,
    .xFileControl = control_cb,
    .xSectorSize = sector_cb,
    .xDeviceCharacteristics = traits_cb,
};

static int open_cb(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags,
                   int *ret_flags)
{
    struct disk_file *file = file_of(base);
    (void)vfs;
    file->base.pMethods = NULL;
    file->os_errno = 0;
    file->real = (sqlite3_file *)(void *)(file + 1);
    (void)pthread_mutex_lock(&lock);
    file->number = name == NULL ? -1 : number_of(name);
    (void)pthread_mutex_unlock(&lock);
    int rc = parent->xOpen(parent, name, file->real, flags, ret_flags);
    if (rc == SQLITE_OK) {
        file->base.pMethods = &METHODS;
    }
    return rc;
}

static int delete_cb(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    int rc = parent->xDelete(parent, name, sync_folder);
    if (rc == SQLITE_OK) {
        (void)pthread_mutex_lock(&lock);
        int number = number_of(name);
        (void)pthread_mutex_unlock(&lock);
        note(
            (struct event){.kind = EVENT_DELETE, .file = number, .synced = sync_folder},
            NULL);
    }
    return rc;
}

/* ---- memory ---- */

static sqlite3_mem_methods plain;
static atomic_uint_least64_t memory_calls;
static atomic_uint_least64_t memory_fail_at;
static atomic_int memory_sticky;

static int memory_is_due(void)
{
    uint64_t call = atomic_fetch_add(&memory_calls, 1) + 1;
    uint64_t at = atomic_load(&memory_fail_at);
    return at != 0 && (call == at || (atomic_load(&memory_sticky) && call > at));
}

static void *allocate_cb(int size)
{
    return memory_is_due() ? NULL : plain.xMalloc(size);
}

static void *reallocate_cb(void *memory, int size)
{
    return memory_is_due() ? NULL : plain.xRealloc(memory, size);
}

void disk_memory_fail(uint64_t n, int sticky)
{
    atomic_store(&memory_sticky, sticky);
    atomic_store(&memory_fail_at, n == 0 ? 0 : atomic_load(&memory_calls) + n);
}

uint64_t disk_memory_calls(void)
{
    return atomic_load(&memory_calls);
}

static void install_memory(void)
{
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK) {
        give_up("SQLite has begun already");
    }
    sqlite3_mem_methods failing = plain;
    failing.xMalloc = allocate_cb;
    failing.xRealloc = reallocate_cb;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK) {
        give_up("SQLite does not take the allocator");
    }
}

void disk_install(void)
{
    if (parent != NULL) {
        return;
    }
    install_memory();
    parent = sqlite3_vfs_find(NULL);
    layer = *parent;
    layer.zName = "disk";
    layer.pNext = NULL;
    layer.szOsFile = (int)sizeof(struct disk_file) + parent->szOsFile;
    layer.xOpen = open_cb;
    layer.xDelete = delete_cb;
    if (sqlite3_vfs_register(&layer, 1) != SQLITE_OK) {
        give_up("SQLite does not take the layer");
    }
}

/* ---- images ---- */

struct content {
    unsigned char *bytes;
    size_t size;
    size_t capacity;
    int exists;
};

static void make_room(struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size * 2;
        content->bytes = realloc(content->bytes, content->capacity);
        if (content->bytes == NULL) {
            give_up("no memory for an image");
        }
    }
    if (size > content->size) {
        memset(content->bytes + content->size, 0, size - content->size);
        content->size = size;
    }
}

static void put(struct content *content, const struct event *event, size_t from,
                size_t to)
{
    make_room(content, (size_t)event->at + to);
    memcpy(content->bytes + event->at + from, event->bytes + from, to - from);
    content->exists = 1;
}

static void apply(struct content *content, const struct event *event)
{
    switch (event->kind) {
    case EVENT_WRITE:
        put(content, event, 0, (size_t)event->size);
        break;
    case EVENT_TRUNCATE:
        make_room(content, (size_t)event->at);
        content->size = (size_t)event->at;
        break;
    case EVENT_DELETE:
        content->size = 0;
        content->exists = 0;
        break;
    case EVENT_SYNC:
        break;
    }
}

/* What is left of a write that was under way. A multiple of the sector in the file, not
 * in the write, is where it tears. */
static void apply_part(struct content *content, const struct event *event,
                       disk_draw_fn draw)
{
    switch (draw(4)) {
    case 0:
        break;
    case 1:
        if (event->kind == EVENT_WRITE) {
            size_t size = (size_t)event->size;
            size_t from = 0;
            while (from < size) {
                size_t to = from + SECTOR - ((size_t)event->at + from) % SECTOR;
                to = to < size ? to : size;
                if (draw(2) == 0) {
                    put(content, event, from, to);
                }
                from = to;
            }
            break;
        }
        apply(content, event);
        break;
    default:
        apply(content, event);
        break;
    }
}

/* Behind the last event of a file at which all before it was on the disk. */
static size_t settled_until(int file, size_t moment)
{
    size_t until = 0;
    for (size_t i = 0; i < moment; i++) {
        if (events[i].file == file &&
            (events[i].kind == EVENT_SYNC || events[i].synced)) {
            until = i + 1;
        }
    }
    return until;
}

static void build(struct content *content, int file, size_t moment, disk_draw_fn draw)
{
    size_t *loose = malloc((moment + 1) * sizeof *loose);
    size_t count = 0;
    size_t settled = settled_until(file, moment);
    if (loose == NULL) {
        give_up("no memory for an image");
    }
    for (size_t i = 0; i < moment; i++) {
        if (events[i].file != file) {
            continue;
        }
        if (i < settled) {
            apply(content, &events[i]);
        } else {
            loose[count++] = i;
        }
    }
    for (size_t i = count; i > 1 && draw(2) == 0; i--) {
        size_t other = (size_t)draw(i);
        size_t kept = loose[i - 1];
        loose[i - 1] = loose[other];
        loose[other] = kept;
    }
    int all_lost = draw(8) == 0;
    for (size_t i = 0; i < count && !all_lost; i++) {
        apply_part(content, &events[loose[i]], draw);
    }
    free(loose);
}

static void save(const struct content *content, const char *folder, const char *name)
{
    char path[600];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
    if (!content->exists) {
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, content->bytes, content->size) != (ssize_t)content->size) {
        give_up("an image cannot be written");
    }
    (void)close(fd);
}

void disk_image(size_t moment, const char *folder, disk_draw_fn draw)
{
    (void)pthread_mutex_lock(&lock);
    for (int file = 0; file < names_count; file++) {
        struct content content = {0};
        build(&content, file, moment, draw);
        save(&content, folder, names[file]);
        free(content.bytes);
    }
    (void)pthread_mutex_unlock(&lock);
}
