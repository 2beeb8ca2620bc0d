/* SPDX-License-Identifier: MIT */
/* The loop thread: errands in order, timers in time, descriptors, the end of a turn. */
#include "io/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/latch.h"
#include "base/mem.h"
#include "leak.h"

struct rig {
    struct loop *loop;
    unsigned turns; /* loop thread */
    unsigned ran;
    unsigned next;
    int out_of_order;
    struct latch done;
};

static void turn_ended(void *user)
{
    struct rig *rig = user;
    SP__ON_LOOP(rig->loop);
    rig->turns++;
}

static void open_rig(struct rig *rig)
{
    static const struct loop_events events = {.on_turn_end = turn_ended};
    *rig = (struct rig){0};
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

static void await(struct rig *rig)
{
    assert_int_equal(sp__latch_wait(&rig->done, patience_ms(20000)), 1);
}

/* ---- errands ---- */

enum { COMMANDS = 5000, THREADS = 4 };

struct numbered {
    struct command command;
    unsigned number;
};

static void run_numbered(struct command *command, void *user)
{
    struct rig *rig = user;
    const struct numbered *numbered = (const struct numbered *)(void *)command;
    SP__ON_LOOP(rig->loop);
    rig->out_of_order += numbered->number != rig->next;
    rig->next++;
    if (rig->next == COMMANDS) {
        sp__latch_open(&rig->done);
    }
}

static void errands_run_in_the_order_they_were_posted(void **state)
{
    static struct numbered commands[COMMANDS];
    struct rig rig;
    open_rig(&rig);
    for (unsigned i = 0; i < COMMANDS; i++) {
        commands[i] = (struct numbered){{.run = run_numbered}, i};
        sp__loop_post(rig.loop, &commands[i].command);
    }
    await(&rig);
    assert_int_equal(rig.out_of_order, 0);
    sp__loop_close(rig.loop);
}

static void errands_of_a_chain_run_in_its_order(void **state)
{
    static struct numbered commands[COMMANDS];
    struct rig rig;
    open_rig(&rig);
    for (unsigned i = 0; i < COMMANDS; i++) {
        commands[i] = (struct numbered){{.run = run_numbered}, i};
        int is_last = i == 9 || i == 10 || i + 1 == COMMANDS;
        commands[i].command.next = is_last ? NULL : &commands[i + 1].command;
    }
    sp__loop_post_all(rig.loop, &commands[0].command);
    sp__loop_post(rig.loop, &commands[10].command);
    sp__loop_post_all(rig.loop, &commands[11].command);
    await(&rig);
    assert_int_equal(rig.out_of_order, 0);
    sp__loop_close(rig.loop);
}

static void run_counted(struct command *command, void *user)
{
    struct rig *rig = user;
    sp__free(command);
    if (++rig->ran == COMMANDS * THREADS) {
        sp__latch_open(&rig->done);
    }
}

static void *post_many(void *arg)
{
    struct rig *rig = arg;
    for (int i = 0; i < COMMANDS; i++) {
        struct command *command = sp__calloc(1, sizeof *command);
        command->run = run_counted;
        sp__loop_post(rig->loop, command);
    }
    return NULL;
}

static void every_errand_of_every_thread_runs_once(void **state)
{
    struct rig rig;
    pthread_t threads[THREADS];
    open_rig(&rig);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &rig), 0);
    }
    await(&rig);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    sp__loop_close(rig.loop);
    assert_int_equal(rig.ran, COMMANDS * THREADS);
}

static void note_thread(void *user, void *arg)
{
    struct rig *rig = user;
    *(int *)arg = sp__on_loop(rig->loop);
}

static void a_call_returns_when_it_has_run(void **state)
{
    struct rig rig;
    open_rig(&rig);
    for (int i = 0; i < 1000; i++) {
        int on_loop = 0;
        sp__loop_call(rig.loop, note_thread, &on_loop);
        assert_int_equal(on_loop, 1);
    }
    assert_int_equal(sp__on_loop(rig.loop), 0);
    sp__loop_close(rig.loop);
    assert_true(rig.turns > 0);
}

static void post_another(struct command *command, void *user)
{
    struct rig *rig = user;
    if (++rig->ran < 1000) {
        sp__loop_post(rig->loop, command);
    } else {
        sp__latch_open(&rig->done);
    }
}

