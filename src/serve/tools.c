/* SPDX-License-Identifier: MIT */
/*
 * Answers about tools: GetExposedElixirTools and RegisterTools, as the original's host
 * gives them.
 *
 * A worker that registers its tools begins its session by that, and may say the same as
 * often as it likes: the original's do it with every call. What workers register is kept
 * to be counted and to be refused where a host tool has the name; they are called
 * through their pool.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "serve/rpc.h"
#include "session/host_tools.h"
#include "wire/json.h"
#include "wire/proto_tool.h"

/* ---- GetExposedElixirTools ---- */

struct listing {
    struct sp_buffer *reply;
    sp_error *err;
    int rc;
};

/* Metadata as texts; what is no text stays JSON. Freed with `memory`. */
static size_t read_metadata(const char *object, struct proto_text_entry *entries,
                            struct sp_buffer *memory)
{
    size_t size = strlen(object);
    struct json_member member;
    size_t at = 0;
    size_t count = 0;
    while (count < TOOL_METADATA_MEMBERS_MAX &&
           sp__json_next_member(object, size, &at, &member)) {
        size_t room = member.key_size + member.value_size + 2;
        if (memory->size + room > memory->capacity) {
            break; /* reserved for all of it: see tell() */
        }
        char *key = (char *)memory->data + memory->size;
        size_t key_size = sp__json_unescape(member.key, member.key_size, key);
        key[key_size] = '\0';
        char *text = key + key_size + 1;
        size_t text_size = member.value_size;
        if (sp__json_kind(member.value, member.value_size) == '"') {
            text_size =
                sp__json_unescape(member.value + 1, member.value_size - 2, text);
        } else {
            memcpy(text, member.value, member.value_size);
        }
        text[text_size] = '\0';
        memory->size += room;
        entries[count++] = (struct proto_text_entry){key, text};
    }
    return count;
}

static void tell(const sp_host_tool_info *tool, void *user_data)
{
    struct listing *listing = user_data;
    struct proto_text_entry entries[TOOL_METADATA_MEMBERS_MAX];
    struct sp_buffer memory;
    if (listing->rc < 0 || (tool->flags & SP_TOOL_HIDDEN) != 0) {
        return;
    }
    size_t n = tool->parameters_count;
    struct proto_parameter_spec *params = sp__calloc(n + 1, sizeof *params);
    sp__buf_init(&memory, SIZE_MAX);
    int rc =
        params == NULL
            ? sp__fail(listing->err, SP_ERR_NOMEM, "no memory for a list of tools")
            : sp__buf_reserve(&memory, 2 * strlen(tool->metadata) + 64, listing->err);
    for (size_t i = 0; rc == SP_OK && i < n; i++) {
        const sp_tool_parameter *param = &tool->parameters[i];
        params[i] = (struct proto_parameter_spec){.name = param->name,
                                                  .type = param->type,
                                                  .description = param->description,
                                                  .required = param->required};
        if (param->default_json != NULL) {
            params[i].default_value = (struct proto_any){
                "type.googleapis.com/google.protobuf.StringValue", param->default_json};
        }
    }
    if (rc == SP_OK) {
        struct proto_tool_spec spec = {
            .name = tool->name,
            .description = tool->description,
            .parameters = {params, n},
            .supports_streaming = (tool->flags & SP_TOOL_STREAMING) != 0,
            .input_schema_json = tool->input_schema,
        };
        spec.metadata.items = entries;
        spec.metadata.count = read_metadata(tool->metadata, entries, &memory);
        rc = sp__table_put_item(listing->reply, 1, &sp__proto_tool_spec_table, &spec,
                                listing->err);
    }
    listing->rc = rc;
    sp__buf_fini(&memory);
    sp__free(params);
}

int sp__answer_tools_list(const struct asking *asking, sp_bytes question,
                          struct sp_buffer *reply, sp_error *err)
{
    struct proto_memory memory = {0};
    struct proto_tool_list message;
    struct listing listing = {.reply = reply, .err = err};
    const char *session;
    int rc = sp__proto_get_tool_list(question, &memory, &message, err);
    if (rc == SP_OK) {
        rc = sp__asking_session(asking, message.session_id, &session, err);
    }
    if (rc == SP_OK) {
        /* A session that does not exist has the tools that all have. */
        int exists =
            session[0] != '\0' && sp__session_exists(asking->sessions, session);
        rc = sp__host_tools_list(asking->sessions, exists ? session : NULL, tell,
                                 &listing, err);
        rc = rc < 0 ? rc : listing.rc;
    }
    sp__proto_memory_fini(&memory);
    return rc < 0 ? rc : SP_OK;
}

/* ---- RegisterTools ---- */

