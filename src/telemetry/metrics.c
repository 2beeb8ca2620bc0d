/* SPDX-License-Identifier: MIT */
/*
 * Gathering the figures of a pit.
 *
 * Each loop is visited once and adds what it counts to the sums; what is not a loop's is
 * asked for as any program would. Then every figure becomes a sample, and the samples are
 * put into the order of the table. Figures of two loops are not of one moment.
 *
 * Without memory the whole fails: half a set of metrics looks like a change.
 */
#include "telemetry/metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "event/handler.h"
#include "pit/pit.h"
#include "snakepit/serve.h"
#include "telemetry/process.h"

static const struct metric metrics_table[METRICS] = {
#define X(id, kind, unit, name, labels, help) \
    [METRIC_##id] = {METRIC_##kind, unit, name, labels, help},
    SP_METRIC_TABLE(X)
#undef X
};

const struct metric *sp__metric(enum metric_id id)
{
    return &metrics_table[id];
}

const char *sp__metric_kind(enum metric_kind kind)
{
    static const char *const words[] = {[METRIC_COUNTER] = "counter",
                                        [METRIC_GAUGE] = "gauge",
                                        [METRIC_HISTOGRAM] = "histogram",
                                        [METRIC_INFO] = "info"};
    return words[kind];
}

size_t sp__metric_labels(enum metric_id id, char ret_names[METRIC_LABELS_MAX][16])
{
    size_t count = 0;
    const char *at = metrics_table[id].labels;
    while (*at != '\0' && count < METRIC_LABELS_MAX) {
        size_t length = strcspn(at, " ");
        (void)snprintf(ret_names[count++], 16, "%.*s", (int)length, at);
        at += length + (at[length] == ' ');
    }
    return count;
}

/* ---- samples ---- */

static struct metric_sample *new_sample(struct metrics *metrics)
{
    if (metrics->count == metrics->max) {
        size_t max = metrics->max == 0 ? 256 : metrics->max * 2;
        struct metric_sample *grown =
            sp__realloc(metrics->samples, max * sizeof *grown);
        if (grown == NULL) {
            metrics->is_short = 1;
            return NULL;
        }
        metrics->samples = grown;
        metrics->max = max;
    }
    return &metrics->samples[metrics->count++];
}

void sp__metrics_add(struct metrics *metrics, enum metric_id id, double value,
                     const char *a, const char *b, const char *c)
{
    struct metric_sample *sample = new_sample(metrics);
    if (sample != NULL) {
        *sample = (struct metric_sample){.id = id, .values = {a, b, c}, .value = value};
    }
}

void sp__metrics_add_histogram(struct metrics *metrics, enum metric_id id,
                               const struct histogram *histogram,
                               const struct exemplar *exemplars, const char *a,
                               const char *b)
{
    struct metric_sample *sample = new_sample(metrics);
    if (sample != NULL) {
        *sample = (struct metric_sample){
            .id = id, .values = {a, b}, .histogram = histogram, .exemplars = exemplars};
    }
}

/* Those of one metric stay in the order in which they were added. */
static int put_in_order(struct metrics *metrics)
{
    size_t begin[METRICS + 1] = {0};
    struct metric_sample *sorted =
        sp__calloc(metrics->count + 1, sizeof *metrics->samples);
    if (sorted == NULL) {
        return SP_ERR_NOMEM;
    }
    for (size_t i = 0; i < metrics->count; i++) {
        begin[metrics->samples[i].id + 1]++;
    }
    for (int id = 0; id < METRICS; id++) {
        begin[id + 1] += begin[id];
    }
    for (size_t i = 0; i < metrics->count; i++) {
        sorted[begin[metrics->samples[i].id]++] = metrics->samples[i];
    }
    sp__free(metrics->samples);
    metrics->samples = sorted;
    return SP_OK;
}

/* ---- what is not a pool's ---- */

#define ADD(id, value) \
    sp__metrics_add(metrics, METRIC_##id, (double)(value), NULL, NULL, NULL)
#define ADD1(id, value, a) \
    sp__metrics_add(metrics, METRIC_##id, (double)(value), a, NULL, NULL)
#define ADD2(id, value, a, b) \
    sp__metrics_add(metrics, METRIC_##id, (double)(value), a, b, NULL)

static void add_pit(struct metrics *metrics)
{
    sp_health health = {0};
    const struct sp_pit *pit = metrics->pit;
    ADD1(BUILD, 1, SP_VERSION_STRING);
    ADD(START_TIME, metrics->created_s);
    (void)sp_pit_health(metrics->pit, SP_UNLIMITED, &health, NULL);
    ADD1(HEALTH, health.live, "live");
    ADD1(HEALTH, health.started, "started");
    ADD1(HEALTH, health.ready, "ready");
    ADD1(ORPHANS, atomic_load(&pit->orphans_at_start), "start");
    ADD1(ORPHANS, atomic_load(&pit->orphans_later), "guard_lost");
    ADD2(WIRE_BYTES, metrics->bytes_in[PEER_WORKER], "worker", "in");
    ADD2(WIRE_BYTES, metrics->bytes_out[PEER_WORKER], "worker", "out");
    ADD2(WIRE_BYTES, metrics->bytes_in[PEER_CLIENT], "client", "in");
    ADD2(WIRE_BYTES, metrics->bytes_out[PEER_CLIENT], "client", "out");
    sp__metrics_add_histogram(metrics, METRIC_LOOP_LAG, &metrics->lag, NULL, NULL,
                              NULL);
}

/* What nobody heard of. */
static void add_losses(struct metrics *metrics)
{
    static const struct {
        enum export_signal signal;
        enum export_loss loss;
        const char *words[2];
    } losses[] = {
        {EXPORT_TRACES, EXPORT_OVERWRITTEN, {"traces", "overwritten"}},
        {EXPORT_TRACES, EXPORT_UNREACHED, {"traces", "unreached"}},
        {EXPORT_TRACES, EXPORT_REFUSED, {"traces", "refused"}},
        {EXPORT_METRICS, EXPORT_UNREACHED, {"metrics", "unreached"}},
        {EXPORT_METRICS, EXPORT_REFUSED, {"metrics", "refused"}},
        {EXPORT_STATSD, EXPORT_UNREACHED, {"statsd", "unreached"}},
    };
    struct sp_pit *pit = metrics->pit;
    uint64_t delivered = 0;
    uint64_t dropped = 0;
    (void)sp__handler_stats(&pit->herald, 0, &delivered, &dropped, NULL);
    ADD(EVENTS_DROPPED, dropped);
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        ADD2(EXPORT_DROPPED,
             atomic_load(&pit->exports_lost[losses[i].signal][losses[i].loss]),
             losses[i].words[0], losses[i].words[1]);
    }
}

static void add_sessions(struct metrics *metrics)
{
    sp_sessions_stats stats = {0};
    if (sp_sessions_stats_get(sp_pit_sessions(metrics->pit), &stats, NULL) < 0) {
        return; /* a daemon that keeps them is away */
    }
    ADD(SESSIONS, stats.sessions);
    ADD(SESSION_LIMIT, stats.sessions_max);
    ADD(SESSIONS_CREATED, stats.sessions_created);
    ADD(SESSIONS_DELETED, stats.sessions_deleted);
    ADD(SESSIONS_EXPIRED, stats.sessions_expired);
    ADD(VARIABLES, stats.variables);
    ADD(VARIABLE_BYTES, stats.memory_bytes);
}

static void add_callback(struct metrics *metrics, const struct tool_sum *tool,
                         const char *name)
{
    for (int code = 0; code < METER_CODES; code++) {
        uint64_t count = tool->counts.endings[code];
        if (count > 0) {
            ADD2(CALLBACKS, count, name, sp_error_name(-code));
        }
    }
}

static void add_callbacks(struct metrics *metrics)
{
    const struct meter_sum *sum = &metrics->callbacks;
    for (uint32_t i = 0; i < sum->tools_count; i++) {
        add_callback(metrics, &sum->tools[i], sum->tools[i].name);
    }
    add_callback(metrics, sum->other, METER_OTHER);
}

static void add_clients(struct metrics *metrics)
{
    sp_listen_stats stats = {0};
    if (sp_pit_listen_stats(metrics->pit, &stats, NULL) < 0) {
        return;
    }
    ADD(CLIENTS, stats.clients);
    ADD(CLIENT_CALLS, stats.calls);
    ADD(CLIENTS_TOTAL, stats.clients_total);
    ADD1(CLIENTS_REFUSED, stats.clients_refused, "not_allowed");
    ADD1(CLIENTS_REFUSED, stats.clients_turned_away, "no_room");
    ADD1(CLIENTS_REFUSED, stats.clients_shed, "idle");
    ADD1(CLIENTS_REFUSED, stats.clients_cut, "too_slow");
}

static void add_process(struct metrics *metrics)
{
    struct process_facts facts;
    sp__process_facts_read(&facts);
    ADD(PROCESS_CPU, facts.cpu_s);
    ADD(PROCESS_RSS, facts.rss_bytes);
    ADD(PROCESS_VIRTUAL, facts.virtual_bytes);
    ADD(PROCESS_START, facts.start_s);
    ADD(PROCESS_FDS, facts.fds);
    ADD(PROCESS_FDS_MAX, facts.fds_max);
}

/* ---- the whole ---- */

static void look_at_lane(void *user, void *arg)
{
    const struct lane *lane = user;
    struct metrics *metrics = arg;
    for (int peer = 0; peer < CHANNEL_PEERS; peer++) {
        metrics->bytes_in[peer] += lane->shop.channels.bytes_in[peer];
        metrics->bytes_out[peer] += lane->shop.channels.bytes_out[peer];
    }
    sp__histogram_merge(&metrics->lag, &lane->census.lag);
    sp__meter_add(&lane->callbacks, &metrics->callbacks);
    sp__metrics_pools_look(metrics, lane);
}

int sp__metrics_gather(sp_pit *pit, struct metrics *ret_metrics, sp_error *err)
{
    struct metrics *metrics = ret_metrics;
    *metrics =
        (struct metrics){.pit = pit, .created_s = (double)pit->opened_unix_ms / 1e3};
    int rc =
        sp__meter_sum_init(&metrics->callbacks, pit->lanes[0].callbacks.labels, err);
    if (rc == SP_OK) {
        rc = sp__metrics_pools_init(metrics, err);
    }
    if (rc < 0) {
        sp__metrics_fini(metrics);
        return rc;
    }
    for (uint32_t i = 0; i < pit->lanes_count; i++) {
        sp__loop_call(pit->lanes[i].loop, look_at_lane, metrics);
    }
    add_pit(metrics);
    sp__metrics_pools_add(metrics);
    add_sessions(metrics);
    add_callbacks(metrics);
    add_clients(metrics);
    add_losses(metrics);
    add_process(metrics);
    if (metrics->is_short || put_in_order(metrics) < 0) {
        sp__metrics_fini(metrics);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the metrics");
    }
    return SP_OK;
}

void sp__metrics_fini(struct metrics *metrics)
{
    sp__metrics_pools_fini(metrics);
    sp__meter_sum_fini(&metrics->callbacks);
    sp__free(metrics->samples);
    *metrics = (struct metrics){0};
}
