/* SPDX-License-Identifier: MIT */
/*
 * The log: what becomes of a record, and where its line goes.
 *
 * Under the log's lock a record that matters enough, and whose kind has not had too many
 * lines, becomes facts, is kept as JSON, and goes out in the log's form with one write();
 * so lines of threads do not mix, and a slow reader of the descriptor holds up who logs
 * and nobody else. A pit logs from the thread that dispatches its events.
 *
 * A line that nobody takes is lost. The journal is told with datagrams that do not wait;
 * while it cannot be reached lines go to the descriptor, in the form in which it reads
 * them there.
 */
#include "snakepit/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/options.h"
#include "log/facts.h"
#include "log/rate.h"

enum { LINE_BYTES = 48 * 1024, RATE_LINES = 1000, RATE_MS = 10000 };

static const uint64_t keep_default = 1024 * 1024;
static const uint64_t keep_least = 4 * 1024;
static const uint64_t keep_most = 256 * 1024 * 1024;

/* A record that is kept. */
struct kept {
    struct link on_log; /* oldest first */
    uint64_t number;    /* from 1 on */
    int level;
    int has_worker;
    uint32_t worker;
    size_t size;
    const char *pool; /* behind the text, as the event is */
    const char *event;
    char text[]; /* JSON */
};

struct sp_log {
    sp_log_options options;
    struct redact redact;
    char *journal;
    char *name;
    int journal_fd; /* -1: not this form */
    int is_stamped; /* the descriptor is the journal's */
    pthread_mutex_t lock;
    struct rate rate;
    struct list kept;
    uint64_t kept_bytes;
    uint64_t numbered; /* records so far */
    struct facts facts;
    char line[LINE_BYTES];
};

static const char *const level_names[] = {"", "error", "warn", "info", "debug"};
enum { LEVELS = sizeof level_names / sizeof level_names[0] };

SP_API const char *sp_log_level_name(int level)
{
    return level >= 0 && level < LEVELS ? level_names[level] : "";
}

SP_API int sp_log_level(const char *name)
{
    for (int i = 1; name != NULL && i < LEVELS; i++) {
        if (strcmp(level_names[i], name) == 0) {
            return i;
        }
    }
    return 0;
}

/* ---- opening ---- */

/* $JOURNAL_STREAM names the device and inode of the stream, so that a program whose
 * standard error goes elsewhere is not misled. */
static int is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat is;
    char named[64];
    if (stream == NULL || fd < 0 || fstat(fd, &is) < 0) {
        return 0;
    }
    (void)snprintf(named, sizeof named, "%llu:%llu", (unsigned long long)is.st_dev,
                   (unsigned long long)is.st_ino);
    return strcmp(stream, named) == 0;
}

static void fill(sp_log_options *options)
{
    if (options->level == 0) {
        options->level = SP_LOG_INFO;
    }
    if (options->fd == 0) {
        options->fd = STDERR_FILENO;
    }
    if (options->rate_lines == 0) {
        options->rate_lines = RATE_LINES;
    }
    if (options->rate_interval_ms == 0) {
        options->rate_interval_ms = RATE_MS;
    }
    if (options->keep_bytes == 0) {
        options->keep_bytes = keep_default;
    }
}

static int check(const sp_log_options *options, sp_error *err)
{
    if (options->level < SP_LOG_ERROR || options->level > SP_LOG_DEBUG) {
        return sp__fail(err, SP_ERR_CONFIG, "log.level: %d is none of 1 to 4",
                        options->level);
    }
    if (options->format < SP_LOG_AUTO || options->format > SP_LOG_TEXT) {
        return sp__fail(err, SP_ERR_CONFIG, "log.format: %d is none of 0 to 4",
                        options->format);
    }
    if (options->keep_bytes < keep_least || options->keep_bytes > keep_most) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "log.keep: %llu is not from %llu to %llu bytes",
                        (unsigned long long)options->keep_bytes,
                        (unsigned long long)keep_least, (unsigned long long)keep_most);
    }
    return SP_OK;
}

static int open_journal(struct sp_log *log, sp_error *err)
{
    struct sockaddr_un address;
    log->is_stamped = is_journal(log->options.fd);
    if (log->options.format == SP_LOG_AUTO) {
        log->options.format = log->is_stamped ? SP_LOG_JOURNAL : SP_LOG_LOGFMT;
    }
    if (log->options.format != SP_LOG_JOURNAL) {
        return SP_OK;
    }
    if (strlen(log->journal) >= sizeof address.sun_path) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "the journal's socket: a path of %zu bytes, at most %zu",
                        strlen(log->journal), sizeof address.sun_path - 1);
    }
    log->journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return log->journal_fd >= 0
               ? SP_OK
               : sp__fail_errno(err, errno, "make a socket for the journal");
}

