/* SPDX-License-Identifier: MIT */
/* id -> object. Ids are never 0, objects never NULL; the map owns nothing. */
#ifndef SP_BASE_MAP_H
#define SP_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
    uint64_t key; /* 0: free */
    void *value;
};

struct map {
    struct map_entry *entries; /* a power of two of them */
    size_t capacity;
    size_t length;
    unsigned shift; /* of a key's hash, which leaves as many bits as capacity needs */
};

void sp__map_fini(struct map *map);
int sp__map_put(struct map *map, uint64_t key, void *value); /* 0 or SP_ERR_NOMEM */
void *sp__map_find(const struct map *map, uint64_t key);     /* NULL when absent */
void *sp__map_take(struct map *map, uint64_t key);           /* the same, and out */

/* The next entry from *at on; begin with 0. NULL at the end. */
void *sp__map_next(const struct map *map, size_t *at);

/* A well-mixed 64-bit hash of bytes (FNV-1a, then a finaliser). */
uint64_t sp__hash(const void *data, size_t size);

#endif
