/* SPDX-License-Identifier: MIT */
/*
 * A call asks its host: how a question begins and ends.
 *
 * Any thread may ask through a call, also while the tool runs on another. The job under
 * it must not end meanwhile: each question is counted, and the call waits for those that
 * are open before it ends. They end with their answers, or with the call's cancellation,
 * its deadline or the host's death, so that wait is as bounded as the call.
 *
 * The interpreter's lock is given up around the wait. Ruby wakes a thread that it wants
 * something of by a signal; the library then calls sp__rb_on_signal() on that thread,
 * which takes the lock, looks, and ends the wait when something is raised.
 */
#include "ask.h"

#include <ruby/thread.h>

#include <string.h>

#include "base/mem.h"

static pthread_mutex_t asks_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asks_ended = PTHREAD_COND_INITIALIZER;

/* The question this thread waits with. */
static _Thread_local struct ask *asking;

/* ---- taking the lock ---- */

struct locked {
    VALUE (*fn)(VALUE);
    VALUE argument;
    int state;
};

static void *run_locked(void *user)
{
    struct locked *locked = user;
    (void)rb_protect(locked->fn, locked->argument, &locked->state);
    return NULL;
}

void sp__rb_with_lock(VALUE (*fn)(VALUE), VALUE argument, int *state)
{
    struct locked locked = {.fn = fn, .argument = argument};
    if (*state == 0) {
        (void)rb_thread_call_with_gvl(run_locked, &locked);
        *state = locked.state;
    }
}

void sp__rb_reraise(int state)
{
    if (state != 0) {
        rb_jump_tag(state);
    }
}

static VALUE check_interrupts(VALUE unused)
{
    rb_thread_check_ints();
    return unused;
}

int sp__rb_on_signal(void *user_data)
{
    (void)user_data;
    if (asking == NULL) {
        return 0;
    }
    sp__rb_with_lock(check_interrupts, Qnil, &asking->state);
    return asking->state != 0;
}

/* ---- asking ---- */

static void *wait_for_answer(void *user)
{
    struct ask *ask = user;
    asking = ask;
    ask->rc = ask->run(ask, &ask->err);
    ask->ran = 1;
    asking = NULL;
    return NULL;
}

static void count(struct context *context, int more)
{
    (void)pthread_mutex_lock(&asks_lock);
    context->asks += (unsigned)more;
    (void)pthread_cond_broadcast(&asks_ended);
    (void)pthread_mutex_unlock(&asks_lock);
}

/* Ask once; ask->ran stays 0 when something was due before the wait began. Other threads
 * may run while what is due is looked at, and the call may end: its job is taken after
 * that, and counted before the lock is given up again. */
static void ask_once(struct context *context, struct ask *ask, int *ret_cancelled)
{
    rb_thread_check_ints();
    ask->job = context->job;
    if (ask->job == NULL || sp__rb_bridge.forgotten) {
        (void)sp_error_set(&ask->err, SP_ERR_CLOSED,
                           "the call is over: its host is not asked");
        sp__rb_raise_host(&ask->err);
    }
    count(context, 1);
    (void)rb_thread_call_without_gvl2(wait_for_answer, ask, RUBY_UBF_IO, NULL);
    *ret_cancelled = ask->rc < 0 && sp_job_cancelled(ask->job);
    count(context, -1);
}

void sp__rb_ask(VALUE self, struct ask *ask)
{
    struct context *context = sp__rb_context_of(self);
    int cancelled;
    ask->ran = 0;
    do {
        ask_once(context, ask, &cancelled);
    } while (!ask->ran);
    RB_GC_GUARD(self);
    if (ask->state != 0) {
        sp_error_clear(&ask->err);
        rb_jump_tag(ask->state);
    }
    if (cancelled) {
        sp_error_clear(&ask->err);
        rb_raise(sp__rb_bridge.cancelled, "nobody waits for this call any more");
    }
    if (ask->rc < 0) {
        sp__rb_raise_host(&ask->err);
    }
}

static void *wait_for_asks(void *user)
{
    const struct context *context = user;
    (void)pthread_mutex_lock(&asks_lock);
    while (context->asks > 0) {
        (void)pthread_cond_wait(&asks_ended, &asks_lock);
    }
    (void)pthread_mutex_unlock(&asks_lock);
    return NULL;
}

static int has_asks(const struct context *context)
{
    (void)pthread_mutex_lock(&asks_lock);
    int has = context->asks > 0;
    (void)pthread_mutex_unlock(&asks_lock);
    return has;
}

static VALUE wait_unlocked(VALUE context)
{
    (void)rb_thread_call_without_gvl(wait_for_asks, (void *)context, NULL, NULL);
    return Qnil;
}

