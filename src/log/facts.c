/* SPDX-License-Identifier: MIT */
/*
 * From a record to a line.
 *
 * The facts of a record are put into their order once, with secrets taken out; the forms
 * then only differ in how they write a name and a value. The journal's is that of its
 * native protocol: NAME=value and a newline or, where the value has newlines, the name, a
 * newline, eight bytes of length, the value. Nothing fails: a value is cut, and a fact
 * for which there is no room is left out.
 */
#include "log/facts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

/* ---- taking ---- */

static void add_number(struct facts *facts, const char *name, uint64_t number)
{
    if (number != 0) {
        facts->list[facts->count++] = (struct fact){name, NULL, number};
    }
}

/* NULL: there is nothing, or no room for it. */
static const char *keep(struct facts *facts, const char *text,
                        const struct redact *redact)
{
    size_t room = sizeof facts->bytes - facts->used;
    if (text == NULL || text[0] == '\0' || room < 2) {
        return NULL;
    }
    char *kept = facts->bytes + facts->used;
    facts->used +=
        1 + sp__redact(redact, text, kept, room < VALUE_BYTES ? room : VALUE_BYTES);
    return kept;
}

static void add_text(struct facts *facts, const char *name, const char *text,
                     const struct redact *redact)
{
    const char *kept = keep(facts, text, redact);
    if (kept != NULL) {
        facts->list[facts->count++] = (struct fact){name, kept, 0};
    }
}

static int is_taken(const struct facts *facts, const char *name)
{
    int taken = strcmp(name, "ts") == 0 || strcmp(name, "level") == 0;
    for (size_t i = 0; !taken && i < facts->count; i++) {
        taken = strcmp(facts->list[i].name, name) == 0;
    }
    return taken;
}

/* A name that the line has not yet, of bytes that stand for themselves in every form:
 * workers think of some of them. NULL as keep(). */
static const char *keep_name(struct facts *facts, const char *name,
                             const struct redact *redact)
{
    char plain[NAME_BYTES + FACTS_MAX + 1];
    size_t size = strnlen(name, NAME_BYTES);
    for (size_t i = 0; i < size; i++) {
        int fits = isalnum((unsigned char)name[i]) ||
                   (name[i] != '\0' && strchr("_.-", name[i]) != NULL);
        plain[i] = fits ? name[i] : '_';
    }
    plain[size] = '\0';
    while (is_taken(facts, plain) && size < sizeof plain - 1) {
        plain[size++] = '_';
        plain[size] = '\0';
    }
    return keep(facts, plain, redact);
}

static void add_fields(struct facts *facts, const sp_log_record *record,
                       const struct redact *redact)
{
    for (size_t i = 0; i < record->fields_count && i < FIELDS_MAX; i++) {
        const sp_log_field *field = &record->fields[i];
        if (field->name == NULL || field->text == NULL) {
            continue;
        }
        int is_secret = sp__redact_is_secret(field->name, strlen(field->name));
        const char *name = keep_name(facts, field->name, redact);
        if (name != NULL) {
            add_text(facts, name, is_secret ? "[redacted]" : field->text, redact);
        }
    }
}

void sp__facts_take(struct facts *facts, const sp_log_record *record,
                    const struct redact *redact)
{
    facts->time_unix_ms =
        record->time_unix_ms != 0 ? record->time_unix_ms : sp__unix_ns() / 1000000u;
    facts->level = record->level;
    facts->count = 0;
    facts->used = 0;
    add_text(facts, "msg", record->message, redact);
    add_text(facts, "event", record->event, redact);
    add_text(facts, "pool", record->pool, redact);
    if (record->has_worker) {
        facts->list[facts->count++] = (struct fact){"worker", NULL, record->worker};
    }
    add_number(facts, "pid", record->pid > 0 ? (uint64_t)record->pid : 0);
    add_number(facts, "gen", record->generation);
    add_text(facts, "session", record->session, redact);
    add_number(facts, "call", record->call);
    add_text(facts, "tool", record->tool, redact);
    add_number(facts, "dur_ms", record->duration_ms);
    add_text(facts, "code", record->code, redact);
    add_text(facts, "err", record->error, redact);
    add_text(facts, "node", record->node, redact);
    add_text(facts, "trace_id", record->trace_id, redact);
    add_fields(facts, record, redact);
}

/* ---- writing ---- */

static void put_time(const struct facts *facts, char between, struct line *line)
{
    struct tm parts;
    time_t seconds = (time_t)(facts->time_unix_ms / 1000);
    (void)gmtime_r(&seconds, &parts);
    sp__line_put(line, "%04d-%02d-%02d%c%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                 parts.tm_mon + 1, parts.tm_mday, between, parts.tm_hour, parts.tm_min,
                 parts.tm_sec, (int)(facts->time_unix_ms % 1000));
}

