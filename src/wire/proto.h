/* SPDX-License-Identifier: MIT */
/*
 * Messages of snakepit.bridge and friends <-> plain structs.
 *
 * The three hot messages (ExecuteToolRequest, ExecuteToolResponse, ToolChunk) have hand
 * written coders that copy nothing when reading; everything else goes through the code
 * protobuf-c generates from proto/. Reading borrows from the input bytes unless a
 * struct says that it owns.
 *
 * Values are JSON text inside google.protobuf.Any, whatever its type_url says, as the
 * original wire has it; native peers exchange the whole argument object in one field.
 */
#ifndef SP_WIRE_PROTO_H
#define SP_WIRE_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "snakepit/base.h"
#include "snakepit/error.h"
#include "wire/arena.h"

#define SP__SERVICE "/snakepit.bridge.BridgeService/"
#define SP__PATH_EXECUTE "/snakepit.bridge.BridgeService/ExecuteTool"
#define SP__PATH_STREAM "/snakepit.bridge.BridgeService/ExecuteStreamingTool"
#define SP__PATH_PING "/snakepit.bridge.BridgeService/Ping"
#define SP__PATH_ANNOUNCE "/snakepit.bridge.BridgeService/AnnounceWorker"
#define SP__PATH_TELEMETRY "/snakepit.bridge.BridgeService/StreamTelemetry"
#define SP__PATH_HOST_TOOL "/snakepit.bridge.BridgeService/ExecuteElixirTool"
#define SP__PATH_HEALTH_CHECK "/grpc.health.v1.Health/Check"
#define SP__PATH_HEALTH_WATCH "/grpc.health.v1.Health/Watch"

/* Headers of a call from a worker: the number of the call's stream that asks, and the pool
 * a tool shall be looked for in. */
#define SP__HEADER_PARENT "snakepit-parent"
#define SP__HEADER_POOL "snakepit-pool"

/* Trailer of the answer to a call that is traced: when user code began and when it ended,
 * two numbers of microseconds of the machine's monotonic clock. */
#define SP__TRAILER_RAN "snakepit-ran"

enum { SP__PROTOCOL_VERSION = 1 };

struct proto_pair {
    sp_bytes key;
    sp_bytes value;
};

/* ---- ExecuteToolRequest ---- */
struct proto_request {
    sp_bytes session_id;
    sp_bytes tool_name;
    sp_bytes args_json; /* native: the whole object or array (field 16) */
    int stream;
    /* When reading: the map fields, in `pairs` storage of the reader; see below. */
    const struct proto_pair *parameters; /* key -> Any.value (JSON text) */
    size_t parameters_count;
    const struct proto_pair *binary;
    size_t binary_count;
    const struct proto_pair
        *shared; /* key -> SharedValue; when read, right behind binary */
    size_t shared_count;
    const struct proto_pair *metadata;
    size_t metadata_count;
};

/* The bytes of a request for a native peer; and writing it where there is room for so many:
 * where it ends. */
size_t sp__proto_request_size(const struct proto_request *request);
uint8_t *sp__proto_write_request(uint8_t *to, const struct proto_request *request);

/* Append a request. Large binaries begin at multiples of 16 when the message does.
 * `split`: a stock peer; args_json must be an object (SP_ERR_BAD_ARGS
 * otherwise) and becomes the parameters map, each value an Any with StringValue's
 * type_url and the member's JSON text. */
int sp__proto_put_request(struct sp_buffer *out, const struct proto_request *request,
                          int split, sp_error *err) SP_MUST_CHECK;

/* Storage for the repeated parts of a request; zero it once, reuse it, fini it. */
struct proto_scratch {
    struct proto_pair *pairs;
    size_t capacity;
};
void sp__proto_scratch_fini(struct proto_scratch *scratch);

int sp__proto_get_request(const uint8_t *data, size_t size,
                          struct proto_scratch *scratch, struct proto_request *ret,
                          sp_error *err) SP_MUST_CHECK;

/* Append the parameters of a request as one JSON object. `check`: the values come from a
 * stranger; SP_ERR_BAD_JSON, SP_ERR_TOO_DEEP name the parameter. */
