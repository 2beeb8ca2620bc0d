/* SPDX-License-Identifier: MIT */
/*
 * A hash map from ids to pointers: open addressing, linear probing, at most two thirds
 * full, deletion by shifting back so that no tombstones gather.
 */
#include "base/map.h"

#include "base/mem.h"
#include "snakepit/error.h"

enum { CAPACITY_MIN = 64, KEY_BITS = 64 };

/* Fibonacci hashing: ids count up, and their buckets are spread evenly. */
static size_t bucket(const struct map *map, uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15u) >> map->shift);
}

void sp__map_fini(struct map *map)
{
    sp__free(map->entries);
    *map = (struct map){0};
}

/* The entry of a key, or the free one where it would be, which has no value. There is one:
 * the map has memory and is never full. */
static struct map_entry *probe(const struct map *map, uint64_t key)
{
    size_t at = bucket(map, key);
    while (map->entries[at].key != 0 && map->entries[at].key != key) {
        at = (at + 1) & (map->capacity - 1);
    }
    return &map->entries[at];
}

static int grow(struct map *map)
{
    struct map bigger = {.length = map->length};
    bigger.capacity = map->capacity == 0 ? CAPACITY_MIN : map->capacity * 2;
    bigger.shift = KEY_BITS - (unsigned)__builtin_ctzll(bigger.capacity);
    bigger.entries = sp__calloc(bigger.capacity, sizeof *bigger.entries);
    if (bigger.entries == NULL) {
        return SP_ERR_NOMEM;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key != 0) {
            *probe(&bigger, map->entries[i].key) = map->entries[i];
        }
    }
    sp__free(map->entries);
    *map = bigger;
    return SP_OK;
}

int sp__map_put(struct map *map, uint64_t key, void *value)
{
    if ((map->length + 1) * 3 > map->capacity * 2) {
        int rc = grow(map);
        if (rc < 0) {
            return rc;
        }
    }
    struct map_entry *entry = probe(map, key);
    map->length += entry->key == 0;
    entry->key = key;
    entry->value = value;
    return SP_OK;
}

void *sp__map_find(const struct map *map, uint64_t key)
{
    return map->length == 0 ? NULL : probe(map, key)->value;
}

void *sp__map_take(struct map *map, uint64_t key)
{
    struct map_entry *entry = map->length == 0 ? NULL : probe(map, key);
    if (entry == NULL || entry->key == 0) {
        return NULL;
    }
    void *value = entry->value;
    size_t mask = map->capacity - 1;
    size_t hole = (size_t)(entry - map->entries);
    map->length--;
    /* Shift back the entries that probed past the hole. */
    for (size_t at = (hole + 1) & mask; map->entries[at].key != 0;
         at = (at + 1) & mask) {
        size_t home = bucket(map, map->entries[at].key);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole] = (struct map_entry){0};
    return value;
}

void *sp__map_next(const struct map *map, size_t *at)
{
    while (*at < map->capacity) {
        struct map_entry *entry = &map->entries[(*at)++];
        if (entry->key != 0) {
            return entry->value;
        }
    }
    return NULL;
}

uint64_t sp__hash(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdu;
    return hash ^ (hash >> 33);
}
