/* SPDX-License-Identifier: MIT */
/* What the evil worker does besides its work. */
#ifndef CHAOS_MISDEEDS_H
#define CHAOS_MISDEEDS_H

#include "ledger.h"
#include "snakepit/worker.h"

/* When in the life of a job a misdeed happens. */
enum moment {
    MOMENT_BEFORE, /* before the job is noted as begun */
    MOMENT_DURING, /* between its beginning and its end; of a stream, half way */
    MOMENT_AFTER,  /* between its end and its answer */
    MOMENT_ANSWERED
};

/* A job as its arguments describe it. */
struct deed {
    uint64_t id;
    unsigned attempt;
    char what[16]; /* "segv", "flood" ..., or "" */
    enum moment at;
    uint64_t amount;      /* bytes, processes or milliseconds, as `what` needs it */
    uint64_t work_us;     /* how long the work takes */
    uint64_t chunks;      /* of a stream */
    uint64_t chunk_bytes; /* each at least as long */
    uint64_t next;        /* chunk to send */
};

/* Do it when the moment has come; often does not return. `job` may be NULL where it has
 * been answered. */
void misdeed(const struct deed *deed, enum moment now, const struct ledger *ledger,
             const sp_job *job);

#endif
