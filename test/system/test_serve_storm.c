/* SPDX-License-Identifier: MIT */
/*
 * A served pit and clients that behave badly in great number. What is counted is what is
 * left afterwards: connections, calls, slots, descriptors, allocations.
 *
 * The numbers are small here; $SNAKEPIT_STORM multiplies them, and tools/clients runs
 * that with the figures on standard output. $SNAKEPIT_SEED repeats a run.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "caller.h"
#include "pits.h"
#include "wire/proto.h"

enum { OK = 0, CANCELLED = 1, DEADLINE = 4, EXHAUSTED = 8, UNAVAILABLE = 14 };
enum {
    CLOSES = 500,
    CANCELS = 1250,
    CANCELS_EACH = 100, /* of one connection, below what counts as a flood */
    SHUTDOWNS = 8,
    SLACK = 300, /* allocations: spare things of a peak that was higher */
    WORKERS = 2,
    NAP_MS = 4,
    QUEUE = 40,
    OVERLOAD = 10
};

static char path[108];
static uint64_t state;

static unsigned long scale(void)
{
    const char *text = getenv("SNAKEPIT_STORM");
    unsigned long wanted = text != NULL ? strtoul(text, NULL, 10) : 1;
    return wanted > 0 ? wanted : 1;
}

static void seed(const char *what)
{
    const char *text = getenv("SNAKEPIT_SEED");
    state = text != NULL ? strtoull(text, NULL, 10) : sp__unix_ns();
    printf("%s: SNAKEPIT_SEED=%llu\n", what, (unsigned long long)state);
    state |= 1;
}

/* xorshift64*. */
static uint64_t dice(uint64_t sides)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 2685821657736338717u >> 33) % sides;
}

static sp_pit *open_pit(uint32_t queue_max)
{
    char address[128];
    sp_pool_options pool = pool_of_program("plain", NULL, WORKERS);
    pool.queue_max = queue_max;
    pool.pipeline_max = 1;
    sp_pit *pit = pit_open_ready(&pool, 1);
    (void)snprintf(path, sizeof path, "%s", leak_path("s/pit.sock"));
    (void)snprintf(address, sizeof address, "unix:%s", path);
    if (sp_pit_listen(pit, address, NULL, last_error()) != 0) {
        fail_msg("%s", last_error()->message);
    }
    return pit;
}

