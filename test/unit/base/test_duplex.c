/* SPDX-License-Identifier: MIT */
/* Bytes over a socket and pipes: their order, what is full, and what cannot be right. */
#include "base/duplex.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pipe.h"
#include "leak.h"

enum { ROOM = 128 * 1024, MUCH = 5 << 20 };

static uint8_t room[ROOM];

/* What one side took: bytes that count up from `next`. */
struct taken {
    uint64_t next;
    int refuses;
};

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 2654435761u >> 7);
}

static int take(void *user, const uint8_t *data, size_t size)
{
    struct taken *taken = user;
    assert_true(size > 0);
    for (size_t i = 0; i < size; i++) {
        if (data[i] != byte_at(taken->next++)) {
            fail_msg("byte %llu is another", (unsigned long long)taken->next - 1);
        }
    }
    return taken->refuses;
}

static void open_both(struct duplex both[2], int is_piped)
{
    int sockets[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    struct duplex_fds fds[2] = {sp__duplex_socket(sockets[0]),
                                sp__duplex_socket(sockets[1])};
    for (int i = 0; i < 2 && is_piped; i++) {
        assert_true(sp__pipe_open(&fds[1 - i].in, &fds[i].out) > 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sp__duplex_is_piped(&fds[i]), is_piped);
        sp__duplex_init(&both[i], &fds[i]);
    }
}

static void close_one(struct duplex *duplex)
{
    sp__duplex_close_fds(&duplex->fds);
    sp__duplex_fini(duplex);
}

static void close_both(struct duplex both[2])
{
    close_one(&both[0]);
    close_one(&both[1]);
}

/* Append so many bytes of the row that begins at *next. */
static void fill(struct duplex *duplex, uint64_t *next, size_t size)
{
    assert_int_equal(sp__duplex_begin(duplex, NULL), 0);
    assert_int_equal(sp__buf_reserve(&duplex->buf, size, NULL), 0);
    for (size_t i = 0; i < size; i++) {
        duplex->buf.data[duplex->buf.size++] = byte_at((*next)++);
    }
    assert_int_equal(sp__duplex_waiting(duplex), size);
}

static enum duplex_news receive(struct duplex *duplex, struct taken *taken)
{
    return sp__duplex_receive(duplex, room, sizeof room, take, taken);
}

/* Sizes of all kinds, one side a little ahead of the other, until all have come. */
static void check_order(int is_piped)
{
    static const size_t sizes[] = {
        1, 90, DUPLEX_PIPED_MAX, 4092, 4093, DUPLEX_PIPED_MAX + 1, 700000,
        3, 0,  200000,           9,    65536};
    enum { ROUNDS = 60 };
    struct duplex both[2];
    struct taken taken = {0};
    uint64_t sent = 0;
    open_both(both, is_piped);
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t i = round * 7 % (sizeof sizes / sizeof sizes[0]);
        fill(&both[0], &sent, sizes[i]);
        while (sp__duplex_send(&both[0]) == 0) {
            (void)receive(&both[1], &taken);
        }
        assert_int_equal(sp__duplex_waiting(&both[0]), 0);
        if (round % 3 == 0) {
            (void)receive(&both[1], &taken);
        }
    }
    while (taken.next < sent) {
        assert_int_not_equal(receive(&both[1], &taken), DUPLEX_NOTHING);
    }
    assert_int_equal(receive(&both[1], &taken), DUPLEX_NOTHING);
    close_both(both);
}

static void bytes_come_in_their_order(void **state)
{
    check_order(0);
    check_order(1);
}

static void what_is_little_leaves_the_socket_alone(void **state)
{
    struct duplex both[2];
    struct taken taken = {0};
    uint64_t sent = 0;
    open_both(both, 1);
    fill(&both[0], &sent, DUPLEX_PIPED_MAX);
    assert_int_equal(sp__duplex_send(&both[0]), 1);
    assert_int_equal(recv(both[1].fds.socket, room, 1, MSG_DONTWAIT), -1);
    assert_int_equal(receive(&both[1], &taken), DUPLEX_SOME);
    assert_int_equal(taken.next, sent);
    close_both(both);
}

/* Fill until there is no room, and say where. */
static int fill_up(struct duplex *duplex, uint64_t *sent, size_t size)
{
    do {
        fill(duplex, sent, size);
    } while (sp__duplex_send(duplex) == 1);
    return duplex->full;
}

static void drain(struct duplex both[2], struct taken *taken, uint64_t sent)
{
    while (taken->next < sent) {
        assert_int_not_equal(receive(&both[1], taken), DUPLEX_NOTHING);
        assert_int_not_equal(sp__duplex_send(&both[0]), -1);
    }
}

static void what_is_full_is_told(void **state)
{
    struct duplex both[2];
    struct taken taken = {0};
    uint64_t sent = 0;
    open_both(both, 1);
    assert_int_equal(fill_up(&both[0], &sent, 100), both[0].fds.out);
    drain(both, &taken, sent);
    assert_int_equal(fill_up(&both[0], &sent, MUCH), both[0].fds.socket);
    drain(both, &taken, sent);
    /* The socket has taken a piece, and the pipe has no room to tell of it. */
    for (int n = 0; n >= 0;) {
        n = (int)write(both[0].fds.out, room, 1);
    }
    fill(&both[0], &sent, MUCH);
    assert_int_equal(sp__duplex_send(&both[0]), 0);
    assert_int_equal(both[0].full, both[0].fds.out);
    assert_int_equal(sp__duplex_waiting(&both[0]), MUCH); /* nobody knows of it */
    assert_true(both[0].told > 0);
    while (read(both[1].fds.in, room, sizeof room) > 0) {
    }
    assert_int_not_equal(sp__duplex_send(&both[0]), -1);
    drain(both, &taken, sent);
    close_both(both);

    open_both(both, 0);
    sent = taken.next = 0;
    assert_int_equal(fill_up(&both[0], &sent, MUCH), both[0].fds.socket);
    drain(both, &taken, sent);
    close_both(both);
}

