/* SPDX-License-Identifier: MIT */
/*
 * What is left when the power fails at any moment.
 *
 *     durability_power FOLDER IMAGES [SEED]
 *
 * A set of sessions is made, changed and closed while every write, sync and deletion is
 * recorded (test/support/disk.h). Then, for moments that are drawn, what a disk may
 * hold is put together: unsynced writes are there, missing, torn at 512 bytes, and in any
 * order. Each image is opened:
 *
 *   durable   what was acknowledged before the moment is there
 *   crash     what is missing is the end of what was written, never something before
 *             something that is there; and nothing from before a durable acknowledgement
 *   all       what was written together is there together; the histories have no holes;
 *             SQLite's integrity_check finds nothing; nothing that was not tried is there
 *
 * One thread makes the changes, so their order is known. The last line is one of figures;
 * the exit status is 0 when all of this held.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "session/sessions.h"
#include "snakepit/snakepit.h"
#include "store/open_store.h"

enum { STEPS = 400, LOG_PAGES = 24, BIG_BYTES = 9000, ACKS_MAX = 4000 };

/* Changes are numbered in the order in which they are made; each counter counts its own. */
enum counter { FIRST, SECOND, DURABLE, COUNTERS };
static const char *const IDS[COUNTERS] = {"first", "second", "durable"};

/* After this moment, so many of each were acknowledged. */
struct ack {
    size_t moment;
    long done[COUNTERS];
    int durable; /* it was such a change that was */
};

static struct ack acks[ACKS_MAX];
static size_t acks_count;
static long done[COUNTERS];
static uint64_t seed;
static sp_sessions *set;
static sp_error error;
static char big[BIG_BYTES + 3];

static uint64_t draw(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

static void give_up(const char *what)
{
    fprintf(stderr, "durability_power: %s: %s\n", what, error.message);
    exit(2);
}

static void must(int rc, const char *what)
{
    if (rc < 0) {
        give_up(what);
    }
}

/* ---- the life that is recorded ---- */

static void acknowledge(int durable)
{
    struct ack ack = {.moment = disk_moment(), .durable = durable};
    memcpy(ack.done, done, sizeof done);
    if (acks_count == ACKS_MAX) {
        give_up("too many changes");
    }
    acks[acks_count++] = ack;
}

/* Both variables at once; now and then a large one too, so that pages overflow. */
static void count_up(enum counter counter)
{
    char value[24];
    (void)snprintf(value, sizeof value, "%ld", done[counter] + 1);
    big[1] = (char)('a' + done[counter] % 26);
    sp_variable_update updates[] = {{.name = "a", .value = value},
                                    {.name = "b", .value = value},
                                    {.name = "big", .value = big}};
    size_t count = done[counter] % 5 == 0 ? 3 : 2;
    must(sp_variables_set(set, IDS[counter], updates, count, 1, NULL, &error), "set");
    done[counter]++;
    acknowledge(counter == DURABLE);
}

static void create(enum counter counter)
{
    const char *id = IDS[counter];
    sp_session_options options = {
        .size = sizeof options,
        .ttl_ms = SP_UNLIMITED,
        .durability = counter == DURABLE ? SP_DURABILITY_DURABLE : SP_DURABILITY_CRASH};
    must(sp_session_create(set, id, &options, &error), "create");
    must(sp_variables_import(
             set, id,
             "[{\"name\":\"a\",\"value\":0},{\"name\":\"b\",\"value\":0},"
             "{\"name\":\"big\",\"value\":\"\"}]",
             &error),
         "import");
    acknowledge(counter == DURABLE);
}

/* A session that comes and goes, for deletions and sweeps in the log. */
static void come_and_go(void)
{
    sp_session_options options = {.size = sizeof options, .ttl_ms = SP_UNLIMITED};
    must(sp_session_create(set, "guest", &options, &error), "create");
    must(sp_variable_register(set, "guest", "v", NULL, big, NULL, NULL, &error),
         "register");
    must(sp_session_delete(set, "guest", &error), "delete");
}

static void live(const char *folder)
{
    sp_sessions_options options = {.size = sizeof options, .path = folder};
    memset(big, 'x', sizeof big - 1);
    big[0] = big[sizeof big - 2] = '"';
    disk_record();
    must(sp_sessions_open(&options, &set, &error), "open");
    set->store->log_max = LOG_PAGES;
    acknowledge(0);
    for (int i = 0; i < COUNTERS; i++) {
        create((enum counter)i);
    }
    for (int step = 0; step < STEPS; step++) {
        count_up(FIRST);
        count_up(SECOND);
        if (draw(3) == 0) {
            count_up(DURABLE);
        }
        if (draw(10) == 0) {
            come_and_go();
        }
        if (draw(100) == 0) { /* in order, and on with the same file */
            sp_sessions_close(set);
            must(sp_sessions_open(&options, &set, &error), "open");
            set->store->log_max = LOG_PAGES;
        }
    }
    sp_sessions_close(set);
    disk_stop();
}

/* ---- judging ---- */

static long lost;
static long holes;
static long torn;
static long damaged;
static long shortened; /* images in which crash sessions lost their last moments */

struct history {
    long next; /* expected, going back */
    int broken;
};

static void follow(const sp_variable *variable, void *user)
{
    struct history *history = user;
    long value = strtol(variable->value, NULL, 10);
    if (history->next >= 0 && value != history->next) {
        history->broken = 1;
    }
    history->next = value - 1;
}

/* -1: it is not there. */
static long read_counter(enum counter counter)
{
    struct history of_a = {.next = -1};
    sp_variable a;
    sp_variable b;
    const char *id = IDS[counter];
    if (sp_variable_get(set, id, "a", &a, NULL) < 0) {
        return -1;
    }
    long value = strtol(a.value, NULL, 10);
    sp_variable_clear(&a);
    if (sp_variable_get(set, id, "b", &b, NULL) < 0 ||
        strtol(b.value, NULL, 10) != value) {
        torn++;
    }
    sp_variable_clear(&b);
    if (sp_variable_history(set, id, "a", 0, follow, &of_a, NULL) < 0 || of_a.broken) {
        holes++;
    }
    return value;
}

static int is_whole(const char *folder)
{
    char path[700];
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    (void)snprintf(path, sizeof path, "%s/state.db", folder);
    int whole =
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, "unix") == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW &&
        strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return whole;
}

