/* SPDX-License-Identifier: MIT */
/*
 * Many calls of one tool, a bounded number of them under way.
 *
 *   put ──▶ PLACED ──submitted──▶ UNDER_WAY ──ended──▶ ENDED ──next──▶ (its place is free)
 *                      ▲              │
 *                      └── AGAIN ◀────┘  (others had filled the queue)
 *
 * A put waits for a free place, and for fewer calls under way than `limit`; that rises by
 * one whenever a call had not waited long for its worker and is halved when one had, so
 * short calls are many and long ones do not grow old in the queue. In order, the next
 * reply is that of the first place in `line`; without order, that of the first in `ended`.
 *
 * The loop tells of endings (call_ended), under the lock, and opens `news` for the one
 * thread that takes. What is refused before it is sent has its error in its place too.
 */
#include "pit/mapper.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "pit/admit.h"
#include "pool/options.h"

enum {
    LIMIT_FIRST = 2, /* calls under way for each that can run, to begin with */
    LIMIT_LAST = 64, /* and at most */
    SHORT_WAIT_US = 2000,
    LONG_WAIT_US = 50000,
    AGAIN_MS = 5 /* after which a full queue is tried again */
};

enum place_state {
    PLACE_FREE,
    PLACE_PLACED,
    PLACE_UNDER_WAY,
    PLACE_AGAIN,
    PLACE_ENDED
};

struct place {
    struct sp_map *map;
    struct link on_list; /* free, again or ended */
    struct link on_line;
    enum place_state state;
    uint64_t index;
    struct request *request; /* UNDER_WAY, ENDED; NULL when it never became one */
    sp_error *refusal;       /* then why */
    struct sp_buffer args;   /* its memory is used again */
    sp_binary *binaries;     /* count of them in one block with what they point to */
    size_t binaries_count;
};

/* Calls that are to begin together, chained by submit.next. */
struct calls {
    struct command *first;
    struct command **last;
};

struct sp_map {
    /* Set by open, then constant. */
    struct sp_pit *pit;
    char *tool;
    sp_map_options options;
    sp_call_options call; /* of each; its texts are the caller's */
    uint32_t floor;       /* of limit */
    uint32_t ceiling;     /* of it too */
    uint32_t
        places_count; /* one more: the reply that the taker was shown last has one */

    pthread_mutex_t lock;
    pthread_cond_t room;
    /* Under lock. */
    struct place *places;
    struct list free;
    struct list line;  /* in order: all that are not free, the oldest first */
    struct list ended; /* without order */
    struct list again;
    uint64_t put;   /* indices given */
    uint64_t taken; /* replies taken */
    uint32_t limit;
    uint32_t under_way;
    int is_showing; /* a place that is not free is over all the same: see `shown` */
    int finished;
    int closing;
    struct latch news; /* for the taker, who alone closes it */

    /* The taker's: the reply it was shown last. */
    struct place *shown;

    /* Of a thread that both puts and takes. */
    int gathers;
    struct calls gathered;
};

/* ---- on the loop ---- */

static void adapt(struct sp_map *map, uint64_t waited_us)
{
    if (map->options.in_flight_max != 0) {
        return;
    }
    if (waited_us <= SHORT_WAIT_US && map->limit < map->ceiling) {
        map->limit++;
    } else if (waited_us >= LONG_WAIT_US) {
        map->limit = map->limit / 2 > map->floor ? map->limit / 2 : map->floor;
    }
}

/* Locked: its reply can be taken. */
static void place_ended(struct place *place)
{
    place->state = PLACE_ENDED;
    if (place->map->options.unordered) {
        sp__list_append(&place->map->ended, &place->on_list);
    }
}

static void call_ended(struct request *request, int ended);

/* The next one that this lane tells is a call of the same map: that one wakes whoever
 * waits, and no turn wakes them twice. */
