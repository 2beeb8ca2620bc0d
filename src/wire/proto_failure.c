/* SPDX-License-Identifier: MIT */
/*
 * A failed call as it crosses the wire, in the two forms that exist.
 *
 * Rich: a google.rpc.Status in the trailer grpc-status-details-bin. Its ErrorInfo
 * carries the stable name of our code as the reason and the facts of the sp_error as
 * metadata, one of which is the JSON of what else is known of an exception; its DebugInfo
 * the remote traceback, a line each, and the remote message. Stock peers find what they
 * look for and we find everything again. Headers are dear, so long texts are cut: what
 * fits the output buffer's limit goes, tracebacks and stderr keep their ends. JSON cannot
 * be cut: it goes whole or not at all.
 *
 * Original: ExecuteToolResponse.error_message, which is either plain text (0.6) or a
 * JSON object with type, message and traceback (0.7.4), to which we add code and details.
 * Whatever it is, reading it never fails: text that is not such an object is the message.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "google/protobuf/any.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "wire/json.h"
#include "wire/proto.h"
#include "wire/proto_internal.h"

#define INFO_URL "type.googleapis.com/google.rpc.ErrorInfo"
#define DEBUG_URL "type.googleapis.com/google.rpc.DebugInfo"
#define DOMAIN "snakepit"

enum {
    DETAILS_MAX = 40 * 1024, /* raw bytes, even for a peer that would take more */
    OVERHEAD = 1024,         /* names, numbers and the message of a status */
    LINES_MAX = 1000
};

static const char *const executed_names[] = {[SP_EXECUTED_NO] = "no",
                                             [SP_EXECUTED_UNKNOWN] = "unknown",
                                             [SP_EXECUTED_YES] = "yes"};

/* ---- texts ---- */

/* At most `max` bytes of a text, from its beginning or its end, as valid UTF-8 (foreign
 * bytes become '?'). NULL without memory. */
static char *clean_copy(const char *text, size_t max, int keep_end)
{
    size_t n = text == NULL ? 0 : strlen(text);
    if (n > max) {
        text += keep_end ? n - max : 0;
        n = max;
    }
    char *made = sp__strndup(n == 0 ? "" : text, n);
    if (made == NULL || sp__json_is_utf8(made, n)) {
        return made;
    }
    for (size_t i = 0; i < n;) {
        size_t size = 1;
        while (size < 4 && i + size < n && !sp__json_is_utf8(made + i, size)) {
            size++;
        }
        if (sp__json_is_utf8(made + i, size)) {
            i += size;
        } else {
            made[i++] = '?';
        }
    }
    return made;
}

/* Programs give it, and peers. */
static int is_object(const char *json)
{
    size_t n = json == NULL ? 0 : strlen(json);
    return sp__json_kind(json, n) == '{' &&
           sp__json_read(json, n, SP__JSON_DEPTH_MAX, NULL, NULL, NULL) == SP_OK;
}

/* ---- writing ---- */

typedef Google__Rpc__ErrorInfo Info;
typedef Google__Rpc__ErrorInfo__MetadataEntry Fact;

enum { FACTS_MAX = 11 };

struct facts {
    Fact entries[FACTS_MAX];
    Fact *pointers[FACTS_MAX];
    char numbers[FACTS_MAX][24];
    size_t count;
};

static void add_text(struct facts *facts, const char *key, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    Fact *fact = &facts->entries[facts->count];
    google__rpc__error_info__metadata_entry__init(fact);
    fact->key = sp__proto_text(key);
    fact->value = sp__proto_text(value);
    facts->pointers[facts->count++] = fact;
}

static void add_number(struct facts *facts, const char *key, long value, long usual)
{
    if (value != usual) {
        char *text = facts->numbers[facts->count];
        (void)snprintf(text, sizeof facts->numbers[0], "%ld", value);
        add_text(facts, key, text);
    }
}

