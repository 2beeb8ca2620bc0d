/* SPDX-License-Identifier: MIT */
/*
 * Sightings of events, and the claims about them.
 *
 * Normal course: the handler, on a thread of the library's, holds each event against its
 * row and notes under the lock whether it was whole; the scenario waits for that. What is
 * wrong with an event is noted as a line, since only the test's thread may fail a test:
 * at the end of the scenario, or, when it came while the pit closed, with the next one.
 */
#include "sightings.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "provocations.h"

enum { KINDS = 256, AWAIT_MS = 20000, WRONG_MAX = 2000, JSON_LISTS = 32 };

/* ---- the claims ---- */

static const struct claim {
    int kind;
    const char *file;
    const char *scenario;
    const char *without;
} claims[] = {
#define X(constant, file, scenario, without) \
    {SP_EVENT_##constant, #file, #scenario, without},
    PROVOCATIONS(X)
#undef X
};

/* Each row of the table has one claim, or this does not compile. */
enum {
#define X(constant, file, scenario, without) CLAIM_FOR_##constant = SP_EVENT_##constant,
    PROVOCATIONS(X)
#undef X
};
#define X(constant, number, name, flow, about, aliases, measurements, metadata, since, \
          meaning)                                                                     \
    _Static_assert((int)CLAIM_FOR_##constant == (number), "another row's");
SP_EVENT_TABLE(X)
#undef X

static int has_come_true[COUNT_OF(claims)];
static const struct scenario *running;

static const struct claim *claim_of(int kind)
{
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        if (claims[i].kind == kind) {
            return &claims[i];
        }
    }
    return NULL;
}

/* ---- what was seen ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct {
    unsigned count;
    int whole;
    char lacks[400]; /* what the last one that was not whole had not */
    double
        numbers[SP_EVENT_MEASUREMENTS_MAX]; /* of the last one, as its row has them */
} sights[KINDS];
static char wrong[WRONG_MAX]; /* the first that should not be */

static void complain(const sp_event *event, const char *what, const char *name)
{
    size_t used = strlen(wrong);
    (void)snprintf(wrong + used, sizeof wrong - used, "\n%s: %s %s", event->name, what,
                   name);
}

/* ---- an event against its row ---- */

static int is_word_of(const char *words, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += size) {
        if ((at == words || at[-1] == ' ') && (at[size] == '\0' || at[size] == ' ')) {
            return 1;
        }
    }
    return 0;
}

/* What an event has by what it is about. */
static const char *words_about(const sp_event_info *row)
{
    static const char *const words[] = {
        [SP_EVENT_ABOUT_PIT] = "",
        [SP_EVENT_ABOUT_POOL] = "pool",
        [SP_EVENT_ABOUT_WORKER] = "pool worker pid",
        [SP_EVENT_ABOUT_CALL] = "pool worker pid session",
        [SP_EVENT_ABOUT_SESSION] = "session",
    };
    return words[row->about];
}

static const char *text_in(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->metadata_count; i++) {
        if (strcmp(event->metadata[i].name, name) == 0) {
            return event->metadata[i].text;
        }
    }
    return NULL;
}

static const sp_event_measurement *number_in(const sp_event *event, const char *name)
{
    for (size_t i = 0; i < event->measurements_count; i++) {
        if (strcmp(event->measurements[i].name, name) == 0) {
            return &event->measurements[i];
        }
    }
    return NULL;
}

/* What a worker makes may say more than its row. */
static int may_say_more(const sp_event_info *row)
{
    static const char begin[] = "worker: ";
    return strncmp(row->meaning, begin, sizeof begin - 1) == 0;
}

static void check_measurements(const sp_event *event, const sp_event_info *row)
{
    size_t declared = 0;
    for (; row->measurements[declared * 3] != NULL; declared++) {
        const char *name = row->measurements[declared * 3];
        const char *type = row->measurements[declared * 3 + 1];
        const sp_event_measurement *found = number_in(event, name);
        if (found == NULL) {
            complain(event, "no measurement", name);
        } else if (!isfinite(found->value) || found->value < 0) {
            complain(event, "no real figure is", name);
        } else if (strcmp(type, "integer") == 0 &&
                   found->value != floor(found->value)) {
            complain(event, "no whole number is", name);
        }
    }
    for (size_t i = 0; i < event->measurements_count; i++) {
        int is_declared = 0;
        for (size_t j = 0; j < declared; j++) {
            is_declared |=
                strcmp(row->measurements[j * 3], event->measurements[i].name) == 0;
        }
        if (!is_declared && !may_say_more(row)) {
            complain(event, "its row lacks the measurement",
                     event->measurements[i].name);
        }
    }
}

static int is_declared(const sp_event_info *row, const char *name)
{
    for (size_t i = 0; row->metadata[i] != NULL; i++) {
        if (strcmp(row->metadata[i], name) == 0) {
            return 1;
        }
    }
    return is_word_of(words_about(row), name) ||
           (row->flow == SP_EVENT_FLOW_TOLD && strcmp(name, "message") == 0);
}

