/* SPDX-License-Identifier: MIT */
/*
 * The lines in both directions.
 *
 * Replies are looked at without building anything: the value of "result" or "chunk" goes
 * on as the text it is.
 */
#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "wire/json.h"

/* ---- requests ---- */

/* JSON on one line: its line ends are white space. */
static int put_flat(struct sp_buffer *out, sp_bytes json, sp_error *err)
{
    size_t start = out->size;
    int rc = sp__buf_append(out, json.data, json.size, err);
    for (size_t i = start; rc == SP_OK && i < out->size; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r') {
            out->data[i] = ' ';
        }
    }
    return rc;
}

static int put_text(struct sp_buffer *out, const char *name, const char *text,
                    sp_error *err)
{
    int rc = sp__buf_printf(out, err, ",\"%s\":", name);
    return rc == SP_OK ? sp__json_put_string(out, text, strlen(text), err) : rc;
}

int message_put_call(struct sp_buffer *out, uint64_t id, const sp_job *job,
                     sp_error *err)
{
    const char *session = sp_job_session(job);
    uint64_t left_ms = sp_job_time_left_ms(job);
    int rc = sp__buf_printf(out, err, "{\"id\":%llu", (unsigned long long)id);
    if (rc == SP_OK) {
        rc = put_text(out, "tool", sp_job_tool(job), err);
    }
    if (rc == SP_OK) {
        rc = sp__buf_append(out, ",\"args\":", 8, err);
    }
    if (rc == SP_OK) {
        rc = put_flat(out, sp_job_args(job), err);
    }
    if (rc == SP_OK && session[0] != '\0') {
        rc = put_text(out, "session", session, err);
    }
    if (rc == SP_OK && sp_job_is_stream(job)) {
        rc = sp__buf_append(out, ",\"stream\":true", 14, err);
    }
    if (rc == SP_OK && left_ms != SP_UNLIMITED) {
        rc = sp__buf_printf(out, err, ",\"timeout_ms\":%llu",
                            (unsigned long long)left_ms);
    }
    return rc == SP_OK ? sp__buf_append(out, "}\n", 2, err) : rc;
}

/* ---- replies ---- */

static const struct {
    const char *key;
    enum reply_kind kind;
} kinds[] = {{"result", REPLY_RESULT},
             {"chunk", REPLY_CHUNK},
             {"end", REPLY_END},
             {"error", REPLY_ERROR},
             {"tools", REPLY_TOOLS}};

static int is_key(const struct json_member *member, const char *key)
{
    return member->key_size == strlen(key) &&
           memcmp(member->key, key, member->key_size) == 0;
}

struct reply message_read(sp_bytes line)
{
    struct reply reply = {0};
    struct json_member member;
    size_t at = 0;
    if (sp__json_kind(line.data, line.size) != '{' ||
        sp__json_read(line.data, line.size, SP__JSON_DEPTH_MAX + 1, NULL, NULL, NULL) <
            0) {
        return reply;
    }
    while (sp__json_next_member(line.data, line.size, &at, &member)) {
        if (is_key(&member, "id")) {
            reply.id = strtoull(member.value, NULL, 10); /* ends at the , or } */
        }
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            if (is_key(&member, kinds[i].key)) {
                reply.kind = kinds[i].kind;
                reply.value = (sp_bytes){member.value, member.value_size};
            }
        }
    }
    return reply;
}
