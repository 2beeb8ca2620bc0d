/* SPDX-License-Identifier: MIT */
/*
 * Questions about tools: calls, lists and streams; and how every question is put.
 *
 * JavaScript asks by name, with texts, numbers and binaries; the answer is JSON text that
 * is put together here, on the asker's thread. Streams and watches are opened by one
 * question, read by others, and closed on the thread that runs JavaScript, when none of
 * those is open any more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge.h"
#include "snakepit/worker_state.h"

/* ---- the answer ---- */

void sp__put(struct question *question, const void *bytes, size_t size)
{
    size_t need = question->json_size + size;
    if (need > question->json_room) {
        size_t room = need < 128 ? 256 : need * 2;
        char *json = realloc(question->json, room);
        if (json == NULL) {
            question->code =
                sp_error_set(&question->err, SP_ERR_NOMEM, "no memory for the answer");
            return;
        }
        question->json = json;
        question->json_room = room;
    }
    if (size > 0) {
        memcpy(question->json + question->json_size, bytes, size);
    }
    question->json_size = need;
}

void sp__put_raw(struct question *question, const char *json)
{
    json = json != NULL && *json != '\0' ? json : "null";
    sp__put(question, json, strlen(json));
}

void sp__put_string(struct question *question, const char *text)
{
    if (text == NULL) {
        sp__put_raw(question, NULL);
        return;
    }
    sp__put(question, "\"", 1);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\' || (unsigned char)*at < 0x20) {
            char escape[8];
            int n = snprintf(escape, sizeof escape, "\\u%04x", (unsigned)*at);
            sp__put(question, escape, (size_t)n);
        } else {
            sp__put(question, at, 1);
        }
    }
    sp__put(question, "\"", 1);
}

void sp__put_number(struct question *question, uint64_t number)
{
    char text[24];
    int n = number == SP_UNLIMITED
                ? snprintf(text, sizeof text, "null")
                : snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    sp__put(question, text, (size_t)n);
}

void sp__put_field(struct question *question, const char *name)
{
    if (question->json_size > 0 && question->json[question->json_size - 1] != '{') {
        sp__put(question, ",", 1);
    }
    sp__put_string(question, name);
    sp__put(question, ":", 1);
}

const char *sp__text_at(const struct question *question, size_t i)
{
    return i < question->texts_count ? question->texts[i] : NULL;
}

static sp_bytes bytes_at(const struct question *question, size_t i)
{
    const char *text = sp__text_at(question, i);
    return (sp_bytes){text, text != NULL ? strlen(text) : 0};
}

/* ---- tools ---- */

/* The texts are: tool, arguments, pool. The numbers: timeout in milliseconds. */
static sp_host_call_options options_of(const struct question *question,
                                       sp_binary *binaries)
{
    for (size_t i = 0; i < question->parts_count; i++) {
        const struct part *part = &question->parts[i];
        binaries[i] =
            (sp_binary){.name = part->name, .value = {part->data, part->size}};
    }
    return (sp_host_call_options){.size = sizeof(sp_host_call_options),
                                  .pool = sp__text_at(question, 2),
                                  .timeout_ms = (uint64_t)question->numbers[0],
                                  .binaries = binaries,
                                  .binaries_count = question->parts_count};
}

static sp_binary *new_binaries(struct question *question)
{
    sp_binary *binaries = calloc(question->parts_count + 1, sizeof *binaries);
    if (binaries == NULL) {
        question->code =
            sp_error_set(&question->err, SP_ERR_NOMEM, "no memory for the arguments");
    }
    return binaries;
}

static void put_binary(struct question *question, sp_bytes binary)
{
    if (binary.size > 0) {
        question->binary = malloc(binary.size);
        if (question->binary == NULL) {
            question->code =
                sp_error_set(&question->err, SP_ERR_NOMEM, "no memory for the answer");
            return;
        }
        memcpy(question->binary, binary.data, binary.size);
        question->binary_size = binary.size;
    }
}

static int ask_call(struct question *question)
{
    sp_host_result result;
    sp_binary *binaries = new_binaries(question);
    if (binaries == NULL) {
        return question->code;
    }
    sp_host_call_options options = options_of(question, binaries);
    int rc = sp_job_call_host(question->job, sp__text_at(question, 0),
                              bytes_at(question, 1), &options, &result, &question->err);
    free(binaries);
    if (rc == SP_OK) {
        sp__put(question, result.json.data, result.json.size);
        put_binary(question, result.binary);
        sp_host_result_clear(&result);
    }
    return rc;
}

static void put_tool(const sp_job_host_tool *tool, void *user_data)
{
    struct question *question = user_data;
    sp__put(question, question->json_size > 1 ? ",{" : "{",
            question->json_size > 1 ? 2 : 1);
    sp__put_field(question, "name");
    sp__put_string(question, tool->name);
    sp__put_field(question, "description");
    sp__put_string(question, tool->description);
    sp__put_field(question, "inputSchema");
    sp__put_raw(question, tool->input_schema);
    sp__put_field(question, "metadata");
    sp__put_raw(question, tool->metadata);
    sp__put_field(question, "streaming");
    sp__put_raw(question, tool->is_streaming ? "true" : "false");
    sp__put(question, "}", 1);
}

static int ask_tools(struct question *question)
{
    sp__put(question, "[", 1);
    int rc = sp_job_host_tools(question->job, put_tool, question, &question->err);
    sp__put(question, "]", 1);
    return rc;
}

