/* SPDX-License-Identifier: MIT */
/*
 * Where threads sleep that are woken together, many at a time.
 *
 * To wake a thread on another processor costs three times what it costs on one's own, and
 * takes that processor from whoever runs there. So a thread parks in the lot of the
 * processor that it is on, and of all who are to be unparked the waker wakes one in each
 * lot. That one, once up, wakes the others of its lot before it does anything else,
 * by one system call for each row of 32.
 *
 * Who was to wake others may be kept from it: by a debugger, or by threads that are more
 * urgent. So the waker looks again a little later (sp__unpark_left()).
 */
#ifndef SP_BASE_PARKING_H
#define SP_BASE_PARKING_H

#include <stdint.h>
#include <time.h>

enum { PARKING_LOTS = 16, LOT_ROWS = 32, ROW_SPOTS = 32 };
enum { LOT_SPOTS = LOT_ROWS * ROW_SPOTS };

/* Two may share one: then who is to stay is woken in vain. */
struct spot {
    unsigned lot;
    unsigned number; /* below LOT_SPOTS */
};

/* The lot of the processor that this thread is on. */
unsigned sp__parking_lot(void);

/* What sp__park() is to be handed. To be asked before it is made known that a thread
 * sleeps there: who is unparked from then on does not fall asleep. */
unsigned sp__parking_look(struct spot spot);
/* One sleep, until end (CLOCK_MONOTONIC; NULL: never). 0 when that has passed. */
int sp__park(struct spot spot, unsigned seen, const struct timespec *end);
/* Wake this one, now. The number of threads that were. */
int sp__unpark(struct spot spot);

/* Those who are to be unparked; {0}: nobody. */
struct unparking {
    int any;
    int any_left;                 /* somebody is left to be woken by another */
    uint16_t first[PARKING_LOTS]; /* of each lot, the spot; from 1 */
};

void sp__unparking_add(struct unparking *unparking, struct spot spot);
/* Wake them. */
void sp__unparking_end(struct unparking *unparking);

/* Wake whoever has been left to others and still sleeps. */
void sp__unpark_left(void);

#endif
