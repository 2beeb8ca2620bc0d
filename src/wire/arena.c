/* SPDX-License-Identifier: MIT */
/*
 * Places in shared memory: first fit from the front, so that the same pages are used again.
 *
 * There are few places and each holds much, so they are looked at one by one. Giving one
 * out fails when no slot, no gap or no memory is left; the value then goes by the socket.
 */
#include "wire/arena.h"

#include <string.h>

#include "base/mem.h"

size_t sp__arena_file_bytes(size_t area_bytes)
{
    return ARENA_HEAD_BYTES + 2 * area_bytes;
}

void sp__arena_init(struct arena *down, struct arena *up, void *mapping,
                    size_t area_bytes)
{
    struct arena_head *head = mapping;
    uint8_t *areas = (uint8_t *)mapping + ARENA_HEAD_BYTES;
    *down = (struct arena){.side = &head->down, .area = areas, .bytes = area_bytes};
    *up = (struct arena){
        .side = &head->up, .area = areas + area_bytes, .bytes = area_bytes};
}

void sp__arena_fini(struct arena *arena)
{
    sp__free(arena->places);
    arena->places = NULL;
}

/* Forget the places whose receivers are done. */
static void collect(struct arena *arena)
{
    for (uint32_t i = 0; i < ARENA_SLOTS; i++) {
        if (arena->places[i].size > 0 &&
            atomic_load_explicit(&arena->side->state[i], memory_order_acquire) ==
                ARENA_FREE) {
            arena->places[i].size = 0;
        }
    }
}

/* Whether so many bytes from `at` on are nobody's. */
static int is_gap(const struct arena *arena, size_t at, size_t size)
{
    if (at > arena->bytes || size > arena->bytes - at) {
        return 0;
    }
    for (uint32_t i = 0; i < ARENA_SLOTS; i++) {
        const struct arena_place *place = &arena->places[i];
        if (place->size > 0 && at < place->at + place->size && place->at < at + size) {
            return 0;
        }
    }
    return 1;
}

/* The first gap: at the beginning, or behind some place. 0: none. */
static int find_gap(const struct arena *arena, size_t size, size_t *ret_at)
{
    size_t best = SIZE_MAX;
    if (is_gap(arena, 0, size)) {
        best = 0;
    }
    for (uint32_t i = 0; best > 0 && i < ARENA_SLOTS; i++) {
        const struct arena_place *place = &arena->places[i];
        size_t at = place->at + place->size;
        if (place->size > 0 && at < best && is_gap(arena, at, size)) {
            best = at;
        }
    }
    *ret_at = best;
    return best != SIZE_MAX;
}

int sp__arena_put(struct arena *arena, sp_bytes value, uint32_t stream,
                  struct arena_ref *ret)
{
    if (value.size == 0 || value.size > arena->bytes) {
        return 0;
    }
    if (arena->places == NULL) { /* many workers never get a large value */
        arena->places = sp__calloc(ARENA_SLOTS, sizeof *arena->places);
        if (arena->places == NULL) {
            return 0;
        }
    }
    collect(arena);
    size_t at;
    size_t size = (value.size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    uint32_t slot = 0;
    while (slot < ARENA_SLOTS && arena->places[slot].size > 0) {
        slot++;
    }
    if (slot == ARENA_SLOTS || !find_gap(arena, size, &at)) {
        return 0;
    }
    memcpy(arena->area + at, value.data, value.size);
    arena->places[slot] = (struct arena_place){.at = at, .size = size};
    atomic_store_explicit(&arena->side->stream[slot], stream, memory_order_relaxed);
    atomic_store_explicit(&arena->side->state[slot], ARENA_SENT, memory_order_release);
    atomic_fetch_add_explicit(&arena->side->puts, 1, memory_order_release);
    *ret = (struct arena_ref){.slot = slot, .at = at, .size = value.size};
    return 1;
}

static int move(struct arena *arena, uint32_t slot, uint32_t from, uint32_t to)
{
    return atomic_compare_exchange_strong(&arena->side->state[slot], &from, to);
}

void sp__arena_give_up(struct arena *arena, uint32_t slot)
{
    (void)move(arena, slot, ARENA_SENT, ARENA_FREE);
}

int sp__arena_find(const struct arena *arena, const struct arena_ref *ref,
                   sp_bytes *ret)
{
    if (ref->slot >= ARENA_SLOTS || ref->at > arena->bytes ||
        ref->size > arena->bytes - ref->at) {
        return 0;
    }
    *ret = (sp_bytes){arena->area + ref->at, (size_t)ref->size};
    return 1;
}

int sp__arena_hold(struct arena *arena, uint32_t slot)
{
    return move(arena, slot, ARENA_SENT, ARENA_HELD);
}

void sp__arena_release(struct arena *arena, uint32_t slot)
{
    atomic_store_explicit(&arena->side->state[slot], ARENA_FREE, memory_order_release);
}
