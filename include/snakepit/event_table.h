/* SPDX-License-Identifier: MIT */
/*
 * Every event there is, in one table: it makes the constants of event.h, the page
 * snakepit-events(7), `snakepit events --list` and `snakepit explain NAME`, and a test that
 * makes each of them happen.
 *
 * X(constant, number, name, flow, about, aliases, measurements, metadata, since, meaning)
 *
 * Numbers are ABI: append, never reuse. The original (snakepit for Elixir) writes
 * "[:snakepit, :worker, :recycled]" for what is "worker.recycled" here. Where its versions,
 * or it and this project, have two names for one thing, there is one event, and the other
 * names are aliases: whatever takes a name takes those too. An alias of several events
 * means all of them.
 *
 * flow: TOLD, few of them, also told to sp_pit_options.on_event; FEW; MANY, up to several
 * for each call, which cost nothing while no handler wants them and are in no history.
 *
 * about: the metadata that each has by its kind. PIT: none. POOL: pool. WORKER: pool,
 * worker (its slot), pid. CALL: these and session. SESSION: session. Those that concern
 * nobody in particular are left out. TOLD ones also have message.
 *
 * What a worker makes begins with "worker: " in its meaning. It is made only while a
 * handler wants it (see sp_telemetry_control()), and may say more than stands here.
 *
 * measurements: name, type, unit, name, type, unit ... metadata: names. SP_EVENT_NO stands
 * for none.
 */
#ifndef SNAKEPIT_EVENT_TABLE_H
#define SNAKEPIT_EVENT_TABLE_H

/* clang-format off */
#define SP_EVENT_NO ((const char *)0)

