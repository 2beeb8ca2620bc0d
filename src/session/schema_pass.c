/* SPDX-License-Identifier: MIT */
/*
 * Arguments that are in order, seen in one pass over their text.
 *
 * Nearly all calls give an object whose members have plain names and the types that are
 * wanted, or an array of such values, and most schemas want no more than that. For these,
 * whether the text is JSON and whether it is what the schema asks for are one question.
 * Anything else is left to the JSON reader and to schema_check.c, which also say what is
 * wrong.
 */
#include "session/schema.h"

#include <string.h>

#include "wire/json.h"
#include "wire/json_bytes.h"

enum { PROPERTIES_MAX = 64 /* a bit for each */ };

/* It asks for types, and for nothing else. */
static int is_about_types(const struct schema *schema)
{
    return schema->min.text[0] == '\0' && schema->max.text[0] == '\0' &&
           schema->min_length == 0 && schema->max_length == SIZE_MAX &&
           schema->pattern == NULL && schema->values == NULL && schema->items == NULL &&
           schema->min_items == 0 && schema->max_items == SIZE_MAX &&
           schema->properties_count == 0 && !schema->closed &&
           schema->additional == NULL && schema->any_of_count == 0;
}

void sp__schema_flatten(struct schema *schema)
{
    int is_flat = (schema->types & SCHEMA_OBJECT) != 0 && schema->values == NULL &&
                  schema->additional == NULL && schema->any_of_count == 0 &&
                  schema->properties_count <= PROPERTIES_MAX;
    for (size_t i = 0; is_flat && i < schema->properties_count; i++) {
        struct schema_property *property = &schema->properties[i];
        const struct schema *inner = property->schema;
        property->types = inner == NULL ? SCHEMA_ANY : inner->types;
        schema->required |= (uint64_t)property->required << i;
        is_flat = inner == NULL || is_about_types(inner);
    }
    schema->is_flat = is_flat;
}

static int is_whole(const uint8_t *p, const uint8_t *behind, const uint8_t *end)
{
    return behind > p &&
           (behind == end || (*behind != '.' && *behind != 'e' && *behind != 'E'));
}

/* Behind a value of one of these types. NULL: the longer way, here and below. */
static inline const uint8_t *take_value(const uint8_t *p, const uint8_t *end,
                                        unsigned types)
{
    const uint8_t *digits = p < end && *p == '-' ? p + 1 : p;
    const uint8_t *behind = sp__json_skip_whole(digits, end);
    if (is_whole(digits, behind, end)) {
        return (types & SCHEMA_INTEGER) != 0 ? behind : NULL;
    }
    /* A real number may be as whole as 2.0: for a number it does not matter. */
    char kind = sp__json_kind((const char *)p, (size_t)(end - p));
    if ((types & sp__schema_type(kind)) == 0) {
        return NULL;
    }
    return (const uint8_t *)sp__json_skip((const char *)p, (const char *)end,
                                          SP__JSON_DEPTH_MAX - 1);
}

struct pass {
    const struct schema *schema;
    const uint8_t *end;
    size_t next;    /* the property that is likely to come */
    uint64_t given; /* bits, by their places */
};

/* The types that the member of this name may have; 0 when there may be none. */
static inline unsigned types_of_member(struct pass *pass, const uint8_t *name,
                                       size_t size)
{
    const struct schema *schema = pass->schema;
    size_t count = schema->properties_count;
    for (size_t i = 0, at = pass->next; i < count; i++, at++) {
        at = at < count ? at : 0;
        const struct schema_property *property = &schema->properties[at];
        if (property->name_size == size && memcmp(property->name, name, size) == 0) {
            pass->given |= UINT64_C(1) << at;
            pass->next = at + 1;
            return property->types;
        }
    }
    return schema->closed ? 0 : SCHEMA_ANY;
}

/* Behind a member and the white space after it. */
static inline const uint8_t *take_member(struct pass *pass, const uint8_t *p)
{
    const uint8_t *end = pass->end;
    if (p == end || *p != '"') {
        return NULL;
    }
    const uint8_t *name = p + 1;
    p = sp__json_skip_plain(name, end);
    if (p == end || *p != '"') {
        return NULL;
    }
    unsigned types = types_of_member(pass, name, (size_t)(p - name));
    p = sp__json_skip_space(p + 1, end);
    if (p == end || *p != ':' || types == 0) {
        return NULL;
    }
    p = take_value(sp__json_skip_space(p + 1, end), end, types);
    return p == NULL ? NULL : sp__json_skip_space(p, end);
}

/* Behind an item, which is for the property of its place, and the white space after it. */
static const uint8_t *take_item(struct pass *pass, const uint8_t *p)
{
    const struct schema *schema = pass->schema;
    unsigned types = schema->closed ? 0 : SCHEMA_ANY;
    if (pass->next < schema->properties_count) {
        types = schema->properties[pass->next].types;
        pass->given |= UINT64_C(1) << pass->next;
        pass->next++;
    }
    p = types != 0 ? take_value(p, pass->end, types) : NULL;
    return p == NULL ? NULL : sp__json_skip_space(p, pass->end);
}

int sp__schema_takes(const struct schema *schema, const char *json, size_t size)
{
    const uint8_t *p = sp__json_start(json, size);
    struct pass pass = {.schema = schema, .end = p + size};
    p = sp__json_skip_space(p, pass.end);
    if (!schema->is_flat || p == pass.end ||
        (*p != '{' && (*p != '[' || schema->properties_count == 0))) {
        return 0;
    }
    int is_object = *p == '{';
    uint8_t close = is_object ? '}' : ']';
    p = sp__json_skip_space(p + 1, pass.end);
    int has_more = p < pass.end && *p != close;
    while (has_more) {
        p = is_object ? take_member(&pass, p) : take_item(&pass, p);
        if (p == NULL) {
            return 0;
        }
        has_more = p < pass.end && *p == ',';
        p = has_more ? sp__json_skip_space(p + 1, pass.end) : p;
    }
    return p < pass.end && *p == close &&
           sp__json_skip_space(p + 1, pass.end) == pass.end &&
           (schema->required & ~pass.given) == 0;
}
