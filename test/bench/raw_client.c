/* SPDX-License-Identifier: MIT */
/*
 * Client of raw_server.py: JSON behind a length of four bytes, big end first, answers in
 * the order of the questions.
 *
 *     raw_client --socket PATH --in-flight K [--warm-ms N] [--measure-ms N]
 */
#include <string.h>

#include "measure.h"
#include "peer.h"

enum { PREFIX_BYTES = 4, IN_FLIGHT_MAX = 65536, MESSAGE_MAX = 128 };

struct asked {
    uint64_t started_ns;
    uint32_t a;
};

static struct load load;
static struct asked asked[IN_FLIGHT_MAX]; /* a ring: [first, last) */
static uint32_t first;
static uint32_t last;
static uint32_t next;

static char out[IN_FLIGHT_MAX * MESSAGE_MAX];
static size_t out_size;
static char in[PEER_READ_BYTES + MESSAGE_MAX];
static size_t in_size;

static void ask(uint64_t at_ns)
{
    struct asked *one = &asked[last++ % IN_FLIGHT_MAX];
    *one = (struct asked){at_ns, next++};
    char *at = out + out_size;
    size_t size = put_arguments(at + PREFIX_BYTES, one->a, 3);
    at[0] = (char)(size >> 24);
    at[1] = (char)(size >> 16);
    at[2] = (char)(size >> 8);
    at[3] = (char)size;
    out_size += PREFIX_BYTES + size;
}

static void take_answers(void)
{
    size_t at = 0;
    while (in_size - at >= PREFIX_BYTES) {
        const unsigned char *prefix = (const unsigned char *)in + at;
        size_t size = (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 |
                      (size_t)prefix[2] << 8 | prefix[3];
        if (size > MESSAGE_MAX) {
            give_up("raw_client: an answer of %zu bytes", size);
        }
        if (in_size - at - PREFIX_BYTES < size) {
            break;
        }
        struct asked *one = &asked[first++ % IN_FLIGHT_MAX];
        int is_right = get_result(in + at + PREFIX_BYTES, size) == (int64_t)one->a + 3;
        uint64_t ended_ns = now_ns();
        if (load_ended(&load, one->started_ns, ended_ns, is_right)) {
            ask(ended_ns);
        }
        at += PREFIX_BYTES + size;
    }
    memmove(in, in + at, in_size - at);
    in_size -= at;
}

int main(int argc, char **argv)
{
    struct peer peer;
    long in_flight = option_number(argc, argv, "in-flight", 64);
    if (in_flight < 1 || in_flight > IN_FLIGHT_MAX) {
        give_up("raw_client: --in-flight out of range");
    }
    peer_open(&peer, option_text(argc, argv, "socket", "raw.sock"));
    load_begin(&load, (uint32_t)in_flight, option_number(argc, argv, "warm-ms", 200),
               option_number(argc, argv, "measure-ms", 1000));
    for (long i = 0; i < in_flight; i++) {
        ask(now_ns());
    }
    while (first != last) {
        size_t sent = peer_send(&peer, out, out_size);
        memmove(out, out + sent, out_size - sent);
        out_size -= sent;
        in_size += peer_receive(&peer, in + in_size, PEER_READ_BYTES);
        take_answers();
    }
    peer_close(&peer);
    load_print(&load, "calls", "");
    return load.wrong > 0;
}
