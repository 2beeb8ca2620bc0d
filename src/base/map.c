/* SPDX-License-Identifier: MIT */
/*
 * A hash map from ids to pointers: open addressing, linear probing, at most two thirds
 * full, deletion by shifting back so that no tombstones gather.
 */
#include "base/map.h"

#include "base/mem.h"
#include "snakepit/error.h"

enum { CAPACITY_MIN = 64 };

/* The finaliser of MurmurHash3 (public domain constants): ids count up, buckets must
 * not. */
static size_t bucket(const struct map *map, uint64_t key)
{
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdu;
    key ^= key >> 33;
    return (size_t)key & (map->capacity - 1);
}

void sp__map_fini(struct map *map)
{
    sp__free(map->entries);
    *map = (struct map){0};
}

static void insert(struct map *map, uint64_t key, void *value)
{
    size_t at = bucket(map, key);
    while (map->entries[at].key != 0 && map->entries[at].key != key) {
        at = (at + 1) & (map->capacity - 1);
    }
    if (map->entries[at].key == 0) {
        map->length++;
    }
    map->entries[at] = (struct map_entry){.key = key, .value = value};
}

static int grow(struct map *map)
{
    struct map bigger = {.capacity =
                             map->capacity == 0 ? CAPACITY_MIN : map->capacity * 2};
    bigger.entries = sp__calloc(bigger.capacity, sizeof *bigger.entries);
    if (bigger.entries == NULL) {
        return SP_ERR_NOMEM;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key != 0) {
            insert(&bigger, map->entries[i].key, map->entries[i].value);
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
    insert(map, key, value);
    return SP_OK;
}

static size_t find(const struct map *map, uint64_t key)
{
    if (map->capacity == 0 || key == 0) {
        return SIZE_MAX;
    }
    size_t at = bucket(map, key);
    while (map->entries[at].key != 0) {
        if (map->entries[at].key == key) {
            return at;
        }
        at = (at + 1) & (map->capacity - 1);
    }
    return SIZE_MAX;
}

void *sp__map_find(const struct map *map, uint64_t key)
{
    size_t at = find(map, key);
    return at == SIZE_MAX ? NULL : map->entries[at].value;
}

void *sp__map_take(struct map *map, uint64_t key)
{
    size_t hole = find(map, key);
    if (hole == SIZE_MAX) {
        return NULL;
    }
    void *value = map->entries[hole].value;
    map->length--;
    /* Shift back the entries that probed past the hole. */
    for (size_t at = (hole + 1) & (map->capacity - 1); map->entries[at].key != 0;
         at = (at + 1) & (map->capacity - 1)) {
        size_t home = bucket(map, map->entries[at].key);
        size_t from_home = (at - home) & (map->capacity - 1);
        size_t from_hole = (at - hole) & (map->capacity - 1);
        if (from_home >= from_hole) {
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
