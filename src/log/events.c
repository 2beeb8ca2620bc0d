/* SPDX-License-Identifier: MIT */
/*
 * Events of a pit as records: how much each matters, and where its facts go. Those that
 * have a place of their own in a record are found by their names; the others follow, as
 * many as there is room for.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/real.h"
#include "log/facts.h"
#include "snakepit/log.h"

/* ---- how much it matters ---- */

static int level_of_code(int code)
{
    switch (sp_error_category(code)) {
    case SP_CATEGORY_SYSTEM:
    case SP_CATEGORY_WIRE:
    case SP_CATEGORY_STORE:
        return SP_LOG_ERROR;
    case SP_CATEGORY_USAGE:
    case SP_CATEGORY_STATE:
        return SP_LOG_INFO; /* the caller's mistake, and the caller was told */
    default:
        return code == SP_ERR_CANCELLED ? SP_LOG_DEBUG : SP_LOG_WARN;
    }
}

static int level_of_kind(int kind)
{
    switch (kind) {
    case SP_EVENT_WORKER_SPAWNED:
    case SP_EVENT_CALL_RETRIED:
    case SP_EVENT_CAPACITY_REACHED:
    case SP_EVENT_TELEMETRY:
        return SP_LOG_DEBUG;
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
        return SP_LOG_WARN;
    case SP_EVENT_STORE_FAILED:
        return SP_LOG_ERROR;
    default:
        return SP_LOG_INFO;
    }
}

/* ---- its facts ---- */

enum { NUMBER_MAX = 32, MESSAGE_MAX = 160 };

struct draft {
    sp_log_record record;
    sp_log_field fields[FIELDS_MAX];
    char numbers[FIELDS_MAX][NUMBER_MAX]; /* the texts of some of them */
    char message[MESSAGE_MAX];
};

static void add_field(struct draft *draft, const char *name, const char *text)
{
    if (draft->record.fields_count < FIELDS_MAX && text[0] != '\0') {
        draft->fields[draft->record.fields_count++] = (sp_log_field){name, text};
    }
}

static void add_number(struct draft *draft, const char *name, double number)
{
    size_t at = draft->record.fields_count;
    if (at < FIELDS_MAX) {
        (void)snprintf(draft->numbers[at], NUMBER_MAX, "%.15g", number);
        add_field(draft, name, sp__real_dot(draft->numbers[at]));
    }
}

/* Members of sp_event themselves, or told better by another one. */
static int is_told(const char *name)
{
    static const char *const told[] = {"pool",    "worker",     "pid",
                                       "session", "message",    "exit_code",
                                       "planned", "duration_ms"};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        if (strcmp(told[i], name) == 0) {
            return 1;
        }
    }
    return 0;
}

static void take_metadata(struct draft *draft, const char *name, const char *text)
{
    sp_log_record *record = &draft->record;
    if (is_told(name)) {
        return;
    }
    if (strcmp(name, "command") == 0) {
        record->tool = text;
    } else if (strcmp(name, "call") == 0) {
        record->call = strtoull(text, NULL, 10);
    } else if (strcmp(name, "generation") == 0) {
        record->generation = (uint32_t)strtoul(text, NULL, 10);
    } else if (strcmp(name, "code") == 0) {
        record->code = text;
    } else if (strcmp(name, "trace_id") == 0) {
        record->trace_id = text;
    } else if (strcmp(name, "event") == 0) {
        add_field(draft, "reported", text); /* by a worker, under this name */
    } else {
        add_field(draft, name, text);
    }
}

/* What a failed call says is the error's; the line says which call it was. */
static void take_failure(struct draft *draft)
{
    sp_log_record *record = &draft->record;
    record->level = level_of_code(sp_error_by_name(record->code));
    record->error = record->message;
    (void)snprintf(draft->message, sizeof draft->message, "\"%.100s\" failed",
                   record->tool != NULL ? record->tool : "");
    record->message = draft->message;
}

static void take(struct draft *draft, const sp_event *event)
{
    draft->record = (sp_log_record){
        .size = sizeof draft->record,
        .level = level_of_kind(event->kind),
        .event = sp_event_name(event->kind),
        .message = event->message,
        .time_unix_ms = event->time_unix_ms,
        .pool = event->pool,
        .has_worker = event->worker != 0,
        .worker = event->slot,
        .pid = event->pid,
        .generation = event->death != NULL ? event->death->generation : 0,
        .session = event->session,
        .duration_ms = event->duration_ms,
        .fields = draft->fields,
    };
    if (event->exit_status >= 0) {
        add_number(draft, "exit", event->exit_status);
    }
    if (event->signal != 0) {
        add_number(draft, "signal", event->signal);
    }
    for (size_t i = 0; i < event->metadata_count; i++) {
        take_metadata(draft, event->metadata[i].name, event->metadata[i].text);
    }
    for (size_t i = 0; i < event->measurements_count; i++) {
        if (!is_told(event->measurements[i].name)) {
            add_number(draft, event->measurements[i].name,
                       event->measurements[i].value);
        }
    }
}

SP_API void sp_log_event(const sp_event *event, void *log)
{
    struct draft draft;
    take(&draft, event);
    if (event->kind == SP_EVENT_CALL_FAILED) {
        take_failure(&draft);
    }
    sp_log_write(log, &draft.record);
}
