/* SPDX-License-Identifier: MIT */
/*
 * An open loop: calls begin on a schedule, whether earlier ones have ended or not.
 *
 *     paced --rate R [--workers W] [--warm-ms N] [--measure-ms N]
 *     paced --rate R --bare-ns N [...]
 *
 * Latency is counted from the moment a call was due, not from when this program got
 * around to it: a stall of whatever kind, here or there, is paid for by every call that
 * was due meanwhile. One thread does all of it, as in a program with an event loop: it
 * takes what has ended, begins what is due, and sleeps until the next of either. Prints
 * one line of JSON for run.py; a call that fails, or more waiting than PACED_MAX, ends it
 * with status 1.
 *
 * With --bare-ns it is the machine's floor: nothing but a child behind a socket, each on a
 * processor of its own where there are two, and each busy for N ns with every call. What is
 * late then is late by the machine and its kernel.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "pit.h"

enum { PACED_MAX = 1 << 20 };

struct call {
    uint64_t due_ns;
    uint32_t a;
    int is_open;
};

/* Who answers. */
struct side {
    void (*start)(struct call *call);
    void (*await)(void); /* answers, at least one */
};

static struct {
    const struct side *side;
    double rate;
    uint64_t first_ns; /* when the first call was due */
    struct load load;
    struct call all[PACED_MAX]; /* the n-th call is at n modulo this */
    uint64_t started;
    uint64_t ended;
    uint64_t open_max;
    struct latencies lateness; /* of starting, not of answering */
} pace;

static void start_due(void);

static void answered(struct call *call, int is_right)
{
    /* Which calls count is decided by when they were due. */
    if (call->due_ns >= pace.load.begin_ns) {
        latency_add(&pace.load.latencies, now_ns() - call->due_ns);
    }
    pace.load.wrong += !is_right;
    call->is_open = 0;
    pace.ended++;
    start_due();
}

static void start_call(uint64_t due_ns)
{
    struct call *call = &pace.all[pace.started % PACED_MAX];
    if (call->is_open) {
        give_up("paced: %d calls wait: the rate is too high", PACED_MAX);
    }
    *call = (struct call){due_ns, (uint32_t)pace.started, 1};
    latency_add(&pace.lateness, now_ns() - due_ns);
    pace.side->start(call);
    pace.started++;
    uint64_t open = pace.started - pace.ended;
    pace.open_max = open > pace.open_max ? open : pace.open_max;
}

/* When the next call is due. */
static uint64_t next_ns(void)
{
    return pace.first_ns + (uint64_t)((double)pace.started * 1e9 / pace.rate);
}

static void start_due(void)
{
    uint64_t due_ns = next_ns();
    for (uint64_t now = now_ns(); due_ns <= now && due_ns < pace.load.end_ns;
         due_ns = next_ns()) {
        start_call(due_ns);
    }
}

static void sleep_until(uint64_t at_ns)
{
    struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000u),
                          .tv_nsec = (long)(at_ns % 1000000000u)};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

/* While answers are to come they are what the thread waits for, and each looks what has
 * become due meanwhile: it is late then, and that is counted. */
static void keep_schedule(void)
{
    pace.first_ns = now_ns();
    while (pace.ended < pace.started || next_ns() < pace.load.end_ns) {
        if (pace.ended < pace.started) {
            pace.side->await();
        } else {
            sleep_until(next_ns());
            start_due();
        }
    }
}

/* ---- the product ---- */

static sp_pit *the_pit;

static void on_reply(const sp_reply *reply, void *user_data)
{
    struct call *call = user_data;
    if (reply->error != NULL) {
        check(reply->error->code, reply->error, "reply");
    }
    answered(call, get_result(reply->result->json, reply->result->json_bytes) ==
                       (int64_t)call->a + 3);
}

static void start_in_pit(struct call *call)
{
    sp_error err = {0};
    char args[64];
    size_t size = put_arguments(args, call->a, 3);
    check(sp_call_start(the_pit, "add", (sp_bytes){args, size}, NULL, on_reply, call,
                        NULL, &err),
          &err, "call");
}

static void await_pit(void)
{
    sp_error err = {0};
    check(sp_pit_dispatch(the_pit, SP_UNLIMITED, &err), &err, "dispatch");
}

static const struct side pit_side = {start_in_pit, await_pit};

/* ---- the floor ---- */

enum {
    AT_ONCE = 32,    /* calls in a write, as the product has it */
    READ_MAX = 2048, /* so many are read at once */
    PARTS = 4,       /* in which a batch is answered */
    STEPS = 1000000  /* that tell how long one takes */
};

static struct {
    int fd;               /* each side's own end */
    uint64_t busy_steps;  /* with every call */
    uint64_t sent, taken; /* calls that have gone out, and come back */
} bare;

static void be_busy(uint64_t steps)
{
    for (volatile uint64_t i = 0; i < steps; i++) {
    }
}

static uint64_t steps_in(uint64_t busy_ns)
{
    uint64_t shortest_ns = UINT64_MAX;
    for (int i = 0; i < 10; i++) {
        uint64_t began_ns = now_ns();
        be_busy(STEPS);
        uint64_t took_ns = now_ns() - began_ns;
        shortest_ns = took_ns < shortest_ns ? took_ns : shortest_ns;
    }
    return busy_ns * STEPS / shortest_ns;
}

