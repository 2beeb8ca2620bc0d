/* SPDX-License-Identifier: MIT */
/*
 * Values between C and JavaScript.
 *
 * Strings come in through one buffer that grows and is kept, and go out as Latin-1 where
 * they are ASCII, which V8 copies instead of decoding. JSON itself is read and written
 * by V8's own JSON object; sp__marks() finds the texts that it would read wrongly, in
 * one pass, so that the slower reader of lib/json.js is used for those alone.
 */
#include <stdlib.h>
#include <string.h>

#include "bridge.h"

enum { DIGITS_EXACT = 15 }; /* every integer of so many digits is a double */

napi_value sp__throw_text(napi_env env, const char *code, const char *message)
{
    (void)napi_throw_error(env, code, message);
    return NULL;
}

napi_value sp__throw(napi_env env, const sp_error *err)
{
    return sp__throw_text(env, sp_error_name(err->code), err->message);
}

size_t sp__args(napi_env env, napi_callback_info info, napi_value *args, size_t max)
{
    size_t count = max;
    if (napi_get_cb_info(env, info, &count, args, NULL, NULL) != napi_ok) {
        count = 0;
    }
    return count;
}

napi_value sp__undefined(napi_env env)
{
    napi_value value = NULL;
    (void)napi_get_undefined(env, &value);
    return value;
}

napi_value sp__number(napi_env env, double number)
{
    napi_value value = NULL;
    (void)napi_create_double(env, number, &value);
    return value;
}

static int is_ascii(const uint8_t *bytes, size_t size)
{
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        if (word & 0x8080808080808080u) {
            return 0;
        }
    }
    for (; i < size; i++) {
        if (bytes[i] & 0x80) {
            return 0;
        }
    }
    return 1;
}

napi_value sp__text_of(napi_env env, sp_bytes bytes)
{
    napi_value value = NULL;
    const char *data = bytes.size > 0 ? bytes.data : "";
    if (is_ascii((const uint8_t *)data, bytes.size)) {
        (void)napi_create_string_latin1(env, data, bytes.size, &value);
    } else {
        (void)napi_create_string_utf8(env, data, bytes.size, &value);
    }
    return value;
}

napi_value sp__text(napi_env env, const char *text)
{
    return sp__text_of(env, (sp_bytes){text, text != NULL ? strlen(text) : 0});
}

static int make_room(size_t room)
{
    if (room > sp__node.text_room) {
        char *text = realloc(sp__node.text, room);
        if (text == NULL) {
            return 0;
        }
        sp__node.text = text;
        sp__node.text_room = room;
    }
    return 1;
}

int sp__take_text(napi_env env, napi_value value, sp_bytes *ret)
{
    size_t size = 0;
    if (!make_room(TEXT_ROOM)) {
        return 0;
    }
    if (napi_get_value_string_utf8(env, value, sp__node.text, sp__node.text_room,
                                   &size) != napi_ok) {
        return 0;
    }
    /* Cut off it ends up to three bytes, a character, before the end of the room. */
    if (size + 4 >= sp__node.text_room) {
        (void)napi_get_value_string_utf8(env, value, NULL, 0, &size);
        if (!make_room(size + 8)) {
            return 0;
        }
        (void)napi_get_value_string_utf8(env, value, sp__node.text, sp__node.text_room,
                                         &size);
    }
    *ret = (sp_bytes){sp__node.text, size};
    return 1;
}

char *sp__copy_text(napi_env env, napi_value value)
{
    size_t size = 0;
    if (napi_get_value_string_utf8(env, value, NULL, 0, &size) != napi_ok) {
        return NULL;
    }
    char *text = malloc(size + 1);
    if (text != NULL) {
        (void)napi_get_value_string_utf8(env, value, text, size + 1, &size);
    }
    return text;
}

int64_t sp__integer(napi_env env, napi_value value, int64_t otherwise)
{
    int64_t number;
    return napi_get_value_int64(env, value, &number) == napi_ok ? number : otherwise;
}

sp_bytes sp__buffer_of(napi_env env, napi_value value)
{
    void *data = NULL;
    size_t size = 0;
    bool is_buffer = false;
    if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer ||
        napi_get_buffer_info(env, value, &data, &size) != napi_ok) {
        return (sp_bytes){0};
    }
    return (sp_bytes){data, size};
}

/* Past the string that begins at *at; *ret_marks when its text begins with "__". */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end,
                                  uint32_t *ret_marks)
{
    at++;
    if (end - at > 2 && at[0] == '_' && at[1] == '_') {
        *ret_marks |= MARK_PARTS;
    }
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
    }
    return at < end ? at + 1 : end;
}

uint32_t sp__marks(sp_bytes json)
{
    const uint8_t *at = json.data;
    const uint8_t *end = at + json.size;
    uint32_t marks = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end, &marks);
        } else if (*at >= '0' && *at <= '9') {
            const uint8_t *begin = at;
            while (at < end && *at >= '0' && *at <= '9') {
                at++;
            }
            marks |= at - begin > DIGITS_EXACT ? MARK_NUMBERS : 0;
        } else {
            marks |= *at == 'N' || *at == 'I' ? MARK_NUMBERS : 0;
            at++;
        }
    }
    return marks;
}
