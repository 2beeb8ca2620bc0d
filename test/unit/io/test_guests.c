/* SPDX-License-Identifier: MIT */
/* Guests: threads that drive the loop in the place of its own, and what may get lost when
 * the driver changes. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "alarms.h"
#include "base/clock.h"
#include "base/latch.h"
#include "io/loop.h"
#include "leak.h"

struct rig {
    struct loop *loop;
    atomic_int may_rest;
    struct latch done;
    struct timer timer;
    struct watch *watch;
    int ends[2];
    char byte;
    pthread_t heard_by; /* it was */
    int fired_on_main;  /* the timer, on the thread of the test */
    pthread_t main;
};

static void turn_ended(void *user)
{
    struct rig *rig = user;
    SP__ON_LOOP(rig->loop);
}

static int may_rest(void *user, enum loop_rest occasion)
{
    struct rig *rig = user;
    SP__ON_LOOP(rig->loop);
    return atomic_load(&rig->may_rest);
}

static void open_rig(struct rig *rig)
{
    static const struct loop_events events = {.on_turn_end = turn_ended,
                                              .may_rest = may_rest};
    *rig = (struct rig){.main = pthread_self()};
    atomic_init(&rig->may_rest, 1);
    sp__latch_init(&rig->done);
    assert_int_equal(sp__loop_open(&events, rig, &rig->loop, NULL), 0);
}

/* libuv opens a pipe for itself the first time, and keeps it. */
static int open_one_loop(void **state)
{
    struct rig rig;
    open_rig(&rig);
    sp__loop_close(rig.loop);
    return 0;
}

static void nothing(void *user, void *arg)
{
}

/* The loop thread rests only when somebody asked for the loop, and after a turn. */
static void borrow(struct rig *rig)
{
    uint64_t end_ms = sp__now_ms() + patience_ms(20000);
    while (!sp__loop_borrow(rig->loop)) {
        assert_true(sp__now_ms() < end_ms);
        sp__loop_call(rig->loop, nothing, NULL);
    }
}

static int is_open(void *latch)
{
    return sp__latch_is_open(latch);
}

static uint64_t soon(void)
{
    return sp__now_ms() + patience_ms(20000);
}

struct note {
    struct command command;
    struct latch done;
    pthread_t thread;
};

static void take_note(struct command *command, void *user)
{
    struct note *note = (struct note *)(void *)command;
    struct rig *rig = user;
    SP__ON_LOOP(rig->loop);
    note->thread = pthread_self();
    sp__latch_open(&note->done);
}

static void post_note(struct rig *rig, struct note *note)
{
    *note = (struct note){.command = {.run = take_note}};
    sp__latch_init(&note->done);
    sp__loop_post(rig->loop, &note->command);
}

static void a_guest_runs_what_it_posted(void **state)
{
    struct rig rig;
    struct note note;
    open_rig(&rig);
    borrow(&rig);
    assert_int_equal(sp__on_loop(rig.loop), 1);
    assert_int_equal(sp__loop_borrow(rig.loop), 0); /* one at a time */
    post_note(&rig, &note);
    assert_int_equal(
        sp__loop_drive(rig.loop, is_open, &note.done, soon(), SLEEP_ANYWHERE), 1);
    sp__loop_leave(rig.loop, REST_AFTER_CALL);
    assert_int_equal(sp__on_loop(rig.loop), 0);
    assert_true(pthread_equal(note.thread, pthread_self()));
    sp__loop_close(rig.loop);
}

static void a_guest_runs_at_once_behind_what_was_posted(void **state)
{
    struct rig rig;
    struct note note, at_once = {.command = {.run = take_note}};
    open_rig(&rig);
    sp__latch_init(&at_once.done);
    borrow(&rig);
    post_note(&rig, &note);
    sp__loop_run(rig.loop, &at_once.command);
    assert_true(sp__latch_is_open(&note.done));
    assert_true(sp__latch_is_open(&at_once.done));
    sp__loop_leave(rig.loop, REST_AFTER_CALL);
    sp__loop_close(rig.loop);
}