/* The texts of a failure, cut to what fits. */
struct texts {
    char *message;
    char *remote_type;
    char *remote_message;
    char *trace;
    char *last_lines;
    const char *details; /* the failure's own, when it is short enough; or NULL */
};

static void free_texts(struct texts *texts)
{
    sp__free(texts->message);
    sp__free(texts->remote_type);
    sp__free(texts->remote_message);
    sp__free(texts->trace);
    sp__free(texts->last_lines);
}

static int make_texts(const sp_error *failure, size_t room, struct texts *ret)
{
    *ret = (struct texts){
        .message = clean_copy(failure->message, room / 8, 0),
        .remote_type = clean_copy(failure->remote_type, room / 8, 0),
        .remote_message = clean_copy(failure->remote_message, room / 4, 0),
        .trace = clean_copy(failure->remote_trace, room / 3, 1),
        .last_lines = clean_copy(failure->worker_stderr, room / 8, 1),
        .details = failure->remote_details,
    };
    if (ret->message == NULL || ret->remote_type == NULL ||
        ret->remote_message == NULL || ret->trace == NULL || ret->last_lines == NULL) {
        free_texts(ret);
        return 0;
    }
    size_t used = strlen(ret->message) + strlen(ret->remote_type) +
                  strlen(ret->remote_message) + strlen(ret->trace) +
                  strlen(ret->last_lines);
    if (!is_object(ret->details) || strlen(ret->details) + used > room) {
        ret->details = NULL;
    }
    return 1;
}

static int put_info(struct sp_buffer *out, const sp_error *failure,
                    const struct texts *texts, sp_error *err)
{
    struct facts facts = {.count = 0};
    int executed = failure->executed;
    if (executed < SP_EXECUTED_NO || executed > SP_EXECUTED_YES) {
        executed = SP_EXECUTED_UNKNOWN;
    }
    add_text(&facts, "executed", executed_names[executed]);
    add_number(&facts, "attempts", (long)failure->attempts, 0);
    add_number(&facts, "errno", failure->os_errno, 0);
    add_number(&facts, "worker_pid", failure->worker_pid, 0);
    add_number(&facts, "worker_exit", failure->worker_exit, -1);
    add_number(&facts, "worker_signal", failure->worker_signal, 0);
    add_number(&facts, "worker_why", failure->worker_why, 0);
    add_number(&facts, "status", failure->grpc_status, 0);
    add_text(&facts, "type", texts->remote_type);
    add_text(&facts, "stderr", texts->last_lines);
    add_text(&facts, "details", texts->details);
    Info info = GOOGLE__RPC__ERROR_INFO__INIT;
    info.reason = sp__proto_text(sp_error_name(failure->code));
    info.domain = sp__proto_text(DOMAIN);
    info.n_metadata = facts.count;
    info.metadata = facts.pointers;
    return sp__proto_pack(out, &info.base, err);
}

static int put_debug(struct sp_buffer *out, const struct texts *texts, sp_error *err)
{
    char *lines[LINES_MAX];
    Google__Rpc__DebugInfo debug = GOOGLE__RPC__DEBUG_INFO__INIT;
    debug.detail = texts->remote_message;
    debug.stack_entries = lines;
    char *line = texts->trace;
    while (line[0] != '\0' && debug.n_stack_entries < LINES_MAX) {
        lines[debug.n_stack_entries++] = line;
        char *end = strchr(line, '\n');
        if (end == NULL || debug.n_stack_entries == LINES_MAX) {
            break; /* a last entry may hold several lines */
        }
        *end = '\0';
        line = end + 1;
        if (line[0] == '\0') {
            /* The text ended in a newline: an empty entry says so to the reader. */
            if (debug.n_stack_entries < LINES_MAX) {
                lines[debug.n_stack_entries++] = line;
            }
        }
    }
    return sp__proto_pack(out, &debug.base, err);
}

