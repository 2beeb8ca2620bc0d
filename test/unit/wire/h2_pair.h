/* SPDX-License-Identifier: MIT */
/*
 * A client and a server connection joined in memory, and a record of what each heard.
 *
 * Every stream has a `struct heard` as its user pointer. Tests set hooks where the
 * default (write everything down, answer nothing) is not enough.
 */
#ifndef TEST_H2_PAIR_H
#define TEST_H2_PAIR_H

#include "base/buf.h"
#include "wire/h2.h"

enum { HEARD_MAX = 2048, TEXT_MAX = 256 };

struct heard {
    struct pair *pair;
    struct h2_stream *stream; /* NULL after its end */
    char path[TEXT_MAX];
    uint64_t timeout_ms;
    char headers[TEXT_MAX * 4]; /* "name=value;" */
    unsigned requests, headers_came, messages, half_closes, drained, ends;
    size_t bytes;          /* of all messages */
    struct sp_buffer last; /* the latest message */
    int is_refused;        /* by on_request: no further events */
    int lost;              /* no memory to write one down */
    int grpc_status;
    uint32_t rst_code;
    int refused;
    char message[2 * TEXT_MAX];
    char details[TEXT_MAX];
    size_t details_size;
    char trailers[TEXT_MAX];
};

struct pair {
    struct h2 *client;
    struct h2 *server;
    size_t step; /* bytes given to the peer at a time; 0: all */
    int broken;  /* SP_ERR_ that receiving or sending returned */
    struct heard at_client[HEARD_MAX];
    struct heard at_server[HEARD_MAX];
    unsigned client_count, server_count;
    unsigned pongs, goaways;
    uint64_t pong;
    uint32_t goaway_code;
    size_t to_server, to_client; /* bytes carried */
    /* Hooks, or NULL. */
    int (*on_request)(struct heard *heard);
    void (*on_server_message)(struct heard *heard, const uint8_t *data, size_t size);
    void (*on_client_message)(struct heard *heard, const uint8_t *data, size_t size);
    void (*on_half_close)(struct heard *heard);
    void (*on_client_end)(struct heard *heard);
    void (*on_drained)(struct heard *heard);
};

/* NULL options: trusted, defaults. */
struct pair *pair_new(const struct h2_options *client, const struct h2_options *server);
void pair_free(struct pair *pair);
/* The same with a server that echoes every message. */
struct pair *pair_echoing(const struct h2_options *client,
                          const struct h2_options *server);

/* Carry bytes until both are silent. */
void pair_run(struct pair *pair);
/* Carry what one side has to say now; returns the bytes carried. */
size_t pair_client_to_server(struct pair *pair);
size_t pair_server_to_client(struct pair *pair);

/* Open an RPC whose record is returned. */
struct heard *pair_open(struct pair *pair, const char *text, int half_close);
struct heard *pair_begin(struct pair *pair, sp_bytes message, int half_close);

/* Hooks: answer with the same bytes; answer and finish OK when the client is done. */
void pair_echo(struct heard *heard, const uint8_t *data, size_t size);
void pair_finish(struct heard *heard);

/* The call has ended well, with this text as its only message. */
void heard_assert_ok(const struct heard *heard, const char *text);

#endif
