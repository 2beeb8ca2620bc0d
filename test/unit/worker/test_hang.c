/* SPDX-License-Identifier: MIT */
/* Beats of a worker's heart, without a process: what counts as one, what as a miss. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "leak.h"
#include "worker/internal.h"

struct rig {
    struct loop *loop;
    struct workshop shop;
    struct worker_spec spec;
    struct worker worker;
    int peer;
    unsigned hung;
    unsigned stopping;
    void (*story)(struct rig *rig);
};

static struct rig *current;

static void on_hung(struct worker *worker)
{
    current->hung++;
}

static void on_stopping(struct worker *worker)
{
    current->stopping++;
}

static const struct worker_events events = {.on_hung = on_hung,
                                            .on_stopping = on_stopping};

static void never(struct timer *timer, uint64_t now_ms)
{
    assert(!"an hour has passed");
}

static void broken(void *user, const sp_error *why)
{
}

static void turn_ended(void *user)
{
}

/* A worker that is ready, connected to nobody who answers. */
static void set_up(struct rig *rig)
{
    static const struct h2_options options = {.trusted = 1, .message_max = 1024};
    int ends[2];
    struct worker *worker = &rig->worker;
    assert_int_equal(sp__channels_init(&rig->shop.channels, rig->loop, NULL), 0);
    rig->shop.loop = rig->loop;
    rig->spec.health_interval_ms = 3600000; /* the test's own calls are the clock */
    rig->spec.health_misses = 3;
    rig->spec.hang_grace_ms = 3600000;
    *worker = (struct worker){.shop = &rig->shop,
                              .spec = &rig->spec,
                              .events = &events,
                              .state = WORKER_READY};
    assert_int_equal(sp__timer_init(rig->loop, &worker->health, sp__worker_health_due),
                     0);
    assert_int_equal(sp__timer_init(rig->loop, &worker->deadline, never), 0);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    rig->peer = ends[1];
    struct duplex_fds fds = sp__duplex_socket(ends[0]);
    assert_int_equal(sp__channel_open(&worker->calls, &rig->shop.channels, &fds,
                                      H2_CLIENT, &options, &sp__call_events, worker,
                                      broken, NULL),
                     0);
}

static void run(void *user, void *arg)
{
    struct rig *rig = arg;
    set_up(rig);
    rig->story(rig);
    sp__timer_fini(rig->loop, &rig->worker.health);
    sp__timer_fini(rig->loop, &rig->worker.deadline);
    sp__channel_close(&rig->worker.calls);
    sp__channels_fini(&rig->shop.channels);
    (void)close(rig->peer);
}

static void on_a_loop(void (*story)(struct rig *rig))
{
    static const struct loop_events loop_events = {.on_turn_end = turn_ended};
    struct rig rig = {.story = story};
    current = &rig;
    assert_int_equal(sp__loop_open(&loop_events, &rig, &rig.loop, NULL), 0);
    sp__loop_call(rig.loop, run, &rig);
    sp__loop_close(rig.loop);
}

static void check(struct rig *rig)
{
    sp__worker_health_due(&rig->worker.health, sp__loop_now_ms(rig->loop));
}

/* ---- the stories ---- */

static void silent(struct rig *rig)
{
    check(rig); /* sends the first PING */
    assert_int_equal(rig->worker.ping_out, 1);
    check(rig);
    check(rig);
    assert_int_equal(rig->worker.missed, 2);
    assert_int_equal(rig->hung, 0);
    check(rig);
    assert_int_equal(rig->hung, 1);
    assert_int_equal(rig->stopping, 1);
    assert_int_equal(rig->worker.state, WORKER_STOPPING);
    assert_int_equal(rig->worker.why, WHY_HUNG);
    check(rig); /* a late timer means nothing any more */
    assert_int_equal(rig->hung, 1);
}

static void a_worker_that_misses_its_beats_hangs(void **state)
{
    on_a_loop(silent);
}

static void working(struct rig *rig)
{
    for (int i = 0; i < 10; i++) {
        sp__worker_beat(&rig->worker);
        check(rig);
        assert_int_equal(rig->worker.ping_out, 0); /* no need to ask */
    }
    assert_int_equal(rig->worker.state, WORKER_READY);
}

static void work_is_as_good_as_an_answer(void **state)
{
    on_a_loop(working);
}

static void recovering(struct rig *rig)
{
    check(rig);
    check(rig);
    check(rig);
    assert_int_equal(rig->worker.missed, 2);
    sp__worker_beat(&rig->worker);
    assert_int_equal(rig->worker.missed, 0);
    check(rig); /* it has beaten since */
    check(rig); /* a PING */
    check(rig);
    check(rig);
    assert_int_equal(rig->hung, 0);
    check(rig);
    assert_int_equal(rig->hung, 1);
}

static void one_beat_makes_good_for_all_that_were_missed(void **state)
{
    on_a_loop(recovering);
}

/* libuv opens a pipe for itself the first time, and keeps it. */
static int open_one_loop(void **state)
{
    static const struct loop_events loop_events = {.on_turn_end = turn_ended};
    struct loop *loop;
    int rc = sp__loop_open(&loop_events, NULL, &loop, NULL);
    if (rc == 0) {
        sp__loop_close(loop);
    }
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_that_misses_its_beats_hangs),
        TEST(work_is_as_good_as_an_answer),
        TEST(one_beat_makes_good_for_all_that_were_missed),
    };
    return cmocka_run_group_tests_name("hang", tests, open_one_loop, NULL);
}