static sp_listen_stats served(sp_pit *pit)
{
    sp_listen_stats stats;
    assert_int_equal(sp_pit_listen_stats(pit, &stats, NULL), 0);
    return stats;
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

/* What a call may be, from short to long. */
static struct asked *ask_something(struct caller *caller)
{
    switch (dice(4)) {
    case 0:
        return caller_ask(caller, &(struct wish){.tool = "echo"});
    case 1:
        return caller_ask(caller, &(struct wish){.tool = "nap", .args = "{\"ms\":3}"});
    case 2:
        return caller_ask(caller, &(struct wish){.path = SP__PATH_STREAM,
                                                 .tool = "count",
                                                 .args = "{\"n\":20000}"});
    default:
        return caller_ask(caller, &(struct wish){.no_message = 1, .half_open = 1});
    }
}

struct baseline {
    unsigned fds;
    int64_t live;
};

/* What stands when nothing goes on. Lists of spare things are as long as they ever had
 * to be, so the first half of a storm comes before this. */
static struct baseline quiet(sp_pit *pit)
{
    UNTIL(served(pit).clients == 0 && served(pit).calls == 0);
    UNTIL(stats_of(pit).available == WORKERS && stats_of(pit).queued == 0);
    assert_true(sp_pit_dispatch(pit, 0, NULL) >= 0); /* events that wait, of failures */
    return (struct baseline){.fds = descriptors(), .live = sp__mem_live()};
}

/* As it was, and every slot answers; how many allocations more there are. */
static long long nothing_is_left(sp_pit *pit, struct baseline before)
{
    struct baseline now = quiet(pit);
    for (int i = 0; i < 4 * WORKERS; i++) {
        call_gives(pit, "echo", "[1]", "[1]");
    }
    UNTIL(descriptors() <= before.fds);
    assert_true(now.live - before.live < SLACK);
    return now.live - before.live;
}

static void close_abruptly(unsigned long rounds)
{
    enum { AT_ONCE = 32 };
    struct caller *callers[AT_ONCE] = {0};
    for (unsigned long i = 0; i < rounds; i++) {
        struct caller **place = &callers[i % AT_ONCE];
        caller_close(*place);
        *place = caller_open(path);
        assert_non_null(*place);
        for (uint64_t n = dice(6); n > 0; n--) {
            (void)ask_something(*place);
        }
        if (dice(2)) {
            (void)caller_turn(*place, (int)dice(2));
        }
    }
    for (int i = 0; i < AT_ONCE; i++) {
        caller_close(callers[i]);
    }
}

static void abrupt_closes_leave_nothing(void **unused)
{
    unsigned long rounds = CLOSES * scale();
    seed("closes");
    sp_pit *pit = open_pit(100000);
    close_abruptly(rounds / 2);
    struct baseline before = quiet(pit);
    close_abruptly(rounds / 2);
    long long grown = nothing_is_left(pit, before);
    sp_listen_stats stats = served(pit);
    printf("closes: %lu abrupt closes, %llu calls, %llu cancelled by them; 0 "
           "connections, 0 calls, 0 slots, 0 descriptors left, %lld allocations more "
           "than at half time\n",
           rounds, (unsigned long long)stats.calls_total,
           (unsigned long long)stats.calls_cancelled, grown);
}

struct cancels {
    unsigned long asked;
    unsigned long late; /* it had been answered */
};

static void cancel_some(struct cancels *cancels)
{
    struct asked *asked[CANCELS_EACH];
    size_t reset = 0;
    struct caller *caller = caller_open(path);
    assert_non_null(caller);
    for (size_t n = 0; n < CANCELS_EACH; n++) {
        asked[n] = ask_something(caller);
        if (dice(2)) {
            (void)caller_turn(caller, (int)dice(2));
        }
        while (reset < n && dice(2)) {
            caller_reset(caller, asked[reset++]);
        }
    }
    while (reset < CANCELS_EACH) {
        caller_reset(caller, asked[reset++]);
    }
    for (size_t n = 0; n < CANCELS_EACH; n++) {
        caller_await(caller, asked[n]);
        cancels->asked++;
        cancels->late += asked[n]->status == OK;
    }
    assert_false(caller_got_goaway(caller));
    caller_close(caller);
}

static void random_cancels_leave_nothing(void **unused)
{
    unsigned long rounds = CANCELS * scale() / CANCELS_EACH;
    struct cancels cancels = {0};
    seed("cancels");
    sp_pit *pit = open_pit(100000);
    for (unsigned long i = 0; i < rounds / 2; i++) {
        cancel_some(&cancels);
    }
    struct baseline before = quiet(pit);
    for (unsigned long i = rounds / 2; i < rounds; i++) {
        cancel_some(&cancels);
    }
    long long grown = nothing_is_left(pit, before);
    printf(
        "cancels: %lu cancels (%lu came too late), %llu calls cancelled in the pool; "
        "0 calls, 0 slots, 0 descriptors left, %lld allocations more than at half "
        "time\n",
        cancels.asked, cancels.late, (unsigned long long)stats_of(pit).cancelled,
        grown);
}

/* ---- overload ---- */

struct load {
    struct caller *caller;
    unsigned long sent, right, late, refused, other;
    uint64_t refused_us[4096]; /* how long a refusal took */
    size_t refused_count;
};

struct pending {
    struct asked *asked;
    uint64_t sent_us;
};

enum { PENDING = 8192 };

/* Look at what has ended; answers how many are open. */
static size_t reap(struct load *load, struct pending *pending, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct asked *asked = pending[i].asked;
        if (!asked->ended) {
            pending[kept++] = pending[i];
            continue;
        }
        load->right += asked->status == OK;
        load->late += asked->status == DEADLINE;
        load->refused += asked->status == EXHAUSTED;
        load->other += asked->status != OK && asked->status != DEADLINE &&
                       asked->status != EXHAUSTED;
        if (asked->status == EXHAUSTED && load->refused_count < 4096) {
            load->refused_us[load->refused_count++] = sp__now_us() - pending[i].sent_us;
        }
        caller_forget(load->caller, asked);
    }
    return kept;
}

