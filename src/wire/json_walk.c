/* SPDX-License-Identifier: MIT */
/*
 * Walking through the members of an object or a list, and what kind a value is.
 *
 * The walker trusts that its text was accepted, and never reads outside its bytes even
 * when it was not.
 */
#include "wire/json.h"

#include "wire/json_bytes.h"

/* Behind the closing quote of a string whose inside begins at p. */
static const uint8_t *skip_string(const uint8_t *p, const uint8_t *end, int *escaped)
{
    *escaped = 0;
    for (;;) {
        p = sp__json_skip_plain(p, end);
        if (p == end) {
            return end;
        }
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\\') {
            *escaped = 1;
            p++;
            if (p == end) {
                return end;
            }
        }
        p++;
    }
}

static const uint8_t *skip_value(const uint8_t *p, const uint8_t *end)
{
    size_t depth = 0;
    int escaped;
    while (p < end) {
        switch (*p) {
        case '"':
            p = skip_string(p + 1, end, &escaped);
            if (depth == 0) {
                return p;
            }
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (depth == 0) {
                return p;
            }
            depth--;
            if (depth == 0) {
                return p + 1;
            }
            break;
        case ',':
        case ' ':
        case '\n':
        case '\r':
        case '\t':
            if (depth == 0) {
                return p;
            }
            break;
        default:
            break;
        }
        p++;
    }
    return end;
}

int sp__json_next_member(const char *object, size_t n, size_t *pos,
                         struct json_member *ret)
{
    const uint8_t *start = sp__json_start(object, n);
    const uint8_t *end = start + n;
    const uint8_t *p = sp__json_skip_space(start + *pos, end);
    /* At the beginning stands '{', between members ',', at the end '}'. */
    if (p == end || *p != (*pos == 0 ? '{' : ',')) {
        return 0;
    }
    p = sp__json_skip_space(p + 1, end);
    if (p == end || *p != '"') {
        return 0;
    }
    const uint8_t *key = p + 1;
    p = skip_string(key, end, &ret->key_escaped);
    const uint8_t *key_end = p - 1;
    p = sp__json_skip_space(p, end);
    if (p == end || *p != ':') {
        return 0;
    }
    const uint8_t *value = sp__json_skip_space(p + 1, end);
    p = skip_value(value, end);
    ret->key = (const char *)key;
    ret->key_size = (size_t)(key_end - key);
    ret->value = (const char *)value;
    ret->value_size = (size_t)(p - value);
    *pos = (size_t)(p - start);
    return 1;
}

int sp__json_next_element(const char *array, size_t n, size_t *pos,
                          struct json_element *ret)
{
    const uint8_t *start = sp__json_start(array, n);
    const uint8_t *end = start + n;
    const uint8_t *p = sp__json_skip_space(start + *pos, end);
    if (p == end || *p != (*pos == 0 ? '[' : ',')) {
        return 0;
    }
    const uint8_t *value = sp__json_skip_space(p + 1, end);
    if (value == end || *value == ']') {
        return 0;
    }
    p = skip_value(value, end);
    ret->value = (const char *)value;
    ret->value_size = (size_t)(p - value);
    *pos = (size_t)(p - start);
    return 1;
}

char sp__json_kind(const char *text, size_t n)
{
    const uint8_t *start = sp__json_start(text, n);
    const uint8_t *p = sp__json_skip_space(start, start + n);
    if (p == start + n) {
        return 0;
    }
    switch (*p) {
    case '{':
    case '[':
    case '"':
    case 't':
    case 'f':
    case 'n':
        return (char)*p;
    case '-':
    case 'N':
    case 'I':
        return '0';
    default:
        return *p >= '0' && *p <= '9' ? '0' : 0;
    }
}

const char *sp__json_type(const char *text, size_t n)
{
    switch (sp__json_kind(text, n)) {
    case '{':
        return "map";
    case '[':
        return "list";
    case '"':
        return "string";
    case 't':
    case 'f':
        return "boolean";
    case '0':
        break;
    default:
        return "null";
    }
    for (size_t i = 0; i < n; i++) {
        if (memchr(".eEIN", text[i], 5) != NULL) {
            return "float";
        }
    }
    return "integer";
}
