/* SPDX-License-Identifier: MIT */
/*
 * Reports: what a pit says of itself, as text that programs read; of the program's own
 * pit, or of a daemon's by its address.
 *
 * "status"  JSON: `version` 1, `instance`, `pid`, `uptime_ms`, `state` (running, degraded, failed),
 *           `orphan_safety`, `health`, `sessions`, and `pools`, each with its figures,
 *           its workers (`worker_list`) and the last deaths among them. No options.
 * "inspect" JSON: `version` 1, `processors`, `memory_mb`, and `pools`, each with its
 *           profile, capacity, utilization, statistics, memory, `workers`, and
 *           `recommendations` with the `figure` that is the cause, the `key` and `value`
 *           to set, and `why`. Option: `pool`, a name; without it all.
 * "stack"   JSON: `version` 1, `workers`, each with `worker` ("pool/3"), `pid`, `state`,
 *           `runtime`, its `stack` as its language writes it, or "" and `why_none`, and
 *           its `threads` as the kernel sees them; `left_out`, for which there was no
 *           time. Option: `worker`, "pool/3" or a pid; without it all.
 *
 * "metrics" the figures of snakepit/metric.h: in Prometheus' text format 0.0.4, with the option
 *           `format` "openmetrics" in OpenMetrics 1.0, with "json" as JSON: `version` 1,
 *           `created_unix` and `metrics`, each with `name`, `kind`, `unit`, `help` and
 *           `samples`: `labels` and a `value`, or `count`, `sum_seconds` and `steps`.
 * "timeline" JSON in the Trace Event Format, which Perfetto and Chrome draw: the starts of
 *           workers with their phases, and the last calls that were recorded
 *           (sp_pit_options.trace_sample_permille). Options: `calls`, how many, 1 to
 *           4 096, default 1 000.
 *
 * "hardware" JSON: what sp_hardware_json() gives, of the machine that the pit is on; or,
 *           with the option `select` ("cuda,mps,cpu"), `version` 1, `device` and `name` of
 *           the one that sp_hardware_select() chooses. Option `refresh`: look again.
 *
 * "events"  JSON: `version` 1, `cursor` (for the next question) and `events`, the oldest
 *           first, each with `number`, `time_unix_ms`, `event` (its name),
 *           `measurements` and `metadata` as event_table.h has them. 256 KiB are kept.
 *           Options: `kinds` (a pattern as sp_events_attach() takes it), `pool`, `cursor`
 *           (0: from the oldest on), `since_unix_ms`, `max` (events, 100 000).
 *           SP_ERR_UNSUPPORTED: `kinds` names an event that every call has (flow MANY),
 *           which is not kept.
 *
 * "logs"    JSON: `version` 1, `cursor` (for the next question), `lost` (lines behind the
 *           cursor of the question that are no longer kept) and `lines`, objects with the
 *           fields of snakepit/log.h. Options: `cursor` (0: from the oldest on), `max`
 *           (lines, 1 000), `pool`, `worker` (a slot), `level` (those that matter as much
 *           or more), `event` (those whose name begins with it). SP_ERR_UNSUPPORTED
 *           without sp_pit_options.log.
 *
 * Members are only ever added; one that changes its meaning raises `version`. Sizes are
 * bytes and end in _bytes, times end in their unit.
 */
#ifndef SNAKEPIT_REPORT_H
#define SNAKEPIT_REPORT_H

#include "base.h"
#include "error.h"
#include "pit.h"
#include "variable.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Have a report made and see it through a callback, which runs once before this returns,
 * on this thread; its text is borrowed until it returns.
 *
 * name     one of those above
 * options  a JSON object, or NULL for none
 *
 * Errors: SP_ERR_NOT_FOUND (no report of that name; near ones in the message),
 * SP_ERR_BAD_JSON, SP_ERR_INVAL (an option: which one, and what it may be), SP_ERR_NOMEM.
 * Thread: any but a callback. Since: 0.1
 */
SP_API int sp_pit_report(sp_pit *pit, const char *name, const char *options,
                         sp_json_cb cb, void *user_data, sp_error *err);

/* A daemon that this program looks at. */
typedef struct sp_daemon sp_daemon;

