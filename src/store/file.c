/* SPDX-License-Identifier: MIT */
/*
 * Opening the state: the folder, the lock on it, the checks of the file, the database.
 *
 * The lock is an flock on "lock" in the folder, which the kernel lets go with its holder;
 * the number inside is for the message. With it held, the database is opened by one
 * connection in exclusive mode, so there is no shared memory beside it and no second
 * reader to wait for.
 *
 * Before SQLite sees the file its header is looked at: what is not ours must not be
 * touched, and opening a database may write to it (a hot journal). Then it is checked
 * whole. A file that fails is left as it is: moving it away is its owner's decision.
 */
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "store/fault.h"
#include "store/schema.h"

enum {
    HEADER_BYTES = 100,
    AT_APPLICATION = 68, /* "Application ID", SQLite's file format 1.3 */
    PATH_BYTES = 4096
};

static const char MAGIC[16] = "SQLite format 3";

/* ---- the folder ---- */

/* The name of a new folder is in the one above. */
static int sync_parent(int folder, const char *path, sp_error *err)
{
    int parent = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = parent < 0 || fsync(parent) < 0
                 ? sp__fail_errno(err, errno, "syncing what %s is in", path)
                 : SP_OK;
    if (parent >= 0) {
        (void)close(parent);
    }
    return rc;
}

/* What the folder is to be in, as far as it is missing. */
static int make_around(const char *path, sp_error *err)
{
    char around[PATH_BYTES];
    int rc = SP_OK;
    if (snprintf(around, sizeof around, "%s", path) >= (int)sizeof around) {
        return sp__fail_errno(err, ENAMETOOLONG, "making the folder %.200s...", path);
    }
    for (char *at = around + 1; rc == SP_OK && (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        if (mkdir(around, 0700) == 0) {
            int folder = open(around, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            rc = folder < 0
                     ? sp__fail_errno(err, errno, "opening the folder %s", around)
                     : sync_parent(folder, around, err);
            if (folder >= 0) {
                (void)close(folder);
            }
        } else if (errno != EEXIST) {
            rc = sp__fail_errno(err, errno, "making the folder %s", around);
        }
        *at = '/';
    }
    return rc;
}

static int open_folder(const char *path, int *ret_folder, sp_error *err)
{
    struct stat at;
    int rc = make_around(path, err);
    if (rc < 0) {
        return rc;
    }
    int made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST) {
        return sp__fail_errno(err, errno, "making the folder %s", path);
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return sp__fail_errno(err, errno, "opening the folder %s", path);
    }
    if (fstat(folder, &at) < 0 || at.st_uid != geteuid() || (at.st_mode & 022) != 0) {
        (void)close(folder);
        return sp__fail(err, SP_ERR_SYSTEM,
                        "the folder %s is not this user's alone (owner %u, mode %03o): "
                        "make it so, or name another",
                        path, (unsigned)at.st_uid, (unsigned)at.st_mode & 0777u);
    }
    *ret_folder = folder;
    return made ? sync_parent(folder, path, err) : SP_OK;
}

static int take_lock(struct store_file *file, const char *path, sp_error *err)
{
    char holder[24] = "";
    file->lock =
        openat(file->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->lock < 0) {
        return errno == EROFS || errno == EACCES
                   ? sp__fail(err, SP_ERR_STORE,
                              "the folder %s cannot be written to: its sessions need "
                              "that",
                              path)
                   : sp__fail_errno(err, errno, "opening %s/lock", path);
    }
    if (flock(file->lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK) {
            return sp__fail_errno(err, errno, "locking %s/lock", path);
        }
        ssize_t n = pread(file->lock, holder, sizeof holder - 1, 0);
        holder[n > 0 ? n : 0] = '\0';
        return sp__fail(err, SP_ERR_IN_USE, "the state in %s is in use by process %s",
                        path, holder[0] == '\0' ? "unknown" : holder);
    }
    int size = snprintf(holder, sizeof holder, "%ld", (long)getpid());
    /* On a full disk the number is missing; the lock is held all the same. */
    (void)!ftruncate(file->lock, 0);
    (void)!pwrite(file->lock, holder, (size_t)size, 0);
    return SP_OK;
}

/* ---- the file ---- */

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The first transaction was under way when the power failed: SQLite takes it back. */
static int is_half_made(const struct store_file *file,
                        const uint8_t header[HEADER_BYTES])
{
    struct stat journal;
    for (size_t i = 0; i < HEADER_BYTES; i++) {
        if (header[i] != 0) {
            return 0;
        }
    }
    return fstatat(file->folder, "state.db-journal", &journal, 0) == 0 &&
           journal.st_size > 0;
}

/* Whether this is a database of ours, by its first bytes. An empty one is, and a missing
 * one is made, for nobody else to read. The version is looked at later: the newest one
 * may be in the log. */
static int check_header(struct store_file *file, sp_error *err)
{
    uint8_t header[HEADER_BYTES] = {0};
    int fd = openat(file->folder, "state.db", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                    0600);
    if (fd < 0) {
        return errno == EROFS || errno == EACCES
                   ? sp__fail(err, SP_ERR_STORE, "it is read-only: make it writable")
                   : sp__fail_errno(err, errno, "opening it");
    }
    ssize_t n = pread(fd, header, sizeof header, 0);
    int os_errno = errno;
    (void)close(fd);
    if (n < 0) {
        return sp__fail_errno(err, os_errno, "reading it");
    }
    if (n == 0 || is_half_made(file, header)) {
        return SP_OK;
    }
    if (n < HEADER_BYTES || memcmp(header, MAGIC, sizeof MAGIC) != 0) {
        return sp__fail(err, SP_ERR_STORE,
                        "it is not a database; move it away, or name another folder");
    }
    uint32_t application = read_u32(header + AT_APPLICATION);
    if (application != SCHEMA_APPLICATION) {
        return sp__fail(err, SP_ERR_STORE,
                        "it is a database of another program (application id %" PRIu32
                        "); name another folder",
                        application);
    }
    return SP_OK;
}

static int check_whole(sqlite3 *db, sp_error *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
    }
    int code = SP_OK;
    if (rc != SQLITE_ROW) {
        code = sp__fault_fail(db, rc, "checking it", err);
    } else {
        const char *found = (const char *)sqlite3_column_text(statement, 0);
        if (found == NULL || strcmp(found, "ok") != 0) {
            code = sp__fail(err, SP_ERR_STORE, "it is damaged: %s",
                            found == NULL ? "the check did not end" : found);
        }
    }
    (void)sqlite3_finalize(statement);
    return code;
}

