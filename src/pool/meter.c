/* SPDX-License-Identifier: MIT */
/*
 * The counting of calls.
 *
 * Normal course: the pool's shell counts what ends in its meter, each part of a divided
 * pool on its own loop; who wants to know visits the parts one after the other and adds
 * up. The first call of a tool asks for a label, which all parts share, under a lock.
 *
 * Names of tools come from outside, so their number is bounded: beyond it, or without
 * memory, calls are counted with the others.
 */
#include "pool/meter.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

void sp__meter_init(struct meter *meter)
{
    *meter = (struct meter){.own = {.max = METER_TOOLS}};
    (void)pthread_mutex_init(&meter->own.lock, NULL);
    meter->labels = &meter->own;
}

void sp__meter_join(struct meter *meter, struct meter *front)
{
    meter->labels = front->labels;
}

static void free_tool(struct tool_meter *tool)
{
    if (tool != NULL) {
        sp__free(tool->exemplars);
        sp__free(tool);
    }
}

void sp__meter_fini(struct meter *meter)
{
    if (meter->labels == NULL) {
        return;
    }
    for (uint32_t i = 0; meter->tools != NULL && i < meter->tools_max; i++) {
        free_tool(meter->tools[i]);
    }
    for (uint32_t i = 0; i < meter->own.count; i++) {
        sp__free(meter->own.names[i]);
    }
    sp__free(meter->tools);
    sp__free(meter->other.exemplars);
    sp__free(meter->own.names);
    (void)pthread_mutex_destroy(&meter->own.lock);
    *meter = (struct meter){0};
}

/* ---- labels ---- */

/* The label of a name, `max` when there is no room for another. */
static uint32_t find_label(struct meter_labels *labels, const char *name)
{
    uint32_t at = 0;
    if (strcmp(name, METER_OTHER) == 0) {
        return labels->max; /* it would be the same line */
    }
    (void)pthread_mutex_lock(&labels->lock);
    while (at < labels->count && strcmp(labels->names[at], name) != 0) {
        at++;
    }
    if (labels->names == NULL && labels->max > 0) {
        labels->names = sp__calloc(labels->max, sizeof *labels->names);
    }
    if (at == labels->count && at < labels->max && labels->names != NULL) {
        labels->names[at] = sp__strdup(name);
        labels->count += labels->names[at] != NULL;
    }
    uint32_t label = at < labels->count ? at : labels->max;
    (void)pthread_mutex_unlock(&labels->lock);
    return label;
}

struct tool_meter *sp__meter_tool(struct meter *meter, const char *name)
{
    uint32_t max = meter->labels->max;
    uint32_t label = find_label(meter->labels, name);
    if (meter->tools == NULL && max > 0) {
        meter->tools = sp__calloc(max, sizeof *meter->tools);
        meter->tools_max = max;
    }
    if (label == max || meter->tools == NULL) {
        return &meter->other;
    }
    if (meter->tools[label] == NULL) {
        meter->tools[label] = sp__calloc(1, sizeof(struct tool_meter));
    }
    return meter->tools[label] != NULL ? meter->tools[label] : &meter->other;
}

/* ---- counting ---- */

uint32_t sp__meter_code(int code)
{
    return code <= 0 && code > -METER_CODES ? (uint32_t)-code
                                            : (uint32_t)METER_CODE_SYSTEM;
}

uint32_t sp__meter_death(int why)
{
    return why > 0 && why < METER_DEATHS ? (uint32_t)why
                                         : (uint32_t)METER_DEATH_UNKNOWN;
}

static void note_trace(struct tool_meter *tool, uint32_t step, uint64_t us,
                       const char *trace)
{
    if (tool->exemplars == NULL) {
        tool->exemplars = sp__calloc(HISTOGRAM_STEPS, sizeof *tool->exemplars);
    }
    if (tool->exemplars != NULL) {
        struct exemplar *exemplar = &tool->exemplars[step];
        exemplar->us = us;
        exemplar->unix_ms = sp__unix_ns() / 1000000u;
        sp__trace_id_text(trace, exemplar->trace_id);
    }
}

void sp__meter_ran(struct tool_meter *tool, uint64_t run_us, const char *trace)
{
    uint32_t step = sp__histogram_add(&tool->counts.run, run_us);
    /* Only traces that somebody keeps are worth a look. */
    if (sp__trace_is_sampled(trace)) {
        note_trace(tool, step, run_us, trace);
    }
}

void sp__meter_started(struct meter *meter, const struct span_record *record)
{
    struct start_step steps[START_PHASES];
    size_t count = sp__span_start_steps(record, steps);
    (void)sp__histogram_add(&meter->counts.start, record->end_us - record->begin_us);
    for (size_t i = 0; i < count; i++) {
        (void)sp__histogram_add(&meter->counts.start_phases[steps[i].phase],
                                steps[i].end_us - steps[i].begin_us);
    }
}

/* ---- sums ---- */

int sp__meter_sum_init(struct meter_sum *sum, const struct meter_labels *labels,
                       sp_error *err)
{
    *sum = (struct meter_sum){0};
    sum->tools = sp__calloc((size_t)labels->max + 1, sizeof *sum->tools);
    if (sum->tools == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for metrics of %u tools",
                        labels->max);
    }
    sum->other = &sum->tools[labels->max];
    return SP_OK;
}

void sp__meter_sum_fini(struct meter_sum *sum)
{
    sp__free(sum->tools);
    *sum = (struct meter_sum){0};
}

static void add_all(uint64_t *sum, const uint64_t *part, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum[i] += part[i];
    }
}

static void add_tool(struct tool_sum *sum, const struct tool_meter *tool)
{
    add_all(sum->counts.endings, tool->counts.endings, METER_CODES);
    sp__histogram_merge(&sum->counts.run, &tool->counts.run);
    for (int i = 0; tool->exemplars != NULL && i < HISTOGRAM_STEPS; i++) {
        if (tool->exemplars[i].unix_ms > sum->exemplars[i].unix_ms) {
            sum->exemplars[i] = tool->exemplars[i];
        }
    }
}

static void add_counts(struct pool_counts *sum, const struct pool_counts *part)
{
    sp__histogram_merge(&sum->wait, &part->wait);
    sp__histogram_merge(&sum->start, &part->start);
    for (int i = 0; i < START_PHASES; i++) {
        sp__histogram_merge(&sum->start_phases[i], &part->start_phases[i]);
    }
    add_all(sum->rejected, part->rejected, METER_CODES);
    add_all(sum->cancelled, part->cancelled, METER_STAGES);
    add_all(sum->recycled, part->recycled, METER_REASONS);
    add_all(sum->deaths, part->deaths, METER_DEATHS);
    add_all(sum->homes, part->homes, SP_PLACED_MOVED + 1);
    sum->homes_refused += part->homes_refused;
}

void sp__meter_add(const struct meter *meter, struct meter_sum *sum)
{
    struct meter_labels *labels = meter->labels;
    add_counts(&sum->counts, &meter->counts);
    add_tool(sum->other, &meter->other);
    (void)pthread_mutex_lock(&labels->lock);
    sum->tools_count = labels->count;
    for (uint32_t i = 0; i < labels->count; i++) {
        sum->tools[i].name = labels->names[i];
    }
    (void)pthread_mutex_unlock(&labels->lock);
    for (uint32_t i = 0; meter->tools != NULL && i < sum->tools_count; i++) {
        if (meter->tools[i] != NULL) {
            add_tool(&sum->tools[i], meter->tools[i]);
        }
    }
}
