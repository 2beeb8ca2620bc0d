/* SPDX-License-Identifier: MIT */
/*
 * How named calls ended, for a while: so that a second call with the same key gets the
 * first one's answer, and whoever lost a connection can ask. Any thread, by a lock of its
 * own; requests are touched on their own loop only.
 */
#ifndef SP_PIT_OUTCOME_H
#define SP_PIT_OUTCOME_H

#include <pthread.h>

#include "base/list.h"
#include "base/map.h"
#include "pool/request.h"
#include "snakepit/call.h"

enum outcome_kind { OUTCOME_BY_REQUEST, OUTCOME_BY_KEY };

struct outcomes {
    uint64_t keep_ms; /* set before start, then constant */

    /* Under lock. */
    pthread_mutex_t lock;
    struct map by_hash;
    struct list ended; /* the oldest first */
    size_t bytes;      /* of kept answers */
};

enum outcome_entry {
    OUTCOME_GO,     /* the first with its key: it is to be run */
    OUTCOME_FOLLOW, /* the same runs already: it ends with that one */
    OUTCOME_DONE    /* the same has ended: the request has its answer */
};

void sp__outcomes_init(struct outcomes *outcomes, uint64_t keep_ms);

/* A submitted request comes by. OUTCOME_, or SP_ERR_NOMEM. */
int sp__outcomes_enter(struct outcomes *outcomes, struct request *request,
                       uint64_t now_ms);

/* A request that was let go has ended. For every one that followed it `end` is called,
 * under the lock, its answer written; or, when nothing has run, one of them is returned, which is to go
 * in its place. Else NULL. */
struct request *sp__outcomes_ended(struct outcomes *outcomes, struct request *request,
                                   uint64_t now_ms,
                                   void (*end)(void *user, struct request *request),
                                   void *user);

/* One that follows is given up. 1, or 0 when it does not follow any more. */
int sp__outcomes_leave(struct outcomes *outcomes, struct request *request);

/* What is known under a request id; the result may be NULL. On the loop of `lane`: 0 when
 * it runs on another one, which is to be asked. */
int sp__outcomes_find(struct outcomes *outcomes, const char *request_id,
                      const struct lane *lane, uint64_t now_ms, sp_outcome *ret_outcome,
                      sp_result *ret_result, sp_error *ret_failure);

/* Nothing runs any more. */
void sp__outcomes_fini(struct outcomes *outcomes);

#endif
