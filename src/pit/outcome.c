/* SPDX-License-Identifier: MIT */
/*
 * Outcomes of calls that have a name: a request id to ask by, or a key under which the
 * same work is not to be done twice.
 *
 * Normal course: the first request with a name makes an entry and runs; those with the
 * same key that come meanwhile follow it and end with a copy of its answer; those that
 * come within the keeping time get the kept copy at once. A failure that certainly ran
 * nothing is not kept: the next follower, or the next caller, runs in its place.
 *
 * Bounds: the oldest entries go when there are too many or their answers too large
 * together. An answer that is too large to keep, or for whose copy there was no memory,
 * leaves the fact behind that it ran, and a second caller is told that.
 */
#include "pit/outcome.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "pool/result.h"

enum { ENDED_MAX = 10000 };
static const size_t bytes_max = (size_t)64 << 20;

struct outcome {
    struct link on_ended;
    uint64_t hash;
    struct outcome *next; /* the same hash */
    enum outcome_kind kind;
    int running;
    struct request *request; /* while it runs */
    struct list followers;   /* request.on_follow */
    sp_id call;
    uint64_t ended_ms;
    int kept; /* the answer below is whole */
    size_t bytes;
    sp_result result;
    sp_error error;
    char name[]; /* with its NUL */
};

/* ---- the table ---- */

static uint64_t hash_of(enum outcome_kind kind, const char *name)
{
    uint64_t hash = sp__hash(name, strlen(name)) + (uint64_t)kind;
    return hash == 0 ? 1 : hash;
}

static struct outcome *find(const struct outcomes *outcomes, enum outcome_kind kind,
                            const char *name)
{
    struct outcome *at = sp__map_find(&outcomes->by_hash, hash_of(kind, name));
    while (at != NULL && (at->kind != kind || strcmp(at->name, name) != 0)) {
        at = at->next;
    }
    return at;
}

static struct outcome *add(struct outcomes *outcomes, enum outcome_kind kind,
                           const char *name)
{
    size_t bytes = strlen(name) + 1;
    struct outcome *outcome = sp__calloc(1, sizeof *outcome + bytes);
    if (outcome == NULL) {
        return NULL;
    }
    outcome->kind = kind;
    outcome->hash = hash_of(kind, name);
    memcpy(outcome->name, name, bytes);
    outcome->next = sp__map_take(&outcomes->by_hash, outcome->hash);
    if (sp__map_put(&outcomes->by_hash, outcome->hash, outcome) < 0) {
        /* Its place was just made free, so only a first one can fail. */
        sp__free(outcome);
        return NULL;
    }
    return outcome;
}

static void drop(struct outcomes *outcomes, struct outcome *outcome)
{
    struct outcome *first = sp__map_take(&outcomes->by_hash, outcome->hash);
    struct outcome **at = &first;
    while (*at != outcome) {
        at = &(*at)->next;
    }
    *at = outcome->next;
    if (first != NULL) {
        (void)sp__map_put(&outcomes->by_hash, outcome->hash, first);
    }
    sp__list_remove(&outcome->on_ended);
    outcomes->bytes -= outcome->bytes;
    sp_result_clear(&outcome->result);
    sp_error_clear(&outcome->error);
    sp__free(outcome);
}

static void forget_old(struct outcomes *outcomes, uint64_t now_ms)
{
    while (outcomes->ended.first != NULL) {
        struct outcome *oldest = ITEM(outcomes->ended.first, struct outcome, on_ended);
        if (outcomes->ended.length <= ENDED_MAX && outcomes->bytes <= bytes_max &&
            now_ms < oldest->ended_ms + outcomes->keep_ms) {
            return;
        }
        drop(outcomes, oldest);
    }
}

/* ---- answers ---- */

static int copy_result(sp_result *to, const sp_result *from)
{
    sp_result copy = *from;
    copy.json = NULL;
    copy.memory = copy.binary = NULL;
    int rc = SP_OK;
    if (from->json != NULL) {
        rc = sp__result_copy_json(&copy, (sp_bytes){from->json, from->json_bytes});
    }
    if (rc == SP_OK && from->binary != NULL) {
        rc =
            sp__result_copy_binary(&copy, (sp_bytes){from->binary, from->binary_bytes});
    }
    if (rc < 0) {
        sp_result_clear(&copy);
        return rc;
    }
    *to = copy;
    return SP_OK;
}

