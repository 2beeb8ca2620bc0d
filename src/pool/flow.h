/* SPDX-License-Identifier: MIT */
/* Between pool.c (workers) and flow.c (calls). */
#ifndef SP_POOL_FLOW_H
#define SP_POOL_FLOW_H

#include "pool/pool.h"

/* flow.c */
extern const struct worker_events *const sp__flow_worker_events;
void sp__flow_pull(struct pool *pool, struct worker *worker); /* it may take calls */
void sp__flow_fail_queue(struct pool *pool, const sp_error *failure);
void sp__flow_end_all(struct pool *pool, const sp_error *failure); /* in flight too */

/* pool.c */
void sp__pool_rehome(struct pool *pool, struct worker *worker);
void sp__pool_worker_spawned(struct worker *worker);
void sp__pool_worker_ready(struct worker *worker,
                           const struct proto_announce *announce);
void sp__pool_worker_stopping(struct worker *worker);
void sp__pool_worker_dead(struct worker *worker, const struct worker_death *death);
void sp__pool_worker_line(struct worker *worker, const char *line);
void sp__pool_worker_hung(struct worker *worker);

#endif
