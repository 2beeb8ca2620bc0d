/* SPDX-License-Identifier: MIT */
/*
 * The exporter: a thread that sends what a pit records, and its metrics, to a collector, as
 * OTLP over HTTP.
 *
 * It outlives the pit for as long as it takes to send what is left.
 */
#ifndef SP_TELEMETRY_EXPORTER_H
#define SP_TELEMETRY_EXPORTER_H

#include "pit/pit.h"
#include "telemetry/otlp_settings.h"

struct exporter;

/* option  sp_pit_options.otlp_endpoint. Errors: SP_ERR_CONFIG, SP_ERR_UNSUPPORTED,
 * SP_ERR_NOMEM, SP_ERR_SYSTEM (no thread). */
int sp__exporter_open(struct sp_pit *pit, const char *option,
                      struct exporter **ret_exporter, sp_error *err) SP_MUST_CHECK;

/* Before the pit closes: its last metrics are gathered, then nothing is asked of it any
 * more. NULL is fine, as below. */
void sp__exporter_leave_pit(struct exporter *exporter);
/* After that: send what is left within the time, and free. */
void sp__exporter_close(struct exporter *exporter, uint64_t timeout_ms);

#endif
