/* SPDX-License-Identifier: MIT */
/*
 * Pits for system tests: opened ready, watched, and closed at the end of the test even
 * when it fails. Results and errors that these functions return are borrowed until the
 * next call of the same function.
 */
#ifndef TEST_SUPPORT_PITS_H
#define TEST_SUPPORT_PITS_H

#include "cm.h"
#include "leak.h"
#include "snakepit/snakepit.h"

/* One Python pool "default" with the adapter probe.py (see there for its tools). */
sp_pool_options pool_of_probes(uint32_t workers);
/* One Python pool with the showcase. */
sp_pool_options pool_of_showcases(uint32_t workers);
/* One pool of C workers: a program of test/system/workers and one argument or NULL. */
sp_pool_options pool_of_program(const char *program, const char *argument,
                                uint32_t workers);
/* The paths of such a program, and of a file in test/system/workers/python. */
const char *path_of_program(const char *program);
const char *path_of_python(const char *file);

/* Open; every event is recorded. The first waits until all workers are ready. */
sp_pit *pit_open_ready(const sp_pool_options *pools, size_t count);
sp_pit *pit_open_ready_as(const sp_pit_options *options);
sp_pit *pit_open(const sp_pool_options *pools, size_t count);
sp_pit *pit_of_probes(uint32_t workers);
/* Its loop has a turn now and then, whatever happens. */
sp_pit *pit_of_turning_probes(uint32_t workers);
/* Take a pit that was opened by other means under the same care. */
void pit_adopt(sp_pit *pit);
void pit_close(sp_pit *pit);
/* Give one back to a test that closes it by other means. */
void pit_release(sp_pit *pit);

/* A call that must work, and the same with the very result. */
const sp_result *call(sp_pit *pit, const char *tool, const char *args,
                      const sp_call_options *options);
void call_gives(sp_pit *pit, const char *tool, const char *args, const char *json);
/* A call that must fail with this code. */
const sp_error *call_fails(sp_pit *pit, const char *tool, const char *args,
                           const sp_call_options *options, int code);
/* Start one to be waited for; wait for it likewise. */
sp_id call_start(sp_pit *pit, const char *tool, const char *args,
                 const sp_call_options *options);
const sp_result *call_wait(sp_pit *pit, sp_id id);
const sp_error *call_wait_fails(sp_pit *pit, sp_id id, int code);

/* Calls of the probe's `add` with callbacks: each runs a step (1: it went well), then starts
 * the next call. Dispatches until all have ended well. */
void call_chain(sp_pit *pit, unsigned count, int (*step)(sp_pit *pit, unsigned number));

/* The error of the last call here. */
sp_error *last_error(void);

/* A whole number in a flat JSON object. */
long long json_number(const char *json, const char *key);
/* 1 when text has part; for messages. */
#define assert_has(text, part)                                                      \
    do {                                                                            \
        const char *has_text = (text);                                              \
        const char *has_part = (part);                                              \
        if (has_text == NULL || strstr(has_text, has_part) == NULL) {               \
            fail_msg("\"%s\" lacks \"%s\"", has_text == NULL ? "(null)" : has_text, \
                     has_part);                                                     \
        }                                                                           \
    } while (0)

/* A call of the probe's `hold`: it runs until released. `name` is a file in the test's
 * folder. Returns once user code runs. */
sp_id hold_start(sp_pit *pit, const char *name, const sp_call_options *options);
void hold_start_telling(sp_pit *pit, const char *name, sp_reply_cb on_reply,
                        void *user_data);
/* The arguments for it, into text. */
const char *hold_args(const char *name, char *text, size_t max);
void hold_await(const char *name);
void hold_release(const char *name);

int file_exists(const char *path);
void file_write(const char *path, const char *text);
/* Up to max - 1 bytes of it, terminated; "" when there is none. */
const char *file_read(const char *path, char *text, size_t max);

/* ---- events ---- */
struct seen {
    int kind;
    int pid;
    uint32_t slot;
    int exit_status;
    int signal;
    uint64_t duration_ms;
    uint64_t time_unix_ms;
    char pool[65];
    char session[256];
    char message[600];
};

/* Dispatch until the n-th (from 1) event of a kind came. */
const struct seen *event_await(sp_pit *pit, int kind, unsigned n);
/* How many of a kind came so far. */
unsigned event_count(int kind);
/* The recorder, for pits that are opened by hand. */
void event_record(const sp_event *event, void *user_data);

/* Workers, by state. */
unsigned workers_in(sp_pit *pit, int state);
sp_worker_info worker_at(sp_pit *pit, uint32_t slot);
sp_pool_stats stats_of(sp_pit *pit);

/* Before the first test: what libraries open once and keep. */
int pits_prime(void **state);
#define RUN_SYSTEM_TESTS(name, tests) \
    cmocka_run_group_tests_name(name, tests, pits_prime, NULL)

/* For sp_pool_options.env_set of a Python pool: what an interpreter needs under a
 * sanitizer, or NULL. */
const char *const *env_for_python(void);

#endif
