/* SPDX-License-Identifier: MIT */
#include "base/apart.h"

#include <poll.h>
#include <sched.h>

enum { TIMES = 3, PAUSE_MS = 2 };

int sp__apart_is_due(struct apart *apart, int is_together, uint64_t now_ms)
{
    apart->together = is_together ? apart->together + 1 : 0;
    if (apart->together < TIMES || now_ms < apart->again_ms) {
        return 0;
    }
    apart->together = 0;
    apart->again_ms = now_ms + PAUSE_MS;
    return 1;
}

/* The kernel has no other way to say "anywhere but here". */
int sp__apart_move(void)
{
    cpu_set_t allowed;
    int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) < 0) {
        return 0; /* more processors than the set has room for */
    }
    cpu_set_t others = allowed;
    CPU_CLR((size_t)here, &others);
    if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) < 0) {
        return 0;
    }
    (void)sched_setaffinity(0, sizeof allowed, &allowed);
    return 1;
}

/* What wakes an epoll wakes those that poll it in its own name, without the writer's hint. */
int sp__apart_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int wait_ms)
{
    struct pollfd polled = {.fd = epoll_fd, .events = POLLIN};
    int n = poll(&polled, 1, wait_ms);
    return n > 0 ? epoll_wait(epoll_fd, events, max, 0) : n;
}
