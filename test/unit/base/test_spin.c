/* SPDX-License-Identifier: MIT */
/* Looking before sleeping: when it is done, and how it is given up. */
#include "base/spin.h"

#include "base/clock.h"
#include "leak.h"

enum { LONG_US = 60000000 }; /* longer than any test */

static unsigned looks;

static int is_ready(void *arg)
{
    looks++;
    return *(int *)arg;
}

/* Sleeps without a look that follow a look in vain. */
static uint32_t count_pause(struct spin *spin)
{
    int nothing = 0;
    uint32_t pause = 0;
    looks = 0;
    assert_int_equal(sp__spin(spin, is_ready, &nothing), 0);
    assert_true(looks > 0);
    looks = 0;
    while (spin->pause > 0) {
        assert_int_equal(sp__spin(spin, is_ready, &nothing), 0);
        pause++;
    }
    assert_int_equal(looks, 0);
    return pause;
}

static void without_a_limit_nobody_looks(void **state)
{
    struct spin spin;
    int ready = 1;
    sp__spin_init(&spin, 0);
    looks = 0;
    assert_int_equal(sp__spin(&spin, is_ready, &ready), 0);
    assert_int_equal(looks, 0);
}

static void what_is_there_is_found_at_once(void **state)
{
    struct spin spin;
    int ready = 1;
    sp__spin_init(&spin, LONG_US);
    looks = 0;
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(sp__spin(&spin, is_ready, &ready), 1);
        assert_int_equal(looks, i);
    }
}

static void looks_in_vain_become_rare(void **state)
{
    struct spin spin;
    sp__spin_init(&spin, 1);
    uint32_t before = count_pause(&spin);
    assert_true(before > 0);
    for (int i = 0; i < 20; i++) {
        uint32_t pause = count_pause(&spin);
        assert_true(pause == 2 * before || pause == before);
        before = pause;
    }
    assert_in_range(before, 1000, 2000);
}

static void success_brings_them_back(void **state)
{
    struct spin spin;
    int ready = 1;
    sp__spin_init(&spin, 1);
    uint32_t first = count_pause(&spin);
    for (int i = 0; i < 20; i++) {
        (void)count_pause(&spin);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(sp__spin(&spin, is_ready, &ready), 1);
    }
    assert_int_equal(count_pause(&spin), first);
}

static void a_look_ends_with_its_time(void **state)
{
    struct spin spin;
    int nothing = 0;
    sp__spin_init(&spin, 2000);
    uint64_t begin_us = sp__now_us();
    assert_int_equal(sp__spin(&spin, is_ready, &nothing), 0);
    assert_true(sp__now_us() - begin_us >= 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_limit_nobody_looks), TEST(what_is_there_is_found_at_once),
        TEST(looks_in_vain_become_rare),    TEST(success_brings_them_back),
        TEST(a_look_ends_with_its_time),
    };
    return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