/* Exclusive before anything is read, so that the log's index is in memory. EXTRA while the
 * file is made: a rollback journal whose deletion was not synced could come back with the
 * power, and take back what a checkpoint has written since. */
static int set_up(sqlite3 *db, sp_error *err)
{
    (void)sqlite3_extended_result_codes(db, 1); /* a failed sync is told apart */
    /* A log that a sync failed on must not be copied: see store.c. */
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int rc = sqlite3_exec(db,
                          "PRAGMA locking_mode = EXCLUSIVE;"
                          "PRAGMA trusted_schema = OFF;"
                          "PRAGMA cell_size_check = ON;"
                          "PRAGMA temp_store = MEMORY;"
                          "PRAGMA synchronous = EXTRA;"
                          "PRAGMA cache_size = -16384;",
                          NULL, NULL, NULL);
    return rc == SQLITE_OK ? SP_OK : sp__fault_fail(db, rc, "opening it", err);
}

/* Checkpoints are made by the store, which hears of their failures. */
static int start_log(sqlite3 *db, sp_error *err)
{
    int rc = sqlite3_exec(db,
                          "PRAGMA journal_mode = WAL;"
                          "PRAGMA wal_autocheckpoint = 0;",
                          NULL, NULL, NULL);
    return rc == SQLITE_OK ? SP_OK : sp__fault_fail(db, rc, "starting its log", err);
}

/* The header is in the file itself then, for whoever looks at it next. */
static int settle(sqlite3 *db, sp_error *err)
{
    int rc =
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return rc == SQLITE_OK ? SP_OK : sp__fault_fail(db, rc, "writing it", err);
}

/* ---- this start of the machine ---- */

static size_t read_text(const char *path, char *text, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, max);
    if (fd >= 0) {
        (void)close(fd);
    }
    return n > 0 ? (size_t)n : 0;
}