static void who_is_roused_wakes_up_for_nothing(void **state)
{
    struct duplex both[2];
    struct taken taken = {0};
    uint64_t sent = 0;
    open_both(both, 1);
    struct pollfd polled = {.fd = both[1].fds.in, .events = POLLIN};
    assert_int_equal(poll(&polled, 1, 0), 0);
    sp__duplex_rouse(&both[0]);
    assert_int_equal(poll(&polled, 1, 0), 1);
    assert_int_equal(receive(&both[1], &taken), DUPLEX_SOME);
    assert_int_equal(receive(&both[1], &taken), DUPLEX_NOTHING);

    fill(&both[0], &sent, 100);
    assert_int_equal(sp__duplex_send(&both[0]), 1);
    sp__duplex_rouse(&both[0]);
    fill(&both[0], &sent, 100);
    assert_int_equal(sp__duplex_send(&both[0]), 1);
    assert_int_equal(receive(&both[1], &taken), DUPLEX_SOME);
    assert_int_equal(taken.next, sent);
    close_both(both);
}

static void who_has_not_taken_all_is_awake(void **state)
{
    struct duplex both[2];
    struct taken taken = {0};
    uint64_t sent = 0;
    open_both(both, 1);
    (void)fill_up(&both[0], &sent, DUPLEX_PIPED_MAX);
    assert_true(sp__duplex_waiting(&both[0]) > 0);
    sp__duplex_rouse(&both[0]); /* in the midst of what is on its way */
    drain(both, &taken, sent);
    close_both(both);
}

static void without_a_pipe_nobody_is_roused(void **state)
{
    struct duplex both[2];
    struct taken taken = {0};
    open_both(both, 0);
    sp__duplex_rouse(&both[0]);
    assert_int_equal(receive(&both[1], &taken), DUPLEX_NOTHING);
    close_both(both);
}

static void check_broken(uint32_t head)
{
    struct duplex both[2];
    struct taken taken = {0};
    open_both(both, 1);
    const uint8_t *bytes = (const uint8_t *)&head;
    assert_int_equal(write(both[0].fds.out, bytes, 3),
                     3); /* a part of it is none yet */
    assert_int_equal(receive(&both[1], &taken), DUPLEX_SOME);
    assert_int_equal(write(both[0].fds.out, bytes + 3, 1), 1);
    errno = 0;
    assert_int_equal(receive(&both[1], &taken), DUPLEX_BROKEN);
    assert_int_equal(errno, EPROTO);
    close_both(both);
}

static void what_cannot_be_right_is_told(void **state)
{
    check_broken(1u << 31);
    check_broken(DUPLEX_PIPED_MAX + 1);
    check_broken(0xffffffff);
    check_broken((1u << 31) + 5); /* that do not lie in the socket */
}

static void a_peers_end_is_heard_after_its_last_word(void **state)
{
    for (int is_piped = 0; is_piped < 2; is_piped++) {
        struct duplex both[2];
        struct taken taken = {0};
        uint64_t sent = 0;
        open_both(both, is_piped);
        fill(&both[0], &sent, 100000);
        assert_int_equal(sp__duplex_send(&both[0]), 1);
        close_one(&both[0]);
        while (taken.next < sent) {
            assert_in_range(receive(&both[1], &taken), DUPLEX_SOME, DUPLEX_MORE);
        }
        assert_int_equal(receive(&both[1], &taken), DUPLEX_END);
        sent = 0;
        fill(&both[1], &sent, 100);
        int rc = sp__duplex_send(&both[1]); /* no signal */
        assert_int_equal(rc, is_piped ? 1 : -1);
        close_one(&both[1]);
    }
}

static void who_refuses_gets_no_more(void **state)
{
    struct duplex both[2];
    struct taken taken = {.refuses = 1};
    uint64_t sent = 0;
    open_both(both, 1);
    fill(&both[0], &sent, 10);
    assert_int_equal(sp__duplex_send(&both[0]), 1);
    fill(&both[0], &sent, 10);
    assert_int_equal(sp__duplex_send(&both[0]), 1);
    assert_int_equal(receive(&both[1], &taken), DUPLEX_SOME);
    assert_int_equal(taken.next, 10);
    close_both(both);
}

static void memory_is_given_up(void **state)
{
    struct duplex both[2];
    uint64_t sent = 0;
    open_both(both, 1);
    sp__mem_fail_at(1, 0);
    assert_int_equal(sp__duplex_begin(&both[0], NULL), SP_ERR_NOMEM);
    fill(&both[0], &sent, 0);
    assert_int_equal(sp__buf_reserve(&both[0].buf, MUCH, NULL), 0);
    sp__duplex_rest(&both[0], 4096);
    assert_true(both[0].buf.capacity <= 4096);
    assert_int_equal(sp__duplex_waiting(&both[0]), 0);
    close_both(both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_come_in_their_order),
        TEST(what_is_little_leaves_the_socket_alone),
        TEST(what_is_full_is_told),
        TEST(who_is_roused_wakes_up_for_nothing),
        TEST(who_has_not_taken_all_is_awake),
        TEST(without_a_pipe_nobody_is_roused),
        TEST(what_cannot_be_right_is_told),
        TEST(a_peers_end_is_heard_after_its_last_word),
        TEST(who_refuses_gets_no_more),
        TEST(memory_is_given_up),
    };
    return cmocka_run_group_tests_name("duplex", tests, NULL, NULL);
}
