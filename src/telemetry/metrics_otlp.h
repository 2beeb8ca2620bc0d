/* SPDX-License-Identifier: MIT */
/* The figures of a pit as OTLP has metrics. */
#ifndef SP_TELEMETRY_METRICS_OTLP_H
#define SP_TELEMETRY_METRICS_OTLP_H

#include "telemetry/metrics.h"
#include "wire/otlp.h"

/* Put all of them into a writer of metrics, as of `now_unix_ns`. */
void sp__metrics_put_otlp(const struct metrics *metrics, uint64_t now_unix_ns,
                          struct otlp_writer *writer);

#endif