/* As syslog counts. */
static int priority_of(int level)
{
    static const int priorities[] = {6, 3, 4, 6, 7};
    return level >= SP_LOG_ERROR && level <= SP_LOG_DEBUG ? priorities[level] : 6;
}

static void put_logfmt(const struct fact *fact, struct line *line)
{
    sp__line_put(line, " %s=", fact->name);
    if (fact->text != NULL) {
        sp__line_logfmt(line, fact->text);
    } else {
        sp__line_put(line, "%llu", (unsigned long long)fact->number);
    }
}

static void put_newline(struct line *line)
{
    line->size -= line->size == line->max;
    sp__line_bytes(line, "\n", 1);
}

void sp__facts_logfmt(const struct facts *facts, int is_stamped, struct line *line)
{
    if (is_stamped) {
        sp__line_put(line, "<%d>", priority_of(facts->level));
    } else {
        sp__line_put(line, "ts=");
        put_time(facts, 'T', line);
        sp__line_put(line, " ");
    }
    sp__line_put(line, "level=%s", sp_log_level_name(facts->level));
    for (size_t i = 0; i < facts->count; i++) {
        put_logfmt(&facts->list[i], line);
    }
    put_newline(line);
}

static int is_message(const struct fact *fact)
{
    return fact->text != NULL && strcmp(fact->name, "msg") == 0;
}

void sp__facts_text(const struct facts *facts, int is_stamped, struct line *line)
{
    if (is_stamped) {
        sp__line_put(line, "<%d>", priority_of(facts->level));
    } else {
        put_time(facts, ' ', line);
        sp__line_put(line, " ");
    }
    sp__line_put(line, "%-5s ", sp_log_level_name(facts->level));
    size_t first = facts->count > 0 && is_message(&facts->list[0]);
    if (first == 1) {
        sp__line_plain(line, facts->list[0].text);
    }
    for (size_t i = first; i < facts->count; i++) {
        put_logfmt(&facts->list[i], line);
    }
    put_newline(line);
}

void sp__facts_json(const struct facts *facts, struct line *line)
{
    sp__line_put(line, "{\"ts\":\"");
    put_time(facts, 'T', line);
    sp__line_put(line, "\",\"level\":\"%s\"", sp_log_level_name(facts->level));
    for (size_t i = 0; i < facts->count; i++) {
        const struct fact *fact = &facts->list[i];
        size_t name_size = strlen(fact->name);
        if (line->size + name_size + 64 > line->max) {
            break; /* the object must be closed */
        }
        sp__line_put(line, ",\"%s\":", fact->name);
        if (fact->text != NULL) {
            sp__line_json(line, fact->text);
        } else {
            sp__line_put(line, "%llu", (unsigned long long)fact->number);
        }
    }
    sp__line_bytes(line, "}\n", 2);
}

/* SNAKEPIT_POOL for "pool"; what a name may be is the journal's rule. */
static void put_journal_name(const struct fact *fact, struct line *line)
{
    if (is_message(fact)) {
        sp__line_put(line, "MESSAGE");
        return;
    }
    sp__line_put(line, "SNAKEPIT_");
    for (const char *c = fact->name; *c != '\0'; c++) {
        char up = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
        sp__line_bytes(line, &up, 1);
    }
}

static void put_journal(const struct fact *fact, struct line *line)
{
    put_journal_name(fact, line);
    if (fact->text == NULL) {
        sp__line_put(line, "=%llu\n", (unsigned long long)fact->number);
        return;
    }
    size_t size = strlen(fact->text);
    if (strchr(fact->text, '\n') == NULL) {
        sp__line_bytes(line, "=", 1);
    } else {
        char length[8];
        for (size_t i = 0; i < sizeof length; i++) {
            length[i] = (char)(((uint64_t)size >> (8 * i)) & 0xff);
        }
        sp__line_bytes(line, "\n", 1);
        sp__line_bytes(line, length, sizeof length);
    }
    sp__line_bytes(line, fact->text, size);
    sp__line_bytes(line, "\n", 1);
}

int sp__facts_journal(const struct facts *facts, const char *name, struct line *line)
{
    sp__line_put(line, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%.64s\n",
                 priority_of(facts->level), name);
    for (size_t i = 0; i < facts->count; i++) {
        put_journal(&facts->list[i], line);
    }
    return line->size < line->max ? 0 : -1;
}