int sp__proto_put_args(struct sp_buffer *out, const struct proto_pair *parameters,
                       size_t count, int check, sp_error *err) SP_MUST_CHECK;

/* ---- ExecuteToolResponse ---- */
struct proto_response {
    int success;
    sp_bytes result_json; /* result.value */
    sp_bytes result_type; /* what follows "snakepit." in type_url: "map", "list" ... */
    sp_bytes error_message;
    sp_bytes binary_result;
    sp_bytes shared_result; /* SharedValue */
    int64_t execution_time_ms;
};
int sp__proto_put_response(struct sp_buffer *out, const struct proto_response *response,
                           sp_error *err) SP_MUST_CHECK;
int sp__proto_get_response(const uint8_t *data, size_t size, struct proto_response *ret,
                           sp_error *err) SP_MUST_CHECK;

/* ---- SharedValue ---- */
enum { SP__PROTO_REF_MAX = 32 };
/* Returns the bytes written, at most SP__PROTO_REF_MAX. */
size_t sp__proto_put_ref(uint8_t *to, const struct arena_ref *ref);
int sp__proto_get_ref(sp_bytes bytes, struct arena_ref *ret,
                      sp_error *err) SP_MUST_CHECK;

/* ---- ToolChunk ---- */
struct proto_chunk {
    sp_bytes chunk_id;
    sp_bytes data;
    sp_bytes binary;
    int is_final;
};
int sp__proto_put_chunk(struct sp_buffer *out, const struct proto_chunk *chunk,
                        sp_error *err) SP_MUST_CHECK;
int sp__proto_get_chunk(const uint8_t *data, size_t size, struct proto_chunk *ret,
                        sp_error *err) SP_MUST_CHECK;

/* ---- AnnounceWorker: a native worker says that it is ready, or never will be ---- */
struct proto_param {
    char *name, *type, *description, *default_json; /* default_json NULL: required */
};
struct proto_tool {
    char *name, *description;
    int streaming;
    int idempotent; /* running it twice does no harm */
    struct proto_param *params;
    size_t params_count;
};
struct proto_announce { /* reading: owns everything; sp__proto_announce_fini() */
    uint32_t protocol_version;
    char *worker_id;
    char *runtime;
    int64_t pid;
    uint32_t capacity; /* calls it runs at once */
    int accepts_any;   /* also runs tools it did not list */
    int failed;        /* it cannot start ... */
    int permanent;     /* ... and never will */
    char *error_type, *error_message, *error_trace; /* or NULL */
    uint64_t opened_us; /* of the monotonic clock: its runtime was there, 0: unknown, */
    uint64_t announced_us; /* and it said this */
    struct proto_tool *tools;
    size_t tools_count;
};
int sp__proto_put_announce(struct sp_buffer *out, const struct proto_announce *announce,
                           sp_error *err) SP_MUST_CHECK;
int sp__proto_get_announce(const uint8_t *data, size_t size, struct proto_announce *ret,
                           sp_error *err) SP_MUST_CHECK;
void sp__proto_announce_fini(struct proto_announce *announce);
void sp__proto_tool_fini(struct proto_tool *tool);

int sp__proto_put_announce_reply(struct sp_buffer *out, int accepted,
                                 const char *message, sp_error *err) SP_MUST_CHECK;
int sp__proto_get_announce_reply(const uint8_t *data, size_t size, int *ret_accepted,
                                 char **ret_message, sp_error *err) SP_MUST_CHECK;

/* ---- Failures: google.rpc.Status in grpc-status-details-bin, with ErrorInfo (reason:
 *      the stable name "SP-REMOTE", domain "snakepit", metadata executed) and DebugInfo
 *      (remote type, message and trace). Reading fills `err` wholly. ---- */
int sp__proto_put_failure(struct sp_buffer *out, const sp_error *failure,
                          sp_error *err) SP_MUST_CHECK;
/* 1 when details were ours and `ret` is filled, 0 when not. */
int sp__proto_get_failure(const uint8_t *details, size_t size, sp_error *ret);

/* The original's error text: JSON {type, message, traceback...} in error_message, or
 * plain text. Fills code SP_ERR_REMOTE. */
