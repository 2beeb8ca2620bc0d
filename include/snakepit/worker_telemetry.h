/* SPDX-License-Identifier: MIT */
/*
 * What a worker reports while it works: events with a name, figures and facts.
 *
 *     if (sp_worker_wants(worker, "model.loaded")) {
 *         sp_emission event = {.size = sizeof event, .name = "model.loaded", .job = job};
 *         event.measurements = sp_text("{\"bytes\":4096}");
 *         (void)sp_worker_emit(worker, &event, &err);
 *     }
 *
 * Events go to whoever listens to the worker's telemetry: its host, or a gRPC client of
 * StreamTelemetry. A listener says which events it wants, and how many of them. One that
 * does not read loses events, which are counted; a worker never waits for it.
 */
#ifndef SNAKEPIT_WORKER_TELEMETRY_H
#define SNAKEPIT_WORKER_TELEMETRY_H

#include "base.h"
#include "error.h"
#include "worker.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sp_emission {
    size_t size;
    const char *name; /* 1 to 255 bytes, parts with dots between: "model.loaded" */
    /* JSON objects, or nothing. Of the measurements numbers, booleans (0 or 1) and texts
     * are kept, 32 at most; of the metadata everything, as text, 32 at most. */
    sp_bytes measurements;
    sp_bytes metadata;
    const char *correlation_id; /* or NULL: the job's, if its call has one */
    /* A job that has not ended, or NULL: adds to the metadata, unless they are there,
     * tool, session_id and, of a call in a trace, trace_id and span_id; and to a pit,
     * which call it is. */
    const sp_job *job;
    /* NULL for an event of its own. Events of one thing, its start and its end, point to
     * one number, 0 at first: they go to the same listeners. */
    uint32_t *span;
} sp_emission;

/* 0 when nobody listens; else a number that is another one once a listener wants something
 * else: what sp_worker_wants() said holds as long as this is the same. Costs a load and a
 * test, so that nothing needs to be made for nobody. NULL: 0. Thread: any. Since: 0.1 */
SP_API int sp_worker_listens(const sp_worker *worker);

/* 1 when somebody wants to hear of events of this name. Answers are remembered, for 64 names
 * or so; while nobody listens this costs what sp_worker_listens() does. NULL: 0. Thread: any.
 * Since: 0.1 */
SP_API int sp_worker_wants(sp_worker *worker, const char *event);

/*
 * Report an event. Returns 1 when somebody gets it, 0 when nobody wants it, or all who do
 * have too many unread.
 *
 * Errors: SP_ERR_INVAL (the size, no name, one that is too long), SP_ERR_BAD_JSON,
 * SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG (more than 32 KiB), SP_ERR_NOMEM. Thread: any.
 * Since: 0.1
 */
SP_API int sp_worker_emit(sp_worker *worker, const sp_emission *event, sp_error *err);

/* Events that listeners lost because they did not read. Thread: any. Since: 0.1 */
SP_API uint64_t sp_worker_events_dropped(sp_worker *worker);

#ifdef __cplusplus
}
#endif
#endif