SP_API int sp_log_open(const sp_log_options *options, sp_log **ret_log, sp_error *err)
{
    sp_log_options full = {0};
    if (ret_log == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a place for the log is needed");
    }
    int rc = sp__take_options("sp_log_options", options, &full, sizeof full, err);
    if (rc < 0) {
        return rc;
    }
    fill(&full);
    rc = check(&full, err);
    if (rc < 0) {
        return rc;
    }
    struct sp_log *log = sp__calloc(1, sizeof *log);
    if (log == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a log");
    }
    (void)pthread_mutex_init(&log->lock, NULL);
    log->options = full;
    log->journal_fd = -1;
    log->rate.lines_max = full.rate_lines;
    log->rate.interval_ms = full.rate_interval_ms;
    log->journal =
        sp__strdup(full.journal != NULL ? full.journal : "/run/systemd/journal/socket");
    log->name = sp__strdup(full.name != NULL ? full.name : "snakepit");
    rc = log->journal != NULL && log->name != NULL
             ? sp__redact_init(&log->redact, full.redact, err)
             : sp__fail(err, SP_ERR_NOMEM, "no memory for a log");
    if (rc == SP_OK) {
        rc = open_journal(log, err);
    }
    if (rc < 0) {
        sp_log_close(log);
        return rc;
    }
    *ret_log = log;
    return SP_OK;
}

/* ---- writing; all of it under the lock ---- */

static void keep(struct sp_log *log, const sp_log_record *record,
                 const struct line *line)
{
    const char *pool = record->pool != NULL ? record->pool : "";
    const char *event = record->event != NULL ? record->event : "";
    size_t pool_bytes = strlen(pool) + 1;
    size_t event_bytes = strlen(event) + 1;
    size_t size = line->size - 1; /* without the newline */
    size_t bytes = sizeof(struct kept) + size + pool_bytes + event_bytes;
    log->numbered++;
    struct kept *kept = sp__malloc(bytes);
    if (kept == NULL) {
        return; /* it is missing among those that are read, and counted there */
    }
    *kept = (struct kept){.number = log->numbered,
                          .level = record->level,
                          .has_worker = record->has_worker,
                          .worker = record->worker,
                          .size = size};
    memcpy(kept->text, line->text, size);
    memcpy(kept->text + size, pool, pool_bytes);
    memcpy(kept->text + size + pool_bytes, event, event_bytes);
    kept->pool = kept->text + size;
    kept->event = kept->pool + pool_bytes;
    sp__list_append(&log->kept, &kept->on_log);
    log->kept_bytes += size;
    while (log->kept_bytes > log->options.keep_bytes) {
        struct kept *oldest = ITEM(sp__list_pop(&log->kept), struct kept, on_log);
        log->kept_bytes -= oldest->size;
        sp__free(oldest);
    }
}

static int tell_journal(struct sp_log *log, struct line *line)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", log->journal);
    if (sp__facts_journal(&log->facts, log->name, line) < 0) {
        return -1;
    }
    ssize_t sent = sendto(log->journal_fd, line->text, line->size, MSG_NOSIGNAL,
                          (const struct sockaddr *)&address, sizeof address);
    return sent < 0 ? -1 : 0;
}

static void put_out(struct sp_log *log, struct line *line)
{
    line->size = 0;
    if (log->options.format == SP_LOG_JOURNAL && log->journal_fd >= 0 &&
        tell_journal(log, line) == 0) {
        return;
    }
    line->size = 0;
    if (log->options.format == SP_LOG_JSON) {
        sp__facts_json(&log->facts, line);
    } else if (log->options.format == SP_LOG_TEXT) {
        sp__facts_text(&log->facts, log->is_stamped, line);
    } else {
        sp__facts_logfmt(&log->facts, log->is_stamped, line);
    }
    if (log->options.fd >= 0) {
        (void)!write(log->options.fd, line->text, line->size);
    }
    if (log->options.on_line != NULL) {
        log->options.on_line(log->facts.level, (sp_bytes){line->text, line->size},
                             log->options.user_data);
    }
}

static void write_record(struct sp_log *log, const sp_log_record *record)
{
    struct line line = {.text = log->line, .max = sizeof log->line};
    sp__facts_take(&log->facts, record, &log->redact);
    sp__facts_json(&log->facts, &line);
    keep(log, record, &line);
    put_out(log, &line);
}

/* The kind that has a limit: an event, and for what workers print the worker. */
static void name_kind(const sp_log_record *record, char *name, size_t max)
{
    const char *event = record->event != NULL ? record->event : "";
    if (strcmp(event, "worker.output") == 0 && record->pool != NULL) {
        (void)snprintf(name, max, "%s %s/%u", event, record->pool, record->worker);
    } else {
        (void)snprintf(name, max, "%s", event);
    }
}

