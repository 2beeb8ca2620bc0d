/* SPDX-License-Identifier: MIT */
/*
 * The daemon's life: starting, serving, ending.
 *
 * One thread, one poll: a signal, the pit's events, the watchdog's time. The watchdog is
 * told only what sp_pit_health() says: when the pit's loop hangs, the manager hears
 * nothing and ends us, and the guard ends the workers.
 *
 * Ending has one time limit over everything: drain (the socket goes, clients get a
 * GOAWAY, calls end), then stop the workers. A second signal ends the patience.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon.h"
#include "http.h"

enum {
    LOOK_MS = 100,    /* while starting: how often readiness is asked for */
    STATUS_MS = 1000, /* how often the status is told, at most */
    CUT_MS = 500,     /* of the shutdown's time: for what must be cut off */
    HUNG_MS = 30000   /* without a watchdog: a loop that does not answer is given up */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the status line ---- */

struct counts {
    unsigned ready;
    unsigned wanted;
    unsigned queued;
};

static struct counts count(sp_pit *pit)
{
    struct counts counts = {0};
    const char *name;
    for (size_t i = 0; (name = sp_pool_name_at(pit, i)) != NULL; i++) {
        sp_pool_stats stats;
        if (sp_pool_stats_get(pit, name, &stats, NULL) == 0) {
            counts.ready += stats.available + stats.busy;
            counts.wanted += stats.workers;
            counts.queued += stats.queued;
        }
    }
    return counts;
}

static void tell_status(sp_pit *pit, const char *what)
{
    static char told[256];
    char text[sizeof told];
    struct counts counts = count(pit);
    sp_listen_stats listen = {0};
    (void)sp_pit_listen_stats(pit, &listen, NULL);
    (void)snprintf(text, sizeof text,
                   "%s: %u of %u workers ready, %u clients, %u calls, %u waiting", what,
                   counts.ready, counts.wanted, listen.clients, listen.calls,
                   counts.queued);
    if (strcmp(text, told) != 0) {
        memcpy(told, text, sizeof told);
        (void)notify("STATUS=%s", text);
    }
}

/* ---- waiting ---- */

/* Until a signal, the pit's events (which are logged), or the time. */
static void wait_for(const struct running *running, uint64_t time_ms)
{
    struct pollfd fds[2] = {{.fd = running->signal_fd, .events = POLLIN},
                            {.fd = sp_pit_fd(running->pit), .events = POLLIN}};
    if (poll(fds, 2, time_ms > INT32_MAX ? INT32_MAX : (int)time_ms) > 0 &&
        fds[1].revents != 0) {
        (void)sp_pit_dispatch(running->pit, 0, NULL); /* a bad pit is no pit of ours */
    }
}

/* ---- starting ---- */

static int start(const struct running *running)
{
    uint64_t begun_ms = now_ms();
    for (;;) {
        sp_error err = {0};
        int rc = sp_pit_await_ready(running->pit, 1, &err);
        uint64_t waited_ms = now_ms() - begun_ms;
        if (rc == 0) {
            log_line(SP_LOG_INFO, "daemon.ready", "every worker is ready after %llu ms",
                     (unsigned long long)waited_ms);
            return CODE_OK;
        }
        if (rc != SP_ERR_NOT_READY || waited_ms >= running->startup_ms) {
            log_error("daemon.failed", &err);
            (void)notify("STATUS=%s\nERRNO=%d", err.message, EIO);
            sp_error_clear(&err);
            return CODE_FAILED;
        }
        sp_error_clear(&err);
        if (signals_came() > 0) {
            return CODE_OK;
        }
        tell_status(running->pit, "starting");
        wait_for(running, LOOK_MS);
    }
}

/* ---- serving ---- */

/* Every other question waits for the loop without a limit, so this one comes first. */
static int is_live(const struct running *running, uint64_t time_ms)
{
    sp_health health = {0};
    if (sp_pit_health(running->pit, time_ms, &health, NULL) == 0 && health.live) {
        return 1;
    }
    log_line(SP_LOG_ERROR, "daemon.silent", "%s", health.why);
    return 0;
}

static int serve(const struct running *running)
{
    uint64_t beat_ms = running->watchdog_ms > 0 ? running->watchdog_ms / 2 : STATUS_MS;
    beat_ms = beat_ms > 0 ? beat_ms : 1;
    uint64_t beat_at_ms = now_ms();
    uint64_t live_at_ms = beat_at_ms;
    while (signals_came() == 0) {
        uint64_t at_ms = now_ms();
        if (at_ms >= beat_at_ms) {
            if (is_live(running, beat_ms / 2 + 1)) {
                live_at_ms = at_ms;
                if (running->watchdog_ms > 0) {
                    (void)notify("WATCHDOG=1");
                }
                tell_status(running->pit, "serving");
                sp_log_flush(log_of_daemon());
            } else if (at_ms - live_at_ms > HUNG_MS) {
                return CODE_LOST;
            }
            beat_at_ms = at_ms + beat_ms;
        }
        wait_for(running, beat_at_ms - at_ms);
    }
    return CODE_OK;
}

/* ---- ending ---- */

static int end(const struct running *running)
{
    uint64_t limit_ms = running->service->shutdown_timeout_ms;
    uint64_t begun_ms = now_ms();
    sp_error err = {0};
    (void)notify("STOPPING=1");
    if (!is_live(running, limit_ms / 2)) {
        return CODE_LOST; /* a loop that hangs cannot be closed; the guard ends the rest */
    }
    tell_status(running->pit, "ending");
    log_line(SP_LOG_INFO, "daemon.ending", "no more calls; %llu ms for those there are",
             (unsigned long long)limit_ms);
    signals_hurry(running->pit);
    uint64_t cut_ms = limit_ms / 4 < CUT_MS ? limit_ms / 4 : CUT_MS;
    int rc = sp_pit_drain(running->pit, limit_ms - cut_ms, &err);
    signals_last();
    if (rc < 0) {
        log_line(SP_LOG_WARN, "daemon.cut", "%s", err.message);
        sp_error_clear(&err);
    }
    uint64_t used_ms = now_ms() - begun_ms;
    uint64_t left_ms = used_ms < limit_ms ? limit_ms - used_ms : 0;
    if (rc == SP_ERR_CANCELLED) {
        left_ms = 0;
    }
    http_close(running->http);                          /* it asks the pit */
    (void)sp_pit_shutdown(running->pit, left_ms, NULL); /* drained, or cut off */
    log_line(SP_LOG_INFO, "daemon.ended", "after %llu ms",
             (unsigned long long)(now_ms() - begun_ms));
    return rc == 0 ? CODE_OK : CODE_CUT;
}

int run(struct running *running)
{
    int code = start(running);
    if (code == CODE_OK && signals_came() == 0) {
        (void)notify("READY=1");
        code = serve(running);
    }
    if (code == CODE_LOST) {
        return code;
    }
    int ended = end(running);
    return code != CODE_OK ? code : ended;
}