int sp__proto_put_failure(struct sp_buffer *out, const sp_error *failure, sp_error *err)
{
    size_t room = out->max - out->size;
    if (room > DETAILS_MAX) {
        room = DETAILS_MAX;
    }
    room = room > OVERHEAD ? room - OVERHEAD : 0;
    struct texts texts;
    if (!make_texts(failure, room, &texts)) {
        return sp__fail(err, SP_ERR_NOMEM, "no memory for an error's details");
    }
    struct sp_buffer info;
    struct sp_buffer debug;
    sp__buf_init(&info, DETAILS_MAX);
    sp__buf_init(&debug, DETAILS_MAX);
    int rc = put_info(&info, failure, &texts, err);
    if (rc == SP_OK) {
        rc = put_debug(&debug, &texts, err);
    }
    if (rc == SP_OK) {
        Google__Protobuf__Any anys[2] = {GOOGLE__PROTOBUF__ANY__INIT,
                                         GOOGLE__PROTOBUF__ANY__INIT};
        Google__Protobuf__Any *details[2] = {&anys[0], &anys[1]};
        anys[0].type_url = sp__proto_text(INFO_URL);
        anys[0].value = (ProtobufCBinaryData){.len = info.size, .data = info.data};
        anys[1].type_url = sp__proto_text(DEBUG_URL);
        anys[1].value = (ProtobufCBinaryData){.len = debug.size, .data = debug.data};
        Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
        status.code = sp_error_grpc_status(failure->code);
        status.message = texts.message;
        status.n_details = debug.size > 0 ? 2 : 1;
        status.details = details;
        rc = sp__proto_pack(out, &status.base, err);
    }
    sp__buf_fini(&info);
    sp__buf_fini(&debug);
    free_texts(&texts);
    return rc;
}

/* ---- reading ---- */

static const Google__Protobuf__Any *find_detail(const Google__Rpc__Status *status,
                                                const char *name)
{
    for (size_t i = 0; i < status->n_details; i++) {
        const char *slash = strrchr(status->details[i]->type_url, '/');
        if (slash != NULL && strcmp(slash + 1, name) == 0) {
            return status->details[i];
        }
    }
    return NULL;
}

static const char *find_fact(const Info *info, const char *key)
{
    for (size_t i = 0; i < info->n_metadata; i++) {
        if (strcmp(info->metadata[i]->key, key) == 0) {
            return info->metadata[i]->value;
        }
    }
    return NULL;
}

static int find_number(const Info *info, const char *key, int usual)
{
    const char *text = find_fact(info, key);
    if (text == NULL) {
        return usual;
    }
    char *end;
    long value = strtol(text, &end, 10);
    return *end == '\0' && value >= INT32_MIN && value <= INT32_MAX ? (int)value
                                                                    : usual;
}

static void set_message(sp_error *ret, const char *message, size_t n)
{
    (void)sp__fail(ret, ret->code, "%.*s",
                   n < SP_ERROR_MESSAGE_MAX ? (int)n : SP_ERROR_MESSAGE_MAX, message);
}

static void get_facts(const Info *info, sp_error *ret)
{
    const char *executed = find_fact(info, "executed");
    ret->executed = SP_EXECUTED_UNKNOWN;
    for (int i = SP_EXECUTED_NO; executed != NULL && i <= SP_EXECUTED_YES; i++) {
        if (strcmp(executed, executed_names[i]) == 0) {
            ret->executed = i;
        }
    }
    ret->attempts = (uint32_t)find_number(info, "attempts", 0);
    ret->os_errno = find_number(info, "errno", 0);
    ret->worker_pid = find_number(info, "worker_pid", 0);
    ret->worker_exit = find_number(info, "worker_exit", -1);
    ret->worker_signal = find_number(info, "worker_signal", 0);
    ret->worker_why = find_number(info, "worker_why", 0);
    ret->grpc_status = find_number(info, "status", 0);
    ret->remote_type = sp__strdup(find_fact(info, "type"));
    ret->worker_stderr = sp__strdup(find_fact(info, "stderr"));
    const char *details = find_fact(info, "details");
    if (is_object(details)) {
        ret->remote_details = sp__strdup(details);
    }
}

