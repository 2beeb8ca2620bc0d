/* SPDX-License-Identifier: MIT */
/*
 * A client's connection to a peer on a unix socket: epoll, one read of what is there,
 * one write for all that it led to. Both comparators' clients are built on it, so that
 * they differ in their framing only.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>

enum { PEER_READ_BYTES = 64 * 1024 };

struct peer {
    int fd;
    int epoll;
    int wants_write;
};

/* Connects; gives up when nobody listens. */
void peer_open(struct peer *peer, const char *path);
void peer_close(struct peer *peer);
/* Waits for bytes, or for room to write when peer_send() left some over. Returns how
 * many bytes came, 0 when there is only room. */
size_t peer_receive(struct peer *peer, void *data, size_t max);
/* Returns how many bytes went. */
size_t peer_send(struct peer *peer, const void *data, size_t size);

#endif