/*
 * Connect to a daemon; again by itself when the connection has ended. Close it with
 * sp_daemon_close().
 *
 * address     "unix:/path", the daemon's socket
 * timeout_ms  the longest any question may take, 0: 30 000, at most a day
 *
 * Errors: SP_ERR_UNSUPPORTED, SP_ERR_CONFIG (the address), SP_ERR_SYSTEM (nobody
 * listens there), SP_ERR_TIMEOUT, SP_ERR_NOMEM, SP_ERR_INVAL. Since: 0.1
 */
SP_API int sp_daemon_connect(const char *address, uint64_t timeout_ms,
                             sp_daemon **ret_daemon, sp_error *err);

/* Not while a thread asks it. NULL is fine. Since: 0.1 */
SP_API void sp_daemon_close(sp_daemon *daemon);

/*
 * As sp_pit_report(), of the daemon's pit. Errors: also SP_ERR_SYSTEM, SP_ERR_CLOSED (it
 * has gone, or ends), SP_ERR_TIMEOUT, SP_ERR_UNSUPPORTED (it is of a version without
 * reports), SP_ERR_PROTOCOL. Thread: any. Since: 0.1
 */
SP_API int sp_daemon_report(sp_daemon *daemon, const char *name, const char *options,
                            sp_json_cb cb, void *user_data, sp_error *err);

/* A worker of a daemon's pit. */
typedef struct sp_daemon_worker {
    char name[80]; /* "pool/3" */
    int pid;       /* of the process that was meant */
} sp_daemon_worker;

/*
 * Have a worker replaced as sp_pool_recycle() does it, or killed as
 * sp_pool_worker_kill() does. They return at once; *ret_worker says which one it was.
 *
 * worker  "pool/3", or the number of its process as text
 *
 * Errors: those of sp_daemon_report() but SP_ERR_BAD_JSON, and SP_ERR_NOT_FOUND (there is
 * no such worker, or it has no process now), SP_ERR_REFUSED (the daemon is of another
 * user). Thread: any. Since: 0.1
 */
SP_API int sp_daemon_worker_drain(sp_daemon *daemon, const char *worker,
                                  sp_daemon_worker *ret_worker, sp_error *err);
SP_API int sp_daemon_worker_kill(sp_daemon *daemon, const char *worker,
                                 sp_daemon_worker *ret_worker, sp_error *err);

/* Events of a daemon's pit, as they happen. One thread at a time. */
typedef struct sp_daemon_events sp_daemon_events;

typedef struct sp_daemon_events_options {
    size_t size; /* sizeof the struct, set by the caller */
    const char
        *kinds; /* a pattern as sp_events_attach() takes it; NULL, "": every event,
                          those of every call too */
    const char *pool; /* only of this one; NULL, "": of all, and of the pit */
    uint64_t
        cursor; /* of the report "events": what is kept of what came behind it comes
                          first. 0: all that is kept; SP_UNLIMITED: nothing, only what
                          happens from now on */
} sp_daemon_events_options;

/*
 * Watch a daemon's events: all that happens once this has returned, on a connection of its
 * own. Close it with sp_daemon_events_close(), before the daemon.
 *
 * options  NULL: everything, with all that is kept
 *
 * Errors: as sp_daemon_report(), and SP_ERR_INVAL (the pattern fits no event), SP_ERR_QUOTA
 * (64 watch, with the handlers of the program). Thread: any. Since: 0.1
 */
SP_API int sp_daemon_events_open(sp_daemon *daemon,
                                 const sp_daemon_events_options *options,
                                 sp_daemon_events **ret_events, sp_error *err);

/*
 * Wait for the next event, at most timeout_ms: 1, or 0 when none came in time. It is a JSON
 * object as in the report "events", and seen through a callback, which runs once before this
 * returns.
 *
 * The daemon keeps half a megabyte of events for who is too slow, then the oldest go:
 * *ret_dropped is how many were lost before this one. When nothing came behind them yet it
 * is 1 without the callback.
 *
 * Errors: SP_ERR_CLOSED (the daemon ends, or has gone), SP_ERR_NOMEM, SP_ERR_PROTOCOL.
 * Since: 0.1
 */
SP_API int sp_daemon_events_next(sp_daemon_events *events, uint64_t timeout_ms,
                                 sp_json_cb cb, void *user_data, uint64_t *ret_dropped,
                                 sp_error *err);

/* NULL is fine. Since: 0.1 */
SP_API void sp_daemon_events_close(sp_daemon_events *events);

#ifdef __cplusplus
}
#endif
#endif