static int is_followed(const struct sp_map *map, const struct lane *lane)
{
    const struct link *link = lane->to_tell.first;
    if (link == NULL) {
        return 0;
    }
    const struct request *next = ITEM(link, struct request, on_wake);
    return next->loop_cb == call_ended &&
           ((const struct place *)next->user_data)->map == map;
}

static void call_ended(struct request *request, int ended)
{
    struct place *place = request->user_data;
    struct sp_map *map = place->map;
    if (!ended) {
        return;
    }
    int is_last = !is_followed(map, sp__pit_where(request));
    (void)pthread_mutex_lock(&map->lock); /* cannot fail: a valid, plain mutex */
    map->under_way--;
    if (sp__request_code(request) == SP_ERR_QUEUE_FULL && !map->closing) {
        place->request = NULL;
        place->state = PLACE_AGAIN;
        sp__list_append(&map->again, &place->on_list);
        map->limit = map->floor;
    } else {
        adapt(map, request->error == NULL ? request->result.queued_us : 0);
        place_ended(place);
        request = NULL; /* the taker drops it */
    }
    if (is_last) {
        (void)pthread_cond_broadcast(&map->room);
        sp__latch_open(&map->news);
    }
    (void)pthread_mutex_unlock(&map->lock);
    if (request != NULL) {
        sp__request_drop(request);
    }
}

/* ---- putting ---- */

static size_t block_bytes(const struct cargo *cargo)
{
    size_t bytes = cargo->count * (sizeof(sp_binary) + sizeof(sp_tensor));
    for (size_t i = 0; i < cargo->count; i++) {
        const sp_binary *binary = &cargo->binaries[i];
        bytes += binary->value.size +
                 (binary->tensor != NULL ? binary->tensor->bytes : 0) +
                 (binary->name != NULL ? strnlen(binary->name, SP_PART_NAME_MAX + 1) + 1
                                       : 0);
    }
    return bytes;
}

/* NULL stays NULL: what is wrong with it is said of the call. */
static void *copy_to(uint8_t **at, const void *from, size_t bytes)
{
    if (from == NULL) {
        return NULL;
    }
    void *copy = memcpy(*at, from, bytes);
    *at += bytes;
    return copy;
}

/* Copy the binaries: they are needed until the call is encoded, and again when others had
 * filled the queue. A name that is too long stays so, to be refused with the call. */
static int take_binaries(struct place *place, const struct cargo *cargo, sp_error *err)
{
    if (cargo->count == 0) {
        return SP_OK;
    }
    uint8_t *block = sp__malloc(block_bytes(cargo));
    if (block == NULL) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for %zu binaries", cargo->count);
    }
    sp_binary *binaries = (sp_binary *)(void *)block;
    sp_tensor *tensors = (sp_tensor *)(void *)(binaries + cargo->count);
    uint8_t *at = (uint8_t *)(tensors + cargo->count);
    for (size_t i = 0; i < cargo->count; i++) {
        const sp_binary *from = &cargo->binaries[i];
        binaries[i].value = (sp_bytes){copy_to(&at, from->value.data, from->value.size),
                                       from->value.size};
        binaries[i].tensor = NULL;
        binaries[i].name = NULL;
        if (from->tensor != NULL) {
            tensors[i] = *from->tensor;
            tensors[i].data = copy_to(&at, from->tensor->data, from->tensor->bytes);
            binaries[i].tensor = &tensors[i];
        }
        if (from->name != NULL) {
            size_t size = strnlen(from->name, SP_PART_NAME_MAX + 1);
            binaries[i].name = copy_to(&at, from->name, size);
            *at++ = '\0';
        }
    }
    place->binaries = binaries;
    place->binaries_count = cargo->count;
    return SP_OK;
}

