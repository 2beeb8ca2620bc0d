/* SPDX-License-Identifier: MIT */
/*
 * Work for threads of the program meets who waits for a call, in every order. The test
 * plays the loop thread; the work is tools that are gone, each told on the thread that
 * found it.
 */
#include "pit/host_work.h"

#include <pthread.h>
#include <sched.h>

#include "base/mem.h"
#include "leak.h"
#include "pool/request.h"
#include "session/host_tools.h"

static struct host_work work;
static struct list list; /* of takers */
static struct undertaker *undertaker;
static atomic_int told;
static pthread_t told_on;

static void note(void *user_data)
{
    told_on = pthread_self();
    atomic_fetch_add(&told, 1);
}

static void put_work(void)
{
    struct host_tool *tool = sp__calloc(1, sizeof *tool);
    assert_non_null(tool);
    tool->facts.on_gone = note;
    tool->undertaker = undertaker;
    atomic_fetch_add(&undertaker->references, 1);
    sp__work_add_gone(&work, tool);
}

static void begin(void)
{
    sp__work_init(&work);
    undertaker = sp__undertaker_new();
    assert_non_null(undertaker);
    atomic_store(&told, 0);
}

static void end(void)
{
    sp__undertaker_unref(undertaker);
    sp__work_fini(&work);
}

struct taker {
    pthread_t thread;
    struct request *request;
};

static void *wait_for_it(void *arg)
{
    struct taker *taker = arg;
    while (!sp__work_rest(&work, &taker->request->done, SP_UNLIMITED)) {
    }
    sp__work_pass_on(&work);
    return taker;
}

/* Returns when it rests. */
static void open_taker(struct taker *taker)
{
    struct request_names names = {.tool = sp_text("tool")};
    assert_int_equal(sp__request_new(&names, 0, 0, &taker->request, NULL), 0);
    assert_int_equal(pthread_create(&taker->thread, NULL, wait_for_it, taker), 0);
    while (atomic_load(&taker->request->done.state) == 0) {
        (void)sched_yield();
    }
}

/* As the loop does: first off the list, then told. */
static void close_taker(struct taker *taker)
{
    sp__work_remove_taker(taker->request);
    sp__latch_open(&taker->request->done);
    assert_int_equal(pthread_join(taker->thread, NULL), 0);
    sp__request_drop(taker->request);
    sp__request_drop(taker->request);
}

static void a_taker_that_the_loop_hears_of_late_is_told(void **state)
{
    struct taker taker;
    begin();
    open_taker(&taker);
    put_work(); /* nobody to be found */
    assert_int_equal(atomic_load(&told), 0);
    sp__work_add_taker(&work, &list, taker.request);
    UNTIL(atomic_load(&told) == 1);
    assert_true(pthread_equal(told_on, taker.thread));
    close_taker(&taker);
    end();
}

static void a_taker_that_comes_late_looks_by_itself(void **state)
{
    struct taker taker;
    begin();
    put_work();
    open_taker(&taker);
    UNTIL(atomic_load(&told) == 1);
    sp__work_add_taker(&work, &list, taker.request);
    close_taker(&taker);
    end();
}

/* One goes with its nudge: whoever else waits is found. */
static void who_goes_leaves_nothing_behind(void **state)
{
    struct taker first;
    struct taker second;
    begin();
    open_taker(&first);
    open_taker(&second);
    sp__work_add_taker(&work, &list, first.request);
    put_work();
    close_taker(&first); /* its call ends before it is looked for */
    sp__work_add_taker(&work, &list, second.request);
    UNTIL(atomic_load(&told) == 1);
    assert_int_equal(work.length, 0);
    close_taker(&second);
    end();
}

static void each_piece_has_a_taker_of_its_own(void **state)
{
    struct taker takers[3];
    begin();
    for (int i = 0; i < 3; i++) {
        open_taker(&takers[i]);
        put_work();
    }
    for (int i = 0; i < 3; i++) {
        sp__work_add_taker(&work, &list, takers[i].request);
    }
    UNTIL(atomic_load(&told) == 3);
    for (int i = 0; i < 3; i++) {
        close_taker(&takers[i]);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_taker_that_the_loop_hears_of_late_is_told),
        TEST(a_taker_that_comes_late_looks_by_itself),
        TEST(who_goes_leaves_nothing_behind),
        TEST(each_piece_has_a_taker_of_its_own),
    };
    return cmocka_run_group_tests_name("host_work", tests, NULL, NULL);
}