static void tell_dropped(struct sp_log *log, const struct rate_kind *kind,
                         uint64_t dropped)
{
    char message[128];
    char count[24];
    (void)snprintf(message, sizeof message,
                   "%llu lines left out: more than %u in %llu ms (log.rate)",
                   (unsigned long long)dropped, log->rate.lines_max,
                   (unsigned long long)log->options.rate_interval_ms);
    (void)snprintf(count, sizeof count, "%llu", (unsigned long long)dropped);
    const sp_log_field fields[] = {{"of", kind->name}, {"dropped", count}};
    sp_log_record record = {.level = SP_LOG_WARN,
                            .event = "log.dropped",
                            .message = message,
                            .fields = fields,
                            .fields_count = 2};
    write_record(log, &record);
}

/* `is_end`: as of sp__rate_due(). */
static void flush(struct sp_log *log, uint64_t now_ms, int is_end)
{
    const struct rate_kind *kind;
    uint64_t dropped;
    while ((kind = sp__rate_due(&log->rate, now_ms, is_end, &dropped)) != NULL) {
        tell_dropped(log, kind, dropped);
    }
}

SP_API void sp_log_write(sp_log *log, const sp_log_record *record)
{
    char kind[RATE_NAME_MAX];
    sp_log_record full = {0};
    if (log == NULL || record == NULL || record->size < sizeof record->size ||
        record->level > log->options.level) {
        return;
    }
    memcpy(&full, record, record->size < sizeof full ? record->size : sizeof full);
    name_kind(&full, kind, sizeof kind);
    uint64_t now_ms = sp__now_ms();
    pthread_mutex_lock(&log->lock);
    flush(log, now_ms, 0);
    if (sp__rate_may(&log->rate, kind, now_ms)) {
        write_record(log, &full);
    }
    pthread_mutex_unlock(&log->lock);
}

SP_API void sp_log_flush(sp_log *log)
{
    if (log != NULL) {
        pthread_mutex_lock(&log->lock);
        flush(log, sp__now_ms(), 0);
        pthread_mutex_unlock(&log->lock);
    }
}

/* ---- closing ---- */

SP_API void sp_log_close(sp_log *log)
{
    struct link *link;
    if (log == NULL) {
        return;
    }
    flush(log, sp__now_ms(), 1);
    while ((link = sp__list_pop(&log->kept)) != NULL) {
        sp__free(ITEM(link, struct kept, on_log));
    }
    if (log->journal_fd >= 0) {
        (void)close(log->journal_fd);
    }
    sp__redact_fini(&log->redact);
    sp__free(log->journal);
    sp__free(log->name);
    (void)pthread_mutex_destroy(&log->lock);
    sp__free(log);
}

/* ---- reading ---- */

static int is_wanted(const struct kept *kept, const sp_log_filter *filter)
{
    return (filter->level == 0 || kept->level <= filter->level) &&
           (filter->pool == NULL || strcmp(kept->pool, filter->pool) == 0) &&
           (!filter->has_worker ||
            (kept->has_worker && kept->worker == filter->worker)) &&
           (filter->event == NULL ||
            strncmp(kept->event, filter->event, strlen(filter->event)) == 0);
}

SP_API int sp_log_read(sp_log *log, uint64_t *cursor, const sp_log_filter *filter,
                       sp_log_read_cb cb, void *user_data, uint64_t *ret_lost,
                       sp_error *err)
{
    sp_log_filter full = {0};
    uint64_t looked = 0;
    int seen = 0;
    int stop = 0;
    if (log == NULL || cursor == NULL || cb == NULL) {
        return sp__fail(err, SP_ERR_INVAL, "a log, a cursor and a callback are needed");
    }
    int rc = sp__take_options("sp_log_filter", filter, &full, sizeof full, err);
    if (rc < 0) {
        return rc;
    }
    pthread_mutex_lock(&log->lock);
    uint64_t before = *cursor;
    for (struct link *link = log->kept.first; link != NULL && !stop;
         link = link->next) {
        const struct kept *kept = ITEM(link, struct kept, on_log);
        if (kept->number <= before) {
            continue;
        }
        looked++;
        *cursor = kept->number;
        if (is_wanted(kept, &full)) {
            seen++;
            stop = cb((sp_bytes){kept->text, kept->size}, user_data);
        }
    }
    if (!stop) {
        *cursor = log->numbered; /* what could not be kept is behind us too */
    }
    if (ret_lost != NULL) {
        *ret_lost = *cursor > before + looked ? *cursor - before - looked : 0;
    }
    pthread_mutex_unlock(&log->lock);
    return seen;
}
