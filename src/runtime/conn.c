/* SPDX-License-Identifier: MIT */
/*
 * The worker's connections: bytes between descriptors and wire/h2. Everything under smu.
 *
 * Reading and writing never wait. What is not taken stays in the duplex's buffer, which is
 * filled again only when it is empty, so it holds one write's worth; the rest stays in h2,
 * where streams stop at their high-water mark.
 *
 * A connection that ended or broke is marked and dropped by the next pump: h2 then ends
 * its streams, which cancels their jobs. When it was the one with the host's calls, the
 * worker has lost its purpose: cancel.c.
 *
 * A stranger's connection ends in two steps once the worker stops: we say that no more
 * comes, and the stranger, which has then read everything, closes. Closing first would
 * fail whatever it is about to write, and then libraries throw away what they have not
 * looked at yet.
 */
#include "runtime/runtime.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

enum { LINGER_MS = 1000 };

int sp__conn_add(struct sp_worker *w, enum conn_role role, const struct duplex_fds *fds,
                 sp_error *err)
{
    size_t conns_max = sizeof w->conns / sizeof w->conns[0];
    if (w->conns_count == conns_max) {
        return sp__fail(err, SP_ERR_TOO_BIG, "%zu connections are the limit",
                        conns_max);
    }
    struct conn *c = sp__calloc(1, sizeof *c);
    if (c == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a connection");
    }
    c->worker = w;
    c->role = role;
    c->dirty = 1; /* our SETTINGS */
    sp__duplex_init(&c->duplex, fds);
    struct h2_options options = {
        .trusted = role != CONN_STRANGER,
        .message_max = w->options.request_max_bytes,
        .high_water = HIGH_WATER,
    };
    int rc = sp__h2_new(role == CONN_HOST ? H2_CLIENT : H2_SERVER, &options,
                        role == CONN_HOST ? &sp__host_events : &sp__service_events, c,
                        &c->h2, err);
    if (rc < 0) {
        sp__free(c);
        return rc;
    }
    w->conns[w->conns_count++] = c;
    return SP_OK;
}

struct conn *sp__conn_find(struct sp_worker *w, enum conn_role role)
{
    for (size_t i = 0; i < w->conns_count; i++) {
        if (w->conns[i]->role == role && !w->conns[i]->broken) {
            return w->conns[i];
        }
    }
    return NULL;
}

static void conn_free(struct conn *c)
{
    sp__poll_forget(c);
    sp__h2_free(c->h2);
    sp__duplex_close_fds(&c->duplex.fds);
    sp__duplex_fini(&c->duplex);
    sp__free(c);
}

/* ---- writing ---- */

/* All is said. Inherited connections are the host's to close. */
static void end(struct conn *c)
{
    if (!c->worker->stopping) {
        c->broken = 1; /* the peer is going */
    } else if (!c->ended) {
        c->ended = 1;
        (void)shutdown(c->duplex.fds.out, SHUT_WR);
    }
}

/* 1 when all that waited went away. */
static int write_out(struct conn *c)
{
    int rc = sp__duplex_send(&c->duplex);
    c->stuck = rc == 0;
    c->broken |= rc < 0;
    if (rc == 0) {
        sp__runtime_nudge(c->worker); /* a leader asleep must poll for writing */
    }
    return rc > 0;
}

void sp__conn_flush(struct conn *c)
{
    int more = c->dirty;
    while (!c->broken && !c->ended && write_out(c) && more > 0) {
        more = sp__duplex_begin(&c->duplex, NULL);
        if (more == SP_OK) {
            more = sp__h2_send(c->h2, &c->duplex.buf, WRITE_BYTES, NULL);
        }
        if (more < 0) {
            (void)write_out(c); /* the GOAWAY, if it can be said */
            c->broken = 1;
        } else if (more == 0) {
            c->dirty = 0;
            if (sp__duplex_waiting(&c->duplex) == 0) {
                break;
            }
        }
    }
    if (c->role == CONN_STRANGER && sp__h2_is_done(c->h2) && !c->stuck) {
        end(c);
    }
}

void sp__conns_flush(struct sp_worker *w)
{
    w->unflushed = 0;
    w->unflushed_bytes = 0;
    for (size_t i = 0; i < w->conns_count; i++) {
        struct conn *c = w->conns[i];
        if (c->dirty && !c->stuck) {
            sp__conn_flush(c);
        }
    }
}

/* ---- reading ---- */

enum { MISSES_MANY = 4, MISSES_MAX = 8, PASSES_EACH = 4 };

/* A peer that got an answer may have sent more. When it had not, again and again, looking
 * is for nothing, and is tried less and less; poll says when there is something. */
void sp__conn_guess(struct conn *c)
{
    const struct sp_worker *w = c->worker;
    uint32_t to_pass =
        c->misses < MISSES_MANY ? 0 : PASSES_EACH * (c->misses - MISSES_MANY + 1);
    if (!c->hot && w->queued + w->begun == 0 && c->passed < to_pass) {
        c->passed++;
        return;
    }
    c->guessed = !c->hot;
    c->hot = 1;
    c->passed = 0;
}

static void take_note(struct conn *c, int was_right)
{
    if (was_right) {
        c->misses = 0;
    } else if (c->misses < MISSES_MAX) {
        c->misses++;
    }
    c->guessed = 0;
}

static int take(void *user, const uint8_t *data, size_t size)
{
    struct conn *c = user;
    c->dirty = 1;
    if (sp__h2_receive(c->h2, data, size, NULL) < 0) {
        sp__conn_flush(c);
        c->broken = 1;
    }
    return c->broken;
}

