/* SPDX-License-Identifier: MIT */
/*
 * Two processes that have much to tell each other should not share a processor.
 *
 * Linux likes to let who is woken run where its waker does. For a call that is alone that
 * is the best place there is, and half the way. With many under way it is the worst: each
 * side waits while the other works. It does not end soon by itself: the kernel looks for a
 * free processor only while those that share a cache are less than some 60 % busy, and
 * moves who waits only when it has lain cold for a while, which took tens of milliseconds
 * where it was seen.
 *
 * So who finds many calls several times in a row, and their sender where it runs itself,
 * goes elsewhere. And who expects many answers sleeps so that it is left where it is: who
 * writes to a socket or a pipe tells Linux that it will sleep now and that whom it wakes
 * can have its processor, which is not true as long as there are more.
 */
#ifndef SP_BASE_APART_H
#define SP_BASE_APART_H

#include <stdint.h>
#include <sys/epoll.h>

/* So many calls read at once, or under way, are many. Batches of 5 to 17 were seen to come
 * for milliseconds to who shared a processor, and with 12 the times in a row began anew all
 * the time. A closed loop with 6, 8 or 10 in flight is as fast with 5 as with 12. */
enum { APART_CALLS = 5 };

struct apart {
    uint32_t together; /* times in a row */
    uint64_t again_ms; /* not before: moving takes 10 us, and may be in vain */
};

/* Calls have come, many and from here, or not: 1 when it is time to go. */
int sp__apart_is_due(struct apart *apart, int is_together, uint64_t now_ms);

/* The calling thread goes to another of the processors that it may use, and may use the
 * same ones as before. 1; 0 when there is no other. */
int sp__apart_move(void);

/* As epoll_wait(), and is woken where it slept, if that can be. One call more of the
 * kernel. */
int sp__apart_epoll_wait(int epoll_fd, struct epoll_event *events, int max,
                         int wait_ms);

#endif