static void a_loop_that_may_not_rest_is_not_lent(void **state)
{
    struct rig rig;
    open_rig(&rig);
    atomic_store(&rig.may_rest, 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(sp__loop_borrow(rig.loop), 0);
        sp__loop_call(rig.loop, nothing, NULL);
    }
    sp__loop_close(rig.loop);
}

/* ---- what comes while a guest sleeps ---- */

enum { CALLS = 2000 };

static void *call_often(void *arg)
{
    struct rig *rig = arg;
    for (int i = 0; i < CALLS; i++) {
        sp__loop_call(rig->loop, nothing, NULL); /* each has to be heard */
    }
    sp__latch_open(&rig->done);
    sp__loop_call(rig->loop, nothing, NULL);
    return NULL;
}

static void every_post_wakes_a_guest_that_sleeps(void **state)
{
    struct rig rig;
    pthread_t caller;
    open_rig(&rig);
    borrow(&rig);
    assert_int_equal(pthread_create(&caller, NULL, call_often, &rig), 0);
    assert_int_equal(
        sp__loop_drive(rig.loop, is_open, &rig.done, soon(), SLEEP_ANYWHERE), 1);
    sp__loop_leave(rig.loop, REST_AFTER_CALL);
    assert_int_equal(pthread_join(caller, NULL), 0);
    sp__loop_close(rig.loop);
}

static void fire(struct timer *timer, uint64_t now_ms)
{
    struct rig *rig =
        (struct rig *)(void *)((char *)timer - offsetof(struct rig, timer));
    rig->fired_on_main = pthread_equal(pthread_self(), rig->main);
    sp__latch_open(&rig->done);
}

static void set_timer(struct rig *rig, uint64_t in_ms)
{
    sp__timer_set(rig->loop, &rig->timer, sp__loop_now_ms(rig->loop) + in_ms);
}

static void on_byte(void *user, int events)
{
    struct rig *rig = user;
    if (read(rig->ends[0], &rig->byte, 1) == 1) {
        rig->heard_by = pthread_self();
        set_timer(rig, 20);
    }
}

static void end_rig(void *user, void *arg)
{
    struct rig *rig = user;
    sp__timer_fini(rig->loop, &rig->timer);
    sp__watch_close(rig->watch);
}

/* Borrowed, with a timer, and a pipe that it watches. */
static void open_watching_rig(struct rig *rig)
{
    open_rig(rig);
    assert_int_equal(pipe2(rig->ends, O_CLOEXEC | O_NONBLOCK), 0);
    borrow(rig);
    assert_int_equal(sp__timer_init(rig->loop, &rig->timer, fire), 0);
    assert_int_equal(
        sp__watch_open(rig->loop, rig->ends[0], on_byte, rig, &rig->watch, NULL), 0);
}

static void close_watching_rig(struct rig *rig)
{
    sp__loop_call(rig->loop, end_rig, NULL);
    (void)close(rig->ends[0]);
    (void)close(rig->ends[1]);
    sp__loop_close(rig->loop);
}

static void *write_byte(void *arg)
{
    struct rig *rig = arg;
    return write(rig->ends[1], "b", 1) == 1 ? NULL : rig;
}

/* The watch is new to the kernel, and the timer is set by what the guest woke for. */
static void hear_new_ones(enum loop_sleep how)
{
    struct rig rig;
    pthread_t writer;
    void *failed;
    open_watching_rig(&rig);
    assert_int_equal(pthread_create(&writer, NULL, write_byte, &rig), 0);
    assert_int_equal(sp__loop_drive(rig.loop, is_open, &rig.done, soon(), how), 1);
    sp__loop_leave(rig.loop, REST_AFTER_CALL);
    assert_int_equal(pthread_join(writer, &failed), 0);
    assert_null(failed);
    assert_int_equal(rig.byte, 'b');
    assert_int_equal(rig.fired_on_main, 1);
    close_watching_rig(&rig);
}

static void a_guest_hears_new_descriptors_and_new_timers(void **state)
{
    hear_new_ones(SLEEP_ANYWHERE);
    hear_new_ones(SLEEP_APART);
}

