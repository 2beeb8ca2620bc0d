/* SPDX-License-Identifier: MIT */
/*
 * Sending batches: one thread, one connection.
 *
 * Normal course: the thread sleeps until a batch has come together or a second is over,
 * reads the pit's records behind its cursor, makes their spans, and posts them.
 *
 * Once a minute (OTEL_METRIC_EXPORT_INTERVAL) it gathers the pit's metrics and posts them
 * too; the last ones are gathered when the pit is left, by who closes it.
 *
 * Failure: an answer that asks for it (429, 502, 503, 504), or none, has the batch sent
 * again, after a pause that doubles or that the answer names, for a minute at most; then it
 * is dropped. Meanwhile the ring of records goes on, and what is overwritten there is
 * dropped too. The pit warns once for each outage. Calls never wait for any of it.
 */
#include "telemetry/exporter.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/latch.h"
#include "base/mem.h"
#include "base/thread.h"
#include "telemetry/http.h"
#include "telemetry/metrics_otlp.h"
#include "telemetry/span_tree.h"

enum {
    BATCH = 512, /* records */
    DELAY_MS = 1000,
    RETRY_FIRST_MS = 500,
    RETRY_PAUSE_MAX_MS = 10 * 1000,
    RETRY_MAX_MS = 60 * 1000,
    BODY_MAX = 16 << 20,
    OK_STATUS = 200,
    OK_STATUS_END = 300
};

struct exporter {
    /* Set before start, then constant. */
    struct spans *spans;
    struct otlp_settings settings;
    struct http *traces; /* NULL: they go nowhere, as the next */
    struct http *metrics;
    pthread_t thread;

    struct latch stopped; /* opened when nothing is to be waited for */

    /* Under lock. */
    pthread_mutex_t lock;
    struct sp_pit *pit;    /* NULL: it closes, and these were */
    struct sp_buffer last; /* its last metrics */

    /* The thread's. */
    struct span_cursor cursor;
    struct span_record *records; /* BATCH */
    struct sp_buffer body;
    uint64_t metrics_due_ms;
    int is_out; /* the last batch did not arrive, or not all of it, and that was told */
};

/* ---- sending ---- */

static void warn(struct exporter *exporter, const char *url, const char *why)
{
    char text[512];
    if (exporter->is_out) {
        return;
    }
    exporter->is_out = 1;
    (void)snprintf(text, sizeof text, "telemetry does not reach %.200s: %.200s", url,
                   why);
    (void)pthread_mutex_lock(&exporter->lock);
    if (exporter->pit != NULL) {
        sp__pit_warn(exporter->pit, text);
    }
    (void)pthread_mutex_unlock(&exporter->lock);
}

/* It is the pit's figure, so what is lost after the pit has gone is counted nowhere. */
static void count_loss(struct exporter *exporter, enum export_signal signal,
                       enum export_loss loss, uint64_t count)
{
    (void)pthread_mutex_lock(&exporter->lock);
    if (exporter->pit != NULL) {
        atomic_fetch_add(&exporter->pit->exports_lost[signal][loss], count);
    }
    (void)pthread_mutex_unlock(&exporter->lock);
}

