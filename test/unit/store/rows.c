/* SPDX-License-Identifier: MIT */
#include "rows.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "leak.h"

void rows_commit(struct store *store, const struct record *records, size_t count)
{
    sp_error err = {0};
    struct change change = {.records = records, .count = count};
    if (sp__store_commit(store, &change, &err) < 0) {
        fail_msg("not committed: %s", err.message);
    }
}

struct record rows_session(uint64_t key, const char *id)
{
    return (struct record){.kind = RECORD_SESSION,
                           .session = key,
                           .name = id,
                           .metadata = "{}",
                           .created_unix_ms = 5,
                           .durability = 2,
                           .expires = {.ttl_ms = 1000, .boot_ms = 70, .unix_ms = 80}};
}

struct record rows_variable(uint64_t session, uint64_t number, const char *name)
{
    return (struct record){.kind = RECORD_VARIABLE,
                           .session = session,
                           .number = number,
                           .name = name,
                           .type = "integer",
                           .value = "{}",
                           .value_size = 2,
                           .created_unix_ms = 6};
}

struct record rows_version(uint64_t session, uint64_t number, uint64_t version,
                           const char *value)
{
    return (struct record){.kind = RECORD_VERSION,
                           .session = session,
                           .number = number,
                           .version = version,
                           .value = value,
                           .value_size = strlen(value),
                           .metadata = "{}",
                           .by = "me"};
}

/* ---- reading ---- */

static char all[4096];

static void add(const char *format, ...) SP_PRINTF(1, 2);

static void add(const char *format, ...)
{
    va_list args;
    size_t used = strlen(all);
    va_start(args, format);
    (void)vsnprintf(all + used, sizeof all - used, format, args);
    va_end(args);
}

static int add_record(const struct record *record, void *user_data, sp_error *err)
{
    unsigned long long session = record->session;
    unsigned long long number = record->number;
    if (all[0] != '\0') {
        add("; ");
    }
    switch ((int)record->kind) {
    case RECORD_SESSION:
        add("session %llu %s %s", session, record->name, record->metadata);
        break;
    case RECORD_VARIABLE:
        add("variable %llu.%llu %s", session, number, record->name);
        break;
    case RECORD_VARIABLE_LOCK:
        add("lock %llu.%llu %s", session, number, record->by);
        break;
    case RECORD_VERSION:
        assert_int_equal(strlen(record->value), record->value_size);
        add("version %llu.%llu.%llu %s", session, number,
            (unsigned long long)record->version, record->value);
        break;
    case RECORD_DEPENDENCY:
        add("dependency %llu.%llu %llu %s", session, number,
            (unsigned long long)record->needs, record->type);
        break;
    case RECORD_PROGRAM:
        add("program %llu %s %s", session, record->name, record->value);
        break;
    default:
        fail_msg("a record of kind %d was read", (int)record->kind);
    }
    return SP_OK;
}

const char *rows_read(struct store *store)
{
    sp_error err = {0};
    all[0] = '\0';
    if (sp__store_read(store, add_record, NULL, &err) < 0) {
        fail_msg("not read: %s", err.message);
    }
    return all;
}
