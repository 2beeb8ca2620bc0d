/* SPDX-License-Identifier: MIT */
/*
 * The metrics of a pit: one row each. Their figures are in the report "metrics"
 * (snakepit/report.h), in the format of Prometheus, OpenMetrics or JSON.
 *
 * X(id, kind, unit, name, labels, help)
 *
 *   kind    COUNTER only grows and ends in _total, GAUGE is a figure of now, HISTOGRAM
 *           counts in steps of 1, 2 and 5 from 100 us to 10 s, then 30 s and 60 s, INFO
 *           is a 1 whose labels are what it tells
 *   unit    base units, as the name ends (before _total); "" for plain numbers
 *   name    with its prefix, without _total
 *   labels  their names, in this order. `pool` is a pool's name, `worker` the number of a
 *           slot, never a process, `tool` is bounded by telemetry.tools_max with _OTHER
 *           for the rest, `code` is an error's name, SP-OK where there was none. Sessions
 *           are never labels
 */
#ifndef SNAKEPIT_METRIC_H
#define SNAKEPIT_METRIC_H

#define SP_METRIC_TABLE(X)                                                             \
    X(BUILD, INFO, "", "snakepit_build", "version", "What runs.")                      \
    X(START_TIME, GAUGE, "seconds", "snakepit_start_time_seconds", "",                 \
      "When the pit was opened, as Unix time.")                                        \
    X(HEALTH, GAUGE, "", "snakepit_health", "aspect",                                  \
      "1 where the pit is live, started, ready.")                                      \
    X(POOL_WORKERS, GAUGE, "", "snakepit_pool_workers", "pool state",                  \
      "Workers by state.")                                                             \
    X(POOL_WORKERS_MIN, GAUGE, "", "snakepit_pool_workers_min", "pool",                \
      "Workers that the pool keeps running.")                                          \
    X(POOL_WORKERS_MAX, GAUGE, "", "snakepit_pool_workers_max", "pool",                \
      "Workers that the pool may have, reliefs left out.")                             \
    X(POOL_CAPACITY, GAUGE, "", "snakepit_pool_capacity_slots", "pool",                \
      "Calls that the ready workers run at once.")                                     \
    X(POOL_BUSY, GAUGE, "", "snakepit_pool_busy_slots", "pool",                        \
      "Of these, how many calls have.")                                                \
    X(POOL_PIPELINED, GAUGE, "", "snakepit_pool_pipelined_calls", "pool",              \
      "Calls with workers that run others first.")                                     \
    X(QUEUE_LENGTH, GAUGE, "", "snakepit_pool_queue_length", "pool",                   \
      "Calls that wait for a worker.")                                                 \
    X(QUEUE_PEAK, GAUGE, "", "snakepit_pool_queue_peak", "pool",                       \
      "The most that ever waited.")                                                    \
    X(QUEUE_LIMIT, GAUGE, "", "snakepit_pool_queue_limit", "pool",                     \
      "The most that may wait; one more is refused.")                                  \
    X(QUEUE_OLDEST, GAUGE, "seconds", "snakepit_pool_queue_oldest_seconds", "pool",    \
      "How long the first in the queue has waited, 0 when nobody does.")               \
    X(QUEUE_WAIT, HISTOGRAM, "seconds", "snakepit_queue_wait_seconds", "pool",         \
      "Time of calls until their first worker, or until they gave up waiting.")        \
    X(CALLS, COUNTER, "", "snakepit_calls", "pool tool code",                          \
      "Calls that ended, by how.")                                                     \
    X(CALL_DURATION, HISTOGRAM, "seconds", "snakepit_call_duration_seconds",           \
      "pool tool", "Time of calls with their worker, waiting before it left out.")     \
    X(CALLS_REJECTED, COUNTER, "", "snakepit_calls_rejected", "pool reason",           \
      "Calls that were refused before they waited, by the error they got.")            \
    X(CALLS_CANCELLED, COUNTER, "", "snakepit_calls_cancelled", "pool stage",          \
      "Calls that were cancelled, by how far they had come.")                          \
    X(CALL_RETRIES, COUNTER, "", "snakepit_call_retries", "pool",                      \
      "Attempts after a call's first.")                                                \
    X(QUEUE_TIMEOUTS, COUNTER, "", "snakepit_call_queue_timeouts", "pool",             \
      "Calls that no worker became free for in time.")                                 \
    X(CALL_TIMEOUTS, COUNTER, "", "snakepit_call_timeouts", "pool",                    \
      "Calls that did not end in time.")                                               \
    X(STREAM_CHUNKS, COUNTER, "", "snakepit_stream_chunks", "pool",                    \
      "Chunks of streams that came from workers.")                                     \
    X(WORKER_SPAWNED, COUNTER, "", "snakepit_worker_spawned", "pool",                  \
      "Worker processes that were started.")                                           \
    X(WORKER_START, HISTOGRAM, "seconds", "snakepit_worker_start_seconds",             \
      "pool phase",                                                                    \
      "Time of workers from the wish for them to ready: total, and of it spawn, "      \
      "exec, "                                                                         \
      "import, announce, or connect where a worker tells no more.")                    \
    X(WORKER_RECYCLED, COUNTER, "", "snakepit_worker_recycled", "pool reason",         \
      "Workers that a fresh one has replaced.")                                        \
    X(WORKER_DEATHS, COUNTER, "", "snakepit_worker_deaths", "pool cause",              \
      "Worker processes that ended, also those that were asked to.")                   \
    X(WORKER_RSS, GAUGE, "bytes", "snakepit_worker_resident_memory_bytes",             \
      "pool worker", "Resident memory of the worker's process at the last look.")      \
    X(WORKER_TREE, GAUGE, "bytes", "snakepit_worker_tree_memory_bytes", "pool worker", \
      "Memory of the worker and all it has started, shared pages split.")              \
    X(WORKER_CPU, COUNTER, "seconds", "snakepit_worker_cpu_seconds", "pool worker",    \
      "Processor time of the slot's process at the last look.")                        \
    X(WORKER_HEARTBEAT, GAUGE, "seconds", "snakepit_worker_heartbeat_age_seconds",     \
      "pool worker", "Time since the worker's last sign of life.")                     \
    X(WORKER_FDS, GAUGE, "", "snakepit_worker_open_fds", "pool worker",                \
      "Descriptors that the worker's process has open.")                               \
    X(BREAKER, GAUGE, "", "snakepit_breaker_state", "pool",                            \
      "0: workers are started; 1: not for a while, too many died; 2: one is tried.")   \
    X(AFFINITY, COUNTER, "", "snakepit_session_affinity", "pool result",               \
      "Calls of sessions: hit went to the session's worker, miss had none yet, "       \
      "moved went to another, refused insisted on one that it could not have.")        \
    X(SESSIONS, GAUGE, "", "snakepit_sessions", "", "Sessions there are.")             \
    X(SESSION_LIMIT, GAUGE, "", "snakepit_session_limit", "",                          \
      "Sessions there may be.")                                                        \
    X(SESSIONS_CREATED, COUNTER, "", "snakepit_sessions_created", "",                  \
      "Sessions that were created.")                                                   \
    X(SESSIONS_DELETED, COUNTER, "", "snakepit_sessions_deleted", "",                  \
      "Sessions that were deleted.")                                                   \
    X(SESSIONS_EXPIRED, COUNTER, "", "snakepit_sessions_expired", "",                  \
      "Sessions whose time was over.")                                                 \
    X(VARIABLES, GAUGE, "", "snakepit_variables", "", "Variables of all sessions.")    \
    X(VARIABLE_BYTES, GAUGE, "bytes", "snakepit_session_memory_bytes", "",             \
      "Memory of all that is in sessions.")                                            \
    X(CALLBACKS, COUNTER, "", "snakepit_tool_callbacks", "tool code",                  \
      "Calls of host tools, the program's functions, by how they ended.")              \
    X(WIRE_BYTES, COUNTER, "bytes", "snakepit_wire_bytes", "peer direction",           \
      "Bytes to and from workers and clients, memory that is shared left out.")        \
    X(CLIENTS, GAUGE, "", "snakepit_clients", "", "Connections of clients.")           \
    X(CLIENT_CALLS, GAUGE, "", "snakepit_client_calls", "", "Calls of clients.")       \
    X(CLIENTS_TOTAL, COUNTER, "", "snakepit_client_connections", "",                   \
      "Connections of clients that were taken.")                                       \
    X(CLIENTS_REFUSED, COUNTER, "", "snakepit_client_connections_refused", "reason",   \
      "Connections that were refused or cut: not allowed, no room, idle, too slow.")   \
    X(ORPHANS, COUNTER, "", "snakepit_orphans_reaped", "when",                         \
      "Processes of a dead run that were ended: at the start, or after the guard "     \
      "was lost.")                                                                     \
    X(LOOP_LAG, HISTOGRAM, "seconds", "snakepit_loop_lag_seconds", "",                 \
      "How late the loops came to what they do every sample_interval.")                \
    X(EVENTS_DROPPED, COUNTER, "", "snakepit_events_dropped", "",                      \
      "Events that handlers and watchers were too slow for.")                          \
    X(EXPORT_DROPPED, COUNTER, "", "snakepit_export_dropped", "signal reason",         \
      "Calls (traces), rounds (metrics) and datagrams (statsd) that nobody took; "     \
      "refused: what a collector left out of what it took.")                           \
    X(PROCESS_CPU, COUNTER, "seconds", "process_cpu_seconds", "",                      \
      "Processor time of the host, in user and system mode.")                          \
    X(PROCESS_RSS, GAUGE, "bytes", "process_resident_memory_bytes", "",                \
      "Resident memory of the host.")                                                  \
    X(PROCESS_VIRTUAL, GAUGE, "bytes", "process_virtual_memory_bytes", "",             \
      "Virtual memory of the host.")                                                   \
    X(PROCESS_START, GAUGE, "seconds", "process_start_time_seconds", "",               \
      "When the host was started, as Unix time.")                                      \
    X(PROCESS_FDS, GAUGE, "", "process_open_fds", "",                                  \
      "Descriptors that the host has open.")                                           \
    X(PROCESS_FDS_MAX, GAUGE, "", "process_max_fds", "",                               \
      "Descriptors that the host may have open.")

#endif