static void drive_until_time(enum loop_sleep how)
{
    struct rig rig;
    open_rig(&rig);
    borrow(&rig);
    uint64_t end_ms = sp__now_ms() + 30;
    assert_int_equal(sp__loop_drive(rig.loop, is_open, &rig.done, end_ms, how), 0);
    assert_true(sp__now_ms() >= end_ms);
    sp__loop_leave(rig.loop, REST_BETWEEN_DISPATCHES);
    sp__loop_close(rig.loop);
}

static void a_guest_drives_until_its_time(void **state)
{
    drive_until_time(SLEEP_ANYWHERE);
    drive_until_time(SLEEP_APART);
}

static void be_ended_by_a_signal(enum loop_sleep how)
{
    struct rig rig;
    struct alarms alarms;
    open_rig(&rig);
    borrow(&rig);
    alarms_begin(&alarms);
    assert_int_equal(sp__loop_drive(rig.loop, is_open, &rig.done, UINT64_MAX, how), 0);
    alarms_end(&alarms);
    sp__loop_leave(rig.loop, REST_AFTER_CALL);
    sp__loop_close(rig.loop);
}

static void a_signal_ends_the_driving(void **state)
{
    be_ended_by_a_signal(SLEEP_ANYWHERE);
    be_ended_by_a_signal(SLEEP_APART);
}

/* ---- what comes when a guest has gone ---- */

static void the_thread_takes_over_when_nobody_comes(void **state)
{
    struct rig rig;
    open_rig(&rig);
    borrow(&rig);
    assert_int_equal(sp__timer_init(rig.loop, &rig.timer, fire), 0);
    set_timer(&rig, 30);
    sp__loop_leave(rig.loop, REST_AFTER_CALL); /* without having driven at all */
    assert_int_equal(sp__latch_wait(&rig.done, patience_ms(20000)), 1);
    assert_int_equal(rig.fired_on_main, 0);
    sp__loop_call(rig.loop, end_rig, NULL);
    sp__loop_close(rig.loop);
}

static void the_thread_takes_over_from_a_guest_that_stayed_long(void **state)
{
    struct rig rig;
    struct note note;
    for (int may = 0; may < 2; may++) {
        open_rig(&rig);
        borrow(&rig);
        (void)sp__loop_drive(rig.loop, is_open, &rig.done, sp__now_ms() + 50,
                             SLEEP_ANYWHERE);
        atomic_store(&rig.may_rest, may);
        sp__loop_leave(rig.loop, REST_AFTER_CALL);
        post_note(&rig, &note);
        assert_int_equal(sp__latch_wait(&note.done, patience_ms(20000)), 1);
        assert_false(pthread_equal(note.thread, pthread_self()));
        sp__loop_close(rig.loop);
    }
}

/* What calls the loop thread may come in any moment of a guest's stay and leave. */
static void the_thread_takes_over_however_long_a_guest_stays(void **state)
{
    enum { LONGEST_US = 5000, STEP_US = 50 };
    struct rig rig;
    open_rig(&rig);
    borrow(&rig);
    assert_int_equal(sp__timer_init(rig.loop, &rig.timer, fire), 0);
    for (uint64_t stay_us = 0; stay_us < LONGEST_US; stay_us += STEP_US) {
        uint64_t end_us = sp__now_us() + stay_us;
        while (sp__now_us() < end_us) {
        }
        sp__latch_init(&rig.done);
        set_timer(&rig, 0);
        sp__loop_leave(rig.loop, REST_AFTER_CALL);
        assert_int_equal(sp__latch_wait(&rig.done, patience_ms(20000)), 1);
        borrow(&rig);
    }
    sp__loop_leave(rig.loop, REST_AFTER_CALL);
    sp__loop_call(rig.loop, end_rig, NULL);
    sp__loop_close(rig.loop);
}

static void tell_thread(void *user, void *arg)
{
    *(pid_t *)arg = gettid();
}

/* How often a thread has gone to sleep. */
static unsigned long sleeps_of(pid_t thread)
{
    char line[160];
    unsigned long sleeps = 0;
    int found = 0;
    (void)snprintf(line, sizeof line, "/proc/self/task/%d/status", (int)thread);
    FILE *file = fopen(line, "re");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file) != NULL) {
        found = sscanf(line, "voluntary_ctxt_switches: %lu", &sleeps) == 1;
    }
    (void)fclose(file);
    assert_true(found);
    return sleeps;
}