/* Statuses after which the same may go well a little later, as the OTLP has them. */
static int is_worth_another_try(long status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

enum sent { SENT, SENT_AGAIN, SENT_NEVER };

/* One message on its way: spans, or metrics. */
struct parcel {
    enum export_signal signal;
    struct http *http;
    const char *url;
    uint64_t records; /* of the pit, in it */
};

static enum sent read_reply(struct exporter *exporter, const struct parcel *parcel,
                            const struct http_reply *reply)
{
    char why[200];
    if (reply->status >= OK_STATUS && reply->status < OK_STATUS_END) {
        uint64_t refused = 0;
        sp_bytes message = {0};
        if (sp__otlp_get_reply(reply->body, &refused, &message, NULL) < 0 ||
            refused == 0) {
            exporter->is_out = 0;
        } else {
            (void)snprintf(why, sizeof why, "%llu records were refused: %.*s",
                           (unsigned long long)refused,
                           message.size > 100 ? 100 : (int)message.size,
                           (const char *)message.data);
            warn(exporter, parcel->url, why);
            count_loss(exporter, parcel->signal, EXPORT_REFUSED, refused);
        }
        return SENT;
    }
    (void)snprintf(why, sizeof why, "HTTP status %ld", reply->status);
    warn(exporter, parcel->url, why);
    return is_worth_another_try(reply->status) ? SENT_AGAIN : SENT_NEVER;
}

static enum sent post_once(struct exporter *exporter, const struct parcel *parcel,
                           uint64_t *ret_pause_ms)
{
    struct http_reply reply;
    sp_error failure = {0};
    enum sent sent = SENT_AGAIN;
    if (sp__http_post(parcel->http,
                      (sp_bytes){exporter->body.data, exporter->body.size},
                      exporter->settings.timeout_ms, &reply, &failure) < 0) {
        warn(exporter, parcel->url, failure.message);
    } else {
        sent = read_reply(exporter, parcel, &reply);
        if (reply.retry_after_s > 0) {
            *ret_pause_ms = reply.retry_after_s * 1000;
        }
    }
    sp_error_clear(&failure);
    return sent;
}

/* A pause that is a quarter shorter or longer, so that many programs do not come back at
 * the same moment. */
static uint64_t jittered(uint64_t pause_ms)
{
    uint64_t half = pause_ms / 2;
    return half == 0 ? pause_ms : pause_ms - half / 2 + sp__trace_random() % half;
}

static void post(struct exporter *exporter, const struct parcel *parcel)
{
    uint64_t end_ms = sp__now_ms() + RETRY_MAX_MS;
    uint64_t pause_ms = RETRY_FIRST_MS;
    for (;;) {
        uint64_t wait_ms = jittered(pause_ms);
        enum sent sent = post_once(exporter, parcel, &wait_ms);
        if (sent == SENT) {
            return;
        }
        if (sent == SENT_NEVER || sp__now_ms() + wait_ms > end_ms ||
            sp__latch_wait(&exporter->stopped, wait_ms)) {
            count_loss(exporter, parcel->signal, EXPORT_UNREACHED, parcel->records);
            return;
        }
        pause_ms =
            2 * pause_ms < RETRY_PAUSE_MAX_MS ? 2 * pause_ms : RETRY_PAUSE_MAX_MS;
    }
}

/* ---- spans ---- */

/* 1 when there is something to send; negative without memory or room for it. */
static int encode_spans(struct exporter *exporter, size_t records)
{
    struct otlp_writer writer;
    struct otlp_list resource = {exporter->settings.resource,
                                 exporter->settings.resource_count};
    uint64_t offset_ns = sp__unix_ns() - sp__now_us() * 1000;
    size_t spans = 0;
    exporter->body.size = 0;
    sp__otlp_begin(&writer, &exporter->body, resource, SP_VERSION_STRING);
    for (size_t i = 0; i < records; i++) {
        struct span_tree tree;
        sp__span_tree(&exporter->records[i], offset_ns, &tree);
        for (size_t k = 0; k < tree.count; k++) {
            sp__otlp_put_span(&writer, &tree.spans[k]);
        }
        spans += tree.count;
    }
    int rc = sp__otlp_end(&writer, NULL);
    return rc < 0 ? rc : spans > 0;
}

static void send_spans(struct exporter *exporter)
{
    size_t records;
    do {
        uint64_t lost;
        records = sp__spans_read(exporter->spans, &exporter->cursor, exporter->records,
                                 BATCH, &lost);
        if (lost > 0) {
            count_loss(exporter, EXPORT_TRACES, EXPORT_OVERWRITTEN, lost);
        }
        int rc = records > 0 ? encode_spans(exporter, records) : 0;
        if (rc > 0) {
            post(exporter, &(struct parcel){EXPORT_TRACES, exporter->traces,
                                            exporter->settings.traces_url, records});
        } else if (rc < 0) {
            count_loss(exporter, EXPORT_TRACES, EXPORT_UNREACHED, records);
        }
    } while (records > 0);
    sp__buf_shrink(&exporter->body, 0);
}

/* ---- metrics ---- */

/* Under lock. */
static int encode_metrics(struct exporter *exporter, struct sp_buffer *out)
{
    struct metrics metrics;
    struct otlp_writer writer;
    struct otlp_list resource = {exporter->settings.resource,
                                 exporter->settings.resource_count};
    if (exporter->pit == NULL ||
        sp__metrics_gather(exporter->pit, &metrics, NULL) < 0) {
        return SP_ERR_CLOSED;
    }
    out->size = 0;
    sp__otlp_begin(&writer, out, resource, SP_VERSION_STRING);
    sp__metrics_put_otlp(&metrics, sp__unix_ns(), &writer);
    int rc = sp__otlp_end(&writer, NULL);
    sp__metrics_fini(&metrics);
    return rc;
}

static void post_metrics(struct exporter *exporter)
{
    post(exporter, &(struct parcel){EXPORT_METRICS, exporter->metrics,
                                    exporter->settings.metrics_url, 1});
}

static void send_metrics(struct exporter *exporter)
{
    (void)pthread_mutex_lock(&exporter->lock);
    int rc = encode_metrics(exporter, &exporter->body);
    (void)pthread_mutex_unlock(&exporter->lock);
    exporter->metrics_due_ms = sp__now_ms() + exporter->settings.metrics_interval_ms;
    if (rc == SP_OK) {
        post_metrics(exporter);
    }
}

static void send_last_metrics(struct exporter *exporter)
{
    struct sp_buffer body = exporter->body;
    exporter->body = exporter->last;
    exporter->last = body;
    if (exporter->body.size > 0) {
        post_metrics(exporter);
    }
}

/* ---- the thread ---- */

static void *run(void *user)
{
    struct exporter *exporter = user;
    int goes_on;
    do {
        goes_on = sp__spans_wait(exporter->spans, &exporter->cursor, BATCH, DELAY_MS);
        if (exporter->traces != NULL) {
            send_spans(exporter);
        }
        if (exporter->metrics != NULL && goes_on &&
            sp__now_ms() >= exporter->metrics_due_ms) {
            send_metrics(exporter);
        }
    } while (goes_on);
    if (exporter->metrics != NULL) {
        send_last_metrics(exporter);
    }
    return NULL;
}

/* ---- life ---- */

static void free_exporter(struct exporter *exporter)
{
    sp__http_close(exporter->traces);
    sp__http_close(exporter->metrics);
    sp__buf_fini(&exporter->last);
    sp__otlp_settings_fini(&exporter->settings);
    sp__spans_drop(exporter->spans);
    sp__buf_fini(&exporter->body);
    sp__free(exporter->records);
    (void)pthread_mutex_destroy(&exporter->lock);
    sp__free(exporter);
}

static int connect(struct exporter *exporter, sp_error *err)
{
    exporter->records = sp__malloc(BATCH * sizeof *exporter->records);
    if (exporter->records == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an exporter");
    }
    const char *const *headers = (const char *const *)exporter->settings.headers;
    int rc = SP_OK;
    if (exporter->settings.traces_url != NULL) {
        rc = sp__http_open(exporter->settings.traces_url, headers, &exporter->traces,
                           err);
    }
    if (rc == SP_OK && exporter->settings.metrics_url != NULL) {
        rc = sp__http_open(exporter->settings.metrics_url, headers, &exporter->metrics,
                           err);
    }
    return rc;
}

int sp__exporter_open(struct sp_pit *pit, const char *option,
                      struct exporter **ret_exporter, sp_error *err)
{
    struct exporter *exporter = sp__calloc(1, sizeof *exporter);
    if (exporter == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an exporter");
    }
    (void)pthread_mutex_init(&exporter->lock, NULL);
    sp__latch_init(&exporter->stopped);
    sp__buf_init(&exporter->body, BODY_MAX);
    sp__buf_init(&exporter->last, BODY_MAX);
    exporter->pit = pit;
    exporter->spans = pit->spans;
    sp__spans_hold(exporter->spans);
    int rc =
        sp__otlp_settings_read(&exporter->settings, option, pit->instance_name, err);
    if (rc == SP_OK) {
        rc = connect(exporter, err);
    }
    if (rc == SP_OK) {
        exporter->metrics_due_ms =
            sp__now_ms() + exporter->settings.metrics_interval_ms;
        int failed = sp__thread_start(&exporter->thread, NULL, run, exporter);
        rc = failed != 0 ? sp__fail_errno(err, failed, "start an exporter's thread")
                         : SP_OK;
    }
    if (rc < 0) {
        free_exporter(exporter);
        return rc;
    }
    *ret_exporter = exporter;
    return SP_OK;
}

void sp__exporter_leave_pit(struct exporter *exporter)
{
    if (exporter != NULL) {
        (void)pthread_mutex_lock(&exporter->lock);
        if (exporter->metrics != NULL &&
            encode_metrics(exporter, &exporter->last) < 0) {
            exporter->last.size = 0; /* without memory for it there are none */
        }
        exporter->pit = NULL;
        (void)pthread_mutex_unlock(&exporter->lock);
    }
}

void sp__exporter_close(struct exporter *exporter, uint64_t timeout_ms)
{
    if (exporter == NULL) {
        return;
    }
    uint64_t give_up_ms = sp__now_ms() + timeout_ms;
    if (exporter->traces != NULL) {
        sp__http_give_up_at(exporter->traces, give_up_ms);
    }
    if (exporter->metrics != NULL) {
        sp__http_give_up_at(exporter->metrics, give_up_ms);
    }
    sp__latch_open(&exporter->stopped);
    sp__spans_hurry(exporter->spans);
    (void)pthread_join(exporter->thread, NULL);
    free_exporter(exporter);
}
