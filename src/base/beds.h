/* SPDX-License-Identifier: MIT */
/*
 * Where threads sleep that are woken together, many at a time.
 *
 * To wake a thread on another processor costs three times what it costs on one's own, and
 * takes that processor from whoever runs there. So a thread that lies down does so in the
 * hall of the processor that it is on, and of all who shall get up the waker wakes one in
 * each hall. That one, once up, wakes the others of its hall before it does anything else,
 * by one system call for each room of 32.
 *
 * Who was to wake others may be kept from it: by a debugger, or by threads that are more
 * urgent. So the waker looks again a little later (sp__beds_rouse()).
 */
#ifndef SP_BASE_BEDS_H
#define SP_BASE_BEDS_H

#include <stdint.h>
#include <time.h>

enum { BED_HALLS = 16, BED_ROOMS = 32, BEDS_IN_ROOM = 32 };
enum { BEDS_IN_HALL = BED_ROOMS * BEDS_IN_ROOM };

/* Two may share one: then who is to stay is woken in vain. */
struct bed {
    unsigned hall;
    unsigned number; /* below BEDS_IN_HALL */
};

/* The hall of the processor that this thread is on. */
unsigned sp__bed_hall(void);

/* What sp__bed_sleep() is to be handed. To be asked before it is made known that a
 * thread sleeps there: who is woken from then on does not fall asleep. */
unsigned sp__bed_look(struct bed bed);
/* One sleep, until end (CLOCK_MONOTONIC; NULL: never). 0 when that has passed. */
int sp__bed_sleep(struct bed bed, unsigned seen, const struct timespec *end);
/* Wake this one, now. The number of threads that were. */
int sp__bed_wake(struct bed bed);

/* Those who shall get up; {0}: nobody. */
struct rousing {
    int any;
    int any_left;              /* somebody is left to be woken by another */
    uint16_t first[BED_HALLS]; /* of each hall, the bed; from 1 */
};

void sp__rousing_add(struct rousing *rousing, struct bed bed);
/* Wake them. */
void sp__rousing_end(struct rousing *rousing);

/* Wake whoever has been left to others and still sleeps. */
void sp__beds_rouse(void);

#endif
