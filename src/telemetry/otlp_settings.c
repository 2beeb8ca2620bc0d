/* SPDX-License-Identifier: MIT */
/*
 * Reading OTEL_* as OpenTelemetry's specification has it: an endpoint for a signal is taken
 * as it is, the common one gets the signal's path; lists are "key=value,key=value" with
 * percent-encoded values; a number that is none is as if it were not set.
 */
#include "telemetry/otlp_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"
#include "pool/trace.h"

enum {
    URL_MAX = 2048,
    TIMEOUT_MS = 10 * 1000,
    INTERVAL_MS = 60 * 1000,
    LIST_MAX = 16 * 1024
};

static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int is_disabled(void)
{
    const char *text = variable("OTEL_SDK_DISABLED");
    return text != NULL && strcasecmp(text, "true") == 0;
}

int sp__otlp_is_wanted(const char *option)
{
    if (is_disabled()) {
        return 0;
    }
    if (option != NULL) {
        return option[0] != '\0';
    }
    return variable("OTEL_EXPORTER_OTLP_ENDPOINT") != NULL ||
           variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != NULL ||
           variable("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") != NULL;
}

static uint64_t read_ms(const char *name, uint64_t otherwise)
{
    const char *text = variable(name);
    char *end = NULL;
    unsigned long long number = text != NULL ? strtoull(text, &end, 10) : 0;
    return text != NULL && *end == '\0' && number > 0 && number < 86400000u ? number
                                                                            : otherwise;
}

/* ---- addresses ---- */

static int check_url(const char *url, sp_error *err)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        return sp__fail(
            err, SP_ERR_CONFIG,
            "OTLP goes to an http:// or https:// address, not to \"%.100s\"", url);
    }
    return strlen(url) < URL_MAX ? SP_OK
                                 : sp__fail(err, SP_ERR_CONFIG,
                                            "the address for OTLP has %zu bytes, at "
                                            "most %d",
                                            strlen(url), URL_MAX);
}

/* The option wins over both variables; the signal's own one is taken as it is. */
static int read_url(const char *option, const char *own_name, const char *path,
                    char **ret_url, sp_error *err)
{
    const char *own = option == NULL ? variable(own_name) : NULL;
    const char *common =
        option != NULL ? option : variable("OTEL_EXPORTER_OTLP_ENDPOINT");
    const char *base = own != NULL ? own : common;
    char url[URL_MAX + 64];
    *ret_url = NULL;
    if (base == NULL) {
        return SP_OK;
    }
    int rc = check_url(base, err);
    if (rc < 0) {
        return rc;
    }
    size_t size = strlen(base);
    while (own == NULL && size > 0 && base[size - 1] == '/') {
        size--;
    }
    (void)snprintf(url, sizeof url, "%.*s%s", (int)size, base, own == NULL ? path : "");
    *ret_url = sp__strdup(url);
    return *ret_url != NULL ? SP_OK
                            : sp__fail(err, SP_ERR_NOMEM, "no memory for an address");
}

