/* SPDX-License-Identifier: MIT */
/*
 * The other messages, through the code that protobuf-c generates: announcing a worker,
 * pings, health.
 *
 * Writing fills protobuf-c's structs with borrowed pointers and packs them. Reading
 * unpacks, copies what the plain structs own, and frees. The smallest messages are read
 * field by field instead, because their readers want to borrow.
 *
 * protobuf-c allocates for every element of a repeated field, so what it is given to
 * unpack is limited in size, and all its memory comes from the library's allocator.
 */
#include <assert.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "google/protobuf/any.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "snakepit/bridge.pb-c.h"
#include "wire/proto.h"
#include "wire/proto_internal.h"

enum { UNPACK_MAX = 16 << 20, NS_PER_S = 1000000000 };

/* ---- protobuf-c ---- */

/* user_data: an int that remembers that memory was short, or NULL. */
static void *alloc_cb(void *user_data, size_t size)
{
    void *memory = sp__malloc(size);
    if (memory == NULL && user_data != NULL) {
        *(int *)user_data = 1;
    }
    return memory;
}

static void free_cb(void *user_data, void *memory)
{
    sp__free(memory);
}

int sp__proto_pack(struct sp_buffer *out, const ProtobufCMessage *message,
                   sp_error *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    int rc = sp__buf_reserve(out, size, err);
    if (rc < 0 || size == 0) {
        return rc;
    }
    size_t packed = protobuf_c_message_pack(message, out->data + out->size);
    assert(packed == size);
    out->size += packed;
    return SP_OK;
}

ProtobufCMessage *sp__proto_unpack(const ProtobufCMessageDescriptor *descriptor,
                                   const uint8_t *data, size_t size, sp_error *err)
{
    static const uint8_t nothing;
    if (size > UNPACK_MAX) {
        (void)sp__fail(err, SP_ERR_TOO_BIG, "a %s of %zu bytes is larger than %d",
                       descriptor->short_name, size, (int)UNPACK_MAX);
        return NULL;
    }
    int no_memory = 0;
    ProtobufCAllocator allocator = {
        .alloc = alloc_cb, .free = free_cb, .allocator_data = &no_memory};
    ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, &allocator, size,
                                                          size == 0 ? &nothing : data);
    if (message == NULL && no_memory) {
        (void)sp__fail(err, SP_ERR_NOMEM, "no memory for a %s", descriptor->short_name);
    } else if (message == NULL) {
        (void)sp__proto_malformed(err, descriptor->short_name);
    }
    return message;
}

void sp__proto_unpack_free(ProtobufCMessage *message)
{
    static ProtobufCAllocator allocator = {.alloc = alloc_cb, .free = free_cb};
    protobuf_c_message_free_unpacked(message, &allocator);
}

/* ---- AnnounceWorker: writing ---- */

typedef Snakepit__Bridge__AnnounceWorkerRequest Announce;
typedef Snakepit__Bridge__ToolRegistration Tool;
typedef Snakepit__Bridge__ParameterSpec Param;

/* All the structs of one announcement, in one allocation. */
struct announce_room {
    Tool **tools;
    Param **params;
    Google__Protobuf__Any *defaults;
};

static int make_room(const struct proto_announce *announce, struct announce_room *ret)
{
    size_t tools = announce->tools_count;
    size_t params = 0;
    for (size_t i = 0; i < tools; i++) {
        params += announce->tools[i].params_count;
    }
    size_t size = tools * (sizeof(Tool *) + sizeof(Tool)) +
                  params * (sizeof(Param *) + sizeof(Param) + sizeof *ret->defaults);
    char *memory = sp__malloc(size);
    if (memory == NULL) {
        return 0;
    }
    /* Pointers first; every one of these types is aligned as a pointer is. */
    ret->tools = (Tool **)(void *)memory;
    ret->params = (Param **)(void *)(ret->tools + tools);
    Tool *tool = (Tool *)(void *)(ret->params + params);
    Param *param = (Param *)(void *)(tool + tools);
    ret->defaults = (Google__Protobuf__Any *)(void *)(param + params);
    for (size_t i = 0; i < tools; i++) {
        snakepit__bridge__tool_registration__init(&tool[i]);
        ret->tools[i] = &tool[i];
    }
    for (size_t i = 0; i < params; i++) {
        snakepit__bridge__parameter_spec__init(&param[i]);
        google__protobuf__any__init(&ret->defaults[i]);
        ret->params[i] = &param[i];
    }
    return 1;
}

static void fill_param(Param *to, Google__Protobuf__Any *any,
                       const struct proto_param *from)
{
    to->name = sp__proto_text(from->name);
    to->type = sp__proto_text(from->type);
    to->description = sp__proto_text(from->description);
    to->required = from->default_json == NULL;
    if (from->default_json != NULL) {
        any->type_url = sp__proto_text(SP__STRING_VALUE_URL);
        any->value.data = (uint8_t *)from->default_json;
        any->value.len = strlen(from->default_json);
        to->default_value = any;
    }
}

