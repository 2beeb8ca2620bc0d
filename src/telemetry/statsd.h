/* SPDX-License-Identifier: MIT */
/* Metrics as lines of StatsD, sent by UDP from a thread of their own. */
#ifndef SP_TELEMETRY_STATSD_H
#define SP_TELEMETRY_STATSD_H

#include "telemetry/metrics.h"

enum { STATSD_DATAGRAM_MAX = 1432 }; /* fits a frame of Ethernet on every way */

struct statsd;

/* Where lines go, one by one, with their line end. */
typedef void (*statsd_line_fn)(void *user, const char *line, size_t size);

/* What has changed since `before` (NULL: everything counts from 0): counters by how much,
 * gauges as they are, times as one line for each step that has more. Pure. */
void sp__statsd_lines(const struct metrics *before, const struct metrics *now,
                      const char *prefix, statsd_line_fn fn, void *user);

/* Begin. address: "127.0.0.1:8125", a number and a port. Errors: SP_ERR_CONFIG,
 * SP_ERR_SYSTEM, SP_ERR_NOMEM. */
int sp__statsd_open(sp_pit *pit, const char *address, const char *prefix,
                    uint64_t interval_ms, struct statsd **ret_statsd,
                    sp_error *err) SP_MUST_CHECK;
/* While the pit is there: what is left is sent. NULL is fine. */
void sp__statsd_close(struct statsd *statsd);

#endif
