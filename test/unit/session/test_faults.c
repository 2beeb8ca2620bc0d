/* SPDX-License-Identifier: MIT */
/*
 * Stored sessions on a disk that refuses: each write and each sync in turn, once and for
 * good. What was acknowledged is there, what was refused has changed nothing.
 */
#include "leak.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "disk.h"
#include "portrait.h"
#include "snakepit/snakepit.h"
#include "store/open_store.h"
#include "stored.h"

enum { ROUNDS = 4 };

/* How far each counter has come: what was acknowledged, and what was tried. */
struct ledger {
    int created;
    int done[3];
    int tried[3];
    int refused;
    int codes[4]; /* distinct codes of refusals */
};

static const char *const IDS[] = {"a", "b", "c"};

static void note_refusal(struct ledger *ledger, int rc)
{
    ledger->refused++;
    for (size_t i = 0; i < 4; i++) {
        if (ledger->codes[i] == rc || ledger->codes[i] == 0) {
            ledger->codes[i] = rc;
            return;
        }
    }
    fail_msg("too many kinds of refusal, the last %s", sp_error_name(rc));
}

static int value_of(const char *id)
{
    sp_variable variable;
    if (sp_variable_get(stored, id, "n", &variable, NULL) < 0) {
        return -1;
    }
    int value = (int)strtol(variable.value, NULL, 10);
    sp_variable_clear(&variable);
    return value;
}

static void create_all(void)
{
    sp_session_options options = {.size = sizeof options};
    for (int i = 0; i < 3; i++) {
        options.durability = i == 0 ? SP_DURABILITY_DURABLE : SP_DURABILITY_CRASH;
        assert_int_equal(sp_session_create(stored, IDS[i], &options, &stored_error), 1);
        assert_int_equal(sp_variable_register(stored, IDS[i], "n", "integer", "0", NULL,
                                              NULL, &stored_error),
                         0);
    }
}

/* Count up in all three, and store programs beside. Memory always says what was
 * acknowledged. */
static void count_up(struct ledger *ledger)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 3; i++) {
            char value[16];
            int next = ledger->done[i] + 1;
            (void)snprintf(value, sizeof value, "%d", next);
            ledger->tried[i] = next;
            int rc = sp_variable_set(stored, IDS[i], "n", value, NULL, NULL, NULL);
            if (rc < 0) {
                note_refusal(ledger, rc);
            } else {
                ledger->done[i] = next;
            }
            assert_int_equal(value_of(IDS[i]), ledger->done[i]);
        }
    }
}

/* As if killed now: everything acknowledged is in the file, and nothing that was not
 * even tried. */
static void check_killed(const struct ledger *ledger)
{
    struct sp_sessions *kept = stored;
    stored_copy("killed");
    stored = NULL;
    (void)stored_open_at("killed");
    for (int i = 0; i < 3; i++) {
        int value = value_of(IDS[i]);
        assert_true(value >= ledger->done[i]);
        assert_true(value <= ledger->tried[i]);
    }
    stored_close();
    stored = kept;
}

static void open_counters(void)
{
    disk_install();
    (void)stored_open();
    stored->store->probe_ms = 1;
    stored->store->log_max = 12;
    create_all();
}

static void end_faults(void)
{
    disk_fail(DISK_WRITE, 0, 0, DISK_EIO);
}

/* Let the n-th fail for n = 1, 2, ... until none did. Returns how many did. */
static int sweep(enum disk_op op, int sticky, enum disk_fault fault,
                 void (*check)(const struct ledger *ledger))
{
    int cases = 0;
    leak_at_end(end_faults);
    for (uint64_t n = 1;; n++) {
        struct ledger ledger = {0};
        open_counters();
        disk_fail(op, n, sticky, fault);
        count_up(&ledger);
        if (!sticky) {
            end_faults(); /* not in the file that is looked at */
        }
        int failed = disk_has_failed();
        check(&ledger);
        end_faults();
        check_killed(&ledger);
        for (int i = 0; i < 3 && sp__store_state(stored->store) == STORE_OK; i++) {
            assert_int_equal(sp_session_delete(stored, IDS[i], &stored_error), 0);
        }
        stored_close();
        if (!failed) {
            return cases;
        }
        cases++;
        if (sp_sessions_list(stored_open(), NULL, NULL, NULL) > 0) {
            for (int i = 0; i < 3; i++) {
                assert_int_equal(sp_session_delete(stored, IDS[i], &stored_error), 0);
            }
        }
        stored_close();
    }
}