static void check_metadata(const sp_event *event, const sp_event_info *row)
{
    for (size_t i = 0; i < event->metadata_count; i++) {
        const char *name = event->metadata[i].name;
        if (!is_declared(row, name) && !may_say_more(row)) {
            complain(event, "its row lacks the metadata", name);
        }
        for (size_t j = 0; j < i; j++) {
            if (strcmp(event->metadata[j].name, name) == 0) {
                complain(event, "twice the metadata", name);
            }
        }
    }
}

/* The members say the same as the metadata. */
static void check_members(const sp_event *event)
{
    char number[24];
    const char *pool = text_in(event, "pool");
    const char *session = text_in(event, "session");
    const char *pid = text_in(event, "pid");
    if (strcmp(event->pool, pool == NULL ? "" : pool) != 0) {
        complain(event, "another pool than its metadata has", event->pool);
    }
    if (strcmp(event->session, session == NULL ? "" : session) != 0) {
        complain(event, "another session than its metadata has", event->session);
    }
    (void)snprintf(number, sizeof number, "%d", event->pid);
    if (strcmp(number, pid == NULL ? "0" : pid) != 0) {
        complain(event, "another pid than its metadata has", number);
    }
    if (event->time_unix_ms != event->time_unix_ns / 1000000u ||
        event->time_unix_ns == 0) {
        complain(event, "no time", "");
    }
}

static void add_lack(char *lacks, size_t max, const sp_event *event, const char *name,
                     const char *without)
{
    size_t used = strlen(lacks);
    if (text_in(event, name) == NULL && !is_word_of(without, name)) {
        (void)snprintf(lacks + used, max - used, " %s", name);
    }
}

/* "" when it has everything that it may have. */
static void look_for_lacks(const sp_event *event, const sp_event_info *row, char *lacks,
                           size_t max)
{
    static const char *const about[] = {"pool", "worker", "pid", "session"};
    const struct claim *claim = claim_of(event->kind);
    const char *without = claim != NULL ? claim->without : "";
    lacks[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(about); i++) {
        if (is_word_of(words_about(row), about[i])) {
            add_lack(lacks, max, event, about[i], without);
        }
    }
    for (size_t i = 0; row->metadata[i] != NULL; i++) {
        add_lack(lacks, max, event, row->metadata[i], without);
    }
    if (row->flow == SP_EVENT_FLOW_TOLD) {
        add_lack(lacks, max, event, "message", without);
    }
}

static void keep_numbers(const sp_event *event, const sp_event_info *row)
{
    for (size_t i = 0; row->measurements[i * 3] != NULL; i++) {
        const sp_event_measurement *found = number_in(event, row->measurements[i * 3]);
        sights[event->kind].numbers[i] = found != NULL ? found->value : -1;
    }
}

static void see(const sp_event *event, void *user_data)
{
    char lacks[sizeof sights[0].lacks];
    const sp_event_info *row = sp_event_info_find(event->name);
    (void)pthread_mutex_lock(&lock);
    if (row == NULL || row->kind != event->kind) {
        complain(event, "its name is of another row", "");
    } else {
        check_measurements(event, row);
        check_metadata(event, row);
        check_members(event);
        look_for_lacks(event, row, lacks, sizeof lacks);
        keep_numbers(event, row);
        sights[event->kind].count++;
        if (lacks[0] == '\0') {
            sights[event->kind].whole = 1;
        } else {
            memcpy(sights[event->kind].lacks, lacks, sizeof lacks);
        }
    }
    (void)pthread_cond_broadcast(&more);
    (void)pthread_mutex_unlock(&lock);
}

/* ---- waiting ---- */

static struct timespec from_now(uint64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(ms / 1000);
    return until;
}