/* Guests follow each other for a while. 1 when the loop thread has slept on; it looks when
 * the machine makes a pause between two of them. */
static int thread_sleeps_on(struct rig *rig)
{
    enum { SPAN_US = 3000 };
    pid_t thread = 0;
    int stays = 1;
    sp__loop_call(rig->loop, tell_thread, &thread);
    borrow(rig);
    unsigned long before = sleeps_of(thread);
    for (uint64_t end_us = sp__now_us() + SPAN_US; stays && sp__now_us() < end_us;) {
        sp__loop_leave(rig->loop, REST_BETWEEN_DISPATCHES);
        stays = sp__loop_borrow(rig->loop);
    }
    int slept_on = stays && sleeps_of(thread) == before;
    if (stays) {
        sp__loop_leave(rig->loop, REST_BETWEEN_DISPATCHES);
    }
    return slept_on;
}

/* One that looks each millisecond sleeps on in one of hundreds, on a busy machine. */
static void the_thread_sleeps_while_guests_follow_each_other(void **state)
{
    enum { TRIES = 100, ENOUGH = 20 };
    struct rig rig;
    int times = 0;
    open_rig(&rig);
    for (int i = 0; i < TRIES && times < ENOUGH; i++) {
        times += thread_sleeps_on(&rig);
    }
    assert_int_equal(times, ENOUGH);
    sp__loop_close(rig.loop);
}

static void what_a_guest_left_undone_is_run(void **state)
{
    struct rig rig;
    struct note note;
    open_rig(&rig);
    borrow(&rig);
    post_note(&rig, &note);
    sp__loop_leave(rig.loop, REST_AFTER_CALL);
    assert_int_equal(sp__latch_wait(&note.done, patience_ms(20000)), 1);
    sp__loop_close(rig.loop);
}

static void what_was_postponed_is_run(void **state)
{
    struct rig rig;
    struct note notes[2];
    open_rig(&rig);
    for (int round = 0; round < 200; round++) {
        borrow(&rig);
        sp__loop_leave(rig.loop, REST_BETWEEN_DISPATCHES);
        sp__loop_postpone(rig.loop);
        post_note(&rig, &notes[0]);
        if (round % 2 == 1) {
            sp__loop_call(rig.loop, nothing, NULL); /* who waits is not postponed */
            assert_int_equal(sp__latch_is_open(&notes[0].done), 1);
        }
        post_note(&rig, &notes[1]);
        if (round % 4 > 1) { /* a callback that takes its time */
            assert_int_equal(sp__latch_wait(&notes[1].done, patience_ms(20000)), 1);
        }
        sp__loop_catch_up(rig.loop);
        assert_int_equal(sp__latch_wait(&notes[1].done, patience_ms(20000)), 1);
    }
    sp__loop_close(rig.loop);
}

/* What of it this thread has run itself before it is through; the loop's own, which looks
 * up now and then, may come first. */
static void who_posts_much_is_not_waited_for(void **state)
{
    enum { MANY = 100, ROUNDS = 1000 };
    struct rig rig;
    struct note notes[MANY];
    unsigned ran = 0;
    open_rig(&rig);
    for (int round = 0; round < ROUNDS && ran == 0; round++) {
        borrow(&rig);
        sp__loop_leave(rig.loop, REST_BETWEEN_DISPATCHES);
        sp__loop_postpone(rig.loop);
        for (int i = 0; i < MANY; i++) {
            post_note(&rig, &notes[i]);
            sp__loop_keep_up(rig.loop);
        }
        for (int i = 0; i < MANY; i++) {
            ran += sp__latch_is_open(&notes[i].done) &&
                   pthread_equal(notes[i].thread, pthread_self());
        }
        sp__loop_catch_up(rig.loop);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(sp__latch_wait(&notes[i].done, patience_ms(20000)), 1);
        }
    }
    assert_in_range(ran, 1, MANY);
    sp__loop_close(rig.loop);
}

