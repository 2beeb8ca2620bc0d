/* SPDX-License-Identifier: MIT */
/*
 * The log: one line for each event, "key=value" pairs, on standard error.
 *
 *     ts=2026-11-26T11:44:15.123Z level=info event=worker.ready pool=default pid=4711 ...
 *
 * Under systemd the line has a level of syslog in front and no time of its own. Whatever
 * others wrote (workers above all) is escaped, so that a line is a line. A line that
 * standard error does not take is lost: the daemon does not stop for its log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"

enum { LINE_MAX_BYTES = 4096, QUOTED_MAX = 2048 };

static enum log_level most = LOG_INFO;

static const struct {
    const char *name;
    enum log_level level;
} levels[] = {
    {"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

int log_set_level(const char *name)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i].name, name) == 0) {
            most = levels[i].level;
            return 0;
        }
    }
    return -1;
}

static const char *name_of(enum log_level level)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (levels[i].level == level) {
            return levels[i].name;
        }
    }
    return "info";
}

/* ---- a line in the making ---- */

struct line {
    char text[LINE_MAX_BYTES];
    size_t size;
};

static void put(struct line *line, const char *format, ...) SP_PRINTF(2, 3);

static void put(struct line *line, const char *format, ...)
{
    va_list args;
    size_t room = sizeof line->text - line->size;
    va_start(args, format);
    int n = vsnprintf(line->text + line->size, room, format, args);
    va_end(args);
    if (n > 0) {
        line->size += (size_t)n < room ? (size_t)n : room - 1;
    }
}

static int is_plain(const char *text)
{
    if (text[0] == '\0') {
        return 0;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c <= ' ' || *c == '"' || *c == '=' || *c == '\\' || *c == 0x7f) {
            return 0;
        }
    }
    return 1;
}

/* Between quotes; control bytes as \xNN. */
static void put_quoted(struct line *line, const char *text)
{
    size_t end = line->size + QUOTED_MAX < sizeof line->text - 8
                     ? line->size + QUOTED_MAX
                     : sizeof line->text - 8;
    put(line, "\"");
    for (; *text != '\0' && line->size < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            put(line, "\\%c", c);
        } else if (c == '\n') {
            put(line, "\\n");
        } else if (c < ' ' || c == 0x7f) {
            put(line, "\\x%02x", c);
        } else {
            put(line, "%c", c);
        }
    }
    put(line, "%s\"", *text != '\0' ? "..." : "");
}

static void put_text(struct line *line, const char *key, const char *text)
{
    put(line, " %s=", key);
    if (is_plain(text) && strlen(text) < QUOTED_MAX) {
        put(line, "%s", text);
    } else {
        put_quoted(line, text);
    }
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    (void)gmtime_r(&now.tv_sec, &parts);
    put(line, "ts=%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ ", parts.tm_year + 1900,
        parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
        now.tv_nsec / 1000000);
}

static void begin(struct line *line, enum log_level level, const char *event)
{
    line->size = 0;
    if (getenv("JOURNAL_STREAM") != NULL) {
        put(line, "<%d>", (int)level);
    } else {
        put_time(line);
    }
    put(line, "level=%s event=%s", name_of(level), event);
}

static void end(struct line *line)
{
    line->text[line->size++] = '\n'; /* put() leaves room for its NUL */
    (void)!write(STDERR_FILENO, line->text, line->size);
}

/* ---- lines ---- */

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    struct line line;
    char message[1024];
    va_list args;
    if (level > most) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    begin(&line, level, event);
    put_text(&line, "msg", message);
    end(&line);
}

void log_error(const char *event, const sp_error *err)
{
    struct line line;
    begin(&line, LOG_ERROR, event);
    put_text(&line, "error", sp_error_name(err->code));
    put_text(&line, "msg", err->message);
    if (err->worker_stderr != NULL && err->worker_stderr[0] != '\0') {
        put_text(&line, "stderr", err->worker_stderr);
    }
    put_text(&line, "hint", sp_error_hint(err->code));
    end(&line);
}

static enum log_level level_of(const sp_event *event)
{
    switch (event->kind) {
    case SP_EVENT_WORKER_SPAWNED:
    case SP_EVENT_CALL_RETRIED:
    case SP_EVENT_CAPACITY_REACHED:
    case SP_EVENT_TELEMETRY:
        return LOG_DEBUG;
    case SP_EVENT_WARNING:
    case SP_EVENT_WORKER_DIED:
    case SP_EVENT_POOL_SATURATED:
    case SP_EVENT_HEALTH_FAILED:
    case SP_EVENT_RECYCLE_FAILED:
    case SP_EVENT_RECYCLE_LOOP:
    case SP_EVENT_BREAKER_OPENED:
    case SP_EVENT_CALL_POISONED:
    case SP_EVENT_SESSIONS_HIGH:
    case SP_EVENT_STORE_FULL:
        return LOG_WARN;
    case SP_EVENT_STORE_FAILED:
        return LOG_ERROR;
    default:
        return LOG_INFO;
    }
}

void log_event(const sp_event *event, void *user_data)
{
    struct line line;
    enum log_level level = level_of(event);
    (void)user_data;
    if (level > most) {
        return;
    }
    begin(&line, level, sp_event_name(event->kind));
    if (event->pool[0] != '\0') {
        put_text(&line, "pool", event->pool);
    }
    if (event->worker != 0) {
        put(&line, " worker=%llu slot=%u", (unsigned long long)event->worker,
            event->slot);
    }
    if (event->pid != 0) {
        put(&line, " pid=%d", event->pid);
    }
    if (event->exit_status >= 0) {
        put(&line, " exit=%d", event->exit_status);
    }
    if (event->signal != 0) {
        put(&line, " signal=%d", event->signal);
    }
    if (event->duration_ms != 0) {
        put(&line, " duration_ms=%llu", (unsigned long long)event->duration_ms);
    }
    if (event->message != NULL && event->message[0] != '\0') {
        put_text(&line, "msg", event->message);
    }
    end(&line);
}
