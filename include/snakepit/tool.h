/* SPDX-License-Identifier: MIT */
/*
 * Host tools: functions of the program that workers and clients may call.
 *
 * A tool belongs to one session, or is global. A worker's job sees the tools of its own
 * session and the global ones; the tools of another session do not exist for it. Names
 * are looked for in the session first. Arguments are checked against the tool's schema
 * before the function is called.
 *
 * A function runs on a thread of the program: inside sp_pit_dispatch(), or on a thread
 * that waits in sp_execute(), sp_call_wait(), sp_stream_next(), sp_pit_await_ready() or
 * one of their kin and is woken for it, whichever comes first. It is never called from a
 * thread of the library unless the tool says SP_TOOL_ANY_THREAD. It may take its time,
 * call other tools, and answer later from any thread.
 */
#ifndef SNAKEPIT_TOOL_H
#define SNAKEPIT_TOOL_H

#include "base.h"
#include "error.h"
#include "pit.h"
#include "pool.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /* Threads of the library may run the function too, several at once. */
    SP_TOOL_ANY_THREAD = 1u << 0,
    /* Workers may call it, but it is not told to those who ask for a list. */
    SP_TOOL_HIDDEN = 1u << 1,
    /* It answers chunks, with sp_tool_call_chunk(), and then its end. */
    SP_TOOL_STREAMING = 1u << 2
};

enum { SP_TOOL_NAME_MAX = 64 };

/* One call of a host tool. Lives until it is answered. */
typedef struct sp_tool_call sp_tool_call;

/*
 * Answer a call, now or later: with sp_tool_call_reply() or sp_tool_call_fail(), exactly
 * once. A call that nobody answers ends for its caller with its time, and stays with the
 * program until it is answered.
 *
 * args_json  an object that fits the schema; borrowed until the function returns
 */
typedef void (*sp_host_tool_fn)(sp_tool_call *call, sp_bytes args_json,
                                void *user_data);

typedef struct sp_host_tool {
    size_t size;
    const char *name; /* 1..64 bytes: a letter or digit, then these and _ - . */
    const char *description;
    const char *session; /* NULL: global */

    /* What the arguments must be: one of these, or neither for anything. */
    const sp_tool_parameter *parameters; /* types as JSON Schema or Python calls them */
    size_t parameters_count;
    const char *input_schema; /* a JSON Schema of an object; see below */

    const char *metadata; /* a JSON object of at most 32 members and 4096 bytes */
    uint32_t flags;       /* SP_TOOL_ */
    sp_host_tool_fn fn;
    void *user_data;
    /* The tool is gone and none of its calls runs; or NULL. Called where the last of
     * them is answered, or where the tool is unregistered. */
    void (*on_gone)(void *user_data);
} sp_host_tool;

/*
 * Of JSON Schema are known: type, enum and const of scalars, minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum, minLength, maxLength, pattern (as variables have
 * it), items, minItems, maxItems, properties, required, additionalProperties, anyOf, and
 * words that only describe (title, description, default, examples, format, ...). A schema
 * with any other word is refused, because it would not be checked.
 */

/*
 * Register tools: all of them or none.
 *
 * Errors: SP_ERR_INVAL (a name, no function, both parameters and a schema),
 * SP_ERR_BAD_VALUE or SP_ERR_TOO_DEEP (a schema), SP_ERR_EXISTS (there is one of that name
 * in that place), SP_ERR_NOT_FOUND (no such session), SP_ERR_QUOTA, SP_ERR_NOMEM.
 * Thread: any. Since: 0.1
 */
SP_API int sp_tools_register(sp_pit *pit, const sp_host_tool *tools, size_t count,
                             sp_error *err);
SP_API int sp_tool_register(sp_pit *pit, const sp_host_tool *tool, sp_error *err);