/* Nor is what others have written meanwhile; the loop's own thread may come first here, too. */
static void who_posts_much_hears_others(void **state)
{
    enum { MANY = 100, ROUNDS = 1000 };
    int heard = 0;
    for (int round = 0; round < ROUNDS && !heard; round++) {
        struct rig rig;
        struct note notes[MANY];
        open_watching_rig(&rig);
        sp__loop_leave(rig.loop, REST_BETWEEN_DISPATCHES);
        sp__loop_postpone(rig.loop);
        assert_null(write_byte(&rig));
        for (int i = 0; i < MANY; i++) {
            post_note(&rig, &notes[i]);
            sp__loop_keep_up(rig.loop);
        }
        sp__loop_catch_up(rig.loop);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(sp__latch_wait(&notes[i].done, patience_ms(20000)), 1);
        }
        close_watching_rig(&rig);
        heard = rig.byte == 'b' && pthread_equal(rig.heard_by, pthread_self());
    }
    assert_true(heard);
}

static void *drive_for_ever(void *arg)
{
    struct rig *rig = arg;
    borrow(rig);
    sp__latch_open(&rig->done);
    struct latch never;
    sp__latch_init(&never);
    (void)sp__loop_drive(rig->loop, is_open, &never, sp__now_ms() + 100,
                         SLEEP_ANYWHERE);
    sp__loop_leave(rig->loop, REST_AFTER_CALL);
    for (;;) {
        (void)pause(); /* a point at which a thread may be cancelled */
    }
    return NULL;
}

static void a_guest_that_is_cancelled_gives_the_loop_back_first(void **state)
{
    struct rig rig;
    pthread_t guest;
    void *how = NULL;
    open_rig(&rig);
    assert_int_equal(pthread_create(&guest, NULL, drive_for_ever, &rig), 0);
    assert_int_equal(sp__latch_wait(&rig.done, patience_ms(20000)), 1);
    assert_int_equal(pthread_cancel(guest), 0);
    assert_int_equal(pthread_join(guest, &how), 0);
    assert_ptr_equal(how, PTHREAD_CANCELED);
    sp__loop_call(rig.loop, nothing, NULL);
    sp__loop_close(rig.loop);
}

/* ---- all at once ---- */

enum { THREADS = 4, ROUNDS = 500 };

static void *come_and_go(void *arg)
{
    struct rig *rig = arg;
    struct note note;
    for (int i = 0; i < ROUNDS; i++) {
        if (sp__loop_borrow(rig->loop)) {
            post_note(rig, &note);
            while (!sp__loop_drive(rig->loop, is_open, &note.done, UINT64_MAX,
                                   SLEEP_ANYWHERE)) {
            }
            sp__loop_leave(rig->loop,
                           i % 2 ? REST_AFTER_CALL : REST_BETWEEN_DISPATCHES);
        } else {
            post_note(rig, &note);
            (void)sp__latch_wait(&note.done, SP_UNLIMITED);
        }
        atomic_store(&rig->may_rest, i % 8 != 0);
    }
    return NULL;
}

static void guests_that_come_and_go_lose_nothing(void **state)
{
    struct rig rig;
    pthread_t threads[THREADS];
    open_rig(&rig);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &rig), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    sp__loop_close(rig.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_guest_runs_what_it_posted),
        TEST(a_guest_runs_at_once_behind_what_was_posted),
        TEST(a_loop_that_may_not_rest_is_not_lent),
        TEST(every_post_wakes_a_guest_that_sleeps),
        TEST(a_guest_hears_new_descriptors_and_new_timers),
        TEST(a_guest_drives_until_its_time),
        TEST(a_signal_ends_the_driving),
        TEST(the_thread_takes_over_when_nobody_comes),
        TEST(the_thread_takes_over_from_a_guest_that_stayed_long),
        TEST(the_thread_takes_over_however_long_a_guest_stays),
        TEST(the_thread_sleeps_while_guests_follow_each_other),
        TEST(what_a_guest_left_undone_is_run),
        TEST(what_was_postponed_is_run),
        TEST(who_posts_much_is_not_waited_for),
        TEST(who_posts_much_hears_others),
        TEST(a_guest_that_is_cancelled_gives_the_loop_back_first),
        TEST(guests_that_come_and_go_lose_nothing),
    };
    return cmocka_run_group_tests_name("guests", tests, open_one_loop, NULL);
}
