/* SPDX-License-Identifier: MIT */
/*
 * Every order of events of a small pool, breadth first.
 *
 *     explore [-d DEPTH] [-s STATES] [-f FAULTS] [-w WISHES] [NAME...]
 *
 * Normal course: from the state after the start, every move is tried in every state, and
 * each new state is noted; a layer holds the states that take as many moves to reach. It
 * ends when no new state comes ("closed": the whole space was seen), at a depth, or when
 * as many states were seen as may be kept.
 *
 * States are told apart by 64 bits of a hash: among ten million the chance that two
 * different ones were taken for the same is below one in a hundred thousand.
 *
 * Failure: a broken rule stops it with the moves that lead there, one a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "play.h"

enum { DEPTH_MAX = 1000, STATES_USUAL = 40000000, TABLE_BEGIN = 1 << 16 };

/* How a state was reached first. */
struct origin {
    uint32_t parent;
    uint16_t move;
    uint16_t luck; /* which random numbers were drawn */
};

struct layer {
    unsigned char *bytes;
    size_t size, max;
    uint32_t first; /* the number of its first state */
    uint32_t count;
};

struct explorer {
    struct play play;
    struct play_budget budget;
    uint64_t *seen; /* open addressing, 0: free */
    size_t seen_max;
    struct origin *origins;
    size_t origins_max;
    uint32_t states;
    uint32_t states_max;
    uint64_t steps;
    struct layer now, next;
};

/* Draws near the lower and the upper end. */
static const uint64_t lucks[] = {1, 0x9e3779b97f4a7c15u};

static void *need(void *memory)
{
    if (memory == NULL) {
        (void)fprintf(stderr, "explore: out of memory\n");
        exit(2);
    }
    return memory;
}

/* ---- what was seen ---- */

static uint64_t hash(const unsigned char *bytes, size_t size)
{
    uint64_t h = 0x243f6a8885a308d3u ^ size;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ bytes[i]) * 0x9fb21c651e98df25u;
        h ^= h >> 29;
    }
    h ^= h >> 32;
    return h == 0 ? 1 : h;
}

static void grow_seen(struct explorer *explorer)
{
    size_t max = explorer->seen_max == 0 ? TABLE_BEGIN : 2 * explorer->seen_max;
    uint64_t *seen = need(calloc(max, sizeof *seen));
    for (size_t i = 0; i < explorer->seen_max; i++) {
        uint64_t value = explorer->seen[i];
        size_t at = value & (max - 1);
        while (value != 0 && seen[at] != 0) {
            at = (at + 1) & (max - 1);
        }
        if (value != 0) {
            seen[at] = value;
        }
    }
    free(explorer->seen);
    explorer->seen = seen;
    explorer->seen_max = max;
}

/* 1 when it is new, and seen from now on. */
static int note(struct explorer *explorer, uint64_t value)
{
    size_t mask = explorer->seen_max - 1;
    size_t at = value & mask;
    while (explorer->seen[at] != 0) {
        if (explorer->seen[at] == value) {
            return 0;
        }
        at = (at + 1) & mask;
    }
    explorer->seen[at] = value;
    return 1;
}

/* Now when no rule was broken, which makes it a state worth going on from. */
static void add_state(struct explorer *explorer, struct origin origin)
{
    unsigned char packed[PLAY_PACKED_MAX];
    size_t size = play_pack(&explorer->play, packed);
    if (2 * (size_t)explorer->states >= explorer->seen_max) {
        grow_seen(explorer);
    }
    if (!note(explorer, hash(packed, size))) {
        return;
    }
    if (explorer->states == explorer->origins_max) {
        explorer->origins_max = 2 * explorer->origins_max + TABLE_BEGIN;
        explorer->origins = need(realloc(
            explorer->origins, explorer->origins_max * sizeof *explorer->origins));
    }
    explorer->origins[explorer->states++] = origin;
    struct layer *next = &explorer->next;
    if (next->size + size + 2 > next->max) {
        next->max = 2 * next->max + PLAY_PACKED_MAX;
        next->bytes = need(realloc(next->bytes, next->max));
    }
    next->bytes[next->size] = (unsigned char)(size & 0xff);
    next->bytes[next->size + 1] = (unsigned char)(size >> 8);
    memcpy(next->bytes + next->size + 2, packed, size);
    next->size += size + 2;
    next->count++;
}

/* ---- telling ---- */

/* Play the way to a state again, aloud. */
static void tell_way(const struct explorer *explorer, uint32_t state)
{
    uint32_t way[DEPTH_MAX];
    size_t length = 0;
    for (; state != 0 && length < DEPTH_MAX; state = explorer->origins[state].parent) {
        way[length++] = state;
    }
    struct play play;
    struct move moves[PLAY_MOVES_MAX];
    unsigned char packed[PLAY_PACKED_MAX];
    if (play_init(&play, explorer->play.options, explorer->budget) < 0) {
        return;
    }
    while (length > 0) {
        (void)play_pack(&play, packed);
        const struct origin *origin = &explorer->origins[way[--length]];
        char text[200];
        (void)play_moves(&play, moves);
        play_describe(&play, &moves[origin->move], text, sizeof text);
        (void)printf("  %s\n", text);
        play.core.random = lucks[origin->luck];
        (void)play_do(&play, &moves[origin->move]);
    }
    play_fini(&play);
}

