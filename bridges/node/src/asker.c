/* SPDX-License-Identifier: MIT */
/*
 * Threads that ask the host for the one that runs JavaScript, which must not wait.
 *
 * A question is put in a line and taken by an idle thread, or by a new one when there is
 * none, because a question may wait for as long as its job does and another must not
 * wait behind it: a tool that this worker calls in another one may call this one. Beyond
 * ASKERS_MAX questions wait in the line; what waits for the next of a stream or watch,
 * for as long as it likes, may have READERS_MAX of the threads. The answer goes into a
 * second line, whose reader, in the event loop, ends the promises.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"

enum { ASKERS_MAX = 256, READERS_MAX = 192, STACK_BYTES = 256 * 1024 };

struct line {
    struct question *first;
    struct question **last;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct line asked;
    struct line answered;
    pthread_t threads[ASKERS_MAX];
    size_t threads_count;
    size_t idle;
    size_t readers; /* questions to a stream or watch, asked and not answered */
    int stopping;
    int is_open;
    uv_async_t wake;
} askers = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void push(struct line *line, struct question *question)
{
    question->next = NULL;
    if (line->first == NULL) {
        line->last = &line->first;
    }
    *line->last = question;
    line->last = &question->next;
}

static struct question *pop(struct line *line)
{
    struct question *question = line->first;
    if (question != NULL) {
        line->first = question->next;
    }
    return question;
}

static void *asker_main(void *arg)
{
    (void)pthread_mutex_lock(&askers.lock);
    while (!askers.stopping) {
        struct question *question = pop(&askers.asked);
        if (question == NULL) {
            askers.idle++;
            (void)pthread_cond_wait(&askers.more, &askers.lock);
            askers.idle--;
            continue;
        }
        (void)pthread_mutex_unlock(&askers.lock);
        int rc = question->ask(question);
        question->code = rc < 0 ? rc : question->code;
        (void)pthread_mutex_lock(&askers.lock);
        askers.readers -= question->place != NULL;
        push(&askers.answered, question);
        (void)uv_async_send(&askers.wake);
    }
    (void)pthread_mutex_unlock(&askers.lock);
    return NULL;
}

/* Under the lock: one thread more, as far as possible. */
static void add_thread(void)
{
    pthread_attr_t attr;
    if (askers.threads_count == ASKERS_MAX) {
        return;
    }
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (pthread_create(&askers.threads[askers.threads_count], &attr, asker_main,
                       NULL) == 0) {
        askers.threads_count++;
    }
    (void)pthread_attr_destroy(&attr);
}

/* Under the lock: 0 when there is no thread for it and none can be made. */
static int put_in_line(struct question *question)
{
    size_t waiting = 0;
    push(&askers.asked, question);
    for (const struct question *q = askers.asked.first; q != NULL; q = q->next) {
        waiting++;
    }
    if (waiting > askers.idle) {
        add_thread();
    }
    if (askers.threads_count == 0) {
        askers.asked.first = NULL; /* the only one: no thread could be made */
        return 0;
    }
    askers.readers += question->place != NULL;
    (void)pthread_cond_signal(&askers.more);
    return 1;
}

int sp__askers_ask(struct question *question, sp_error *err)
{
    int rc = SP_OK;
    (void)pthread_mutex_lock(&askers.lock);
    if (question->place != NULL && askers.readers == READERS_MAX) {
        rc = sp_error_set(err, SP_ERR_QUOTA,
                          "%d streams and watches are being read in this worker, which "
                          "is the most",
                          READERS_MAX);
    } else if (!put_in_line(question)) {
        rc = sp_error_set(err, SP_ERR_NOMEM, "no thread for a question");
    }
    (void)pthread_mutex_unlock(&askers.lock);
    return rc;
}

/* ---- answers, in the event loop ---- */

void sp__question_free(struct question *question)
{
    for (size_t i = 0; i < question->texts_count; i++) {
        free(question->texts[i]);
    }
    for (size_t i = 0; i < question->parts_count; i++) {
        free(question->parts[i].name);
        free(question->parts[i].data);
    }
    free(question->texts);
    free(question->parts);
    free(question->json);
    free(question->binary);
    sp_error_clear(&question->err);
    free(question);
}

