/* SPDX-License-Identifier: MIT */
/*
 * The way back to the user's thread: what is due is run once, in order, and the
 * descriptor says so. The test plays the loop thread itself, except where it is about
 * threads.
 */
#include "pit/dispatch.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "leak.h"

struct told {
    unsigned replies;
    unsigned failures;
    unsigned chunks;
    unsigned events;
    char first[256]; /* of the events */
    char text[256];
    int stop_at; /* chunk at which the stream is stopped; -1: none */
};

static struct told told;
static struct list turn;
static size_t granted;
static unsigned cancelled;

static void on_reply(const sp_reply *reply, void *user_data)
{
    told.replies++;
    told.failures += reply->error != NULL;
}

static int on_chunk(const sp_chunk *chunk, void *user_data)
{
    assert_int_equal(chunk->index, told.chunks);
    size_t used = strlen(told.text);
    (void)snprintf(told.text + used, sizeof told.text - used, "%.*s", (int)chunk->size,
                   chunk->data);
    return (int)told.chunks++ == told.stop_at;
}

static void on_event(const sp_event *event, void *user_data)
{
    char *text = told.events++ == 0 ? told.first : told.text;
    (void)snprintf(text, sizeof told.text, "%s:%s", event->pool, event->message);
}

static void grant(struct request *request, size_t wire_bytes)
{
    granted += wire_bytes;
}

static void cancel(struct request *request)
{
    cancelled++;
}

static int run(struct dispatch *dispatch)
{
    return sp__dispatch_run(dispatch, on_event, NULL, grant, cancel);
}