static void tell_broken(const struct explorer *explorer, uint32_t parent,
                        const struct move *move)
{
    char text[200];
    (void)printf("broken: %s\n  (%s)\nafter:\n", explorer->play.rules.broken,
                 explorer->play.rules.text);
    tell_way(explorer, parent);
    play_describe(&explorer->play, move, text, sizeof text);
    (void)printf("  %s\n", text);
}

/* ---- searching ---- */

/* Every move from one state: 0, or -1 when a rule was broken. */
static int try_all(struct explorer *explorer, uint32_t state,
                   const unsigned char *packed)
{
    struct play *play = &explorer->play;
    struct move moves[PLAY_MOVES_MAX];
    play_unpack(play, packed);
    size_t count = play_moves(play, moves);
    for (size_t i = 0; i < count; i++) {
        for (size_t luck = 0; luck < 2; luck++) {
            play_unpack(play, packed);
            play->core.random = lucks[luck];
            explorer->steps++;
            if (play_do(play, &moves[i]) < 0) {
                tell_broken(explorer, state, &moves[i]);
                return -1;
            }
            int drew = play->core.random != lucks[luck];
            add_state(explorer, (struct origin){.parent = state,
                                                .move = (uint16_t)i,
                                                .luck = (uint16_t)luck});
            if (!drew) {
                break;
            }
        }
    }
    return 0;
}

static int try_layer(struct explorer *explorer)
{
    const unsigned char *at = explorer->now.bytes;
    for (uint32_t i = 0; i < explorer->now.count; i++) {
        size_t size = at[0] | (size_t)at[1] << 8;
        if (try_all(explorer, explorer->now.first + i, at + 2) < 0) {
            return -1;
        }
        at += 2 + size;
    }
    return 0;
}

static void turn_layers(struct explorer *explorer)
{
    struct layer old = explorer->now;
    explorer->now = explorer->next;
    explorer->now.first = explorer->states - explorer->now.count;
    explorer->next = (struct layer){.bytes = old.bytes, .max = old.max};
}

static int search(struct explorer *explorer, int depth_max)
{
    int depth = 0;
    grow_seen(explorer);
    add_state(explorer, (struct origin){0});
    turn_layers(explorer);
    while (explorer->now.count > 0 && depth < depth_max &&
           explorer->states < explorer->states_max) {
        if (try_layer(explorer) < 0) {
            return -1;
        }
        turn_layers(explorer);
        depth++;
    }
    (void)printf("%-13s %10u states, %11llu steps, depth %3d, %s, 0 rules broken\n",
                 explorer->play.options->name, explorer->states,
                 (unsigned long long)explorer->steps, depth,
                 explorer->now.count == 0 ? "closed" : "not closed");
    (void)fflush(stdout);
    return 0;
}

struct limits {
    int depth_max;
    uint32_t states_max;
    struct play_budget budget;
};

static int explore(const struct play_options *options, const struct limits *limits)
{
    struct explorer explorer = {.states_max = limits->states_max,
                                .budget = limits->budget};
    int rc = play_init(&explorer.play, options, limits->budget);
    if (rc < 0) {
        (void)fprintf(stderr, "explore: %s does not begin: %s\n", options->name,
                      explorer.play.rules.text);
    } else {
        rc = search(&explorer, limits->depth_max);
    }
    play_fini(&explorer.play);
    free(explorer.seen);
    free(explorer.origins);
    free(explorer.now.bytes);
    free(explorer.next.bytes);
    return rc;
}

static int is_wanted(const char *name, char **names)
{
    for (char **at = names; *at != NULL; at++) {
        if (strcmp(*at, name) == 0) {
            return 1;
        }
    }
    return *names == NULL;
}

static int read_limits(int argc, char **argv, struct limits *limits)
{
    int option;
    while ((option = getopt(argc, argv, "d:s:f:w:")) != -1) {
        unsigned long value = optarg == NULL ? 0 : strtoul(optarg, NULL, 10);
        switch (option) {
        case 'd':
            limits->depth_max = (int)value;
            break;
        case 's':
            limits->states_max = (uint32_t)value;
            break;
        case 'f':
            limits->budget.faults = (uint8_t)value;
            break;
        case 'w':
            limits->budget.wishes = (uint8_t)value;
            break;
        default:
            return -1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct limits limits = {DEPTH_MAX, STATES_USUAL, {.faults = 1, .wishes = 1}};
    if (read_limits(argc, argv, &limits) < 0) {
        (void)fprintf(stderr, "usage: explore [-d DEPTH] [-s STATES] [-f FAULTS] "
                              "[-w WISHES] [NAME...]\n");
        return 2;
    }
    int tried = 0;
    for (size_t i = 0; i < play_options_count; i++) {
        if (is_wanted(play_options[i].name, argv + optind)) {
            tried++;
            if (explore(&play_options[i], &limits) < 0) {
                return 1;
            }
        }
    }
    if (tried == 0) {
        (void)fprintf(stderr, "explore: no pool of that name\n");
    }
    return tried == 0 ? 2 : 0;
}