/* ---- lists ---- */

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* In place. */
static void decode_percents(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        int high = *from == '%' ? digit_of(from[1]) : -1;
        int low = high >= 0 ? digit_of(from[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static char *trim(char *text)
{
    text += strspn(text, " \t");
    size_t size = strlen(text);
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t')) {
        text[--size] = '\0';
    }
    return text;
}

/* Call `each` with every pair of a list, which is taken apart. What is no pair is passed
 * over, as the specification asks. */
static int each_pair(char *list, int (*each)(void *user, const char *key, char *value),
                     void *user)
{
    int rc = SP_OK;
    char *next = list;
    while (rc == SP_OK && next != NULL) {
        char *item = next;
        next = strchr(item, ',');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *value = strchr(item, '=');
        if (value != NULL) {
            *value++ = '\0';
            value = trim(value);
            decode_percents(value);
            item = trim(item);
            rc = item[0] != '\0' ? each(user, item, value) : SP_OK;
        }
    }
    return rc;
}

static int read_list(const char *name, int (*each)(void *, const char *, char *),
                     void *user, sp_error *err)
{
    const char *text = variable(name);
    if (text == NULL) {
        return SP_OK;
    }
    if (strlen(text) > LIST_MAX) {
        return sp__fail(err, SP_ERR_CONFIG, "%s has %zu bytes, at most %d", name,
                        strlen(text), LIST_MAX);
    }
    char *list = sp__strdup(text);
    int rc = list != NULL ? each_pair(list, each, user) : SP_ERR_NOMEM;
    sp__free(list);
    return rc < 0 ? sp__fail(err, SP_ERR_NOMEM, "no memory for %s", name) : SP_OK;
}

static int add_header(void *user, const char *key, char *value)
{
    struct otlp_settings *settings = user;
    char line[1024];
    size_t count = 0;
    while (settings->headers[count] != NULL) {
        count++;
    }
    int size = snprintf(line, sizeof line, "%s: %s", key, value);
    if (count == OTLP_HEADERS_MAX || size < 0 || (size_t)size >= sizeof line ||
        strpbrk(line, "\r\n") != NULL) {
        return SP_OK; /* no header of ours */
    }
    settings->headers[count] = sp__strdup(line);
    return settings->headers[count] != NULL ? SP_OK : SP_ERR_NOMEM;
}

/* ---- the resource ---- */

static struct otlp_attribute *find(struct otlp_settings *settings, const char *key)
{
    for (size_t i = 0; i < settings->resource_count; i++) {
        if (strcmp(settings->resource[i].key, key) == 0) {
            return &settings->resource[i];
        }
    }
    return NULL;
}

static const char *keep(struct otlp_settings *settings, const char *text)
{
    char *copy = settings->texts_count < sizeof settings->texts / sizeof(char *)
                     ? sp__strdup(text)
                     : NULL;
    if (copy != NULL) {
        settings->texts[settings->texts_count++] = copy;
    }
    return copy;
}

/* What was said first stays. */
static int set(void *user, const char *key, char *value)
{
    struct otlp_settings *settings = user;
    if (find(settings, key) != NULL || settings->resource_count == OTLP_RESOURCE_MAX) {
        return SP_OK;
    }
    struct otlp_attribute attribute = {.key = keep(settings, key),
                                       .text = keep(settings, value)};
    if (attribute.key == NULL || attribute.text == NULL) {
        return SP_ERR_NOMEM;
    }
    settings->resource[settings->resource_count++] = attribute;
    return SP_OK;
}

static int set_text(struct otlp_settings *settings, const char *key, const char *text)
{
    char copy[256];
    (void)snprintf(copy, sizeof copy, "%s", text);
    return set(settings, key, copy);
}

/* One name for this run of the program, where it has none of its own. */
static int set_instance(struct otlp_settings *settings, const char *instance)
{
    char text[40];
    if (instance[0] != '\0') {
        return set_text(settings, "service.instance.id", instance);
    }
    (void)snprintf(text, sizeof text, "%016llx%016llx",
                   (unsigned long long)sp__trace_random(),
                   (unsigned long long)sp__trace_random());
    return set_text(settings, "service.instance.id", text);
}

static int set_process(struct otlp_settings *settings)
{
    char host[256];
    if (settings->resource_count < OTLP_RESOURCE_MAX) {
        settings->resource[settings->resource_count++] =
            (struct otlp_attribute){.key = "process.pid", .number = (int64_t)getpid()};
    }
    if (gethostname(host, sizeof host) != 0) {
        return SP_OK;
    }
    host[sizeof host - 1] = '\0';
    return set_text(settings, "host.name", host);
}

static int set_resource(struct otlp_settings *settings, const char *instance,
                        sp_error *err)
{
    const char *name = variable("OTEL_SERVICE_NAME");
    int rc = name != NULL ? set_text(settings, "service.name", name) : SP_OK;
    if (rc == SP_OK) {
        rc = read_list("OTEL_RESOURCE_ATTRIBUTES", set, settings, err);
        if (rc < 0) {
            return rc;
        }
    }
    static const char *const ours[][2] = {{"service.name", "snakepit"},
                                          {"service.version", SP_VERSION_STRING},
                                          {"telemetry.sdk.name", "snakepit"},
                                          {"telemetry.sdk.language", "c"},
                                          {"telemetry.sdk.version", SP_VERSION_STRING}};
    for (size_t i = 0; rc == SP_OK && i < sizeof ours / sizeof ours[0]; i++) {
        rc = set_text(settings, ours[i][0], ours[i][1]);
    }
    if (rc == SP_OK) {
        rc = set_instance(settings, instance);
    }
    if (rc == SP_OK) {
        rc = set_process(settings);
    }
    return rc < 0 ? sp__fail(err, SP_ERR_NOMEM, "no memory for a resource") : SP_OK;
}

int sp__otlp_settings_read(struct otlp_settings *settings, const char *option,
                           const char *instance, sp_error *err)
{
    *settings = (struct otlp_settings){
        .timeout_ms = read_ms("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_MS),
        .metrics_interval_ms = read_ms("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL_MS)};
    int rc = read_url(option, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "/v1/traces",
                      &settings->traces_url, err);
    if (rc == SP_OK) {
        rc = read_url(option, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "/v1/metrics",
                      &settings->metrics_url, err);
    }
    settings->headers[0] = sp__strdup("Content-Type: application/x-protobuf");
    settings->headers[1] = sp__strdup("User-Agent: snakepit/" SP_VERSION_STRING);
    if (rc == SP_OK && (settings->headers[0] == NULL || settings->headers[1] == NULL)) {
        rc = sp__fail(err, SP_ERR_NOMEM, "no memory for headers");
    }
    if (rc == SP_OK) {
        rc = read_list("OTEL_EXPORTER_OTLP_HEADERS", add_header, settings, err);
    }
    if (rc == SP_OK) {
        rc = set_resource(settings, instance, err);
    }
    if (rc < 0) {
        sp__otlp_settings_fini(settings);
    }
    return rc;
}

void sp__otlp_settings_fini(struct otlp_settings *settings)
{
    sp__free(settings->traces_url);
    sp__free(settings->metrics_url);
    for (size_t i = 0; i < OTLP_HEADERS_MAX; i++) {
        sp__free(settings->headers[i]);
    }
    for (size_t i = 0; i < settings->texts_count; i++) {
        sp__free(settings->texts[i]);
    }
    *settings = (struct otlp_settings){0};
}