/* Give a request the kept answer. */
static void answer(struct request *request, const struct outcome *outcome)
{
    if (outcome->error.code != 0) {
        sp_error *error = sp__request_error(request, outcome->error.executed);
        if (error != NULL) {
            sp__error_copy(error, &outcome->error);
        }
    } else if (!outcome->kept) {
        (void)sp__request_fail(
            request, SP_ERR_TOO_BIG, SP_EXECUTED_YES,
            "the call with this dedupe_key ran, but its result was too large to keep");
    } else if (copy_result(&request->result, &outcome->result) < 0) {
        (void)sp__request_fail(request, SP_ERR_NOMEM, SP_EXECUTED_YES,
                               "no memory for a result that is known already");
    }
}

static void keep(struct outcomes *outcomes, struct outcome *outcome,
                 const struct request *request, uint64_t now_ms)
{
    size_t bytes = request->result.json_bytes + request->result.binary_bytes;
    outcome->running = 0;
    outcome->request = NULL;
    outcome->ended_ms = now_ms;
    if (request->error != NULL) {
        sp__error_copy(&outcome->error, request->error);
    } else if (bytes <= bytes_max / 4 &&
               copy_result(&outcome->result, &request->result) == SP_OK) {
        outcome->kept = 1;
        outcome->bytes = bytes;
        outcomes->bytes += bytes;
    }
    sp__list_append(&outcomes->ended, &outcome->on_ended);
}

/* ---- coming and going ---- */

static struct outcome *begin(struct outcomes *outcomes, enum outcome_kind kind,
                             const char *name, struct request *request)
{
    struct outcome *outcome = find(outcomes, kind, name);
    if (outcome != NULL && outcome->running) {
        outcome->request->by_id = NULL; /* it is to be known no more */
    } else if (outcome != NULL) {
        drop(outcomes, outcome); /* a request id that is used again */
        outcome = NULL;
    }
    if (outcome == NULL) {
        outcome = add(outcomes, kind, name);
    }
    if (outcome != NULL) {
        outcome->running = 1;
        outcome->request = request;
        outcome->call = request->id;
    }
    return outcome;
}

static int enter(struct outcomes *outcomes, struct request *request, uint64_t now_ms)
{
    forget_old(outcomes, now_ms);
    if (request->dedupe_key[0] != '\0') {
        struct outcome *known = find(outcomes, OUTCOME_BY_KEY, request->dedupe_key);
        if (known != NULL && known->running) {
            sp__list_append(&known->followers, &request->on_follow);
            return OUTCOME_FOLLOW;
        }
        if (known != NULL) {
            answer(request, known);
            return OUTCOME_DONE;
        }
        request->by_key = begin(outcomes, OUTCOME_BY_KEY, request->dedupe_key, request);
        if (request->by_key == NULL) {
            return SP_ERR_NOMEM;
        }
    }
    if (request->request_id[0] != '\0') {
        request->by_id =
            begin(outcomes, OUTCOME_BY_REQUEST, request->request_id, request);
        if (request->by_id == NULL && request->by_key != NULL) {
            drop(outcomes, request->by_key);
            request->by_key = NULL;
        }
        return request->by_id != NULL ? OUTCOME_GO : SP_ERR_NOMEM;
    }
    return OUTCOME_GO;
}

int sp__outcomes_enter(struct outcomes *outcomes, struct request *request,
                       uint64_t now_ms)
{
    (void)pthread_mutex_lock(&outcomes->lock);
    int entry = enter(outcomes, request, now_ms);
    (void)pthread_mutex_unlock(&outcomes->lock);
    return entry;
}

int sp__outcomes_leave(struct outcomes *outcomes, struct request *request)
{
    (void)pthread_mutex_lock(&outcomes->lock);
    int followed = request->on_follow.on != NULL;
    sp__list_remove(&request->on_follow);
    (void)pthread_mutex_unlock(&outcomes->lock);
    return followed;
}