/* Offer `per_s` calls a second for a time, whatever becomes of them; 0: as fast as they
 * are answered, `at_once` in flight. */
static void offer(struct load *load, unsigned long per_s, size_t at_once,
                  uint64_t time_ms, const char *late)
{
    static struct pending pending[PENDING];
    char args[300];
    size_t count = 0;
    uint64_t begun_us = sp__now_us();
    uint64_t end_us = begun_us + time_ms * 1000;
    (void)snprintf(args, sizeof args, "{\"ms\":%d,\"late\":\"%s\"}", NAP_MS, late);
    while (sp__now_us() < end_us || count > 0) {
        uint64_t now_us = sp__now_us();
        unsigned long due = per_s > 0 ? (now_us - begun_us) * per_s / 1000000 : 0;
        while (now_us < end_us && count < PENDING &&
               (per_s > 0 ? load->sent < due : count < at_once)) {
            pending[count++] = (struct pending){
                .asked = caller_ask(
                    load->caller,
                    &(struct wish){.tool = "nap", .args = args, .timeout_ms = 500}),
                .sent_us = now_us};
            load->sent++;
        }
        if (!caller_turn(load->caller, 1)) {
            fail_msg("the connection ended");
        }
        count = reap(load, pending, count);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void ten_times_too_much_is_refused_and_the_rest_is_served(void **unused)
{
    static struct load peak;
    static struct load over;
    uint64_t time_ms = 400 * scale() < 60000 ? 400 * scale() : 60000;
    const char *late = leak_path("late");
    sp_pit *pit = open_pit(QUEUE);
    peak = (struct load){.caller = caller_open(path)};
    over = (struct load){.caller = peak.caller};
    assert_non_null(peak.caller);
    offer(&peak, 0, 4 * WORKERS, time_ms, late);
    assert_true(peak.right > 0);
    unsigned long per_s = peak.right * 1000 / time_ms;
    offer(&over, OVERLOAD * per_s, 0, time_ms, late);
    qsort(over.refused_us, over.refused_count, sizeof over.refused_us[0], compare);
    uint64_t p50 = over.refused_count > 0 ? over.refused_us[over.refused_count / 2] : 0;
    uint64_t p99 =
        over.refused_count > 0 ? over.refused_us[over.refused_count * 99 / 100] : 0;
    printf("overload: %lu ms each; peak %lu calls/s; offered %lu/s: %lu right (%lu %% "
           "of the peak), %lu refused, %lu late, %lu other; refusal p50 %llu us, p99 "
           "%llu us; expired calls begun by workers: %s\n",
           (unsigned long)time_ms, per_s, OVERLOAD * per_s, over.right,
           over.right * 100 / peak.right, over.refused, over.late, over.other,
           (unsigned long long)p50, (unsigned long long)p99,
           file_exists(late) ? "SOME" : "0");
    assert_true(over.right > 0);
    assert_true(over.refused > 0);
    assert_int_equal(over.other, 0);
    assert_false(file_exists(late));
    assert_true(stats_of(pit).queued_peak <= QUEUE);
    caller_close(peak.caller);
    UNTIL(served(pit).clients == 0);
}

/* ---- shutdowns ---- */

struct client {
    pthread_t thread;
    atomic_int begun;
    unsigned right, told, untold;
};

/* Calls without end until the connection ends. */
static void *client_main(void *arg)
{
    struct client *client = arg;
    struct asked *asked[256] = {0};
    struct caller *caller = caller_open(path);
    size_t count = 0;
    while (caller != NULL && !caller_is_over(caller)) {
        size_t open = 0;
        for (size_t i = 0; i < count; i++) {
            open += !asked[i]->ended;
        }
        atomic_store(&client->begun, open < count);
        while (open < 8 && count < 256 && !caller_got_goaway(caller)) {
            asked[count++] =
                caller_ask(caller, &(struct wish){.tool = "nap", .args = "{\"ms\":2}"});
            open++;
        }
        (void)caller_turn(caller, 5);
    }
    for (size_t i = 0; i < count; i++) {
        client->right += asked[i]->status == OK;
        client->told += asked[i]->status > OK || asked[i]->refused;
        client->untold += asked[i]->status < OK && !asked[i]->refused;
    }
    caller_close(caller);
    return NULL;
}

static int is_empty(const char *folder_path)
{
    int count = 0;
    struct dirent *entry;
    DIR *folder = opendir(folder_path);
    if (folder == NULL) {
        return 1;
    }
    while ((entry = readdir(folder)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count == 0;
}

static sp_pit *open_bare(void)
{
    char address[128];
    sp_pool_options pool = pool_of_program("plain", NULL, WORKERS);
    sp_pit_options options = {.size = sizeof options, .pools = &pool, .pools_count = 1};
    sp_pit *pit;
    (void)snprintf(address, sizeof address, "unix:%s", path);
    assert_int_equal(sp_pit_open(&options, &pit, last_error()), 0);
    assert_int_equal(sp_pit_await_ready(pit, patience_ms(20000), last_error()), 0);
    assert_int_equal(sp_pit_listen(pit, address, NULL, last_error()), 0);
    return pit;
}

static void shutdowns_under_load_tell_everybody(void **unused)
{
    enum { CLIENTS = 3 };
    unsigned long rounds = SHUTDOWNS * scale();
    unsigned right = 0;
    unsigned told = 0;
    unsigned untold = 0;
    unsigned cut = 0;
    uint64_t longest_ms = 0;
    uint64_t limit_ms = patience_ms(10000);
    (void)snprintf(path, sizeof path, "%s", leak_path("s/pit.sock"));
    const char *folder = leak_path("s");
    for (unsigned long i = 0; i < rounds; i++) {
        struct client clients[CLIENTS] = {0};
        sp_pit *pit = open_bare();
        for (int n = 0; n < CLIENTS; n++) {
            assert_int_equal(
                pthread_create(&clients[n].thread, NULL, client_main, &clients[n]), 0);
        }
        for (int n = 0; n < CLIENTS; n++) {
            UNTIL(atomic_load(&clients[n].begun));
        }
        uint64_t begun_ms = leak_now_ms();
        if (i % 2 == 0) {
            cut += sp_pit_shutdown(pit, limit_ms, NULL) != 0;
        } else {
            sp_pit_close(pit); /* no patience: what runs is cut off, and told */
        }
        uint64_t took_ms = leak_now_ms() - begun_ms;
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
        for (int n = 0; n < CLIENTS; n++) {
            assert_int_equal(pthread_join(clients[n].thread, NULL), 0);
            right += clients[n].right;
            told += clients[n].told;
            untold += clients[n].untold;
        }
        assert_true(is_empty(folder));
    }
    printf("shutdowns: %lu under load, half of them at once, longest %llu ms of %llu, "
           "%u cut off; calls: %u "
           "answered, %u told, %u untold; files left: 0\n",
           rounds, (unsigned long long)longest_ms, (unsigned long long)limit_ms, cut,
           right, told, untold);
    assert_true(longest_ms <= limit_ms + 2000);
    assert_int_equal(untold, 0);
    assert_int_equal(cut, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(abrupt_closes_leave_nothing),
        TEST(random_cancels_leave_nothing),
        TEST(ten_times_too_much_is_refused_and_the_rest_is_served),
        TEST(shutdowns_under_load_tell_everybody),
    };
    return RUN_SYSTEM_TESTS("serve_storm", tests);
}