/* What must be there: acknowledged and durable, or written before something that is; and
 * what was acknowledged at all. */
static void least(size_t moment, long ret_least[COUNTERS], long ret_acked[COUNTERS])
{
    for (int i = 0; i < COUNTERS; i++) {
        ret_least[i] = ret_acked[i] = -1;
    }
    for (size_t i = 0; i < acks_count && acks[i].moment <= moment; i++) {
        memcpy(ret_acked, acks[i].done, sizeof acks[i].done);
        if (acks[i].durable) {
            memcpy(ret_least, acks[i].done, sizeof acks[i].done);
        }
    }
}

/* The numbers may only be those of one moment: a state that there was. */
static int was_once(const long is[COUNTERS])
{
    for (size_t i = 0; i < acks_count; i++) {
        if (memcmp(acks[i].done, is, sizeof acks[i].done) == 0) {
            return 1;
        }
    }
    return 0;
}

static void judge(size_t moment, const char *folder)
{
    long wanted[COUNTERS];
    long acked[COUNTERS];
    long is[COUNTERS];
    sp_sessions_options options = {.size = sizeof options, .path = folder};
    if (sp_sessions_open(&options, &set, &error) < 0) {
        fprintf(stderr, "durability_power: moment %zu: %s\n", moment, error.message);
        damaged++;
        return;
    }
    least(moment, wanted, acked);
    int is_less = 0;
    int all_there = 1;
    for (int i = 0; i < COUNTERS; i++) {
        is[i] = read_counter((enum counter)i);
        lost += is[i] < wanted[i];
        is_less |= is[i] < acked[i];
        all_there &= is[i] >= 0;
    }
    shortened += is_less;
    if (all_there && !was_once(is)) {
        fprintf(stderr, "durability_power: moment %zu: %ld %ld %ld never was\n", moment,
                is[0], is[1], is[2]);
        holes++;
    }
    sp_sessions_close(set);
    damaged += !is_whole(folder);
}

int main(int argc, char **argv)
{
    char life[600];
    char image[600];
    if (argc < 3) {
        give_up("usage: durability_power FOLDER IMAGES [SEED]");
    }
    long images = strtol(argv[2], NULL, 10);
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)getpid();
    uint64_t first_seed = seed;
    (void)snprintf(life, sizeof life, "%s/life", argv[1]);
    (void)snprintf(image, sizeof image, "%s/image", argv[1]);
    if (mkdir(image, 0700) < 0) {
        give_up("the folder of the images");
    }
    disk_install();
    live(life);
    size_t end = disk_moment();
    for (long i = 0; i < images; i++) {
        size_t moment = 1 + (size_t)draw(end);
        disk_image(moment, image, draw);
        judge(moment, image);
    }
    disk_forget();
    printf("power: images=%ld seed=%llu events=%zu acknowledged=%zu lost=%ld holes=%ld "
           "torn=%ld damaged=%ld shortened=%ld\n",
           images, (unsigned long long)first_seed, end, acks_count, lost, holes, torn,
           damaged, shortened);
    return lost == 0 && holes == 0 && torn == 0 && damaged == 0 ? 0 : 1;
}
