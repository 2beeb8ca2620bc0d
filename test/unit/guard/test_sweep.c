/* SPDX-License-Identifier: MIT */
/*
 * The sweep: first its judgement, which sees only facts, then real processes that are to
 * be ended, or spared.
 */
#include "guard/sweep.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "left.h"

enum { OLD_RUN = 2, NEW_RUN = 3, OTHER = 9, LEFTS_MAX = 512 };

static struct left_query query;
static struct left lefts[LEFTS_MAX];
static unsigned told[LEFT_UNSURE + 1];
static pid_t told_pid[LEFT_UNSURE + 1];

static void on_left(const struct left *left, void *user)
{
    told[left->verdict]++;
    told_pid[left->verdict] = left->process.pid;
}

static void begin(void)
{
    query = (struct left_query){.uid = geteuid(), .self = getpid()};
    query.run.pid_space = sp__pid_space();
    left_id(query.run.mark.instance, 1);
    left_id(query.run.mark.run, NEW_RUN);
    assert_int_equal(sp__boot_id(query.run.boot, NULL), 0);
    memset(told, 0, sizeof told);
}

static struct mark mark_of(unsigned instance, unsigned run)
{
    struct mark mark;
    left_id(mark.instance, instance);
    left_id(mark.run, run);
    return mark;
}

static struct row row_of(uint32_t place, const struct process_id *process)
{
    struct row row = {.place = place,
                      .kind = ROW_WORKER,
                      .state = process != NULL ? ROW_ACTIVE : ROW_RESERVED,
                      .pid_space = query.run.pid_space};
    memcpy(row.instance, query.run.mark.instance, RUN_ID_BYTES);
    memcpy(row.boot, query.run.boot, RUN_ID_BYTES);
    left_id(row.run, OLD_RUN);
    if (process != NULL) {
        row.process = *process;
    }
    (void)snprintf(row.name, sizeof row.name, "pool/%u", place);
    sp__row_seal(&row);
    return row;
}

/* ---- judgement ---- */

static struct process facts(int32_t pid, uint64_t start, uint64_t serial)
{
    return (struct process){.id = {pid, start, serial},
                            .parent = 1,
                            .uid = geteuid(),
                            .state = 'S',
                            .name = "python3"};
}

static enum left_verdict judge_one(const struct row *row, const struct process *process)
{
    struct row rows[2] = {{0}, *row};
    size_t n = sp__sweep_judge(&query, rows, 2, process, process != NULL, lefts);
    assert_int_equal(n, 1);
    assert_int_equal(lefts[0].source, LEFT_BY_ROW);
    assert_non_null(lefts[0].why);
    return lefts[0].verdict;
}

static void a_row_alone_suffices_with_a_serial(void **state)
{
    begin();
    struct row row = row_of(1, &(struct process_id){100, 5, 7});
    struct process process = facts(100, 5, 7);
    assert_int_equal(judge_one(&row, &process), LEFT_OURS);
    process.id.serial = 8;
    assert_int_equal(judge_one(&row, &process), LEFT_STRANGER);
    process = facts(100, 6, 7);
    assert_int_equal(judge_one(&row, &process), LEFT_STRANGER);
    process = facts(101, 5, 7);
    assert_int_equal(judge_one(&row, &process), LEFT_GONE);
    assert_int_equal(judge_one(&row, NULL), LEFT_GONE);
}

static void without_a_serial_the_mark_decides(void **state)
{
    begin();
    struct row row = row_of(1, &(struct process_id){100, 5, 0});
    struct process process = facts(100, 5, 0);
    assert_int_equal(judge_one(&row, &process), LEFT_UNSURE);
    process.marked = -1;
    assert_int_equal(judge_one(&row, &process), LEFT_UNSURE);
    process.marked = 1;
    process.mark = mark_of(1, OLD_RUN);
    assert_int_equal(judge_one(&row, &process), LEFT_OURS);
    process.mark = mark_of(OTHER, OLD_RUN);
    assert_int_equal(judge_one(&row, &process), LEFT_STRANGER);
    /* A name is not enough, but for a row that says guard. */
    process.marked = -1;
    (void)snprintf(process.name, sizeof process.name, "snakepit-guard");
    assert_int_equal(judge_one(&row, &process), LEFT_UNSURE);
    row.kind = ROW_GUARD;
    sp__row_seal(&row);
    assert_int_equal(judge_one(&row, &process), LEFT_OURS);
    process.marked = 0;
    assert_int_equal(judge_one(&row, &process), LEFT_UNSURE);
}

