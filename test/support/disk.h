/* SPDX-License-Identifier: MIT */
/*
 * SQLite's way to the disk (and to memory), with faults, and with a record of all that
 * was written.
 *
 * Installed as the default of this process; everything goes on to the real one, unless a
 * fault is due. While it records, it keeps every write, sync, truncation and deletion, so
 * that what a disk may hold after a power failure can be put together.
 */
#ifndef TEST_SUPPORT_DISK_H
#define TEST_SUPPORT_DISK_H

#include <stddef.h>
#include <stdint.h>

enum disk_op { DISK_WRITE, DISK_SYNC, DISK_OPS };

enum disk_fault {
    DISK_NO_ROOM, /* nothing is written: ENOSPC */
    DISK_SHORT,   /* half of it is, then ENOSPC */
    DISK_EIO
};

void disk_install(void);

/* Let the n-th operation of a kind fail from here on (1 is the next), and with `sticky`
 * every one after it; n 0: none. */
void disk_fail(enum disk_op op, uint64_t n, int sticky, enum disk_fault fault);
int disk_has_failed(void); /* a fault came true since it was asked for */

/* The same with the n-th allocation of SQLite. */
void disk_memory_fail(uint64_t n, int sticky);
uint64_t disk_memory_calls(void);

/* ---- recording ---- */

void disk_record(void);
void disk_stop(void);   /* and keep what was recorded */
void disk_forget(void); /* free it */
/* Now, as a number that grows with everything that is recorded. */
size_t disk_moment(void);

/* Draws numbers: 0 to below-1. */
typedef uint64_t (*disk_draw_fn)(uint64_t below);

/*
 * Write into a folder what the disk may hold when the power failed at a moment: what was
 * synced, and of what was not yet, any part: each write wholly, not at all, or torn at a
 * multiple of 512 bytes, and in any order.
 */
void disk_image(size_t moment, const char *folder, disk_draw_fn draw);

#endif
