/* SPDX-License-Identifier: MIT */
/*
 * What a pool counts of its calls and workers, for metrics: endings and run times of each
 * tool, waiting times, ends of workers. Loop thread, except where something says otherwise.
 *
 * Recording takes no lock and no memory, but for the first call of a tool. Tools are told
 * apart up to a limit, over all parts of a pool; the rest is counted together.
 */
#ifndef SP_POOL_METER_H
#define SP_POOL_METER_H

#include <pthread.h>
#include <stdint.h>

#include "base/histogram.h"
#include "pool/spans.h"
#include "pool/trace.h"
#include "snakepit/call.h"
#include "snakepit/death.h"
#include "snakepit/error.h"

/* Places in a table by the codes of errors, by the causes of deaths. */
enum {
#define X(name, ...) METER_CODE_##name,
    METER_CODE_OK,
    SP_ERROR_TABLE(X)
#undef X
        METER_CODES
};
enum {
#define X(name, ...) METER_DEATH_##name,
    METER_DEATH_UNKNOWN,
    SP_DEATH_TABLE(X)
#undef X
        METER_DEATHS
};
enum {
    METER_STAGES = SP_STAGE_STREAMING + 1,
    METER_REASONS = 8, /* enum core_reason */
    METER_TOOLS = 100  /* told apart, where nothing else is said */
};

/* The name of the tools that are not told apart. */
#define METER_OTHER "_OTHER"

/* The last call of a trace in one step of a histogram. */
struct exemplar {
    char trace_id[TRACE_ID_TEXT_BYTES]; /* "": there was none */
    uint64_t us;
    uint64_t unix_ms;
};

struct tool_counts {
    uint64_t endings[METER_CODES];
    struct histogram run; /* of calls that were with a worker, since they were sent */
};

struct tool_meter {
    struct tool_counts counts;
    struct exemplar *exemplars; /* HISTOGRAM_STEPS of `run`; NULL: none is traced */
};

struct pool_counts {
    struct histogram wait; /* of calls, for their first worker, or until they gave up */
    struct histogram start; /* of workers, from the wish to ready */
    struct histogram start_phases[START_PHASES]; /* and what it consists of */
    uint64_t rejected[METER_CODES];              /* calls that never waited */
    uint64_t cancelled[METER_STAGES];
    uint64_t recycled[METER_REASONS];
    uint64_t deaths[METER_DEATHS];
    uint64_t homes[SP_PLACED_MOVED + 1];
    uint64_t homes_refused; /* calls that insisted on one they could not have */
};

/* The tools of a pool that are told apart. */
struct meter_labels {
    uint32_t max; /* set before start, then constant */
    pthread_mutex_t lock;
    /* Under lock; a name that is there stays. */
    char **names;
    uint32_t count;
};

struct meter {
    struct pool_counts counts;
    struct tool_meter other;   /* the tools that are not told apart */
    struct tool_meter **tools; /* by label; NULL: it has had no call here */
    uint32_t tools_max;
    struct meter_labels
        *labels; /* of the pool: in the first part, which may go first */
    struct meter_labels own;
};

void sp__meter_init(struct meter *meter);
/* A part of a pool that `front` is the first part of. */
void sp__meter_join(struct meter *meter, struct meter *front);
void sp__meter_fini(struct meter *meter);

/* What counts the calls of a tool: the same for all tools beyond the limit. Stays. */
struct tool_meter *sp__meter_tool(struct meter *meter, const char *name);

/* A call was with a worker for so long. trace: a traceparent or "". */
void sp__meter_ran(struct tool_meter *tool, uint64_t run_us, const char *trace);

/* A worker's START is over. */
void sp__meter_started(struct meter *meter, const struct span_record *record);

/* Any thread: the place of a code or a cause in its table. */
uint32_t sp__meter_code(int code);
uint32_t sp__meter_death(int why);

/* ---- sums ---- */

struct tool_sum {
    const char *name; /* NULL: the tools that are not told apart; the pool's */
    struct tool_counts counts;
    struct exemplar exemplars[HISTOGRAM_STEPS];
};

/* Over the parts of a pool. */
struct meter_sum {
    struct pool_counts counts;
    uint32_t tools_count;   /* with a name */
    struct tool_sum *tools; /* by label */
    struct tool_sum *other; /* behind them: those that are not told apart */
};

/* Any thread: a sum with room for all there may be. */
int sp__meter_sum_init(struct meter_sum *sum, const struct meter_labels *labels,
                       sp_error *err) SP_MUST_CHECK;
void sp__meter_sum_fini(struct meter_sum *sum);
void sp__meter_add(const struct meter *meter, struct meter_sum *sum);

#endif