static struct request *note_end(struct outcomes *outcomes, struct request *request,
                                uint64_t now_ms,
                                void (*end)(void *user, struct request *request),
                                void *user)
{
    struct outcome *by_key = request->by_key;
    struct outcome *by_id = request->by_id;
    /* When all is closing, nobody has to try that after another. */
    int may_run = request->error != NULL && request->error->code != SP_ERR_CLOSED &&
                  request->error->executed == SP_EXECUTED_NO;
    request->by_key = NULL;
    request->by_id = NULL;
    if (by_id != NULL) {
        keep(outcomes, by_id, request, now_ms);
    }
    if (by_key == NULL) {
        return NULL;
    }
    if (may_run) {
        struct link *link = sp__list_pop(&by_key->followers);
        if (link == NULL) {
            drop(outcomes, by_key);
            return NULL;
        }
        struct request *next = ITEM(link, struct request, on_follow);
        next->by_key = by_key;
        by_key->request = next;
        by_key->call = next->id;
        return next;
    }
    keep(outcomes, by_key, request, now_ms);
    struct link *link;
    while ((link = sp__list_pop(&by_key->followers)) != NULL) {
        struct request *follower = ITEM(link, struct request, on_follow);
        answer(follower, by_key);
        end(user, follower);
    }
    return NULL;
}

struct request *sp__outcomes_ended(struct outcomes *outcomes, struct request *request,
                                   uint64_t now_ms,
                                   void (*end)(void *user, struct request *request),
                                   void *user)
{
    (void)pthread_mutex_lock(&outcomes->lock);
    struct request *next = note_end(outcomes, request, now_ms, end, user);
    (void)pthread_mutex_unlock(&outcomes->lock);
    return next;
}

/* ---- asking ---- */

static int find_out(struct outcomes *outcomes, const char *request_id,
                    const struct lane *lane, uint64_t now_ms, sp_outcome *ret_outcome,
                    sp_result *ret_result, sp_error *ret_failure)
{
    forget_old(outcomes, now_ms);
    const struct outcome *outcome = find(outcomes, OUTCOME_BY_REQUEST, request_id);
    *ret_outcome = (sp_outcome){.state = SP_OUTCOME_UNKNOWN};
    if (outcome == NULL) {
        return 1;
    }
    if (outcome->running &&
        atomic_load_explicit(&outcome->request->lane, memory_order_acquire) != lane) {
        return 0;
    }
    ret_outcome->call = outcome->call;
    if (outcome->running) {
        int is_sent = outcome->request->state == REQUEST_SENT;
        ret_outcome->state = is_sent ? SP_OUTCOME_RUNNING : SP_OUTCOME_QUEUED;
        ret_outcome->attempts = outcome->request->result.attempts;
        ret_outcome->executed = is_sent ? SP_EXECUTED_UNKNOWN : SP_EXECUTED_NO;
        return 1;
    }
    ret_outcome->age_ms = now_ms > outcome->ended_ms ? now_ms - outcome->ended_ms : 0;
    if (outcome->error.code != 0) {
        ret_outcome->state = SP_OUTCOME_FAILED;
        ret_outcome->error = outcome->error.code;
        ret_outcome->executed = outcome->error.executed;
        ret_outcome->attempts = outcome->error.attempts;
        sp__error_copy(ret_failure, &outcome->error);
        return 1;
    }
    ret_outcome->state = SP_OUTCOME_DONE;
    ret_outcome->executed = SP_EXECUTED_YES;
    ret_outcome->attempts = outcome->result.attempts;
    ret_outcome->has_result = outcome->kept && ret_result != NULL &&
                              copy_result(ret_result, &outcome->result) == SP_OK;
    return 1;
}

int sp__outcomes_find(struct outcomes *outcomes, const char *request_id,
                      const struct lane *lane, uint64_t now_ms, sp_outcome *ret_outcome,
                      sp_result *ret_result, sp_error *ret_failure)
{
    (void)pthread_mutex_lock(&outcomes->lock);
    int found = find_out(outcomes, request_id, lane, now_ms, ret_outcome, ret_result,
                         ret_failure);
    (void)pthread_mutex_unlock(&outcomes->lock);
    return found;
}

void sp__outcomes_init(struct outcomes *outcomes, uint64_t keep_ms)
{
    *outcomes = (struct outcomes){.keep_ms = keep_ms};
    (void)pthread_mutex_init(&outcomes->lock, NULL);
}

void sp__outcomes_fini(struct outcomes *outcomes)
{
    size_t at = 0;
    struct outcome *outcome;
    while ((outcome = sp__map_next(&outcomes->by_hash, &at)) != NULL) {
        while (outcome != NULL) {
            struct outcome *next = outcome->next;
            sp_result_clear(&outcome->result);
            sp_error_clear(&outcome->error);
            sp__free(outcome);
            outcome = next;
        }
    }
    sp__map_fini(&outcomes->by_hash);
    (void)pthread_mutex_destroy(&outcomes->lock);
}