int sp__proto_put_announce(struct sp_buffer *out, const struct proto_announce *announce,
                           sp_error *err)
{
    struct announce_room room;
    if (!make_room(announce, &room)) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an announcement");
    }
    size_t next = 0;
    for (size_t i = 0; i < announce->tools_count; i++) {
        const struct proto_tool *tool = &announce->tools[i];
        room.tools[i]->name = sp__proto_text(tool->name);
        room.tools[i]->description = sp__proto_text(tool->description);
        room.tools[i]->supports_streaming = tool->streaming;
        room.tools[i]->idempotent = tool->idempotent;
        room.tools[i]->n_parameters = tool->params_count;
        room.tools[i]->parameters = &room.params[next];
        for (size_t k = 0; k < tool->params_count; k++, next++) {
            fill_param(room.params[next], &room.defaults[next], &tool->params[k]);
        }
    }
    Announce message = SNAKEPIT__BRIDGE__ANNOUNCE_WORKER_REQUEST__INIT;
    message.protocol_version = announce->protocol_version;
    message.worker_id = sp__proto_text(announce->worker_id);
    message.runtime = sp__proto_text(announce->runtime);
    message.pid = announce->pid;
    message.capacity = announce->capacity;
    message.accepts_any = announce->accepts_any;
    message.failed = announce->failed;
    message.permanent = announce->permanent;
    message.error_type = sp__proto_text(announce->error_type);
    message.error_message = sp__proto_text(announce->error_message);
    message.error_trace = sp__proto_text(announce->error_trace);
    message.opened_us = announce->opened_us;
    message.announced_us = announce->announced_us;
    message.n_tools = announce->tools_count;
    message.tools = room.tools;
    int rc = sp__proto_pack(out, &message.base, err);
    sp__free(room.tools);
    return rc;
}

/* ---- AnnounceWorker: reading ---- */

/* Copy a text; an absent one becomes "". Counts failures in *failed. */
static char *copy(const char *text, int *failed)
{
    char *made = sp__strdup(text == NULL ? "" : text);
    *failed |= made == NULL;
    return made;
}

/* The same, but an empty one becomes NULL. */
static char *copy_or_null(const char *text, int *failed)
{
    return text == NULL || text[0] == '\0' ? NULL : copy(text, failed);
}

static void get_param(const Param *from, struct proto_param *to, int *failed)
{
    to->name = copy(from->name, failed);
    to->type = copy(from->type, failed);
    to->description = copy(from->description, failed);
    const Google__Protobuf__Any *any = from->default_value;
    if (from->required) {
        to->default_json = NULL;
    } else if (any != NULL && any->value.len > 0) {
        to->default_json = sp__strndup((const char *)any->value.data, any->value.len);
        *failed |= to->default_json == NULL;
    } else {
        to->default_json = copy("null", failed); /* optional, without saying what */
    }
}

static void get_tool(const Tool *from, struct proto_tool *to, int *failed)
{
    to->name = copy(from->name, failed);
    to->description = copy(from->description, failed);
    to->streaming = from->supports_streaming;
    to->idempotent = from->idempotent;
    if (from->n_parameters == 0) {
        return;
    }
    to->params = sp__calloc(from->n_parameters, sizeof to->params[0]);
    if (to->params == NULL) {
        *failed = 1;
        return;
    }
    to->params_count = from->n_parameters;
    for (size_t i = 0; i < from->n_parameters; i++) {
        get_param(from->parameters[i], &to->params[i], failed);
    }
}

int sp__proto_get_announce(const uint8_t *data, size_t size, struct proto_announce *ret,
                           sp_error *err)
{
    Announce *message = (Announce *)sp__proto_unpack(
        &snakepit__bridge__announce_worker_request__descriptor, data, size, err);
    if (message == NULL) {
        return err != NULL ? err->code : SP_ERR_PROTOCOL;
    }
    int failed = 0;
    struct proto_announce announce = {
        .protocol_version = message->protocol_version,
        .worker_id = copy(message->worker_id, &failed),
        .runtime = copy(message->runtime, &failed),
        .pid = message->pid,
        .capacity = message->capacity,
        .accepts_any = message->accepts_any,
        .failed = message->failed,
        .permanent = message->permanent,
        .error_type = copy_or_null(message->error_type, &failed),
        .error_message = copy_or_null(message->error_message, &failed),
        .error_trace = copy_or_null(message->error_trace, &failed),
        .opened_us = message->opened_us,
        .announced_us = message->announced_us,
    };
    if (message->n_tools > 0) {
        announce.tools = sp__calloc(message->n_tools, sizeof announce.tools[0]);
        failed |= announce.tools == NULL;
    }
    if (announce.tools != NULL) {
        announce.tools_count = message->n_tools;
        for (size_t i = 0; i < message->n_tools; i++) {
            get_tool(message->tools[i], &announce.tools[i], &failed);
        }
    }
    sp__proto_unpack_free(&message->base);
    if (failed) {
        sp__proto_announce_fini(&announce);
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an announcement");
    }
    *ret = announce;
    return SP_OK;
}