static int ask_stream(struct question *question)
{
    sp_host_stream *stream = NULL;
    sp_binary *binaries = new_binaries(question);
    if (binaries == NULL) {
        return question->code;
    }
    sp_host_call_options options = options_of(question, binaries);
    int rc = sp_job_host_stream_open(question->job, sp__text_at(question, 0),
                                     bytes_at(question, 1), &options, &stream,
                                     &question->err);
    free(binaries);
    question->opened = stream;
    return rc;
}

static int ask_stream_next(struct question *question)
{
    sp_bytes chunk;
    sp_bytes binary;
    int rc = sp_host_stream_next(question->place, SP_UNLIMITED, &chunk, &binary,
                                 &question->err);
    if (rc > 0) {
        question->is_chunk = 1;
        sp__put(question, chunk.data, chunk.size);
        put_binary(question, binary);
    }
    return rc;
}

static napi_value close_stream(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    void *stream = NULL;
    (void)sp__args(env, info, args, 1);
    if (napi_get_value_external(env, args[0], &stream) == napi_ok &&
        sp__node.worker != NULL) {
        sp_host_stream_close(stream);
    }
    return NULL;
}

static napi_value close_watch(napi_env env, napi_callback_info info)
{
    napi_value args[1];
    void *watch = NULL;
    (void)sp__args(env, info, args, 1);
    if (napi_get_value_external(env, args[0], &watch) == napi_ok &&
        sp__node.worker != NULL) {
        sp_job_watch_close(watch);
    }
    return NULL;
}

/* ---- putting a question ---- */

static int (*question_named(const char *name))(struct question *question)
{
    static const struct {
        const char *name;
        int (*ask)(struct question *question);
    } questions[] = {{"call", ask_call},
                     {"tools", ask_tools},
                     {"stream", ask_stream},
                     {"streamNext", ask_stream_next}};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (strcmp(questions[i].name, name) == 0) {
            return questions[i].ask;
        }
    }
    return sp__state_question(name);
}

/* An array of strings, null and undefined. */
static int take_texts(napi_env env, napi_value list, struct question *question)
{
    uint32_t count = 0;
    if (napi_get_array_length(env, list, &count) != napi_ok) {
        return 1; /* none */
    }
    question->texts = calloc(count + 1, sizeof *question->texts);
    for (uint32_t i = 0; question->texts != NULL && i < count; i++) {
        napi_value value = NULL;
        (void)napi_get_element(env, list, i, &value);
        question->texts[i] = sp__copy_text(env, value);
        question->texts_count = i + 1;
    }
    return question->texts != NULL;
}

static void take_numbers(napi_env env, napi_value list, struct question *question)
{
    uint32_t count = 0;
    (void)napi_get_array_length(env, list, &count);
    for (uint32_t i = 0; i < count && i < 3; i++) {
        napi_value value = NULL;
        (void)napi_get_element(env, list, i, &value);
        (void)napi_get_value_double(env, value, &question->numbers[i]);
    }
}

/* [name, Buffer, name, Buffer ...] */
static int take_parts(napi_env env, napi_value list, struct question *question)
{
    uint32_t count = 0;
    if (napi_get_array_length(env, list, &count) != napi_ok || count == 0) {
        return 1;
    }
    question->parts = calloc(count / 2 + 1, sizeof *question->parts);
    for (uint32_t i = 0; question->parts != NULL && i + 1 < count; i += 2) {
        struct part *part = &question->parts[question->parts_count++];
        napi_value value = NULL;
        (void)napi_get_element(env, list, i, &value);
        part->name = sp__copy_text(env, value);
        (void)napi_get_element(env, list, i + 1, &value);
        sp_bytes bytes = sp__buffer_of(env, value);
        part->data = malloc(bytes.size + 1);
        part->size = bytes.size;
        if (part->name == NULL || part->data == NULL) {
            return 0;
        }
        memcpy(part->data, bytes.size > 0 ? bytes.data : "", bytes.size);
    }
    return question->parts != NULL;
}

/* ask(id, name, handle, texts, numbers, parts, place): an answer will come by its id. */
static napi_value ask(napi_env env, napi_callback_info info)
{
    napi_value args[7];
    sp_error err = {0};
    (void)sp__args(env, info, args, 7);
    sp_job *job = sp__call_job(env, args[2]);
    if (job == NULL) {
        return NULL;
    }
    struct question *question = calloc(1, sizeof *question);
    char *name = sp__copy_text(env, args[1]);
    if (question == NULL || name == NULL) {
        free(question);
        free(name);
        return sp__throw_text(env, "SP-NOMEM", "no memory for a question");
    }
    (void)napi_get_value_double(env, args[0], &question->id);
    (void)napi_get_value_external(env, args[6], &question->place);
    question->job = job;
    question->ask = question_named(name);
    free(name);
    take_numbers(env, args[4], question);
    if (question->ask == NULL || !take_texts(env, args[3], question) ||
        !take_parts(env, args[5], question)) {
        sp__question_free(question);
        return sp__throw_text(env, "SP-NOMEM", "no memory for a question");
    }
    if (sp__askers_ask(question, &err) < 0) {
        sp__question_free(question);
        return sp__throw(env, &err);
    }
    return NULL;
}

napi_value sp__init_questions(napi_env env, napi_value exports)
{
    const napi_property_descriptor functions[] = {
        {"ask", NULL, ask, NULL, NULL, NULL, napi_default, NULL},
        {"closeStream", NULL, close_stream, NULL, NULL, NULL, napi_default, NULL},
        {"closeWatch", NULL, close_watch, NULL, NULL, NULL, napi_default, NULL},
    };
    (void)napi_define_properties(env, exports, sizeof functions / sizeof functions[0],
                                 functions);
    return exports;
}
