/* SPDX-License-Identifier: MIT */
/*
 * The rows of the table of events, and what names and patterns mean by them.
 *
 * Everything is constant, but for an index of the names that is made when one is first
 * looked for. A pattern walks the rows: that is done when a handler is attached.
 */
#include "event/table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- by name ---- */

/* All names in their order, made once: a worker's events come by the million. */
struct named {
    const char *name;
    const void *what; /* a row; of measurements the name */
    size_t place;     /* of those with one name the first counts */
};

enum {
    NAMES_MAX = ROWS * (1 + SP_EVENT_ALIASES_MAX),
    MEASUREMENTS_MAX =
        ROWS * SP_EVENT_MEASUREMENTS_MAX + sizeof workers_own / sizeof workers_own[0]
};

static struct {
    struct named names[NAMES_MAX];
    struct named measurements[MEASUREMENTS_MAX];
    size_t names_count;
    size_t measurements_count;
} by_name;

static int compare(const void *a, const void *b)
{
    const struct named *left = a;
    const struct named *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order
                      : (left->place > right->place) - (left->place < right->place);
}

static void add_named(struct named *list, size_t *count, const char *name,
                      const void *what)
{
    list[*count] = (struct named){.name = name, .what = what, .place = *count};
    ++*count;
}

/* In order, and each name once. */
static void sort(struct named *list, size_t *count)
{
    size_t kept = 0;
    qsort(list, *count, sizeof *list, compare);
    for (size_t i = 0; i < *count; i++) {
        if (kept == 0 || strcmp(list[kept - 1].name, list[i].name) != 0) {
            list[kept++] = list[i];
        }
    }
    *count = kept;
}

static void make_index(void)
{
    for (size_t i = 0; i < sizeof workers_own / sizeof workers_own[0]; i++) {
        add_named(by_name.measurements, &by_name.measurements_count, workers_own[i],
                  workers_own[i]);
    }
    /* A name of its own comes before an alias of another event. */
    for (size_t i = 0; i < ROWS; i++) {
        add_named(by_name.names, &by_name.names_count, rows[i].name, &rows[i]);
        for (const char *const *at = rows[i].measurements; *at != NULL; at += 3) {
            add_named(by_name.measurements, &by_name.measurements_count, *at, *at);
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (const char *const *at = rows[i].aliases; *at != NULL; at++) {
            add_named(by_name.names, &by_name.names_count, *at, &rows[i]);
        }
    }
    sort(by_name.names, &by_name.names_count);
    sort(by_name.measurements, &by_name.measurements_count);
}

static int compare_name(const void *key, const void *entry)
{
    return strcmp(key, ((const struct named *)entry)->name);
}

static const void *find(const struct named *list, const size_t *count, const char *name)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_index);
    const struct named *found = bsearch(name, list, *count, sizeof *list, compare_name);
    return found != NULL ? found->what : NULL;
}

const sp_event_info *sp__event_named(const char *name)
{
    return find(by_name.names, &by_name.names_count, without_namespace(name));
}

const char *sp__event_measurement(const char *name)
{
    return find(by_name.measurements, &by_name.measurements_count, name);
}

/* ---- patterns ---- */

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
