/* SPDX-License-Identifier: MIT */
/*
 * Pits for system tests.
 *
 * A pit opened here is closed when its test ends, so that a failed assertion does not
 * leave workers to the next test. Calls check their outcome and say what came instead.
 *
 * Under a sanitizer an interpreter, which is not built with one, can load the bridge
 * only when the sanitizer's library comes first: SNAKEPIT_TEST_PRELOAD names it and is
 * handed to Python workers alone. Without it SNAKEPIT_BRIDGE_PATH names a plain bridge.
 */
#include "pits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/loop.h"
#include "processes.h"

#ifndef TEST_SOURCE
#error "TEST_SOURCE names the source folder"
#endif

enum { PITS_MAX = 8, SEEN_MAX = 8192, READY_MS = 30000 };

static sp_pit *pits[PITS_MAX];
static sp_result result;
static sp_error error;
static struct seen *seen;
static size_t seen_count;

static void turn_end(void *user)
{
}

/* ---- care ---- */

/* libuv opens a pipe for itself with its first loop. */
int pits_prime(void **state)
{
    static const struct loop_events events = {.on_turn_end = turn_end};
    struct loop *loop;
    int rc = sp__loop_open(&events, NULL, &loop, NULL);
    if (rc == 0) {
        sp__loop_close(loop);
    }
    return rc;
}

static void close_all(void)
{
    for (size_t i = 0; i < PITS_MAX; i++) {
        sp_pit_close(pits[i]);
        pits[i] = NULL;
    }
    sp_result_clear(&result);
    sp_error_clear(&error);
    free(seen);
    seen = NULL;
    seen_count = 0;
}

void pit_adopt(sp_pit *pit)
{
    leak_at_end(close_all);
    for (size_t i = 0; i < PITS_MAX; i++) {
        if (pits[i] == NULL) {
            pits[i] = pit;
            return;
        }
    }
    fail_msg("too many pits");
}

void pit_release(sp_pit *pit)
{
    for (size_t i = 0; i < PITS_MAX; i++) {
        if (pits[i] == pit) {
            pits[i] = NULL;
        }
    }
}

void pit_close(sp_pit *pit)
{
    pit_release(pit);
    sp_pit_close(pit);
}

/* ---- pools ---- */

const char *const *env_for_python(void)
{
    static char entry[512];
    static const char *const list[] = {entry, NULL};
    const char *library = getenv("SNAKEPIT_TEST_PRELOAD");
    if (library == NULL || library[0] == '\0') {
        return NULL;
    }
    (void)snprintf(entry, sizeof entry, "LD_PRELOAD=%s", library);
    return list;
}

const char *path_of_program(const char *program)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/test/system/%s", TEST_BUILD, program);
    return path;
}

const char *path_of_python(const char *file)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "%s/test/system/workers/python/%s", TEST_SOURCE,
                   file);
    return path;
}

sp_pool_options pool_of_showcases(uint32_t workers)
{
    return (sp_pool_options){
        .size = sizeof(sp_pool_options),
        .workers = workers,
        .python = "/usr/bin/python3",
        .env_set = env_for_python(),
        .init_timeout_ms = patience_ms(20000),
        .startup_timeout_ms = patience_ms(30000),
    };
}

sp_pool_options pool_of_probes(uint32_t workers)
{
    static char adapter[512];
    sp_pool_options pool = pool_of_showcases(workers);
    (void)snprintf(adapter, sizeof adapter, "%s", path_of_python("probe.py"));
    pool.adapter = adapter;
    return pool;
}

sp_pool_options pool_of_program(const char *program, const char *argument,
                                uint32_t workers)
{
    static char path[512];
    static char word[64];
    static const char *command[] = {path, word, NULL};
    (void)snprintf(path, sizeof path, "%s", path_of_program(program));
    (void)snprintf(word, sizeof word, "%s", argument != NULL ? argument : "-");
    return (sp_pool_options){.size = sizeof(sp_pool_options),
                             .runtime = "exec",
                             .command = command,
                             .workers = workers,
                             .init_timeout_ms = patience_ms(20000)};
}

static sp_pit *open_as(const sp_pit_options *options)
{
    sp_pit *pit = NULL;
    leak_at_end(close_all);
    if (sp_pit_open(options, &pit, &error) < 0) {
        fail_msg("opening a pit: %s", error.message);
    }
    pit_adopt(pit);
    return pit;
}

static sp_pit *await_workers(sp_pit *pit)
{
    if (sp_pit_await_ready(pit, patience_ms(READY_MS), &error) < 0) {
        fail_msg("waiting for workers: %s %s%s%s", sp_error_name(error.code),
                 error.message, error.worker_stderr != NULL ? "\n" : "",
                 error.worker_stderr != NULL ? error.worker_stderr : "");
    }
    return pit;
}