/* (question, code, message, type or undefined, trace or undefined,
 * details or undefined) */
static void tell_failure(napi_env env, const struct question *question)
{
    const sp_error *err = &question->err;
    const char *message =
        err->remote_message != NULL ? err->remote_message : err->message;
    napi_value args[6];
    args[0] = sp__number(env, question->id);
    args[1] = sp__text(env, sp_error_name(question->code));
    args[2] = sp__text(env, *message != '\0' ? message : sp_strerror(question->code));
    args[3] =
        err->remote_type != NULL ? sp__text(env, err->remote_type) : sp__undefined(env);
    args[4] = err->remote_trace != NULL ? sp__text(env, err->remote_trace)
                                        : sp__undefined(env);
    args[5] = err->remote_details != NULL ? sp__text(env, err->remote_details)
                                          : sp__undefined(env);
    sp__tell(ON_ANSWER, 6, args);
}

/* (question, undefined, json or undefined, marks, binary or undefined, what was opened,
 * a chunk's bytes or undefined) */
static void tell_answer(napi_env env, const struct question *question)
{
    sp_bytes json = {question->json, question->json_size};
    napi_value args[7];
    args[0] = sp__number(env, question->id);
    args[1] = sp__undefined(env);
    args[2] = json.data != NULL ? sp__text_of(env, json) : sp__undefined(env);
    args[3] = sp__number(env, json.data != NULL ? sp__marks(json) : 0);
    args[4] = sp__undefined(env);
    if (question->binary_size > 0) {
        (void)napi_create_buffer_copy(env, question->binary_size, question->binary,
                                      NULL, &args[4]);
    }
    args[5] = sp__undefined(env);
    if (question->opened != NULL) {
        (void)napi_create_external(env, question->opened, NULL, NULL, &args[5]);
    }
    args[6] = sp__undefined(env);
    if (question->is_chunk) {
        (void)napi_create_buffer_copy(env, json.size, json.size > 0 ? json.data : "",
                                      NULL, &args[6]);
    }
    sp__tell(ON_ANSWER, 7, args);
}

static void tell(struct question *question)
{
    napi_env env = sp__node.env;
    napi_handle_scope handles;
    napi_callback_scope scope;
    napi_value resource = NULL;
    (void)napi_open_handle_scope(env, &handles);
    (void)napi_get_reference_value(env, sp__node.resource, &resource);
    (void)napi_open_callback_scope(env, resource, sp__node.context, &scope);
    if (question->code < 0) {
        tell_failure(env, question);
    } else {
        tell_answer(env, question);
    }
    (void)napi_close_callback_scope(env, scope);
    (void)napi_close_handle_scope(env, handles);
    sp__question_free(question);
}

static void on_wake(uv_async_t *wake)
{
    for (;;) {
        (void)pthread_mutex_lock(&askers.lock);
        struct question *question = pop(&askers.answered);
        (void)pthread_mutex_unlock(&askers.lock);
        if (question == NULL) {
            return;
        }
        tell(question);
    }
}

/* ---- life ---- */

int sp__askers_start(napi_env env)
{
    uv_loop_t *loop = NULL;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok ||
        uv_async_init(loop, &askers.wake, on_wake) < 0) {
        return 0;
    }
    uv_unref((uv_handle_t *)&askers.wake);
    askers.is_open = 1;
    return 1;
}

int sp__askers_stop(void)
{
    if (!askers.is_open) {
        return 1;
    }
    (void)pthread_mutex_lock(&askers.lock);
    int is_busy = askers.idle < askers.threads_count || askers.asked.first != NULL;
    if (is_busy && sp__node.jobs > 0) {
        (void)pthread_mutex_unlock(&askers.lock);
        return 0;
    }
    askers.stopping = 1;
    (void)pthread_cond_broadcast(&askers.more);
    (void)pthread_mutex_unlock(&askers.lock);
    for (size_t i = 0; i < askers.threads_count; i++) {
        (void)pthread_join(askers.threads[i], NULL);
    }
    askers.threads_count = 0;
    askers.is_open = 0;
    uv_close((uv_handle_t *)&askers.wake, NULL);
    return 1;
}
