/* SPDX-License-Identifier: MIT */
/*
 * Messages of those who look after a daemon, as control.proto has them; see
 * proto_table.h.
 */
#ifndef SP_WIRE_PROTO_CONTROL_H
#define SP_WIRE_PROTO_CONTROL_H

#include "wire/proto_table.h"

#define SP__CONTROL "/snakepit.control.v1.Control/"
#define SP__PATH_GET_REPORT SP__CONTROL "GetReport"
#define SP__PATH_WATCH_EVENTS SP__CONTROL "WatchEvents"
#define SP__PATH_DRAIN_WORKER SP__CONTROL "DrainWorker"
#define SP__PATH_KILL_WORKER SP__CONTROL "KillWorker"

/* GetReportRequest. */
struct proto_report_get {
    const char *name;
    const char *options_json;
};
PROTO_MESSAGE_OF(report_get)

/* GetReportResponse. */
struct proto_report_get_reply {
    sp_bytes text;
};
PROTO_MESSAGE_OF(report_get_reply)

/* WatchEventsRequest. */
struct proto_events_watch {
    const char *kinds;
    const char *pool;
    uint64_t cursor;
};
PROTO_MESSAGE_OF(events_watch)

/* WatchEventsResponse. */
struct proto_events_watch_reply {
    sp_bytes events;
    uint64_t dropped;
};
PROTO_MESSAGE_OF(events_watch_reply)

/* WorkerRequest. */
struct proto_worker_wish {
    const char *worker;
};
PROTO_MESSAGE_OF(worker_wish)

/* WorkerResponse. */
struct proto_worker_wish_reply {
    const char *worker;
    int32_t pid;
};
PROTO_MESSAGE_OF(worker_wish_reply)

#endif
