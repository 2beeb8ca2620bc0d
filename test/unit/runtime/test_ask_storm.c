/* SPDX-License-Identifier: MIT */
/*
 * Jobs that ask, in every mixture: several threads and one, calls and generators, streams
 * and crowds, answered late, out of order, with failures or never, cancelled and past
 * their deadlines. From seeds: what may not happen is a call without an end, a question
 * that is left over, or a byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "leak.h"
#include "rig.h"

enum { CALLS = 150, FLYING = 12, SEEDS = 3 };

static uint32_t seed;

static uint32_t pick(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)seed * n >> 32);
}

static struct peer_call *begin(struct rig *rig)
{
    static const char *const tools[] = {"ask", "ask",  "ask",  "ask_for",   "crowd",
                                        "add", "pull", "told", "ask_worker"};
    const char *tool = tools[pick(sizeof tools / sizeof tools[0])];
    uint64_t timeout_ms = pick(6) == 0 ? 1 + pick(60) : SP_UNLIMITED;
    const char *args = strcmp(tool, "ask_for") == 0 ? "[8]"
                       : strcmp(tool, "add") == 0   ? "[20,22]"
                                                    : "[3]";
    return strcmp(tool, "told") == 0
               ? peer_stream(rig->peer, tool, args, 0)
               : peer_execute_for(rig->peer, tool, args, timeout_ms);
}

/* Whatever a host may do with a question that is open. */
static void treat(struct peer_ask *ask)
{
    sp_error failure = {0};
    int is_stream = strcmp(ask->path, SP__PATH_STREAM) == 0;
    switch (pick(8)) {
    case 0:
        (void)sp__fail(&failure, SP_ERR_CONFLICT, "somebody was faster");
        peer_end(ask, 10, "x", &failure);
        return;
    case 1:
        sp__h2_reset(ask->stream, 2);
        return;
    default:
        break;
    }
    if (!is_stream) {
        /* A crowd counts on its own numbers: what it sent comes back. */
        struct proto_scratch scratch = {0};
        struct proto_request request;
        char number[16] = {0};
        assert_int_equal(sp__proto_get_request(ask->message.data, ask->message.size,
                                               &scratch, &request, NULL),
                         0);
        assert_true(request.args_json.size < sizeof number);
        memcpy(number, (const char *)request.args_json.data + 1,
               request.args_json.size - 2);
        sp__proto_scratch_fini(&scratch);
        peer_answer(ask, number);
        return;
    }
    for (uint32_t n = pick(40); n > 0; n--) {
        peer_chunk(ask, sp_text("[1,2,3]"));
    }
    if (pick(3) > 0) {
        peer_end(ask, 0, NULL, NULL);
    }
}

/* Treat some of the open questions, in no order; forget those that are over. */
static void turn_host(struct rig *rig)
{
    struct link *next;
    peer_turn(rig->host, 0);
    for (struct link *link = rig->host->asks.first; link != NULL; link = next) {
        struct peer_ask *ask = ITEM(link, struct peer_ask, on_asks);
        next = link->next;
        if (ask->stream == NULL) {
            peer_forget(ask);
        } else if (ask->came && pick(3) == 0) {
            treat(ask);
        }
    }
}

static void storm(uint32_t from, uint32_t threads)
{
    /* With odd seeds who begins a job wakes the next thread as soon as it may. */
    sp_worker_options options = {.threads = threads, .spread_us = from % 2};
    struct rig *rig = rig_open(&options);
    struct peer_call *flying[FLYING] = {NULL};
    uint64_t until_ms = test_now_ms() + patience_ms(60000);
    int begun = 0;
    int ended = 0;
    seed = from;
    while (ended < CALLS) {
        if (test_now_ms() > until_ms) {
            fail_msg("seed %u, %u threads: %d of %d calls have ended", from, threads,
                     ended, begun);
        }
        for (int i = 0; i < FLYING; i++) {
            if (flying[i] == NULL && begun < CALLS) {
                flying[i] = begin(rig);
                begun++;
            } else if (flying[i] != NULL && flying[i]->done) {
                call_free(flying[i]);
                flying[i] = NULL;
                ended++;
            } else if (flying[i] != NULL && pick(200) == 0) {
                sp__h2_reset(flying[i]->stream, 8);
            }
        }
        peer_turn(rig->peer, 1);
        turn_host(rig);
    }
    while (rig->host->asks.first != NULL) { /* of cancelled calls: they end as well */
        assert_true(test_now_ms() < until_ms);
        turn_host(rig);
    }
    rig_close(rig);
}

static void one_thread_that_asks_serves_every_mixture(void **state)
{
    for (uint32_t i = 1; i <= SEEDS; i++) {
        storm(i, 1);
    }
}

static void several_threads_that_ask_serve_every_mixture(void **state)
{
    for (uint32_t i = 1; i <= SEEDS; i++) {
        storm(100 + i, 2);
        storm(200 + i, 4);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3) { /* SEED THREADS: again, or another one */
        storm((uint32_t)strtoul(argv[1], NULL, 10),
              (uint32_t)strtoul(argv[2], NULL, 10));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        TEST(one_thread_that_asks_serves_every_mixture),
        TEST(several_threads_that_ask_serve_every_mixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