static void numbers_of_elsewhere_mean_nothing(void **state)
{
    begin();
    struct process process = facts(100, 5, 7);
    struct row row = row_of(1, &process.id);
    row.boot[3] ^= 1;
    sp__row_seal(&row);
    assert_int_equal(judge_one(&row, &process), LEFT_GONE);
    row = row_of(1, &process.id);
    row.pid_space++;
    sp__row_seal(&row);
    assert_int_equal(judge_one(&row, &process), LEFT_UNSURE);
}

static void what_runs_is_left_alone(void **state)
{
    begin();
    struct process process = facts(100, 5, 7);
    struct row row = row_of(1, &process.id);
    left_id(row.run, NEW_RUN);
    sp__row_seal(&row);
    assert_int_equal(judge_one(&row, &process), LEFT_RUNNING);
    process.marked = 1;
    process.mark = mark_of(1, NEW_RUN);
    assert_int_equal(sp__sweep_judge(&query, NULL, 0, &process, 1, lefts), 1);
    assert_int_equal(lefts[0].verdict, LEFT_RUNNING);
}

static void a_mark_is_for_its_instance_and_user(void **state)
{
    begin();
    struct process process = facts(100, 5, 7);
    process.marked = 1;
    process.mark = mark_of(1, OLD_RUN);
    assert_int_equal(sp__sweep_judge(&query, NULL, 0, &process, 1, lefts), 1);
    assert_int_equal(lefts[0].verdict, LEFT_OURS);
    assert_int_equal(lefts[0].source, LEFT_BY_MARK);
    process.uid++;
    assert_int_equal(sp__sweep_judge(&query, NULL, 0, &process, 1, lefts), 1);
    assert_int_equal(lefts[0].verdict, LEFT_UNSURE);
    process.mark = mark_of(OTHER, OLD_RUN);
    assert_int_equal(sp__sweep_judge(&query, NULL, 0, &process, 1, lefts), 0);
    process.marked = 0;
    assert_int_equal(sp__sweep_judge(&query, NULL, 0, &process, 1, lefts), 0);
}

static void the_hand_that_sweeps_is_spared(void **state)
{
    begin();
    struct process family[4] = {facts(1, 1, 1), facts(50, 2, 2), facts(60, 3, 3),
                                facts(70, 4, 4)};
    for (size_t i = 0; i < 4; i++) {
        family[i].marked = i > 0;
        family[i].mark = mark_of(1, OLD_RUN);
    }
    family[0].parent = 0;
    family[2].parent = 50; /* 1 - 50 - 60, and 70 beside them */
    query.self = 60;
    assert_int_equal(sp__sweep_judge(&query, NULL, 0, family, 4, lefts), 3);
    assert_int_equal(lefts[0].verdict, LEFT_UNSURE);
    assert_int_equal(lefts[1].verdict, LEFT_UNSURE);
    assert_int_equal(lefts[2].verdict, LEFT_OURS);
    assert_int_equal(lefts[2].process.pid, 70);
    family[1].parent = 60; /* a ring, read while numbers moved */
    assert_int_equal(sp__sweep_judge(&query, NULL, 0, family, 4, lefts), 3);
}

static void a_process_is_judged_once(void **state)
{
    begin();
    struct process process = facts(100, 5, 7);
    process.marked = 1;
    process.mark = mark_of(1, OLD_RUN);
    struct row row = row_of(1, &process.id);
    assert_int_equal(judge_one(&row, &process), LEFT_OURS);
    /* A row that means another process does not hide the one with its number. */
    row = row_of(1, &(struct process_id){100, 4, 6});
    struct row rows[2] = {{0}, row};
    assert_int_equal(sp__sweep_judge(&query, rows, 2, &process, 1, lefts), 2);
    assert_int_equal(lefts[0].verdict, LEFT_STRANGER);
    assert_int_equal(lefts[1].verdict, LEFT_OURS);
}

/* ---- real processes ---- */

enum { ROWS = 64, LIVING = 8, STRANGERS = 8 };

