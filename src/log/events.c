/* SPDX-License-Identifier: MIT */
/*
 * Events of a pit as records: how much each matters, and which of its facts are told.
 */
#include <stdio.h>

#include "snakepit/log.h"

static int level_of(const sp_event *event)
{
    switch (event->kind) {
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

enum { NUMBER_MAX = 24 };

/* What the kernel said of an ended process. */
static size_t add_end(const sp_event *event, char texts[2][NUMBER_MAX],
                      sp_log_field fields[2])
{
    size_t count = 0;
    if (event->exit_status >= 0) {
        (void)snprintf(texts[count], NUMBER_MAX, "%d", event->exit_status);
        fields[count] = (sp_log_field){"exit", texts[count]};
        count++;
    }
    if (event->signal != 0) {
        (void)snprintf(texts[count], NUMBER_MAX, "%d", event->signal);
        fields[count] = (sp_log_field){"signal", texts[count]};
        count++;
    }
    return count;
}

SP_API void sp_log_event(const sp_event *event, void *log)
{
    char texts[2][NUMBER_MAX];
    sp_log_field fields[2];
    sp_log_record record = {
        .size = sizeof record,
        .level = level_of(event),
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
        .fields = fields,
    };
    record.fields_count = add_end(event, texts, fields);
    sp_log_write(log, &record);
}
