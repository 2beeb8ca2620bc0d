/* SPDX-License-Identifier: MIT */
/*
 * What happened: workers that came and went, calls, sessions, warnings, output of workers.
 *
 * event_table.h has them all. A program hears of them in two ways:
 *
 * sp_pit_options.on_event is told the few that matter to whoever runs a pit (TOLD in the
 * table). They wait in bounded queues and come, in their order, inside sp_pit_dispatch(), on
 * the thread that calls it. At most 1 024 wait, and as many lines that workers have printed;
 * the oldest goes first, and how many went is told: of events by a warning, of lines by one
 * more line. So a flood of output pushes out no event.
 *
 * sp_events_attach() hands any events to a handler, on a thread of the library's. A slow
 * handler loses events, which are counted; it never slows a call or another handler.
 */
#ifndef SNAKEPIT_EVENT_H
#define SNAKEPIT_EVENT_H

#include "base.h"
#include "death.h"
#include "error.h"
#include "event_table.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sp_pit; /* pit.h */

/* SP_EVENT_WORKER_DIED and so on: the numbers of the table. */
enum {
#define X(constant, number, name, flow, about, aliases, measurements, metadata, since, \
          meaning)                                                                     \
    SP_EVENT_##constant = number,
    SP_EVENT_TABLE(X)
#undef X
};

enum { SP_EVENT_FLOW_TOLD = 1, SP_EVENT_FLOW_FEW, SP_EVENT_FLOW_MANY };

enum {
    SP_EVENT_ABOUT_PIT,
    SP_EVENT_ABOUT_POOL,
    SP_EVENT_ABOUT_WORKER,
    SP_EVENT_ABOUT_CALL,
    SP_EVENT_ABOUT_SESSION
};

enum {
    SP_EVENT_ALIASES_MAX = 5,
    SP_EVENT_MEASUREMENTS_MAX = 6,
    SP_EVENT_METADATA_MAX = 5
};

/* A row of the table. Constant, for ever. */
typedef struct sp_event_info {
    int kind;  /* SP_EVENT_ */
    int flow;  /* SP_EVENT_FLOW_ */
    int about; /* SP_EVENT_ABOUT_ */
    const char *name;
    const char
        *aliases[SP_EVENT_ALIASES_MAX + 1]; /* to the first NULL, as the others */
    const char
        *measurements[SP_EVENT_MEASUREMENTS_MAX * 3 + 1]; /* name, type, unit ... */
    const char
        *metadata[SP_EVENT_METADATA_MAX + 1]; /* beside those that `about` says */
    const char *since;
    const char *meaning;
} sp_event_info;

typedef struct sp_event_measurement {
    const char *name;
    double value;
} sp_event_measurement;

typedef struct sp_event_metadata {
    const char *name;
    const char *text;
} sp_event_metadata;

typedef struct sp_event {
    int kind; /* SP_EVENT_ */
    uint64_t time_unix_ms;
    const char *pool; /* name, or "" */
    sp_id worker;     /* 0 when none is concerned */
    uint32_t slot;
    int pid;
    int exit_status; /* WORKER_DIED, WORKER_STOPPED: exit status or -1 */
    int signal;      /* the signal that ended it, or 0 */
    uint64_t duration_ms;
    const char *session;   /* its id, of what concerns one or a call in one; or "" */
    const char *message;   /* one line; borrowed until the callback returns */
    const sp_death *death; /* WORKER_DIED, WORKER_STOPPED: the certificate, borrowed;
                              NULL for other events, without memory for one, and in
                              handlers */
    const char *name;      /* of the kind, "worker.died" */
    const sp_event_measurement *measurements;
    size_t measurements_count;
    const sp_event_metadata *metadata; /* pool, worker, pid, session, message too */
    size_t metadata_count;
    uint64_t time_unix_ns;
} sp_event;

typedef void (*sp_event_cb)(const sp_event *event, void *user_data);

/* "worker.died" for SP_EVENT_WORKER_DIED and so on; "unknown" for other numbers. Any
 * thread. Since 0.1. */