#define SP_EVENT_TABLE(X)                                                              \
    X(WARNING, 1, "warning", TOLD, POOL, (SP_EVENT_NO), (SP_EVENT_NO), (SP_EVENT_NO),  \
      "0.1", "something is not as it should be; message says what, and what to do")    \
    X(WORKER_SPAWNED, 2, "worker.spawned", TOLD, WORKER,                               \
      ("pool.worker.spawn_started"), (SP_EVENT_NO), (SP_EVENT_NO), "0.1",              \
      "a worker's process exists; it is not ready yet")                                \
    X(WORKER_READY, 3, "worker.ready", TOLD, WORKER,                                   \
      ("worker.initialized", "worker.started", "pool.worker.spawned",                  \
       "pool.worker_ready"),                                                           \
      ("duration_ms", "integer", "ms", "initialization_time", "float", "s",            \
       "worker_count", "integer", "workers"),                                          \
      ("mode"), "0.1",                                                                 \
      "a worker takes calls; measured from its start, with those that are ready now; " \
      "mode is executed or forked")                                                    \
    X(WORKER_STOPPED, 4, "worker.stopped", TOLD, WORKER, ("pool.worker.terminated"),   \
      ("lifetime", "integer", "ms", "total_commands", "integer", "calls"),             \
      ("reason", "planned", "exit_code"), "0.1",                                       \
      "a worker has ended after being asked to")                                       \
    X(WORKER_DIED, 5, "worker.died", TOLD, WORKER,                                     \
      ("worker.crash", "pool.worker.terminated"),                                      \
      ("lifetime", "integer", "ms", "total_commands", "integer", "calls"),             \
      ("reason", "planned", "exit_code"), "0.1",                                       \
      "a worker has ended and nobody had asked; message has the cause")                \
    X(WORKER_OUTPUT, 6, "worker.output", TOLD, CALL, (SP_EVENT_NO), (SP_EVENT_NO),     \
      ("stream", "generation", "command", "call"), "0.1",                              \
      "message is one line that a worker printed, on its stdout or stderr; session, "  \
      "command and call are what it ran then, when that is certain")                   \
    X(POOL_READY, 7, "pool.ready", TOLD, POOL,                                         \
      ("pool.init_complete", "pool.initialized"),                                      \
      ("duration_ms", "integer", "ms", "total_workers", "integer", "workers",          \
       "count", "integer", "workers"),                                                 \
      (SP_EVENT_NO), "0.1", "every worker of a pool is ready, for the first time")     \
    X(POOL_SATURATED, 8, "pool.saturated", TOLD, POOL, (SP_EVENT_NO),                  \
      ("queue_size", "integer", "calls", "max_queue_size", "integer", "calls"),        \
      ("available_workers", "busy_workers"), "0.1",                                    \
      "a call was refused, because the queue is full")                                 \
    X(HEALTH_FAILED, 9, "worker.health_check_failed", TOLD, WORKER,                    \
      ("worker.health_failed"), ("count", "integer", "checks"), ("reason"), "0.1",     \
      "a worker gives no sign of life and is ended")                                   \
    X(RECYCLE_STARTED, 10, "worker.recycle_started", TOLD, WORKER, (SP_EVENT_NO),      \
      (SP_EVENT_NO), ("reason"), "0.1",                                                \
      "a relief for this worker starts")                                               \
    X(WORKER_RECYCLED, 11, "worker.recycled", TOLD, WORKER, (SP_EVENT_NO),             \
      ("count", "integer", "workers"),                                                 \
      ("reason", "uptime_seconds", "request_count"), "0.1",                            \
      "an old worker leaves, and a fresh one has its work; reason is ttl, max_calls, " \
      "memory, operator or spent")                                                     \
    X(RECYCLE_FAILED, 12, "worker.recycle_failed", TOLD, WORKER, (SP_EVENT_NO),        \
      (SP_EVENT_NO), ("reason"), "0.1",                                                \
      "the relief did not start, so the old worker stays")                             \
    X(RECYCLE_LOOP, 13, "worker.recycle_loop", TOLD, WORKER, (SP_EVENT_NO),            \
      (SP_EVENT_NO), (SP_EVENT_NO), "0.1",                                             \
      "a fresh worker is over the memory limit: it stays")                             \
    X(BREAKER_OPENED, 14, "breaker.opened", TOLD, POOL, ("circuit_breaker.opened"),    \
      ("failure_count", "integer", "deaths"), (SP_EVENT_NO), "0.1",                    \
      "too many deaths or failed starts: no more starts for a while")                  \
    X(BREAKER_PROBED, 15, "breaker.probed", TOLD, POOL, ("circuit_breaker.half_open"), \
      (SP_EVENT_NO), (SP_EVENT_NO), "0.1",                                             \
      "one worker is started to see whether it works again")                           \
    X(BREAKER_CLOSED, 16, "breaker.closed", TOLD, POOL, ("circuit_breaker.closed"),    \
      (SP_EVENT_NO), (SP_EVENT_NO), "0.1", "a probe went well: workers start again")   \
    X(CALL_RETRIED, 17, "call.retried", TOLD, CALL, ("retry.backoff"),                 \
      ("delay_ms", "integer", "ms"), ("command"), "0.1",                               \
      "an idempotent call is run again after this pause")                              \
    X(CALL_POISONED, 18, "call.poisoned", TOLD, CALL, (SP_EVENT_NO), (SP_EVENT_NO),    \
      ("command"), "0.1", "a call has ended too many workers and is given up")         \
    X(GUARD_READY, 19, "guard.ready", TOLD, PIT, (SP_EVENT_NO), (SP_EVENT_NO),         \
      (SP_EVENT_NO), "0.1",                                                            \
      "the guard is there; message is how sure the end of all workers is")             \
    X(SESSION_EXPIRED, 20, "session.expired", TOLD, SESSION,                           \
      ("session_store.session.expired"), (SP_EVENT_NO), (SP_EVENT_NO), "0.1",          \
      "a session's time to live is over; it is gone")                                  \
    X(SESSIONS_HIGH, 21, "sessions.high", TOLD, PIT,                                   \
      ("bridge.session.accumulation_warning"),                                         \
      ("current_sessions", "integer", "sessions", "max_sessions", "integer",           \
       "sessions", "utilization", "float", "1", "system_time", "integer", "ns"),       \
      ("reason"), "0.1", "there are nearly as many sessions as may be")                \
    X(ORPHAN_KILLED, 22, "orphan.killed", TOLD, PIT, (SP_EVENT_NO), (SP_EVENT_NO),     \
      ("pid"), "0.1", "a process that a dead run of the instance left was ended")      \
    X(SESSION_DELETED, 23, "session.deleted", TOLD, SESSION,                           \
      ("session_store.session.deleted", "session.destroyed"), (SP_EVENT_NO),           \
      (SP_EVENT_NO), "0.1", "a session was ended before its time was over")            \
    X(STORE_FULL, 24, "store.full", TOLD, PIT, (SP_EVENT_NO), (SP_EVENT_NO),           \
      (SP_EVENT_NO), "0.1",                                                            \
      "no room for changes of stored sessions; deletions work")                        \
    X(STORE_FAILED, 25, "store.failed", TOLD, PIT, (SP_EVENT_NO), (SP_EVENT_NO),       \
      (SP_EVENT_NO), "0.1", "the disk lost something: nothing is stored any more")     \
    X(STORE_RECOVERED, 26, "store.recovered", TOLD, PIT, (SP_EVENT_NO), (SP_EVENT_NO), \
      (SP_EVENT_NO), "0.1", "there is room again")                                     \
    X(SESSION_MOVED, 27, "session.moved", TOLD, CALL, ("session.affinity.broken"),     \
      (SP_EVENT_NO), (SP_EVENT_NO), "0.1",                                             \
      "the worker that ran a session's calls has ended, so its next one goes elsewhere") \
    X(CAPACITY_REACHED, 28, "pool.capacity_reached", TOLD, WORKER, (SP_EVENT_NO),      \
      ("capacity", "integer", "calls", "load", "integer", "calls"),                    \
      ("profile", "rejected"), "0.1",                                                  \
      "a worker that runs several calls at once has no room for another; told again "  \
      "once half of it has been free")                                                 \
    X(TELEMETRY, 29, "worker.telemetry", MANY, CALL, (SP_EVENT_NO), (SP_EVENT_NO),     \
      ("event", "tool", "call", "trace_id", "span_id"), "0.1",                         \
      "worker: an event that is not in this table, or not a worker's to tell, with "   \
      "measurements and metadata of its own")                                          \
    X(EVENTS_DROPPED, 30, "events.dropped", FEW, PIT, (SP_EVENT_NO),                   \
      ("count", "integer", "events"), ("pattern"), "0.1",                              \
      "a handler of events is too slow and begins to lose some; told once until it "   \
      "has caught up")                                                                 \
    X(POOL_INIT_STARTED, 31, "pool.init_started", FEW, POOL, (SP_EVENT_NO),            \
      ("total_workers", "integer", "workers", "count", "integer", "pools"),            \
      (SP_EVENT_NO), "0.1", "a pool begins to start its workers")                      \
    X(POOL_STATUS, 32, "pool.status", MANY, POOL, (SP_EVENT_NO),                       \
      ("total_workers", "integer", "workers", "available_workers", "integer",          \
       "workers", "busy_workers", "integer", "workers", "queue_depth", "integer",      \
       "calls", "requests", "integer", "calls", "errors", "integer", "calls"),         \
      (SP_EVENT_NO), "0.1", "how a pool is, once per sample_interval")                 \
    X(WORKER_SPAWN_FAILED, 33, "worker.spawn_failed", FEW, WORKER,                     \
      ("pool.worker.spawn_failed"), ("count", "integer", "workers"), ("reason"),       \
      "0.1", "a worker's process could not be started, or ended before it was ready")  \
    X(WORKER_RESTARTED, 34, "worker.restarted", FEW, WORKER,                           \
      ("pool.worker.restarted", "grpc.connection.reconnected"),                        \
      ("count", "integer", "workers", "downtime", "integer", "ms", "restart_count",    \
       "integer", "workers"),                                                          \
      ("reason", "exit_code"), "0.1",                                                  \
      "a fresh worker is ready in the place of one that died; the connection of a "    \
      "worker ends with its process, so this is its reconnection too")                 \
    X(WORKER_TAINTED, 35, "worker.tainted", FEW, WORKER, (SP_EVENT_NO),                \
      ("duration_ms", "integer", "ms"), ("reason", "exit_code"), "0.1",                \
      "a worker died of itself, and its place is avoided for so long")                 \
    X(CALL_DISPATCHED, 36, "call.dispatched", MANY, CALL, ("pool.call.dispatched"),    \
      ("system_time", "integer", "ns"), ("command", "queued"), "0.1",                  \
      "a call is given to a worker")                                                   \
    X(REQUEST_EXECUTED, 37, "request.executed", MANY, CALL, ("worker.request"),        \
      ("duration_us", "integer", "us", "duration", "integer", "ms"),                   \
      ("command", "success", "result"), "0.1",                                         \
      "a call has ended, measured from its making; result is ok or the error's name")  \
    X(QUEUE_ENQUEUED, 38, "queue.enqueued", MANY, CALL, ("pool.queue.enqueued"),       \
      ("queue_depth", "integer", "calls"), ("command"), "0.1",                         \
      "no worker has room: a call waits")                                              \
    X(QUEUE_DEQUEUED, 39, "queue.dequeued", MANY, CALL, ("pool.queue.dequeued"),       \
      ("queue_time", "integer", "us", "queue_depth", "integer", "calls"), ("command"), \
      "0.1", "a call that waited goes to a worker")                                    \
    X(QUEUE_TIMEOUT, 40, "queue.timeout", MANY, CALL, ("pool.queue.timeout"),          \
      ("queue_time", "integer", "us"), ("command"), "0.1",                             \
      "no worker became free for a call in time")                                      \
    X(EXECUTE_START, 41, "execute.start", MANY, CALL,                                  \
      ("grpc_worker.execute.start", "grpc.call.start"),                                \
      ("system_time", "integer", "ns"), ("operation", "command", "correlation_id"),    \
      "0.1", "a call without a session is sent to its worker")                         \
    X(EXECUTE_STOP, 42, "execute.stop", MANY, CALL,                                    \
      ("grpc_worker.execute.stop", "grpc.call.stop"),                                  \
      ("duration_ms", "float", "ms", "executions", "integer", "calls"),                \
      ("operation", "command", "correlation_id"), "0.1", "the worker of a call has answered") \
    X(EXECUTE_EXCEPTION, 43, "execute.exception", MANY, CALL,                          \
      ("grpc_worker.execute.exception", "grpc.call.exception"),                        \
      ("duration_ms", "float", "ms", "errors", "integer", "calls"),                    \
      ("operation", "command", "correlation_id", "error"), "0.1",                      \
      "a call has ended with an error after it was sent")                              \
    X(EXECUTE_SESSION_START, 44, "execute_session.start", MANY, CALL,                  \
      ("grpc_worker.execute_session.start", "grpc.call.start"),                        \
      ("system_time", "integer", "ns"), ("operation", "command", "correlation_id"),    \
      "0.1", "a call of a session is sent to its worker")                              \
    X(EXECUTE_SESSION_STOP, 45, "execute_session.stop", MANY, CALL,                    \
      ("grpc_worker.execute_session.stop", "grpc.call.stop"),                          \
      ("duration_ms", "float", "ms", "executions", "integer", "calls"),                \
      ("operation", "command", "correlation_id"), "0.1", "the worker of a call has answered") \
    X(EXECUTE_SESSION_EXCEPTION, 46, "execute_session.exception", MANY, CALL,          \
      ("grpc_worker.execute_session.exception", "grpc.call.exception"),                \
      ("duration_ms", "float", "ms", "errors", "integer", "calls"),                    \
      ("operation", "command", "correlation_id", "error"), "0.1",                      \
      "a call has ended with an error after it was sent")                              \
    X(STREAM_OPENED, 47, "stream.opened", MANY, CALL, ("grpc.stream.opened"),          \
      ("system_time", "integer", "ns"), ("command"), "0.1",                            \
      "a call that streams is sent to its worker")                                     \
    X(STREAM_MESSAGE, 48, "stream.message", MANY, CALL, ("grpc.stream.message"),       \
      ("sequence_number", "integer", "1", "message_size", "integer", "bytes"),         \
      ("command"), "0.1", "a chunk of a stream came; the first is 0")                  \
    X(STREAM_CLOSED, 49, "stream.closed", MANY, CALL, ("grpc.stream.closed"),          \
      ("message_count", "integer", "chunks", "duration_ms", "float", "ms"),            \
      ("command", "success"), "0.1", "a stream has ended")                             \
    X(CONNECTION_ESTABLISHED, 50, "connection.established", FEW, WORKER,               \
      ("grpc.connection.established"), (SP_EVENT_NO), ("transport"), "0.1",            \
      "the connection to a worker works; transport is inherited, unix or port")        \
    X(CONNECTION_LOST, 51, "connection.lost", FEW, WORKER, ("grpc.connection.lost"),   \
      ("uptime", "integer", "ms"), ("reason"), "0.1",                                  \
      "the connection to a worker broke while nobody had asked it to end")             \
    X(HEARTBEAT_STARTED, 52, "heartbeat.monitor_started", FEW, WORKER, (SP_EVENT_NO),  \
      ("interval_ms", "integer", "ms"), (SP_EVENT_NO), "0.1",                          \
      "a worker's signs of life are watched")                                          \
    X(HEARTBEAT_PING, 53, "heartbeat.ping_sent", MANY, WORKER, (SP_EVENT_NO),          \
      ("count", "integer", "pings"), (SP_EVENT_NO), "0.1",                             \
      "a worker gave no sign of life since the last look and is asked for one")        \
    X(HEARTBEAT_PONG, 54, "heartbeat.pong_received", MANY, WORKER, (SP_EVENT_NO),      \
      ("latency_ms", "float", "ms", "count", "integer", "pings"), (SP_EVENT_NO),       \
      "0.1", "a worker has answered a ping")                                           \
    X(HEARTBEAT_TIMEOUT, 55, "heartbeat.heartbeat_timeout", FEW, WORKER,               \
      (SP_EVENT_NO), ("missed", "integer", "pings"), (SP_EVENT_NO), "0.1",             \
      "a worker has not answered a ping by the next look")                             \
    X(HEARTBEAT_FAILURE, 56, "heartbeat.monitor_failure", FEW, WORKER, (SP_EVENT_NO),  \
      ("missed", "integer", "pings"), ("failure_reason"), "0.1",                       \
      "a worker has not for too long: it hangs, and is ended")                         \
    X(HEARTBEAT_STOPPED, 57, "heartbeat.monitor_stopped", FEW, WORKER, (SP_EVENT_NO),  \
      ("pings", "integer", "pings"), ("reason"), "0.1",                                \
      "a worker's signs of life are watched no more, because it ends")                 \
    X(SESSION_CREATED, 58, "session.created", MANY, SESSION,                           \
      ("session_store.session.created"), ("count", "integer", "sessions"),             \
      (SP_EVENT_NO), "0.1", "there is a new session, and so many in all")              \
    X(SESSION_ACCESSED, 59, "session.accessed", MANY, SESSION,                         \
      ("session_store.session.accessed"), (SP_EVENT_NO), (SP_EVENT_NO), "0.1",         \
      "somebody reads or changes a session, which prolongs its life")                  \
    X(SESSIONS_PRUNED, 60, "sessions.pruned", FEW, PIT, ("bridge.session.pruned"),     \
      ("count", "integer", "sessions", "remaining_sessions", "integer", "sessions",    \
       "system_time", "integer", "ns"),                                                \
      ("reason"), "0.1", "a cleaning up has ended sessions whose time was over")       \
    X(SESSION_ASSIGNED, 61, "session.assigned", MANY, CALL,                            \
      ("session.affinity.assigned"), (SP_EVENT_NO), (SP_EVENT_NO), "0.1",              \
      "a session has a worker that its calls go to")                                   \
    X(PROGRAM_STORED, 62, "program.stored", MANY, SESSION,                             \
      ("session_store.program.stored"), (SP_EVENT_NO), ("program_id"), "0.1",          \
      "a program was stored, in a session or for all")                                 \
    X(PROGRAM_RETRIEVED, 63, "program.retrieved", MANY, SESSION,                       \
      ("session_store.program.retrieved"), (SP_EVENT_NO), ("program_id"), "0.1",       \
      "a program was read")                                                            \
    X(PROGRAM_DELETED, 64, "program.deleted", MANY, SESSION,                           \
      ("session_store.program.deleted"), (SP_EVENT_NO), ("program_id"), "0.1",         \
      "a program was deleted")                                                         \
    X(VARIABLE_REGISTERED, 65, "variable.registered", MANY, SESSION,                   \
      ("session_store.variable.registered"), ("count", "integer", "variables"),        \
      ("name", "type"), "0.1", "a session has a new variable")                         \
    X(VARIABLE_GET, 66, "variable.get", MANY, SESSION, ("session_store.variable.get"), \
      ("count", "integer", "variables"), ("name", "cache_hit"), "0.1",                 \
      "a variable was read; this one is told by the host, which has no cache")         \
    X(VARIABLE_UPDATED, 67, "variable.updated", MANY, SESSION,                         \
      ("session_store.variable.updated"),                                              \
      ("count", "integer", "variables", "version", "integer", "1"), ("name", "type"),  \
      "0.1", "a variable has a new value")                                             \
    X(VARIABLE_DELETED, 68, "variable.deleted", MANY, SESSION,                         \
      ("session_store.variable.deleted"), ("count", "integer", "variables"), ("name"), \
      "0.1", "a variable was deleted")                                                 \
    X(VARIABLE_INVALID, 69, "variable.validation_failed", MANY, SESSION,               \
      ("session_store.variable.validation_failed"), ("count", "integer", "variables"), \
      ("name", "type", "reason"), "0.1", "a value does not fit a variable's type")     \
    X(VARIABLE_VIOLATES, 70, "variable.constraint_violation", MANY, SESSION,           \
      ("session_store.variable.constraint_violation"),                                 \
      ("count", "integer", "variables"), ("name", "type", "reason"), "0.1",            \
      "a value is of the variable's type and against its constraints")                 \
    X(VARIABLES_BATCH_GET, 71, "variables.batch_get", MANY, SESSION,                   \
      ("session_store.variables.batch_get"), ("count", "integer", "variables"),        \
      (SP_EVENT_NO), "0.1", "several variables were read at once")                     \
    X(VARIABLES_BATCH_UPDATE, 72, "variables.batch_update", MANY, SESSION,             \
      ("session_store.variables.batch_update"), ("count", "integer", "variables"),     \
      ("atomic"), "0.1", "several variables were given values at once")                \
    X(REGISTER_VARIABLE_START, 73, "register_variable.start", MANY, SESSION,           \
      ("grpc.register_variable.start"), ("system_time", "integer", "ns"), ("name"),    \
      "0.1", "a worker or a client asks for a new variable")                           \
    X(REGISTER_VARIABLE_STOP, 74, "register_variable.stop", MANY, SESSION,             \
      ("grpc.register_variable.stop"), ("duration_ms", "float", "ms"),                 \
      ("name", "type", "success"), "0.1", "the wish for a new variable was answered")  \
    X(CLEANUP_START, 75, "cleanup.start", FEW, PIT, (SP_EVENT_NO),                     \
      ("system_time", "integer", "ns"), ("run_id"), "0.1",                             \
      "the pit closes: its workers are being ended")                                   \
    X(CLEANUP_SUCCESS, 76, "cleanup.success", FEW, PIT,                                \
      ("application_cleanup.cleanup_success"),                                         \
      ("count", "integer", "pools", "duration_ms", "integer", "ms"), ("run_id"),       \
      "0.1", "every worker has ended within the grace")                                \
    X(CLEANUP_TIMEOUT, 77, "cleanup.timeout", FEW, PIT, (SP_EVENT_NO),                 \
      ("count", "integer", "pools", "duration_ms", "integer", "ms"), ("run_id"),       \
      "0.1", "some workers have not ended in time: the guard ends them now")           \
    X(CLEANUP_ORPHANS, 78, "cleanup.orphans_found", FEW, PIT,                          \
      ("application_cleanup.orphaned_processes_found"),                                \
      ("count", "integer", "processes"), ("run_id"), "0.1",                            \
      "processes of a dead run of the instance were found and ended")                  \
    X(CLEANUP_EMERGENCY, 79, "cleanup.emergency", FEW, PIT,                            \
      ("application_cleanup.emergency_cleanup"), ("count", "integer", "workers"),      \
      ("run_id", "reason"), "0.1",                                                     \
      "workers were ended by force: the guard is lost, or the grace was over")         \
    X(SHUTDOWN_START, 80, "shutdown.start", FEW, PIT, ("script.shutdown.start"),       \
      ("system_time", "integer", "ns"), ("exit_mode", "stop_mode", "run_id"), "0.1",   \
      "sp_pit_shutdown() or sp_run_as_script() begins to end the pit: calls may finish") \
    X(SHUTDOWN_STOP, 81, "shutdown.stop", FEW, PIT, ("script.shutdown.stop"),          \
      ("duration_ms", "integer", "ms", "count", "integer", "calls"),                   \
      ("exit_mode", "stop_mode", "run_id"), "0.1",                                     \
      "no more is waited for; so many calls had not finished")                         \
    X(SHUTDOWN_CLEANUP, 82, "shutdown.cleanup", FEW, PIT, ("script.shutdown.cleanup"), \
      ("duration_ms", "integer", "ms"),                                                \
      ("exit_mode", "stop_mode", "cleanup_result", "run_id"), "0.1",                   \
      "no process of the pit is left")                                                 \
    X(SHUTDOWN_EXIT, 83, "shutdown.exit", FEW, PIT, ("script.shutdown.exit"),          \
      ("duration_ms", "integer", "ms"), ("exit_mode", "stop_mode", "run_id"), "0.1",   \
      "the last event of a pit that was shut down")                                    \
    X(PYTHON_CALL_START, 84, "python.call.start", MANY, CALL, (SP_EVENT_NO),           \
      ("count", "integer", "calls"), ("tool", "call", "trace_id", "span_id"), "0.1",   \
      "worker: a call into an adapter begins")                                         \
    X(PYTHON_CALL_STOP, 85, "python.call.stop", MANY, CALL, (SP_EVENT_NO),             \
      ("duration", "integer", "ns", "count", "integer", "calls"),                      \
      ("tool", "call", "trace_id", "span_id"), "0.1",                                  \
      "worker: a call into an adapter has returned")                                   \
    X(PYTHON_CALL_EXCEPTION, 86, "python.call.exception", MANY, CALL, (SP_EVENT_NO),   \
      ("duration", "integer", "ns", "count", "integer", "calls"),                      \
      ("tool", "call", "trace_id", "span_id"), "0.1",                                  \
      "worker: a call into an adapter has raised an exception")                        \
    X(PYTHON_MEMORY, 87, "python.memory.sampled", MANY, WORKER, (SP_EVENT_NO),         \
      ("rss_bytes", "integer", "bytes", "vms_bytes", "integer", "bytes"),              \
      (SP_EVENT_NO), "0.1", "worker: its memory")                                      \
    X(PYTHON_CPU, 88, "python.cpu.sampled", MANY, WORKER, (SP_EVENT_NO),               \
      ("cpu_percent", "float", "%"), (SP_EVENT_NO), "0.1",                             \
      "worker: its processor time since the last sample")                              \
    X(PYTHON_GC, 89, "python.gc.completed", MANY, WORKER, (SP_EVENT_NO),               \
      ("count", "integer", "objects", "generation", "integer", "1", "duration",        \
       "integer", "ns"),                                                               \
      (SP_EVENT_NO), "0.1", "worker: the garbage collector has run")                   \
    X(PYTHON_ERROR, 90, "python.error.occurred", MANY, CALL,                           \
      ("error.python_exception"), ("count", "integer", "errors"),                      \
      ("python_type", "tool", "call", "trace_id", "span_id"), "0.1",                   \
      "worker: user code has raised an exception")                                     \
    X(PYTHON_MAPPED, 91, "python.exception.mapped", MANY, CALL, (SP_EVENT_NO),         \
      (SP_EVENT_NO), ("python_type", "library", "function", "tool", "call"),           \
      "0.1",                                                                           \
      "worker: an exception is of a kind whose structure is known: it is kept")        \
    X(PYTHON_UNMAPPED, 92, "python.exception.unmapped", MANY, CALL, (SP_EVENT_NO),     \
      (SP_EVENT_NO), ("python_type", "library", "function", "tool", "call"),           \
      "0.1", "worker: an exception has type, message and traceback alone")             \
    X(TOOL_EXECUTION_START, 93, "tool.execution.start", MANY, CALL,                    \
      ("python.tool.execution.start"),                                                 \
      ("system_time", "integer", "ns", "count", "integer", "calls"),                   \
      ("tool", "call", "trace_id", "span_id"), "0.1", "worker: a tool begins")         \
    X(TOOL_EXECUTION_STOP, 94, "tool.execution.stop", MANY, CALL,                      \
      ("python.tool.execution.stop"),                                                  \
      ("duration", "integer", "ns", "count", "integer", "calls"),                      \
      ("tool", "call", "trace_id", "span_id", "events_dropped"), "0.1",                \
      "worker: a tool has returned; events_dropped are those of its worker that "      \
      "nobody read in time")                                                           \
    X(TOOL_EXECUTION_EXCEPTION, 95, "tool.execution.exception", MANY, CALL,            \
      ("python.tool.execution.exception"),                                             \
      ("duration", "integer", "ns", "count", "integer", "calls"),                      \
      ("tool", "call", "trace_id", "span_id", "events_dropped"), "0.1",                \
      "worker: a tool has raised an exception")                                        \
    X(TOOL_RESULT_SIZE, 96, "tool.result_size", MANY, CALL,                            \
      ("python.tool.result_size"), ("message_size", "integer", "bytes"),               \
      ("tool", "call", "trace_id", "span_id"), "0.1", "worker: the size of a result")  \
    X(ERROR_SHAPE, 97, "error.shape_mismatch", MANY, CALL, (SP_EVENT_NO),              \
      (SP_EVENT_NO), ("expected", "got", "operation", "tool", "call"), "0.1",          \
      "worker: user code was given an array of another shape than it expects")         \
    X(ERROR_DEVICE, 98, "error.device", MANY, CALL, (SP_EVENT_NO), (SP_EVENT_NO),      \
      ("expected", "got", "operation", "tool", "call"), "0.1",                         \
      "worker: user code was given an array on another device than it expects")        \
    X(ERROR_OOM, 99, "error.oom", MANY, CALL, (SP_EVENT_NO),                           \
      ("requested_bytes", "integer", "bytes", "available_bytes", "integer", "bytes"),  \
      ("device", "operation", "tool", "call", "trace_id"), "0.1",                      \
      "worker: user code had no memory left, on a device")                             \
    X(ERROR_DTYPE, 100, "error.dtype_mismatch", MANY, CALL, (SP_EVENT_NO),             \
      (SP_EVENT_NO), ("expected", "got", "operation", "tool", "call"), "0.1",          \
      "worker: user code was given an array of another type of numbers than it "       \
      "expects")                                                                       \
    X(ERROR_DIMENSION, 101, "error.dimension_error", MANY, CALL, (SP_EVENT_NO),        \
      (SP_EVENT_NO), ("expected", "got", "operation", "tool", "call"), "0.1",          \
      "worker: user code was given an array with another number of dimensions than "   \
      "it expects")                                                                    \
    X(ZERO_COPY_EXPORT, 102, "zero_copy.export", MANY, CALL, (SP_EVENT_NO),            \
      ("duration_ms", "float", "ms", "bytes", "integer", "bytes"), ("kind"), "0.1",    \
      "large values of a call lie in memory that the worker shares")                   \
    X(ZERO_COPY_IMPORT, 103, "zero_copy.import", MANY, CALL, (SP_EVENT_NO),            \
      ("duration_ms", "float", "ms", "bytes", "integer", "bytes"), ("kind"), "0.1",    \
      "a large result was taken from memory that the worker shares")                   \
    X(ZERO_COPY_FALLBACK, 104, "zero_copy.fallback", MANY, CALL, (SP_EVENT_NO),        \
      ("duration_ms", "float", "ms", "bytes", "integer", "bytes"), ("kind"), "0.1",    \
      "there was no room in the shared memory: values go over the socket")             \
    X(BREAKER_ALLOWED, 105, "breaker.call.allowed", MANY, CALL,                        \
      ("circuit_breaker.call.allowed"), (SP_EVENT_NO), ("command"), "0.1",             \
      "a call is taken, the breaker lets it pass")                                     \
    X(BREAKER_REJECTED, 106, "breaker.call.rejected", MANY, CALL,                      \
      ("circuit_breaker.call.rejected"), (SP_EVENT_NO), ("command"), "0.1",            \
      "the breaker is open and there is no worker: a call is refused")                 \
    X(BREAKER_SUCCESS, 107, "breaker.call.success", MANY, CALL,                        \
      ("circuit_breaker.call.success"), (SP_EVENT_NO), ("command"), "0.1",             \
      "a call went well, which speaks for its pool")                                   \
    X(BREAKER_FAILURE, 108, "breaker.call.failure", MANY, CALL,                        \
      ("circuit_breaker.call.failure"), (SP_EVENT_NO), ("command"), "0.1",             \
      "a call ended by its worker's fault, which speaks against its pool")             \
    X(RETRY_ATTEMPT, 109, "retry.attempt", MANY, CALL, (SP_EVENT_NO),                  \
      ("attempt", "integer", "1", "delay_ms", "integer", "ms"), ("operation"), "0.1",  \
      "a call is sent once more; measured from its making")                            \
    X(RETRY_SUCCESS, 110, "retry.success", MANY, CALL, (SP_EVENT_NO),                  \
      ("attempts", "integer", "1", "total_duration", "integer", "ms"), ("operation"),  \
      "0.1", "a call went well after being repeated")                                  \
    X(RETRY_EXHAUSTED, 111, "retry.exhausted", MANY, CALL, (SP_EVENT_NO),              \
      ("attempts", "integer", "1", "total_duration", "integer", "ms"),                 \
      ("operation", "last_error"), "0.1", "a call failed although it was repeated")    \
    X(GPU_MEMORY, 112, "gpu.memory.sampled", MANY, PIT, (SP_EVENT_NO),                 \
      ("used", "integer", "bytes", "free", "integer", "bytes", "total", "integer",     \
       "bytes"),                                                                       \
      ("device"), "0.1", "memory of a graphics processor")                             \
    X(GPU_UTILIZATION, 113, "gpu.utilization.sampled", MANY, PIT, (SP_EVENT_NO),       \
      ("gpu_percent", "float", "%", "memory_percent", "float", "%"), ("device"),       \
      "0.1", "how busy a graphics processor is")                                       \
    X(GPU_TEMPERATURE, 114, "gpu.temperature.sampled", MANY, PIT, (SP_EVENT_NO),       \
      ("celsius", "float", "degrees"), ("device"), "0.1",                              \
      "temperature of a graphics processor")                                           \
    X(GPU_POWER, 115, "gpu.power.sampled", MANY, PIT, (SP_EVENT_NO),                   \
      ("watts", "float", "W", "limit_watts", "float", "W"), ("device"), "0.1",         \
      "power of a graphics processor")                                                 \
    X(HARDWARE_DETECT_START, 116, "hardware.detect.start", MANY, PIT, (SP_EVENT_NO),   \
      ("system_time", "integer", "ns"), (SP_EVENT_NO), "0.1",                          \
      "the machine is looked at for what it can compute with")                         \
    X(HARDWARE_DETECT_STOP, 117, "hardware.detect.stop", MANY, PIT, (SP_EVENT_NO),     \
      ("duration_ms", "float", "ms"), ("accelerator"), "0.1", "it is known what the machine has") \
    X(HARDWARE_SELECT_START, 118, "hardware.select.start", MANY, PIT, (SP_EVENT_NO),   \
      ("system_time", "integer", "ns"), ("preference"), "0.1",                         \
      "a device is chosen")                                                            \
    X(HARDWARE_SELECT_STOP, 119, "hardware.select.stop", MANY, PIT, (SP_EVENT_NO),     \
      ("duration_ms", "float", "ms"), ("preference", "device"), "0.1",                 \
      "it is chosen")                                                                  \
    X(HARDWARE_CACHE_HIT, 120, "hardware.cache.hit", MANY, PIT, (SP_EVENT_NO),         \
      (SP_EVENT_NO), (SP_EVENT_NO), "0.1", "what the machine has was known already")   \
    X(HARDWARE_CACHE_MISS, 121, "hardware.cache.miss", MANY, PIT, (SP_EVENT_NO),       \
      (SP_EVENT_NO), (SP_EVENT_NO), "0.1", "what the machine has is not known yet: it is detected") \
    X(DEPRECATED_USED, 122, "deprecated.used", MANY, PIT,                              \
      ("deprecated.module_used"), ("count", "integer", "uses"),                        \
      ("module", "replacement"), "0.1",                                                \
      "a peer uses a method of an old version of the protocol that has a successor")   \
    X(CALL_FAILED, 123, "call.failed", TOLD, CALL, (SP_EVENT_NO),                      \
      ("duration_ms", "integer", "ms"),                                                \
      ("command", "call", "code", "generation", "trace_id"), "0.1",                    \
      "a call has ended with an error, which message has; measured from its making")   \
    X(CALL_SLOW, 124, "call.slow", TOLD, CALL, (SP_EVENT_NO),                          \
      ("duration_ms", "integer", "ms", "queued_ms", "integer", "ms"),                  \
      ("command", "call", "generation", "trace_id"), "0.1",                            \
      "a call went well and took longer than sp_pit_options.slow_call_ms")
/* clang-format on */

#endif