/* The tool is over, and nobody could rescue what other threads raise in it now. */
void sp__rb_asks_wait(struct context *context)
{
    while (has_asks(context)) {
        int state;
        (void)rb_protect(wait_unlocked, (VALUE)context, &state);
        if (state != 0) {
            rb_set_errinfo(Qnil);
        }
    }
}

void sp__rb_raise_host(sp_error *err)
{
    int code = err->code;
    const char *message = code == SP_ERR_REMOTE && err->remote_message != NULL
                              ? err->remote_message
                          : err->message[0] != '\0' ? err->message
                                                    : sp_strerror(code);
    VALUE facts[5] = {
        sp__rb_text(sp_error_name(code)),
        sp__rb_text(message),
        err->remote_type != NULL ? sp__rb_text(err->remote_type) : Qnil,
        err->remote_trace != NULL ? sp__rb_text(err->remote_trace) : Qnil,
        err->remote_details != NULL ? sp__rb_text(err->remote_details) : Qnil,
    };
    sp_error_clear(err);
    if (code == SP_ERR_NOMEM) {
        rb_memerror();
    }
    VALUE class = rb_const_get(sp__rb_bridge.module, rb_intern("HostError"));
    rb_exc_raise(rb_funcallv(class, rb_intern("of_code"), 5, facts));
}

/* ---- values ---- */

VALUE sp__rb_text(const char *text)
{
    return rb_utf8_str_new_cstr(text != NULL ? text : "");
}

static int find_only(void *user, const char *part, sp_bytes *ret)
{
    const sp_bytes *only = user;
    *ret = *only;
    return part[0] == '\0' || strcmp(part, SP__RB_PART) == 0;
}

static VALUE decode(sp_bytes json, sp_bytes *binary)
{
    const struct part_source source = {.find = find_only, .user = binary};
    sp_error err = {0};
    if (json.size == 0) {
        return Qnil;
    }
    VALUE value = sp__rb_decode(binary != NULL ? &source : NULL, json, 0, &err);
    if (value == Qundef) {
        VALUE message = sp__rb_text(err.message);
        sp_error_clear(&err);
        rb_raise(rb_eArgError, "%" PRIsVALUE, message);
    }
    return value;
}

VALUE sp__rb_from_json(const char *text, size_t size)
{
    return decode((sp_bytes){text, size}, NULL);
}

VALUE sp__rb_from_text(const char *json)
{
    return json != NULL && json[0] != '\0' ? sp__rb_from_json(json, strlen(json))
                                           : rb_hash_new();
}

VALUE sp__rb_answer(sp_bytes json, sp_bytes binary)
{
    if (binary.size == 0) {
        return decode(json, NULL);
    }
    if (json.size == 0 || (json.size == 4 && memcmp(json.data, "null", 4) == 0)) {
        return rb_str_new(binary.data, (long)binary.size);
    }
    return decode(json, &binary);
}

VALUE sp__rb_chunk(sp_bytes json, sp_bytes binary)
{
    if (binary.size > 0) {
        return sp__rb_answer(json, binary);
    }
    sp_error err = {0};
    VALUE value = sp__rb_decode(NULL, json, 0, &err);
    if (value == Qundef) {
        sp_error_clear(&err);
        return rb_str_new(json.data, (long)json.size);
    }
    return value;
}

/* ---- encoders of questions ---- */

static void question_mark(void *pointer)
{
    sp__rb_encoder_mark(pointer);
}

static void question_free(void *pointer)
{
    sp__rb_encoder_fini(pointer);
    sp__free(pointer);
}

static const rb_data_type_t question_type = {
    .wrap_struct_name = "Snakepit::Question",
    .function = {.dmark = question_mark, .dfree = question_free},
};

VALUE sp__rb_encoded_value(VALUE value, struct encoder **ret_encoder)
{
    struct encoder *encoder = sp__malloc(sizeof *encoder);
    if (encoder == NULL) {
        rb_memerror();
    }
    sp__rb_encoder_init(encoder, SP__RB_PART);
    VALUE owner = TypedData_Wrap_Struct(0, &question_type, encoder);
    sp__rb_encode(encoder, value);
    *ret_encoder = encoder;
    return owner;
}

const char *sp__rb_json_text(VALUE value, VALUE *ret_owner)
{
    struct encoder *encoder;
    *ret_owner = sp__rb_encoded_value(value, &encoder);
    if (!NIL_P(encoder->parts)) {
        rb_raise(rb_eTypeError, "bytes and large tensors cannot be kept as JSON");
    }
    if (sp__buf_append(&encoder->out, "", 1, NULL) < 0) {
        rb_memerror();
    }
    return (const char *)encoder->out.data;
}
