/* SPDX-License-Identifier: MIT */
/*
 * What makes each event happen: X(constant, file, scenario, without), that is
 * scenario() of test/system/test_events_FILE.c.
 *
 * `without`: what its row of event_table.h declares and this event cannot have, with the
 * reason beside it. "" for the others.
 */
#ifndef TEST_SUPPORT_PROVOCATIONS_H
#define TEST_SUPPORT_PROVOCATIONS_H

/* clang-format off */
#define PROVOCATIONS(X)                                                                \
    X(WORKER_SPAWNED, lives, a_worker_is_replaced, "")                                 \
    X(WORKER_READY, lives, a_worker_is_replaced, "")                                   \
    X(WORKER_STOPPED, lives, a_worker_is_replaced, "")                                 \
    X(RECYCLE_STARTED, lives, a_worker_is_replaced, "")                                \
    X(WORKER_RECYCLED, lives, a_worker_is_replaced, "")                                \
    X(CONNECTION_ESTABLISHED, lives, a_worker_is_replaced, "")                         \
    X(HEARTBEAT_STARTED, lives, a_worker_is_replaced, "")                              \
    X(HEARTBEAT_STOPPED, lives, a_worker_is_replaced, "")                              \
    X(POOL_INIT_STARTED, lives, a_pool_starts, "")                                     \
    X(POOL_READY, lives, a_pool_starts, "")                                            \
    X(POOL_STATUS, lives, a_pool_is_looked_at, "")                                     \
    X(WARNING, lives, a_pool_has_trouble, "")                                          \
    X(WORKER_DIED, lives, a_worker_ends_itself, "")                                    \
    X(WORKER_TAINTED, lives, a_worker_ends_itself, "")                                 \
    X(WORKER_RESTARTED, lives, a_worker_ends_itself, "")                               \
    X(WORKER_OUTPUT, lives, a_worker_prints_in_a_call, "")                             \
    X(WORKER_SPAWN_FAILED, lives, a_worker_does_not_start, "")                         \
    X(CONNECTION_LOST, lives, a_worker_hangs_up, "")                                   \
    X(HEARTBEAT_PING, lives, a_worker_stands_still, "")                                \
    X(HEARTBEAT_PONG, lives, a_worker_stands_still, "")                                \
    X(HEARTBEAT_TIMEOUT, lives, a_worker_stands_still, "")                             \
    X(HEARTBEAT_FAILURE, lives, a_worker_stands_still, "")                             \
    X(HEALTH_FAILED, lives, a_worker_stands_still, "")                                 \
    X(RECYCLE_FAILED, lives, a_relief_does_not_start, "")                              \
    X(RECYCLE_LOOP, lives, a_worker_is_too_big_at_once, "")                            \
    X(BREAKER_OPENED, lives, a_pool_gives_up_and_tries_again, "")                      \
    X(BREAKER_PROBED, lives, a_pool_gives_up_and_tries_again, "")                      \
    X(BREAKER_CLOSED, lives, a_pool_gives_up_and_tries_again, "")                      \
    /* no worker is there to be asked */                                               \
    X(BREAKER_REJECTED, lives, a_pool_gives_up_and_tries_again, "worker pid")          \
    X(CALL_DISPATCHED, calls, a_call_waits_its_turn, "")                               \
    X(QUEUE_DEQUEUED, calls, a_call_waits_its_turn, "")                                \
    /* what waits has no worker yet */                                                 \
    X(QUEUE_ENQUEUED, calls, a_call_waits_its_turn, "worker pid")                      \
    X(QUEUE_TIMEOUT, calls, a_call_waits_in_vain, "worker pid")                        \
    X(POOL_SATURATED, calls, a_queue_is_full, "")                                      \
    X(CAPACITY_REACHED, calls, a_worker_is_full, "")                                   \
    /* their calls have none */                                                        \
    X(EXECUTE_START, calls, a_call_is_made, "session")                                 \
    X(EXECUTE_STOP, calls, a_call_is_made, "session")                                  \
    X(EXECUTE_EXCEPTION, calls, a_call_is_made, "session")                             \
    X(EXECUTE_SESSION_START, calls, a_call_of_a_session_is_made, "")                   \
    X(EXECUTE_SESSION_STOP, calls, a_call_of_a_session_is_made, "")                    \
    X(EXECUTE_SESSION_EXCEPTION, calls, a_call_of_a_session_is_made, "")               \
    X(REQUEST_EXECUTED, calls, a_call_of_a_session_is_made, "")                        \
    X(SESSION_ASSIGNED, calls, a_call_of_a_session_is_made, "")                        \
    X(BREAKER_ALLOWED, calls, a_call_of_a_session_is_made, "")                         \
    X(BREAKER_SUCCESS, calls, a_call_of_a_session_is_made, "")                         \
    X(CALL_FAILED, calls, a_call_of_a_session_is_made, "")                             \
    X(CALL_SLOW, calls, a_call_is_slow, "")                                            \
    X(STREAM_OPENED, calls, a_call_streams, "")                                        \
    X(STREAM_MESSAGE, calls, a_call_streams, "")                                       \
    X(STREAM_CLOSED, calls, a_call_streams, "")                                        \
    X(CALL_RETRIED, calls, a_call_outlives_its_worker, "")                             \
    X(RETRY_ATTEMPT, calls, a_call_outlives_its_worker, "")                            \
    X(RETRY_SUCCESS, calls, a_call_outlives_its_worker, "")                            \
    X(RETRY_EXHAUSTED, calls, a_call_ends_all_its_workers, "")                         \
    X(CALL_POISONED, calls, a_call_ends_all_its_workers, "")                           \
    X(BREAKER_FAILURE, calls, a_call_ends_all_its_workers, "")                         \
    X(SESSION_MOVED, calls, a_session_loses_its_worker, "")                            \
    X(ZERO_COPY_EXPORT, calls, large_values_are_shared, "")                            \
    X(ZERO_COPY_IMPORT, calls, large_values_are_shared, "")                            \
    X(ZERO_COPY_FALLBACK, calls, large_values_are_shared, "")                          \
    X(SESSION_CREATED, sessions, a_session_is_used, "")                                \
    X(SESSION_ACCESSED, sessions, a_session_is_used, "")                               \
    X(SESSION_DELETED, sessions, a_session_is_used, "")                                \
    X(SESSION_EXPIRED, sessions, a_session_is_over, "")                                \
    X(SESSIONS_PRUNED, sessions, a_session_is_over, "")                                \
    X(SESSIONS_HIGH, sessions, there_are_many_sessions, "")                            \
    X(PROGRAM_STORED, sessions, a_program_is_kept, "")                                 \
    X(PROGRAM_RETRIEVED, sessions, a_program_is_kept, "")                              \
    X(PROGRAM_DELETED, sessions, a_program_is_kept, "")                                \
    X(VARIABLE_REGISTERED, sessions, a_variable_is_kept, "")                           \
    X(VARIABLE_GET, sessions, a_variable_is_kept, "")                                  \
    X(VARIABLE_UPDATED, sessions, a_variable_is_kept, "")                              \
    X(VARIABLE_INVALID, sessions, a_variable_is_kept, "")                              \
    X(VARIABLE_VIOLATES, sessions, a_variable_is_kept, "")                             \
    X(VARIABLE_DELETED, sessions, a_variable_is_kept, "")                              \
    X(VARIABLES_BATCH_GET, sessions, variables_are_used_at_once, "")                   \
    X(VARIABLES_BATCH_UPDATE, sessions, variables_are_used_at_once, "")                \
    X(REGISTER_VARIABLE_START, sessions, a_worker_makes_a_variable, "")                \
    X(REGISTER_VARIABLE_STOP, sessions, a_worker_makes_a_variable, "")                 \
    X(STORE_FULL, sessions, a_disk_is_full_for_a_while, "")                            \
    X(STORE_RECOVERED, sessions, a_disk_is_full_for_a_while, "")                       \
    X(STORE_FAILED, sessions, a_disk_loses_something, "")                              \
    X(GUARD_READY, pit, a_guard_is_killed, "")                                         \
    X(ORPHAN_KILLED, pit, a_guard_is_killed, "")                                       \
    X(CLEANUP_ORPHANS, pit, a_guard_is_killed, "")                                     \
    X(CLEANUP_EMERGENCY, pit, a_guard_is_killed, "")                                   \
    X(CLEANUP_START, pit, a_pit_is_closed, "")                                         \
    X(CLEANUP_SUCCESS, pit, a_pit_is_closed, "")                                       \
    X(SHUTDOWN_START, pit, a_pit_is_shut_down, "")                                     \
    X(SHUTDOWN_STOP, pit, a_pit_is_shut_down, "")                                      \
    X(SHUTDOWN_CLEANUP, pit, a_pit_is_shut_down, "")                                   \
    X(SHUTDOWN_EXIT, pit, a_pit_is_shut_down, "")                                      \
    X(CLEANUP_TIMEOUT, pit, a_worker_outlasts_the_shutdown, "")                        \
    X(EVENTS_DROPPED, pit, a_handler_is_slow, "")                                      \
    X(DEPRECATED_USED, pit, a_peer_is_of_an_old_version, "")                           \
    X(HARDWARE_DETECT_START, machine, the_machine_is_looked_at, "")                    \
    X(HARDWARE_DETECT_STOP, machine, the_machine_is_looked_at, "")                     \
    X(HARDWARE_SELECT_START, machine, the_machine_is_looked_at, "")                    \
    X(HARDWARE_SELECT_STOP, machine, the_machine_is_looked_at, "")                     \
    X(HARDWARE_CACHE_MISS, machine, the_machine_is_looked_at, "")                      \
    X(HARDWARE_CACHE_HIT, machine, the_machine_is_looked_at, "")                       \
    X(GPU_MEMORY, machine, a_graphics_processor_is_looked_at, "")                      \
    X(GPU_UTILIZATION, machine, a_graphics_processor_is_looked_at, "")                 \
    X(GPU_TEMPERATURE, machine, a_graphics_processor_is_looked_at, "")                 \
    X(GPU_POWER, machine, a_graphics_processor_is_looked_at, "")                       \
    X(PYTHON_CALL_START, workers, a_tool_is_run, "")                                   \
    X(PYTHON_CALL_STOP, workers, a_tool_is_run, "")                                    \
    X(TOOL_EXECUTION_START, workers, a_tool_is_run, "")                                \
    X(TOOL_RESULT_SIZE, workers, a_tool_is_run, "")                                    \
    X(TOOL_EXECUTION_STOP, workers, a_tool_is_run, "")                                 \
    X(PYTHON_CALL_EXCEPTION, workers, a_tool_fails, "")                                \
    X(PYTHON_ERROR, workers, a_tool_fails, "")                                         \
    X(PYTHON_UNMAPPED, workers, a_tool_fails, "")                                      \
    X(TOOL_EXECUTION_EXCEPTION, workers, a_tool_fails, "")                             \
    X(PYTHON_MEMORY, workers, a_worker_looks_at_itself, "")                            \
    X(PYTHON_CPU, workers, a_worker_looks_at_itself, "")                               \
    X(PYTHON_GC, workers, a_worker_looks_at_itself, "")                                \
    X(TELEMETRY, workers, a_worker_reports_its_own, "")                                \
    X(PYTHON_MAPPED, workers, arrays_do_not_fit, "")                                   \
    X(ERROR_SHAPE, workers, arrays_do_not_fit, "")                                     \
    X(ERROR_DIMENSION, workers, arrays_do_not_fit, "")                                 \
    X(ERROR_DTYPE, workers, arrays_do_not_fit, "")                                     \
    X(ERROR_DEVICE, workers, arrays_do_not_fit, "")                                    \
    X(ERROR_OOM, workers, arrays_do_not_fit, "")
/* clang-format on */

#endif
