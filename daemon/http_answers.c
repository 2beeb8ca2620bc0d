/* SPDX-License-Identifier: MIT */
/*
 * What the HTTP listener answers: the metrics, and how the pit is. Health is asked first,
 * with a limit: everything else waits for the loops for as long as they take.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"

enum { LOOK_MS = 2000, OK = 200, NOT_FOUND = 404, UNAVAILABLE = 503 };

#define TEXT "text/plain; charset=utf-8"
#define PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* ---- which format ---- */

/* The weight that a list of media types gives to one, in thousandths; -1: none. */
static int weight_of(const char *accept, const char *type)
{
    size_t length = strlen(type);
    const char *at = accept;
    while (*at != '\0') {
        at += strspn(at, " \t,");
        size_t item = strcspn(at, ",");
        if (strncasecmp(at, type, length) == 0 && strchr(" \t;,", at[length]) != NULL) {
            char text[128];
            (void)snprintf(text, sizeof text, "%.*s", (int)item, at);
            const char *q = strstr(text, "q=");
            return q != NULL ? (int)(strtod(q + 2, NULL) * 1000) : 1000;
        }
        at += item;
    }
    return -1;
}

/* 1 when a client would rather have OpenMetrics than the text format 0.0.4. */
static int wants_openmetrics(const char *accept)
{
    if (accept == NULL) {
        return 0;
    }
    int open = weight_of(accept, "application/openmetrics-text");
    return open > 0 && open >= weight_of(accept, "text/plain");
}

/* ---- answers ---- */

static void say(struct http_answer *ret, unsigned status, const char *text)
{
    size_t size = strlen(text);
    *ret = (struct http_answer){.status = status, .type = TEXT, .size = size + 1};
    ret->body = malloc(size + 2);
    if (ret->body != NULL) {
        (void)snprintf(ret->body, size + 2, "%s\n", text);
    }
}

static void take_metrics(sp_bytes text, void *user_data)
{
    struct http_answer *ret = user_data;
    ret->body = malloc(text.size + 1);
    if (ret->body != NULL) {
        memcpy(ret->body, text.data, text.size);
        ret->size = text.size;
    }
}

static void answer_metrics(sp_pit *pit, int is_open, struct http_answer *ret)
{
    sp_error err = {0};
    *ret =
        (struct http_answer){.status = OK, .type = is_open ? OPENMETRICS : PROMETHEUS};
    const char *options =
        is_open ? "{\"format\":\"openmetrics\"}" : "{\"format\":\"prometheus\"}";
    if (sp_pit_report(pit, "metrics", options, take_metrics, ret, &err) < 0) {
        say(ret, UNAVAILABLE, err.message);
    }
    sp_error_clear(&err);
}

enum path { METRICS, HEALTHZ, READYZ, LIVEZ, PATHS };

static enum path find(const char *text)
{
    static const char *const paths[PATHS] = {[METRICS] = "/metrics",
                                             [HEALTHZ] = "/healthz",
                                             [READYZ] = "/readyz",
                                             [LIVEZ] = "/livez"};
    enum path path = METRICS;
    while (path < PATHS && strcmp(text, paths[path]) != 0) {
        path++;
    }
    return path;
}

void http_answer(sp_pit *pit, const char *method, const char *path, const char *accept,
                 struct http_answer *ret)
{
    enum path what = find(path);
    sp_health health = {0};
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        say(ret, HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only");
        return;
    }
    if (what == PATHS) {
        say(ret, NOT_FOUND, "there are /metrics, /healthz, /readyz and /livez");
        return;
    }
    (void)sp_pit_health(pit, LOOK_MS, &health, NULL);
    /* A pit that has no worker has metrics all the same. */
    int is_well = what == METRICS || what == LIVEZ ? health.live : health.ready;
    if (!is_well) {
        say(ret, UNAVAILABLE, health.why);
    } else if (what == METRICS) {
        answer_metrics(pit, wants_openmetrics(accept), ret);
    } else {
        say(ret, OK, "ok");
    }
}
