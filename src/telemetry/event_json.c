/* SPDX-License-Identifier: MIT */
/*
 * Written straight away, without a tree in between: who watches calls may have a hundred
 * thousand of them a second, and they are written on the loop that runs the calls.
 */
#include "telemetry/event_json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/real.h"
#include "wire/json.h"

/* Whole numbers are integers; what JSON has no number for is null. */
static int put_number(struct sp_buffer *out, double value, sp_error *err)
{
    char text[40];
    if (!isfinite(value)) {
        return sp__buf_append(out, "null", 4, err);
    }
    (void)snprintf(text, sizeof text, sp__real_is_whole(value) ? "%.0f" : "%.15g",
                   value);
    return sp__buf_append(out, sp__real_dot(text), strlen(text), err);
}

/* `"name":` of a member, the first one or a later one. */
static int put_key(struct sp_buffer *out, size_t index, const char *name, sp_error *err)
{
    int rc = index > 0 ? sp__buf_append(out, ",", 1, err) : SP_OK;
    if (rc == SP_OK) {
        rc = sp__json_put_string(out, name, strlen(name), err);
    }
    return rc == SP_OK ? sp__buf_append(out, ":", 1, err) : rc;
}

static int put_measurements(struct sp_buffer *out, const sp_event *event, sp_error *err)
{
    static const char open[] = ",\"measurements\":{";
    int rc = sp__buf_append(out, open, sizeof open - 1, err);
    for (size_t i = 0; rc == SP_OK && i < event->measurements_count; i++) {
        rc = put_key(out, i, event->measurements[i].name, err);
        if (rc == SP_OK) {
            rc = put_number(out, event->measurements[i].value, err);
        }
    }
    return rc;
}

static int put_metadata(struct sp_buffer *out, const sp_event *event, sp_error *err)
{
    static const char open[] = "},\"metadata\":{";
    int rc = sp__buf_append(out, open, sizeof open - 1, err);
    for (size_t i = 0; rc == SP_OK && i < event->metadata_count; i++) {
        const char *text = event->metadata[i].text;
        rc = put_key(out, i, event->metadata[i].name, err);
        if (rc == SP_OK) {
            rc = sp__json_put_string(out, text, strlen(text), err);
        }
    }
    return rc;
}

int sp__event_put_json(struct sp_buffer *out, const sp_event *event, uint64_t number,
                       sp_error *err)
{
    int rc = sp__buf_printf(
        out, err,
        "{\"number\":%llu,\"time_unix_ms\":%llu,\"event\":", (unsigned long long)number,
        (unsigned long long)event->time_unix_ms);
    if (rc == SP_OK) {
        rc = sp__json_put_string(out, event->name, strlen(event->name), err);
    }
    if (rc == SP_OK) {
        rc = put_measurements(out, event, err);
    }
    if (rc == SP_OK) {
        rc = put_metadata(out, event, err);
    }
    return rc == SP_OK ? sp__buf_append(out, "}}", 2, err) : rc;
}