static void an_errand_may_post_itself_again(void **state)
{
    struct rig rig;
    struct command command = {.run = post_another};
    open_rig(&rig);
    sp__loop_post(rig.loop, &command);
    await(&rig);
    assert_int_equal(rig.ran, 1000);
    sp__loop_close(rig.loop);
}

/* ---- timers ---- */

struct timers {
    struct rig *rig;
    struct timer timers[4];
    char order[8];
    int early;
};

static struct timers *the_timers;

static void fire(struct timer *timer, uint64_t now_ms)
{
    struct timers *set = the_timers;
    size_t which = (size_t)(timer - set->timers);
    set->order[strlen(set->order)] = (char)('a' + which);
    set->early += now_ms < timer->node.key;
    if (strlen(set->order) == 3) {
        sp__latch_open(&set->rig->done);
    }
}

static void set_timers(void *user, void *arg)
{
    struct rig *rig = user;
    struct timers *set = arg;
    uint64_t now_ms = sp__loop_now_ms(rig->loop);
    for (size_t i = 0; i < COUNT_OF(set->timers); i++) {
        assert_int_equal(sp__timer_init(rig->loop, &set->timers[i], fire), 0);
    }
    sp__timer_set(rig->loop, &set->timers[0], now_ms + 30);
    sp__timer_set(rig->loop, &set->timers[1], now_ms + 10);
    sp__timer_set(rig->loop, &set->timers[2], now_ms + 3600000);
    sp__timer_set(rig->loop, &set->timers[3], now_ms + 5);
    sp__timer_stop(rig->loop, &set->timers[3]);             /* never fires */
    sp__timer_set(rig->loop, &set->timers[2], now_ms + 20); /* moved to the front */
}

static void end_timers(void *user, void *arg)
{
    struct rig *rig = user;
    struct timers *set = arg;
    for (size_t i = 0; i < COUNT_OF(set->timers); i++) {
        sp__timer_fini(rig->loop, &set->timers[i]);
        sp__timer_fini(rig->loop, &set->timers[i]); /* fine when it is over */
    }
}

static void timers_fire_in_their_order_and_never_early(void **state)
{
    struct rig rig;
    struct timers set = {.rig = &rig};
    the_timers = &set;
    open_rig(&rig);
    sp__loop_call(rig.loop, set_timers, &set);
    await(&rig);
    sp__loop_call(rig.loop, end_timers, &set);
    assert_string_equal(set.order, "bca");
    assert_int_equal(set.early, 0);
    sp__loop_close(rig.loop);
}

static void init_without_memory(void *user, void *arg)
{
    struct rig *rig = user;
    struct timer timer = {0};
    sp__mem_fail_at(1, 0);
    *(int *)arg = sp__timer_init(rig->loop, &timer, fire);
    sp__mem_fail_at(0, 0);
    sp__timer_fini(rig->loop, &timer); /* zeroed: nothing to give back */
}

static void without_memory_there_is_no_timer(void **state)
{
    struct rig rig;
    int rc = 0;
    open_rig(&rig);
    sp__loop_call(rig.loop, init_without_memory, &rc);
    assert_int_equal(rc, SP_ERR_NOMEM);
    sp__loop_close(rig.loop);
}

/* ---- descriptors ---- */

struct watched {
    struct rig *rig;
    struct watch *watch;
    int ends[2];
    char text[64];
    unsigned writable;
};

static void on_readable(void *user, int events)
{
    struct watched *watched = user;
    size_t used = strlen(watched->text);
    if (events & WATCH_WRITE) {
        watched->writable++;
        sp__watch_set(watched->watch, WATCH_READ);
    }
    if (events & WATCH_READ) {
        ssize_t n = read(watched->ends[0], watched->text + used,
                         sizeof watched->text - 1 - used);
        if (n == 0 || strchr(watched->text, '.') != NULL) {
            sp__watch_set(watched->watch, 0);
            sp__latch_open(&watched->rig->done);
        }
    }
}

static void watch_it(void *user, void *arg)
{
    struct rig *rig = user;
    struct watched *watched = arg;
    assert_int_equal(sp__watch_open(rig->loop, watched->ends[0], on_readable, watched,
                                    &watched->watch, NULL),
                     0);
}

static void unwatch_it(void *user, void *arg)
{
    struct watched *watched = arg;
    sp__watch_close(watched->watch);
    (void)close(watched->ends[0]); /* at once, as the header allows */
}