/* The entries, a line each. */
static char *join_lines(const Google__Rpc__DebugInfo *debug)
{
    struct sp_buffer text;
    sp__buf_init(&text, 16 << 20);
    for (size_t i = 0; i < debug->n_stack_entries; i++) {
        const char *line = debug->stack_entries[i];
        if ((i > 0 && sp__buf_append(&text, "\n", 1, NULL) < 0) ||
            sp__buf_append(&text, line, strlen(line), NULL) < 0) {
            sp__buf_fini(&text);
            return NULL;
        }
    }
    if (text.size == 0 || sp__buf_append(&text, "", 1, NULL) < 0) {
        sp__buf_fini(&text);
        return NULL;
    }
    return (char *)text.data;
}

static void get_debug(const Google__Rpc__Status *status, sp_error *ret)
{
    const Google__Protobuf__Any *any = find_detail(status, "google.rpc.DebugInfo");
    if (any == NULL) {
        return;
    }
    Google__Rpc__DebugInfo *debug = (Google__Rpc__DebugInfo *)sp__proto_unpack(
        &google__rpc__debug_info__descriptor, any->value.data, any->value.len, NULL);
    if (debug == NULL) {
        return;
    }
    if (debug->detail[0] != '\0') {
        ret->remote_message = sp__strdup(debug->detail);
    }
    ret->remote_trace = join_lines(debug);
    sp__proto_unpack_free(&debug->base);
}

/* An exception's message begins with its type, whichever way it came. */
static void headline(sp_error *ret)
{
    if (ret->code != SP_ERR_REMOTE || ret->remote_type == NULL ||
        ret->remote_message == NULL) {
        return;
    }
    (void)snprintf(ret->message, sizeof ret->message, "%s: %s", ret->remote_type,
                   ret->remote_message);
    for (char *c = ret->message; *c != '\0'; c++) {
        *c = (unsigned char)*c < ' ' ? ' ' : *c; /* one line, as everywhere */
    }
}

int sp__proto_get_failure(const uint8_t *details, size_t size, sp_error *ret)
{
    int found = 0;
    Info *info = NULL;
    if (size == 0) {
        return 0;
    }
    Google__Rpc__Status *status = (Google__Rpc__Status *)sp__proto_unpack(
        &google__rpc__status__descriptor, details, size, NULL);
    if (status == NULL) {
        return 0;
    }
    const Google__Protobuf__Any *any = find_detail(status, "google.rpc.ErrorInfo");
    if (any != NULL) {
        info = (Info *)sp__proto_unpack(&google__rpc__error_info__descriptor,
                                        any->value.data, any->value.len, NULL);
    }
    int code = info != NULL && strcmp(info->domain, DOMAIN) == 0
                   ? sp_error_by_name(info->reason)
                   : 0;
    if (code != 0) {
        found = 1;
        sp_error_clear(ret);
        ret->code = code;
        set_message(ret, status->message, strlen(status->message));
        get_facts(info, ret);
        get_debug(status, ret);
        headline(ret);
    }
    if (info != NULL) {
        sp__proto_unpack_free(&info->base);
    }
    sp__proto_unpack_free(&status->base);
    return found;
}

/* ---- the original's error text ---- */

/* A JSON string as allocated text; NULL when it is no string, or without memory. */
static char *member_text(const struct json_member *member)
{
    if (sp__json_kind(member->value, member->value_size) != '"') {
        return NULL;
    }
    size_t n = member->value_size - 2;
    char *text = sp__malloc(n + 1);
    if (text != NULL) {
        text[sp__json_unescape(member->value + 1, n, text)] = '\0';
    }
    return text;
}

static int is_key(const struct json_member *member, const char *name)
{
    return member->key_size == strlen(name) &&
           memcmp(member->key, name, member->key_size) == 0;
}

static void keep_text(char **place, const struct json_member *member)
{
    char *text = member_text(member);
    if (text != NULL) {
        sp__free(*place);
        *place = text;
    }
}

