/* SPDX-License-Identifier: MIT */
/* Between the files of this layer only. */
#ifndef SP_WORKER_INTERNAL_H
#define SP_WORKER_INTERNAL_H

#include "worker/controls.h"
#include "worker/worker.h"

/* launch.c: make the descriptors, tell the guard to spawn, open the channels. */
int sp__worker_launch(struct worker *worker, sp_error *err) SP_MUST_CHECK;
/* launch.c: the connection of its calls. Takes fd on success. */
int sp__worker_open_calls(struct worker *worker, const struct duplex_fds *fds,
                          int trusted, sp_error *err) SP_MUST_CHECK;
/* launch.c: the environment of a process: `own`, the mark of this run unless it has one,
 * and what the spec has, if it `inherits`. *ret_env from sp__malloc(); its strings are
 * borrowed. */
int sp__worker_compose_env(const struct workshop *shop, const struct worker_spec *spec,
                           const char *const *own, int inherits, const char ***ret_env,
                           sp_error *err) SP_MUST_CHECK;
/* launch.c: have the guard start a process whose row in the registry is there before. */
int sp__worker_spawn(struct workshop *shop, uint64_t id, const char *name,
                     const struct guard_command *command, sp_error *err) SP_MUST_CHECK;

/* link.c, host.c: the events of the two connections. */
extern const struct h2_events sp__call_events;
extern const struct h2_events sp__host_events;
/* host.c: what the call of this stream has asked is over too. */
void sp__worker_end_asks(struct worker *worker, uint32_t stream_id);
void sp__worker_close_host(struct worker *worker);
/* listener.c: have a worker report what is wanted of it now, which may be nothing; and
 * nothing in any case. */
void sp__worker_listen(struct worker *worker);
void sp__worker_unlisten(struct worker *worker);
/* listener.c: the stream of this user is that of what it reports; a message, and the end,
 * of that one. */
int sp__worker_is_telemetry(const struct worker *worker, const void *stream_user);
void sp__worker_heard(struct worker *worker, const uint8_t *data, size_t size);
void sp__worker_unheard(struct worker *worker, const struct h2_status *status);
/* listener.c: a call has left it, and may be told of for a moment. */
void sp__worker_remember(struct worker *worker, const struct worker_call *call);
/* listener.c: the owner's number of the call that has, or had, this stream; 0: unknown. */
uint64_t sp__worker_number_of(const struct worker *worker, uint32_t stream_id);
/* listener.c: a timer. */
void sp__worker_grant_due(struct timer *timer, uint64_t now_ms);
/* link.c: ask a stock worker whether it is there. */
int sp__worker_send_ping(struct worker *worker, sp_error *err) SP_MUST_CHECK;

/* tell.c: an event of it, whose kind, numbers and texts are given. */
void sp__worker_tell(const struct worker *worker, struct tidings tidings);
void sp__worker_tell_connected(const struct worker *worker);
/* Nobody had asked for the end of its connection. */
void sp__worker_tell_lost(const struct worker *worker, const char *why);
void sp__worker_tell_watch_over(const struct worker *worker);
/* It has reported this. */
void sp__worker_tell_own(const struct worker *worker,
                         const struct proto_telemetry_event *reported);

/* hang.c: a sign of life. */
void sp__worker_beat(struct worker *worker);
void sp__worker_watch_health(struct worker *worker, uint64_t now_ms);
/* hang.c: it hangs, is stuck or late: the ladder begins. */
void sp__worker_give_up(struct worker *worker, enum worker_why why);
/* hang.c: the next step towards the end of a STOPPING worker. */
void sp__worker_climb(struct worker *worker);
/* hang.c: timers. */
void sp__worker_health_due(struct timer *timer, uint64_t now_ms);
void sp__worker_stuck_due(struct timer *timer, uint64_t now_ms);
/* worker.c: to the process, or to its group. */
void sp__worker_signal(struct worker *worker, int signal_number, int group);
/* worker.c: STOPPING from here on; SIGKILL follows after grace_ms. */
void sp__worker_begin_stopping(struct worker *worker, enum worker_why why,
                               uint64_t grace_ms);
/* worker.c: the only writer of worker->state. */
void sp__worker_move(struct worker *worker, enum worker_state next);
/* worker.c: it waited for its zygote, which is ready or of no use. */
void sp__worker_unpark(struct worker *worker);
/* worker.c: it cannot start; on_dead is told. */
void sp__worker_fail_start(struct worker *worker, const sp_error *why, int permanent);
/* worker.c: whether the failure of a start with this errno is one for good. */
int sp__worker_is_hopeless(int os_errno);
/* ending.c: it is reaped, or never was. on_dead is told. */
void sp__worker_die(struct worker *worker, const struct guard_exit *exit);

/* worker.c: what happened. */
void sp__worker_on_announced(struct worker *worker, struct proto_announce *announce);
/* It speaks another version: the next one like it would as well. */
void sp__worker_on_foreign(struct worker *worker, const sp_error *why);
void sp__worker_on_connected(struct worker *worker);
void sp__worker_on_broken(void *user, const sp_error *why);
/* worker.c: a call has left; a spent worker without any stops. */
void sp__worker_rest(struct worker *worker);
void sp__worker_on_goaway(struct worker *worker);
/* A call has ended for its caller, but user code may go on with it: no new calls until
 * it is over, and the end of the worker when it is not over within cancel_grace_ms. */
void sp__worker_abandon(struct worker *worker, const struct worker_call *call);
void sp__worker_on_host_broken(void *user, const sp_error *why);

/* ---- memory.c: what is shared for large values; nothing of it ever fails a call ---- */

/* Make it, before the worker is. Returns the descriptor to inherit, -1: there is none. */
int sp__worker_memory_open(struct worker *worker);
void sp__worker_memory_close(struct worker *worker);

/* Copy the large binaries of a message to shared places. 1: `out` is the message to send
 * instead; 0: there was nothing to be done. */
int sp__worker_share_call(struct worker *worker, struct worker_call *call,
                          sp_bytes message, struct sp_buffer *out);
/* The call has ended: what the worker has not taken is free again. */
void sp__worker_unshare_call(struct worker *worker, struct worker_call *call);
/* Copy a result that is in shared memory into `memory`. */
int sp__worker_fetch_result(const struct worker_call *call,
                            struct proto_response *response, struct sp_buffer *memory,
                            sp_error *err) SP_MUST_CHECK;
/* Calls have ended: results of others than those in flight are nobody's. */
void sp__worker_sweep_memory(struct worker *worker);

#endif
