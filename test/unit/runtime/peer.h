/* SPDX-License-Identifier: MIT */
/*
 * The other end of a worker under test: a host over wire/h2, single-threaded, that
 * waits for events with a deadline and never sleeps.
 */
#ifndef TEST_RUNTIME_PEER_H
#define TEST_RUNTIME_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/duplex.h"
#include "base/list.h"
#include "patience.h"
#include "wire/h2.h"
#include "wire/proto.h"

/* A message as its bytes, which may be zeros. */
#define BYTES(literal) ((sp_bytes){literal, sizeof(literal) - 1})

struct peer;

/* One RPC, from the client's side. */
struct peer_call {
    struct h2_stream *stream; /* NULL once over */
    uint32_t id;              /* HTTP/2's */
    int headers;              /* response headers came */
    int done;
    int status;
    uint32_t rst_code;
    int refused;
    char message[512];
    struct sp_buffer details;
    struct sp_buffer last; /* the last message */
    uint64_t messages;
    uint64_t bytes;
    int held;             /* hold the stream: grant nothing */
    struct sp_buffer all; /* messages one after the other, when kept */
    int keep;
};

struct peer {
    struct duplex duplex;
    struct h2 *h2;
    int eof;
    uint64_t pongs;
    int goaway;
    /* server role: AnnounceWorker, and what else is asked, the oldest first */
    struct list asks;
    struct proto_announce announce;
    int announced;
    int refuse;  /* answer accepted = 0 */
    int mute;    /* do not answer */
    int gathers; /* nothing is written until it does no more */
};

/* One question of the worker, from the host's side. */
struct peer_ask {
    struct link on_asks;
    struct peer *peer;
    struct h2_stream *stream; /* NULL once over */
    char path[96];
    char parent[24]; /* of the headers, "" without */
    char pool[24];
    uint64_t timeout_ms;
    struct sp_buffer message;
    int came; /* its message has */
    uint32_t rst_code;
};

/* Until the n-th question (0 is the first) has come. */
struct peer_ask *peer_await_ask(struct peer *peer, uint32_t n);
void peer_answer(struct peer_ask *ask, const char *json); /* a tool's result */
void peer_forget(struct peer_ask *ask);                   /* one that is over */
/* Messages and the end one by one. */
void peer_say(struct peer_ask *ask, sp_bytes message);
void peer_chunk(struct peer_ask *ask, sp_bytes json);
void peer_end(struct peer_ask *ask, int grpc_status, const char *message,
              const sp_error *details);

struct peer *peer_new(int fd, enum h2_role role, int trusted);
struct peer *peer_new_over(const struct duplex_fds *fds, enum h2_role role,
                           int trusted);
/* What its death looks like from the other side. */
void peer_hang_up(struct peer *peer);
void peer_free(struct peer *peer); /* closes its descriptors too */

/* Write what is due and read what is there; waits at most timeout_ms for something. */
void peer_turn(struct peer *peer, int timeout_ms);

/* Turn until `condition` holds, failing the test after 20 seconds. */
#define PEER_UNTIL(peer, condition)                                \
    do {                                                           \
        uint64_t until_ = test_now_ms() + patience_ms(20000);      \
        while (!(condition)) {                                     \
            if (test_now_ms() > until_) {                          \
                fail_msg("timed out waiting for: %s", #condition); \
            }                                                      \
            peer_turn((peer), 20);                                 \
        }                                                          \
    } while (0)

uint64_t test_now_ms(void);

struct peer_call *call_new(void);
void call_free(struct peer_call *call);

/* ExecuteTool or ExecuteStreamingTool, with the arguments as native peers send them. */
struct peer_call *peer_execute(struct peer *peer, const char *tool, const char *args);
struct peer_call *peer_execute_for(struct peer *peer, const char *tool,
                                   const char *args, uint64_t timeout_ms);
struct peer_call *peer_stream(struct peer *peer, const char *tool, const char *args,
                              int held);
/* Any method with any message. */
struct peer_call *peer_open(struct peer *peer, const char *path, sp_bytes message,
                            int half_close);
void peer_finish(struct peer *peer, struct peer_call *call); /* until done */
/* Until all that was on its way has come: behind it, a ping comes back. */
void peer_hear_out(struct peer *peer);
/* Whether the bytes of its last message have this text in them. */
int call_last_has(const struct peer_call *call, const char *text);
/* The text of a finished call's result. */
const char *peer_result(struct peer_call *call, char *text, size_t size);

#endif