/* The place is PLACED, with its arguments: make a call of it, to be sent. */
static void make_call(struct sp_map *map, struct place *place, struct calls *calls)
{
    struct request *request = NULL;
    sp_error failure;
    sp_call_options call = map->call;
    sp__error_init(&failure);
    call.binaries = place->binaries;
    call.binaries_count = place->binaries_count;
    struct call_wish wish = {.tool = map->tool,
                             .args_json = {place->args.data, place->args.size},
                             .options = &call,
                             .taker = TAKER_LOOP};
    int rc = sp__admit(map->pit, &wish, &request, &failure);
    if (rc == SP_OK) {
        request->loop_cb = call_ended;
        request->user_data = place;
    } else if ((place->refusal = sp__calloc(1, sizeof *place->refusal)) != NULL) {
        sp_error_move(place->refusal, &failure);
    }
    sp_error_clear(&failure);
    (void)pthread_mutex_lock(&map->lock);
    place->request = request;
    if (request != NULL) {
        place->state = PLACE_UNDER_WAY;
    } else {
        map->under_way--;
        place_ended(place);
        (void)pthread_cond_broadcast(&map->room);
        sp__latch_open(&map->news);
    }
    (void)pthread_mutex_unlock(&map->lock);
    if (request != NULL) {
        request->submit.next = NULL;
        *calls->last = &request->submit;
        calls->last = &request->submit.next;
    }
}

static void clear(struct calls *calls)
{
    calls->first = NULL;
    calls->last = &calls->first;
}

/* Whoever puts takes as well, most often, and then drives the loop itself: nobody is woken
 * for what comes between. A loop that rests looks up soon by itself. */
static void send(struct sp_map *map, struct calls *calls)
{
    struct command *first = calls->first;
    clear(calls);
    if (first != NULL) {
        sp__loop_postpone(map->pit->loop);
        sp__pit_submit_all(map->pit, first);
        sp__loop_postpone(NULL);
    }
}

static int has_room(const struct sp_map *map)
{
    return map->under_way < map->limit && map->again.length == 0 &&
           map->free.length + (size_t)map->is_showing > 1;
}

static void deadline_of(uint64_t timeout_ms, struct timespec *ret)
{
    (void)clock_gettime(CLOCK_MONOTONIC, ret); /* cannot fail: it exists */
    ret->tv_sec += (time_t)(timeout_ms / 1000);
    ret->tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (ret->tv_nsec >= 1000000000) {
        ret->tv_nsec -= 1000000000;
        ret->tv_sec++;
    }
}

/* Locked: wait for room. 1 when there is some. */
static int await_room(struct sp_map *map, uint64_t timeout_ms)
{
    struct timespec until;
    int late = timeout_ms == 0;
    if (!late && timeout_ms < SP_UNLIMITED / 2) {
        deadline_of(timeout_ms, &until);
    }
    while (!has_room(map) && !map->finished && !late) {
        if (timeout_ms >= SP_UNLIMITED / 2) {
            (void)pthread_cond_wait(&map->room, &map->lock);
        } else {
            late = pthread_cond_timedwait(&map->room, &map->lock, &until) != 0;
        }
    }
    return has_room(map);
}

/* Claim a place, waiting for one: 1, 0 or an error. It is on no list then. */
static int claim(struct sp_map *map, uint64_t timeout_ms, struct place **ret_place,
                 sp_error *err)
{
    int rc = 0;
    (void)pthread_mutex_lock(&map->lock);
    int room = await_room(map, timeout_ms);
    if (map->finished) {
        rc = sp__fail(err, SP_ERR_CLOSED,
                      "the map was finished, it takes no more arguments");
    } else if (room) {
        *ret_place = ITEM(sp__list_pop(&map->free), struct place, on_list);
        map->under_way++;
        rc = 1;
    }
    (void)pthread_mutex_unlock(&map->lock);
    return rc;
}

/* Give a claimed place its number in the line, or back when there is nothing in it. */
static void settle(struct sp_map *map, struct place *place, int is_full)
{
    (void)pthread_mutex_lock(&map->lock);
    if (is_full) {
        if (!map->options.unordered) {
            sp__list_append(&map->line, &place->on_line);
        }
        place->state = PLACE_PLACED;
        place->index = map->put++;
    } else {
        map->under_way--;
        sp__list_append(&map->free, &place->on_list);
        (void)pthread_cond_broadcast(&map->room);
        sp__latch_open(&map->news); /* it may have been the last that was awaited */
    }
    (void)pthread_mutex_unlock(&map->lock);
}

