/* SPDX-License-Identifier: MIT */
/* Who a process is: real processes, looked at. */
#include "guard/identity.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "left.h"

static struct mark some_mark(void)
{
    struct mark mark;
    left_id(mark.instance, 1);
    left_id(mark.run, 2);
    return mark;
}

static void a_mark_survives_being_written(void **state)
{
    struct mark mark = some_mark();
    struct mark back;
    char text[MARK_MAX];
    char name[MARK_NAME_MAX + 1];
    memset(name, 'n', MARK_NAME_MAX);
    name[MARK_NAME_MAX] = '\0';
    const char *const names[] = {"a", "prod-a", name};
    for (size_t i = 0; i < 3; i++) {
        sp__mark_format(names[i], &mark, text);
        const char *value = strchr(text, '=') + 1;
        memset(&back, 0, sizeof back);
        assert_int_equal(sp__mark_parse(value, strlen(value), &back), 1);
        assert_memory_equal(&mark, &back, sizeof mark);
    }
}

static void what_is_no_mark_is_refused(void **state)
{
    struct mark mark = some_mark();
    struct mark back;
    char text[MARK_MAX];
    sp__mark_format("x", &mark, text);
    char *value = strchr(text, '=') + 1;
    size_t size = strlen(value);
    for (size_t cut = 1; cut < size; cut++) {
        assert_int_equal(sp__mark_parse(value, size - cut, &back), 0);
    }
    for (size_t i = 1; i < size; i++) {
        char was = value[i];
        value[i] = 'G';
        assert_int_equal(sp__mark_parse(value, size, &back), 0);
        value[i] = was;
    }
    assert_int_equal(sp__mark_parse("", 0, &back), 0);
}

static void a_process_is_known_by_more_than_its_number(void **state)
{
    struct mark mark = some_mark();
    pid_t pid = left_start(&mark);
    struct process process;
    int pidfd = sp__process_open(pid);
    assert_int_equal(sp__process_look_closely(pid, pidfd, &process), 0);
    assert_int_equal(process.id.pid, pid);
    assert_int_equal(process.parent, getpid());
    assert_int_equal(process.uid, geteuid());
    assert_string_equal(process.name, "sleep");
    assert_true(process.id.start_ticks > 0);
    assert_int_equal(process.marked, 1);
    assert_memory_equal(&process.mark, &mark, sizeof mark);
    struct process_id other = process.id;
    assert_true(sp__process_compare(&other, &process.id) != 0);
    other.start_ticks++;
    assert_int_equal(sp__process_compare(&other, &process.id), 0);
    other = process.id;
    other.serial = 0;
    assert_int_equal(sp__process_compare(&other, &process.id), -1);
    if (process.id.serial != 0) {
        other.serial = process.id.serial + 1;
        assert_int_equal(sp__process_compare(&other, &process.id), 0);
    }
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    left_end(pid);
}

static void odd_names_do_not_confuse(void **state)
{
    struct process process;
    char was[17] = "";
    (void)prctl(PR_GET_NAME, was);
    (void)prctl(PR_SET_NAME, "a) R 1 (b\n");
    assert_int_equal(sp__process_look(getpid(), -1, &process), 0);
    (void)prctl(PR_SET_NAME, was);
    assert_string_equal(process.name, "a) R 1 (b\n");
    assert_int_equal(process.parent, getppid());
}

static void a_process_without_mark_has_none(void **state)
{
    struct process process;
    pid_t pid = left_start(NULL);
    assert_int_equal(sp__process_look_closely(pid, -1, &process), 0);
    assert_int_equal(process.marked, 0);
    left_end(pid);
}

/* The mark is not the first variable, and lies across the parts that are read. */
static void a_mark_is_found_wherever_it_stands(void **state)
{
    static char filler[20000];
    struct mark mark = some_mark();
    char text[MARK_MAX];
    sp__mark_format("far", &mark, text);
    for (size_t size = 8150; size < 8200; size += 7) {
        memset(filler, 'f', size);
        filler[1] = '=';
        filler[size] = '\0';
        char *const env[] = {filler, "SNAKEPIT_RUN=not-it", "SNAKEPIT_RUNNER=1", text,
                             NULL};
        pid_t pid = left_start_with(env, "/bin/sleep");
        struct process process;
        assert_int_equal(sp__process_look_closely(pid, -1, &process), 0);
        assert_int_equal(process.marked, 1);
        assert_memory_equal(&process.mark, &mark, sizeof mark);
        left_end(pid);
    }
}

static void a_zombie_is_no_process(void **state)
{
    struct process process;
    pid_t pid = left_start(NULL);
    int pidfd = sp__process_open(pid);
    siginfo_t info;
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(sp__process_look(pid, -1, &process), -1);
    if (pidfd >= 0) {
        assert_int_equal(sp__process_look(pid, pidfd, &process), -1);
        (void)close(pidfd);
    }
    left_end(pid);
    assert_int_equal(sp__process_look(pid, -1, &process), -1);
    assert_int_equal(sp__process_look(0, -1, &process), -1);
}

static void only_the_very_process_is_killed(void **state)
{
    pid_t pid = left_start(NULL);
    struct process_id id = left_identify(pid);
    struct process_id other = id;
    other.start_ticks--;
    assert_int_equal(sp__process_kill(&other), 0);
    if (id.serial != 0) {
        other = id;
        other.serial++;
        assert_int_equal(sp__process_kill(&other), 0);
    }
    assert_false(left_has_ended(pid));
    assert_int_equal(sp__process_kill(&id), 1);
    UNTIL(left_has_ended(pid));
    assert_int_equal(sp__process_kill(&id), 0);
}

static void the_list_has_every_process(void **state)
{
    struct process *list = NULL;
    size_t count = 0;
    struct mark mark = some_mark();
    pid_t pid = left_start(&mark);
    assert_int_equal(sp__process_list(&list, &count, NULL), 0);
    int self = 0;
    int child = 0;
    for (size_t i = 0; i < count; i++) {
        self += list[i].id.pid == getpid();
        child += list[i].id.pid == pid && list[i].marked == 1;
    }
    sp__free(list);
    assert_int_equal(self, 1);
    assert_int_equal(child, 1);
    left_end(pid);
    for (uint64_t n = 1;; n++) {
        sp__mem_fail_at(n, 0);
        int rc = sp__process_list(&list, &count, NULL);
        sp__mem_fail_at(0, 0);
        if (rc == 0) {
            sp__free(list);
            break;
        }
        assert_int_equal(rc, SP_ERR_NOMEM);
    }
}

static void this_machine_has_a_boot_id(void **state)
{
    uint8_t a[RUN_ID_BYTES];
    uint8_t b[RUN_ID_BYTES];
    char text[2 * RUN_ID_BYTES + 1];
    assert_int_equal(sp__boot_id(a, NULL), 0);
    assert_int_equal(sp__boot_id(b, NULL), 0);
    assert_memory_equal(a, b, sizeof a);
    sp__id_format(a, text);
    assert_int_equal(strlen(text), 32);
    assert_true(sp__pid_space() != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_mark_survives_being_written),
        TEST(what_is_no_mark_is_refused),
        TEST(a_process_is_known_by_more_than_its_number),
        TEST(odd_names_do_not_confuse),
        TEST(a_process_without_mark_has_none),
        TEST(a_mark_is_found_wherever_it_stands),
        TEST(a_zombie_is_no_process),
        TEST(only_the_very_process_is_killed),
        TEST(the_list_has_every_process),
        TEST(this_machine_has_a_boot_id),
    };
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
