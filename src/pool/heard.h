/* SPDX-License-Identifier: MIT */
/* Events of calls, for whoever listens. Loop thread; only while sp__herald_listens(). */
#ifndef SP_POOL_HEARD_H
#define SP_POOL_HEARD_H

#include "pool/request.h"

/* It waits, for the first time or again. */
void sp__heard_queued(const struct request *request);
/* A worker has it; it waited before. */
void sp__heard_sent(const struct request *request, int waited);
/* A chunk of so many bytes came. */
void sp__heard_chunk(const struct request *request, size_t bytes);
/* Its ending is written. */
void sp__heard_ended(const struct request *request);

#endif
