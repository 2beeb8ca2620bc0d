/* SPDX-License-Identifier: MIT */
#include "base/duplex.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

enum { PIECE_MIN = 2 * DUPLEX_PIPED_MAX, PIECE_MAX = 1 << 20 };
#define BULK ((uint32_t)1 << 31)

void sp__duplex_init(struct duplex *duplex, const struct duplex_fds *fds)
{
    *duplex = (struct duplex){.fds = *fds, .piece = PIECE_MIN};
    sp__buf_init(&duplex->buf, SIZE_MAX / 2);
}

void sp__duplex_fini(struct duplex *duplex)
{
    sp__buf_fini(&duplex->buf);
}

void sp__duplex_close_fds(const struct duplex_fds *fds)
{
    (void)close(fds->socket);
    if (sp__duplex_is_piped(fds)) {
        (void)close(fds->in);
        (void)close(fds->out);
    }
}

/* ---- writing ---- */

/* The place of the head is left free in front. */
static size_t room_for_head(const struct duplex *duplex)
{
    return sp__duplex_is_piped(&duplex->fds) ? DUPLEX_HEAD_BYTES : 0;
}

int sp__duplex_begin(struct duplex *duplex, sp_error *err)
{
    size_t head = room_for_head(duplex);
    int rc = sp__buf_reserve(&duplex->buf, head, err);
    if (rc == SP_OK) {
        duplex->buf.size = head;
    }
    return rc;
}

void sp__duplex_rest(struct duplex *duplex, size_t keep)
{
    duplex->buf.size = 0;
    sp__buf_shrink(&duplex->buf, keep);
}

size_t sp__duplex_waiting(const struct duplex *duplex)
{
    size_t head = room_for_head(duplex);
    size_t gone = duplex->at > head ? duplex->at : head;
    size_t left = duplex->buf.size > gone ? duplex->buf.size - gone : 0;
    return left + duplex->told;
}

/* All of it is there: now it is known where it goes, and how much it is. */
static void begin_sending(struct duplex *duplex)
{
    size_t size = duplex->buf.size - DUPLEX_HEAD_BYTES;
    duplex->is_much = size > DUPLEX_PIPED_MAX;
    if (duplex->is_much) {
        duplex->at = DUPLEX_HEAD_BYTES;
    } else {
        uint32_t head = (uint32_t)size;
        duplex->piece = PIECE_MIN;
        memcpy(duplex->buf.data, &head, sizeof head);
    }
}

/* 1: done; 0: full; -1. Four bytes go into a pipe whole or not at all. */
static int tell(struct duplex *duplex)
{
    uint32_t head = duplex->told | BULK;
    ssize_t n;
    do {
        n = write(duplex->fds.out, &head, sizeof head);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        duplex->full = duplex->fds.out;
        return errno == EAGAIN ? 0 : -1;
    }
    duplex->told = 0;
    return 1;
}