sp_pit *pit_open(const sp_pool_options *pools, size_t count)
{
    sp_pit_options options = {.size = sizeof options,
                              .pools = pools,
                              .pools_count = count,
                              .on_event = event_record};
    return open_as(&options);
}

sp_pit *pit_open_ready(const sp_pool_options *pools, size_t count)
{
    return await_workers(pit_open(pools, count));
}

sp_pit *pit_open_ready_as(const sp_pit_options *options)
{
    return await_workers(open_as(options));
}

sp_pit *pit_of_probes(uint32_t workers)
{
    sp_pool_options pool = pool_of_probes(workers);
    return pit_open_ready(&pool, 1);
}

sp_pit *pit_of_turning_probes(uint32_t workers)
{
    sp_pool_options pool = pool_of_probes(workers);
    sp_pit_options options = {.size = sizeof options,
                              .pools = &pool,
                              .pools_count = 1,
                              .on_event = event_record,
                              .sample_interval_ms = 20};
    return pit_open_ready_as(&options);
}

/* ---- calls ---- */

sp_error *last_error(void)
{
    return &error;
}

static void complain(const char *tool)
{
    fail_msg("%s: %s %s%s%s", tool, sp_error_name(error.code), error.message,
             error.remote_trace != NULL ? "\n" : "",
             error.remote_trace != NULL ? error.remote_trace : "");
}

const sp_result *call(sp_pit *pit, const char *tool, const char *args,
                      const sp_call_options *options)
{
    leak_at_end(close_all);
    sp_result_clear(&result);
    if (sp_execute(pit, tool, sp_text(args), options, &result, &error) < 0) {
        complain(tool);
    }
    assert_int_equal(error.code, 0);
    assert_non_null(result.json);
    assert_int_equal(strlen(result.json), result.json_bytes);
    return &result;
}

void call_gives(sp_pit *pit, const char *tool, const char *args, const char *json)
{
    assert_string_equal(call(pit, tool, args, NULL)->json, json);
}

static const sp_error *must_be(const char *tool, int rc, int code)
{
    if (rc == 0) {
        fail_msg("%s worked: %s", tool, result.json);
    }
    if (rc != code || error.code != code) {
        fail_msg("%s: %s (%d) %s, not %s", tool, sp_error_name(error.code), rc,
                 error.message, sp_error_name(code));
    }
    assert_null(result.json);
    assert_true(error.message[0] != '\0');
    return &error;
}

const sp_error *call_fails(sp_pit *pit, const char *tool, const char *args,
                           const sp_call_options *options, int code)
{
    leak_at_end(close_all);
    sp_result_clear(&result);
    int rc = sp_execute(pit, tool, sp_text(args), options, &result, &error);
    return must_be(tool, rc, code);
}

sp_id call_start(sp_pit *pit, const char *tool, const char *args,
                 const sp_call_options *options)
{
    sp_id id = 0;
    if (sp_call_start(pit, tool, sp_text(args), options, NULL, NULL, &id, &error) < 0) {
        complain(tool);
    }
    assert_true(id != 0);
    return id;
}

const sp_result *call_wait(sp_pit *pit, sp_id id)
{
    sp_result_clear(&result);
    if (sp_call_wait(pit, id, &result, &error) < 0) {
        complain("a started call");
    }
    return &result;
}

const sp_error *call_wait_fails(sp_pit *pit, sp_id id, int code)
{
    sp_result_clear(&result);
    return must_be("a started call", sp_call_wait(pit, id, &result, &error), code);
}

static struct {
    sp_pit *pit;
    int (*step)(sp_pit *pit, unsigned number);
    unsigned ended;
    unsigned count;
    unsigned wrong;
} chain;

/* In a callback, which no test may be left from. */
static void on_link(const sp_reply *reply, void *user_data)
{
    chain.wrong += reply->error != NULL;
    chain.wrong += !chain.step(chain.pit, chain.ended);
    if (++chain.ended < chain.count &&
        sp_call_start(chain.pit, "add", sp_text("[1,2]"), NULL, on_link, NULL, NULL,
                      NULL) < 0) {
        chain.wrong++;
        chain.ended = chain.count;
    }
}

void call_chain(sp_pit *pit, unsigned count, int (*step)(sp_pit *pit, unsigned number))
{
    memset(&chain, 0, sizeof chain);
    chain.pit = pit;
    chain.step = step;
    chain.count = count;
    if (sp_call_start(pit, "add", sp_text("[1,2]"), NULL, on_link, NULL, NULL, &error) <
        0) {
        complain("add");
    }
    uint64_t end_ms = leak_now_ms() + patience_ms(60000);
    while (chain.ended < count) {
        assert_true(leak_now_ms() < end_ms);
        assert_true(sp_pit_dispatch(pit, 1000, &error) >= 0);
    }
    assert_int_equal(chain.wrong, 0);
}