void sp__proto_tool_fini(struct proto_tool *tool)
{
    for (size_t i = 0; i < tool->params_count; i++) {
        sp__free(tool->params[i].name);
        sp__free(tool->params[i].type);
        sp__free(tool->params[i].description);
        sp__free(tool->params[i].default_json);
    }
    sp__free(tool->params);
    sp__free(tool->name);
    sp__free(tool->description);
    *tool = (struct proto_tool){0};
}

void sp__proto_announce_fini(struct proto_announce *announce)
{
    for (size_t i = 0; i < announce->tools_count; i++) {
        sp__proto_tool_fini(&announce->tools[i]);
    }
    sp__free(announce->tools);
    sp__free(announce->worker_id);
    sp__free(announce->runtime);
    sp__free(announce->error_type);
    sp__free(announce->error_message);
    sp__free(announce->error_trace);
    *announce = (struct proto_announce){0};
}

int sp__proto_put_announce_reply(struct sp_buffer *out, int accepted,
                                 const char *message, sp_error *err)
{
    Snakepit__Bridge__AnnounceWorkerResponse reply =
        SNAKEPIT__BRIDGE__ANNOUNCE_WORKER_RESPONSE__INIT;
    reply.accepted = accepted;
    reply.message = sp__proto_text(message);
    return sp__proto_pack(out, &reply.base, err);
}

int sp__proto_get_announce_reply(const uint8_t *data, size_t size, int *ret_accepted,
                                 char **ret_message, sp_error *err)
{
    Snakepit__Bridge__AnnounceWorkerResponse *reply =
        (Snakepit__Bridge__AnnounceWorkerResponse *)sp__proto_unpack(
            &snakepit__bridge__announce_worker_response__descriptor, data, size, err);
    if (reply == NULL) {
        return err != NULL ? err->code : SP_ERR_PROTOCOL;
    }
    int failed = 0;
    char *message = copy(reply->message, &failed);
    int accepted = reply->accepted;
    sp__proto_unpack_free(&reply->base);
    if (failed) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an announcement's answer");
    }
    *ret_accepted = accepted;
    *ret_message = message;
    return SP_OK;
}

/* ---- ping and health ---- */

int sp__proto_put_ping(struct sp_buffer *out, const char *message, sp_error *err)
{
    Snakepit__Bridge__PingRequest ping = SNAKEPIT__BRIDGE__PING_REQUEST__INIT;
    ping.message = sp__proto_text(message);
    return sp__proto_pack(out, &ping.base, err);
}

int sp__proto_put_pong(struct sp_buffer *out, const char *message, int64_t unix_ns,
                       sp_error *err)
{
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    time.seconds = unix_ns / NS_PER_S;
    time.nanos = (int32_t)(unix_ns % NS_PER_S);
    Snakepit__Bridge__PingResponse pong = SNAKEPIT__BRIDGE__PING_RESPONSE__INIT;
    pong.message = sp__proto_text(message);
    pong.server_time = &time;
    return sp__proto_pack(out, &pong.base, err);
}

/* A message of which only field 1 matters. `text` or `number` may be NULL. */
static int get_first(const uint8_t *data, size_t size, sp_bytes *text, uint64_t *number)
{
    static const uint8_t nothing;
    const uint8_t *start = size == 0 ? &nothing : data;
    struct proto_reader reader = {.at = start, .end = start + size};
    struct proto_field field;
    int rc;
    while ((rc = sp__proto_next(&reader, &field)) > 0) {
        if (field.number == 1 && text != NULL && field.type == PROTO_BYTES) {
            *text = field.bytes;
        } else if (field.number == 1 && number != NULL && field.type == PROTO_VARINT) {
            *number = field.varint;
        }
    }
    return rc;
}

int sp__proto_get_ping(const uint8_t *data, size_t size, sp_bytes *ret_message,
                       sp_error *err)
{
    sp_bytes message = {0};
    if (get_first(data, size, &message, NULL) < 0) {
        return sp__proto_malformed(err, "PingRequest");
    }
    *ret_message = message;
    return SP_OK;
}

int sp__proto_put_health(struct sp_buffer *out, int status, sp_error *err)
{
    Grpc__Health__V1__HealthCheckResponse response =
        GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    return sp__proto_pack(out, &response.base, err);
}

int sp__proto_get_health(const uint8_t *data, size_t size, int *ret_status,
                         sp_error *err)
{
    uint64_t status = 0;
    if (get_first(data, size, NULL, &status) < 0) {
        return sp__proto_malformed(err, "HealthCheckResponse");
    }
    *ret_status = status <= 3 ? (int)status : 0; /* later values: unknown */
    return SP_OK;
}

int sp__proto_get_health_request(const uint8_t *data, size_t size,
                                 sp_bytes *ret_service, sp_error *err)
{
    sp_bytes service = {0};
    if (get_first(data, size, &service, NULL) < 0) {
        return sp__proto_malformed(err, "HealthCheckRequest");
    }
    *ret_service = service;
    return SP_OK;
}