void sp__proto_get_error_text(sp_bytes text, sp_error *ret);
/* And its writing, for ExecuteToolResponse.error_message. */
int sp__proto_put_error_text(struct sp_buffer *out, const sp_error *failure,
                             sp_error *err) SP_MUST_CHECK;

/* ---- small ones ---- */
int sp__proto_put_ping(struct sp_buffer *out, const char *message,
                       sp_error *err) SP_MUST_CHECK;
int sp__proto_get_ping(const uint8_t *data, size_t size, sp_bytes *ret_message,
                       sp_error *err) SP_MUST_CHECK;
/* PingResponse with the wall clock's time in nanoseconds. */
int sp__proto_put_pong(struct sp_buffer *out, const char *message, int64_t unix_ns,
                       sp_error *err) SP_MUST_CHECK;
/* grpc.health.v1: 0 unknown, 1 serving, 2 not serving, 3 service unknown. */
int sp__proto_put_health(struct sp_buffer *out, int status,
                         sp_error *err) SP_MUST_CHECK;
int sp__proto_get_health(const uint8_t *data, size_t size, int *ret_status,
                         sp_error *err) SP_MUST_CHECK;
int sp__proto_get_health_request(const uint8_t *data, size_t size,
                                 sp_bytes *ret_service, sp_error *err) SP_MUST_CHECK;

/* An event that a worker reports: as much of it as there is room for. Names and texts have
 * no control characters: they may reach a terminal. */
enum {
    TELEMETRY_NUMBERS = 16,
    TELEMETRY_TEXTS = 16,
    TELEMETRY_NAME = 128,
    TELEMETRY_TEXT = 1024, /* of one text */
    TELEMETRY_ROOM = 16 * 1024
};
struct proto_telemetry_event {
    char name[TELEMETRY_NAME]; /* "tool.execution.stop" */
    uint64_t unix_ns;
    struct {
        const char *name;
        double value;
    } numbers[TELEMETRY_NUMBERS];
    size_t numbers_count;
    struct {
        const char *name;
        const char *text;
    } texts[TELEMETRY_TEXTS];
    size_t texts_count;
    size_t used;
    char room[TELEMETRY_ROOM]; /* what they point into */
};
int sp__proto_get_telemetry_event(const uint8_t *data, size_t size,
                                  struct proto_telemetry_event *ret,
                                  sp_error *err) SP_MUST_CHECK;

/* ---- StreamTelemetry ---- */

/* Metadata of an event, to the host of its worker alone: the stream of the call it is of. */
#define SP__CALL_STREAM "call_stream"

enum proto_measure_kind { MEASURE_INTEGER, MEASURE_REAL, MEASURE_TEXT };
struct proto_measure {
    const char *name;
    enum proto_measure_kind kind;
    int64_t integer;
    double real;
    const char *text;
};
struct proto_telemetry {
    const char *event; /* "tool.execution.stop", split at the dots */
    const struct proto_measure *measures;
    size_t measures_count;
    const char *const *metadata; /* key, value, key, value ..., NULL */
    int64_t unix_ns;
    const char *correlation_id; /* or NULL */
};
int sp__proto_put_telemetry(struct sp_buffer *out, const struct proto_telemetry *event,
                            sp_error *err) SP_MUST_CHECK;

/* TelemetryControl, one of three: a toggle, a rate, or a filter. Owned. */
struct proto_control {
    int enabled;           /* 0 or 1; -1: it is no toggle */
    double rate;           /* 0 to 1; -1: it is no rate ... */
    char *const *patterns; /* ... of the events that one of these names; none: of all */
    size_t patterns_count;
    int is_filter; /* of what is let through: what no `deny` names, and an `allow` does */
    char *const *allow; /* none: all */
    size_t allow_count;
    char *const *deny;
    size_t deny_count;
    void *memory; /* what the texts are in */
};
/* What it points to is borrowed. */
int sp__proto_put_control(struct sp_buffer *out, const struct proto_control *control,
                          sp_error *err) SP_MUST_CHECK;
int sp__proto_get_control(const uint8_t *data, size_t size, struct proto_control *ret,
                          sp_error *err) SP_MUST_CHECK;
/* A zeroed one is fine. */
void sp__proto_control_fini(struct proto_control *control);

#endif