int sp__mapper_put(struct sp_map *map, const struct cargo *cargo, uint64_t timeout_ms,
                   sp_error *err)
{
    struct place *place = NULL;
    int rc = claim(map, timeout_ms, &place, err);
    if (rc <= 0) {
        return rc;
    }
    /* Copied without the lock: it may be much, and the loop must not wait for it. */
    place->args.size = 0;
    rc =
        sp__buf_append(&place->args, cargo->args_json.data, cargo->args_json.size, err);
    if (rc == SP_OK) {
        rc = take_binaries(place, cargo, err);
    }
    settle(map, place, rc == SP_OK);
    if (rc < 0) {
        return rc;
    }
    struct calls alone;
    clear(&alone);
    make_call(map, place, map->gathers ? &map->gathered : &alone);
    send(map, &alone);
    return 1;
}

void sp__mapper_gather(struct sp_map *map)
{
    clear(&map->gathered);
    map->gathers = 1;
}

void sp__mapper_begin(struct sp_map *map)
{
    map->gathers = 0;
    send(map, &map->gathered);
}

void sp__mapper_finish(struct sp_map *map)
{
    (void)pthread_mutex_lock(&map->lock);
    map->finished = 1;
    (void)pthread_cond_broadcast(&map->room);
    sp__latch_open(&map->news);
    (void)pthread_mutex_unlock(&map->lock);
}

/* ---- taking ---- */

static int has_news_or_work(void *arg)
{
    struct sp_map *map = arg;
    return sp__latch_is_open(&map->news) || sp__work_is_due(&map->pit->dispatch.work);
}

/* On the loop. A taker that is alone in the pit comes back for its next reply, as a
 * dispatcher does; others would wait for the end of the rest. */
static enum loop_rest occasion(struct sp_map *map)
{
    (void)pthread_mutex_lock(&map->lock);
    int is_alone = map->pit->lanes[0].requests.length <= map->under_way;
    (void)pthread_mutex_unlock(&map->lock);
    return is_alone ? REST_BETWEEN_DISPATCHES : REST_AFTER_CALL;
}

/* Sleep until there are news, doing the loop's work when nobody else does. */
static void await_news(struct sp_map *map, uint64_t end_ms)
{
    struct host_work *work = &map->pit->dispatch.work;
    /* With several loops none brings all the news. */
    if (map->pit->lanes_count == 1 && sp__loop_borrow(map->pit->loop)) {
        (void)sp__loop_drive(map->pit->loop, has_news_or_work, map, end_ms,
                             sp__pit_how_to_sleep(map->pit));
        sp__loop_leave(map->pit->loop, occasion(map));
        if (!sp__work_is_due(work)) {
            return;
        }
    }
    uint64_t now_ms = sp__now_ms();
    uint64_t wait_ms = end_ms > now_ms ? end_ms - now_ms : 0;
    (void)sp__work_wait(work, &map->news,
                        end_ms == UINT64_MAX ? SP_UNLIMITED : wait_ms);
}

/* Locked, where the order is kept. */
static int first_is_due(const struct sp_map *map)
{
    const struct link *link = map->line.first;
    return link != NULL && ITEM(link, struct place, on_line)->state == PLACE_ENDED;
}

/* Locked: the place whose reply is due, or NULL. */
static struct place *due(struct sp_map *map)
{
    struct link *link;
    if (map->options.unordered) {
        link = sp__list_pop(&map->ended);
        return link != NULL ? ITEM(link, struct place, on_list) : NULL;
    }
    if (!first_is_due(map)) {
        return NULL;
    }
    link = map->line.first;
    sp__list_remove(link);
    return ITEM(link, struct place, on_line);
}

int sp__mapper_is_due(struct sp_map *map)
{
    (void)pthread_mutex_lock(&map->lock);
    int is_due = map->options.unordered ? map->ended.length > 0 : first_is_due(map);
    (void)pthread_mutex_unlock(&map->lock);
    return is_due;
}

