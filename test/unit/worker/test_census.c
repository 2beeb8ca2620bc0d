/* SPDX-License-Identifier: MIT */
/* Which processes belong to a worker. */
#include "worker/census.h"

#include "cm.h"
#include "leak.h"

static struct vitals process(int pid, int parent, int group, int session)
{
    return (struct vitals){
        .pid = pid, .parent = parent, .group = group, .session = session, .state = 'S'};
}

static void children_and_their_children_belong(void **state)
{
    const struct vitals found[] = {process(1, 0, 1, 1),    process(10, 1, 10, 1),
                                   process(11, 10, 10, 1), process(12, 11, 12, 1),
                                   process(20, 1, 20, 20), process(21, 20, 20, 20)};
    size_t members[8];
    assert_int_equal(sp__census_tree(found, 6, 10, members, 8), 3);
    assert_int_equal(found[members[0]].pid, 10);
    assert_int_equal(found[members[1]].pid, 11);
    assert_int_equal(found[members[2]].pid, 12);
}

/* Its parent is gone, so it hangs on the guard now; its group or session tells. */
static void those_that_were_orphaned_belong(void **state)
{
    const struct vitals found[] = {process(5, 1, 5, 5),     process(10, 5, 10, 10),
                                   process(30, 5, 10, 10),  process(31, 5, 31, 10),
                                   process(32, 31, 32, 32), process(40, 5, 40, 40)};
    size_t members[8];
    assert_int_equal(sp__census_tree(found, 6, 10, members, 8), 4);
    assert_int_equal(found[members[1]].pid, 30);
    assert_int_equal(found[members[2]].pid, 31);
    assert_int_equal(found[members[3]].pid, 32);
}

static void a_worker_that_is_gone_has_none(void **state)
{
    const struct vitals found[] = {process(5, 1, 5, 5), process(30, 5, 10, 10)};
    size_t members[8];
    assert_int_equal(sp__census_tree(found, 2, 10, members, 8), 0);
    assert_int_equal(sp__census_tree(found, 0, 10, members, 8), 0);
}

static void no_more_than_there_is_room_for(void **state)
{
    const struct vitals found[] = {process(10, 1, 10, 10), process(11, 10, 10, 10),
                                   process(12, 10, 10, 10)};
    size_t members[2];
    assert_int_equal(sp__census_tree(found, 3, 10, members, 2), 2);
    assert_int_equal(sp__census_tree(found, 3, 10, members, 0), 0);
}

/* The table is not of one moment: pids that came round again may make circles. */
static void a_circle_of_parents_ends(void **state)
{
    const struct vitals found[] = {process(10, 1, 10, 10), process(20, 21, 20, 20),
                                   process(21, 20, 21, 21)};
    size_t members[8];
    assert_int_equal(sp__census_tree(found, 3, 10, members, 8), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(children_and_their_children_belong), TEST(those_that_were_orphaned_belong),
        TEST(a_worker_that_is_gone_has_none),     TEST(no_more_than_there_is_room_for),
        TEST(a_circle_of_parents_ends),
    };
    return cmocka_run_group_tests_name("census", tests, NULL, NULL);
}