static void what_can_be_read_is_told(void **state)
{
    struct rig rig;
    struct watched watched = {.rig = &rig};
    open_rig(&rig);
    assert_int_equal(pipe2(watched.ends, O_CLOEXEC | O_NONBLOCK), 0);
    sp__loop_call(rig.loop, watch_it, &watched);
    assert_int_equal(write(watched.ends[1], "to be ", 6), 6);
    assert_int_equal(write(watched.ends[1], "read.", 5), 5);
    await(&rig);
    assert_string_equal(watched.text, "to be read.");
    (void)close(watched.ends[1]);
    sp__loop_call(rig.loop, unwatch_it, &watched);
    sp__loop_close(rig.loop);
}

static void the_end_of_a_pipe_is_told(void **state)
{
    struct rig rig;
    struct watched watched = {.rig = &rig};
    open_rig(&rig);
    assert_int_equal(pipe2(watched.ends, O_CLOEXEC | O_NONBLOCK), 0);
    sp__loop_call(rig.loop, watch_it, &watched);
    (void)close(watched.ends[1]);
    await(&rig);
    sp__loop_call(rig.loop, unwatch_it, &watched);
    sp__loop_close(rig.loop);
}

static void on_a_byte(void *user, int events)
{
    struct watched *watched = user;
    size_t used = strlen(watched->text);
    ssize_t n = read(watched->ends[0], watched->text + used, 1);
    if (n == 0 || (n < 0 && errno == ECONNRESET)) {
        sp__watch_set(watched->watch, 0);
        sp__latch_open(&watched->rig->done);
    }
}

static void watch_bytes(void *user, void *arg)
{
    struct rig *rig = user;
    struct watched *watched = arg;
    assert_int_equal(sp__watch_open(rig->loop, watched->ends[0], on_a_byte, watched,
                                    &watched->watch, NULL),
                     0);
}

/* Its peer closes with something unread: that is an error, behind the last bytes. */
static void what_came_before_an_error_is_read_to_its_end(void **state)
{
    struct rig rig;
    struct watched watched = {.rig = &rig};
    open_rig(&rig);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                watched.ends),
                     0);
    assert_int_equal(write(watched.ends[0], "unread", 6), 6);
    assert_int_equal(write(watched.ends[1], "last words", 10), 10);
    assert_int_equal(close(watched.ends[1]), 0);
    sp__loop_call(rig.loop, watch_bytes, &watched);
    await(&rig);
    assert_string_equal(watched.text, "last words");
    sp__loop_call(rig.loop, unwatch_it, &watched);
    sp__loop_close(rig.loop);
}

static void watch_nothing(void *user, void *arg)
{
    struct rig *rig = user;
    struct watch *watch = NULL;
    *(int *)arg = sp__watch_open(rig->loop, 9999, on_readable, NULL, &watch, NULL);
    assert_null(watch);
    sp__watch_close(NULL);
}

static void a_descriptor_that_is_none_is_refused(void **state)
{
    struct rig rig;
    int rc = 0;
    open_rig(&rig);
    sp__loop_call(rig.loop, watch_nothing, &rc);
    assert_int_equal(rc, SP_ERR_SYSTEM);
    sp__loop_close(rig.loop);
}

static void opening_without_memory_leaves_nothing(void **state)
{
    static const struct loop_events events = {.on_turn_end = turn_ended};
    struct loop *loop = NULL;
    sp_error err = {0};
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__loop_open(&events, NULL, &loop, &err), SP_ERR_NOMEM);
    assert_null(loop);
    sp_error_clear(&err);
    sp__loop_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(errands_run_in_the_order_they_were_posted),
        TEST(errands_of_a_chain_run_in_its_order),
        TEST(every_errand_of_every_thread_runs_once),
        TEST(a_call_returns_when_it_has_run),
        TEST(an_errand_may_post_itself_again),
        TEST(timers_fire_in_their_order_and_never_early),
        TEST(without_memory_there_is_no_timer),
        TEST(what_can_be_read_is_told),
        TEST(the_end_of_a_pipe_is_told),
        TEST(what_came_before_an_error_is_read_to_its_end),
        TEST(a_descriptor_that_is_none_is_refused),
        TEST(opening_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests_name("loop", tests, open_one_loop, NULL);
}
