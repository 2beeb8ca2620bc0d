/* SPDX-License-Identifier: MIT */
/* Between pool.c (workers), flow.c (calls) and news.c (what is told of both). */
#ifndef SP_POOL_FLOW_H
#define SP_POOL_FLOW_H

#include "pool/pool.h"

/* pool.c */

/* Tell the core and do what it wants. `failure` (or NULL) may be moved from. */
void sp__pool_step(struct pool *pool, const struct core_event *event,
                   sp_error *failure);
/* What workers tell, for worker_events. */
void sp__pool_worker_spawned(struct worker *worker);
void sp__pool_worker_ready(struct worker *worker,
                           const struct proto_announce *announce);
void sp__pool_worker_stopping(struct worker *worker);
void sp__pool_worker_dead(struct worker *worker, const struct worker_death *death);
void sp__pool_worker_line(struct worker *worker, int stream, const char *line);
void sp__pool_worker_hung(struct worker *worker);
void sp__pool_worker_sampled(struct worker *worker);
void sp__pool_worker_free(struct worker *worker);
/* Its end speaks against what it was doing: nobody asked for it, no outsider did it. */
int sp__pool_died_of_itself(const struct worker *worker, const sp_error *failure);

/* news.c */

/* An event, of a worker where one is concerned. */
void sp__pool_tell(struct pool *pool, int kind, const struct worker *worker,
                   uint64_t duration_ms, const char *message);
void sp__pool_tell_started(struct pool *pool);
/* A start that came to nothing; worker NULL: not even a process. */
void sp__pool_tell_unstarted(struct pool *pool, const struct worker *worker,
                             const char *why);
/* It died of itself, and its place is avoided for a while. */
void sp__pool_tell_tainted(struct pool *pool, const struct worker *worker,
                           const struct worker_death *death);
/* The one before it in its place died. */
void sp__pool_tell_restarted(struct pool *pool, const struct worker *worker);
void sp__pool_tell_ready(struct pool *pool, const struct worker *worker);
void sp__pool_tell_hung(struct pool *pool, const struct worker *worker);
void sp__pool_tell_death(struct pool *pool, const struct worker *worker,
                         const struct worker_death *death, int asked);
/* A line that a worker printed, or the pool's zygote when `worker` is NULL. */
void sp__pool_tell_line(struct pool *pool, const struct worker *worker, int stream,
                        const char *line);
/* What there is to tell of a call that has ended, if there is anything. */
void sp__pool_tell_ending(struct pool *pool, const struct request *request);
/* CORE_DO_TELL. */
void sp__pool_tell_news(struct pool *pool, const struct core_action *action);

/* figures.c */

/* Before its state says that it has ended. */
void sp__pool_count_ending(struct pool *pool, const struct request *request);

/* flow.c */
extern const struct worker_events *const sp__flow_worker_events;
void sp__flow_send(struct pool *pool, const struct core_action *action);
void sp__flow_wait(struct pool *pool, const struct core_action *action);
void sp__flow_end(struct pool *pool, const struct core_action *action);
void sp__flow_return_unsent(struct pool *pool);

#endif
