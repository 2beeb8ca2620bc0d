/* SPDX-License-Identifier: MIT */
/*
 * Events that user code reports.
 *
 * The binding gives figures and facts as JSON. They are read into arrays on the stack,
 * their texts into one buffer that is large enough from the start, so that what points
 * into it stays; then telemetry.c has the event, under the lock. Nothing is read that
 * nobody wants.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/real.h"
#include "runtime/runtime.h"
#include "snakepit/worker_telemetry.h"
#include "wire/json.h"

enum {
    NAME_MAX_BYTES = 255,
    EMISSION_MAX = 32 * 1024, /* both JSON texts */
    EMISSION_DEPTH = 16,
    TEXTS_FEW = 1024,
    MEASURES_MAX = 32,
    PAIRS_MAX = 32
};

struct reading {
    char *texts; /* `few`, or memory of their own */
    size_t used;
    char few[TEXTS_FEW];
    struct proto_measure measures[MEASURES_MAX];
    size_t measures_count;
    const char *metadata[2 * (PAIRS_MAX + JOB_FACTS) + 1];
    size_t metadata_count;
};

/* ---- texts ---- */

/* Room was reserved for every text of both objects. */
static const char *keep(struct reading *reading, const char *raw, size_t n, int escaped)
{
    char *text = reading->texts + reading->used;
    size_t size = n;
    if (escaped) {
        size = sp__json_unescape(raw, n, text);
    } else {
        memcpy(text, raw, n);
    }
    /* The wire's texts are UTF-8; an escape may have been half of a character, or NUL. */
    int is_clean = !escaped || sp__json_is_utf8(text, size);
    for (size_t i = 0; escaped && i < size; i++) {
        if (text[i] == '\0' || (!is_clean && (uint8_t)text[i] >= 0x80)) {
            text[i] = '?';
        }
    }
    text[size] = '\0';
    reading->used += size + 1;
    return text;
}

static const char *keep_string(struct reading *reading, const char *raw, size_t n)
{
    return keep(reading, raw + 1, n - 2, memchr(raw, '\\', n) != NULL);
}

/* ---- the two objects ---- */

static int check_object(sp_bytes json, const char *what, sp_error *err)
{
    if (json.size == 0) {
        return SP_OK;
    }
    int rc = sp__json_read(json.data, json.size, EMISSION_DEPTH, NULL, NULL, err);
    if (rc < 0) {
        return sp__wrap(err, rc, "an event's %s", what);
    }
    return sp__json_kind(json.data, json.size) == '{'
               ? SP_OK
               : sp__fail(err, SP_ERR_BAD_JSON, "an event's %s are no JSON object",
                          what);
}

static void read_number(const struct json_member *member, struct proto_measure *ret)
{
    char *end;
    errno = 0;
    ret->kind = MEASURE_INTEGER;
    ret->integer = strtoll(member->value, &end, 10); /* a , or } follows */
    if (errno != 0 || end == member->value || *end == '.' || *end == 'e' ||
        *end == 'E') {
        ret->kind = MEASURE_REAL;
        ret->real = sp__read_real(member->value);
    }
}

/* 0: it is no figure */
static int read_measure(struct reading *reading, const struct json_member *member,
                        struct proto_measure *ret)
{
    switch (sp__json_kind(member->value, member->value_size)) {
    case '0':
        read_number(member, ret);
        return 1;
    case 't':
    case 'f':
        ret->kind = MEASURE_INTEGER;
        ret->integer = member->value[0] == 't';
        return 1;
    case '"':
        ret->kind = MEASURE_TEXT;
        ret->text = keep_string(reading, member->value, member->value_size);
        return 1;
    default:
        return 0;
    }
}

static void read_measures(struct reading *reading, sp_bytes json)
{
    struct json_member member;
    size_t at = 0;
    while (json.size > 0 && reading->measures_count < MEASURES_MAX &&
           sp__json_next_member(json.data, json.size, &at, &member)) {
        struct proto_measure *measure = &reading->measures[reading->measures_count];
        *measure = (struct proto_measure){.name = NULL};
        if (read_measure(reading, &member, measure)) {
            measure->name =
                keep(reading, member.key, member.key_size, member.key_escaped);
            reading->measures_count++;
        }
    }
}

