/* SPDX-License-Identifier: MIT */
/*
 * A log: lines about what happens, for people and for programs that read them later.
 *
 * Everybody who has the log writes records to it: a pit that was given it (see
 * sp_log_event()), and the program itself. A record becomes one line in the log's format,
 * goes to a descriptor, a callback or the journal, and is kept for a while. The fields
 * that all records share come first and always in this order:
 *
 *     ts level msg event pool worker pid gen session call tool dur_ms code err node
 *     trace_id
 *
 * What a record does not have is left out. Secrets are taken out of every value, and of
 * one kind of record (for the output of workers: of one worker) there are so many lines
 * in a while, and then one that says how many more there were.
 *
 * Thread: any, for every function but sp_log_close().
 */
#ifndef SNAKEPIT_LOG_H
#define SNAKEPIT_LOG_H

#include "base.h"
#include "error.h"
#include "event.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_log sp_log;

/* How much it matters, most first. */
enum {
    SP_LOG_ERROR = 1, /* something does not work */
    SP_LOG_WARN = 2,  /* something went wrong and was coped with */
    SP_LOG_INFO = 3,  /* something changed */
    SP_LOG_DEBUG = 4  /* something happened */
};

enum {
    SP_LOG_AUTO = 0,    /* the journal when standard error is it, else logfmt */
    SP_LOG_LOGFMT = 1,  /* key=value, quoted where it has to be */
    SP_LOG_JSON = 2,    /* one object */
    SP_LOG_JOURNAL = 3, /* fields of systemd's journal; logfmt while it cannot be
                           reached */
    SP_LOG_TEXT = 4     /* a sentence with what else is known behind it */
};

/* A line, with its newline; borrowed until the callback returns. Not from inside: calls
 * on the same log. */
typedef void (*sp_log_cb)(int level, sp_bytes line, void *user_data);

typedef struct sp_log_options {
    size_t size;
    int level;         /* SP_LOG_, default SP_LOG_INFO: what matters less is left out */
    int format;        /* SP_LOG_ */
    int fd;            /* where lines go; 0: standard error, -1: nowhere. Stays the
                          caller's */
    sp_log_cb on_line; /* or NULL; beside the descriptor */
    void *user_data;
    uint32_t rate_lines;       /* of one kind in rate_interval_ms, default 1 000 */
    uint64_t rate_interval_ms; /* default 10 000 */
    uint64_t keep_bytes; /* kept for sp_log_read(), default 1 MiB, 4 KiB to 256 MiB */
    const char *const *redact; /* POSIX extended regular expressions, NULL-terminated:
                                  what they match is taken out too; or NULL */
    const char *journal; /* the journal's socket, NULL: /run/systemd/journal/socket */
    const char *name;    /* SYSLOG_IDENTIFIER in the journal, NULL: "snakepit" */
} sp_log_options;

/* One more fact. Its name is letters, digits, '_', '-' and '.', others become '_', and 64
 * bytes at most; one that the record has already gets a '_' behind it. */
typedef struct sp_log_field {
    const char *name;
    const char *text;
} sp_log_field;

/* What happened. Zero and NULL are left out, everywhere. */
typedef struct sp_log_record {
    size_t size;
    int level;         /* SP_LOG_ */
    const char *event; /* what kind of thing: "worker.died" */
    const char *message;
    uint64_t time_unix_ms; /* 0: now */
    const char *pool;
    int has_worker; /* `worker` is one's slot, which may be 0 */
    uint32_t worker;
    int pid;
    uint32_t generation; /* which process of the slot */
    const char *session;
    sp_id call;
    const char *tool;
    uint64_t duration_ms;
    const char *code;  /* "SP-TIMEOUT", as sp_error_name() gives it */
    const char *error; /* its message */
    const char *node;
    const char *trace_id;
    const sp_log_field *fields; /* further ones, in their order behind those above */
    size_t fields_count;        /* at most 16 */
} sp_log_record;

/*
 * Open a log.
 *
 * options  copied; NULL for defaults
 *
 * Errors: SP_ERR_INVAL (size), SP_ERR_CONFIG (an option out of range, an expression that
 * is none; the message names it), SP_ERR_NOMEM. Since: 0.1
 */
SP_API int sp_log_open(const sp_log_options *options, sp_log **ret_log, sp_error *err);

/* Write what is due, and release the log. Not while anybody uses it, a pit that was given
 * it among them. NULL is fine. Since: 0.1 */
SP_API void sp_log_close(sp_log *log);

/* Write a record. Nothing fails: a line that nobody takes is lost, what is too long is
 * cut. NULL as log is fine. Since: 0.1 */
SP_API void sp_log_write(sp_log *log, const sp_log_record *record);

/* Write an event of a pit; fits sp_pit_options.on_event, with the log as event_data.
 * Output of workers and slow calls are level info. A failed call is error when its code is
 * of the category SYSTEM, WIRE or STORE, info for USAGE and STATE, debug when it was
 * cancelled, else warn. Since: 0.1 */
SP_API void sp_log_event(const sp_event *event, void *log);

/* Say now how many lines were left out of the kinds whose time is over. A log does it with
 * each record, and a program that runs for long from time to time. Since: 0.1 */
SP_API void sp_log_flush(sp_log *log);

/* Which kept records sp_log_read() gives. Zero and NULL: all. */
typedef struct sp_log_filter {
    size_t size;
    int level;        /* SP_LOG_: those that matter as much or more */
    const char *pool; /* those of this pool, */
    int has_worker;   /* and of its worker in this slot */
    uint32_t worker;
    const char *event; /* those whose event begins with it */
} sp_log_filter;

/* A kept record as a JSON object without a newline; borrowed until it returns. Returns 0
 * to go on. Not from inside: calls on the same log. */
typedef int (*sp_log_read_cb)(sp_bytes json, void *user_data);

/*
 * See kept records that came after `*cursor`, oldest first, and move the cursor behind the
 * last one that was looked at. A cursor begins with 0.
 *
 * filter    NULL for all
 * ret_lost  or NULL; records after the cursor that are no longer kept
 *
 * Returns how many the callback saw. Errors: SP_ERR_INVAL. Since: 0.1
 */
SP_API int sp_log_read(sp_log *log, uint64_t *cursor, const sp_log_filter *filter,
                       sp_log_read_cb cb, void *user_data, uint64_t *ret_lost,
                       sp_error *err);

/* "error", "warn", "info" or "debug"; "" for other numbers. Since: 0.1 */
SP_API const char *sp_log_level_name(int level);

/* The level of a name, 0 when there is none. Since: 0.1 */
SP_API int sp_log_level(const char *name);

#ifdef __cplusplus
}
#endif
#endif