/* A second one of the same name replaces the first. */
static void keep_object(char **place, const struct json_member *member)
{
    if (sp__json_kind(member->value, member->value_size) == '{') {
        sp__free(*place);
        *place = sp__strndup(member->value, member->value_size);
    }
}

static void get_members(sp_bytes text, sp_error *ret)
{
    size_t at = 0;
    struct json_member member;
    while (sp__json_next_member(text.data, text.size, &at, &member)) {
        if (is_key(&member, "type")) {
            keep_text(&ret->remote_type, &member);
        } else if (is_key(&member, "message")) {
            keep_text(&ret->remote_message, &member);
        } else if (is_key(&member, "traceback")) {
            keep_text(&ret->remote_trace, &member);
        } else if (is_key(&member, "details")) {
            keep_object(&ret->remote_details, &member);
        } else if (is_key(&member, "code")) {
            char *name = member_text(&member);
            int code = sp_error_by_name(name);
            ret->code = code != 0 ? code : ret->code;
            sp__free(name);
        }
    }
}

void sp__proto_get_error_text(sp_bytes text, sp_error *ret)
{
    sp_error read = {.code = SP_ERR_REMOTE};
    if (sp__json_kind(text.data, text.size) == '{' &&
        sp__json_read(text.data, text.size, SP__JSON_DEPTH_MAX, NULL, NULL, NULL) ==
            0) {
        get_members(text, &read);
        if (read.remote_type == NULL || read.remote_message == NULL) {
            sp_error_clear(&read); /* some other object: it is the message itself */
            read.code = SP_ERR_REMOTE;
        }
    }
    if (read.remote_message == NULL) {
        read.remote_message = text.size == 0 ? NULL : sp__strndup(text.data, text.size);
    }
    const char *message = read.remote_message != NULL && read.remote_message[0] != '\0'
                              ? read.remote_message
                              : "the tool failed without a message";
    if (read.remote_type != NULL && read.remote_type[0] != '\0') {
        (void)sp__fail(ret, read.code, "%s: %s", read.remote_type, message);
    } else {
        (void)sp__fail(ret, read.code, "%s", message);
    }
    if (ret == NULL) {
        sp_error_clear(&read);
        return;
    }
    ret->executed = read.code == SP_ERR_REMOTE ? SP_EXECUTED_YES : SP_EXECUTED_UNKNOWN;
    ret->remote_type = read.remote_type;
    ret->remote_message = read.remote_message;
    ret->remote_trace = read.remote_trace;
    ret->remote_details = read.remote_details;
}

static int put_member(struct sp_buffer *out, const char *key, const char *value,
                      sp_error *err)
{
    int rc = sp__buf_printf(
        out, err, "%s\"%s\": ", out->data[out->size - 1] == '{' ? "" : ", ", key);
    if (rc < 0) {
        return rc;
    }
    return sp__json_put_string(out, value, strlen(value), err);
}

int sp__proto_put_error_text(struct sp_buffer *out, const sp_error *failure,
                             sp_error *err)
{
    size_t start = out->size;
    int rc = sp__buf_append(out, "{", 1, err);
    if (rc == SP_OK) {
        rc = put_member(out, "type",
                        failure->remote_type != NULL ? failure->remote_type
                                                     : sp_error_name(failure->code),
                        err);
    }
    if (rc == SP_OK) {
        rc = put_member(out, "message",
                        failure->remote_message != NULL ? failure->remote_message
                                                        : failure->message,
                        err);
    }
    if (rc == SP_OK && failure->remote_trace != NULL) {
        rc = put_member(out, "traceback", failure->remote_trace, err);
    }
    if (rc == SP_OK && is_object(failure->remote_details)) {
        rc = sp__buf_printf(out, err, ", \"details\": %s", failure->remote_details);
    }
    if (rc == SP_OK && failure->code != SP_ERR_REMOTE) {
        rc = put_member(out, "code", sp_error_name(failure->code), err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(out, "}", 1, err);
    }
    if (rc != SP_OK) {
        out->size = start;
    }
    return rc;
}
