/* SPDX-License-Identifier: MIT */
/*
 * The extension's own state: the worker, and the call that runs.
 *
 * One process is one worker, and R has one thread: everything is static and touched by
 * that thread alone, but for what interrupt.c says. The loop is R code (R/serve.R); here
 * are its steps, functions for .Call(). They raise R's errors, which are jumps, so memory
 * that is to be released is copied to R's own first.
 */
#ifndef SP_R_BRIDGE_H
#define SP_R_BRIDGE_H

#include "codec.h"

#include "snakepit/worker.h"
#include "snakepit/worker_host.h"
#include "snakepit/worker_state.h"

struct bridge {
    sp_worker *worker; /* NULL: not open */
    sp_job *job;       /* the call that runs, or NULL */
    struct encoder encoder;
    int forgotten; /* this is the child of a fork inside a call */
};
extern struct bridge sp__r_bridge;

/* worker.c */
/* Raise R's error with the text of this one; clears it. */
void sp__r_raise(sp_error *err);
SEXP sp__r_open(SEXP runtime, SEXP listen, SEXP cancel_signal, SEXP stack_signal);
SEXP sp__r_add_tool(SEXP name, SEXP description, SEXP streaming, SEXP params,
                    SEXP idempotent);
SEXP sp__r_announce(void);
SEXP sp__r_refuse(SEXP permanent, SEXP type, SEXP message, SEXP trace);
SEXP sp__r_close(void);

/* job.c */
SEXP sp__r_next(void);
SEXP sp__r_call(void);
SEXP sp__r_reply(SEXP value);
SEXP sp__r_fail(SEXP code, SEXP type, SEXP message, SEXP trace, SEXP details);
SEXP sp__r_chunk(SEXP value);
SEXP sp__r_park(SEXP id);
SEXP sp__r_end(void);
SEXP sp__r_facts(void);

/* report.c */
SEXP sp__r_report(SEXP name, SEXP measurements, SEXP metadata, SEXP correlation);

/* ask.c: streams that are open end with the call. */
SEXP sp__r_call_tool(SEXP tool, SEXP args, SEXP pool, SEXP timeout_ms);
SEXP sp__r_host_tools(void);
SEXP sp__r_stream_open(SEXP tool, SEXP args, SEXP pool, SEXP timeout_ms);
SEXP sp__r_stream_next(SEXP stream);
SEXP sp__r_stream_close(SEXP stream);
void sp__r_streams_end(void);
/* The job to ask for; raises when there is none. */
sp_job *sp__r_asking(void);
/* Raise what a question has ended with, if it failed; clears the error. */
void sp__r_asked(sp_job *job, int rc, sp_error *err);
SEXP sp__r_from_text(const char *json, size_t size);
const char *sp__r_text(SEXP value);
const char *sp__r_text_or_null(SEXP value);

/* state.c */
SEXP sp__r_variable_get(SEXP name);
SEXP sp__r_variable_set(SEXP name, SEXP value, SEXP options);
SEXP sp__r_variable_register(SEXP name, SEXP type, SEXP value, SEXP options);
SEXP sp__r_variable_delete(SEXP name);
SEXP sp__r_variables(SEXP pattern);
SEXP sp__r_history(SEXP name);
SEXP sp__r_session_begin(void);
SEXP sp__r_program_store(SEXP global, SEXP id, SEXP data, SEXP ttl_ms);
SEXP sp__r_program_get(SEXP global, SEXP id);
SEXP sp__r_program_delete(SEXP global, SEXP id);

/* stacks.c */
/* On this signal; 0: not. */
void sp__r_stacks_start(int stack_signal);
/* Write them if the host has asked. R's thread. */
void sp__r_stacks_look(void);

/* interrupt.c */
void sp__r_on_cancel(void *user_data, sp_job *job);
int sp__r_on_signal(void *user_data);
/* Which call an interruption is for from now on; NULL: none, and none is pending. */
void sp__r_interruptible(sp_job *job);
void sp__r_interrupt_start(int cancel_signal);

#endif