static ssize_t put(const struct duplex *duplex, int fd, const uint8_t *data,
                   size_t size)
{
    if (fd != duplex->fds.socket) {
        return write(fd, data, size);
    }
    if (sp__duplex_is_piped(&duplex->fds) && size > duplex->piece) {
        size = duplex->piece;
    }
    return send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void note_piece(struct duplex *duplex, uint32_t bytes)
{
    duplex->told = bytes;
    if (bytes > 0 && duplex->piece < PIECE_MAX) {
        duplex->piece *= 2;
    }
}

int sp__duplex_send(struct duplex *duplex)
{
    int is_piped = sp__duplex_is_piped(&duplex->fds);
    if (is_piped && duplex->at == 0 && sp__duplex_waiting(duplex) > 0) {
        begin_sending(duplex);
    }
    while (sp__duplex_waiting(duplex) > 0) {
        if (duplex->told > 0) {
            int rc = tell(duplex);
            if (rc <= 0) {
                return rc;
            }
            continue;
        }
        int fd = is_piped && !duplex->is_much ? duplex->fds.out : duplex->fds.socket;
        ssize_t n = put(duplex, fd, duplex->buf.data + duplex->at,
                        duplex->buf.size - duplex->at);
        if (n >= 0) {
            duplex->at += (size_t)n;
            note_piece(duplex, is_piped && duplex->is_much ? (uint32_t)n : 0);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            duplex->full = fd;
            return 0;
        } else if (errno != EINTR) {
            return -1;
        }
    }
    duplex->buf.size = 0;
    duplex->at = 0;
    return 1;
}

void sp__duplex_rouse(struct duplex *duplex)
{
    static const uint32_t nothing;
    if (sp__duplex_is_piped(&duplex->fds) && sp__duplex_waiting(duplex) == 0) {
        (void)!write(duplex->fds.out, &nothing, sizeof nothing); /* full: it is awake */
    }
}

/* ---- reading ---- */

struct taker {
    int (*take)(void *user, const uint8_t *data, size_t size);
    void *user;
};

static int hand_on(const struct taker *taker, const uint8_t *data, size_t size)
{
    return size > 0 ? taker->take(taker->user, data, size) : 0;
}

/* What lies in the socket, according to the pipe. 0; 1: not taken; -1 with errno. */
static int receive_bulk(const struct duplex *duplex, uint32_t bytes, uint8_t *room,
                        size_t size, const struct taker *taker)
{
    while (bytes > 0) {
        ssize_t n =
            recv(duplex->fds.socket, room, bytes < size ? bytes : size, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 || errno == EAGAIN ? EPROTO : errno; /* it is not there */
            return -1;
        }
        bytes -= (uint32_t)n;
        if (hand_on(taker, room, (size_t)n) != 0) {
            return 1;
        }
    }
    return 0;
}

/* A head is whole. As receive_bulk(). */
static int take_head(struct duplex *duplex, uint8_t *room, size_t size,
                     const struct taker *taker)
{
    uint32_t word;
    memcpy(&word, duplex->head, sizeof word);
    duplex->head_size = 0;
    uint32_t bytes = word & ~BULK;
    uint32_t max = word & BULK ? PIECE_MAX : DUPLEX_PIPED_MAX;
    if (bytes > max || word == BULK) {
        errno = EPROTO;
        return -1;
    }
    if (word & BULK) {
        return receive_bulk(duplex, bytes, room, size, taker);
    }
    duplex->left = bytes;
    return 0;
}

/* Bytes of the pipe; `room` is free meanwhile. As receive_bulk(). */
static int take_piped(struct duplex *duplex, const uint8_t *data, size_t n,
                      uint8_t *room, size_t size, const struct taker *taker)
{
    int rc = 0;
    while (n > 0 && rc == 0) {
        size_t part;
        if (duplex->left > 0) {
            part = n < duplex->left ? n : duplex->left;
            duplex->left -= (uint32_t)part;
            rc = hand_on(taker, data, part);
        } else {
            size_t missing = DUPLEX_HEAD_BYTES - duplex->head_size;
            part = n < missing ? n : missing;
            memcpy(duplex->head + duplex->head_size, data, part);
            duplex->head_size += (uint32_t)part;
            rc = duplex->head_size < DUPLEX_HEAD_BYTES
                     ? 0
                     : take_head(duplex, room, size, taker);
        }
        data += part;
        n -= part;
    }
    return rc;
}

enum duplex_news sp__duplex_receive(struct duplex *duplex, uint8_t *room, size_t size,
                                    int (*take)(void *user, const uint8_t *data,
                                                size_t size),
                                    void *user)
{
    const struct taker taker = {take, user};
    int is_piped = sp__duplex_is_piped(&duplex->fds);
    size_t max = is_piped ? size / 2 : size;
    ssize_t n;
    do {
        n = is_piped ? read(duplex->fds.in, room, max)
                     : recv(duplex->fds.socket, room, max, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK ? DUPLEX_NOTHING : DUPLEX_BROKEN;
    }
    if (n == 0) {
        return DUPLEX_END;
    }
    int rc = is_piped
                 ? take_piped(duplex, room, (size_t)n, room + max, size - max, &taker)
                 : hand_on(&taker, room, (size_t)n);
    if (rc < 0) {
        return DUPLEX_BROKEN;
    }
    return rc == 0 && (size_t)n == max ? DUPLEX_MORE : DUPLEX_SOME;
}
