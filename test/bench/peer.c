/* SPDX-License-Identifier: MIT */
/*
 * See peer.h. The socket is non-blocking; writability is watched only while something is
 * left over, so that the usual turn is one epoll_wait, one recv and one send.
 */
#include "peer.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "measure.h"

void peer_open(struct peer *peer, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event event = {.events = EPOLLIN};
    if (strlen(path) >= sizeof address.sun_path) {
        give_up("peer: path too long: %s", path);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer->epoll = epoll_create1(EPOLL_CLOEXEC);
    peer->wants_write = 0;
    if (peer->fd < 0 || peer->epoll < 0 ||
        epoll_ctl(peer->epoll, EPOLL_CTL_ADD, peer->fd, &event) < 0 ||
        connect(peer->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        give_up("peer: %s: %s", path, strerrordesc_np(errno));
    }
}

void peer_close(struct peer *peer)
{
    (void)close(peer->fd);
    (void)close(peer->epoll);
}

static void watch_writing(struct peer *peer, int wanted)
{
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0)};
    if (wanted != peer->wants_write) {
        peer->wants_write = wanted;
        (void)epoll_ctl(peer->epoll, EPOLL_CTL_MOD, peer->fd, &event);
    }
}

size_t peer_receive(struct peer *peer, void *data, size_t max)
{
    for (;;) {
        struct epoll_event event = {0};
        (void)epoll_wait(peer->epoll, &event, 1, -1);
        ssize_t n = recv(peer->fd, data, max, MSG_DONTWAIT);
        if (n > 0) {
            return (size_t)n;
        }
        if (n == 0) {
            give_up("peer: the server closed the connection");
        }
        if (errno != EAGAIN && errno != EINTR) {
            give_up("peer: recv: %s", strerrordesc_np(errno));
        }
        if (event.events & EPOLLOUT) {
            return 0;
        }
    }
}

size_t peer_send(struct peer *peer, const void *data, size_t size)
{
    size_t sent = 0;
    while (sent < size) {
        ssize_t n = send(peer->fd, (const char *)data + sent, size - sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            give_up("peer: send: %s", strerrordesc_np(errno));
        }
    }
    watch_writing(peer, sent < size);
    return sent;
}