/* Who says so: a worker of ours, or the name that a stranger gives itself. */
static sp_id worker_of(const struct asking *asking, const char *named)
{
    return asking->worker != 0 ? asking->worker
                               : sp__hash(named, strlen(named)) | (UINT64_C(1) << 63);
}

/* One registration as the registry has it; its parameters in `params`. */
static sp_host_tool read_tool(const struct proto_tool_registration *from,
                              const char *session, sp_tool_parameter *params)
{
    const struct proto_parameter_spec *specs = from->parameters.items;
    for (size_t i = 0; i < from->parameters.count; i++) {
        params[i] = (sp_tool_parameter){.name = specs[i].name,
                                        .type = specs[i].type,
                                        .description = specs[i].description,
                                        .required = specs[i].required,
                                        .default_json = specs[i].default_value.json};
    }
    return (sp_host_tool){.size = sizeof(sp_host_tool),
                          .name = from->name,
                          .description = from->description,
                          .session = session,
                          .parameters = params,
                          .parameters_count = from->parameters.count,
                          .flags = from->supports_streaming ? SP_TOOL_STREAMING : 0};
}

static int register_all(const struct asking *asking, const char *session,
                        const struct proto_tool_register *message, sp_error *err)
{
    const struct proto_tool_registration *items = message->tools.items;
    size_t count = message->tools.count;
    size_t params_count = 0;
    for (size_t i = 0; i < count; i++) {
        params_count += items[i].parameters.count;
    }
    sp_host_tool *tools = sp__calloc(count + 1, sizeof *tools);
    sp_tool_parameter *params = sp__calloc(params_count + 1, sizeof *params);
    int rc = tools == NULL || params == NULL
                 ? sp__fail(err, SP_ERR_NOMEM, "no memory for tools")
                 : SP_OK;
    for (size_t i = 0, at = 0; rc == SP_OK && i < count; i++) {
        tools[i] = read_tool(&items[i], session, params + at);
        at += items[i].parameters.count;
    }
    if (rc == SP_OK) {
        sp_session_options options = {.or_get = 1};
        rc = sp__session_create(asking->sessions, session, &options, err);
    }
    if (rc >= 0) {
        rc = sp__host_tools_register(asking->sessions, tools, count,
                                     worker_of(asking, message->worker_id), err);
    }
    sp__free(tools);
    sp__free(params);
    return rc;
}

/* "<session>:<name>" by name. */
static int put_registered(struct sp_buffer *reply, const char *session,
                          const struct proto_tool_register *message, sp_error *err)
{
    const struct proto_tool_registration *items = message->tools.items;
    size_t count = message->tools.count;
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        room += strlen(session) + strlen(items[i].name) + 2;
    }
    char *texts = sp__malloc(room + 1);
    struct proto_text_entry *ids = sp__calloc(count + 1, sizeof *ids);
    int rc = texts == NULL || ids == NULL
                 ? sp__fail(err, SP_ERR_NOMEM, "no memory for the names of tools")
                 : SP_OK;
    char *at = texts;
    for (size_t i = 0; rc == SP_OK && i < count; i++) {
        int n = snprintf(at, room + 1 - (size_t)(at - texts), "%s:%s", session,
                         items[i].name);
        ids[i] = (struct proto_text_entry){items[i].name, at};
        at += n + 1;
    }
    if (rc == SP_OK) {
        struct proto_tool_register_reply answer = {.success = 1,
                                                   .tool_ids = {ids, count}};
        rc = sp__proto_put_tool_register_reply(reply, &answer, err);
    }
    sp__free(texts);
    sp__free(ids);
    return rc;
}

/* What the original's workers look for in the text: it is fine for them. */
static int put_refused(struct sp_buffer *reply, const sp_error *failure, sp_error *err)
{
    char text[SP_ERROR_MESSAGE_MAX + 32];
    (void)snprintf(text, sizeof text, "%s%s",
                   failure->code == SP_ERR_EXISTS ? "duplicate_tool: " : "",
                   failure->message);
    struct proto_tool_register_reply answer = {.success = 0, .error_message = text};
    return sp__proto_put_tool_register_reply(reply, &answer, err);
}

int sp__answer_tools_register(const struct asking *asking, sp_bytes question,
                              struct sp_buffer *reply, sp_error *err)
{
    struct proto_memory memory = {0};
    struct proto_tool_register message;
    sp_error failure = {0};
    const char *session;
    int rc = sp__proto_get_tool_register(question, &memory, &message, err);
    if (rc == SP_OK) {
        rc = sp__asking_session(asking, message.session_id, &session, err);
    }
    if (rc == SP_OK) {
        rc = register_all(asking, session, &message, &failure) < 0
                 ? put_refused(reply, &failure, err)
                 : put_registered(reply, session, &message, err);
    }
    sp_error_clear(&failure);
    sp__proto_memory_fini(&memory);
    return rc;
}