void sp__file_clock_id(char id[CLOCK_ID_MAX])
{
    char boot[64];
    char space[64] = "";
    size_t size = read_text("/proc/sys/kernel/random/boot_id", boot, sizeof boot - 1);
    size -= size > 0 && boot[size - 1] == '\n';
    boot[size] = '\0';
    if (readlink("/proc/self/ns/time", space, sizeof space - 1) < 0) {
        space[0] = '\0'; /* before Linux 5.6 there is one clock */
    }
    id[0] = '\0';
    if (size > 0) {
        (void)snprintf(id, CLOCK_ID_MAX, "%s %.31s", boot, space);
    }
}

/* The number of an id in the table, or that of a new row when sql makes one. 0: none. */
static int ask_boot(sqlite3 *db, const char *sql, const char *id, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    }
    *ret_number = 0;
    if (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(statement, 0);
        rc = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement); /* repeats what the step said */
    return rc;
}

static int number_boot(struct store_file *file, sp_error *err)
{
    char id[CLOCK_ID_MAX];
    sp__file_clock_id(id);
    if (id[0] == '\0') { /* no start is like another: only the wall clock tells */
        (void)snprintf(id, sizeof id, "unknown %llu %ld",
                       (unsigned long long)sp__unix_ns(), (long)getpid());
    }
    int rc =
        ask_boot(file->db, "SELECT number FROM boot WHERE id = ?1", id, &file->boot);
    if (rc == SQLITE_DONE && file->boot == 0) {
        rc = ask_boot(file->db, "INSERT INTO boot (id) VALUES (?1) RETURNING number",
                      id, &file->boot);
    }
    return rc == SQLITE_DONE ? SP_OK
                             : sp__fault_fail(file->db, rc, "noting the start", err);
}

/* ---- all of it ---- */

static int open_database(struct store_file *file, const char *path, const char *vfs,
                         sp_error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(path, &file->db, flags, vfs);
    if (rc != SQLITE_OK) {
        return sp__fault_fail(file->db, rc, "opening it", err);
    }
    rc = set_up(file->db, err);
    if (rc == SP_OK) {
        rc = check_whole(file->db, err);
    }
    if (rc == SP_OK && sqlite3_db_readonly(file->db, "main")) {
        rc = sp__fail(err, SP_ERR_STORE, "it is read-only: make it writable");
    }
    return rc;
}

/* A database that passed the checks, made or brought up to date, with its log. */
static int bring_up(struct store_file *file, sp_error *err)
{
    int made = sp__schema_apply(file->db, &sp__schema, err);
    int rc = made < 0 ? made : start_log(file->db, err);
    if (rc == SP_OK && made) {
        rc = settle(file->db, err);
    }
    return rc < 0 ? rc : number_boot(file, err);
}

static int open_in_folder(struct store_file *file, const char *path, const char *vfs,
                          sp_error *err)
{
    char name[PATH_BYTES];
    if ((size_t)snprintf(name, sizeof name, "%s/state.db", path) >= sizeof name) {
        return sp__fail(err, SP_ERR_INVAL, "a path of %zu bytes: at most %d",
                        strlen(path), PATH_BYTES - 16);
    }
    int rc = check_header(file, err);
    if (rc == SP_OK) {
        rc = open_database(file, name, vfs, err);
    }
    if (rc == SP_OK) {
        rc = bring_up(file, err);
    }
    return rc < 0 ? sp__wrap(err, rc, "%s", name) : SP_OK;
}

int sp__file_open(struct store_file *file, const char *path, const char *vfs,
                  sp_error *err)
{
    *file = (struct store_file){.folder = -1, .lock = -1, .room = {.fd = -1}};
    int rc = open_folder(path, &file->folder, err);
    if (rc == SP_OK) {
        rc = take_lock(file, path, err);
    }
    if (rc == SP_OK) {
        rc = open_in_folder(file, path, vfs, err);
    }
    if (rc == SP_OK) {
        rc = sp__room_open(&file->room, file->folder, err);
    }
    if (rc == SP_OK && fsync(file->folder) < 0) {
        rc = sp__fail_errno(err, errno, "syncing the folder %s", path);
    }
    if (rc < 0) {
        sp__file_close(file);
    }
    return rc;
}

void sp__file_close(struct store_file *file)
{
    (void)sqlite3_close(file->db); /* no statement is left that could keep it open */
    file->db = NULL;
    sp__room_close(&file->room);
    if (file->lock >= 0) {
        (void)close(file->lock);
    }
    if (file->folder >= 0) {
        (void)close(file->folder);
    }
    file->lock = file->folder = -1;
}
