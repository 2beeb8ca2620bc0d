/* SPDX-License-Identifier: MIT */
/*
 * Answers to those who look after a daemon: what they want done with a worker, DrainWorker
 * and KillWorker. Only the host's own user, and root, may want that.
 */
#include "base/error.h"
#include "serve/state.h"
#include "telemetry/find_worker.h"
#include "wire/proto_control.h"

typedef int (*worker_deed)(sp_pit *pit, const char *pool, sp_id worker, sp_error *err);

static int do_to_worker(const struct asking *asking, const char *name, worker_deed deed,
                        struct found_worker *ret_worker, sp_error *err)
{
    if (!asking->is_own) {
        return sp__fail(err, SP_ERR_REFUSED,
                        "only the daemon's own user may drain and kill workers");
    }
    int rc = sp__find_worker(asking->pit, name, ret_worker, err);
    if (rc == SP_OK && ret_worker->info.id == 0) {
        return sp__fail(err, SP_ERR_NOT_FOUND, "worker %s has no process now", name);
    }
    return rc == SP_OK ? deed(asking->pit, ret_worker->pool, ret_worker->info.id, err)
                       : rc;
}

static int answer(const struct asking *asking, sp_bytes question, worker_deed deed,
                  struct sp_buffer *reply, sp_error *err)
{
    struct proto_memory memory = {0};
    struct proto_worker_wish request;
    struct found_worker worker;
    int rc = sp__proto_get_worker_wish(question, &memory, &request, err);
    if (rc == SP_OK) {
        rc = do_to_worker(asking, request.worker, deed, &worker, err);
    }
    if (rc == SP_OK) {
        const struct proto_worker_wish_reply done = {.worker = worker.name,
                                                     .pid = worker.info.pid};
        rc = sp__proto_put_worker_wish_reply(reply, &done, err);
    }
    sp__proto_memory_fini(&memory);
    return rc;
}

int sp__answer_worker_drain(const struct asking *asking, sp_bytes question,
                            struct sp_buffer *reply, sp_error *err)
{
    return answer(asking, question, sp_pool_recycle, reply, err);
}

int sp__answer_worker_kill(const struct asking *asking, sp_bytes question,
                           struct sp_buffer *reply, sp_error *err)
{
    return answer(asking, question, sp_pool_worker_kill, reply, err);
}
