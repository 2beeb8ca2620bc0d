/* SPDX-License-Identifier: MIT */
/* Events as JSON, for the report "events" and for those who watch. */
#ifndef SP_TELEMETRY_EVENT_JSON_H
#define SP_TELEMETRY_EVENT_JSON_H

#include "base/buf.h"
#include "snakepit/event.h"

/* Append an event as an object: number, time_unix_ms, event, measurements, metadata. What a
 * worker told may hold any bytes: those that are no UTF-8 become U+FFFD. */
int sp__event_put_json(struct sp_buffer *out, const sp_event *event, uint64_t number,
                       sp_error *err) SP_MUST_CHECK;

#endif
