/* SPDX-License-Identifier: MIT */
/*
 * A client of a served pit, for tests: one connection, with our own HTTP/2 on it. It
 * does what a stock client would not: reset at any moment, close without a word, take
 * nothing, send half of something.
 */
#ifndef TEST_SUPPORT_CALLER_H
#define TEST_SUPPORT_CALLER_H

#include <stddef.h>
#include <stdint.h>

#include "snakepit/snakepit.h"

struct caller;

/* One rpc, from its begin to the end of its caller. */
struct asked {
    int ended;
    int status;        /* of gRPC; -1: none came */
    uint32_t rst_code; /* when it was reset */
    int refused;
    int code; /* SP_ERR_ of the details, or 0 */
    char message[256];
    char executed[16]; /* the trailers, "" when missing */
    char reason[32];
    char pushback[32];
    char json[256]; /* the result, cut */
    size_t bytes;   /* of messages */
    size_t messages;
    int has_final;  /* of a stream: the empty final chunk came */
    char last[128]; /* of a stream: the last chunk's data, cut */
    int health;     /* of Check and Watch, the last */
    void *stream;
};

/* What to ask for. Zero and NULL mean: not at all. */
struct wish {
    const char *path; /* NULL: ExecuteTool */
    const char *tool;
    const char *args; /* JSON; NULL: {} */
    const char *session;
    const char *service; /* of the health */
    uint64_t timeout_ms;
    const char *const *metadata; /* name, value, ..., NULL */
    int hold;                    /* take nothing until caller_take() */
    const void *raw;             /* instead of all: the message */
    size_t raw_size;
    int half_open; /* do not say that the request is over */
    int no_message;
};

/* NULL when nobody listens. */
struct caller *caller_open(const char *path);
/* The other way round from an open descriptor: takes it. */
struct caller *caller_on(int fd);
/* Close without a word. NULL is fine. */
void caller_close(struct caller *caller);

struct asked *caller_ask(struct caller *caller, const struct wish *wish);
void caller_reset(struct caller *caller, struct asked *asked);
void caller_take(struct caller *caller, struct asked *asked, size_t bytes);

/* It has ended and is not looked at any more. */
void caller_forget(struct caller *caller, struct asked *asked);

/* Write what is due, read for at most wait_ms; 0 when the connection is over. */
int caller_turn(struct caller *caller, int wait_ms);
/* Until it has ended, or the connection has. Fails the test when neither comes. */
void caller_await(struct caller *caller, struct asked *asked);
/* Until so many messages came. */
void caller_await_messages(struct caller *caller, struct asked *asked, size_t count);
/* Until the peer has closed. */
void caller_await_close(struct caller *caller);
int caller_is_over(const struct caller *caller);
int caller_got_goaway(const struct caller *caller);

/* All at once: connect, ask, wait, close. */
struct asked caller_once(const char *path, const struct wish *wish);

#endif
