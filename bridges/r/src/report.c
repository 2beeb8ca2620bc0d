/* SPDX-License-Identifier: MIT */
/* Events that tools report. */
#include <string.h>

#include "bridge.h"
#include "snakepit/worker_telemetry.h"

/* A list as JSON, in memory that lasts as long as the call from R. */
static sp_bytes json_of(SEXP list)
{
    struct encoder *encoder = &sp__r_bridge.encoder;
    if (list == R_NilValue) {
        return (sp_bytes){0};
    }
    sp__r_encode(encoder, list, NULL);
    char *copy = R_alloc(encoder->out.size, 1);
    memcpy(copy, encoder->out.data, encoder->out.size);
    return (sp_bytes){copy, encoder->out.size};
}

/* Whether somebody gets it. */
SEXP sp__r_report(SEXP name, SEXP measurements, SEXP metadata, SEXP correlation)
{
    sp_error err = {0};
    sp_worker *worker = sp__r_bridge.worker;
    const char *text = sp__r_text(name);
    if (sp__r_bridge.forgotten || !sp_worker_wants(worker, text)) {
        return Rf_ScalarLogical(0);
    }
    const sp_emission event = {.size = sizeof event,
                               .name = text,
                               .measurements = json_of(measurements),
                               .metadata = json_of(metadata),
                               .correlation_id = sp__r_text_or_null(correlation),
                               .job = sp__r_bridge.job};
    int rc = sp_worker_emit(worker, &event, &err);
    if (rc < 0) {
        sp__r_raise(&err);
    }
    return Rf_ScalarLogical(rc > 0);
}