static void let_go(struct place *place)
{
    sp__free(place->binaries);
    place->binaries = NULL;
    place->binaries_count = 0;
    if (place->request != NULL) {
        sp__request_drop(place->request);
        place->request = NULL;
    }
    if (place->refusal != NULL) {
        sp_error_clear(place->refusal);
        sp__free(place->refusal);
        place->refusal = NULL;
    }
}

/* What the taker was shown is over; its place is free. */
static void put_away(struct sp_map *map)
{
    struct place *place = map->shown;
    if (place == NULL) {
        return;
    }
    map->shown = NULL;
    let_go(place);
    (void)pthread_mutex_lock(&map->lock);
    place->state = PLACE_FREE;
    map->is_showing = 0;
    sp__list_append(&map->free, &place->on_list);
    map->taken++;
    (void)pthread_cond_broadcast(&map->room);
    (void)pthread_mutex_unlock(&map->lock);
}

static void show(struct sp_map *map, struct place *place, sp_reply *ret_reply)
{
    static const sp_error no_memory = {.code = SP_ERR_NOMEM,
                                       .message = "no memory to say why"};
    struct request *request = place->request;
    map->shown = place;
    *ret_reply = (sp_reply){0};
    if (request == NULL) {
        ret_reply->error = place->refusal != NULL ? place->refusal : &no_memory;
        return;
    }
    ret_reply->call = request->id;
    if (sp__request_process(request) < 0) {
        ret_reply->error = request->error;
    } else {
        ret_reply->result = &request->result;
    }
}

/* Submit what a full queue sent back. */
static void try_again(struct sp_map *map)
{
    struct calls calls;
    clear(&calls);
    for (;;) {
        struct place *place = NULL;
        (void)pthread_mutex_lock(&map->lock);
        if (map->again.length > 0 && map->under_way < map->limit) {
            place = ITEM(sp__list_pop(&map->again), struct place, on_list);
            place->state = PLACE_PLACED;
            map->under_way++;
        }
        (void)pthread_mutex_unlock(&map->lock);
        if (place == NULL) {
            break;
        }
        make_call(map, place, &calls);
    }
    send(map, &calls);
}

int sp__mapper_next(struct sp_map *map, uint64_t timeout_ms, sp_reply *ret_reply,
                    uint64_t *ret_index, sp_error *err)
{
    uint64_t now_ms = sp__now_ms();
    uint64_t end_ms =
        timeout_ms >= SP_UNLIMITED - now_ms ? UINT64_MAX : now_ms + timeout_ms;
    put_away(map);
    for (;;) {
        (void)pthread_mutex_lock(&map->lock);
        struct place *place = due(map);
        int over = map->finished && map->taken == map->put && map->under_way == 0;
        int sent_back = map->again.length > 0;
        if (place == NULL) {
            sp__latch_close(&map->news);
        } else {
            map->is_showing = 1;
            (void)pthread_cond_broadcast(&map->room);
        }
        (void)pthread_mutex_unlock(&map->lock);
        if (place != NULL) {
            show(map, place, ret_reply);
            if (ret_index != NULL) {
                *ret_index = place->index;
            }
            return 1;
        }
        if (over) {
            return 0;
        }
        now_ms = sp__now_ms();
        if (now_ms >= end_ms) {
            return sp__fail(err, SP_ERR_TIMEOUT, "no reply within %llu ms",
                            (unsigned long long)timeout_ms);
        }
        uint64_t again_ms = sent_back ? now_ms + AGAIN_MS : UINT64_MAX;
        await_news(map, again_ms < end_ms ? again_ms : end_ms);
        if (sent_back) {
            try_again(map);
        }
    }
}

/* ---- the whole ---- */

