/* SPDX-License-Identifier: MIT */
/*
 * The inside of the Node.js addon: what its files share.
 *
 * One worker per process, on the thread that runs JavaScript: that thread waits in Node's
 * own event loop for the worker's descriptor (loop.c), so a call needs no hop between
 * threads. JavaScript names a job by a handle, a small number; what a job asks of its
 * host blocks a thread of asker.c and comes back as the end of a promise.
 */
#ifndef SP_NODE_BRIDGE_H
#define SP_NODE_BRIDGE_H

#define NAPI_VERSION 8

#include <node_api.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "snakepit/worker.h"
#include "snakepit/worker_host.h"

/* A job that JavaScript knows. Its handle is `generation << 20 | index`. */
struct call {
    sp_job *job; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

/* What JavaScript is told through: functions of the package. */
enum callback {
    ON_JOB,    /* (handle, tool, arguments, marks, session, is_stream) */
    ON_TURN,   /* (handle, is_cancelled) */
    ON_OVER,   /* () */
    ON_ENDED,  /* (session) */
    ON_ANSWER, /* as tell_answer() and tell_failure() in asker.c have it */
    CALLBACKS
};

struct bridge {
    napi_env env;
    sp_worker *worker;
    napi_ref callbacks[CALLBACKS];
    napi_ref resource; /* of the callback scopes */
    napi_async_context context;
    struct call *calls;
    uint32_t calls_count;
    uint32_t first_free; /* an index, or NO_CALL */
    uint32_t jobs;       /* handed out and not ended */
    uv_poll_t poll;
    uv_prepare_t prepare;
    uv_idle_t idle;   /* runs while there is more than one round took */
    int open_handles; /* of the three, which are closed one by one */
    char *text;       /* what JavaScript writes: room for one string */
    size_t text_room;
};

enum { NO_CALL = UINT32_MAX, TEXT_ROOM = 64 * 1024 };

extern struct bridge sp__node;

/* What JSON.parse alone would get wrong, see sp__marks(). */
enum {
    MARK_NUMBERS = 1, /* NaN, Infinity, or an integer of 16 digits and more */
    MARK_PARTS = 2    /* a member whose name begins with "__" */
};

/* ---- values.c: between C and JavaScript ---- */
/* Throws the error; always NULL, as a function's result. */
napi_value sp__throw(napi_env env, const sp_error *err);
napi_value sp__throw_text(napi_env env, const char *code, const char *message);
/* The arguments of a call from JavaScript, up to `max`; missing ones are undefined. */
size_t sp__args(napi_env env, napi_callback_info info, napi_value *args, size_t max);
napi_value sp__undefined(napi_env env);
napi_value sp__number(napi_env env, double number);
napi_value sp__text(napi_env env, const char *text);
/* UTF-8, whose broken sequences become U+FFFD. */
napi_value sp__text_of(napi_env env, sp_bytes bytes);
/* A string as UTF-8 in sp__node.text, until the next one; 0 without memory or when it is
 * no string. */
int sp__take_text(napi_env env, napi_value value, sp_bytes *ret);
/* A copy to free(); NULL for null and undefined, or without memory. */
char *sp__copy_text(napi_env env, napi_value value);
int64_t sp__integer(napi_env env, napi_value value, int64_t otherwise);
/* A Buffer's bytes, borrowed; none for anything else. */
sp_bytes sp__buffer_of(napi_env env, napi_value value);
uint32_t sp__marks(sp_bytes json);

/* ---- calls.c: jobs and their handles ---- */
int sp__call_add(sp_job *job, uint32_t *ret_handle);
/* The job of a handle, or NULL with an exception. */
sp_job *sp__call_job(napi_env env, napi_value handle);
void sp__call_remove(napi_env env, napi_value handle);
napi_value sp__init_calls(napi_env env, napi_value exports);

/* ---- loop.c: the worker in Node's event loop ---- */
int sp__loop_start(napi_env env, sp_error *err);
void sp__loop_stop(void);
/* Call one of the package's functions from the loop. */
void sp__tell(enum callback which, size_t count, const napi_value *args);
/* The same in a scope of its own, at whose end promises go on. NULL: no argument. */
void sp__tell_alone(enum callback which, const char *text);

/* ---- stacks.c: the stack of JavaScript, when the host asks by this signal ---- */
/* Nothing where the interpreter has no way to. */
void sp__stacks_start(napi_env env, int signal_number);
void sp__stacks_stop(void);

/* ---- asker.c, questions.c, state.c: what jobs ask of their host ---- */

/* One question, from the call that asks to the promise's end. */
struct question {
    struct question *next;
    double id; /* the package's */
    int (*ask)(struct question *question);
    sp_job *job;
    void *place;  /* a stream or watch that is asked */
    char **texts; /* arguments; entries may be NULL */
    size_t texts_count;
    double numbers[3];
    struct part { /* binaries beside the arguments */
        char *name;
        uint8_t *data;
        size_t size;
    } * parts;
    size_t parts_count;
    /* the answer */
    int code;
    char *json; /* or NULL: nothing */
    size_t json_size;
    size_t json_room;
    uint8_t *binary;
    size_t binary_size;
    void *opened; /* a stream or watch */
    int is_chunk; /* of a stream: bytes, which need not be JSON */
    sp_error err;
};

int sp__askers_start(napi_env env);
/* Joins the threads. 0 when they wait for answers that may never come, to questions of
 * jobs that have not ended: they are still there, and the process must end. */
int sp__askers_stop(void);
/* Errors: SP_ERR_NOMEM, no thread can take it; SP_ERR_QUOTA, too many streams and watches
 * are being read. It is the caller's again then. */
int sp__askers_ask(struct question *question, sp_error *err);
void sp__question_free(struct question *question);
napi_value sp__init_questions(napi_env env, napi_value exports);

/* ---- telemetry.c: what tools report ---- */
napi_value sp__init_telemetry(napi_env env, napi_value exports);

/* Appending to the answer; without memory the code becomes SP_ERR_NOMEM. */
void sp__put(struct question *question, const void *bytes, size_t size);
void sp__put_raw(struct question *question, const char *json);    /* NULL: null */
void sp__put_string(struct question *question, const char *text); /* NULL: null */
void sp__put_number(struct question *question,
                    uint64_t number); /* SP_UNLIMITED: null */
void sp__put_field(struct question *question, const char *name); /* `,"name":` */

/* The text of argument i, NULL when there are fewer. */
const char *sp__text_at(const struct question *question, size_t i);
/* What the package calls the question: NULL for no such name. */
int (*sp__state_question(const char *name))(struct question *question);

#endif
