/* SPDX-License-Identifier: MIT */
/*
 * The rows of the table of events, and what names and patterns mean by them.
 *
 * Everything is constant. A search walks the rows: it is done when a handler is attached
 * or a worker's own event comes, never for a call.
 */
#include "event/table.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/near.h"

#define LIST(...) __VA_ARGS__
#define ROW(constant, number, name_, flow_, about_, aliases_, measurements_, \
            metadata_, since_, meaning_)                                     \
    {.kind = (number),                                                       \
     .name = (name_),                                                        \
     .flow = SP_EVENT_FLOW_##flow_,                                          \
     .about = SP_EVENT_ABOUT_##about_,                                       \
     .aliases = {LIST aliases_},                                             \
     .measurements = {LIST measurements_},                                   \
     .metadata = {LIST metadata_},                                           \
     .since = (since_),                                                      \
     .meaning = (meaning_)},

static const sp_event_info rows[] = {SP_EVENT_TABLE(ROW)};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* The numbers are 1, 2, 3 ...: a row is found by its number. */
#define IN_ORDER(constant, number, ...) \
    _Static_assert((number) > 0 && (number) <= (int)ROWS, "a number is left out");
SP_EVENT_TABLE(IN_ORDER)
_Static_assert((int)ROWS < (int)EVENT_KINDS, "no room for so many events");

/* Beside those of the table: what workers of the original measure. */
static const char *const workers_own[] = {"duration",
                                          "duration_ms",
                                          "bytes",
                                          "system_time",
                                          "queue_depth",
                                          "queue_time",
                                          "available_workers",
                                          "busy_workers",
                                          "total_workers",
                                          "worker_count",
                                          "lifetime",
                                          "total_commands",
                                          "command_count",
                                          "downtime",
                                          "restart_count",
                                          "retry_count",
                                          "request_size",
                                          "response_size",
                                          "message_size",
                                          "sequence_number",
                                          "message_count",
                                          "network_time",
                                          "uptime",
                                          "call_count",
                                          "affinity_duration",
                                          "commands_with_affinity",
                                          "rss_bytes",
                                          "vms_bytes",
                                          "cpu_percent",
                                          "collected",
                                          "generation",
                                          "latency_ms",
                                          "count",
                                          "python_pid"};

const sp_event_info *sp__event_row(int kind)
{
    return kind > 0 && kind <= ROWS ? &rows[kind - 1] : NULL;
}

const sp_event_info *sp__event_row_at(size_t index)
{
    return index < ROWS ? &rows[index] : NULL;
}

int sp__event_is_workers(int kind)
{
    return kind == SP_EVENT_TELEMETRY ||
           (kind >= SP_EVENT_PYTHON_CALL_START && kind <= SP_EVENT_ERROR_DIMENSION);
}

static const char *without_namespace(const char *name)
{
    static const char space[] = "snakepit.";
    return strncmp(name, space, sizeof space - 1) == 0 ? name + sizeof space - 1 : name;
}

/* `size` bytes of a name; one with a dot at its end is a prefix. */
static int fits(const char *name, const char *pattern, size_t size)
{
    size_t length = strlen(name);
    return (pattern[size - 1] == '.' ? length > size : length == size) &&
           memcmp(name, pattern, size) == 0;
}

static int row_fits(const sp_event_info *row, const char *pattern, size_t size)
{
    int fit = fits(row->name, pattern, size);
    for (size_t i = 0; !fit && i < SP_EVENT_ALIASES_MAX && row->aliases[i] != NULL;
         i++) {
        fit = fits(row->aliases[i], pattern, size);
    }
    return fit;
}

const sp_event_info *sp__event_named(const char *name)
{
    name = without_namespace(name);
    size_t size = strlen(name);
    if (size == 0 || name[size - 1] == '.') {
        return NULL;
    }
    /* A name of its own comes before an alias of another event. */
    for (size_t i = 0; i < ROWS; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (row_fits(&rows[i], name, size)) {
            return &rows[i];
        }
    }
    return NULL;
}

static int fail_unknown(const char *name, size_t size, sp_error *err)
{
    struct near near;
    char wanted[64];
    char text[256];
    (void)snprintf(wanted, sizeof wanted, "%.*s", (int)(size < 63 ? size : 63), name);
    sp__near_init(&near, wanted);
    for (size_t i = 0; i < ROWS; i++) {
        sp__near_offer(&near, rows[i].name);
    }
    return sp__fail(err, SP_ERR_INVAL, "no event is called \"%s\"%s", wanted,
                    sp__near_text(&near, text, sizeof text));
}

static int add_fitting(struct event_set *set, const char *name, size_t size,
                       sp_error *err)
{
    int found = 0;
    for (size_t i = 0; i < ROWS; i++) {
        if (row_fits(&rows[i], name, size)) {
            sp__event_add(set, rows[i].kind);
            found = 1;
        }
    }
    return found ? SP_OK : fail_unknown(name, size, err);
}

int sp__event_pattern(const char *pattern, struct event_set *ret_set, sp_error *err)
{
    static const char between[] = ", \t";
    struct event_set set = {0};
    size_t words = 0;
    for (const char *at = pattern; *(at += strspn(at, between)) != '\0';) {
        size_t size = strcspn(at, between);
        const char *name = without_namespace(at);
        size_t skipped = (size_t)(name - at);
        if (skipped >= size) {
            for (size_t i = 0; i < ROWS; i++) {
                sp__event_add(&set, rows[i].kind); /* "snakepit." is the whole space */
            }
        } else {
            int rc = add_fitting(&set, name, size - skipped, err);
            if (rc < 0) {
                return rc;
            }
        }
        at += size;
        words++;
    }
    for (size_t i = 0; words == 0 && i < ROWS; i++) {
        sp__event_add(&set, rows[i].kind);
    }
    *ret_set = set;
    return SP_OK;
}

const char *sp__event_measurement(const char *name)
{
    for (size_t i = 0; i < sizeof workers_own / sizeof workers_own[0]; i++) {
        if (strcmp(workers_own[i], name) == 0) {
            return workers_own[i];
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0;
             j < SP_EVENT_MEASUREMENTS_MAX * 3 && rows[i].measurements[j] != NULL;
             j += 3) {
            if (strcmp(rows[i].measurements[j], name) == 0) {
                return rows[i].measurements[j];
            }
        }
    }
    return NULL;
}
