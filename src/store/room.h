/* SPDX-License-Identifier: MIT */
/* Room on the disk that is kept for the day when there is none. */
#ifndef SP_STORE_ROOM_H
#define SP_STORE_ROOM_H

#include <stdint.h>

#include "snakepit/error.h"

enum {
    ROOM_BYTES = 1 << 20,  /* the log of some hundred deletions, with a margin */
    ROOM_MARGIN = 1 << 18, /* free besides it, or the next change would fail again */
};

struct room {
    int fd; /* of the ballast file */
    int is_taken;
};

/* Open the ballast in the folder, and take the room when the disk has it. SYSTEM. */
int sp__room_open(struct room *room, int folder, sp_error *err) SP_MUST_CHECK;
void sp__room_close(struct room *room);

/* 1 when the ballast holds its room, now or already, and there is a margin; 0 when the
 * disk is too full for that: then it holds none. */
int sp__room_take(struct room *room);

/* What the disk has left, besides the ballast. */
uint64_t sp__room_left(const struct room *room);

/* Let go of it, for deletions and checkpoints to be written. */
void sp__room_give(struct room *room);

#endif