struct scene {
    struct row rows[ROWS];
    struct process *processes;
    size_t processes_count;
    pid_t ours[LIVING];
    pid_t strangers[STRANGERS];
};
static struct scene scene;

/* A registry of 64 rows: the host's, eight living workers, one of them without its
 * number yet, eight numbers that strangers have by now, and others long gone. */
static void set_scene(void)
{
    struct mark old = mark_of(1, OLD_RUN);
    struct mark other = mark_of(OTHER, OLD_RUN);
    begin();
    for (uint32_t i = 0; i < ROWS; i++) {
        struct process_id gone = {(int32_t)(4100000 + i), 5, 6};
        scene.rows[i] = row_of(i, &gone);
    }
    scene.rows[0].kind = ROW_HOST;
    sp__row_seal(&scene.rows[0]);
    for (uint32_t i = 0; i < LIVING; i++) {
        scene.ours[i] = left_start(&old);
        struct process_id id = left_identify(scene.ours[i]);
        scene.rows[1 + i] = row_of(1 + i, i == 0 ? NULL : &id);
        scene.strangers[i] = left_start(i % 2 == 0 ? &other : NULL);
        id = left_identify(scene.strangers[i]);
        id.start_ticks -= 1 + i;
        scene.rows[20 + i] = row_of(20 + i, &id);
    }
    assert_int_equal(sp__process_list(&scene.processes, &scene.processes_count, NULL),
                     0);
}

static int is_one_of(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid) {
            return 1;
        }
    }
    return 0;
}

static void clear_scene(void)
{
    for (size_t i = 0; i < LIVING; i++) {
        left_end(scene.ours[i]);
        left_end(scene.strangers[i]);
    }
    sp__free(scene.processes);
}

/* 64 rows, 2048 bits each. Whatever bit is wrong, exactly the living are condemned. All
 * bits take a while: without SNAKEPIT_TEST_LONG every nineteenth is tried. */
static void no_wrong_bit_kills_or_spares_anybody(void **state)
{
    const size_t step = getenv("SNAKEPIT_TEST_LONG") != NULL ? 1 : 19;
    size_t cases = 0;
    set_scene();
    for (size_t bit = 0; bit < sizeof scene.rows * 8; bit += step) {
        unsigned char *byte = (unsigned char *)scene.rows + bit / 8;
        *byte ^= (unsigned char)(1u << bit % 8);
        size_t n = sp__sweep_judge(&query, scene.rows, ROWS, scene.processes,
                                   scene.processes_count, lefts);
        size_t condemned = 0;
        for (size_t i = 0; i < n; i++) {
            if (lefts[i].verdict == LEFT_OURS) {
                condemned++;
                assert_true(is_one_of(scene.ours, LIVING, lefts[i].process.pid));
            }
        }
        assert_int_equal(condemned, LIVING);
        *byte ^= (unsigned char)(1u << bit % 8);
        cases++;
    }
    assert_int_equal(cases, (131072 + step - 1) / step);
    print_message("%zu wrong bits: nobody killed wrongly, nobody missed\n", cases);
    clear_scene();
}

static void the_dead_run_is_ended_and_nobody_else(void **state)
{
    set_scene();
    sp_error err = {0};
    assert_int_equal(
        sp__sweep(&query, scene.rows, ROWS, patience_ms(10000), on_left, NULL, &err),
        0);
    for (size_t i = 0; i < LIVING; i++) {
        assert_true(left_has_ended(scene.ours[i]));
        assert_false(left_has_ended(scene.strangers[i]));
    }
    assert_int_equal(told[LEFT_OURS], LIVING);
    clear_scene();
}

static void looking_ends_nobody(void **state)
{
    set_scene();
    assert_int_equal(sp__sweep_look(&query, scene.rows, ROWS, on_left, NULL, NULL), 0);
    assert_int_equal(told[LEFT_OURS], LIVING);
    assert_int_equal(told[LEFT_STRANGER], STRANGERS);
    assert_int_equal(told[LEFT_RUNNING], 0);
    for (size_t i = 0; i < LIVING; i++) {
        assert_false(left_has_ended(scene.ours[i]));
    }
    clear_scene();
}

