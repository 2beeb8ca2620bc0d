/* SPDX-License-Identifier: MIT */
/*
 * Sessions, variables and programs as JSON, written and not built: values are JSON
 * already and pass through digit for digit.
 */
#include "state.h"

#include <string.h>

static void add_text(struct text *out, const char *name, const char *text)
{
    text_printf(out, ",\"%s\":", name);
    /* The library's names are UTF-8. */
    (void)add_json_string(out, text != NULL ? text : "",
                          text != NULL ? strlen(text) : 0);
}

static void add_number(struct text *out, const char *name, uint64_t number)
{
    text_printf(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

/* null stands for never. */
static void add_time(struct text *out, const char *name, uint64_t ms)
{
    if (ms == SP_UNLIMITED) {
        text_printf(out, ",\"%s\":null", name);
    } else {
        add_number(out, name, ms);
    }
}

static void add_raw(struct text *out, const char *name, const char *json, size_t size)
{
    size_t begin = out->size;
    text_printf(out, ",\"%s\":", name);
    text_add(out, json, size);
    flatten(out->data + begin, out->size - begin);
}

/* Members begin with a comma, the first one's becomes the brace. */
static void end_object(struct text *out, size_t begin)
{
    out->data[begin] = '{';
    text_add(out, "}", 1);
}

void add_session(struct text *out, const sp_session_info *info)
{
    size_t begin = out->size;
    add_text(out, "id", info->id);
    add_raw(out, "metadata", info->metadata, strlen(info->metadata));
    add_time(out, "ttl_ms", info->ttl_ms);
    add_time(out, "remaining_ms", info->remaining_ms);
    add_number(out, "created_unix_ms", info->created_unix_ms);
    add_number(out, "used_unix_ms", info->used_unix_ms);
    add_number(out, "bytes", info->bytes);
    add_number(out, "variables", info->variables);
    add_number(out, "programs", info->programs);
    add_text(out, "durability", sp_durability_name(info->durability));
    end_object(out, begin);
}

void add_variable(struct text *out, const sp_variable *variable)
{
    size_t begin = out->size;
    add_text(out, "id", variable->id);
    add_text(out, "name", variable->name);
    add_text(out, "type", variable->type);
    add_raw(out, "value", variable->value, variable->value_size);
    add_raw(out, "constraints", variable->constraints, strlen(variable->constraints));
    add_raw(out, "metadata", variable->metadata, strlen(variable->metadata));
    add_number(out, "version", variable->version);
    add_text(out, "changed_by", variable->changed_by);
    add_text(out, "locked_by", variable->locked_by);
    add_number(out, "created_unix_ms", variable->created_unix_ms);
    add_number(out, "updated_unix_ms", variable->updated_unix_ms);
    end_object(out, begin);
}

void add_program(struct text *out, const sp_program *program)
{
    size_t begin = out->size;
    add_text(out, "id", program->id);
    add_raw(out, "data", program->data, program->data_size);
    add_number(out, "created_unix_ms", program->created_unix_ms);
    add_number(out, "updated_unix_ms", program->updated_unix_ms);
    add_time(out, "remaining_ms", program->remaining_ms);
    end_object(out, begin);
}

void print_object(const char *name, struct text *object)
{
    progress_erase();
    (void)printf("{\"version\":1,\"%s\":%s}\n", name, text_c(object));
}

void json_list_add(struct json_list *list, struct text *object)
{
    if (list->cli->output == OUTPUT_JSONL) {
        (void)printf("%s\n", text_c(object));
    } else {
        text_add(&list->text, ",", list->count > 0 ? 1 : 0);
        text_add(&list->text, object->data, object->size);
    }
    list->count++;
    object->size = 0;
}

void json_list_print(struct json_list *list, const char *name)
{
    if (list->cli->output != OUTPUT_JSONL) {
        (void)printf("{\"version\":1,\"%s\":[%s]}\n", name, text_c(&list->text));
    }
    text_free(&list->text);
}

const char *short_value(const char *json, size_t size, char text[64])
{
    enum { SHOWN = 48 };
    size_t length = size < SHOWN ? size : SHOWN;
    /* Not in the middle of a character. */
    while (length < size && length > 0 &&
           ((unsigned char)json[length] & 0xc0) == 0x80) {
        length--;
    }
    (void)snprintf(text, 64, "%.*s%s", (int)length, json, length < size ? "..." : "");
    return text;
}