static void expect_passing(const struct ledger *ledger)
{
    end_faults();
    assert_true(ledger->refused <= 1);
    if (ledger->refused > 0) {
        assert_int_equal(ledger->codes[0], SP_ERR_SYSTEM);
    }
    assert_int_equal(sp_session_create(stored, "after", NULL, &stored_error), 1);
    assert_int_equal(sp_session_delete(stored, "after", &stored_error), 0);
}

static void a_write_that_fails_fails_one_change(void **state)
{
    int cases = sweep(DISK_WRITE, 0, DISK_EIO, expect_passing);
    print_message("%d writes failed in turn\n", cases);
    assert_true(cases > 12);
}

static void expect_recovery(const struct ledger *ledger)
{
    for (int i = 0; i < 4; i++) {
        assert_true(ledger->codes[i] == 0 || ledger->codes[i] == SP_ERR_STORE_FULL);
    }
    end_faults();
    UNTIL(sp__store_state(stored->store) == STORE_OK);
    assert_int_equal(sp_session_create(stored, "after", NULL, &stored_error), 1);
    assert_int_equal(sp_session_delete(stored, "after", &stored_error), 0);
}

static void a_full_disk_refuses_and_recovers(void **state)
{
    int cases = sweep(DISK_WRITE, 0, DISK_NO_ROOM, expect_recovery);
    cases += sweep(DISK_WRITE, 1, DISK_NO_ROOM, expect_recovery);
    cases += sweep(DISK_WRITE, 1, DISK_SHORT, expect_recovery);
    print_message("%d writes found no room in turn\n", cases);
    assert_true(cases > 36);
}

static void expect_failed(const struct ledger *ledger)
{
    for (int i = 0; i < 4; i++) {
        assert_true(ledger->codes[i] == 0 || ledger->codes[i] == SP_ERR_STORE);
    }
    if (ledger->refused > 0 || disk_has_failed()) { /* perhaps in a checkpoint, later */
        UNTIL(sp__store_state(stored->store) == STORE_FAILED);
        assert_int_equal(sp_session_create(stored, "after", NULL, &stored_error),
                         SP_ERR_STORE);
        assert_string_equal(stored_error.message,
                            "the store failed before and takes no more changes: see to "
                            "the disk, then start the host again");
        assert_int_equal(sp_session_exists(stored, "a"), 1); /* reading goes on */
    }
}

static void after_a_sync_that_failed_nothing_is_written(void **state)
{
    int cases = sweep(DISK_SYNC, 0, DISK_EIO, expect_failed);
    print_message("%d syncs failed in turn\n", cases);
    assert_true(cases >= ROUNDS);
}

/* A full disk is no reason to overlook a sync that fails. */
static void a_sync_that_fails_on_a_full_disk_fails_the_store(void **state)
{
    leak_at_end(end_faults);
    disk_install();
    (void)stored_open();
    stored->store->probe_ms = 3600000; /* stays without room */
    create_all();
    disk_fail(DISK_WRITE, 1, 1, DISK_NO_ROOM);
    assert_int_equal(sp_session_create(stored, "x", NULL, &stored_error),
                     SP_ERR_STORE_FULL);
    disk_fail(DISK_SYNC, 1, 0, DISK_EIO);
    assert_int_equal(sp_session_delete(stored, "a", &stored_error), SP_ERR_STORE);
    assert_int_equal(sp__store_state(stored->store), STORE_FAILED);
    assert_int_equal(sp_session_exists(stored, "a"), 1);
}

/* ---- what the program is told ---- */

static int told[3];