static void set_limits(struct sp_map *map, const struct pool *pool)
{
    const sp_pool_options *options = &pool->options;
    uint64_t at_once = (uint64_t)options->workers * sp__pool_options_capacity(options);
    uint64_t most = LIMIT_LAST * at_once;
    uint64_t fitting = options->queue_max / 2 + at_once; /* others queue as well */
    if (map->options.in_flight_max != 0) {
        map->floor = map->ceiling = map->options.in_flight_max;
    } else {
        map->ceiling = (uint32_t)(most < fitting ? most : fitting);
        map->floor = (uint32_t)(LIMIT_FIRST * at_once);
        map->floor = map->floor < map->ceiling ? map->floor : map->ceiling;
    }
    map->limit = map->floor;
}

static int init_locks(struct sp_map *map, sp_error *err)
{
    pthread_condattr_t monotonic;
    int rc = pthread_condattr_init(&monotonic);
    if (rc == 0) {
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        rc = pthread_cond_init(&map->room, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
    }
    if (rc == 0 && (rc = pthread_mutex_init(&map->lock, NULL)) != 0) {
        (void)pthread_cond_destroy(&map->room);
    }
    if (rc != 0) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for the locks of a map");
    }
    return SP_OK;
}

int sp__mapper_open(struct sp_pit *pit, const char *tool, const sp_map_options *options,
                    struct sp_map **ret_map, sp_error *err)
{
    const char *named = options->call != NULL ? options->call->pool : NULL;
    struct pool *pool = sp__pit_pool_of_tool(pit, tool);
    int rc = named != NULL ? sp__pit_pool(pit, named, &pool, err) : SP_OK;
    if (rc < 0) {
        return rc;
    }
    struct sp_map *map = sp__calloc(1, sizeof *map);
    if (map == NULL || (map->tool = sp__strdup(tool)) == NULL) {
        sp__free(map);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for a map");
    }
    map->pit = pit;
    map->options = *options;
    map->call.size = sizeof map->call;
    if (options->call != NULL) {
        size_t size = options->call->size; /* checked already */
        memcpy(&map->call, options->call,
               size < sizeof map->call ? size : sizeof map->call);
        map->call.size = sizeof map->call;
        map->call.interrupt = NULL; /* nobody waits for a single one */
    }
    sp__latch_init(&map->news);
    set_limits(map, pool);
    map->places_count = map->ceiling + 1;
    map->places = sp__calloc(map->places_count, sizeof *map->places);
    rc = map->places != NULL
             ? init_locks(map, err)
             : sp__fail(err, SP_ERR_NOMEM, "no memory for %u calls under way",
                        map->ceiling);
    if (rc < 0) {
        sp__free(map->places);
        sp__free(map->tool);
        sp__free(map);
        return rc;
    }
    for (uint32_t i = 0; i < map->places_count; i++) {
        map->places[i].map = map;
        sp__list_append(&map->free, &map->places[i].on_list);
        sp__buf_init(&map->places[i].args, SIZE_MAX / 2);
    }
    *ret_map = map;
    return SP_OK;
}

/* Cancel what is under way and wait until all of it has ended. */
static void cancel_all(struct sp_map *map)
{
    (void)pthread_mutex_lock(&map->lock);
    map->closing = 1;
    for (uint32_t i = 0; i < map->places_count; i++) {
        if (map->places[i].state == PLACE_UNDER_WAY) {
            sp__pit_cancel_request(map->places[i].request);
        }
    }
    while (map->under_way > 0) {
        sp__latch_close(&map->news);
        (void)pthread_mutex_unlock(&map->lock);
        await_news(map, UINT64_MAX);
        (void)pthread_mutex_lock(&map->lock);
    }
    (void)pthread_mutex_unlock(&map->lock);
}

void sp__mapper_close(struct sp_map *map)
{
    cancel_all(map);
    for (uint32_t i = 0; i < map->places_count; i++) {
        let_go(&map->places[i]);
        sp__buf_fini(&map->places[i].args);
    }
    (void)pthread_cond_destroy(&map->room);
    (void)pthread_mutex_destroy(&map->lock);
    sp__free(map->places);
    sp__free(map->tool);
    sp__free(map);
}