static void add_pair(struct reading *reading, const char *key, const char *value)
{
    for (size_t i = 0; i < reading->metadata_count; i += 2) {
        if (strcmp(reading->metadata[i], key) == 0) {
            return;
        }
    }
    reading->metadata[reading->metadata_count++] = key;
    reading->metadata[reading->metadata_count++] = value;
}

static void read_metadata(struct reading *reading, sp_bytes json)
{
    struct json_member member;
    size_t at = 0;
    for (size_t i = 0; json.size > 0 && i < PAIRS_MAX &&
                       sp__json_next_member(json.data, json.size, &at, &member);
         i++) {
        int is_text = sp__json_kind(member.value, member.value_size) == '"';
        const char *key =
            keep(reading, member.key, member.key_size, member.key_escaped);
        add_pair(reading, key,
                 is_text ? keep_string(reading, member.value, member.value_size)
                         : keep(reading, member.value, member.value_size, 0));
    }
}

static void add_job(struct reading *reading, const struct job_facts *facts)
{
    for (size_t i = 0; i < facts->count; i++) {
        add_pair(reading, facts->pairs[2 * i], facts->pairs[2 * i + 1]);
    }
}

/* ---- the event ---- */

static int check(const sp_emission *event, sp_error *err)
{
    if (event == NULL || event->size < sizeof *event) {
        return sp__fail(err, SP_ERR_INVAL, "an event's size is not set");
    }
    size_t n = event->name != NULL ? strlen(event->name) : 0;
    if (n == 0 || n > NAME_MAX_BYTES || !sp__json_is_utf8(event->name, n)) {
        return sp__fail(err, SP_ERR_INVAL, "an event's name is UTF-8 of 1 to %d bytes",
                        (int)NAME_MAX_BYTES);
    }
    size_t size = event->measurements.size + event->metadata.size;
    return size <= EMISSION_MAX ? SP_OK
                                : sp__fail(err, SP_ERR_TOO_BIG,
                                           "an event of %zu bytes is larger than %d",
                                           size, (int)EMISSION_MAX);
}

/* A text is never longer than its JSON, but for its end. */
static size_t texts_size(const sp_emission *event)
{
    return event->measurements.size + event->metadata.size +
           2 * (MEASURES_MAX + PAIRS_MAX);
}

static int begin_texts(struct reading *reading, size_t size, sp_error *err)
{
    reading->used = 0;
    reading->texts = size <= sizeof reading->few ? reading->few : sp__malloc(size);
    return reading->texts != NULL
               ? SP_OK
               : sp__fail(err, SP_ERR_NOMEM, "no memory for an event of %zu bytes",
                          size);
}

static int tell(sp_worker *w, const sp_emission *event, struct reading *reading,
                const char *correlation)
{
    const struct proto_telemetry message = {
        .event = event->name,
        .measures = reading->measures,
        .measures_count = reading->measures_count,
        .metadata = reading->metadata,
        .unix_ns = (int64_t)sp__unix_ns(),
        .correlation_id = correlation,
    };
    sp__runtime_lock(w);
    int told = sp__telemetry_emit(w, &message, event->span);
    sp__runtime_unlock(w);
    return told;
}

SP_API int sp_worker_emit(sp_worker *w, const sp_emission *event, sp_error *err)
{
    struct reading reading;
    struct job_facts facts = {.correlation = NULL};
    int rc = check(event, err);
    if (rc < 0 || !sp_worker_wants(w, event->name)) {
        return rc;
    }
    rc = check_object(event->measurements, "measurements", err);
    if (rc == SP_OK) {
        rc = check_object(event->metadata, "metadata", err);
    }
    if (rc < 0) {
        return rc;
    }
    reading.measures_count = 0;
    reading.metadata_count = 0;
    rc = begin_texts(&reading, texts_size(event), err);
    if (rc == SP_OK) {
        read_measures(&reading, event->measurements);
        read_metadata(&reading, event->metadata);
        if (event->job != NULL) {
            sp__telemetry_describe(event->job, &facts);
            add_job(&reading, &facts);
        }
        reading.metadata[reading.metadata_count] = NULL;
        rc = tell(w, event, &reading,
                  event->correlation_id != NULL ? event->correlation_id
                                                : facts.correlation);
    }
    if (reading.texts != reading.few) {
        sp__free(reading.texts);
    }
    return rc;
}

SP_API uint64_t sp_worker_events_dropped(sp_worker *w)
{
    return w != NULL ? atomic_load_explicit(&w->events_dropped, memory_order_relaxed)
                     : 0;
}
