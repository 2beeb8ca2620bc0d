/* SPDX-License-Identifier: MIT */
/* The tables of the messages about reports, events and workers, with the numbers of
 * control.proto. */
#include "wire/proto_control.h"

PROTO_TABLE(report_get, "GetReportRequest", PROTO_SLOT(report_get, name, 1, PROTO_TEXT),
            PROTO_SLOT(report_get, options_json, 2, PROTO_JSON));

PROTO_TABLE(report_get_reply, "GetReportResponse",
            PROTO_SLOT(report_get_reply, text, 1, PROTO_BLOB));

PROTO_TABLE(events_watch, "WatchEventsRequest",
            PROTO_SLOT(events_watch, kinds, 1, PROTO_TEXT),
            PROTO_SLOT(events_watch, pool, 2, PROTO_TEXT),
            PROTO_SLOT(events_watch, cursor, 3, PROTO_U64));

PROTO_TABLE(events_watch_reply, "WatchEventsResponse",
            PROTO_SLOT(events_watch_reply, events, 1, PROTO_BLOB),
            PROTO_SLOT(events_watch_reply, dropped, 2, PROTO_U64));

PROTO_TABLE(worker_wish, "WorkerRequest",
            PROTO_SLOT(worker_wish, worker, 1, PROTO_TEXT));

PROTO_TABLE(worker_wish_reply, "WorkerResponse",
            PROTO_SLOT(worker_wish_reply, worker, 1, PROTO_TEXT),
            PROTO_SLOT(worker_wish_reply, pid, 2, PROTO_I32));