static void count_event(const sp_event *event, void *user_data)
{
    told[0] += event->kind == SP_EVENT_STORE_FULL;
    told[1] += event->kind == SP_EVENT_STORE_FAILED;
    told[2] += event->kind == SP_EVENT_STORE_RECOVERED;
}

static void the_program_is_told_of_the_store(void **state)
{
    memset(told, 0, sizeof told);
    leak_at_end(end_faults);
    open_counters();
    stored->options.on_event = count_event;
    disk_fail(DISK_WRITE, 1, 1, DISK_NO_ROOM);
    assert_int_equal(sp_session_create(stored, "x", NULL, &stored_error),
                     SP_ERR_STORE_FULL);
    assert_int_equal(sp_session_exists(stored, "x"), 0);
    assert_int_equal(told[0], 1);
    end_faults();
    UNTIL(sp__store_state(stored->store) == STORE_OK);
    assert_int_equal(sp_sessions_cleanup(stored, &stored_error), 0);
    assert_int_equal(told[2], 1);
    disk_fail(DISK_SYNC, 1, 0, DISK_EIO);
    assert_int_equal(sp_variable_set(stored, "a", "n", "9", NULL, NULL, &stored_error),
                     SP_ERR_STORE);
    assert_int_equal(told[1], 1);
}

/* ---- every operation, refused ---- */

enum { CHANGES = 16 };

/* The i-th of the changes that stored_fill() left room for. */
static int change(int i, sp_error *err)
{
    const sp_change_options owner = {.size = sizeof owner, .owner = "optimiser"};
    sp_variable_update updates[] = {{.name = "y", .value = "\"c\""},
                                    {.name = "z", .value = "{}"}};
    switch (i) {
    case 0:
        return sp_session_create(stored, "x", NULL, err);
    case 1:
        return sp_session_delete(stored, "a", err);
    case 2:
        return sp_variable_register(stored, "a", "x2", NULL, "1", NULL, NULL, err);
    case 3:
        return sp_variable_set(stored, "a", "x", "3", &owner, NULL, err);
    case 4:
        return sp_variable_delete(stored, "a", "y", NULL, err);
    case 5:
        return sp_variables_set(stored, "a", updates, 2, 1, NULL, err);
    case 6:
        return sp_variable_rollback(stored, "a", "x", 2, &owner, NULL, err);
    case 7:
        return sp_variable_lock(stored, "a", "z", "me", err);
    case 8:
        return sp_variable_unlock(stored, "a", "x", NULL, NULL, err);
    case 9:
        return sp_variable_depend(stored, "a", "x", "z", "uses", err);
    case 10:
        return sp_variable_undepend(stored, "a", "x", "y", err);
    case 11:
        return sp_variables_import(stored, "a", "[{\"name\":\"i\",\"value\":1}]", err);
    case 12:
        return sp_program_store(stored, "a", "p2", "{}", 0, err);
    case 13:
        return sp_program_delete(stored, "a", "p", err);
    case 14:
        return sp_program_store(stored, NULL, "g2", "{}", 0, err);
    default:
        return sp_program_delete(stored, NULL, "g", err);
    }
}

static void every_change_that_is_refused_changes_nothing(void **state)
{
    sp_error *err = &stored_error;
    disk_install();
    leak_at_end(end_faults);
    stored_fill(stored_open());
    stored->store->probe_ms = 1;
    char *before = portrait(stored);
    for (int i = 0; i < CHANGES; i++) {
        disk_fail(DISK_WRITE, 1, 1, DISK_EIO);
        int rc = change(i, err);
        end_faults();
        if (rc != SP_ERR_SYSTEM) {
            fail_msg("operation %d: %s: %s", i, sp_error_name(rc),
                     stored_error.message);
        }
        char *after = portrait(stored);
        assert_string_equal(after, before);
        free(after);
    }
    assert_int_equal(sp_session_delete(stored, "m", err), 0);
    free(before);
    before = portrait(stored);
    stored_close();
    char *again = portrait(stored_open());
    assert_string_equal(again, before);
    free(again);
    free(before);
}

