/* SPDX-License-Identifier: MIT */
/* Certificates: whole copies that live as long as somebody holds them. */
#include <string.h>

#include "base/mem.h"
#include "cm.h"
#include "leak.h"
#include "snakepit/call.h"
#include "worker/death.h"

static sp_death example(sp_death_call *calls, size_t count)
{
    return (sp_death){.pool = "p",
                      .slot = 3,
                      .why = SP_DEATH_CRASHED,
                      .exit_status = 7,
                      .calls = calls,
                      .calls_count = count,
                      .message = "it is gone",
                      .last_lines = "one\ntwo\n"};
}

static void a_certificate_is_a_copy(void **state)
{
    char tool[] = "add";
    char id[] = "r-1";
    sp_death_call calls[2] = {
        {.tool = tool, .request_id = id, .stage = SP_STAGE_STARTED},
        {.tool = "echo", .request_id = "", .run_ms = 5}};
    sp_death facts = example(calls, 2);
    struct death *death = sp__death_new(&facts);
    assert_non_null(death);
    memset(tool, 'x', sizeof tool - 1);
    memset(id, 'x', sizeof id - 1);
    memset(calls, 0, sizeof calls);
    const sp_death *kept = sp__death_facts(death);
    assert_string_equal(kept->pool, "p");
    assert_int_equal(kept->slot, 3);
    assert_int_equal(kept->exit_status, 7);
    assert_string_equal(kept->message, "it is gone");
    assert_string_equal(kept->last_lines, "one\ntwo\n");
    assert_int_equal(kept->calls_count, 2);
    assert_string_equal(kept->calls[0].tool, "add");
    assert_string_equal(kept->calls[0].request_id, "r-1");
    assert_int_equal(kept->calls[0].stage, SP_STAGE_STARTED);
    assert_string_equal(kept->calls[1].tool, "echo");
    assert_int_equal(kept->calls[1].run_ms, 5);
    sp__death_drop(death);
}

static void what_is_missing_is_empty_text(void **state)
{
    sp_death facts = {.pid = 1};
    struct death *death = sp__death_new(&facts);
    assert_non_null(death);
    assert_string_equal(sp__death_facts(death)->pool, "");
    assert_string_equal(sp__death_facts(death)->last_lines, "");
    sp__death_drop(death);
}

static void the_last_one_to_drop_it_frees_it(void **state)
{
    int64_t before = sp__mem_live();
    sp_death facts = example(NULL, 0);
    struct death *death = sp__death_new(&facts);
    assert_ptr_equal(sp__death_hold(death), death);
    sp__death_drop(death);
    assert_string_equal(sp__death_facts(death)->message, "it is gone");
    sp__death_drop(death);
    assert_int_equal(sp__mem_live(), before);
    assert_null(sp__death_hold(NULL));
    sp__death_drop(NULL);
}

static void without_memory_there_is_none(void **state)
{
    sp_death facts = example(NULL, 0);
    sp__mem_fail_at(1, 0);
    assert_null(sp__death_new(&facts));
    sp__mem_fail_at(0, 0);
}

static void every_cause_has_its_name(void **state)
{
    assert_string_equal(sp_death_name(0), "unknown");
#define X(name, number, text) assert_string_not_equal(sp_death_name(number), "unknown");
    SP_DEATH_TABLE(X)
#undef X
    assert_string_equal(sp_death_name(SP_DEATH_OUT_OF_MEMORY), "out_of_memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_is_a_copy),          TEST(what_is_missing_is_empty_text),
        TEST(the_last_one_to_drop_it_frees_it), TEST(without_memory_there_is_none),
        TEST(every_cause_has_its_name),
    };
    return cmocka_run_group_tests_name("death", tests, NULL, NULL);
}
