/* SPDX-License-Identifier: MIT */
/*
 * From the guard to the worker's loop.
 *
 * One guard serves all lanes of a pit, and the first one's loop hears it. What it says of
 * another lane's worker is put into one of two buffers there, and one errand brings over
 * what has gathered, in its order.
 *
 * Failure: there is room from the start for all that may be said of every seat at a time. More
 * can only come of processes that have been given up because even SIGKILL did not end them; when
 * there is no memory for that, nobody misses it.
 */
#include "pit/reports.h"

#include "base/error.h"
#include "base/mem.h"

struct report {
    uint64_t id;
    int has_exited;
    int pid;
    sp_error *failure;
    int has_failed;
    struct guard_exit exit;
};

struct buffer {
    struct report *items;
    size_t count;
    size_t capacity;
};

struct guard_reports {
    struct lane *lane;
    struct command bring;
    struct command lose;
    struct command mourn;
    struct command find;
    void (*heard)(struct sp_pit *pit);

    pthread_mutex_t lock;
    /* Under lock. */
    struct buffer buffers[2];
    int filled; /* the one that is being filled */
    int posted;
};

int sp__reports_open(struct lane *lane, uint32_t seats, sp_error *err)
{
    enum { SAID_OF_ONE = 2, SPARE = 16 };
    struct guard_reports *reports = sp__calloc(1, sizeof *reports);
    if (reports == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a loop");
    }
    (void)pthread_mutex_init(&reports->lock, NULL);
    reports->lane = lane;
    lane->reports = reports;
    for (int i = 0; i < 2; i++) {
        struct buffer *buffer = &reports->buffers[i];
        buffer->capacity = (size_t)seats * SAID_OF_ONE + SPARE;
        buffer->items = sp__calloc(buffer->capacity, sizeof *buffer->items);
        if (buffer->items == NULL) {
            return sp__fail(err, SP_ERR_NOMEM, "no memory for a loop's %u workers",
                            seats);
        }
    }
    return SP_OK;
}

static void drop(struct report *report)
{
    if (report->failure != NULL) {
        sp_error_clear(report->failure);
        sp__free(report->failure);
    }
}

void sp__reports_close(struct lane *lane)
{
    struct guard_reports *reports = lane->reports;
    if (reports == NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < reports->buffers[i].count; j++) {
            drop(&reports->buffers[i].items[j]);
        }
        sp__free(reports->buffers[i].items);
    }
    (void)pthread_mutex_destroy(&reports->lock);
    sp__free(reports);
    lane->reports = NULL;
}

/* ---- there ---- */

static void hear(struct workshop *shop, const struct report *report)
{
    static const sp_error unknown = {.code = SP_ERR_START_FAILED,
                                     .message = "it could not be started, and there "
                                                "was no memory to say why"};
    if (report->has_exited) {
        sp__workshop_on_exited(shop, report->id, &report->exit);
    } else if (report->has_failed) {
        sp__workshop_on_spawned(shop, report->id, 0,
                                report->failure != NULL ? report->failure : &unknown);
    } else {
        sp__workshop_on_spawned(shop, report->id, report->pid, NULL);
    }
}

static void run_bring(struct command *command, void *user)
{
    struct guard_reports *reports = ITEM(command, struct guard_reports, bring);
    struct lane *lane = user;
    (void)pthread_mutex_lock(&reports->lock);
    struct buffer *buffer = &reports->buffers[reports->filled];
    reports->filled = !reports->filled;
    reports->posted = 0;
    (void)pthread_mutex_unlock(&reports->lock);
    for (size_t i = 0; i < buffer->count; i++) {
        hear(&lane->shop, &buffer->items[i]);
        drop(&buffer->items[i]);
    }
    buffer->count = 0; /* this loop has emptied it before it can be filled again */
}

/* ---- here ---- */

static int has_room(struct buffer *buffer)
{
    if (buffer->count == buffer->capacity) {
        struct report *grown =
            sp__realloc(buffer->items, 2 * buffer->capacity * sizeof *grown);
        if (grown == NULL) {
            return 0;
        }
        buffer->items = grown;
        buffer->capacity *= 2;
    }
    return 1;
}

static void put(struct lane *lane, struct report *report)
{
    struct guard_reports *reports = lane->reports;
    (void)pthread_mutex_lock(&reports->lock);
    struct buffer *buffer = &reports->buffers[reports->filled];
    if (!has_room(buffer)) {
        (void)pthread_mutex_unlock(&reports->lock);
        drop(report);
        return;
    }
    buffer->items[buffer->count++] = *report;
    if (!reports->posted) {
        reports->posted = 1;
        reports->bring.run = run_bring;
        sp__loop_post(lane->loop, &reports->bring);
    }
    (void)pthread_mutex_unlock(&reports->lock);
}

void sp__reports_spawned(struct lane *lane, uint64_t id, int pid,
                         const sp_error *failure)
{
    struct report report = {.id = id, .pid = pid, .has_failed = failure != NULL};
    if (failure != NULL) {
        report.failure = sp__calloc(1, sizeof *report.failure);
        if (report.failure != NULL) {
            sp__error_copy(report.failure, failure);
        }
    }
    put(lane, &report);
}

void sp__reports_exited(struct lane *lane, uint64_t id, const struct guard_exit *exit)
{
    struct report report = {.id = id, .has_exited = 1, .exit = *exit};
    put(lane, &report);
}

/* ---- the guard itself ---- */

static void run_mourn(struct command *command, void *user)
{
    struct guard_reports *reports = ITEM(command, struct guard_reports, mourn);
    reports->heard(reports->lane->pit);
}

static void run_lose(struct command *command, void *user)
{
    struct guard_reports *reports = ITEM(command, struct guard_reports, lose);
    struct lane *lane = user;
    lane->shop.guard = NULL;
    sp__workshop_on_guard_lost(&lane->shop);
    reports->mourn.run = run_mourn;
    sp__loop_post(lane->pit->loop, &reports->mourn);
}

void sp__reports_lost(struct lane *lane, void (*heard)(struct sp_pit *pit))
{
    lane->reports->heard = heard;
    lane->reports->lose.run = run_lose;
    sp__loop_post(lane->loop, &lane->reports->lose);
}

/* Behind it no other loss can be on its way: that would wait for this lane. */
static void run_find(struct command *command, void *user)
{
    struct lane *lane = user;
    lane->shop.guard = lane->pit->guard_found;
}

void sp__reports_found(struct lane *lane)
{
    lane->reports->find.run = run_find;
    sp__loop_post(lane->loop, &lane->reports->find);
}