unsigned sights_of(int kind)
{
    (void)pthread_mutex_lock(&lock);
    unsigned count = sights[kind].count;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

double sights_number(int kind, const char *name)
{
    const sp_event_info *row = sp_event_info_find(sp_event_name(kind));
    double number = -1;
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; sights[kind].count > 0 && row->measurements[i * 3] != NULL;
         i++) {
        if (strcmp(row->measurements[i * 3], name) == 0) {
            number = sights[kind].numbers[i];
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return number;
}

/* 0 when it was in vain. */
static int await(int kind, unsigned count, int whole)
{
    struct timespec until = from_now(patience_ms(AWAIT_MS));
    int in_time = 1;
    (void)pthread_mutex_lock(&lock);
    while (in_time && (sights[kind].count < count || sights[kind].whole < whole)) {
        in_time = pthread_cond_timedwait(&more, &lock, &until) != ETIMEDOUT;
    }
    (void)pthread_mutex_unlock(&lock);
    return in_time;
}

void sights_await(int kind, unsigned count)
{
    if (!await(kind, count, 0)) {
        fail_msg("%s came %u times, not %u", sp_event_name(kind), sights_of(kind),
                 count);
    }
}

/* ---- pits ---- */

sp_pool_options pool_of_eventful(const char *argument)
{
    sp_pool_options pool = pool_of_program("eventful", argument, 1);
    pool.queue_timeout_ms = patience_ms(20000);
    pool.backoff_min_ms = 1;
    pool.backoff_max_ms = 2;
    return pool;
}

sp_pit *sights_open(const sp_pit_options *options)
{
    sp_pit *pit = NULL;
    uint64_t id;
    sp_pit_options sized = *options;
    sized.size = sizeof sized;
    if (sp_pit_open(&sized, &pit, last_error()) < 0) {
        fail_msg("opening a pit: %s", last_error()->message);
    }
    pit_adopt(pit);
    assert_int_equal(sp_events_attach(pit, "", see, NULL, &id, last_error()), 0);
    return pit;
}

sp_pit *sights_open_ready(const sp_pool_options *pool)
{
    sp_pit_options options = {.pools = pool, .pools_count = 1};
    sp_pit *pit = sights_open(&options);
    if (sp_pit_await_ready(pit, 0, last_error()) < 0) {
        fail_msg("waiting for workers: %s", last_error()->message);
    }
    return pit;
}

/* ---- what the pit remembers ---- */

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void see_remembered(json_t *json)
{
    sp_event_measurement measurements[JSON_LISTS];
    sp_event_metadata metadata[JSON_LISTS];
    const sp_event_info *row = sp_event_info_find(text_at(json, "event"));
    json_t *numbers = json_object_get(json, "measurements");
    json_t *texts = json_object_get(json, "metadata");
    uint64_t time_ms =
        (uint64_t)json_integer_value(json_object_get(json, "time_unix_ms"));
    const char *key;
    json_t *value;
    assert_non_null(row);
    assert_true(json_object_size(numbers) <= JSON_LISTS &&
                json_object_size(texts) <= JSON_LISTS);
    sp_event event = {.kind = row->kind,
                      .name = row->name,
                      .pool = text_at(texts, "pool"),
                      .session = text_at(texts, "session"),
                      .pid = (int)strtol(text_at(texts, "pid"), NULL, 10),
                      .time_unix_ms = time_ms,
                      .time_unix_ns = time_ms * 1000000u,
                      .measurements = measurements,
                      .metadata = metadata};
    json_object_foreach (numbers, key, value) {
        measurements[event.measurements_count++] =
            (sp_event_measurement){key, json_number_value(value)};
    }
    json_object_foreach (texts, key, value) {
        metadata[event.metadata_count++] =
            (sp_event_metadata){key, json_string_value(value)};
    }
    see(&event, NULL);
}

static void take_report(sp_bytes json, void *user_data)
{
    *(json_t **)user_data = json_loadb(json.data, json.size, 0, NULL);
}

void sights_recall(sp_pit *pit)
{
    json_t *report = NULL;
    assert_int_equal(
        sp_pit_report(pit, "events", NULL, take_report, (void *)&report, last_error()),
        0);
    const json_t *events = json_object_get(report, "events");
    assert_true(json_array_size(events) > 0);
    for (size_t i = 0; i < json_array_size(events); i++) {
        see_remembered(json_array_get(events, i));
    }
    json_decref(report);
}

/* ---- scenarios ---- */

static void fail_when_wrong(void)
{
    (void)pthread_mutex_lock(&lock);
    char text[WRONG_MAX];
    memcpy(text, wrong, sizeof text);
    wrong[0] = '\0';
    (void)pthread_mutex_unlock(&lock);
    if (text[0] != '\0') {
        fail_msg("not as the table has it:%s", text);
    }
}

static int is_of(const struct claim *claim, const struct scenario *scenario)
{
    return strcmp(claim->file, scenario->file) == 0 &&
           strcmp(claim->scenario, scenario->name) == 0;
}

void scenario_skip(const char *why)
{
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        has_come_true[i] |= is_of(&claims[i], running);
    }
    skip_because("%s makes nothing happen here: %s", running->name, why);
}

void scenario_run(void **state)
{
    const struct scenario *scenario = *state;
    int claimed = 0;
    running = scenario;
    fail_when_wrong(); /* what the one before told while its pit closed */
    (void)pthread_mutex_lock(&lock);
    memset(sights, 0, sizeof sights);
    (void)pthread_mutex_unlock(&lock);
    scenario->provoke();
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        const struct claim *claim = &claims[i];
        if (!is_of(claim, scenario)) {
            continue;
        }
        claimed = 1;
        if (!await(claim->kind, 1, 1)) {
            fail_when_wrong();
            fail_msg("%s came %u times%s%s", sp_event_name(claim->kind),
                     sights_of(claim->kind),
                     sights_of(claim->kind) > 0 ? ", without:" : "",
                     sights[claim->kind].lacks);
        }
        has_come_true[i] = 1;
    }
    assert_true(claimed);
    fail_when_wrong();
}

void claims_check(void **state)
{
    const struct scenario *scenario = *state;
    fail_when_wrong();
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        if (!is_word_of(EVENT_FILES, claims[i].file)) {
            fail_msg("%s is claimed for test_events_%s.c, which is not run",
                     sp_event_name(claims[i].kind), claims[i].file);
        }
        if (strcmp(claims[i].file, scenario->file) == 0 && !has_come_true[i]) {
            fail_msg("%s was not seen in %s", sp_event_name(claims[i].kind),
                     claims[i].scenario);
        }
    }
}