SP_API const char *sp_event_name(int kind);

/* Rows of the table: the index-th from 0 on, NULL behind the last; or the one of a name or
 * an alias, with "snakepit." in front or without, NULL when there is none. Any thread.
 * Since 0.1. */
SP_API const sp_event_info *sp_event_info_at(size_t index);
SP_API const sp_event_info *sp_event_info_find(const char *name);

/*
 * Have a handler called for each event of a pit that fits the pattern: names and prefixes
 * that end in a dot, with commas between them ("worker., pool.saturated"); "" is every
 * event. What happened before is not told.
 *
 * The handler runs on a thread of the library's that it has for itself, so it may take its
 * time, attach and detach handlers (itself too), and call anything but sp_pit_close() and
 * sp_pit_shutdown() of this pit. The event and all it points at are borrowed until it
 * returns. Events come in their order; when the handler is slower than they are, the oldest
 * are dropped and counted, and events.dropped says so once.
 *
 * The pit's end detaches: it gives the handler what there is, for two seconds at most, and
 * waits until it has returned.
 *
 * Errors: INVAL (the pit or handler is NULL, or the pattern fits no event), QUOTA (64
 * handlers are attached), CLOSED (the pit closes), NOMEM, SYSTEM (no thread). Any thread.
 * Since 0.1.
 */
SP_API int sp_events_attach(struct sp_pit *pit, const char *pattern,
                            sp_event_cb handler, void *user_data, uint64_t *ret_id,
                            sp_error *err);

/*
 * End that. The handler is not called any more once this has returned; called inside a
 * handler, this does not wait, so another handler that it ends may run to its end.
 *
 * Errors: INVAL, NOT_FOUND. Any thread. Since 0.1.
 */
SP_API int sp_events_detach(struct sp_pit *pit, uint64_t id, sp_error *err);

typedef struct sp_events_stats {
    size_t size;        /* sizeof the struct, set by the caller */
    uint64_t delivered; /* taken for the handler, up to some dozens in a row */
    uint64_t dropped;
} sp_events_stats;

/* How a handler fares; all of them together for id 0, those that were detached too.
 * Errors: INVAL, NOT_FOUND. Any thread. Since 0.1. */
SP_API int sp_events_stats_get(struct sp_pit *pit, uint64_t id,
                               sp_events_stats *ret_stats, sp_error *err);

/*
 * What of the events that workers make (python.call.stop, worker.telemetry ...) is told at
 * all. Patterns are names with '*' for anything and '?' for any one character, with commas
 * or blanks between them: "python.call.*, model.loaded"; 32 in a list, 4096 bytes. A row of
 * the table is meant by each of its names.
 */
typedef struct sp_telemetry_options {
    size_t size; /* sizeof the struct, set by the caller */
    int off;     /* 1: workers make none */
    /* How many of a thousand are told, default 1000; SP_NONE: none. What is told of one
     * call, or of one span, is told or left out as a whole, as its first event is. */
    uint32_t sample_permille;
    const char *sample; /* these alone are thinned so; NULL: all */
    const char *allow;  /* these alone are told; NULL: all */
    const char *deny;   /* and of them not these; NULL: no exception */
} sp_telemetry_options;

/*
 * Say so for a pool, or (NULL) for all of them, which ends what was said of single ones. It
 * takes the place of what was said before; options NULL: all is told again.
 *
 * Workers make an event only while a handler wants it (sp_events_attach()); this is what
 * they leave out of that. Each worker hears of a change, of handlers too, before the next
 * call that is made, and a new one before its first. In a worker that nobody listens to, an
 * event costs a load and a test.
 *
 * A worker of a stock runtime gets the same wishes, and may not know them.
 *
 * Errors: INVAL (the pit is NULL, the size, a share above 1000, a list that is too long),
 * NO_POOL, NOMEM; then all is as before. Any thread. Since 0.1.
 */
SP_API int sp_telemetry_control(struct sp_pit *pit, const char *pool,
                                const sp_telemetry_options *options, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
