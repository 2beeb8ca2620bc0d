/* SPDX-License-Identifier: MIT */
/* Outcomes of named calls: whose an entry is while names are used again. */
#include "pit/outcome.h"

#include <stdlib.h>

#include "cm.h"
#include "leak.h"

enum { NOW_MS = 1000 };

static struct outcomes outcomes;

static struct request *request_named(const char *request_id, const char *dedupe_key,
                                     sp_id id)
{
    struct request_names names = {.tool = sp_text("add"),
                                  .request_id = sp_text(request_id),
                                  .dedupe_key = sp_text(dedupe_key)};
    struct request *request = NULL;
    assert_int_equal(sp__request_new(&names, 0, 0, &request, NULL), SP_OK);
    request->id = id;
    return request;
}

static void count_end(void *user, struct request *request)
{
    ++*(int *)user;
}

static int enter(struct request *request)
{
    return sp__outcomes_enter(&outcomes, request, NOW_MS);
}

static struct request *end(struct request *request, int *ended)
{
    return sp__outcomes_ended(&outcomes, request, NOW_MS, count_end, ended);
}

static void drop(struct request *request)
{
    sp__request_drop(request); /* the loop's reference, and the taker's */
    sp__request_drop(request);
}

static sp_id known_call(const char *request_id)
{
    sp_outcome outcome;
    assert_int_equal(
        sp__outcomes_find(&outcomes, request_id, NULL, NOW_MS, &outcome, NULL, NULL),
        1);
    return outcome.call;
}

/* The first one ends last, when the third has freed the entry that it had made. */
static void an_id_belongs_to_who_used_it_last(void **state)
{
    int ended = 0;
    sp__outcomes_init(&outcomes, 60000);
    struct request *first = request_named("x", NULL, 1);
    struct request *second = request_named("x", NULL, 2);
    struct request *third = request_named("x", NULL, 3);
    assert_int_equal(enter(first), OUTCOME_GO);
    assert_int_equal(enter(second), OUTCOME_GO);
    assert_null(first->by_id);
    assert_null(end(second, &ended));
    assert_int_equal(known_call("x"), 2);
    assert_int_equal(enter(third), OUTCOME_GO);
    assert_null(end(first, &ended));
    assert_int_equal(known_call("x"), 3);
    assert_null(end(third, &ended));
    assert_int_equal(known_call("x"), 3);
    assert_int_equal(ended, 0);
    drop(first);
    drop(second);
    drop(third);
    sp__outcomes_fini(&outcomes);
}

static void fail_unrun(struct request *request, int code)
{
    (void)sp__request_fail(request, code, SP_EXECUTED_NO, "not run");
}

/* One after the other they would outlast the loops. */
static void when_all_is_closing_nobody_follows(void **state)
{
    int ended = 0;
    sp__outcomes_init(&outcomes, 60000);
    struct request *first = request_named(NULL, "k", 1);
    struct request *second = request_named(NULL, "k", 2);
    struct request *third = request_named(NULL, "k", 3);
    assert_int_equal(enter(first), OUTCOME_GO);
    assert_int_equal(enter(second), OUTCOME_FOLLOW);
    assert_int_equal(enter(third), OUTCOME_FOLLOW);
    fail_unrun(first, SP_ERR_QUEUE_FULL);
    assert_ptr_equal(end(first, &ended), second); /* it goes in its place */
    assert_int_equal(ended, 0);
    fail_unrun(second, SP_ERR_CLOSED);
    assert_null(end(second, &ended));
    assert_int_equal(ended, 1);
    assert_int_equal(third->error->code, SP_ERR_CLOSED);
    drop(first);
    drop(second);
    drop(third);
    sp__outcomes_fini(&outcomes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_id_belongs_to_who_used_it_last),
        TEST(when_all_is_closing_nobody_follows),
    };
    return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
