/* SPDX-License-Identifier: MIT */
/*
 * A call asks its host. Each question is a struct ask inside a larger struct; `run` is
 * called without the interpreter's lock and may only touch C memory.
 */
#ifndef SP_RUBY_ASK_H
#define SP_RUBY_ASK_H

#include "bridge.h"
#include "snakepit/worker_host.h"
#include "snakepit/worker_state.h"

#define SP__RB_PART "arrays" /* the binary argument that has the bytes of a question */

/* What a call in progress is for Ruby code: safe to keep, it outlives the call. */
struct context {
    sp_job *job; /* NULL once the call has ended */
    int was_cancelled;
    VALUE tool;    /* String */
    VALUE session; /* String, "" when there is none */
    VALUE metadata;
    VALUE store;         /* Hash: what the package keeps for the call */
    unsigned asks;       /* questions to the host that are open; under ask.c's lock */
    struct list sources; /* what it receives from the host */
};

struct ask {
    int (*run)(struct ask *ask, sp_error *err);
    sp_job *job;
    int ran; /* 1 once it has been asked */
    int rc;
    int state; /* rb_protect()'s, of what a signal's handler has raised */
    sp_error err;
};

/* context.c */
struct context *sp__rb_context_of(VALUE self);

/* ---- ask.c ---- */

/* Ask and wait. Raises what the host refuses (Snakepit::HostError and its kin), Cancelled
 * when nobody waits for the call any more, and what a signal's handler raises. */
void sp__rb_ask(VALUE context, struct ask *ask);

/* Raise the error as the package's exception for its code; clears it. */
NORETURN(void sp__rb_raise_host(sp_error *err));

/* Wait, without the interpreter's lock, until nobody asks through this call any more.
 * Raises nothing. */
void sp__rb_asks_wait(struct context *context);

/* Run with the interpreter's lock, from a callback of the library that has it not; what
 * it raises is kept in *state and raised by sp__rb_reraise(). */
void sp__rb_with_lock(VALUE (*fn)(VALUE), VALUE argument, int *state);
void sp__rb_reraise(int state);

/* JSON of the host as a value. Raises ArgumentError for text that is none. */
VALUE sp__rb_from_json(const char *text, size_t size);
/* NULL: {}. */
VALUE sp__rb_from_text(const char *json);
/* The same with bytes beside it; a result of bytes beside null is given as bytes. */
VALUE sp__rb_answer(sp_bytes json, sp_bytes binary);
/* A stream's chunk: the same, but what is no JSON is given as bytes. */
VALUE sp__rb_chunk(sp_bytes json, sp_bytes binary);
VALUE sp__rb_text(const char *text);

/* A value encoded for a question; its encoder lives as long as the object. */
VALUE sp__rb_encoded_value(VALUE value, struct encoder **ret_encoder);
/* The same as a C string that lives as long as *ret_owner. Bytes and arrays raise. */
const char *sp__rb_json_text(VALUE value, VALUE *ret_owner);

/* ---- source.c: chunks of a tool's stream, changes that a watch sees ---- */

void sp__rb_source_init(void);
void sp__rb_sources_end(struct context *context);
VALUE sp__rb_tool_stream(VALUE self, VALUE tool, VALUE args, VALUE pool, VALUE timeout);
VALUE sp__rb_watch(VALUE self, VALUE names, VALUE initial);

/* ---- tools.c, variables.c, programs.c: methods of Snakepit::Context ---- */

void sp__rb_tools_init(void);
void sp__rb_variables_init(void);
void sp__rb_programs_init(void);
VALUE sp__rb_from_variable(const sp_variable *variable);

/* What calls a tool. */
struct question {
    struct ask ask;
    const char *tool;
    sp_bytes json;
    sp_binary binary;
    sp_host_call_options options;
    VALUE owner; /* of the texts */
};
void sp__rb_question(struct question *ret, VALUE *tool, VALUE args, VALUE *pool,
                     VALUE timeout_ms);

#endif
