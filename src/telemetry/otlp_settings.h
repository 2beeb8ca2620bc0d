/* SPDX-License-Identifier: MIT */
/* Where OTLP goes and what is said of the program: options first, then the environment
 * variables of OpenTelemetry's specification. */
#ifndef SP_TELEMETRY_OTLP_SETTINGS_H
#define SP_TELEMETRY_OTLP_SETTINGS_H

#include "snakepit/error.h"
#include "wire/otlp.h"

enum { OTLP_RESOURCE_MAX = 64, OTLP_HEADERS_MAX = 32 };

struct otlp_settings {
    char *traces_url; /* NULL: they go nowhere, as the next */
    char *metrics_url;
    char *headers[OTLP_HEADERS_MAX + 1]; /* "Name: value", NULL-terminated */
    uint64_t timeout_ms;
    uint64_t metrics_interval_ms;
    struct otlp_attribute resource[OTLP_RESOURCE_MAX];
    size_t resource_count;
    char *texts[2 * OTLP_RESOURCE_MAX]; /* of the resource; owned */
    size_t texts_count;
};

/* Whether anything is to go anywhere. option  sp_pit_options.otlp_endpoint */
int sp__otlp_is_wanted(const char *option);

/* instance  its name, or "". Errors: SP_ERR_CONFIG (which setting, its value), NOMEM. */
int sp__otlp_settings_read(struct otlp_settings *settings, const char *option,
                           const char *instance, sp_error *err) SP_MUST_CHECK;
void sp__otlp_settings_fini(struct otlp_settings *settings);

#endif
