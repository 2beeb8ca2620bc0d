/* SPDX-License-Identifier: MIT */
/*
 * What a worker's life, connection and health have told, and what it tells itself.
 *
 * An event that a worker reports is one of the table, by any of its names, or else the
 * event worker.telemetry with its name as metadata; as are those that only the pit can
 * know. Measurements have names of a fixed set, others are left out, so that nothing that
 * counts by name can grow without end, whatever user code thinks of.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/real.h"
#include "worker/internal.h"

void sp__worker_tell(const struct worker *worker, struct tidings tidings)
{
    sp_event *event = &tidings.event;
    event->pool = worker->spec->pool;
    event->worker = worker->id;
    event->slot = worker->public_slot;
    event->pid = worker->pid;
    sp__herald_tell(worker->shop->herald, &tidings);
}

static const char *transport_name(const struct worker *worker)
{
    return worker->spec->transport == SP_TRANSPORT_INHERITED ? "inherited"
           : worker->spec->transport == SP_TRANSPORT_PORT    ? "port"
                                                             : "unix";
}

void sp__worker_tell_connected(const struct worker *worker)
{
    sp__worker_tell(worker,
                    (struct tidings){.event = {.kind = SP_EVENT_CONNECTION_ESTABLISHED},
                                     EVENT_TEXTS(transport_name(worker))});
    if (worker->spec->health_interval_ms != SP_UNLIMITED) {
        sp__worker_tell(
            worker,
            (struct tidings){.event = {.kind = SP_EVENT_HEARTBEAT_STARTED},
                             EVENT_NUMBERS((double)worker->spec->health_interval_ms)});
    }
}

void sp__worker_tell_lost(const struct worker *worker, const char *why)
{
    uint64_t now_ms = sp__loop_now_ms(worker->shop->loop);
    sp__worker_tell(worker,
                    (struct tidings){.event = {.kind = SP_EVENT_CONNECTION_LOST},
                                     EVENT_NUMBERS((double)(now_ms - worker->ready_ms)),
                                     EVENT_TEXTS(why)});
}

void sp__worker_tell_watch_over(const struct worker *worker)
{
    static const char *const reasons[] = {
        [WHY_NONE] = "died",         [WHY_ASKED] = "asked",
        [WHY_RECYCLED] = "recycled", [WHY_REFUSED] = "refused",
        [WHY_TOO_SLOW] = "too_slow", [WHY_LOST] = "lost",
        [WHY_PROTOCOL] = "protocol", [WHY_HUNG] = "hung",
        [WHY_STUCK] = "stuck",       [WHY_CANCELLED] = "cancelled",
        [WHY_OPERATOR] = "operator", [WHY_GUARD] = "guard",
        [WHY_SPENT] = "spent"};
    if (worker->spec->health_interval_ms != SP_UNLIMITED) {
        sp__worker_tell(worker,
                        (struct tidings){.event = {.kind = SP_EVENT_HEARTBEAT_STOPPED},
                                         EVENT_NUMBERS((double)worker->pings),
                                         EVENT_TEXTS(reasons[worker->why])});
    }
}

/* ---- what it reports ---- */

/* An event of its own as a line: "tool.called duration=1.5". Cut where it does not fit. */
static void put_line(char *line, size_t max,
                     const struct proto_telemetry_event *reported)
{
    int n = snprintf(line, max, "%s", reported->name);
    size_t used = n > 0 ? (size_t)n : 0;
    for (size_t i = 0; i < reported->numbers_count && used < max; i++) {
        char number[32];
        (void)snprintf(number, sizeof number, "%.15g", reported->numbers[i].value);
        n = snprintf(line + used, max - used, " %s=%s", reported->numbers[i].name,
                     sp__real_dot(number));
        used += n > 0 ? (size_t)n : 0;
    }
    for (size_t i = 0; i < reported->texts_count && used < max; i++) {
        if (strcmp(reported->texts[i].name, SP__CALL_STREAM) == 0) {
            continue;
        }
        n = snprintf(line + used, max - used, " %s=%s", reported->texts[i].name,
                     reported->texts[i].text);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* Which call of the program's it is of. 0: nobody knows. */
static int name_call(const struct worker *worker, const char *stream, char *text,
                     size_t max)
{
    uint64_t number = sp__worker_number_of(worker, (uint32_t)strtoul(stream, NULL, 10));
    (void)snprintf(text, max, "%llu", (unsigned long long)number);
    return number != 0;
}

void sp__worker_tell_own(const struct worker *worker,
                         const struct proto_telemetry_event *reported)
{
    struct herald *herald = worker->shop->herald;
    const sp_event_info *row = sp__event_named(reported->name);
    sp_event_measurement measurements[EVENT_MEASUREMENTS];
    sp_event_metadata metadata[EVENT_METADATA + 1];
    size_t measured = 0;
    size_t texts = 0;
    int is_known = row != NULL && sp__event_is_workers(row->kind);
    int kind = is_known ? row->kind : SP_EVENT_TELEMETRY;
    char line[512] = "";
    char call[24];
    const char *session = NULL;
    if (!sp__herald_wants(herald, kind)) {
        return; /* no longer */
    }
    if (kind == SP_EVENT_TELEMETRY) {
        put_line(line, sizeof line, reported);
    }
    for (size_t i = 0; i < reported->numbers_count; i++) {
        const char *name = sp__event_measurement(reported->numbers[i].name);
        if (name != NULL) {
            measurements[measured++] = (sp_event_measurement){
                .name = name, .value = reported->numbers[i].value};
        }
    }
    metadata[texts++] = (sp_event_metadata){.name = "event", .text = reported->name};
    for (size_t i = 0; i < reported->texts_count; i++) {
        const char *name = reported->texts[i].name;
        if (strcmp(name, "session_id") == 0) {
            session = reported->texts[i].text;
        } else if (strcmp(name, SP__CALL_STREAM) == 0) {
            if (name_call(worker, reported->texts[i].text, call, sizeof call)) {
                metadata[texts++] = (sp_event_metadata){.name = "call", .text = call};
            }
        } else {
            metadata[texts++] =
                (sp_event_metadata){.name = name, .text = reported->texts[i].text};
        }
    }
    sp__worker_tell(worker,
                    (struct tidings){.event = {.kind = kind,
                                               .message = line,
                                               .session = session,
                                               .measurements = measurements,
                                               .measurements_count = measured,
                                               .metadata = metadata,
                                               .metadata_count = texts,
                                               .time_unix_ns = reported->unix_ns}});
}