static int conn_read(struct conn *c)
{
    struct sp_worker *w = c->worker;
    int was_guessed = c->guessed;
    uint32_t queued = w->queued;
    enum duplex_news news =
        sp__duplex_receive(&c->duplex, w->read_buffer, READ_BYTES, take, c);
    c->hot = news == DUPLEX_MORE;
    if (news == DUPLEX_NOTHING) {
        if (was_guessed) {
            take_note(c, 0);
        }
        return 0;
    }
    c->broken |= news == DUPLEX_END || news == DUPLEX_BROKEN;
    if (!c->broken && (was_guessed || w->queued > queued + 1)) {
        take_note(c, 1); /* several at once: more may come while they are answered */
    }
    return 1;
}

static void drop(struct sp_worker *w, size_t index, struct slot *slot)
{
    struct conn *c = w->conns[index];
    w->conns[index] = w->conns[--w->conns_count];
    if (c->role == CONN_CALLS) {
        sp__runtime_host_gone(w, slot); /* before anything that takes long */
    }
    conn_free(c);
}

int sp__conns_pump(struct sp_worker *w, struct slot *slot)
{
    int any = 0;
    w->now_ms = sp__now_ms();
    for (size_t i = 0; i < w->conns_count;) {
        struct conn *c = w->conns[i];
        if (c->hot && !c->broken) {
            any |= conn_read(c);
        }
        if (c->broken) {
            drop(w, i, slot);
            any = 1;
        } else {
            i++;
        }
    }
    if (any) {
        w->flush_at = sp__answers_to_gather(w->rested, w->queued);
    }
    if (w->listen_hot) {
        w->listen_hot = 0;
        sp__listen_accept(w);
        any = 1;
    }
    if (w->now_ms >= w->next_deadline_ms) {
        (void)sp__runtime_timers(w);
    }
    return any;
}

/* Write what is left, and wait for the strangers to have read it. */
void sp__conns_linger(struct sp_worker *w)
{
    uint64_t until_ms = sp__now_ms() + LINGER_MS;
    for (;;) {
        struct pollfd polled[CONNS_MAX + 2];
        struct conn *of[CONNS_MAX + 2];
        nfds_t n = 0;
        sp__conns_flush(w);
        for (size_t i = 0; i < w->conns_count; i++) {
            struct conn *c = w->conns[i];
            short events = c->role == CONN_STRANGER ? POLLIN : 0;
            events |= c->stuck ? POLLOUT : 0;
            if (events != 0 && !c->broken) {
                int fd = c->stuck ? c->duplex.full : c->duplex.fds.in;
                polled[n] = (struct pollfd){.fd = fd, .events = events};
                of[n++] = c;
            }
        }
        uint64_t now_ms = sp__now_ms();
        if (n == 0 || now_ms >= until_ms) {
            return;
        }
        (void)poll(polled, n, (int)(until_ms - now_ms));
        for (nfds_t i = 0; i < n; i++) {
            if (polled[i].revents != 0) {
                of[i]->stuck = 0;
                of[i]->dirty = 1;
                if (of[i]->role == CONN_STRANGER) {
                    (void)conn_read(of[i]);
                }
            }
        }
    }
}

void sp__conns_close(struct sp_worker *w)
{
    while (w->conns_count > 0) {
        conn_free(w->conns[--w->conns_count]);
    }
}

/* ---- polling ---- */

nfds_t sp__conns_poll_fill(struct sp_worker *w, struct pollfd *polled, int kick_fd)
{
    nfds_t n = 0;
    polled[n++] = (struct pollfd){.fd = kick_fd, .events = POLLIN};
    polled[n++] =
        (struct pollfd){.fd = w->stopping ? -1 : w->stop_fd, .events = POLLIN};
    int listens = w->listen_again_ms == 0;
    polled[n++] = (struct pollfd){.fd = listens ? w->listen_fd : -1, .events = POLLIN};
    for (size_t i = 0; i < w->conns_count; i++) {
        polled[n++] = (struct pollfd){.fd = w->conns[i]->duplex.fds.in,
                                      .events = POLLIN | POLLRDHUP};
    }
    for (size_t i = 0; i < w->conns_count; i++) {
        if (w->conns[i]->stuck) {
            polled[n++] =
                (struct pollfd){.fd = w->conns[i]->duplex.full, .events = POLLOUT};
        }
    }
    return n;
}

void sp__conns_poll_kick(const struct pollfd *polled)
{
    if (polled[0].revents != 0) {
        uint64_t kicks;
        (void)!read(polled[0].fd, &kicks, sizeof kicks);
    }
}

static void found_room(struct sp_worker *w, int fd)
{
    for (size_t i = 0; i < w->conns_count; i++) {
        struct conn *c = w->conns[i];
        if (c->stuck && c->duplex.full == fd) {
            c->stuck = 0;
            c->dirty = 1;
        }
    }
}

void sp__conns_poll_read(struct sp_worker *w, const struct pollfd *polled, nfds_t n)
{
    sp__conns_poll_kick(polled);
    if (polled[1].revents != 0) {
        sp__service_stop(w);
    }
    w->listen_hot = polled[2].revents != 0;
    for (nfds_t i = 3; i < n; i++) {
        if (polled[i].events & POLLOUT) {
            if (polled[i].revents != 0) {
                found_room(w, polled[i].fd);
            }
        } else if (polled[i].revents != 0) {
            w->conns[i - 3]->hot = 1;
        }
    }
}
