/* SPDX-License-Identifier: MIT */
/*
 * The extension's own types: the worker, the call it runs, and what both share.
 *
 * One process is one worker: signals, the fork handler and the inherited sockets belong
 * to the process, so the state of this extension does too. Everything here is touched
 * with the interpreter's lock held unless it says otherwise.
 *
 * Ruby raises by jumping. What must be undone is therefore kept in the worker, or the
 * code that may raise runs inside rb_protect().
 *
 * A tool, as the serve loop sees it, is an Array; see enum tool_field.
 */
#ifndef SP_RUBY_BRIDGE_H
#define SP_RUBY_BRIDGE_H

#include "codec.h"

#include <pthread.h>
#include <signal.h>

#include "base/list.h"
#include "snakepit/worker.h"

enum { SP__RB_REPEAT_MS = 1000 }; /* a swallowed interruption comes again after this */

enum tool_field {
    TOOL_RECEIVER = 0, /* what is called */
    TOOL_METHOD,       /* Symbol: the method that is sent to it */
    TOOL_STYLE,        /* one of STYLE_ */
    TOOL_POSITIONAL,   /* Array of Symbols: arguments that have no keyword, in order */
    TOOL_REQUIRED,     /* how many of these there must be */
    TOOL_KEYWORDS,     /* true when keywords are taken */
    TOOL_CONTEXT,      /* true when it takes `ctx:` */
    TOOL_STREAMING,    /* true when it can only be called as a stream */
    TOOL_FIELDS
};

enum tool_style {
    STYLE_NAMED = 0, /* arguments by name, those without a keyword in order */
    STYLE_HASH,      /* one Hash with String keys */
};

struct context;

/* A call that runs, or a stream between two turns. */
struct running {
    struct link link; /* on worker->streams once it has parked */
    sp_job *job;
    VALUE tool;             /* the Array */
    VALUE name;             /* String */
    VALUE fiber;            /* a stream's, else nil */
    VALUE context;          /* its Snakepit::Context, or nil: nobody asked */
    int code;               /* SP_ERR_ of what was found wrong before the tool, or 0 */
    int in_user_code;       /* an interruption may be raised now */
    int at_boundary;        /* the tool is being called: its arguments may not fit */
    uint64_t not_before_ms; /* no (further) interruption before */
};

struct worker {
    sp_worker *worker; /* NULL once closed */
    VALUE self;
    int serving;
    pthread_t main;          /* the thread cancellations interrupt */
    int cancel_signal;       /* 0: calls are not interrupted */
    struct running *current; /* or NULL */
    struct list streams;     /* streams that have waited for a turn at least once */
    VALUE tools;             /* Hash: name -> Array */
    VALUE helpers;           /* module Snakepit::Serving: the rarer work */
    struct encoder encoder;
};

/* Made once per process, when the extension is loaded. */
struct bridge {
    VALUE module;                    /* Snakepit */
    VALUE context;                   /* class Snakepit::Context */
    VALUE tensor;                    /* class Snakepit::Tensor */
    VALUE cancelled;                 /* Snakepit::Cancelled < Exception */
    VALUE bad_args;                  /* Snakepit::BadArguments < ArgumentError */
    VALUE no_tool;                   /* Snakepit::NoSuchTool < NameError */
    VALUE error;                     /* Snakepit::WorkerError < StandardError */
    struct worker *worker;           /* the open one; or NULL */
    volatile sig_atomic_t forgotten; /* this is the child of a fork inside a call */
};
extern struct bridge sp__rb_bridge;

/* Raise Snakepit::WorkerError with the error's text; clears it. */
NORETURN(void sp__rb_raise(sp_error *err));

/* ---- serve.c ---- */

VALUE sp__rb_serve(VALUE self, VALUE tools, VALUE helpers);
/* Runs without the interpreter's lock, inside sp_worker_next(). */
void sp__rb_session_ended(void *user_data, const char *session);
/* The Snakepit::Context of the call that runs now, or nil. */
VALUE sp__rb_current(void);

/* ---- invoke.c: run the tool of a call. For rb_protect(): takes a struct running, gives
 * the result; for a stream the Fiber that makes its items. ---- */

VALUE sp__rb_invoke(VALUE run);

/* ---- answer.c ---- */

/* End the job with a result. For rb_protect(): raises when it cannot be encoded. */
struct answer {
    struct worker *worker;
    struct running *run;
    VALUE value;
};
VALUE sp__rb_reply(VALUE answer);

/* The value as JSON in worker->encoder, and the bytes beside it; raises. */
void sp__rb_encoded(struct worker *worker, VALUE value, sp_bytes *ret_json,
                    sp_bytes *ret_binary);

/* The job is about to end: what Ruby code holds of it lets go. */
void sp__rb_detach(struct running *run);

/* End the job with a failure that is no exception's. */
void sp__rb_fail(struct running *run, int code, const char *type, const char *message,
                 const char *trace);

/* End the job with what rb_protect() has caught: `state` is not 0. */
void sp__rb_fail_raised(struct worker *worker, struct running *run, int state);

/* ---- stream.c ---- */

/* What became of a piece of work. */
enum outcome {
    OVER,   /* the job has ended */
    PARKED, /* a stream that waits for its turn */
};

/* Send items until the stream ends, waits, fails or is not wanted any more. */
enum outcome sp__rb_stream_go_on(struct worker *worker, struct running *run);

/* Close the stream's fiber: its ensure blocks run now. */
void sp__rb_stream_drop(struct worker *worker, struct running *run);

/* ---- interrupt.c ---- */

void sp__rb_on_cancel(void *user_data, sp_job *job);
/* Raise Cancelled if the call that runs is cancelled and may be interrupted now. */
VALUE sp__rb_interrupt(VALUE self);
/* Raise what other threads and signals have for this one, then forget a Cancelled that
 * came too late. Returns rb_protect()'s state of anything else. */
int sp__rb_check_interrupts(void);

/* Runs without the interpreter's lock, in a thread that waits for its host's answer. */
int sp__rb_on_signal(void *user_data); /* ask.c */

/* ---- stacks.c: on that signal, write the main thread's stack to this descriptor ---- */

int sp__rb_stacks_offer(int signal_number, int fd);
/* Write the stack of the thread that calls this, in a signal's handler too. */
void sp__rb_write_stack(int fd);

/* crash.c: from now on a crash is told in a few lines. */
void sp__rb_crash_start(void);

/* ---- context.c, report.c, worker.c ---- */

void sp__rb_context_init(void);
void sp__rb_report_init(void);
void sp__rb_worker_init(void);

VALUE sp__rb_context_new(struct running *run);
/* The call is about to end: wait for its questions, close what it receives. */
void sp__rb_context_end(VALUE context);

#endif
