/* SPDX-License-Identifier: MIT */
/*
 * Memory a host and a native worker share for large values, one such for each worker.
 *
 * A sealed memfd: a page with the state of every place, then an area for each direction.
 * Only the sender of a direction gives places out, and keeps its own book of them; what
 * stands in the shared page is how the receiver says that it is done. So whatever the
 * peer writes there, the worst it can do is spoil values of its own.
 *
 *   FREE ──put: the bytes are there──▶ SENT ──taken by the receiver──▶ HELD ─┐
 *    ▲                                  │ copied by the receiver,            │
 *    │                                  │ or given up by the sender          │ let go
 *    └──────────────────────────────────┴────────────────────────────────────┘
 *
 * The host copies what a worker sends and frees the place; a worker holds what came, and
 * frees it when nothing looks at it any more. Pages that were used stay: filling fresh
 * ones costs more than a socket does. Pure but for the memory it is given.
 */
#ifndef SP_WIRE_ARENA_H
#define SP_WIRE_ARENA_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "snakepit/base.h"

enum {
    ARENA_SLOTS = 64, /* values at a time, each way */
    ARENA_HEAD_BYTES = 4096,
    ARENA_ALIGN = 4096
};

enum arena_state { ARENA_FREE, ARENA_SENT, ARENA_HELD };

struct arena_side {
    _Atomic uint32_t puts; /* so far: whether there is anything new */
    _Atomic uint32_t state[ARENA_SLOTS];
    _Atomic uint32_t stream[ARENA_SLOTS]; /* whose value it is; written before SENT */
};

struct arena_head {
    uint64_t area_bytes; /* of each direction; by the host, before the worker is */
    uint64_t min_bytes;  /* smaller values go by the socket; likewise */
    _Atomic uint32_t is_mapped; /* by the worker: it can use what comes this way */
    struct arena_side down;     /* to the worker */
    struct arena_side up;
};

/* Where a value is, as the wire tells it. */
struct arena_ref {
    uint32_t slot;
    uint64_t at;
    uint64_t size;
};

/* One direction. The places are the sender's own. */
struct arena {
    struct arena_side *side;
    uint8_t *area;
    size_t bytes;
    struct arena_place {
        size_t at;
        size_t size; /* 0: none */
    } * places;      /* ARENA_SLOTS; NULL before the first value */
};

/* Bytes of the whole for areas of so many; the file has exactly these. */
size_t sp__arena_file_bytes(size_t area_bytes);

/* Both directions of a mapping of that size. */
void sp__arena_init(struct arena *down, struct arena *up, void *mapping,
                    size_t area_bytes);
void sp__arena_fini(struct arena *arena);

/* The sender: copy a value to a place. 0: there is none. */
int sp__arena_put(struct arena *arena, sp_bytes value, uint32_t stream,
                  struct arena_ref *ret);
/* The sender: it has not been taken, and shall not be any more. */
void sp__arena_give_up(struct arena *arena, uint32_t slot);

/* The receiver: the bytes a peer speaks of. 0: they are not inside the area. */
int sp__arena_find(const struct arena *arena, const struct arena_ref *ref,
                   sp_bytes *ret);
/* The receiver: keep a value where it is. 0: the sender has given it up. */
int sp__arena_hold(struct arena *arena, uint32_t slot);
/* The receiver: done with it. */
void sp__arena_release(struct arena *arena, uint32_t slot);

#endif
