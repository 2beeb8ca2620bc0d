/* SPDX-License-Identifier: MIT */
/*
 * What a pit does for its sessions.
 *
 * Normal course: once per interval the loop frees what is over, for a moment in each
 * turn until nothing is left, so that ten thousand sessions that end at once hold up no
 * call. Whoever finds that a session has ended, the cleanup or a thread of the program,
 * tells it here: it becomes an event of the pit, and the workers that have run calls of
 * the session are told, behind the calls they have been sent before.
 */
#include "pit/upkeep.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/options.h"
#include "pool/share.h"

enum {
    SLICE_US = 1000, /* of cleaning up in one turn */
    BETWEEN_MS = 1   /* two slices: others have their turn */
};

/* ---- the end of a session ---- */

static int is_there(void *user, uint64_t worker)
{
    const struct sp_pit *pit = user;
    const struct lane *lane = sp__pit_lane_of(pit->lanes, worker);
    if (sp__on_loop(lane->loop)) {
        return sp__map_find(&lane->shop.by_id, worker) != NULL;
    }
    for (size_t i = 0; i < pit->pools_count; i++) {
        const struct pool_share *share = pit->pools[i].share;
        if (share != NULL && sp__share_has_worker(share, worker)) {
            return 1;
        }
    }
    return 0;
}

/* From lane to lane: each tells its own. */
static void tell_workers(struct command *command, void *user)
{
    struct lane *lane = user;
    struct sp_pit *pit = lane->pit;
    struct visits_entry *entry = ITEM(command, struct visits_entry, ended);
    if (lane->closing) {
        sp__visits_entry_free(entry); /* the next one may have ended */
        return;
    }
    for (size_t i = 0; i < entry->count; i++) {
        struct worker *worker = sp__map_find(&lane->shop.by_id, entry->workers[i]);
        if (worker != NULL) {
            sp__worker_end_session(worker, entry->session);
        }
    }
    if (lane->number + 1 < pit->lanes_count) {
        sp__loop_post(pit->lanes[lane->number + 1].loop, command);
    } else {
        sp__visits_entry_free(entry);
    }
}

/* Any thread. */
static void session_event(const sp_event *event, void *user_data)
{
    struct sp_pit *pit = user_data;
    struct visits_entry *entry = NULL;
    if (event->kind == SP_EVENT_SESSION_EXPIRED ||
        event->kind == SP_EVENT_SESSION_DELETED) {
        entry = sp__visits_take(&pit->visits, event->session);
    }
    if (entry != NULL) {
        entry->ended.run = tell_workers;
        sp__loop_post(pit->loop, &entry->ended);
    }
    sp__herald_tell(&pit->herald, &(struct tidings){.event = *event});
}

/* ---- opening ---- */

int sp__upkeep_open(struct sp_pit *pit, const sp_sessions_options *options,
                    sp_error *err)
{
    sp_sessions_options full = {0};
    int rc = sp__take_options("sp_sessions_options", options, &full, sizeof full, err);
    if (rc < 0) {
        return rc;
    }
    if (full.address != NULL) {
        return sp__fail(err, SP_ERR_UNSUPPORTED,
                        "sessions.address: a pit keeps its sessions itself");
    }
    if (full.on_event != NULL) {
        return sp__fail(err, SP_ERR_CONFIG,
                        "sessions.on_event: the events of a pit's sessions go to the "
                        "pit's own on_event");
    }
    if (full.path == NULL && full.durability > SP_DURABILITY_MEMORY) {
        return sp__fail(
            err, SP_ERR_CONFIG,
            "sessions.durability is %s, but there is no folder to keep them "
            "in: state_dir, sp_sessions_options.path",
            full.durability == SP_DURABILITY_CRASH ? "crash" : "durable");
    }
    full.on_event = session_event;
    full.event_data = pit;
    sp__visits_init(&pit->visits, is_there, pit);
    rc = sp__sessions_new(&full, &pit->sessions, err);
    if (rc < 0) {
        sp__visits_fini(&pit->visits);
    } else {
        pit->sessions->herald = &pit->herald;
    }
    return rc;
}

void sp__upkeep_close(struct sp_pit *pit)
{
    if (pit->sessions != NULL) {
        sp__sessions_free(pit->sessions);
        pit->sessions = NULL;
        sp__visits_fini(&pit->visits);
    }
}

/* ---- cleaning up ---- */

static void clean_up(struct timer *timer, uint64_t now_ms)
{
    struct sp_pit *pit = ITEM(timer, struct sp_pit, cleanup);
    size_t expired = 0;
    int more = sp__sessions_cleanup(pit->sessions, SLICE_US, &expired);
    if (expired > 0) {
        double left = (double)atomic_load(&pit->sessions->count);
        sp__herald_tell(&pit->herald,
                        &(struct tidings){
                            .event = {.kind = SP_EVENT_SESSIONS_PRUNED},
                            EVENT_NUMBERS((double)expired, left, (double)sp__unix_ns()),
                            EVENT_TEXTS("expired")});
    }
    if (!more) {
        (void)atomic_fetch_add(&pit->sessions->cleanup_runs, 1);
    }
    sp__timer_set(pit->loop, timer,
                  now_ms +
                      (more ? BETWEEN_MS : pit->sessions->options.cleanup_interval_ms));
}

int sp__upkeep_start(struct sp_pit *pit, sp_error *err)
{
    int rc = sp__timer_init(pit->loop, &pit->cleanup, clean_up);
    if (rc < 0) {
        return sp__fail(err, rc, "no memory for the timer of the sessions");
    }
    sp__timer_set(pit->loop, &pit->cleanup,
                  sp__loop_now_ms(pit->loop) +
                      pit->sessions->options.cleanup_interval_ms);
    return SP_OK;
}