long long json_number(const char *json, const char *key)
{
    char name[80];
    (void)snprintf(name, sizeof name, "\"%s\":", key);
    const char *at = strstr(json, name);
    if (at == NULL) {
        fail_msg("%s has no %s", json, key);
        return 0;
    }
    return strtoll(at + strlen(name), NULL, 10);
}

/* ---- files ---- */

int file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

void file_write(const char *path, const char *text)
{
    /* Whole or not there: others look for it. */
    char part[300];
    (void)snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(part, path), 0);
}

const char *file_read(const char *path, char *text, size_t max)
{
    text[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        text[fread(text, 1, max - 1, file)] = '\0';
        (void)fclose(file);
    }
    return text;
}

/* ---- calls that run until they are let go ---- */

static const char *with_end(const char *name, const char *end)
{
    char file[128];
    (void)snprintf(file, sizeof file, "%s%s", name, end);
    return leak_path(file);
}

const char *hold_args(const char *name, char *text, size_t max)
{
    (void)snprintf(text, max, "{\"path\":\"%s\"}", leak_path(name));
    return text;
}

void hold_await(const char *name)
{
    const char *path = with_end(name, ".held");
    UNTIL(file_exists(path));
}

void hold_release(const char *name)
{
    file_write(with_end(name, ".go"), "");
}

sp_id hold_start(sp_pit *pit, const char *name, const sp_call_options *options)
{
    char args[400];
    sp_id id = call_start(pit, "hold", hold_args(name, args, sizeof args), options);
    hold_await(name);
    return id;
}

void hold_start_telling(sp_pit *pit, const char *name, sp_reply_cb on_reply,
                        void *user_data)
{
    char args[400];
    if (sp_call_start(pit, "hold", sp_text(hold_args(name, args, sizeof args)), NULL,
                      on_reply, user_data, NULL, &error) < 0) {
        complain("hold");
    }
    hold_await(name);
}

/* ---- events ---- */

void event_record(const sp_event *event, void *user_data)
{
    if (seen == NULL) {
        seen = calloc(SEEN_MAX, sizeof *seen);
        assert_non_null(seen);
    }
    struct seen *next = &seen[seen_count < SEEN_MAX ? seen_count++ : SEEN_MAX - 1];
    *next = (struct seen){
        .kind = event->kind,
        .pid = event->pid,
        .slot = event->slot,
        .exit_status = event->exit_status,
        .signal = event->signal,
        .duration_ms = event->duration_ms,
        .time_unix_ms = event->time_unix_ms,
    };
    (void)snprintf(next->pool, sizeof next->pool, "%s", event->pool);
    (void)snprintf(next->session, sizeof next->session, "%s",
                   event->session != NULL ? event->session : "");
    (void)snprintf(next->message, sizeof next->message, "%s", event->message);
}

static const struct seen *nth(int kind, unsigned n)
{
    for (size_t i = 0; i < seen_count; i++) {
        if (seen[i].kind == kind && --n == 0) {
            return &seen[i];
        }
    }
    return NULL;
}

unsigned event_count(int kind)
{
    unsigned count = 0;
    for (size_t i = 0; i < seen_count; i++) {
        count += seen[i].kind == kind;
    }
    return count;
}

const struct seen *event_await(sp_pit *pit, int kind, unsigned n)
{
    const struct seen *found;
    uint64_t end_ms = leak_now_ms() + patience_ms(20000);
    while ((found = nth(kind, n)) == NULL) {
        if (leak_now_ms() > end_ms) {
            fail_msg("event %s came %u times, not %u", sp_event_name(kind),
                     event_count(kind), n);
        }
        assert_true(sp_pit_dispatch(pit, 100, NULL) >= 0);
    }
    return found;
}

/* ---- workers ---- */

unsigned workers_in(sp_pit *pit, int state)
{
    sp_worker_info list[64];
    unsigned count = 0;
    int n = sp_pool_workers_get(pit, NULL, list, COUNT_OF(list), &error);
    assert_true(n >= 0 && n <= (int)COUNT_OF(list));
    for (int i = 0; i < n; i++) {
        count += list[i].state == state;
    }
    return count;
}

sp_worker_info worker_at(sp_pit *pit, uint32_t slot)
{
    sp_worker_info list[64];
    int n = sp_pool_workers_get(pit, NULL, list, COUNT_OF(list), &error);
    assert_true(n > (int)slot);
    return list[slot];
}

sp_pool_stats stats_of(sp_pit *pit)
{
    sp_pool_stats stats;
    assert_int_equal(sp_pool_stats_get(pit, NULL, &stats, &error), 0);
    return stats;
}