static void write_all(const void *data, size_t size)
{
    for (const char *at = data; size > 0;) {
        ssize_t n = send(bare.fd, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            give_up("paced: send: %s", strerrordesc_np(errno));
        }
        at += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

/* Numbers that have come, at least one; 0 at the end. */
static size_t read_some(uint32_t *numbers)
{
    size_t size = 0;
    do {
        ssize_t n =
            recv(bare.fd, (char *)numbers + size, READ_MAX * sizeof *numbers - size, 0);
        if (n == 0 && size == 0) {
            return 0;
        }
        if (n == 0 || (n < 0 && errno != EINTR)) {
            give_up("paced: recv: %s", n == 0 ? "cut off" : strerrordesc_np(errno));
        }
        size += n > 0 ? (size_t)n : 0;
    } while (size % sizeof *numbers != 0 || size == 0);
    return size / sizeof *numbers;
}

/* What the socket takes: who waited for room here would not read, and the child wait, too. */
static void send_bare(void)
{
    while (bare.sent < pace.started) {
        uint32_t numbers[AT_ONCE];
        size_t n = 0;
        for (; n < AT_ONCE && bare.sent + n < pace.started; n++) {
            numbers[n] = pace.all[(bare.sent + n) % PACED_MAX].a;
        }
        if (send(bare.fd, numbers, n * sizeof *numbers, MSG_DONTWAIT | MSG_NOSIGNAL) <
            0) {
            if (errno != EAGAIN && errno != EINTR) {
                give_up("paced: send: %s", strerrordesc_np(errno));
            }
            return;
        }
        bare.sent += n; /* so little goes whole or not at all */
    }
}

static void start_bare(struct call *call)
{
    be_busy(bare.busy_steps);
    if (pace.started - bare.sent >= AT_ONCE) {
        send_bare();
    }
}

static void await_bare(void)
{
    static uint32_t numbers[READ_MAX];
    send_bare();
    size_t n = read_some(numbers);
    for (size_t i = 0; i < n; i++) {
        struct call *call = &pace.all[bare.taken++ % PACED_MAX];
        answered(call, numbers[i] == call->a + 3);
    }
}

static const struct side bare_side = {start_bare, await_bare};

/* The n-th of those that may be used, where there is such a one. */
static void stay_on(int n)
{
    cpu_set_t allowed, own;
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0 || CPU_COUNT(&allowed) < 2) {
        return;
    }
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && n-- == 0) {
            CPU_SET(cpu, &own);
        }
    }
    (void)sched_setaffinity(0, sizeof own, &own);
}

static void answer_bare(void)
{
    static uint32_t numbers[READ_MAX];
    size_t n;
    while ((n = read_some(numbers)) > 0) {
        size_t part = (n + PARTS - 1) / PARTS;
        for (size_t i = 0; i < n; i += part) {
            size_t end = i + part < n ? i + part : n;
            for (size_t k = i; k < end; k++) {
                be_busy(bare.busy_steps);
                numbers[k] += 3;
            }
            write_all(numbers + i, (end - i) * sizeof *numbers);
        }
    }
}

static pid_t open_bare(uint64_t busy_ns)
{
    bare.busy_steps = steps_in(busy_ns);
    pid_t child = fork_with_socket(0, &bare.fd);
    stay_on(child == 0);
    if (child == 0) {
        answer_bare();
        _exit(0);
    }
    return child;
}

/* ---- */

int main(int argc, char **argv)
{
    long rate = option_number(argc, argv, "rate", 0);
    long bare_ns = option_number(argc, argv, "bare-ns", 0);
    pid_t child = -1;
    char extra[160];
    if (rate < 1 || bare_ns < 0) {
        give_up("usage: paced --rate CALLS-A-SECOND [--workers W | --bare-ns N]");
    }
    pace.rate = (double)rate;
    if (bare_ns > 0) {
        pace.side = &bare_side;
        child = open_bare((uint64_t)bare_ns);
    } else {
        sp_pool_options pool =
            pool_of((uint32_t)option_number(argc, argv, "workers", 1));
        pool.queue_max = PACED_MAX; /* a full queue would hide how late calls are */
        pace.side = &pit_side;
        the_pit = pit_with(&pool);
    }
    load_begin(&pace.load, 0, option_number(argc, argv, "warm-ms", 200),
               option_number(argc, argv, "measure-ms", 1000));
    /* Timers may be a little late by default, to save power. */
    (void)prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    double stolen_before_us = stolen_us();
    keep_schedule();
    double processors_us = (double)(now_ns() - pace.first_ns) / 1e3 *
                           (double)sysconf(_SC_NPROCESSORS_ONLN);
    double stolen = (stolen_us() - stolen_before_us) / processors_us;
    (void)snprintf(extra, sizeof extra,
                   "\"wanted_rate\":%ld,\"open_max\":%llu,\"late_p50_us\":%.2f,"
                   "\"late_p99_us\":%.2f,\"stolen\":%.4f",
                   rate, (unsigned long long)pace.open_max,
                   latency_us(&pace.lateness, 0.5), latency_us(&pace.lateness, 0.99),
                   stolen);
    load_print(&pace.load, bare_ns > 0 ? "paced_bare" : "paced", extra);
    if (pace.load.wrong > 0) {
        give_up("paced: %llu wrong answers", (unsigned long long)pace.load.wrong);
    }
    if (bare_ns > 0) {
        (void)close(bare.fd);
        (void)waitpid(child, NULL, 0);
    }
    sp_pit_close(the_pit);
    return 0;
}