/* Take a tool away: from now on it is not found; calls that run go on. Tools of a session
 * go with it by themselves. Errors: SP_ERR_NOT_FOUND, SP_ERR_INVAL. Thread: any.
 * Since: 0.1 */
SP_API int sp_tool_unregister(sp_pit *pit, const char *session, const char *name,
                              sp_error *err);

/* A host tool as a list tells it. Borrowed until the callback returns. */
typedef struct sp_host_tool_info {
    const char *name;
    const char *description;
    const char *session;      /* NULL: global */
    const char *input_schema; /* a JSON Schema */
    const char *metadata;     /* a JSON object */
    uint32_t flags;
    size_t parameters_count; /* when it was registered with parameters */
    const sp_tool_parameter *parameters;
} sp_host_tool_info;

/*
 * Tell every tool that a session can call, in the order of names, its own in place of
 * global ones of the same name. session NULL: the global ones. Returns how many.
 * Errors: SP_ERR_NOT_FOUND (no such session), SP_ERR_NOMEM. Thread: any. Since: 0.1
 */
SP_API int sp_tools_list(sp_pit *pit, const char *session,
                         void (*cb)(const sp_host_tool_info *tool, void *user_data),
                         void *user_data, sp_error *err);

/* ---- inside a call ---- */

/* Its session, "" for none. Valid until it is answered, as all below. Since: 0.1 */
SP_API const char *sp_tool_call_session(const sp_tool_call *call);
/* The tool's name. Since: 0.1 */
SP_API const char *sp_tool_call_tool(const sp_tool_call *call);
/* The worker whose job asks, 0: a client of sp_pit_listen(). Since: 0.1 */
SP_API sp_id sp_tool_call_worker(const sp_tool_call *call);
/* The bytes that came beside the arguments under this name, or {NULL, 0}. Since: 0.1 */
SP_API sp_bytes sp_tool_call_binary(const sp_tool_call *call, const char *name);
/* Milliseconds until its caller gives up, SP_UNLIMITED: never. Since: 0.1 */
SP_API uint64_t sp_tool_call_remaining_ms(const sp_tool_call *call);
/* 1 when nobody waits for the answer any more: it was cancelled, its time is over, its
 * worker is gone or the pit is closing. It is still to be answered. Since: 0.1 */
SP_API int sp_tool_call_is_over(const sp_tool_call *call);

/*
 * Answer. The call is gone afterwards, whatever is returned.
 *
 * json    the result; no bytes mean null. For a streaming tool: the end, without bytes
 * binary  bytes beside it, or none
 *
 * Errors: SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG (the caller is told of these
 * too), SP_ERR_CANCELLED (nobody waits for it), SP_ERR_NOMEM. Thread: any. Since: 0.1
 */
SP_API int sp_tool_call_reply(sp_tool_call *call, sp_bytes json, sp_bytes binary,
                              sp_error *err);

/* The same with an error: its code, message and what begins with remote_ travel. NULL and
 * code 0: SP_ERR_REMOTE. Thread: any. Since: 0.1 */
SP_API void sp_tool_call_fail(sp_tool_call *call, const sp_error *failure);

/*
 * Send one chunk of a streaming tool.
 *
 * binary      bytes beside the JSON, which speaks of them (see tensor.h), or none
 * timeout_ms  how long to wait while the caller does not read: 0: not at all
 *
 * Errors: SP_ERR_TIMEOUT (it was not sent: try again), SP_ERR_CANCELLED (nobody reads it:
 * answer), SP_ERR_UNSUPPORTED (the tool is not a streaming one), SP_ERR_BAD_JSON,
 * SP_ERR_TOO_DEEP, SP_ERR_TOO_BIG, SP_ERR_NOMEM. Thread: any, one at a time. Since: 0.1
 */
SP_API int sp_tool_call_chunk(sp_tool_call *call, sp_bytes json, sp_bytes binary,
                              uint64_t timeout_ms, sp_error *err);

#ifdef __cplusplus
}
#endif
#endif