/* Only guards of the run that is named, and only by their rows. */
static void guards_are_ended_before_the_lock_is_had(void **state)
{
    begin();
    memset(query.run.mark.run, 0, RUN_ID_BYTES);
    struct mark old = mark_of(1, OLD_RUN);
    pid_t guard = left_start(&old);
    pid_t worker = left_start(&old);
    pid_t newer = left_start(&old);
    struct process_id ids[3] = {left_identify(guard), left_identify(worker),
                                left_identify(newer)};
    struct row rows[4] = {
        {0}, row_of(1, &ids[0]), row_of(2, &ids[1]), row_of(3, &ids[2])};
    rows[1].kind = ROW_GUARD;
    rows[3].kind = ROW_GUARD;
    left_id(rows[3].run, NEW_RUN);
    sp__row_seal(&rows[1]);
    sp__row_seal(&rows[3]);
    struct mark dead = mark_of(1, OLD_RUN);
    assert_int_equal(sp__sweep_guards(&query, rows, 4, dead.run, NULL), 0);
    UNTIL(left_has_ended(guard));
    assert_false(left_has_ended(worker));
    assert_false(left_has_ended(newer));
    left_end(worker);
    left_end(newer);
}

/* Nothing can be made on purpose that SIGKILL does not end, so the time is none. */
static void a_sweep_without_time_says_who_is_left(void **state)
{
    begin();
    struct mark old = mark_of(1, OLD_RUN);
    pid_t pid = left_start(&old);
    sp_error err = {0};
    assert_int_equal(sp__sweep(&query, NULL, 0, 0, on_left, NULL, &err), SP_ERR_IN_USE);
    char name[64];
    (void)snprintf(name, sizeof name, "process %d (sleep)", (int)pid);
    assert_non_null(strstr(err.message, name));
    left_end(pid);
}

/* Begets without end: each child lives for a moment, begets the next, and ends. */
static void what_begets_while_it_is_ended_is_ended_too(void **state)
{
    begin();
    struct mark old = mark_of(1, OLD_RUN);
    char text[MARK_MAX];
    sp__mark_format("test", &old, text);
    char own[128];
    (void)snprintf(own, sizeof own, "SNAKEPIT_TEST_MARK=%s", leak_mark());
    char *const env[] = {own, text, NULL};
    char *const argv[] = {"sh", "-c",
                          "f() { if [ $1 -gt 0 ]; then (f $(($1 - 1))) & fi; wait; }; "
                          "g() { (f 8) & g2; }; g2() { (f 4) & sleep 1000; }; g",
                          NULL};
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        (void)execve("/bin/sh", argv, env);
        _exit(99);
    }
    UNTIL(sp__sweep_look(&query, NULL, 0, on_left, NULL, NULL) == 0 &&
          told[LEFT_OURS] > 0);
    sp_error err = {0};
    assert_int_equal(
        sp__sweep(&query, NULL, 0, patience_ms(10000), on_left, NULL, &err), 0);
    memset(told, 0, sizeof told);
    assert_int_equal(sp__sweep_look(&query, NULL, 0, on_left, NULL, NULL), 0);
    assert_int_equal(told[LEFT_OURS], 0);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    (void)prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void without_memory_a_sweep_fails(void **state)
{
    set_scene();
    int rc = SP_ERR_NOMEM;
    for (uint64_t n = 1; rc != SP_OK; n++) {
        sp__mem_fail_at(n, 0);
        rc = sp__sweep(&query, scene.rows, ROWS, patience_ms(10000), on_left, NULL,
                       NULL);
        sp__mem_fail_at(0, 0);
        assert_true(rc == SP_OK || rc == SP_ERR_NOMEM);
    }
    clear_scene();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_alone_suffices_with_a_serial),
        TEST(without_a_serial_the_mark_decides),
        TEST(numbers_of_elsewhere_mean_nothing),
        TEST(what_runs_is_left_alone),
        TEST(a_mark_is_for_its_instance_and_user),
        TEST(the_hand_that_sweeps_is_spared),
        TEST(a_process_is_judged_once),
        TEST(no_wrong_bit_kills_or_spares_anybody),
        TEST(the_dead_run_is_ended_and_nobody_else),
        TEST(looking_ends_nobody),
        TEST(guards_are_ended_before_the_lock_is_had),
        TEST(a_sweep_without_time_says_who_is_left),
        TEST(what_begets_while_it_is_ended_is_ended_too),
        TEST(without_memory_a_sweep_fails),
    };
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