/* ---- without memory ---- */

/* With the n-th allocation of the library failing: refused or made, in memory and in the
 * file alike. */
static void without_memory_file_and_memory_agree(void **state)
{
    sp_error *err = &stored_error;
    uint64_t n = 1;
    int tried = 1;
    disk_install();
    (void)stored_open();
    create_all();
    for (; tried; n++) {
        sp_variable_update updates[] = {{.name = "n", .value = "5"}};
        uint64_t calls = sp__mem_calls();
        sp__mem_fail_at(n, 0);
        (void)sp_session_create(stored, "x", NULL, NULL);
        (void)sp_variable_register(stored, "a", "r", NULL, "[1,2]", NULL, NULL, NULL);
        (void)sp_variables_set(stored, "a", updates, 1, 0, NULL, NULL);
        (void)sp_variable_depend(stored, "a", "r", "n", "uses", NULL);
        (void)sp_variable_lock(stored, "a", "r", "me", NULL);
        (void)sp_variables_import(stored, "b", "[{\"name\":\"i\",\"value\":1}]", NULL);
        (void)sp_program_store(stored, "b", "p", "{}", 0, NULL);
        (void)sp_program_store(stored, NULL, "g", "{}", 0, NULL);
        tried = sp__mem_calls() - calls >= n;
        sp__mem_fail_at(0, 0);
        char *memory = portrait(stored);
        struct sp_sessions *kept = stored;
        stored_copy("killed");
        stored = NULL;
        char *file = portrait(stored_open_at("killed"));
        assert_string_equal(file, memory);
        free(file);
        free(memory);
        stored_close();
        stored = kept;
        (void)sp_session_delete(stored, "x", NULL);
        (void)sp_variable_delete(
            stored, "a", "r",
            &(sp_change_options){.size = sizeof(sp_change_options), .owner = "me"},
            err);
        (void)sp_variable_delete(stored, "b", "i", NULL, NULL);
        (void)sp_program_delete(stored, "b", "p", NULL);
        (void)sp_program_delete(stored, NULL, "g", NULL);
    }
    print_message("%d allocations failed in turn\n", (int)n - 2);
    assert_true(n > 20);
}

/* The same with those of SQLite. */
static void end_memory_faults(void)
{
    disk_memory_fail(0, 0);
}

static void without_memory_for_sqlite_nothing_is_lost(void **state)
{
    int refused = 0;
    int tried = 1;
    uint64_t n = 1;
    disk_install();
    leak_at_end(end_memory_faults);
    (void)stored_open();
    create_all();
    for (; tried; n++) {
        uint64_t calls = disk_memory_calls();
        disk_memory_fail(n, n % 2 == 0);
        struct ledger ledger = {0};
        for (int i = 0; i < 3; i++) {
            ledger.done[i] = value_of(IDS[i]);
        }
        count_up(&ledger);
        int rc = sp_program_store(stored, NULL, "g", "{}", 0, NULL);
        assert_true(rc == 0 || rc == SP_ERR_NOMEM);
        tried = disk_memory_calls() - calls >= n;
        end_memory_faults();
        refused += ledger.refused;
        assert_true(ledger.codes[0] == 0 || ledger.codes[0] == SP_ERR_NOMEM);
        assert_int_equal(ledger.codes[1], 0);
        assert_int_equal(sp__store_state(stored->store), STORE_OK);
        check_killed(&ledger);
    }
    print_message("%d allocations of SQLite failed in turn, %d changes refused\n",
                  (int)n - 2, refused);
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_that_fails_fails_one_change),
        TEST(a_full_disk_refuses_and_recovers),
        TEST(after_a_sync_that_failed_nothing_is_written),
        TEST(a_sync_that_fails_on_a_full_disk_fails_the_store),
        TEST(the_program_is_told_of_the_store),
        TEST(every_change_that_is_refused_changes_nothing),
        TEST(without_memory_file_and_memory_agree),
        TEST(without_memory_for_sqlite_nothing_is_lost),
    };
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
