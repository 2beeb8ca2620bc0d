/* SPDX-License-Identifier: MIT */
#include "stored.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leak.h"
#include "snakepit/snakepit.h"

uint64_t stored_boot_ms;
uint64_t stored_unix_ms;
struct sp_sessions *stored;
sp_error stored_error;

static uint64_t read_boot(void)
{
    return stored_boot_ms;
}

static uint64_t read_unix(void)
{
    return stored_unix_ms;
}

void stored_close(void)
{
    sp__sessions_free(stored);
    stored = NULL;
    sp_error_clear(&stored_error);
}

/* Not from leak_path(): a test may ask for thousands. */
static const char *folder_at(const char *name)
{
    static char path[600];
    static char base[500];
    static char of[64]; /* the test's mark */
    if (strcmp(of, leak_mark()) != 0) {
        (void)snprintf(of, sizeof of, "%s", leak_mark());
        (void)snprintf(base, sizeof base, "%s", leak_folder());
    }
    (void)snprintf(path, sizeof path, "%s%s", base, name);
    return path;
}

int stored_try(const char *name)
{
    const struct sessions_clocks clocks = {read_boot, read_unix};
    sp_sessions_options options = {
        .size = sizeof options, .ttl_ms = 100000, .path = folder_at(name)};
    if (stored_boot_ms == 0) {
        stored_boot_ms = 5000000;
        stored_unix_ms = 1700000000000;
    }
    return sp__sessions_new_at(&options, &clocks, &stored, &stored_error);
}

struct sp_sessions *stored_open_at(const char *name)
{
    leak_at_end(stored_close);
    if (stored_try(name) < 0) {
        fail_msg("not opened: %s", stored_error.message);
    }
    return stored;
}

struct sp_sessions *stored_open(void)
{
    return stored_open_at("state");
}

/* ---- folders ---- */

static void copy_file(const char *name, const char *file)
{
    char from[600];
    char to[600];
    static char bytes[1 << 16];
    ssize_t n;
    (void)snprintf(from, sizeof from, "%s/%s", folder_at("state"), file);
    (void)snprintf(to, sizeof to, "%s/%s", folder_at(name), file);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(out >= 0);
    while (in >= 0 && (n = read(in, bytes, sizeof bytes)) > 0) {
        assert_int_equal(write(out, bytes, (size_t)n), n);
    }
    (void)close(out);
    if (in >= 0) {
        (void)close(in);
    }
}

void stored_copy(const char *name)
{
    (void)mkdir(folder_at(name), 0700);
    copy_file(name, "state.db");
    copy_file(name, "state.db-wal");
}

void stored_reboot(const char *name)
{
    char path[600];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/state.db", folder_at(name));
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "UPDATE boot SET id = 'before'", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- something of every kind ---- */

static void must(int rc)
{
    if (rc < 0) {
        fail_msg("refused: %s", stored_error.message);
    }
}

static void fill_session(struct sp_sessions *set, const char *id, int durability)
{
    sp_error *err = &stored_error;
    sp_session_options options = {.size = sizeof options,
                                  .durability = durability,
                                  .metadata = "{\"of\": \"test\"}"};
    sp_change_options change = {.size = sizeof change,
                                .constraints = "{\"min\": 0, \"max\": 100}",
                                .metadata = "{\"unit\": \"m\"}",
                                .changed_by = "me"};
    must(sp_session_create(set, id, &options, err));
    must(sp_variable_register(set, id, "x", "float", "1", &change, NULL, err));
    for (int i = 2; i < 5; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        must(sp_variable_set(set, id, "x", value, NULL, NULL, err));
    }
    must(sp_variable_rollback(set, id, "x", 1, NULL, NULL, err));
    must(sp_variables_import(
        set, id,
        "[{\"name\":\"y\",\"type\":\"string\",\"value\":\"a\\u00fc\"},"
        "{\"name\":\"z\",\"type\":\"map\",\"value\":{\"k\":[1]}},"
        "{\"name\":\"gone\",\"type\":\"integer\",\"value\":1}]",
        err));
    must(sp_variable_depend(set, id, "x", "y", "uses", err));
    must(sp_variable_depend(set, id, "y", "gone", "uses", err));
    must(sp_variable_depend(set, id, "y", "z", "uses", err));
    must(sp_variable_delete(set, id, "gone", NULL, err));
    must(sp_variable_depend(set, id, "x", "z", "uses", err));
    must(sp_variable_undepend(set, id, "x", "z", err));
    sp_variable_update updates[] = {{.name = "x", .value = "7"},
                                    {.name = "y", .value = "\"b\""}};
    must(sp_variables_set(set, id, updates, 2, 1, NULL, err));
    must(sp_variable_lock(set, id, "x", "optimiser", err));
    must(sp_variable_lock(set, id, "y", "another", err));
    must(sp_variable_unlock(set, id, "y", "another", NULL, err));
    must(sp_program_store(set, id, "p", "{\"step\":1}", 0, err));
    must(sp_program_store(set, id, "p", "{\"step\":2}", 0, err));
    must(sp_program_update(set, id, "p", "{\"step\":3}", err));
    must(sp_program_store(set, id, "q", "[]", 0, err));
    must(sp_program_delete(set, id, "q", err));
}

static int edit(const sp_session_info *info, sp_session_edit *change, void *user_data,
                sp_error *err)
{
    change->metadata = "{\"of\":\"edit\"}";
    change->ttl_ms = 200000;
    return 0;
}

void stored_fill(struct sp_sessions *set)
{
    sp_error *err = &stored_error;
    fill_session(set, "a", SP_DURABILITY_DURABLE);
    fill_session(set, "b", SP_DURABILITY_DEFAULT);
    fill_session(set, "m", SP_DURABILITY_MEMORY);
    must(sp_session_update(set, "a", edit, NULL, err));
    must(sp_session_create(set, "gone", NULL, err));
    must(sp_session_delete(set, "gone", err));
    must(sp_program_store(set, NULL, "g", "{}", 60000, err));
    must(sp_program_update(set, NULL, "g", "{\"a\":1}", err));
    must(sp_program_store(set, NULL, "for ever", "[1]", SP_UNLIMITED, err));
    must(sp_program_store(set, NULL, "gone", "{}", 0, err));
    must(sp_program_delete(set, NULL, "gone", err));
}