static int readable(const struct dispatch *dispatch)
{
    struct pollfd ready = {.fd = dispatch->fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

static void tell_kind(struct dispatch *dispatch, int kind, const char *pool,
                      const char *message)
{
    static uint64_t place[RECORD_MAX / sizeof(uint64_t)];
    const struct tidings tidings = {
        .event = {.kind = kind, .pool = pool, .message = message}};
    struct record_plan plan;
    sp__record_plan(&tidings, &plan);
    sp__dispatch_event(dispatch, sp__record_write(place, &tidings, &plan), NULL);
    memset(place, '#', plan.bytes); /* it was copied */
}

static void tell(struct dispatch *dispatch, const char *pool, const char *message)
{
    tell_kind(dispatch, SP_EVENT_WARNING, pool, message);
}

static void begin(struct dispatch *dispatch)
{
    told = (struct told){.stop_at = -1};
    granted = 0;
    cancelled = 0;
    assert_int_equal(sp__dispatch_init(dispatch, NULL), 0);
}

static struct request *make(int streaming)
{
    struct request *request;
    const struct request_names names = {.tool = sp_text("tool")};
    assert_int_equal(sp__request_new(&names, streaming, 0, &request, NULL), 0);
    request->taker = TAKER_DISPATCH;
    request->reply_cb = on_reply;
    request->chunk_cb = on_chunk;
    return request;
}

static void put(struct dispatch *dispatch, struct request *request, const char *text)
{
    if (sp__mailbox_put(&request->mailbox, sp_text(text), (sp_bytes){0}, 10, NULL) ==
        1) {
        sp__dispatch_add(&turn, request);
    }
}

static void end(struct dispatch *dispatch, struct request *request, int code)
{
    request->state = REQUEST_ENDED;
    if (code != 0) {
        (void)sp__request_fail(request, code, SP_EXECUTED_NO, "told");
    }
    if (request->streaming) {
        sp__mailbox_end(&request->mailbox);
    }
    sp__dispatch_add(&turn, request);
}

static void a_reply_is_told_once_and_the_descriptor_says_so(void **state)
{
    struct dispatch dispatch;
    begin(&dispatch);
    assert_false(readable(&dispatch));
    assert_int_equal(sp__dispatch_wait(&dispatch, 0), 0);
    end(&dispatch, make(0), 0);
    end(&dispatch, make(0), SP_ERR_TIMEOUT);
    assert_false(readable(&dispatch)); /* not before the turn is over */
    sp__dispatch_publish(&dispatch, &turn);
    assert_true(readable(&dispatch));
    assert_int_equal(sp__dispatch_wait(&dispatch, 0), 1);
    assert_int_equal(run(&dispatch), 2);
    assert_int_equal(told.replies, 2);
    assert_int_equal(told.failures, 1);
    assert_false(readable(&dispatch));
    assert_int_equal(run(&dispatch), 0);
    sp__dispatch_fini(&dispatch);
}

static void a_stream_comes_in_rounds_and_ends_last(void **state)
{
    struct dispatch dispatch;
    struct request *request = make(1);
    begin(&dispatch);
    put(&dispatch, request, "a");
    put(&dispatch, request, "b");
    sp__dispatch_publish(&dispatch, &turn);
    assert_int_equal(run(&dispatch), 2);
    assert_int_equal(granted, 20);
    put(&dispatch, request, "c");
    sp__dispatch_publish(&dispatch, &turn);
    end(&dispatch, request, 0);
    sp__dispatch_publish(&dispatch, &turn);
    assert_int_equal(run(&dispatch), 2);
    assert_string_equal(told.text, "abc");
    assert_int_equal(told.replies, 1);
    assert_int_equal(told.failures, 0);
    sp__dispatch_fini(&dispatch);
}

static void an_end_seen_early_waits_for_its_round(void **state)
{
    struct dispatch dispatch;
    struct request *request = make(1);
    begin(&dispatch);
    put(&dispatch, request, "a");
    sp__dispatch_publish(&dispatch, &turn);
    /* The loop has ended it, but its turn is not over: it still holds the request. */
    end(&dispatch, request, 0);
    assert_int_equal(run(&dispatch), 1);
    assert_int_equal(told.replies, 0);
    sp__dispatch_publish(&dispatch, &turn);
    assert_int_equal(run(&dispatch), 1);
    assert_int_equal(told.replies, 1);
    sp__dispatch_fini(&dispatch);
}

static void a_callback_stops_a_stream(void **state)
{
    struct dispatch dispatch;
    struct request *request = make(1);
    begin(&dispatch);
    told.stop_at = 1;
    put(&dispatch, request, "a");
    put(&dispatch, request, "b");
    put(&dispatch, request, "c");
    sp__dispatch_publish(&dispatch, &turn);
    (void)run(&dispatch);
    assert_string_equal(told.text, "ab");
    assert_int_equal(cancelled, 1);
    end(&dispatch, request, SP_ERR_CANCELLED);
    sp__dispatch_publish(&dispatch, &turn);
    (void)run(&dispatch);
    assert_int_equal(told.replies, 1);
    assert_int_equal(told.failures, 1);
    sp__dispatch_fini(&dispatch);
}

static void an_event_is_copied(void **state)
{
    struct dispatch dispatch;
    begin(&dispatch);
    tell(&dispatch, "pool", "message");
    assert_true(readable(&dispatch));
    assert_int_equal(run(&dispatch), 1);
    assert_string_equal(told.first, "pool:message");
    assert_false(readable(&dispatch));
    sp__dispatch_fini(&dispatch);
}

static void too_many_events_push_out_the_oldest(void **state)
{
    struct dispatch dispatch;
    char message[32];
    begin(&dispatch);
    for (int i = 0; i < EVENTS_MAX + 10; i++) {
        (void)snprintf(message, sizeof message, "%d", i);
        tell(&dispatch, "", message);
    }
    assert_int_equal(run(&dispatch), EVENTS_MAX + 1);
    assert_string_equal(told.text, ":1033"); /* the newest came last */
    assert_string_equal(told.first, ":10 events are lost: more than 1024 waited for "
                                    "sp_pit_dispatch()");
    assert_int_equal(run(&dispatch), 0); /* told once */
    sp__dispatch_fini(&dispatch);
}

static void what_workers_print_pushes_out_nothing_else(void **state)
{
    struct dispatch dispatch;
    begin(&dispatch);
    tell(&dispatch, "", "happened");
    for (int i = 0; i < EVENTS_MAX + 10; i++) {
        tell_kind(&dispatch, SP_EVENT_WORKER_OUTPUT, "", "printed");
    }
    tell(&dispatch, "", "and then this");
    assert_int_equal(run(&dispatch), 1 + 1 + EVENTS_MAX + 1);
    assert_string_equal(told.first,
                        ":... 10 lines not shown: more than 1024 waited for "
                        "sp_pit_dispatch()");
    assert_string_equal(told.text, ":and then this");
    assert_int_equal(run(&dispatch), 0); /* told once */
    sp__dispatch_fini(&dispatch);
}

static void without_memory_an_event_is_left_out(void **state)
{
    struct dispatch dispatch;
    begin(&dispatch);
    sp__mem_fail_at(1, 0);
    tell(&dispatch, "", "m");
    assert_int_equal(run(&dispatch), 0);
    sp__dispatch_fini(&dispatch);
}

static void a_kept_call_is_taken_once(void **state)
{
    struct dispatch dispatch;
    struct request *request = make(0);
    begin(&dispatch);
    request->id = 42;
    assert_int_equal(sp__dispatch_keep(&dispatch, request, NULL), 0);
    assert_null(sp__dispatch_take(&dispatch, 41));
    assert_ptr_equal(sp__dispatch_take(&dispatch, 42), request);
    assert_null(sp__dispatch_take(&dispatch, 42));
    sp__request_drop(request);
    sp__request_drop(request);
    sp__dispatch_fini(&dispatch);
}

static void what_was_never_taken_is_freed_at_the_end(void **state)
{
    struct dispatch dispatch;
    struct request *request = make(0);
    begin(&dispatch);
    request->id = 42;
    assert_int_equal(sp__dispatch_keep(&dispatch, request, NULL), 0);
    sp__request_drop(request); /* the loop's */
    tell(&dispatch, "", "m");
    sp__dispatch_fini(&dispatch);
}

static void waiting_ends_at_its_deadline(void **state)
{
    struct dispatch dispatch;
    begin(&dispatch);
    assert_int_equal(sp__dispatch_wait(&dispatch, 5), 0);
    sp__dispatch_fini(&dispatch);
}

/* ---- a loop thread of its own ---- */

enum { CALLS = 3000 };

static void *publish(void *arg)
{
    struct dispatch *dispatch = arg;
    for (int i = 0; i < CALLS; i++) {
        end(dispatch, make(0), 0);
        if (i % 7 == 0) {
            sp__dispatch_publish(dispatch, &turn);
        }
    }
    sp__dispatch_publish(dispatch, &turn);
    return NULL;
}

static void every_reply_crosses_between_threads(void **state)
{
    struct dispatch dispatch;
    pthread_t thread;
    begin(&dispatch);
    assert_int_equal(pthread_create(&thread, NULL, publish, &dispatch), 0);
    while (told.replies < CALLS) {
        assert_int_equal(sp__dispatch_wait(&dispatch, patience_ms(20000)), 1);
        (void)run(&dispatch);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(told.replies, CALLS);
    sp__dispatch_fini(&dispatch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reply_is_told_once_and_the_descriptor_says_so),
        TEST(a_stream_comes_in_rounds_and_ends_last),
        TEST(an_end_seen_early_waits_for_its_round),
        TEST(a_callback_stops_a_stream),
        TEST(an_event_is_copied),
        TEST(too_many_events_push_out_the_oldest),
        TEST(what_workers_print_pushes_out_nothing_else),
        TEST(without_memory_an_event_is_left_out),
        TEST(a_kept_call_is_taken_once),
        TEST(what_was_never_taken_is_freed_at_the_end),
        TEST(waiting_ends_at_its_deadline),
        TEST(every_reply_crosses_between_threads),
    };
    return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
