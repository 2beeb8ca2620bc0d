/* SPDX-License-Identifier: MIT */
/*
 * The ballast: a file whose blocks are given back when the disk is full.
 *
 * Making room in a database needs room: a deletion is a write to the log before it frees
 * anything. So a file of ROOM_BYTES is kept from the start. When a write finds no room the
 * ballast is let go, only what makes room is written from then on, and when the ballast
 * can be had again there is room for everybody.
 */
#include "store/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"

int sp__room_open(struct room *room, int folder, sp_error *err)
{
    room->fd =
        openat(folder, "ballast", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (room->fd < 0) {
        return sp__fail_errno(err, errno, "opening the file \"ballast\"");
    }
    room->is_taken = 0;
    (void)sp__room_take(room); /* without it a full disk is found at the first write */
    return SP_OK;
}

void sp__room_close(struct room *room)
{
    if (room->fd >= 0) {
        (void)close(room->fd);
    }
    room->fd = -1;
}

uint64_t sp__room_left(const struct room *room)
{
    struct statvfs disk;
    return fstatvfs(room->fd, &disk) < 0 ? 0 : (uint64_t)disk.f_bavail * disk.f_frsize;
}

int sp__room_take(struct room *room)
{
    if (room->is_taken) {
        return 1;
    }
    room->is_taken = posix_fallocate(room->fd, 0, ROOM_BYTES) == 0 &&
                     sp__room_left(room) >= ROOM_MARGIN;
    if (!room->is_taken) {
        sp__room_give(room); /* a part of it may have been had */
    }
    return room->is_taken;
}

void sp__room_give(struct room *room)
{
    room->is_taken = 0;
    (void)!ftruncate(room->fd,
                     0); /* what is not given is not missed more than before */
}
